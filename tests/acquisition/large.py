"""Generated catalogues of any size, and beliefs about one user of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import Candidates
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.population import Population
from palate.posteriors.taste import Taste


def catalogue(items: int, dim: int, *, seed: int = 0, likelihood: Likelihood | None = None) -> Candidates:
    rng = np.random.default_rng(seed)
    factors = rng.normal(0, 0.4, (items, dim))
    spread = Spread("isotropic", rng.uniform(0.01, 0.2, (items, 1)))
    known = Items(rng.normal(size=items), factors, spread, rng.uniform(0.3, 1.5, items))
    q = rng.dirichlet(np.ones(items)) if items else np.zeros(0)
    taste = Taste(known, likelihood or Gaussian(), Belief(np.zeros(dim), np.eye(dim)))
    population = Population(sparse.csr_matrix((0, items)), np.ones(1), taste)
    candidates = Candidates.of_all(population, np.ones((items, 1)), targets=q)
    return replace(candidates, reach=rng.random(items))


def belief_after(answers: int, candidates: Candidates, *, start: np.ndarray | None = None) -> Belief:
    dim = candidates.items.dim
    belief = Belief(np.zeros(dim), np.eye(dim) if start is None else start)
    for item in range(answers):
        belief = candidates.condition(belief, item % len(candidates))
    return belief
