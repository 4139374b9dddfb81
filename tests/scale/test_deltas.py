"""Answers that are added later are as good as those that were there from the beginning."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest

from palate.errors import DataError
from palate.scale import deltas
from palate.scale.deltas import add_events
from palate.scale.sharding import shard
from palate.scale.shards import Shards
from palate.store.model_folder import files
from tests.scale.test_sharding import KINDS, Killed, answers_of, check_sums, contents, messy, times_of, write_data

GIVEN = {name: f"{word}:{strength}" for name, word, strength in [("view", "view", 0.3), ("purchase", "purchase", 1)]}
QUICK = {("ratings", 0.1), ("events", 10.0), ("likes", 0.0)}
GIVEN |= {"skip": "skip:0.4", "wished": "like:0.6"}


def grown(kind: str, rng: np.random.Generator) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Rows of the first day, and of three more: newer and older times, users and items that are new."""
    rows = messy(rng, KINDS[kind], 6000)
    later = rows[5000:].with_columns(
        pl.when(pl.int_range(pl.len()) % 5 == 0)
        .then(pl.lit("new-") + pl.col("user_id"))
        .otherwise("user_id")
        .alias("user_id"),
        pl.when(pl.int_range(pl.len()) % 7 == 0)
        .then(pl.lit("new-") + pl.col("item_id"))
        .otherwise("item_id")
        .alias("item_id"),
    )
    return rows[:5000], [later[:120], later[120:300], later[300:]]


def items_of(shards: Shards) -> list[str]:
    return [one for block in range(len(shards.blocks)) for one in shards.item_ids(block)]


@pytest.mark.parametrize(
    ("kind", "merged_at"),
    [
        pytest.param(kind, merged_at, marks=() if (kind, merged_at) in QUICK else pytest.mark.long)
        for kind in ("ratings", "likes", "events", "both")
        for merged_at in (0.0, 0.1, 10.0)
    ],
)
def test_answers_added_later_are_as_if_they_had_been_there(
    kind: str, merged_at: float, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "MERGED_AT", merged_at)
    (tmp_path / "data").mkdir()
    first, days = grown(kind, rng)
    options = {"shards": 4, "block_items": 16}
    shards = shard(write_data(tmp_path / "data", first), tmp_path / "grown", events=GIVEN, **options).shards
    codes, users = items_of(shards), [shards.user_ids(number) for number in range(4)]
    for number, day in enumerate(days):
        day.write_parquet(tmp_path / "day.parquet")
        at_once = tmp_path / f"at-once-{number}"
        (at_once / "data").mkdir(parents=True)
        whole = pl.concat([first, *days[: number + 1]])
        expected = shard(write_data(at_once / "data", whole), at_once / "shards", events=GIVEN, **options).shards
        shards = add_events(tmp_path / "day.parquet", tmp_path / "grown", events=GIVEN).shards
        shards.verify()
        found = answers_of(shards)
        assert found == answers_of(expected) and times_of(shards) == times_of(expected)
        check_sums(shards, found, items_of(shards))
        assert sorted(items_of(shards)) == sorted(items_of(expected))
        assert items_of(shards)[: len(codes)] == codes  # those there were keep their codes and rows
        for kept, now in zip(users, map(shards.user_ids, range(4)), strict=True):
            assert now[: len(kept)] == kept
        assert shards.manifest.duplicates == expected.manifest.duplicates
        assert (shards.low, shards.high, shards.manifest.levels) == (
            expected.low,
            expected.high,
            expected.manifest.levels,
        )
        assert (
            shards.items_table()
            .select("item_id", "title")
            .sort("item_id")
            .equals(expected.items_table().select("item_id", "title").sort("item_id"))
        )
        assert max(last - start for start, last in shards.blocks) <= 16
        assert any(one.delta for one in shards.manifest.shards) == (
            merged_at > 0.1 or (merged_at == 0.1 and number < 2)
        )
        codes, users = items_of(shards), [shards.user_ids(number) for number in range(4)]
    named = {*shards.manifest.files, "_manifest.json", ".lock"}
    assert set(contents(tmp_path / "grown")) == named


