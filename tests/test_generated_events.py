"""The generated ratings that benchmarks of size are run on: as many as asked for, each pair once, always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks._generated_events import write_ratings


def test_ratings_are_as_many_as_asked_for_each_once_and_always_the_same(tmp_path: Path) -> None:
    of = {"users": 400, "items": 600, "ratings": 20_000, "dims": 3, "held_out": 0.05, "rows_a_file": 6_000}
    one, other = write_ratings(tmp_path / "one", **of), write_ratings(tmp_path / "other", **of)
    assert len(one.ratings) == 4
    assert one.held_out is not None
    rows = pl.concat(map(pl.read_parquet, [*one.ratings, one.held_out]))
    assert rows.height == rows.select("user_id", "item_id").n_unique() == 20_000
    assert rows["user_id"].n_unique() == 400
    assert set(rows["item_id"]) <= set(pl.read_parquet(one.items)["item_id"])
    assert set((2 * rows["rating"]).unique()) == set(range(1, 11))
    assert 800 < pl.read_parquet(one.held_out).height < 1200
    for first, second in zip(one.ratings, other.ratings, strict=True):
        assert first.read_bytes() == second.read_bytes()
    by_item = rows["item_id"].value_counts(sort=True)["count"].to_numpy()
    assert by_item[:30].sum() > 3 * by_item[-30:].sum()  # some are met much more often
    users = pl.read_parquet(one.ratings[0])["user_id"].to_list()
    assert users != sorted(users)
    assert write_ratings(tmp_path / "seed", seed=1, **of).ratings[0].read_bytes() != one.ratings[0].read_bytes()


@pytest.mark.parametrize(("dims", "ratio"), [(1, (1.8, 3.0)), (4, (1.0, 1.3))])
def test_ratings_vary_by_as_many_tastes_as_asked_for(dims: int, ratio: tuple[float, float], tmp_path: Path) -> None:
    made = write_ratings(tmp_path, users=500, items=300, ratings=18_000, dims=dims)
    rows = pl.concat(map(pl.read_parquet, made.ratings))
    centred = rows.with_columns(pl.col("rating") - pl.col("rating").mean().over("item_id"))
    table = centred.pivot(on="item_id", index="user_id", values="rating").drop("user_id").fill_null(0.0).to_numpy()
    strength = np.linalg.svd(table, compute_uv=False)
    assert ratio[0] < strength[0] / strength[2] < ratio[1]
    assert made.held_out is None


@pytest.mark.parametrize("ratings", [10, 200 * 300])
def test_more_ratings_than_there_is_room_for_are_refused(ratings: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are not from 200 to an eighth of all pairs"):
        write_ratings(tmp_path, users=200, items=300, ratings=ratings)
