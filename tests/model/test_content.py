"""What a model makes of the words of its items."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner

MAKERS, BOOKS, PEOPLE = 6, 10, 60


@cache
def data() -> Dataset:
    """People who like two of six authors each, and nothing else; titles say nothing."""
    rng = np.random.default_rng(0)
    items = pl.DataFrame(
        {
            "item_id": [f"i{i:02d}" for i in range(MAKERS * BOOKS)],
            "title": [f"book {i}" for i in range(MAKERS * BOOKS)],
            "author": [f"author number {i % MAKERS}" for i in range(MAKERS * BOOKS)],
        }
    )
    rows = []
    for user in range(PEOPLE):
        liked = rng.permutation(MAKERS)[:2]
        rows += [
            (f"u{user:02d}", f"i{item:02d}", 5.0 if item % MAKERS in liked else 1.0 + float(rng.integers(3)))
            for item in rng.permutation(MAKERS * BOOKS)[:24]
            if item < MAKERS * BOOKS - MAKERS  # nobody has read the last of each
        ]
    ratings = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    return Dataset.from_tables(ratings, items)


@cache
def learner() -> Learner:
    return Learner.fit(data(), encoder="lexical", dim=1, likelihood="gaussian")


def test_an_unread_book_is_expected_to_be_liked_by_those_who_like_its_author() -> None:
    model = learner().model
    assert model.content_variances[0] > 0.0 and model.content_variances[1] == 0.0
    unread = [f"i{item:02d}" for item in range(MAKERS * BOOKS - MAKERS, MAKERS * BOOKS)]
    right = 0
    for user in range(20):
        own = data().interactions.filter(pl.col("user_id") == f"u{user:02d}")
        liked = {int(item[1:]) % MAKERS for item in own.filter(pl.col("rating") == 5.0)["item_id"]}
        first = learner().recommend(f"u{user:02d}", 2, allow=unread)
        right += sum(int(one.item_id[1:]) % MAKERS in liked for one in first)
    assert right >= 36  # of 40; by chance 13


def test_a_book_that_comes_later_is_read_with_the_words_of_the_fit_and_kept(tmp_path: Path) -> None:
    new = pl.DataFrame({"item_id": ["n0", "n1"], "title": ["a", "b"], "author": ["author number 0", "nobody we know"]})
    more = learner().with_items(new)
    assert more.model.catalogue.words is not None and more.model.catalogue.words.rows.shape[0] == MAKERS * BOOKS + 2
    own = data().interactions.filter(
        (pl.col("rating") == 5.0) & (pl.col("item_id").str.slice(1).cast(pl.Int64) % 6 == 0)
    )
    fan = own["user_id"].value_counts(sort=True)["user_id"][0]
    scores = {one.item_id: one.score for one in more.recommend(fan, 2, allow=["n0", "n1"])}
    assert scores["n0"] > scores["n1"] + 0.5
    more.save(tmp_path)
    again = Learner.load(tmp_path)
    assert again.recommend(fan, 5) == more.recommend(fan, 5)
    assert again.model.content_variances == learner().model.content_variances
    assert again.with_items(new.with_columns(item_id=pl.lit("m") + pl.col("item_id"))).recommend(fan, 3) is not None


@pytest.mark.parametrize("title", ["", "word", "the same for all of them"])
def test_content_that_tells_nothing_apart_leaves_a_model_without_it(title: str) -> None:
    items = data().items.select("item_id").with_columns(title=pl.lit(title))
    model = Learner.fit(Dataset.from_tables(data().interactions, items), encoder="lexical", dim=1).model
    assert model.catalogue.content is None and model.catalogue.words is None
    assert model.content_part is None and model.new_items is None


def test_one_item_has_no_words_of_its_own() -> None:
    ratings = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "x"], "rating": [1.0, 5.0]})
    items = pl.DataFrame({"item_id": ["x"], "title": ["a single item"]})
    found = Learner.fit(Dataset.from_tables(ratings, items), encoder="lexical", dim=1)
    assert found.model.catalogue.content is None and [one.item_id for one in found.recommend("c", 1)] == ["x"]


def test_without_an_encoder_no_content_is_read() -> None:
    assert Learner.fit(data(), encoder="none", dim=1).model.catalogue.words is None
