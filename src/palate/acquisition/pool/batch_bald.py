"""Batches by their joint information (BatchBALD)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.geometry import slices
from palate.acquisition.pool.greedy import Chosen, greedy
from palate.acquisition.pool.information import entropy
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array

CONFIGURATIONS = 1024  # joint labels of the earlier choices held exactly; beyond that as many are drawn


def batch_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Label the batch that together tells most about the model's parameters (BatchBALD).

    Greedy maximisation of the joint information, within 1 − 1/e of the best batch:

    .. math:: I(y_{1:b}; \theta) = H[y_{1:b}] - \sum_{i \le b} \tfrac1T \sum_t H[p_{ti}]

    The joint entropy is exact while the earlier choices have at most :data:`CONFIGURATIONS` joint labels, and an
    importance estimate from as many drawn ones after. O(N T C · min(C^b, configurations)) a step.

    References:
        Kirsch, van Amersfoort, Gal, BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
        learning, NeurIPS 2019. arXiv:1906.08158.
    """
    known = entropy(pool.samples).mean(0)  # H given the parameters, (N,)
    joint, exact = np.ones((1, len(pool.samples))), True  # (configurations, T): P_t of each

    def add(items: Chosen) -> None:
        nonlocal joint, exact
        exact = exact and len(joint) * pool.n_classes <= CONFIGURATIONS
        joint = _extended(joint, pool.samples[:, items[-1]]) if exact else _drawn(pool.samples[:, items], rng)

    return greedy(at_most(k, pool), lambda _: _conditional_entropy(pool, joint, exact) - known, add, rng=rng)


def _extended(joint: Array, samples: Array) -> Array:
    """Every configuration with every class of one more choice, samples (T, C)."""
    return np.asarray(joint[:, None, :] * samples.T).reshape(-1, joint.shape[1])


def _drawn(samples: Array, rng: np.random.Generator) -> Array:
    """Configurations of the choices (T, b, C) drawn from their joint distribution, and their P_t, (M, T)."""
    draws, chosen, _ = samples.shape
    under = rng.integers(draws, size=CONFIGURATIONS)
    joint = np.ones((CONFIGURATIONS, draws))
    for place in range(chosen):
        cumulative = samples[under, place].cumsum(1)
        labels = (rng.random((CONFIGURATIONS, 1)) * cumulative[:, -1:] >= cumulative[:, :-1]).sum(1)
        joint *= samples[:, place, labels].T
        joint /= joint.max(1, keepdims=True)  # only ratios within a row count
    return joint


def _conditional_entropy(pool: Pool, joint: Array, exact: bool) -> Array:
    """``H[y_i | y_{1:b-1}]`` of every candidate, (N,): the rest of the joint entropy is the same for all."""
    draws, n, classes = pool.samples.shape
    mass = joint.sum(1, keepdims=True)
    weights = mass / draws if exact else np.full_like(mass, 1.0 / len(mass))  # p(configuration), or the draw's
    given = joint / np.where(mass > 0, mass, 1.0)  # the posterior over the draws
    result = np.zeros(n)
    for rows in slices(n, len(joint) * classes):
        chances = np.tensordot(given, pool.samples[:, rows], axes=(1, 0))  # p(y_i | configuration)
        result[rows] = (weights * entropy(chances)).sum(0)
    return result
