from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset, planted_world
from palate.datasets.splits import random_split
from palate.entities import RATING, TIMESTAMP
from palate.errors import OptionError
from palate.evaluation import palate_ranker as own
from palate.evaluation.baselines import Interactions, Popularity
from palate.evaluation.evaluate import SPLITS, _split, evaluate, notes_of, rating_quality


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=150, items=60, rng=np.random.default_rng(0)).dataset


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_is_judged(data: Dataset, split: str) -> None:
    document = evaluate(data, split=split, models=("popularity", "ease"))
    json.dumps(document, allow_nan=False)
    assert set(document["models"]) == {"popularity", "ease"} and document["split"] == split
    assert document["ratings"]["rows"] > 0


def test_a_split_that_is_given_is_kept_to_and_others_are_judged_beside(data: Dataset) -> None:
    parts = random_split(data, rng=np.random.default_rng(0))
    assert parts.validation is not None
    assert parts.whole.interactions.sort(pl.all()).equals(data.interactions.sort(pl.all()))
    document = evaluate(parts, models=("popularity",), others={"same": [Popularity()]})
    assert document["split"] == "given" and document["notes"] == [] and "command" not in document
    models = document["with_history"]["models"]
    assert models["same"]["metrics"] == models["popularity"]["metrics"]
    assert document["users"] == parts.test.interactions["user_id"].n_unique()
    with pytest.raises(OptionError, match="'popularity' is the name of a model that is here already"):
        evaluate(parts, models=("popularity",), others={"popularity": [Popularity()]})


@pytest.mark.long
def test_palate_ranks_better_than_popularity() -> None:
    whole = planted_world(users=300, items=80, rng=np.random.default_rng(1)).dataset
    document = evaluate(whole, split="stratified-user", models=("palate", "popularity"))
    ndcg = {name: model["metrics"]["ndcg@10"]["mean"] for name, model in document["with_history"]["models"].items()}
    assert ndcg["palate"] > ndcg["popularity"]
    assert document["models"]["palate"]["fallback"] == "popular"  # the planted world has no times


def test_what_somebody_has_not_seen_ranks_by_kind() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(60)[:, None] % 2 == np.arange(12) % 2  # two kinds of people, two kinds of items
    seen = same & (rng.random((60, 12)) < 0.7)
    seen[0] = False  # nothing is known of the first
    users, items = np.nonzero(seen)
    train = Interactions(users, items, np.ones(len(users)), np.full(len(users), np.nan), 60, 12)
    fitted = own.Palate().fit(train, rng=rng)
    scores = fitted.score(np.arange(60))
    assert scores[same & ~seen].mean() > scores[~same].mean() + 0.3
    assert scores[0] == pytest.approx(np.log(seen.sum(0) + 1.0) * scores[0].max() / np.log(seen.sum(0) + 1.0).max())
    for user in (0, 1):  # what the list of one user is made of
        history = fitted.model.met.items[slice(*fitted.model.met.start[user : user + 2])]
        assert scores[user] == pytest.approx(fitted.model.parts(history, known=True).total, abs=1e-4)


def test_settings_of_a_split_by_time_are_chosen_by_the_same_split() -> None:
    rows = [(f"u{user}", f"i{(user + item) % 7}", 10.0 * user + item) for user in range(40) for item in range(1, 5)]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    whole = Dataset.from_tables(table, name="log")
    for split in ("global-time", "leave-last-out"):
        parts = _split(whole, split, 0)
        assert parts.validation is not None
        trained, validated, tested = (p.interactions for p in (parts.train, parts.validation, parts.test))
        assert len(trained) + len(validated) + len(tested) == len(rows)
        if split == "global-time":
            ends = [part["timestamp"].max() for part in (trained, validated, tested)]
            assert ends == sorted(set(ends))
        else:
            assert validated["user_id"].n_unique() == tested["user_id"].n_unique() == 40
    document = evaluate(whole, split="global-time", models=("popularity", "item-knn"))
    assert document["with_history"] is None  # each of them acts for a while and is gone
    assert document["without_history"]["users"] == document["users"] == 8


def test_rows_without_a_time_are_said(data: Dataset) -> None:
    undated = data.interactions.with_row_index().with_columns(
        timestamp=pl.when(pl.col("index") < 10).then(None).otherwise(pl.col("index").cast(pl.Float64))
    )
    some = replace(data, interactions=undated.drop("index"))
    assert "10 of" in notes_of(some, "global-time")[0] and "10 of" in notes_of(some, "leave-last-out")[0]
    assert notes_of(some, "random") == []


def test_without_times_recent_popularity_is_left_out_with_the_reason(data: Dataset) -> None:
    timeless = replace(data, interactions=data.interactions.with_columns(pl.lit(None, pl.Float64).alias(TIMESTAMP)))
    with pytest.raises(OptionError, match=r"^model 'recent-popularity' cannot run here: .*timestamps\. Leave it out"):
        evaluate(timeless, models=("recent-popularity",))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"models": ("svd",)}, r"^model 'svd' is unknown\. There are palate, popularity"),
        ({"split": "by-moon"}, r"^split 'by-moon' is unknown\. Use one of global-time, leave-last-out"),
    ],
)
def test_wrong_options(data: Dataset, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        evaluate(data, **wrong)  # type: ignore[arg-type]


def test_predicted_ratings_are_better_than_item_means_and_honest(data: Dataset) -> None:
    quality = rating_quality(random_split(data, rng=np.random.default_rng(0)), encoder="none", seed=0)
    assert quality["rmse"] < quality["item_means"]
    assert 0.9 <= quality["coverage_95"] <= 0.99
    assert quality["accuracy"] > 0.6 and 0 < quality["recall"] < 1


def test_likes_are_calibrated(data: Dataset) -> None:
    liked = (pl.col(RATING) >= 4).cast(pl.Float64).alias(RATING)
    likes = replace(data, interactions=data.interactions.with_columns(liked))
    quality = rating_quality(random_split(likes, rng=np.random.default_rng(0)), encoder="none", seed=0)
    assert quality["likelihood"] == "probit" and quality["calibration_error"] < 0.12
    assert quality["rmse"] < 0.5
