"""Shards hold what a fit would be given, however they came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest

from palate import Dataset
from palate.datasets.files import parquet
from palate.datasets.views import as_likes, item_table
from palate.entities import ITEM
from palate.errors import DataError
from palate.model.strengths import learn_strengths
from palate.posteriors.likelihoods import Implicit
from palate.scale import intake, sharding
from palate.scale.compose import dealt, shards_for
from palate.scale.sharding import shard
from palate.scale.shards import Shards, shard_of
from palate.scale.spill import Spill
from palate.store.model_folder import files

Answers = dict[tuple[str, str], float]


def answers_of(shards: Shards) -> Answers:
    """All answers by the ids of user and item; both orders agree."""
    items = [one for block in range(len(shards.blocks)) for one in shards.item_ids(block)]
    found: Answers = {}
    for number in range(shards.n_shards):
        rows, users = shards.rows(number), shards.user_ids(number)
        assert all(shard_of(user, shards.n_shards) == number for user in users)
        assert len(users) == shards.users[number] == len(rows.start) - 1
        of = np.repeat(np.arange(len(users)), np.diff(rows.start))
        assert (np.diff(of.astype(np.int64) * len(items) + rows.items) > 0).all()  # sorted, each pair once
        found |= {
            (users[user], items[item]): value for user, item, value in zip(of, rows.items, rows.values, strict=True)
        }
        seen = []
        for block, (first, last) in enumerate(shards.blocks):
            part = shards.by_block(number, block)
            column = np.repeat(part.columns, np.diff(part.start))
            assert ((column >= first) & (column < last)).all()
            assert np.array_equal(rows.items[part.places], column)
            assert np.array_equal(of[part.places], part.users)
            assert (np.diff(column.astype(np.int64) * len(users) + part.users) > 0).all()
            seen.append(part.places)
        assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(len(of)))
    return found


def times_of(shards: Shards) -> dict[tuple[str, str], float | None]:
    """When each answer was given; None where nobody knows."""
    items = [one for block in range(len(shards.blocks)) for one in shards.item_ids(block)]
    found: dict[tuple[str, str], float | None] = {}
    for number in range(shards.n_shards):
        rows, users = shards.rows(number), shards.user_ids(number)
        of = np.repeat(np.arange(len(users)), np.diff(rows.start))
        for user, item, time in zip(of, rows.items, shards.times(number), strict=True):
            found[users[user], items[item]] = None if np.isnan(time) else float(time)
    return found


def answers_in(data: Dataset) -> Answers:
    """What `palate fit` gives to the fit of tastes."""
    has_ratings = data.interactions["rating"].drop_nulls().len() > 0
    coded = (as_likes(data) if has_ratings and set(data.interactions["rating"].drop_nulls()) == {0, 1} else data).coded(
        "rating" if has_ratings else "event"
    )
    values = coded.values
    if not has_ratings:
        values = coded.strengths(learn_strengths(coded, data.vocabulary, Implicit(), seed=0))
    users, items = (np.array(ids) for ids in (coded.user_ids, coded.item_ids))
    return dict(zip(zip(users[coded.users], items[coded.items], strict=True), values, strict=True))


def check(path: Path, out: Path, **options: object) -> Shards:
    """Shards of a data set, compared with it in every respect."""
    loaded = {name: value for name, value in options.items() if name in ("columns", "scale", "events")}
    data = Dataset.load(path, **loaded)
    done = shard(path, out, **options)
    shards = done.shards
    shards.verify()
    expected = answers_in(data)
    assert answers_of(shards) == expected
    coded = data.coded("event" if shards.kind == "events" else "rating")
    pairs = [(coded.user_ids[user], coded.item_ids[item]) for user, item in zip(coded.users, coded.items, strict=True)]
    times = [None if np.isnan(time) else float(time) for time in coded.timestamps]
    assert times_of(shards) == dict(zip(pairs, times, strict=True))
    users = [user for number in range(shards.n_shards) for user in shards.user_ids(number)]
    assert sorted(users) == coded.user_ids
    assert shards.manifest.duplicates == coded.duplicates
    assert done.rejects.total == data.rejects.total
    assert done.notes == data.notes
    table = shards.items_table()
    items = [one for block in range(len(shards.blocks)) for one in shards.item_ids(block)]
    assert table[ITEM].to_list() == items
    assert sorted(items) == coded.item_ids
    assert table.equals(item_table(data, items))
    check_sums(shards, expected, items)
    return shards


def check_sums(shards: Shards, expected: Answers, items: list[str]) -> None:
    values = np.array(list(expected.values()))
    codes = {one: code for code, one in enumerate(items)}
    columns = np.array([codes[item] for _, item in expected])
    assert shards.n_events == len(values)
    assert np.isclose(shards.total, values.sum(), rtol=1e-12)
    assert np.isclose(shards.total_squares, (values**2).sum(), rtol=1e-12)
    assert np.array_equal(shards.item_counts(), np.bincount(columns, minlength=len(items)))
    assert np.allclose(shards.item_sums(), np.bincount(columns, values, minlength=len(items)), rtol=1e-12)


REAL: dict[str, tuple[str, Mapping[str, object], str]] = {
    "movielens-100k": (".", {"shards": 4}, "ratings"),
    "amazon-gift-cards": (".", {"shards": 8, "block_items": 100}, "ratings"),
    "mind-cut": (".", {"shards": 2}, "events"),
    "steam-play": ("plays.parquet", {"columns": {"rating": "hours"}, "shards": 2}, "ratings"),
    "online-retail": ("purchases.parquet", {"shards": 2}, "events"),
    "jester": (".", {"shards": 1, "scale": (-10, 10)}, "ratings"),
    "open-bandit": (".", {"shards": 2}, "events"),
}
LONG = {"online-retail", "steam-play"}


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.long if one in LONG else ()) for one in REAL])
def test_shards_of_real_data_are_what_a_fit_would_be_given(
    name: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    inside, options, kind = REAL[name]
    shards = check(shared_data(name) / inside, tmp_path / "shards", **options)
    assert shards.kind == kind


def messy(rng: np.random.Generator, columns: Sequence[str], rows: int = 3000) -> pl.DataFrame:
    """Interactions with pairs that come again, times that tie or lack, and cells that are empty."""
    users, items = rng.integers(0, 90, rows), np.minimum(rng.geometric(0.03, rows), 60)
    made = {
        "user_id": [f"ü{user}" for user in users],
        "item_id": [f"i{item}" for item in items],
        "rating": pl.Series(rng.integers(1, 11, rows) / 2).set(pl.Series(rng.random(rows) < 0.2), None),
        "like": pl.Series(rng.integers(0, 2, rows).astype(float)).set(pl.Series(rng.random(rows) < 0.2), None),
        "event": pl.Series(rng.choice(["view", "purchase", "impression", "skip", "wished"], rows)).set(
            pl.Series(rng.random(rows) < 0.1), None
        ),
        "weight": pl.Series(rng.random(rows) * 2 + 0.1).set(pl.Series(rng.random(rows) < 0.1), None),
        "timestamp": pl.Series(1e9 + rng.integers(0, 5, rows)).set(pl.Series(rng.random(rows) < 0.3), None),
    }
    frame = pl.DataFrame({"rating" if name == "like" else name: made[name] for name in columns})
    quiet = (pl.col("user_id") == "ü7") | (
        pl.col("item_id") == "i55"
    )  # nothing is said of them, and they have a number
    said = {"rating": pl.lit(None, dtype=pl.Float64), "event": pl.lit("impression")}
    return frame.with_columns(
        pl.when(quiet).then(said[name]).otherwise(name).alias(name) for name in said if name in frame.columns
    )


KINDS = {
    "ratings": ("user_id", "item_id", "rating", "timestamp"),
    "likes": ("user_id", "item_id", "like", "timestamp"),
    "events": ("user_id", "item_id", "event", "weight", "timestamp"),
    "both": ("user_id", "item_id", "rating", "event", "weight", "timestamp"),
    "nameless": ("user_id", "item_id"),
}
WORDS = {"wished": "like:0.6"}


@pytest.fixture
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "READ_ROWS", 401)
    monkeypatch.setattr(intake, "FLUSH_ROWS", 700)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def write_data(folder: Path, interactions: pl.DataFrame) -> Path:
    interactions.write_parquet(folder / "interactions.parquet")
    titles = [f"Item {number}" for number in range(40, 80)]
    ids = [f"i{number}" for number in range(40, 80)]  # some lack a row, some have no answer
    pl.DataFrame({"item_id": ids, "title": titles, "year": range(40)}).write_parquet(folder / "items.parquet")
    return folder


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shards", [1, 8])
def test_shards_of_messy_data_are_what_a_fit_would_be_given(
    kind: str, shards: int, folder: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    write_data(folder, messy(rng, KINDS[kind]))
    found = check(folder, tmp_path / "shards", shards=shards, block_items=20, events=WORDS)
    assert found.kind == {"both": "ratings", "nameless": "events"}.get(kind, kind)
    assert found.manifest.duplicates > 700
    assert found.n_shards == shards
    assert (found.low, found.high) == {"ratings": (0.5, 5.0), "likes": (0.0, 1.0)}.get(found.kind, (-1.0, 1.0))


@pytest.mark.usefixtures("_small_pieces")
def test_ratings_that_begin_after_events_count_alone(folder: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    rows = messy(rng, KINDS["both"]).with_columns(
        pl.when(pl.int_range(pl.len()) >= 2000).then(pl.col("rating")).alias("rating")
    )
    shards = check(write_data(folder, rows), tmp_path / "shards", shards=2, block_items=500, events=WORDS)
    counts = rows.filter(pl.col("rating").is_not_null())["item_id"].value_counts()
    popular = counts.sort(-pl.col("count").cast(pl.Int64), "item_id")["item_id"].to_list()
    assert shards.item_ids(0)[: len(popular)] == popular


def test_several_files_are_read_one_after_the_other(folder: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    rows = messy(rng, KINDS["ratings"])
    write_data(folder, rows)
    parts = []
    for number in range(3):
        rows.slice(1000 * number, 1000).write_csv(tmp_path / f"part-{number}.csv")
        parts.append(tmp_path / f"part-{number}.csv")
    together = shard(parts, tmp_path / "several", items=folder, shards=4).shards
    whole = shard(folder, tmp_path / "whole", shards=4).shards
    assert answers_of(together) == answers_of(whole)
    assert together.items_table().equals(whole.items_table())


@pytest.mark.parametrize(
    ("events", "shards"), [(1, 1), (4_000, 1), (4_001, 4), (8_000_000, 4), (8_000_001, 8), (1_000_000_000, 512)]
)
def test_the_number_of_shards_goes_by_the_events(events: int, shards: int) -> None:
    assert shards_for(events) == shards


def test_blocks_have_about_as_many_events_each(rng: np.random.Generator) -> None:
    counts = np.sort(1 + rng.pareto(1.2, 5000) * 10).astype(np.int64)
    ids = pl.Series([f"{number}" for number in rng.permutation(5000)])
    order, blocks = dealt(counts, ids, 700)
    sizes = np.array([last - first for first, last in blocks])
    assert sorted(order.tolist()) == list(range(5000))
    assert len(blocks) == 8
    assert sizes.max() - sizes.min() <= 1
    events = np.array([counts[order[first:last]].sum() for first, last in blocks])
    assert events.max() - events.min() <= counts.max()
    assert order[0] == counts.argmax()  # the first of a block is its most popular


@pytest.mark.parametrize(("met", "blocks"), [(5, [(0, 3), (3, 5)]), (6, [(0, 3), (3, 6)]), (1, [(0, 1)])])
@pytest.mark.parametrize("unmet", [0, 1, 3, 4, 7])
def test_items_without_an_event_come_last_in_blocks_of_their_own(
    met: int, blocks: list[tuple[int, int]], unmet: int
) -> None:
    counts = np.array([0] * unmet + [7] * met)
    order, found = dealt(counts, pl.Series([f"i{number}" for number in range(len(counts))]), 3)
    assert list(found[: len(blocks)]) == blocks
    assert [last - first for first, last in found[len(blocks) :]] == [3] * (unmet // 3) + [unmet % 3] * (unmet % 3 > 0)
    assert (counts[order[met:]] == 0).all()
    assert sorted(order.tolist()) == list(range(len(counts)))


def test_a_user_stays_with_half_of_the_shard_when_shards_are_doubled() -> None:
    users = [f"u{number}" for number in range(500)]
    assert all(shard_of(user, 64) & 31 == shard_of(user, 32) for user in users)
    assert len({shard_of(user, 64) for user in users}) == 64
    assert shard_of("ann", 1 << 20) == 0xF3A8D  # printf ann | b2sum -l 64


# ---- stopped and gone on with


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("kind", ["ratings", pytest.param("events", marks=pytest.mark.long)])
def test_shards_that_were_stopped_anywhere_are_finished_to_the_same_bytes(
    kind: str, folder: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    write_data(folder, messy(rng, KINDS[kind]))
    pieces: list[int] = []
    sorted_anew: list[object] = []
    whole_take, answers_in_part = intake.Intake.take, sharding.answers_in

    def take(self: intake.Intake, frame: pl.DataFrame) -> None:
        pieces.append(frame.height)
        whole_take(self, frame)

    def sort(*arguments: object) -> object:
        sorted_anew.append(arguments)
        return answers_in_part(*arguments)

    def run(out: Path, stop: int, resume: bool) -> int:
        """How many times something was written until it was stopped."""
        times, real_write, real_append = 0, files.write, Spill.append

        def count(real: Callable[..., None]) -> Callable[..., None]:
            def write(*arguments: object) -> None:
                nonlocal times
                times += 1
                if times == stop:
                    raise Killed
                real(*arguments)
                if -times == stop:
                    raise Killed

            return write

        with (
            mock.patch.object(files, "write", count(real_write)),
            mock.patch.object(Spill, "append", count(real_append)),
            mock.patch.object(intake.Intake, "take", take),
            mock.patch.object(sharding, "answers_in", sort),
        ):
            shard(folder, out, shards=4, block_items=20, events=WORDS, resume=resume)
        return times

    undisturbed = tmp_path / "undisturbed"
    times = run(undisturbed, 0, False)
    all_pieces = sum(pieces)
    expected = contents(undisturbed)
    assert times > 30
    for stop in [*range(1, times + 1, 6), *range(-2, -times, -6), -times]:
        out = tmp_path / f"stopped{stop}"
        with pytest.raises(Killed):
            run(out, stop, False)
        if abs(stop) < times:
            with pytest.raises(DataError, match=r"--resume|no shards"):
                Shards.open(out)
        pieces.clear()
        sorted_anew.clear()
        run(out, 0, True)
        if abs(stop) > times - 5:
            assert len(sorted_anew) < 4  # what was sorted before is not sorted again
        assert contents(out).keys() == expected.keys()
        assert {name for name, data in contents(out).items() if data != expected[name]} <= {".lock"}
        if abs(stop) > 20:
            assert sum(pieces) < all_pieces  # what was read before is not read again
    again = shard(folder, undisturbed, shards=4, block_items=20, events=WORDS, resume=True)
    assert contents(undisturbed) == expected
    assert again.shards.n_shards == 4
