from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import Learner
from palate.datasets import Dataset
from palate.entities import Answer, AnswerKind, Form
from palate.errors import OptionError
from palate.loop.list_scores import list_scores
from palate.loop.reasons import chinese, english
from palate.loop.reasons.assign import Candidate, assigned
from palate.loop.reasons.candidates import LEAST_OF_EVIDENCE, LEAST_PEOPLE, Shown, candidates
from palate.loop.reasons.of_list import reasons_for, titles_of
from palate.loop.reasons.part import Evidence, Part
from palate.loop.reasons.phrases import ACTS, Deed, Facts, fraction
from palate.loop.reasons.reason import LANGUAGES, Kind, Reason
from palate.loop.reasons.taste import evidence_of, like_parts, pulls
from palate.loop.reasons.words import shared_words
from palate.posteriors.belief import Belief
from palate.ranking.histories import evidence as evidence_of_scores
from palate.ranking.list_model import LEVELS
from palate.records import events
from tests.worlds import data, learner, words

ANSWERS = ("score", "prefer", "tap", "tap-none", "yes", "no", "promising", "unpromising", "best", "name", "open")
A, B = Deed("like", ("Alpha",)), Deed("like", ("Beta",))


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def tell(of: Learner, ratings: dict[str, float], user: str = "newcomer") -> Learner:
    return of.tell([Answer(user, item, AnswerKind.RATING, value) for item, value in ratings.items()])


def topic_of(of: Learner, name: str) -> int:
    return int(of.model.catalogue.members(name)[0])


def why(of: Learner, shown: Sequence[int] | np.ndarray, user: str = "newcomer") -> list[Reason]:
    return reasons_for(of.memory, user, list_scores(of.memory, user), np.asarray(shown, dtype=np.intp))


def topic(of: Learner, name: str) -> list[str]:
    return [of.model.catalogue.ids[position] for position in of.model.catalogue.members(name)]


# ---- words ----------------------------------------------------------------------------------------------------------

SAID = [
    (
        Kind.TOGETHER,
        Facts((A,), "like", people=38),
        "liked by dozens of people who liked “Alpha”",
        "几十个喜欢“Alpha”的人也喜欢它",
    ),
    (
        Kind.TOGETHER,
        Facts((A,), "purchase", people=8),
        "bought by 8 people who bought “Alpha”",
        "8 个买过“Alpha”的人也买过它",
    ),
    (
        Kind.SAME_WORDS,
        Facts((A,), words=("jazz", "night")),
        "mentions “jazz” and “night”, as does “Alpha”",
        "和“Alpha”一样提到“jazz”、“night”",
    ),
    (Kind.SAME_WORDS, Facts((A,)), "reads like “Alpha”", "内容和“Alpha”相似"),
    (Kind.SAME_MAKER, Facts((A,), name="Ursula", own=4), "you liked 4 by Ursula", "出自 Ursula，你喜欢其中 4 个"),
    (
        Kind.SAME_MAKER,
        Facts((A,), name="Ursula", own=1),
        "by Ursula, as is “Alpha”, which you liked",
        "和你喜欢的“Alpha”一样出自 Ursula",
    ),
    (
        Kind.SAME_CATEGORY,
        Facts((A,), name="Jazz", own=4),
        "Jazz, like 4 that you liked",
        "和你喜欢的 4 个一样属于 Jazz",
    ),
    (Kind.KNOWN, Facts((A,)), "known to people who know “Alpha”", "知道“Alpha”的人也知道它"),
    (Kind.ANSWERS, Facts((A, B)), "you liked “Alpha” and “Beta”", "你喜欢“Alpha”和“Beta”"),
    (Kind.ABOUT_YOU, Facts(), "fits what is known of you", "符合对你的了解"),
    (
        Kind.WELL_LIKED,
        Facts(people=160, share=0.74),
        "over a hundred people rated it, 3 in 4 liked it",
        "一百多人评过，四分之三喜欢",
    ),
    (Kind.POPULAR, Facts(act="choose", people=4321), "chosen by thousands of people", "几千人选过"),
    (
        Kind.POPULAR,
        Facts(act="like", people=9, name="Jazz", rank=1),
        "the most liked in Jazz",
        "Jazz 里喜欢的人最多",
    ),
    (Kind.POPULAR, Facts(act="play", people=9, rank=100), "one of the 100 most played", "播放过的人数排在前 100"),
    (Kind.LATELY, Facts(act="rate", people=9), "much rated lately", "最近评过的人多"),
    (
        Kind.LATELY,
        Facts(act="rate", people=9, name="Jazz", rank=3),
        "3rd most rated lately in Jazz",
        "最近 Jazz 里评过的人数第 3",
    ),
    (Kind.FRIENDS, Facts(act="like", people=3), "3 friends of yours liked it", "你的 3 位好友喜欢它"),
    (Kind.AGAIN, Facts(act="purchase", own=1), "you bought it before", "你买过它"),
    (Kind.AGAIN, Facts(act="purchase", own=4), "you bought it on 4 days", "你买过它，共 4 天"),
    (Kind.NEW, Facts(), "new: nobody has rated it yet", "新的：还没有人评过"),
    (Kind.NEW, Facts(people=2), "new: few have rated it yet", "新的：评过的人还很少"),
    (Kind.NEW, Facts(share=1.0), "new: its text promises well", "新的：内容看起来不错"),
]


