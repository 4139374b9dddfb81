"""How well content alone tells the answers to items, had they never been rated: two contents beside each other.

Items are held out with all their answers. People and the other items are fitted without content; then, people as they
are, each content gets its own prior (:func:`palate.posteriors.collapsed_prior.settle`), and both say what the held-out
items' answers are. So nothing differs but the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.collapsed_prior import settle
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import augmented_moments, pack, unpack
from palate.posteriors.supervised_directions import Evidence
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste

_BLOCK = 1_000  # users predicted at a time
_DRAWS = 2_000  # of the bootstrap
_FLOOR = 1e-9  # of the prior's variance


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What is known of people and of n items without any content.

    Attributes:
        items: Their positions, (n,).
        evidence: Of their answers.
        mean: Of the items' level and factors, (A,).
        lower: From the coordinates of the evidence to level and factors, (A, A).
        noise: Of an answer to an item nobody rated.
        users: Beliefs about the U people.
        likelihood: How they answer.
    """

    items: NDArray[np.intp]
    evidence: Evidence
    mean: Array
    lower: Array
    noise: float
    users: Belief
    likelihood: Likelihood

    def prior(self, content: Array, sizes: Sequence[int]) -> FusedPrior:
        """What this content of all items, (I, E), NaN where an item lacks a block, says of level and factors."""
        size, seen = len(self.mean), content[self.items]
        start = FusedPrior.start(np.zeros(size), np.eye(size), seen, sizes)
        settled, _, _ = settle(start, self.evidence.precisions, self.evidence.pulls, seen, _FLOOR)
        moved = settled.transform(self.lower)
        return replace(moved, mean=moved.mean + self.mean)

    def squared_errors(
        self, content: Array, sizes: Sequence[int], held: NDArray[np.intp], values: sparse.csr_matrix
    ) -> Array:
        """Summed squared error of the answers to each held-out item, (h,); of likes, of P(like)."""
        prior, encodings = self.prior(content, sizes), content[held]
        n = len(held)
        items = Items.build(prior.predict(encodings), prior.covariances(encodings), np.full(n, self.noise))
        answers, total = values[:, held].tocsr(), np.zeros(n)
        for start in range(0, answers.shape[0], _BLOCK):
            part = answers[start : start + _BLOCK].tocoo()
            mean, variance = items.predict(self.users.of(slice(start, start + _BLOCK)))
            expected = self.likelihood.expected(mean, variance, items.noise)
            total += np.bincount(part.col, (part.data - expected[part.row, part.col]) ** 2, minlength=n)
        return total


def listen(
    values: sparse.csr_matrix, items: NDArray[np.intp], likelihood: Likelihood, dim: int, rng: np.random.Generator
) -> Heard:
    """Fit people and some items from the answers to those alone, (U, I), without content."""
    answers = Answers(values[:, items].tocsr())
    fitted = fit(answers, likelihood=likelihood, options=FitOptions(dim=dim), rng=rng)
    taste = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise), likelihood)
    users = taste.believe(answers.values)
    lower = np.asarray(np.linalg.cholesky(fitted.prior.covariance))
    return Heard(
        items=items,
        evidence=_evidence(answers.values, users, taste.items, fitted.prior.mean, lower, likelihood),
        mean=fitted.prior.mean,
        lower=lower,
        noise=float(np.median(fitted.noise)),
        users=users,
        likelihood=likelihood,
    )


def _evidence(
    values: sparse.csr_matrix, users: Belief, items: Items, mean: Array, lower: Array, likelihood: Likelihood
) -> Evidence:
    """What the answers, (U, n), say of the items given the users."""
    rows = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
    expected = items.level[values.indices] + np.einsum("nd,nd->n", users.mean[rows], items.factors[values.indices])
    found = likelihood.entries(values.data, lambda: (expected, _variance(values, users, items)))
    seen, told = (
        sparse.csr_matrix((data, values.indices, values.indptr), shape=values.shape).T
        for data in (found.weights, found.weights * found.targets)
    )
    precisions = unpack(seen @ pack(augmented_moments(users.mean, users.covariance))) / items.noise[:, None, None]
    pulls = told @ np.concatenate([np.ones((len(users.mean), 1)), users.mean], 1) / items.noise[:, None]
    pulls = pulls - precisions @ mean
    return Evidence.of(lower.T @ precisions @ lower, pulls @ lower)


def _variance(values: sparse.csr_matrix, users: Belief, items: Items) -> Array:
    """Of ``t · w̃`` of each answer, neither side being known, (N,)."""
    rows, columns = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr)), values.indices
    second = pack(augmented_moments(users.mean, users.covariance) * (2.0 - np.eye(items.dim + 1)))
    doubt = np.einsum("np,np->n", items.spread.values[columns], second[rows])  # built in full: they are few
    factors = items.factors[columns]
    return np.asarray(doubt + np.einsum("nd,nde,ne->n", factors, users.covariance[rows], factors, optimize=True))


def rmse_difference(
    a: Array, b: Array, counts: Array, rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """Two RMSEs, and their difference a − b with its 95 % interval, items drawn with replacement, pairs kept.

    Args:
        a, b: Summed squared errors of each item, (n,).
        counts: Its answers, (n,).
    """
    n = len(counts)
    table = np.stack([a, b, counts], 1)
    drawn = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) @ table for _ in range(_DRAWS)])
    low, high = np.quantile(_difference(drawn), [0.025, 0.975])
    whole = table.sum(0)
    roots = np.sqrt(whole[:2] / whole[2])
    return (float(roots[0]), float(roots[1])), (float(roots[0] - roots[1]), float(low), float(high))


def _difference(sums: Array) -> Array:
    roots = np.sqrt(sums[:, :2] / sums[:, 2:])
    return np.asarray(roots[:, 0] - roots[:, 1])
