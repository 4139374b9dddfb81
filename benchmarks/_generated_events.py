"""Ratings of any number in Parquet files, written some users at a time: tastes of D dimensions, popularity skewed.

    python -m benchmarks._generated_events FOLDER --users 100000 --items 20000 --ratings 10000000

A user's rating is a mean, the item's level, taste times factors and noise, rounded to half stars. Items are met by
popularity (a power law) and kept the more likely the better they are liked, so exposure is not at random. Each pair
comes once; the rows of a file stand in no order.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from palate.random import derive_rng

MEAN, NOISE = 3.3, 0.6  # of a rating before rounding; without noise no model's RMSE is below about 0.62
TASTE, LEVEL = 0.8, 0.35  # standard deviations of taste times factors, and of items' levels
SKEW = 0.9  # the item of rank r is met with a chance of 1 / (r + 20) ** SKEW
LIKING = 0.5  # an item met is kept with the chance of a logistic of taste / LIKING, in standard deviations
START, SPAN = 1_600_000_000, 3 * 365 * 86_400


class Generated(NamedTuple):
    """Files that :func:`write_ratings` wrote.

    Attributes:
        ratings: user_id, item_id, rating and timestamp.
        items: item_id and title.
        held_out: Ratings that are in no other file; None where none are held out.
    """

    ratings: list[Path]
    items: Path
    held_out: Path | None


class _World(NamedTuple):
    factors: NDArray[np.float32]
    levels: NDArray[np.float32]
    chances: NDArray[np.float64]  # cumulative


def write_ratings(
    folder: Path,
    *,
    users: int,
    items: int,
    ratings: int,
    dims: int = 16,
    held_out: float = 0.0,
    rows_a_file: int = 2_500_000,
    seed: int = 0,
) -> Generated:
    """Write exactly so many ratings, each pair once; the same arguments give the same files.

    Args:
        dims: Length of tastes and factors.
        held_out: Share of the ratings that go to a file of their own.
        rows_a_file: About so many rows are in memory at a time, at 150 bytes each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = _world(items, dims, derive_rng(seed, "items"))
    sizes = _sizes(users, items, ratings, derive_rng(seed, "sizes"))
    bounds = np.unique(np.append(np.arange(0, users, max(1, users * rows_a_file // ratings)), users))
    numbers = np.char.mod(f"i%0{len(str(items))}d", np.arange(items))
    table = pa.table({"item_id": numbers, "title": np.char.mod("Item %d", np.arange(items))})
    pq.write_table(table, folder / "items.parquet")
    paths, kept = [], []
    for number, (first, last) in enumerate(pairwise(bounds)):
        rng = derive_rng(seed, "users", str(number))
        rows = _rows(sizes[first:last], world, rng)
        is_out = rng.random(len(rows["user"])) < held_out
        names = {"item": numbers, "user": np.char.mod(f"u%0{len(str(users))}d", np.arange(first, last))}
        paths.append(folder / f"ratings-{number:04d}.parquet")
        pq.write_table(_table(rows, ~is_out, names), paths[-1], row_group_size=1 << 19)
        kept.append(_table(rows, is_out, names))
    if held_out:
        pq.write_table(pa.concat_tables(kept), folder / "held-out.parquet")
    return Generated(paths, folder / "items.parquet", folder / "held-out.parquet" if held_out else None)


def _world(items: int, dims: int, rng: np.random.Generator) -> _World:
    factors = rng.normal(0, TASTE / np.sqrt(dims), (items, dims)).astype(np.float32)
    chances = 1.0 / (rng.permutation(items) + 20.0) ** SKEW
    return _World(factors, rng.normal(0, LEVEL, items).astype(np.float32), np.cumsum(chances / chances.sum()))


def _sizes(users: int, items: int, ratings: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many ratings each user has: some many, most few."""
    if not users <= ratings <= users * items // 8:
        raise ValueError(f"{ratings:,} ratings are not from {users:,} to an eighth of all pairs")
    wanted = rng.lognormal(0.0, 0.8, users)
    sizes = np.clip((wanted * ratings / wanted.sum()).astype(np.int64), 1, items // 4)
    while rest := ratings - int(sizes.sum()):
        chosen = rng.integers(0, users, abs(rest))
        sizes = np.clip(sizes + np.sign(rest) * np.bincount(chosen, minlength=users), 1, items // 4)
    return sizes


def _rows(sizes: NDArray[np.int64], world: _World, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """User (from 0), item, rating and time of the ratings of some users, in no order."""
    n_items, dims = world.factors.shape
    tastes = rng.normal(0, 1, (len(sizes), dims)).astype(np.float32)
    keys = np.zeros(0, dtype=np.int64)
    while True:
        need = sizes - np.bincount(keys // n_items, minlength=len(sizes))
        if not need.any():
            break
        users = np.repeat(np.arange(len(sizes)), np.where(need, 2 * need + 4, 0))
        items = np.minimum(np.searchsorted(world.chances, rng.random(len(users))), n_items - 1)
        liking = _dot(tastes, users, world.factors, items) / TASTE
        drawn = (users * n_items + items)[rng.random(len(users)) < 1 / (1 + np.exp(-liking / LIKING))]
        fresh = np.setdiff1d(np.unique(drawn), keys, assume_unique=True)
        fresh = fresh[np.argsort(fresh // n_items + rng.random(len(fresh)))]  # by user, and by chance
        of = fresh // n_items
        turn = np.arange(len(of)) - np.searchsorted(of, of)
        keys = np.concatenate([keys, fresh[turn < need[of]]])
    keys = rng.permutation(keys)
    users, items = keys // n_items, keys % n_items
    mean = MEAN + world.levels[items] + _dot(tastes, users, world.factors, items)
    stars = np.clip(np.rint(2 * (mean + rng.normal(0, NOISE, len(keys)))), 1, 10) / 2
    return {"user": users, "item": items, "rating": stars, "time": START + rng.integers(0, SPAN, len(keys))}


def _dot(
    tastes: NDArray[np.float32], users: NDArray[np.int64], factors: NDArray[np.float32], items: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Taste times factors of each pair, (N,)."""
    found = np.empty(len(users))
    for start in range(0, len(users), 1 << 18):
        some = slice(start, start + (1 << 18))
        found[some] = np.einsum("nd,nd->n", tastes[users[some]], factors[items[some]])
    return found


def _table(
    rows: dict[str, NDArray[np.generic]], keep: NDArray[np.bool_], names: dict[str, NDArray[np.str_]]
) -> pa.Table:
    ids = {name: pa.DictionaryArray.from_arrays(rows[name][keep].astype(np.int32), names[name]) for name in names}
    return pa.table(
        {
            "user_id": ids["user"].cast(pa.string()),
            "item_id": ids["item"].cast(pa.string()),
            "rating": rows["rating"][keep],
            "timestamp": rows["time"][keep],
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for option in ("users", "items", "ratings"):
        parser.add_argument(f"--{option}", type=int, required=True)
    parser.add_argument("--dims", type=int, default=16)
    parser.add_argument("--held-out", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    write_ratings(given.pop("folder"), **given)