@pytest.mark.parametrize(("kind", "facts", "english_text", "chinese_text"), SAID)
def test_every_kind_is_said_in_both_languages(kind: Kind, facts: Facts, english_text: str, chinese_text: str) -> None:
    assert (Reason(kind, facts).text(), Reason(kind, facts).text("zh")) == (english_text, chinese_text)


def test_no_kind_is_left_without_words() -> None:
    assert {kind for kind, *_ in SAID} == set(Kind)


def test_every_deed_and_answer_is_said_in_both_languages() -> None:
    for what in (*ACTS, "dislike", "turn-down", *ANSWERS, "open-none"):
        of = () if what == "open-none" else ("Alpha", "Beta")
        reason = Reason(Kind.ANSWERS, Facts((Deed(what, of, 3.5),)))
        for language in LANGUAGES:
            text = reason.text(language)
            assert text.startswith({"en": "you ", "zh": ""}[language]) or what == "best", text
            assert all(title in text for title in of) and "{" not in text
            assert any("\u4e00" <= letter <= "\u9fff" for letter in text) == (language == "zh")
        assert ("3.5" in reason.text()) == (what == "score")
    assert Reason(Kind.ANSWERS, Facts((Deed("prefer", ("Alpha", "Beta")),))).text() == "you prefer “Alpha” to “Beta”"
    both = Facts((Deed("score", ("Alpha",), 5.0), Deed("score", ("Beta",), 5.0), Deed("name", ("Gamma",))))
    assert Reason(Kind.ANSWERS, both).text() == "you gave 5 to “Alpha” and “Beta” and named “Gamma”"
    assert Reason(Kind.ANSWERS, both).text("zh") == "你给“Alpha”和“Beta”打了 5 分，提到过“Gamma”"


@pytest.mark.parametrize("language", ["de", "EN", "", None, 1])
def test_another_language_is_refused(language: object) -> None:
    with pytest.raises(OptionError, match=r"^language .* is unknown\."):
        Reason(Kind.NEW).text(language)  # type: ignore[arg-type]


@given(st.integers(1, 10_000_000))
def test_a_number_of_people_is_never_told_for_more_than_they_are(n: int) -> None:
    for language, least in (
        (english, {"dozens": 21, "over a hundred": 101, "hundreds of people": 200, "over a thousand": 1001}),
        (chinese, {"几十": 21, "一百多": 101, "几百": 200, "一千多": 1001, "几千": 2000}),
    ):
        text = language.people(n)
        assert str(n) in text if n <= 20 else not any(letter.isdigit() for letter in text)
        assert all(n >= bound for words, bound in least.items() if text.startswith(words) and "thousands" not in text)
    assert english.people(1) == "1 person"


