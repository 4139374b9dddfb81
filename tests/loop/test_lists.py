from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from palate import Learner
from palate.datasets import Dataset
from palate.entities import Answer, AnswerKind
from palate.errors import IdError, OptionError, UnknownItem
from palate.loop.company import done
from palate.loop.list_order import top
from palate.loop.list_scores import list_scores
from palate.loop.lists import Recommendation, expectations
from tests.worlds import learner, words, world

KINDS = ("ratings", "likes", "events", "both")


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def ids(shown: list[Recommendation]) -> list[str]:
    return [one.item_id for one in shown]


def tell(of: Learner, ratings: dict[str, float], user: str = "newcomer") -> Learner:
    return of.tell([Answer(user, item, AnswerKind.RATING, value) for item, value in ratings.items()])


def topic(of: Learner, name: str) -> list[str]:
    return [of.model.catalogue.ids[position] for position in of.model.catalogue.members(name)]


def unseen(of: Learner, user: str) -> list[int]:
    """Positions of what a user neither answered nor did."""
    seen = of.state(user).asked | set(done(of.memory.source(user)).tolist())
    return [i for i in range(len(of.model.catalogue)) if i not in seen]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.integers(0, 45))
def test_the_best_k_are_those_of_a_full_sort(scores: list[int], k: int) -> None:
    score = np.array(scores, dtype=float)
    k = min(k, len(score))
    assert top(score, k).tolist() == sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", ["newcomer", "u007"])
@pytest.mark.parametrize("familiarity", [0.0, 0.4, 1.0])
def test_the_list_is_the_top_of_all_scores(kind: str, user: str, familiarity: float) -> None:
    of = learner(kind)
    state = of.state(user)
    total = list_scores(of.memory, user).total(familiarity)
    expected, std = expectations(of.model, state)
    best = sorted(unseen(of, user), key=lambda i: -total[i])[:7]
    shown = of.recommend(user, k=7, familiarity=familiarity)
    assert ids(shown) == [of.model.catalogue.ids[i] for i in best]
    assert [(one.score, one.std) for one in shown] == [(expected[i], std[i]) for i in best]
    assert all(one.title and one.reason and one.std > 0 for one in shown)


