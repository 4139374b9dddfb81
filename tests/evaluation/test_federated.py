"""The simulated federated fit: what it says, how it orders, and, in the long tier, the worlds of the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset, planted_world
from palate.errors import DataError, OptionError
from palate.evaluation.federated import parts_of, simulate, split

INF = float("inf")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_world(users=300, items=40, rng=np.random.default_rng(0)).dataset


@pytest.fixture(scope="module")
def documents(data: Dataset) -> dict[float, dict]:
    return {epsilon: simulate(data, epsilon=epsilon, encoder="none") for epsilon in (INF, 10.0, 1.0)}


def test_without_noise_it_comes_close_to_the_central_fit_and_noise_costs(documents: dict[float, dict]) -> None:
    free = documents[INF]
    assert free["central"]["rmse"] <= free["rmse"] < free["private_means"]["rmse"]
    gap = free["private_means"]["rmse"] - free["central"]["rmse"]
    assert free["rmse"] - free["central"]["rmse"] < 0.3 * gap
    assert free["ndcg@10"] > free["private_means"]["ndcg@10"]
    assert free["rmse"] < documents[10.0]["rmse"] < documents[1.0]["rmse"]
    assert documents[10.0]["private_means"]["rmse"] < documents[1.0]["private_means"]["rmse"]
    assert documents[1.0]["central"] == free["central"]


def test_the_document_says_what_was_measured(data: Dataset, documents: dict[float, dict]) -> None:
    one = documents[10.0]
    assert {"epsilon": 10.0, "delta": 1e-5, "rounds": 12, "clients": 300, "items": 40}.items() <= one.items()
    assert documents[INF]["epsilon"] is None  # infinity is not JSON
    assert simulate(data, epsilon=10.0, encoder="none") == one
    fewer = simulate(data, epsilon=10.0, clients=100, encoder="none", rounds=2)
    assert (fewer["clients"], fewer["rounds"]) == (100, 2)
    assert fewer["held_out"] < one["held_out"]


def test_too_few_answers_publish_means_alone(documents: dict[float, dict]) -> None:
    one = documents[1.0]
    assert (one["form"], documents[INF]["form"]) == ("means", "factors")
    assert (one["rmse"], one["ndcg@10"]) == pytest.approx(tuple(one["private_means"].values()), rel=0.05)


def test_likes(data: Dataset) -> None:
    rating = pl.col("rating")
    likes = replace(data, interactions=data.interactions.with_columns((rating >= rating.mean()).cast(pl.Float64)))
    found = simulate(likes, epsilon=INF, encoder="none")
    assert found["kind"] == "like"
    assert found["rmse"] < found["private_means"]["rmse"] < 0.5 + 0.02  # 0.5: a coin


def test_a_split_is_of_each_user_and_loses_nothing(data: Dataset) -> None:
    whole = parts_of(data, clients=None, encoder="none", seed=0)
    together = whole.train + whole.test
    train, test = split(together, np.random.default_rng(1))
    assert (train + test != together).nnz == 0
    assert train.multiply(test).nnz == 0
    counts = np.diff(together.indptr)
    np.testing.assert_array_equal(np.diff(test.indptr), counts // 5)


def test_bad_input(data: Dataset) -> None:
    with pytest.raises(OptionError, match="there are 300 users, not 301"):
        simulate(data, epsilon=3.0, clients=301, encoder="none")
    with pytest.raises(OptionError, match="epsilon"):
        simulate(data, epsilon=0.0, encoder="none")
    with pytest.raises(OptionError, match="delta"):
        simulate(data, epsilon=3.0, delta=2.0, encoder="none")
    events = data.interactions.with_columns(pl.lit(None, pl.Float64).alias("rating"), pl.lit("play").alias("event"))
    with pytest.raises(DataError, match="no ratings"):
        simulate(replace(data, interactions=events), epsilon=3.0, encoder="none")
    alike = data.interactions.with_columns(pl.lit(3.0).alias("rating"))
    with pytest.raises(DataError, match=r"all .* ratings are 3"):
        simulate(replace(data, interactions=alike, scale=None), epsilon=3.0, encoder="none")
    with pytest.raises(DataError, match="none can be held out"):
        simulate(replace(data, interactions=data.interactions.unique("user_id")), epsilon=3.0, encoder="none")


@pytest.mark.long
def test_the_order_of_the_results_on_a_world_of_10_000_users(shared_data: Callable[[str], Path]) -> None:
    """Noise costs, more of it more; text helps at every ε; and tastes are worth more than means at all of them."""
    shared_data("movielens-100k")
    from benchmarks._federated_worlds import world
    from benchmarks.federated import EPSILONS, base, fitted
    from palate.evaluation.federated import judge, judge_central

    parts = world(base(), 10_000, 0).parts
    central = judge_central(parts, seed=0)["rmse"]
    with_text = [judge(fitted(parts, epsilon, 0), parts)["rmse"] for epsilon in EPSILONS]
    bare = replace(parts, content=None)
    without = [judge(fitted(bare, epsilon, 0), bare)["rmse"] for epsilon in EPSILONS]
    means = [judge(fitted(parts, epsilon, 0, "means"), parts)["rmse"] for epsilon in EPSILONS]
    assert [central, *with_text] == sorted([central, *with_text])
    assert without == sorted(without)
    for own, bare_own, mean in zip(with_text, without, means, strict=True):
        assert own < bare_own and own < mean