@given(st.floats(0.0, 1.0))
def test_a_share_is_told_by_the_nearest_one_and_all_only_where_none_did_not(share: float) -> None:
    said = fraction(share)
    assert (said == "all") == (share == 1.0)
    if "/" in said:
        over, under = map(int, said.split("/"))
        assert abs(over / under - share) <= 0.1


# ---- which of them --------------------------------------------------------------------------------------------------


def made(*options: dict[str, float]) -> list[list[Candidate]]:
    """Of each item its candidates, by what they tell and their strength."""
    return [
        [Candidate(Reason(Kind.NEW, Facts(name=name)), value, name) for name, value in one.items()] for one in options
    ]


def names(reasons: Sequence[Reason]) -> list[str]:
    return [reason.facts.name for reason in reasons]


def test_no_reason_is_told_twice_where_that_can_be_avoided() -> None:
    assert names(assigned(made({"a": 1.0, "b": 0.1}, {"a": 0.9}))) == ["b", "a"]
    assert names(assigned(made({"a": 1.0, "b": 0.9}, {"a": 0.9, "b": 0.1}))) == ["b", "a"]  # the strongest on the whole
    assert names(assigned(made({"a": 1.0, "b": 0.5}, {"a": 0.9, "c": 0.2}))) == ["b", "a"]
    assert names(assigned(made({"a": 0.5}, {"a": 0.6}, {"a": 0.7, "b": 0.1}))) == ["a", "a", "b"]
    assert assigned([]) == []


@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=7))
def test_as_many_reasons_differ_as_can(options: list[set[str]]) -> None:
    found = names(assigned(made(*(dict.fromkeys(one, 0.5) for one in options))))
    assert all(name in one for name, one in zip(found, options, strict=True))
    matched: dict[str, int] = {}

    def matches(item: int, seen: set[str]) -> bool:
        for name in options[item] - seen:
            seen.add(name)
            if name not in matched or matches(matched[name], seen):
                matched[name] = item
                return True
        return False

    assert len(set(found)) == sum(matches(item, set()) for item in range(len(options)))


def history(of: Learner, n: int) -> list[Evidence]:
    return [Evidence((item,), "score", 5.0) for item in range(n)]


def shown_of(of: Learner, items: Sequence[int], evidence: Sequence[Evidence]) -> Shown:
    positions = np.array(items, dtype=np.intp)
    return Shown(of.model, positions, evidence, titles_of(of.model, positions, evidence), "like")


@pytest.mark.parametrize("seed", range(5))
def test_what_is_named_adds_half_of_what_adds_most_and_people_stand_behind_it(seed: int) -> None:
    of, rng = learner(), np.random.default_rng(seed)
    evidence = history(of, 30)
    items = list(range(60, 70))
    shares = rng.exponential(size=(30, 10)) * (rng.random((30, 10)) < 0.5)
    lifts = rng.uniform(-1.0, 3.0, 10)
    part = Part("company", Kind.TOGETHER, lifts, shares)
    shown = shown_of(of, items, evidence)
    both = of.model.liked.both(np.arange(30), shown.items)
    told = 0
    for place, some in enumerate(candidates(shown, [part])):
        for one in some:
            named = [of.model.catalogue.position(item) for item in one.reason.items]
            if one.reason.kind is Kind.TOGETHER:
                told += 1
                (item,) = named
                assert shares[item, place] >= LEAST_OF_EVIDENCE * shares[:, place].max() > 0.0
                assert one.reason.facts.people == both[item, place] >= LEAST_PEOPLE
            elif one.reason.kind is Kind.SAME_CATEGORY:
                told += 1
                assert one.reason.facts.own == len(named) >= 3
                assert shares[named, place].sum() >= shares[:, place].max()
                category = one.reason.facts.name
                assert set(named) <= set(of.model.catalogue.members(category).tolist())
            else:
                assert one.reason.part == ""
            if one.reason.part:
                assert lifts[place] > 0.0
    assert told


