"""Three items that four users rated, as candidates for one user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import Candidates, Given, Population
from palate.posteriors import likelihoods
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Kind
from palate.posteriors.taste import Taste

# Their scores hang on draws that fall otherwise for candidates in another order.
# Four users, three items, ratings 1 to 5; nobody rated the third item.
RATINGS = np.array([[5.0, 1.0, 0.0], [5.0, 5.0, 0.0], [1.0, 5.0, 0.0], [1.0, 0.0, 0.0]])


MEANS = np.array([[3.0, 1.0, 0.5], [3.0, -0.8, 0.9], [2.5, 0.3, -1.0]])


def make(kind: Kind = "gaussian", *, asked: list[int] | None = None, answers: list[float] | None = None) -> Candidates:
    """Three items to one user who gave these answers."""
    items = Items.build(MEANS, np.tile(0.04 * np.eye(3), (3, 1, 1)), np.full(3, 1.0 if kind == "probit" else 0.5))
    cells = np.nonzero(RATINGS)
    values = RATINGS[cells] if kind != "probit" else (RATINGS[cells] > 3).astype(float)
    levels = np.array([1.0, 5.0]) if kind != "probit" else np.array([0.0, 1.0])
    matrix = sparse.csr_matrix((values, cells), shape=RATINGS.shape)
    content = np.array([[1.0, 0.0], [3.0, 4.0], [-1.0, 0.0]], dtype=np.float32)
    population = Population(matrix, levels, Taste.build(items, likelihoods.named(kind)), content)
    offered = Candidates.of_all(population, np.zeros((3, 2)), targets=np.full(3, 1 / 3))
    return replace(offered, given=Given(np.array(asked or [], dtype=np.intp), np.array(answers or [])))


def belief_of(mean: float = 0.4) -> Belief:
    return Belief(np.array([mean, -0.3]), np.array([[0.9, 0.3], [0.3, 0.5]]))


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)
