"""A small crowd, and what a strategy asks a user who has answered so much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import Candidates, Given, Population
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste

Array = np.ndarray


RNG = np.random.default_rng(0)


# 6 users, 4 items, -1 is no rating. Items 0 and 1 are loved by the first three and hated by the others; item 2 is loved
# by all who know it; the last nobody knows.
TABLE = [
    [5, 5, 4, -1],
    [5, 4, -1, -1],
    [4, 5, 4, -1],
    [1, 2, -1, -1],
    [2, 1, 4, -1],
    [1, -1, -1, -1],
]


def crowd(table: list[list[float]] | Array = TABLE, factors: Array | None = None, noise: float = 1.0) -> Population:
    known = np.array(table, dtype=float)
    cells = np.nonzero(known >= 0)
    n_items = known.shape[1]
    factors = np.column_stack([np.ones(n_items), np.arange(n_items) / 4]) if factors is None else np.array(factors)
    means = np.column_stack([np.full(n_items, 3.0), factors])
    size = means.shape[1]
    items = Items.build(means, np.zeros((n_items, size, size)), np.full(n_items, noise))
    answers = sparse.csr_matrix((known[cells], cells), shape=known.shape)
    return Population(answers, np.arange(1.0, 6.0), Taste.build(items, Gaussian()))


def offered(population: Population, *given: tuple[int, float]) -> tuple[Belief, Candidates]:
    columns = np.array([column for column, _ in given], dtype=np.intp)
    told = Given(columns, np.array([value for _, value in given], dtype=float))
    n = population.n_items
    candidates = Candidates.of_all(population, np.zeros((n, 5)), targets=np.full(n, 1 / n))
    return population.taste.start, replace(candidates, given=told)


def asked(strategy, population: Population, *given: tuple[int, float]) -> Array:
    return strategy(*offered(population, *given), rng=RNG)