@pytest.mark.parametrize("together", [1, LEAST_PEOPLE - 1, LEAST_PEOPLE])
def test_one_persons_vote_is_no_reason(together: int) -> None:
    """Whatever it adds: of "a" and "x" so many people liked both, of "b" and "x" nobody."""
    rows = [(f"u{n}", item, 5.0) for n in range(40) for item in ("abx"[n % 3], "y")]
    rows += [(f"v{n}", item, 5.0) for n in range(together) for item in "ax"]
    rows += [(f"w{n}", item, 1.0) for n in range(9) for item in "abx"]  # met together, and not liked
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    of = Learner.fit(Dataset.from_tables(table), encoder="none", dim=2)
    evidence = [Evidence((of.model.catalogue.position(item),), "score", 5.0) for item in "ab"]
    shown = shown_of(of, [of.model.catalogue.position("x")], evidence)
    (some,) = candidates(shown, [Part("company", Kind.TOGETHER, np.ones(1), np.ones((2, 1)))])
    expected = [(Kind.TOGETHER, together)] if together == LEAST_PEOPLE else [(Kind.WELL_LIKED, 22 + together)]
    assert [(one.reason.kind, one.reason.facts.people) for one in some] == expected


def test_what_holds_for_everybody_is_said_only_where_nothing_of_the_users_own_is() -> None:
    of = learner()
    item = int(of.model.catalogue.counts.argmax())
    evidence = [Evidence((other,), "score", 5.0) for other in range(5)]
    popular = Part("popular", Kind.POPULAR, np.full(1, 4.0))
    own = Part("company", Kind.TOGETHER, np.full(1, 1.0), np.full((5, 1), 0.2))
    (some,) = candidates(shown_of(of, [item], evidence), [popular, own])
    strongest = max(some, key=lambda one: one.strength).reason
    assert strongest.kind is Kind.TOGETHER
    (some,) = candidates(shown_of(of, [item], evidence), [popular, replace(own, lifts=np.full(1, 0.005))])
    assert {one.reason.kind for one in some} == {Kind.POPULAR}


def test_makers_are_read_from_a_column_and_several_of_one_are_one_reason() -> None:
    items = data().items.with_columns(authors=pl.when(pl.int_range(pl.len()) < 6).then(pl.lit("Ursula, Ada")))
    of = Learner.fit(replace(data(), items=items), encoder="none", dim=3)
    assert of.model.catalogue.makers_of(np.array([0, 7])) == [["Ursula", "Ada"], []]
    evidence = history(of, 4)
    part = Part("company", Kind.TOGETHER, np.ones(1), np.full((4, 1), 0.2))
    (some,) = candidates(shown_of(of, [5], evidence), [part])
    by = {one.reason.facts.name: one.reason for one in some if one.reason.kind is Kind.SAME_MAKER}
    assert by.keys() == {"Ursula", "Ada"} and by["Ada"].text() == "you liked 4 by Ada"
    assert by["Ada"].items == tuple(of.model.catalogue.ids[:4])


def test_titles_are_short_unless_two_would_be_called_the_same() -> None:
    items = data().items.with_columns(
        title=pl.Series(["Emma (1996)", "Emma (1972)", "Matrix, The (1999)", *(f"Film {n}" for n in range(117))])
    )
    of = Learner.fit(replace(data(), items=items), encoder="none", dim=3)
    titles = titles_of(of.model, np.array([0, 2]), history(of, 2))
    assert titles == {0: "Emma (1996)", 1: "Emma (1972)", 2: "The Matrix"}
    assert titles_of(of.model, np.array([0, 2]), [])[0] == "Emma"


def test_what_each_item_met_adds_makes_up_the_score_of_a_list() -> None:
    """Those of a user of the fit, and with an item that came to be met since."""
    for of in (learner(), tell(learner(), {"i003": 5.0}, "u007")):
        scores = list_scores(of.memory, "u007")
        model, every = scores.model.list_model, np.arange(120)
        assert model is not None and len(scores.history) > 3
        content = ("words", "vectors", "content")  # whose parts below 0 count as 0
        terms = [term for term in scores.terms if term.name not in LEVELS and not term.name.startswith(content)]
        assert terms
        for term in terms:
            parts = model.shares(term.name, scores.history, every, of.memory.learnt.since)
            expected = term.weight * evidence_of_scores(parts.sum(0))
            np.testing.assert_allclose(term.dense(120), expected, rtol=2e-3, atol=2e-3)


