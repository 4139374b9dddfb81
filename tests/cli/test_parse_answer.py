from __future__ import annotations

from types import SimpleNamespace

import pytest

from palate.cli.parse_answer import in_words, keys_of, legend, parse_answer
from palate.entities import AnswerKind
from palate.errors import AnswerError
from palate.model.scale import Scale
from palate.posteriors import likelihoods


def model(kind: str = "gaussian", levels: tuple[float, ...] = (1, 2, 3, 4, 5)) -> SimpleNamespace:
    return SimpleNamespace(
        taste=SimpleNamespace(likelihood=likelihoods.named(kind)), scale=Scale(tuple(map(float, levels)), levels[-1])
    )


STARS, LIKES, CHOICES, JESTER = (
    model(),
    model("probit", (0, 1)),
    model("implicit", (-1.0, 1.0)),
    model(levels=(-10, 10)),
)


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("4", STARS, 4.0),
        (" 3.5 ", STARS, 3.5),
        ("-9.25", JESTER, -9.25),
        ("unknown", STARS, AnswerKind.UNKNOWN),
        ("No-Opinion", STARS, AnswerKind.NO_OPINION),
        ("skip", STARS, AnswerKind.SKIPPED),
        ("like", LIKES, 1.0),
        ("dislike", LIKES, 0.0),
        ("0", LIKES, 0.0),
        ("like", CHOICES, 1.0),
        ("dislike", CHOICES, -1.0),
        ("not-for-me", CHOICES, -1.0),
        ("0", CHOICES, -1.0),
        ("-0.5", CHOICES, -0.5),
        ("Not-for-me", LIKES, 0.0),
    ],
)
def test_answers_as_people_type_them(text, given, expected):
    assert parse_answer(text, given) == expected


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("6", STARS, "the rating 6 is off the scale. Give a number from 1 to 5."),
        ("good", STARS, "the answer 'good' is unknown. Give a number from 1 to 5, unknown, no-opinion, skip."),
        ("nan", STARS, "the answer 'nan' is unknown."),
        ("1e999", STARS, "the answer '1e999' is unknown."),
        ("like", STARS, "the answer 'like' is unknown. Give a number from 1 to 5"),
        ("love", LIKES, "the answer 'love' is unknown. Give like, dislike, not-for-me, unknown, no-opinion, skip."),
        ("love", CHOICES, "the answer 'love' is unknown. Give like, dislike, not-for-me, unknown"),
        ("2", CHOICES, "the rating 2 is off the scale. Give a number from -1 to 1."),
        ("not-for-me", STARS, "the answer 'not-for-me' is unknown. Give a number from 1 to 5"),
        ("x" * 10_000, STARS, f"the answer '{'x' * 40}' is unknown."),
    ],
)
def test_wrong_answers_say_what_would_be_right(text, given, message):
    with pytest.raises(AnswerError) as caught:
        parse_answer(text, given)
    assert str(caught.value).startswith(message)


HALVES = tuple(half / 2 for half in range(1, 11))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (STARS, {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5}),
        (model(levels=(0, 1, 2, 3, 4)), {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4}),
        (model(levels=(-1, 0, 1)), {"1": -1, "2": 0, "3": 1}),
        (model(levels=HALVES), dict(zip("6172839405", HALVES, strict=True))),
        (model(levels=tuple(range(1, 11))), dict(zip("1234567890", range(1, 11), strict=True))),
        (model(levels=(1.0, 5.0)), {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5}),
        (LIKES, {"1": 1, "0": 0}),
        (CHOICES, {"1": 1, "0": -1}),
    ],
    ids=["stars", "from zero", "votes", "half stars", "to ten", "continuous stars", "likes", "choices"],
)
def test_digit_keys(given, expected):
    assert keys_of(given) == expected


def test_a_digit_is_as_many_stars_and_the_legend_says_where_the_halves_are():
    half = model(levels=HALVES)
    assert legend(keys_of(half), half) == "1 2 3 4 5 rate · 6 7 8 9 0 half a star less: 6 is 0.5, 7 is 1.5 ... 0 is 4.5"
    from_one = model(levels=HALVES[1:])
    assert (
        legend(keys_of(from_one), from_one)
        == "1 2 3 4 5 rate · 7 8 9 0 half a star less: 7 is 1.5, 8 is 2.5 ... 0 is 4.5"
    )


def test_ten_keys_are_spread_evenly_over_a_wide_scale():
    keys = keys_of(JESTER)
    assert list(keys) == list("1234567890")
    assert (keys["1"], keys["0"]) == (-10, 10)
    steps = [after - before for before, after in zip(keys.values(), list(keys.values())[1:], strict=False)]
    assert max(steps) - min(steps) < 0.02
    assert legend(keys, JESTER) == "1 = -10, 2 = -7.78 ... 0 = 10 rate: the ten keys are spread over the scale"


def test_more_than_ten_levels_are_met_by_the_nearest():
    levels = tuple(float(level) for level in range(0, 101, 5))[:20]
    keys = keys_of(model(levels=levels))
    assert set(keys.values()) <= set(levels)
    assert (keys["1"], keys["0"]) == (levels[0], levels[-1])


@pytest.mark.parametrize("given", [STARS, LIKES, CHOICES, JESTER, model(levels=HALVES)])
def test_every_key_gives_an_answer_on_the_scale(given):
    for value in keys_of(given).values():
        assert given.scale.check(value) == value


def test_answers_in_words():
    assert in_words(AnswerKind.RATING, 4.0, STARS) == "4"
    assert in_words(AnswerKind.RATING, 0.0, LIKES) == "dislike"
    assert [
        in_words(kind, None, STARS) for kind in (AnswerKind.UNKNOWN, AnswerKind.NO_OPINION, AnswerKind.SKIPPED)
    ] == [
        "don't know it",
        "no opinion",
        "skipped",
    ]
