"""Items by what they are called: as it is typed, and inside what people write."""

from __future__ import annotations

import difflib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import LimitError, OptionError
from palate.model.titles import _ALIKE, MOST_CHARACTERS, Titles, _ratio, folded, names_for

NAMES = [
    "Matrix, The (1999)",
    "Heat (1995)",
    "Up (2009)",
    "It (1990)",
    "Thelma & Louise (1991)",
    "Sabrina (1954)",
    "Sabrina (1995)",
    "霸王别姬",
    "Twelve Monkeys (a.k.a. 12 Monkeys) (1995)",
    "Amélie",
    "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
    "Star Wars (1977)",
    "Wars",
    "Schindler's List (1993)",
]
COUNTS = np.array([90.0, 80, 70, 60, 50, 10, 40, 30, 20, 10, 9, 8, 7, 6])
TITLES = Titles(NAMES, COUNTS)


def within(text: str) -> list[str]:
    return [NAMES[item] for item in TITLES.within(text)]


def search(typed: str, k: int = 1) -> list[str]:
    return [NAMES[item] for item in TITLES.search(typed, k)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I loved the matrix and Heat", ["Matrix, The (1999)", "Heat (1995)"]),
        ("MATRIX, THE", ["Matrix, The (1999)"]),
        ("heat, up, it", ["Heat (1995)", "Up (2009)", "It (1990)"]),
        ("heat and amelie", ["Heat (1995)", "Amélie"]),
        ("it was a heat wave up there", []),  # words, not titles
        ("Up there it was", []),
        ('I saw "up" and «it» yesterday', ["Up (2009)", "It (1990)"]),
        ("nobody liked Up", []),  # too short to be meant by its capital alone
        ("Thelma and Louise", ["Thelma & Louise (1991)"]),
        ("I know thelma & louise by heart", ["Thelma & Louise (1991)"]),
        ("star wars, then Star Wars again", ["Star Wars (1977)"]),  # the longest at a place, once
        ("Sabrina", ["Sabrina (1995)"]),  # the one with more answers
        ("Sabrina (1954) for me", ["Sabrina (1954)"]),
        ("la cité des enfants perdus!", ["City of Lost Children, The (Cité des enfants perdus, La) (1995)"]),
        ("12 monkeys was fun, amélie too", ["Twelve Monkeys (a.k.a. 12 Monkeys) (1995)"]),
        ("I cried at Schindler’s List", ["Schindler's List (1993)"]),
        ("我喜欢霸王别姬", ["霸王别姬"]),
        ("", []),
        (" \n ", []),
        ("?!", []),
        ("nothing of the kind", []),
    ],
)
def test_titles_inside_what_people_write(text: str, found: list[str]) -> None:
    assert within(text) == found


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("mat", "Matrix, The (1999)"),
        ("the mat", "Matrix, The (1999)"),
        ("teh matrix", "Matrix, The (1999)"),
        ("matrix 1999", "Matrix, The (1999)"),
        ("thelma an luise", "Thelma & Louise (1991)"),
        ("amelie", "Amélie"),
        ("AMÉL", "Amélie"),
        ("sabr", "Sabrina (1995)"),
        ("sabrina 1954", "Sabrina (1954)"),
        ("shindlers lst", "Schindler's List (1993)"),
        ("霸王", "霸王别姬"),
        ("wars", "Wars"),  # called so, before what has more answers
    ],
)
def test_a_title_as_it_is_typed(typed: str, first: str) -> None:
    assert search(typed) == [first]


def test_several_may_be_meant_and_nothing_need_be() -> None:
    assert search("sabrina", 5)[:2] == ["Sabrina (1995)", "Sabrina (1954)"]
    assert search("qqqq", 5) == search("", 5) == search("!", 5) == search("heat", 0) == []
    assert TITLES.named("the MATRIX") == 0 and TITLES.named("the matr") is None
    assert Titles([], np.zeros(0)).search("x", 3) == Titles([], np.zeros(0)).within("x y") == []


@given(st.text(max_size=40))
def test_any_text_is_a_title_that_is_found_again(title: str) -> None:
    alone = Titles([title], np.ones(1))
    assert (alone.within(title) == [0]) == bool(folded(title)) or len(folded(title).split()) > 40
    assert (alone.search(title, 1) == [0]) == bool(names_for(title))
    assert folded(folded(title)) == folded(title)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "x" * 100_001,
            LimitError,
            r"^the text 'x{20,45}'? has 100,001 characters, of at most 100,000\. Shorten it\.$",
        ),
        (None, OptionError, r"^the text is None\. Give text"),
        ("\ud800", OptionError, r"^the text is '.*'\. Give text, without half a surrogate pair\.$"),
    ],
)
def test_what_is_no_text_or_too_much(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TITLES.within(text)


@pytest.mark.parametrize("piece", ["Heat ", '"up" ', "star ", "the ", "(", "a, ", "霸", "thelma and "])
def test_a_long_text_is_read_quickly(piece: str) -> None:
    text = (piece * MOST_CHARACTERS)[:MOST_CHARACTERS]
    TITLES.within("warm")
    start = time.process_time()
    TITLES.within(text)
    assert time.process_time() - start < 5.0


def test_of_many_that_begin_so_those_with_most_answers_are_given_and_of_equals_by_name() -> None:
    rng = np.random.default_rng(0)
    names = [
        f"{rng.choice(['Storm', 'Star', 'Stone', 'Sun'])} {number} ({1950 + number % 60})" for number in range(3_000)
    ]
    counts = rng.integers(0, 40, 3_000).astype(float)
    titles = Titles(names, counts)
    for typed in ("s", "st", "star", "ston", "the s"):
        begun = {item: [name for name in names_for(names[item]) if name.startswith(typed)] for item in range(3_000)}
        order = sorted(
            (item for item in begun if begun[item]), key=lambda item: (-counts[item], min(begun[item]), item)
        )
        assert titles.search(typed, 8)[: len(order)] == order[:8], typed


@given(st.text(alphabet="stare 1x", min_size=1, max_size=9), st.text(alphabet="stare 1x", min_size=1, max_size=12))
def test_what_is_left_out_early_would_not_have_been_alike_enough(typed: str, name: str) -> None:
    cut = name[: len(typed) + 1]
    whole = max(difflib.SequenceMatcher(None, typed, other).ratio() for other in {name, cut})
    found = _ratio(typed, name)
    assert found == whole if whole >= _ALIKE else found < _ALIKE