def test_what_is_named_of_a_real_list_is_among_what_adds_most() -> None:
    of, named = learner(), 0
    for user in of.model.user_ids[:10]:
        scores = list_scores(of.memory, user)
        shown = np.array([of.model.catalogue.position(one.item_id) for one in of.recommend(user)])
        for item, reason in zip(shown, why(of, shown, user), strict=True):
            if reason.kind in (Kind.TOGETHER, Kind.KNOWN, Kind.SAME_CATEGORY):
                assert scores.model.list_model is not None
                parts = scores.model.list_model.shares(reason.part, scores.history, np.array([item]))[:, 0]
                told = np.isin(scores.history, of.model.catalogue.positions(reason.items))
                assert parts[told].clip(0).sum() >= LEAST_OF_EVIDENCE * parts.max() > 0.0
                named += 1
    assert named > 50


def test_a_category_is_a_reason_only_for_what_is_in_it() -> None:
    of = learner()
    evidence = [Evidence((), "yes", name="jazz"), Evidence((), "no", name="crime", speaks_for=False)]
    jazz, crime, other = (of.model.catalogue.members(name)[0] for name in ("jazz", "crime", "romance"))
    shown = shown_of(of, [jazz, crime, other], evidence)
    part = Part("taste", Kind.ANSWERS, np.ones(3), np.array([[0.2, 0.2, 0.2], [0.0, 0.2, 0.1]]))
    said = [{one.reason.text() for one in some if one.reason.part} for some in candidates(shown, [part])]
    assert said == [{"you like jazz"}, set(), {"you do not like crime"}]


def test_a_new_item_is_told_by_the_words_that_it_shares_with_what_was_met() -> None:
    of = learner()
    table, jazz = of.model.catalogue.table, of.model.catalogue.members("jazz").tolist()
    text = "The band improvises in the moonlight; a smoky voice."
    new = pl.DataFrame({"item_id": ["new"], "title": ["Opus"], "text": [text], "category": ["jazz"]})
    more = of.with_items(new).see(events("newcomer", [of.model.catalogue.ids[item] for item in jazz[:5]]))
    (reason,) = why(more, [120])
    assert reason.kind is Kind.SAME_WORDS and reason.facts.words
    met = more.model.catalogue.position(reason.items[0])
    assert met in jazz[:5]
    for word in reason.facts.words:
        assert word in text.lower() and word in f"{table['title'][met]} {table['text'][met]}".lower()
        assert word in reason.text() and word in reason.text("zh")
    assert shared_words(of.model.catalogue, jazz[0], topic_of(of, "romance")) == ()


def test_words_of_a_category_and_words_such_as_from_are_no_shared_words() -> None:
    names = [*["sci-fi"] * 6, *["romance"] * 6]
    titles = [f"robot number {word}" for word in ("from", "alpha", "beta", "gamma", "delta", "epsilon")] * 2
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(12)], "title": titles, "category": names})
    ratings = pl.DataFrame([{"user_id": f"u{n % 9}", "item_id": f"i{n % 12}", "rating": 1 + n % 5} for n in range(90)])
    of = Learner.fit(Dataset.from_tables(ratings, items), encoder="lexical", dim=1)
    catalogue = of.model.catalogue
    first, second, third, fourth = (catalogue.position(name) for name in ("i0", "i1", "i6", "i7"))
    assert shared_words(catalogue, first, second) == ()
    assert shared_words(catalogue, second, fourth) == ("alpha",)
    assert shared_words(catalogue, first, third) == ()  # "from" says nothing


# ---- what the answers add ------------------------------------------------------------------------------------------


def group(*tapped: str) -> Answer:
    return Answer("newcomer", "i010", AnswerKind.RATING, form=Form.GROUP, others=("i020", "i030"), tapped=tapped)


