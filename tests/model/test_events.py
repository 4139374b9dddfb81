"""Events for and against: what a fit makes of them, what it says of them, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sparse

from palate import Learner, Recommender, events, rate
from palate.datasets import Dataset
from palate.errors import AnswerError, DataError
from palate.model.strengths import learn_strengths
from palate.posteriors.likelihoods import Implicit
from tests.worlds import data, without_lists

USERS, ITEMS = 200, 60


def shown(seed: int = 0, **kinds: float) -> pl.DataFrame:
    """Users of two tastes meet items by chance and are for their half of them, against the other half.

    Args:
        kinds: A share of the events each; ``noise`` events hang on no taste.
    """
    rng = np.random.default_rng(seed)
    met = rng.random((USERS, ITEMS)) < 0.3
    user, item = np.nonzero(met)
    of_taste = (user % 2) == (item % 2)
    return pl.DataFrame(
        {"user_id": [f"u{one}" for one in user], "item_id": [f"i{one}" for one in item], "fits": of_taste}
    )


def log(fits: str = "like", other: str | None = "dislike", seed: int = 0) -> Dataset:
    table = shown(seed).with_columns(event=pl.when("fits").then(pl.lit(fits)).otherwise(pl.lit(other))).drop("fits")
    return Dataset.from_tables(table.drop_nulls())


def fitted(data: Dataset) -> Learner:
    return without_lists(data, encoder="none", dim=3)


def gap(learner: Learner) -> float:
    """By how much users of the data are expected to like the half of the items that fits them more than the other."""
    taste = learner.model.taste
    score = taste.items.level + taste.believe(learner.model.answers).mean @ taste.items.factors.T
    users, items = (
        [int(name[1:]) for name in names] for names in (learner.model.user_ids, learner.model.catalogue.ids)
    )
    fits = np.add.outer(users, items) % 2 == 0
    return float(score[fits].mean() - score[~fits].mean())


def test_events_against_push_the_other_way() -> None:
    """What is against what does not fit tells more of taste than views of it, or than nothing at all."""
    back, view, nothing = (fitted(log("purchase", other)) for other in ("return", "view", None))
    assert gap(back) > max(gap(view), gap(nothing)) + 0.1
    assert back.model.vocabulary.liking("return") < 0.0


def test_all_that_comes_back_is_not_liked() -> None:
    """Every view a return: the levels fall below those of an item nobody has met."""
    view, back = (
        fitted(replace(data("events"), interactions=data("events").interactions.with_columns(event=pl.lit(word))))
        for word in ("view", "return")
    )
    assert view.model.taste.items.level.mean() > 0.0 > back.model.taste.items.level.mean()
    reasons = [one.reason for one in back.recommend(back.model.user_ids[0], 5, include_seen=True)]
    assert not [reason for reason in reasons if "chose" in reason and "chosen by 0 people" not in reason]


def test_a_purchase_that_comes_back_is_no_choice() -> None:
    rows = log("purchase", None).interactions
    mine = rows.filter(pl.col("user_id") == "u0").with_columns(event=pl.lit("refund"))
    learner = fitted(Dataset.from_tables(pl.concat([rows, mine])))
    of_mine = learner.model.answers[learner.model.rows["u0"]]
    assert of_mine.nnz == len(mine) and (of_mine.data < 0).all()
    reasons = " ".join(one.reason for one in learner.recommend("u0", 20, include_seen=True))
    assert "you chose" not in reasons


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_strengths_are_learnt(seed: int) -> None:
    """What hangs on taste counts, what hangs on chance does not; the strongest word for is the unit."""
    table = shown(seed)
    rng = np.random.default_rng(seed)
    chance = pl.Series(rng.choice(["play", "view"], len(table)))
    word = pl.when("fits").then(pl.lit("like")).otherwise(pl.lit("dislike"))
    by_chance = pl.DataFrame({name: rng.permutation(table[name].to_numpy()) for name in ("user_id", "item_id")})
    rows = pl.concat([table.select("user_id", "item_id", event=word), by_chance.with_columns(event=chance)])
    coded = Dataset.from_tables(rows).coded("event")
    found = learn_strengths(coded, Dataset.from_tables(rows).vocabulary, Implicit(), seed=seed)
    assert found.learnt["like"] == 1.0 and found.learnt["dislike"] >= 0.1
    assert max(found.learnt["play"], found.learnt["view"]) <= 0.3
    assert learn_strengths(coded, Dataset.from_tables(rows).vocabulary, Implicit(), seed=seed) == found


def test_a_strength_that_is_given_is_not_learnt_and_one_word_is_the_unit() -> None:
    given = Dataset.from_tables(log().interactions, events={"dislike": "dislike:0.3"})
    assert fitted(given).model.vocabulary.liking("dislike") == -0.3
    alone = fitted(log("view", None)).model
    assert alone.vocabulary.learnt == {"view": 1.0} and set(alone.answers.data) == {1.0}


def test_the_strength_of_an_event_lies_between_none_and_a_whole_one() -> None:
    """The batch form of an event: one for is a share of a whole one, one against lies as far below zero."""
    targets, weights = Implicit(18.0, 6.0).observed(np.array([1.0, 0.5, -1.0, -0.2]))
    assert weights is not None
    np.testing.assert_allclose(weights, [1.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(targets, [1.0, 1.0, -1.0, -0.2])


def test_a_belief_of_all_events_is_that_of_one_after_the_other() -> None:
    taste = fitted(log()).model.taste
    values, items = np.array([1.0, -1.0, 0.3, -0.4]), np.array([3, 8, 20, 31])
    at_once = taste.believe(sparse.csr_matrix((values, items, [0, 4]), shape=(1, ITEMS))).of(0)
    belief = taste.start
    for item, value in zip(items, values, strict=True):
        belief = taste.observe(belief, item, value)
    np.testing.assert_allclose(belief.mean, at_once.mean, atol=1e-9)
    np.testing.assert_allclose(belief.covariance, at_once.covariance, atol=1e-9)


def test_what_was_shown_is_known_and_says_nothing_of_taste() -> None:
    rows = log("like", None).interactions
    plain = fitted(Dataset.from_tables(rows))
    more = pl.DataFrame({"user_id": ["u0"] * 9, "item_id": [f"i{item}" for item in range(1, 19, 2)]})
    seen = fitted(Dataset.from_tables(pl.concat([rows, more.with_columns(event=pl.lit("impression"))], how="diagonal")))
    np.testing.assert_array_equal(seen.model.taste.items.level, plain.model.taste.items.level)
    np.testing.assert_array_equal(seen.state("u0").belief.mean, plain.state("u0").belief.mean)
    at = seen.model.catalogue.positions(["i1", "i3"])
    assert (seen.model.answerability.rate[at] > plain.model.answerability.rate[at]).all()
    assert seen.state("u0").exposure.mean.tolist() != plain.state("u0").exposure.mean.tolist()
    told = plain.see(events("u0", ["i1", "i3"], kind="impression")).state("u0")
    np.testing.assert_array_equal(told.belief.mean, plain.state("u0").belief.mean)


def test_a_no_moves_a_list_and_an_answer_of_nothing_is_refused() -> None:
    learner = Learner.fit(log(), encoder="none", dim=3)
    first = learner.recommend("new", 1)[0].item_id
    yes, no = (learner.tell(rate("new", first, value)).recommend("new", ITEMS) for value in (1.0, -1.0))
    alike = {f"i{item}" for item in range(ITEMS) if item % 2 == int(first[1:]) % 2}
    assert len(alike & {one.item_id for one in yes[:20]}) > 15 > 5 > len(alike & {one.item_id for one in no[:20]})
    assert not any("you chose" in one.reason for one in no[:20])
    with pytest.raises(
        AnswerError, match=r"^the answer 0 says neither for nor against\. Give like \(1\) or dislike \(-1\)\.$"
    ):
        learner.tell(rate("new", first, 0.0))


def test_a_folder_keeps_words_strengths_and_signs_and_a_refit_learns_them_anew(tmp_path: Path) -> None:
    whole = log().interactions.with_columns(event=pl.col("event").replace({"like": "hearted", "dislike": "binned"}))
    words = {"hearted": "like", "binned": "dislike:0.5"}
    with Recommender.create(tmp_path / "m", Dataset.from_tables(whole, events=words), encoder="none", dim=3) as made:
        before = made.learner
        made.see(events("ann", ["i0", "i2"], kind="binned", liking=-1.0))
        with pytest.raises(DataError, match=r"^the event 'mystery' is unknown\. Known events: .*binned"):
            made.see(events("ann", ["i0"], kind="mystery", liking=1.0))
    with Recommender.open(tmp_path / "m") as again:
        found = again.learner.model
        assert found.vocabulary == before.model.vocabulary and found.vocabulary.liking("binned") == -0.5
        np.testing.assert_array_equal(found.answers.data, before.model.answers.data)
        history = again.learner.memory.history("ann")
        assert history is not None and history.liking.tolist() == [-0.5, -0.5]
        again.refit()
        of_ann = again.learner.model.answers[again.learner.model.rows["ann"]]
        assert of_ann.data.tolist() == [-0.5, -0.5] and again.learner.model.vocabulary.added == words


def test_a_model_of_ratings_takes_the_strength_of_what_was_done_as_its_history() -> None:
    done = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "event": ["view", "refund", "impression"]})
    rated = pl.DataFrame({"user_id": ["u", "v", "v"], "item_id": ["d", "a", "b"], "rating": [4.0, 2.0, 5.0]})
    learner = fitted(Dataset.from_tables(pl.concat([rated, done], how="diagonal")))
    history = learner.memory.history("u")
    assert history is not None and history.liking.tolist() == [0.3, -1.0, 0.0]


def test_no_fit_takes_an_unknown_event() -> None:
    table = log().interactions.with_columns(event=pl.col("event").replace({"dislike": "ditched"}))
    count = int((table["event"] == "ditched").sum())
    with pytest.raises(
        DataError, match=rf"^1 event is unknown: 'ditched' {count:,}\. Say what each means with --event "
    ):
        fitted(Dataset.from_tables(table))
