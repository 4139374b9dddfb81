from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset
from palate.evaluation.newcomers import (
    NDCG,
    Newcomers,
    Rivals,
    figures,
    lists_by_events,
    newcomers,
    tuned,
)

DAY = 86_400.0


@pytest.fixture(scope="module")
def log() -> Dataset:
    """Two camps, who take up ten items of their own and a few that everybody does; a fifth of them comes late."""
    rng = np.random.default_rng(0)
    rows = []
    for person in range(120):
        camp, start = person % 2, float(person) * DAY
        items = [*rng.permutation(10)[:6] + 10 * camp, *rng.permutation(5)[:2] + 20]
        rows += [
            (f"p{person:03d}", f"i{item:02d}", "click", start + 60.0 * place)
            for place, item in enumerate(rng.permutation(items))
        ]
        rows.append((f"p{person:03d}", f"i{10 * (1 - camp):02d}", "skip", start))
    return Dataset.from_tables(
        pl.DataFrame(rows, schema=["user_id", "item_id", "event", "timestamp"], orient="row"), name="two camps"
    )


def test_who_is_new_has_nothing_in_the_training_part_and_keeps_the_order_of_time(log):
    found = newcomers(log, rng=np.random.default_rng(0))
    assert found.dated and len(found.items) == 24
    old = set(found.before.interactions["user_id"])
    assert max(old) < "p097" and len(np.unique(found.train.users)) == len(old)  # the log is in order of people
    rows = log.interactions.filter(pl.col("event") == "click").sort("timestamp")
    ids = sorted(set(rows["item_id"]))
    late = {
        user: [ids.index(i) for i in own["item_id"]] for (user,), own in rows.group_by("user_id") if user not in old
    }
    assert sorted(map(tuple, late.values())) == sorted(tuple(items.tolist()) for items in found.items)


def test_events_against_are_neither_learnt_from_nor_hits(log):
    found = newcomers(log, rng=np.random.default_rng(0))
    assert (found.train.values > 0.0).all()
    assert all(len(items) == 8 for items in found.items)


def test_without_times_people_are_drawn_and_their_order_too(log):
    undated = Dataset.from_tables(log.interactions.drop("timestamp"), name="no times")
    found = newcomers(undated, rng=np.random.default_rng(0))
    assert not found.dated and len(found.items) == 24
    again = newcomers(undated, rng=np.random.default_rng(0))
    assert all((one == other).all() for one, other in zip(found.items, again.items, strict=True))
    assert "recent-popularity" in Rivals(found.train).left_out


def test_where_hardly_anybody_comes_later_people_are_drawn_and_keep_their_order(log):
    late = pl.col("timestamp") - pl.col("timestamp").min().over("user_id")  # everybody begins at once
    found = newcomers(
        Dataset.from_tables(log.interactions.with_columns(late), name="at once"), rng=np.random.default_rng(0)
    )
    assert not found.dated and len(found.items) == 24
    rows = log.interactions.filter(pl.col("event") == "click").sort("timestamp")
    ids = sorted(set(rows["item_id"]))
    every = {tuple(ids.index(item) for item in own["item_id"]) for _, own in rows.group_by("user_id")}
    assert {tuple(items.tolist()) for items in found.items} <= every
    assert newcomers(log, rng=np.random.default_rng(0), dated=False).dated is False


def test_items_that_hardly_anybody_met_are_left_out(log):
    rare = pl.DataFrame(
        {"user_id": ["p000"] * 2, "item_id": ["x1", "x2"], "event": ["click"] * 2, "timestamp": [1.0, 2.0]}
    )
    data = Dataset.from_tables(pl.concat([log.interactions.select(rare.columns), rare]), name="rare")
    assert newcomers(data, rng=np.random.default_rng(0)).train.n_items == 25
    assert newcomers(data, rng=np.random.default_rng(0), most_items=7).train.n_items == 7


def test_figures_are_of_what_came_after_and_leave_out_what_was_known(log):
    found = newcomers(log, rng=np.random.default_rng(0))
    one = Newcomers(found.train, [np.array([3, 5, 7])], True, found.before)

    def perfect(histories):
        assert histories.toarray()[0].nonzero()[0].tolist() == [3]
        scores = np.zeros(histories.shape)
        scores[:, [3, 5, 7]] = [3.0, 2.0, 1.0]  # the first is known, and must not take a place
        return scores

    assert figures(perfect, one, 1)[NDCG].tolist() == [1.0]
    assert one.at(3) == [] and list(one.stages((0, 2, 3))) == [0, 2]


def test_a_rival_of_what_goes_together_tells_the_camps_and_settings_are_chosen_inside(log):
    outer = newcomers(log, rng=np.random.default_rng(0))
    inner = newcomers(outer.before, rng=np.random.default_rng(0))
    found = tuned(inner, outer, {"popularity": [()], "item-knn": [(1e6, 1.0), (10.0, 20.0)]})
    assert found[3]["item-knn"][0] == (10.0, 20.0)  # one neighbour says too little
    assert found[3]["item-knn"][1][NDCG].mean() > found[3]["popularity"][1][NDCG].mean() + 0.2
    assert "item-knn" not in found[0]  # nothing goes with nothing


def test_the_table_says_who_is_best_and_leaves_out_with_a_reason(log):
    table = lists_by_events(log, grids={"popularity": [()], "ease": [(100.0,)]})
    assert table["people"] == 24 and set(table["stages"]) == {"0", "1", "3"}  # nobody did more than ten things
    three = table["stages"]["3"]
    assert three["best_rival"] == "ease"
    less = three[NDCG]["palate"]["mean"] - three[NDCG]["ease"]["mean"]
    assert three["palate_minus_best"]["mean"] == pytest.approx(less)
    assert three[NDCG]["palate"]["mean"] > three[NDCG]["popularity"]["mean"]


def test_nobody_new_is_none(log):
    same = log.filter(pl.col("user_id").is_in([f"p{n:03d}" for n in range(2)]))
    assert lists_by_events(same, grids={"popularity": [()]}) is None