OTHERS = [
    Answer("newcomer", "i001", AnswerKind.RATING, 1.0, form=Form.PAIR, others=("i050",)),
    group("i020"),
    Answer("newcomer", "jazz", AnswerKind.RATING, 1.0, form=Form.CONCEPT),
    Answer("newcomer", "i077", AnswerKind.RATING, 0.0, form=Form.PREVIEW),
    Answer("newcomer", "i005", AnswerKind.RATING, form=Form.PICK, others=("i006", "i007"), tapped=("i005",)),
    Answer("newcomer", "i060", AnswerKind.RATING, form=Form.RECALL),
    Answer("newcomer", "i061", AnswerKind.RATING, form=Form.SLATE, others=("i062", "i063"), tapped=("i063",)),
]


@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_answers_of_every_form_add_up_to_the_taste(kind: str) -> None:
    best = 5.0 if kind == "ratings" else 1.0
    of = tell(learner(kind).tell(OTHERS), {"i002": best, "i050": 1.0 if kind == "ratings" else 0.0})
    state, only = of.state("newcomer"), learner(kind).tell(OTHERS).state("newcomer")
    assert [move.answer.form for move in state.moves] == [answer.form for answer in OTHERS]
    exact = {"ratings": 1e-9, "likes": 0.5}[kind]  # what a like moves is said to first order
    with of.memory.view("newcomer") as view:
        np.testing.assert_allclose(pulls(view, state).sum(0), state.belief.mean, atol=exact)
        np.testing.assert_allclose(pulls(view, only).sum(0), only.belief.mean, atol=1e-9)


def test_ratings_of_somebody_whose_noise_is_their_own_add_up_too() -> None:
    of = learner()
    noisy = max(of.model.user_ids[:50], key=lambda user: abs(of.state(user).noise - 1.0))
    state = of.state(noisy)
    assert state.noise != 1.0
    np.testing.assert_allclose(pulls(of.model, state).sum(0), state.belief.mean, atol=1e-9)
    used = learner("events").tell([Answer("newcomer", item, AnswerKind.RATING, 1.0) for item in ("i001", "i050")])
    start, state = used.model.taste.start, used.state("newcomer")
    background = state.belief.covariance @ start.natural
    with used.memory.view("newcomer") as view:
        np.testing.assert_allclose(pulls(view, state).sum(0) + background, state.belief.mean, atol=1e-10)


@pytest.mark.parametrize("answer", OTHERS, ids=lambda answer: answer.form.value)
def test_what_an_answer_says_of_exposure_adds_up_too(answer: Answer) -> None:
    """From the belief of somebody never asked, N(0, 1), what is known is what the answer moved it by."""
    of = learner().tell(answer)
    state = of.state("newcomer")
    moved = state.exposure.covariance @ sum(move.exposure for move in state.moves)
    np.testing.assert_allclose(moved, state.exposure.mean, atol=1e-9)


@pytest.mark.parametrize("answer", OTHERS, ids=lambda answer: answer.form.value)
def test_after_an_answer_of_any_form_a_reason_names_it(answer: Answer) -> None:
    of = learner().tell(answer)
    shown = np.array([i for i in range(120) if i not in of.state("newcomer").asked])
    reasons = [reason for reason in why(of, shown) if reason.kind is Kind.ANSWERS]
    evidence = evidence_of(of.model, of.state("newcomer"), None)
    titles = titles_of(of.model, shown, evidence)
    named = [title for one in evidence for title in one.deed(titles).titles]
    assert reasons and all(title in reason.text() for reason in reasons for title in named)


def test_taking_back_what_is_named_takes_most_of_the_lift() -> None:
    """To first order: the part of the named answer is the largest of all that lift the item, or half of that."""
    of = tell(learner(), {"i001": 5.0, "i002": 4.0, "i050": 1.0, "i090": 4.0})
    state, shown = of.state("newcomer"), np.arange(100, 120)
    evidence = evidence_of(of.model, state, None)
    part = next(part for part in like_parts(of.model, of.model, state, shown, evidence) if part.name == "taste")
    assert part.shares is not None
    away = of.model.taste.items.factors[shown] - of.model.average_item[1]
    named = 0
    for place, reason in enumerate(why(of, shown)):
        if reason.kind is not Kind.ANSWERS:
            continue
        row = next(row for row, one in enumerate(evidence) if of.model.catalogue.ids[one.items[0]] == reason.items[0])
        without = state.belief.mean - pulls(of.model, state)
        falls = (away[place] @ state.belief.mean) - without @ away[place]
        assert falls[row] >= LEAST_OF_EVIDENCE * falls.max() > 0.0
        named += 1
    assert named


