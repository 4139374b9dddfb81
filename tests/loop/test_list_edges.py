"""Lists where there is hardly anything to go by: popularity, whole, and never an error or a number that is none."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner, rate
from palate.errors import UnknownItem
from palate.loop import list_order
from palate.loop.lists import Recommendation
from palate.records import events
from tests.worlds import learner

KINDS = ("ratings", "likes", "events")
Row = tuple[str, str, float]


def fitted(rows: Sequence[Row], kind: str, *, dated: bool = False, items: pl.DataFrame | None = None) -> Learner:
    """A model of these ratings, of them as likes, or of them as events."""
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    if kind == "likes":
        table = table.with_columns(rating=(pl.col("rating") >= 4).cast(pl.Float64))
    if kind == "events":
        table = table.drop("rating").with_columns(event=pl.lit("click"))
    if dated:
        table = table.with_columns(timestamp=pl.int_range(pl.len()).cast(pl.Float64) * 86_400.0)
    return Learner.fit(Dataset.from_tables(table, items), encoder="none", dim=2)


def ids(shown: list[Recommendation]) -> list[str]:
    for one in shown:
        assert np.isfinite([one.score, one.std, one.chance]).all() and 0.0 <= one.chance <= 1.0
        assert one.title and one.reason
    return [one.item_id for one in shown]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dated", [False, True])
def test_where_nobody_has_a_history_the_list_is_popularity(kind: str, dated: bool) -> None:
    rows = [(f"u{user}", f"i{user % 7 % (1 + user % 5)}", 5.0) for user in range(60)]
    if kind == "likes":
        rows.append(("u60", "i6", 1.0))
    of = fitted(rows, kind, dated=dated)
    counts = dict(zip(of.model.catalogue.ids, of.model.catalogue.counts.tolist(), strict=True))
    if not dated:
        assert [counts[item] for item in ids(of.recommend("nobody"))] == sorted(counts.values(), reverse=True)
    met = of.see(events("new", ["i1"]))
    assert set(ids(met.recommend("new"))) == counts.keys() - {"i1"}


@pytest.mark.parametrize("kind", KINDS)
def test_one_item(kind: str) -> None:
    rows = [(f"u{user}", "i0", 5.0 - 4.0 * (user == 3)) for user in range(9)]
    of = fitted(rows, kind)
    assert ids(of.recommend("nobody")) == ["i0"]
    assert of.recommend("u1") == [] and of.see(events("new", ["i0"])).recommend("new") == []
    assert ids(of.recommend("u1", include_seen=True)) == ["i0"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_user(kind: str) -> None:
    of = fitted([("ann", f"i{item}", 5.0 - 4.0 * (item == 3)) for item in range(9)], kind)
    assert of.recommend("ann") == []
    assert set(ids(of.recommend("bob", 20))) == {f"i{item}" for item in range(9)}
    told = of.see(events("bob", ["i1"]))
    assert set(ids(told.recommend("bob", 20))) == {f"i{item}" for item in range(9) if item != 1}


@pytest.mark.parametrize("kind", ["ratings", "events"])
@pytest.mark.parametrize("familiarity", [0.0, 0.5, 1.0])
def test_of_items_that_are_alike_the_first_of_the_catalogue_stand_first(kind: str, familiarity: float) -> None:
    rows = [(f"u{user}", f"i{item}", 3.0 + user % 2) for user in range(10) for item in range(8)]
    shown = fitted(rows, kind).recommend("nobody", 5, familiarity=familiarity)
    assert ids(shown) == ["i0", "i1", "i2", "i3", "i4"]


def test_who_said_nothing_in_the_data_is_not_taken_to_know_nothing() -> None:
    rows = [(f"u{user}", f"i{item}", 3.0 + item % 3, None) for user in range(12) for item in range(user % 5, 8)]
    table = [*rows, ("quiet", "i7", None, "click")]
    data = pl.DataFrame(table, schema=["user_id", "item_id", "rating", "event"], orient="row")
    of = Learner.fit(Dataset.from_tables(data), encoder="none", dim=2)
    seen = of.see(events("new", ["i7"]))
    np.testing.assert_allclose(of.state("quiet").exposure.mean, seen.state("new").exposure.mean)


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_who_acted_on_everything_has_an_empty_list_and_all_of_it_where_that_is_wanted(kind: str) -> None:
    of = learner(kind, "none")
    everything = of.see(events("keen", of.model.catalogue.ids))
    assert everything.recommend("keen") == []
    assert len(ids(everything.recommend("keen", 200, include_seen=True))) == 120
    told = of.tell([rate("teller", item, of.model.scale.high) for item in of.model.catalogue.ids])
    assert told.recommend("teller") == [] and len(ids(told.recommend("teller", 200, include_seen=True))) == 120


def test_a_million_ids_to_leave_out_take_seconds_and_those_of_the_catalogue_count() -> None:
    of = learner("ratings", "none")
    whole = ids(of.recommend("newcomer", 120))
    begun = time.process_time()
    left = of.recommend("newcomer", 120, exclude=[*(f"gone {number}" for number in range(1_000_000)), *whole[:100]])
    assert ids(left) == whole[100:]
    assert time.process_time() - begun < 30.0


def test_a_category_that_nobody_has_is_an_error_and_one_that_nobody_met_is_a_list() -> None:
    items = pl.DataFrame({"item_id": ["i0", "i1", "i2"], "category": ["a", "a", "b"]})
    rows = [(f"u{user}", f"i{user % 2}", 3.0 + user % 3) for user in range(9)]
    of = fitted(rows, "ratings", items=items)
    assert ids(of.recommend("nobody", category="b")) == ["i2"]
    with pytest.raises(UnknownItem, match=r"^category 'c' has no item\."):
        of.recommend("nobody", category="c")


@pytest.mark.parametrize("kind", ["ratings", "events", "both"])
@pytest.mark.parametrize("familiarity", [pytest.param(1.0, marks=pytest.mark.long), 0.3])
def test_a_list_out_of_a_large_catalogue_is_that_of_the_plain_computation(
    kind: str, familiarity: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = learner(kind, "none").with_items(pl.DataFrame({"item_id": ["new"]}))
    high = of.model.scale.high
    more = of.tell([rate("v", "i005", high), rate("w", "i006", high)]).see(events("v", ["i007", "i008"]))
    wishes = (
        {},
        {"exclude": ["i001", "i002"], "include_seen": True},
        {"allow": [f"i{n:03}" for n in range(1, 60)]},
        {"diversity": 0.4},
        {"min_certainty": 0.1},
    )
    people = ("newcomer", "u007", "v", "w")
    plain = {
        (user, place): more.recommend(user, 12, familiarity=familiarity, **wish)  # type: ignore[arg-type]
        for user in people
        for place, wish in enumerate(wishes)
    }
    monkeypatch.setattr(list_order, "LARGE", 1)
    monkeypatch.setattr("palate.loop.lists.LARGE", 1)
    for (user, place), expected in plain.items():
        shown = more.recommend(user, 12, familiarity=familiarity, **wishes[place])  # type: ignore[arg-type]
        assert [one.item_id for one in shown] == [one.item_id for one in expected], (user, wishes[place])
        assert [one.score for one in shown] == pytest.approx([one.score for one in expected])
        assert [one.std for one in shown] == pytest.approx([one.std for one in expected])
        assert [one.chance for one in shown] == pytest.approx([one.chance for one in expected], rel=0.25)
