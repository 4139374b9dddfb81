"""The ``std`` beside a recommendation, scored against the truth of a planted world and against a Gibbs sampler."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sparse
from scipy.special import ndtr

from benchmarks._gibbs import gibbs
from palate import Dataset, Learner
from palate.loop.lists import expectations

USERS, ITEMS, DIM = 200, 100, 2


def planted(rng: np.random.Generator, likes: bool) -> tuple[np.ndarray, sparse.csr_matrix]:
    """What each user would say of each item on average, (U, I), and some answers."""
    latent = rng.normal(0.0, 0.5, ITEMS) + rng.normal(size=(USERS, DIM)) @ rng.normal(0.0, 0.7, (DIM, ITEMS))
    asked = sparse.csr_matrix((rng.random(latent.shape) < 0.25).astype(float))
    said = latent[asked.nonzero()]
    noise = rng.normal(size=len(said))
    asked.data = (said + noise > 0).astype(float) if likes else 3.0 + said + noise
    return (ndtr(latent) if likes else 3.0 + latent), asked


def learner_of(asked: sparse.csr_matrix, likelihood: str) -> Learner:
    users, items = np.repeat(np.arange(USERS), np.diff(asked.indptr)), asked.indices
    table = pl.DataFrame({"user_id": users, "item_id": items, "rating": asked.data})
    ids = pl.col("user_id", "item_id").cast(pl.String).str.zfill(3)
    return Learner.fit(Dataset.from_tables(table.with_columns(ids)), encoder="none", dim=6, likelihood=likelihood)


@pytest.mark.parametrize(("likelihood", "least"), [("gaussian", 0.92), ("probit", 0.88)])
def test_std_covers_the_true_expectation_as_often_as_it_says(likelihood: str, least: float) -> None:
    """Half of it would cover two thirds, twice as much nearly all."""
    inside, squares, ratios = [], [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        truth, asked = planted(rng, likes=likelihood == "probit")
        learner = learner_of(asked, likelihood)
        told = [expectations(learner.model, learner.state(user)) for user in learner.model.user_ids]
        score, std = (np.array(part) for part in zip(*told, strict=True))
        apart = (score - truth) / std
        inside.append(np.abs(apart) <= 1.96)
        squares.append(np.median(apart**2) / 0.4549)  # of a chi-square of one degree
        if likelihood == "gaussian":
            cells = np.divmod(np.arange(truth.size), ITEMS)
            drawn = gibbs(asked, cells, dim=DIM, likelihood="gaussian", sweeps=100, burn=100, rng=rng)
            ratios.append(std.mean() / drawn.std.mean())
    assert least < np.mean(inside) < 0.98
    assert 0.7 < np.mean(squares) < 1.4
    assert all(0.8 < ratio < 1.1 for ratio in ratios)