def test_a_belief_is_the_sum_of_what_moved_it() -> None:
    rng = np.random.default_rng(0)
    before = Belief(rng.normal(size=4), np.diag(rng.uniform(0.5, 2.0, 4)))
    after = before.update(rng.normal(size=4), 0.7, 0.3)
    np.testing.assert_allclose(after.covariance @ (before.natural + (after.natural - before.natural)), after.mean)


# ---- as it is shown -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "verb"),
    [("likes", 1.0, "you liked "), ("events", 1.0, "you viewed "), ("ratings", 5.0, "you gave 5 to ")],
)
def test_an_answer_is_told_as_it_was_given(kind: str, value: float, verb: str) -> None:
    of = learner(kind)
    told = (
        tell(of, dict.fromkeys(topic(of, "jazz")[:3], value))
        if kind != "events"
        else of.see(events("newcomer", topic(of, "jazz")[:3], kind="view"))
    )
    state = told.state("newcomer")
    evidence = evidence_of(of.model, state, told.memory.history("newcomer"))
    shown = shown_of(of, [of.model.catalogue.position(item) for item in topic(of, "jazz")[3:8]], evidence)
    with told.memory.view("newcomer") as view:
        parts = like_parts(of.model, view, state, shown.items, evidence)
    said = [reason.text() for reason in assigned(candidates(shown, parts)) if reason.kind is Kind.ANSWERS]
    assert said and all(text.startswith(verb) for text in said), said


def test_a_list_is_told_in_the_language_asked_for() -> None:
    of = tell(learner(), {"i001": 5.0, "i002": 4.0})
    english_list, chinese_list = (of.recommend("newcomer", k=5, language=language) for language in LANGUAGES)
    assert [one.item_id for one in english_list] == [one.item_id for one in chinese_list]
    assert all(one.reason.isascii() or "“" in one.reason for one in english_list)
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in one.reason) for one in chinese_list)
    assert [one.reason for one in of.recommend("newcomer", k=5)] == [one.reason for one in english_list]
    with pytest.raises(OptionError, match=r"^language 'fr' is unknown\. Use en or zh\.$"):
        of.recommend("newcomer", k=0, language="fr")


def test_a_reason_never_claims_that_people_liked_what_they_did_not() -> None:
    of = learner()
    for one in of.recommend("newcomer", k=120):
        position = of.model.catalogue.position(one.item_id)
        share = of.model.catalogue.levels[position, 3:].sum()  # of 4 and 5 stars
        if "rated it" in one.reason and share < 0.45:
            assert not any(words in one.reason for words in ("all", "half", "4 in 5", "3 in 4", "2 in 3", "3 in 5"))


def test_who_somebody_is_or_what_they_did_is_a_reason_where_there_is_nothing_else() -> None:
    of = learner("both")
    seen = of.see(events("newcomer", topic(of, "jazz")[:5]))
    shown = np.array([of.model.catalogue.position(item) for item in topic(of, "jazz")[5:8]])
    personal = {Kind.ABOUT_YOU, Kind.SAME_WORDS}
    assert {reason.kind for reason in why(seen, shown)} <= personal
    assert not {reason.kind for reason in why(of, shown)} & personal


def test_nothing_is_known_because_of_itself() -> None:
    """An item of a pair may be in the list; that people who know it know it is no reason."""
    of, ids = learner(), learner().model.catalogue.ids
    pairs = [
        Answer("newcomer", ids[n], AnswerKind.RATING, 1.0, form=Form.PAIR, others=(ids[n + 1],)) for n in (0, 2, 4)
    ]
    shown = of.tell(pairs).recommend("newcomer", k=len(ids))
    known = [one for one in shown if "who know" in one.reason]
    assert known and not [one for one in known if f"“{one.title}”" in one.reason]
