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
from palate.evaluation.baselines import Interactions
from palate.evaluation.evaluate import SPLITS, evaluate, rating_quality


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=150, items=60, rng=np.random.default_rng(0)).dataset


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_is_judged(data: Dataset, split: str) -> None:
    document = evaluate(data, split=split, models=("popularity", "ease"))
    json.dumps(document, allow_nan=False)
    assert set(document["models"]) == {"popularity", "ease"} and document["split"] == split
    assert document["ratings"]["rows"] > 0


def test_palate_ranks_better_than_popularity(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = planted_world(users=300, items=80, rng=np.random.default_rng(1)).dataset
    monkeypatch.setattr(own, "grid", lambda: [own.Palate(8.0, 4.0, dim=8)])
    document = evaluate(whole, split="stratified-user", models=("palate", "popularity"))
    ndcg = {name: model["metrics"]["ndcg@10"]["mean"] for name, model in document["models"].items()}
    assert ndcg["palate"] > ndcg["popularity"]


def test_the_grid_holds_different_settings() -> None:
    assert len(set(own.grid())) == len(own.grid()) >= 3


def test_what_somebody_has_not_seen_ranks_by_kind() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(30)[:, None] % 2 == np.arange(12) % 2  # two kinds of people, two kinds of items
    seen = same & (rng.random((30, 12)) < 0.7)
    users, items = np.nonzero(seen)
    train = Interactions(users, items, np.ones(len(users)), np.full(len(users), np.nan), 30, 12)
    scores = own.Palate(5.0, 1.0, dim=3).fit(train, rng=rng).score(np.arange(30))
    assert scores.shape == (30, 12)
    assert scores[same & ~seen].mean() > scores[~same].mean() + 0.3


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
