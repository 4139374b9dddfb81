"""A table of ratings small enough to work out by hand, as candidates for one user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import Candidates, Given, Population
from palate.posteriors import likelihoods
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Kind
from palate.posteriors.taste import Taste

NONE = -9.0
#   item:     A     B     C     D     E
FOUR = (
    (1.0, 4.0, 1.0, NONE, NONE),
    (2.0, 4.0, NONE, 3.0, NONE),
    (3.0, 1.0, 2.0, NONE, NONE),
    (4.0, 1.0, NONE, NONE, NONE),
)


def offered(
    ratings: Sequence[Sequence[float]] = FOUR,
    *,
    levels: Sequence[float] = (1.0, 2.0, 3.0, 4.0),
    level: float | np.ndarray = 2.0,
    factors: np.ndarray | None = None,
    kind: Kind = "gaussian",
    noise: float = 1.0,
    rated: Sequence[int] = (),
    given: Sequence[float] = (),
) -> Candidates:
    """Everything in the table; without factors the model predicts ``level`` for everything and everybody."""
    table = np.array(ratings)
    n_items = table.shape[1]
    factors = np.zeros((n_items, 1)) if factors is None else factors
    means = np.concatenate([np.broadcast_to(level, n_items)[:, None], factors], 1)
    size = means.shape[1]
    items = Items.build(means, np.zeros((n_items, size, size)), np.full(n_items, noise))
    cells = np.nonzero(table != NONE)
    answers = sparse.csr_matrix((table[cells], cells), shape=table.shape)
    population = Population(answers, np.array(levels), Taste.build(items, likelihoods.named(kind)))
    shares = (table[:, :, None] == np.array(levels)).sum(0) / np.maximum(population.counts, 1.0)[:, None]
    candidates = Candidates.of_all(population, shares, targets=np.full(n_items, 1.0 / n_items))
    asked = Given(np.array(rated, dtype=np.intp), np.array(given, dtype=np.float64))
    return replace(candidates, given=asked)