def test_of_equally_late_answers_the_one_added_last_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "MERGED_AT", 10.0)

    def day(rating: float, time: float | None) -> Path:
        row = {"user_id": ["ann", "bob"], "item_id": ["i1", "i2"], "rating": [rating, 1.0], "timestamp": [time, 1.0]}
        pl.DataFrame(row, schema_overrides={"timestamp": pl.Float64}).write_parquet(tmp_path / "day.parquet")
        return tmp_path / "day.parquet"

    shard(day(3.0, 5.0), tmp_path / "shards")
    for rating, time, counts in [(4.0, 5.0, 4.0), (2.0, 5.0, 2.0), (1.0, 4.0, 2.0), (9.0, None, 2.0), (5.0, 6.0, 5.0)]:
        assert answers_of(add_events(day(rating, time), tmp_path / "shards").shards)["ann", "i1"] == counts


def test_new_items_come_by_popularity_and_those_without_an_answer_last(tmp_path: Path) -> None:
    def day(*pairs: str) -> Path:
        users, items = zip(*(pair.split() for pair in pairs), strict=True)
        pl.DataFrame({"user_id": users, "item_id": items}).write_csv(tmp_path / "day.csv")
        return tmp_path / "day.csv"

    (tmp_path / "items.csv").write_text("item_id,title\na,A\nm,M\n")
    shard(day("ann q", "bob q"), tmp_path / "shards", block_items=2)
    new = day("ann z", "ann y", "bob x", "eve x")
    found = add_events(new, tmp_path / "shards", items=tmp_path / "items.csv").shards
    assert items_of(found) == ["q", "x", "y", "z", "a", "m"]
    assert found.blocks == ((0, 2), (2, 4), (4, 6))
    assert found.items_table()["title"].to_list() == ["", "", "", "", "A", "M"]


def test_the_same_answers_again_change_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "data").mkdir()
    first, days = grown("ratings", rng)
    shard(write_data(tmp_path / "data", first), tmp_path / "grown", shards=4)
    days[0].write_parquet(tmp_path / "day.parquet")
    once = answers_of(add_events(tmp_path / "day.parquet", tmp_path / "grown").shards)
    again = add_events(tmp_path / "day.parquet", tmp_path / "grown").shards
    assert answers_of(again) == once
    assert again.manifest.generation == 2


def test_an_addition_that_is_stopped_anywhere_has_changed_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "data").mkdir()
    first, days = grown("ratings", rng)
    days[1].write_parquet(tmp_path / "day.parquet")
    write_data(tmp_path / "data", first)
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    shard(tmp_path / "data", undisturbed, shards=2, block_items=16)
    shard(tmp_path / "data", stopped, shards=2, block_items=16)
    before = answers_of(Shards.open(stopped))
    add_events(tmp_path / "day.parquet", undisturbed)
    expected = contents(undisturbed)
    real, times, finished = files.write, 0, False
    while not finished:
        times += 1
        left = times

        def write(path: Path, data: bytes) -> None:
            nonlocal left
            left -= 1
            if not left:
                path.with_name(path.name + files.TEMPORARY).write_bytes(data[:10])
                raise Killed
            real(path, data)

        with mock.patch.object(files, "write", write):
            try:
                add_events(tmp_path / "day.parquet", stopped)
                finished = True
            except Killed:
                assert answers_of(Shards.open(stopped)) == before
    assert times > 6
    found = contents(stopped)
    assert found.keys() == expected.keys()
    assert {name for name, data in found.items() if data != expected[name]} <= {".lock"}


@pytest.mark.parametrize(
    ("kind", "rows", "said"),
    [
        ("ratings", {"rating": [9.0]}, "1 of 1 ratings are off the scale 0.5 to 5; the first: 9"),
        ("ratings", {"event": ["view"]}, "the new data has no rating, and the shards in .* hold ratings"),
        ("likes", {"rating": [3.0]}, "ratings that are not 0 or 1, and the shards in .* hold likes"),
        ("events", {"rating": [3.0]}, "the new data has no event but ratings, and the shards in .* hold events"),
        ("events", {"event": ["frobbed"]}, "1 event is unknown: 'frobbed' 1"),
    ],
)
def test_answers_of_another_kind_are_not_added(
    kind: str, rows: dict[str, list[object]], said: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    (tmp_path / "data").mkdir()
    scale = (0.5, 5) if kind == "ratings" else None
    shard(
        write_data(tmp_path / "data", messy(rng, KINDS[kind])), tmp_path / "shards", shards=2, scale=scale, events=GIVEN
    )
    before = contents(tmp_path / "shards")
    pl.DataFrame({"user_id": ["ann"], "item_id": ["i1"], **rows}).write_parquet(tmp_path / "new.parquet")
    with pytest.raises(DataError, match=said):
        add_events(tmp_path / "new.parquet", tmp_path / "shards")
    assert contents(tmp_path / "shards") == before