@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_after_answers_alone_it_is_what_they_may_know_times_what_they_would_like(kind: str) -> None:
    of = learner(kind)
    value = {"ratings": 5.0, "likes": 1.0}[kind]
    told = tell(of, dict.fromkeys(topic(of, "jazz")[:3], value)).tell([Answer("newcomer", "i002", AnswerKind.UNKNOWN)])
    model, state = told.model, told.state("newcomer")
    know, items = model.answerability.probability(state.exposure), model.taste.items
    variance = np.einsum("id,de,ie->i", items.factors, state.belief.covariance, items.factors) + items.answer_noise
    level = items.level + items.factors @ state.belief.mean - model.like_cut
    product = know * norm.cdf(level / np.sqrt(variance))
    new = unseen(told, "newcomer")
    best = sorted(new, key=lambda i: -product[i])
    shown = told.recommend("newcomer", k=20)
    assert ids(shown) == [model.catalogue.ids[i] for i in best[:20]]
    chances = model.list_model.chance_of(product / product[new].sum(), len(state.rated))
    assert [one.chance for one in shown] == pytest.approx(chances[best[:20]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", ["newcomer", pytest.param("u007", marks=pytest.mark.long)])
def test_chances_are_in_the_order_of_the_list_and_hang_on_no_filter(kind: str, user: str) -> None:
    of = learner(kind)
    whole = of.recommend(user, k=120)
    chances = [one.chance for one in whole]
    assert chances == sorted(chances, reverse=True) and min(chances) > 0.0 and max(chances) < 1.0
    for include_seen in (False, True):
        some, everything = (
            {(one.item_id, one.score, one.std, one.chance) for one in of.recommend(user, k=120, **options)}
            for options in ({"category": "jazz", "include_seen": include_seen}, {"include_seen": include_seen})
        )
        assert some < everything


@pytest.mark.parametrize("kind", ["ratings", "likes", "both"])
@pytest.mark.parametrize("user", ["newcomer", "u007"])
def test_without_familiarity_the_order_is_that_of_liking(kind: str, user: str) -> None:
    of = learner(kind)
    state, items = of.state(user), of.model.taste.items
    level = items.level + items.factors @ state.belief.mean - of.model.like_cut
    unsure = state.belief.variance(items.factors) + items.answer_noise
    best = sorted(unseen(of, user), key=lambda i: -(level / np.sqrt(unsure))[i])
    assert ids(of.recommend(user, k=30, familiarity=0.0)) == [of.model.catalogue.ids[i] for i in best[:30]]


def test_the_more_familiarity_counts_the_better_known_is_what_is_shown() -> None:
    of = learner()

    def known(familiarity: float) -> float:
        shown = of.model.catalogue.positions(ids(of.recommend("newcomer", familiarity=familiarity)))
        return float(np.log(of.model.catalogue.counts[shown] + 1.0).mean())

    found = [known(familiarity) for familiarity in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found) and found[0] < found[-1]


def test_scores_are_expected_ratings() -> None:
    of, truth = learner(), world().expected()
    state = of.state("u007")
    score, std = expectations(of.model, state)
    assert np.corrcoef(score, truth[6])[0, 1] > 0.6
    assert 0.7 < (np.abs(score - truth[6]) < 1.96 * std).mean() <= 1.0


def test_scores_of_likes_are_probabilities_with_an_error_to_first_order() -> None:
    """Against draws of taste and item."""
    of = learner("likes")
    state = of.state("u007")
    score, std = expectations(of.model, state)
    assert ((score > 0) & (score < 1)).all()
    items, draw = of.model.taste.items, np.random.default_rng(0)
    tastes = draw.multivariate_normal(state.belief.mean, state.belief.covariance, 20_000)
    for item in (3, 50):
        mean, variance = items.level[item] + tastes @ items.factors[item], items.spread.expected
        extra = float(variance(np.eye(items.dim + 1) * 0 + _moment(state.belief))[item])
        latent = mean + np.sqrt(extra) * draw.normal(size=len(mean))
        assert score[item] == pytest.approx(norm.cdf(latent).mean(), abs=0.01)
        assert std[item] == pytest.approx(norm.cdf(latent).std(), rel=0.25)


def _moment(belief) -> np.ndarray:
    from palate.posteriors.statistics import augmented_moments

    return augmented_moments(belief.mean, belief.covariance)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_make_scores_more_certain(kind: str) -> None:
    of, value = learner(kind), {"ratings": 3.0, "both": 3.0, "likes": 1.0, "events": 1.0}[kind]
    # at the mean of the belief nothing moves but the certainty
    _, before = expectations(of.model, of.state("newcomer"))
    told = tell(of, dict.fromkeys(topic(of, "jazz")[:6], value))
    items = of.model.taste.items
    shrunk = told.state("newcomer").belief.variance(items.factors)
    assert (shrunk <= of.state("newcomer").belief.variance(items.factors) + 1e-12).all()
    _, after = expectations(of.model, told.state("newcomer"))
    assert np.median(after / before) < 1.0


# ---- filters --------------------------------------------------------------------------------------------------------


def test_filters_leave_what_they_say() -> None:
    of = learner()
    whole = ids(of.recommend("newcomer", k=120))
    assert len(whole) == 120
    assert ids(of.recommend("newcomer", k=119, exclude=[whole[0], "gone since"])) == whole[1:]
    assert ids(of.recommend("newcomer", k=5, allow=[whole[9], whole[3]])) == [whole[3], whole[9]]
    assert ids(of.recommend("newcomer", k=5, allow=[whole[9], whole[3]], exclude=[whole[3]])) == [whole[9]]
    jazz = topic(of, "jazz")
    assert ids(of.recommend("newcomer", k=120, category="jazz")) == [item for item in whole if item in jazz]
    assert of.recommend("newcomer", allow=[]) == []


def test_what_was_answered_in_any_way_is_not_shown_again_unless_wanted() -> None:
    of = learner()
    told = tell(of, {"i001": 5.0}).tell(
        [Answer("newcomer", "i002", AnswerKind.UNKNOWN), Answer("newcomer", "i003", AnswerKind.SKIPPED)]
    )
    assert not {"i001", "i002", "i003"} & set(ids(told.recommend("newcomer", k=120)))
    assert len(told.recommend("newcomer", k=120, include_seen=True)) == 120
    rated = {of.model.catalogue.ids[i] for i in of.state("u007").rated}
    assert not rated & set(ids(of.recommend("u007", k=120)))


@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_IN_10_nothing_to_show_is_an_empty_list(diversity: float) -> None:
    of = learner()
    everything = tell(of, dict.fromkeys(of.model.catalogue.ids, 3.0))
    assert everything.recommend("newcomer", diversity=diversity) == []
    assert of.recommend("newcomer", k=0, diversity=diversity) == []
    assert of.recommend("newcomer", exclude=of.model.catalogue.ids, diversity=diversity) == []
    assert of.recommend("newcomer", min_certainty=1.0, diversity=diversity) == []
    assert len(of.recommend("newcomer", k=10_000, diversity=diversity)) == 120


def test_minimal_certainty_is_the_share_of_variance_the_answers_resolved() -> None:
    of = learner()
    told = tell(of, dict.fromkeys(topic(of, "jazz")[:6], 4.0))
    factors = of.model.taste.items.factors
    left = told.state("newcomer").belief.variance(factors) / of.state("newcomer").belief.variance(factors)
    sure = ids(told.recommend("newcomer", k=120, min_certainty=0.6))
    expected = {of.model.catalogue.ids[i] for i in np.flatnonzero(1 - left >= 0.6)} - set(topic(of, "jazz")[:6])
    assert set(sure) == expected and 0 < len(sure) < 114
    assert of.recommend("newcomer", min_certainty=0.01) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": -1}, OptionError, r"^k is -1\. Give a whole number from 0\.$"),
        ({"familiarity": -0.1}, OptionError, r"^familiarity is -0\.1\. Give a number from 0 to 1\.$"),
        ({"diversity": 1.5}, OptionError, r"^diversity is 1\.5\. Give a number from 0 to 1\.$"),
        ({"min_certainty": float("nan")}, OptionError, r"^min_certainty is nan\. Give a number from 0 to 1\.$"),
        ({"allow": ["zzz"]}, UnknownItem, r"^item 'zzz' is not in the model"),
        ({"category": "opera"}, UnknownItem, r"^category 'opera' has no item\. The categories are: baking, "),
        ({"exclude": [""]}, IdError, r"^item_id is empty"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        learner().recommend("newcomer", **options)


# ---- diversity ------------------------------------------------------------------------------------------------------


def test_without_diversity_the_order_is_that_of_the_chances() -> None:
    of = learner()
    chances = [one.chance for one in of.recommend("u007", k=20)]
    assert chances == sorted(chances, reverse=True)
    assert of.recommend("u007", k=20, diversity=0.0) == of.recommend("u007", k=20)


def test_diversity_spreads_the_list_over_topics() -> None:
    of = tell(learner(), dict.fromkeys(topic(learner(), "jazz")[:5], 5.0))

    def topics(diversity: float) -> int:
        shown = of.recommend("newcomer", k=8, diversity=diversity)
        assert len(set(ids(shown))) == 8
        return len({of.model.catalogue.table["category"][of.model.catalogue.position(item)] for item in ids(shown)})

    assert topics(0.0) < topics(0.5) <= topics(1.0)
    assert ids(of.recommend("newcomer", k=8, diversity=1.0)) != ids(of.recommend("newcomer", k=8))
    assert ids(of.recommend("newcomer", k=8, diversity=0.5))[0] == ids(of.recommend("newcomer", k=8))[0]


def test_twins_are_not_both_shown_where_difference_is_asked_for() -> None:
    """Three items, two of them the same in every way and best."""
    rows = [(f"u{n}", item, 5.0 - (item == "c") * (n % 3)) for n in range(12) for item in "abc"]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    items = pl.DataFrame({"item_id": list("abc"), "text": ["a jazz album", "a jazz album", "a cake to bake"]})
    of = Learner.fit(Dataset.from_tables(table, items), encoder="words", dim=2)
    assert set(ids(of.recommend("x", k=2))) == {"a", "b"}
    assert "c" in ids(of.recommend("x", k=2, diversity=0.9))


# ---- profile --------------------------------------------------------------------------------------------------------


def test_a_profile_shows_what_somebody_likes_and_how_sure_that_is() -> None:
    of = learner()
    jazz = topic(of, "jazz")
    before = {one.category: one for one in of.profile("newcomer")}
    told = tell(of, dict.fromkeys(jazz[:8], 5.0) | dict.fromkeys(topic(of, "football")[:8], 1.0))
    after = told.profile("newcomer")
    assert len(after) == 8 and {one.items for one in after} == {15}
    assert [one.mean for one in after] == sorted((one.mean for one in after), reverse=True)
    places = {one.category: place for place, one in enumerate(after)}
    assert places["jazz"] < places["football"]
    for one in after:
        assert one.low < one.mean < one.high
        assert one.high - one.low <= before[one.category].high - before[one.category].low + 1e-12
        assert before[one.category].mean == 0.0
    direction = told.model.taste.items.factors[of.model.catalogue.positions(jazz)].mean(0)
    belief = told.state("newcomer").belief
    found = next(one for one in after if one.category == "jazz")
    assert found.mean == pytest.approx(direction @ belief.mean)
    assert found.high - found.mean == pytest.approx(1.96 * np.sqrt(direction @ belief.covariance @ direction), rel=1e-3)


def test_intervals_of_the_profile_hold_what_they_promise() -> None:
    """Of the users of the planted world, against the interest their tastes really have."""
    of, truth = learner(), world().tastes @ world().factors.T
    truth = truth - truth.mean(0)
    covered = []
    for row, user in enumerate(world().user_ids[:150]):
        for one in of.profile(user):
            mean = truth[row, of.model.catalogue.members(one.category)].mean()
            covered.append(one.low <= mean <= one.high)
    assert 0.8 <= np.mean(covered) <= 1.0, np.mean(covered)  # what is not known of the items is not in it
