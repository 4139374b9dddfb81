"""Pools for the tests of the general strategies."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from palate.acquisition.pool.pool import Pool


def three(labelled: int = 0) -> Pool:
    """Three candidates, two classes, two draws: A is a coin in every draw, B certain in each and never the same, C near
    certain. The labelled lie at the origin, are of class 1 and are predicted (½, ½)."""
    a, b, c = [[0.5, 0.5]] * 2, [[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.7, 0.3]]
    samples = np.array([a, b, c]).transpose(1, 0, 2)
    features = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    labels = np.ones(labelled, dtype=np.intp)
    return Pool(samples, features, np.zeros((labelled, 2)), labels, np.full((2, labelled, 2), 0.5))


def drawn(draws: int = 4, n: int = 30, classes: int = 3, size: int = 5, labelled: int = 6, seed: int = 0) -> Pool:
    """A pool of a linear softmax model with uncertain weights."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n + labelled, size))
    weights = rng.normal(size=(size, classes)) + 0.5 * rng.normal(size=(draws, size, classes))
    samples = softmax(features @ weights, axis=2)
    labels = rng.integers(classes, size=labelled)
    return Pool(samples[:, :n], features[:n], features[n:], labels, samples[:, n:])


def blobs(labelled: int = 0, *, of_each: int = 20, seed: int = 0) -> Pool:
    """Two far groups of candidates, predicted (½, ½); the labelled lie in the first and are of class 0."""
    rng = np.random.default_rng(seed)
    features = rng.normal(scale=0.1, size=(2 * of_each + labelled, 2))
    features[of_each : 2 * of_each] += 10.0
    half = np.full((2, 2 * of_each + labelled, 2), 0.5)
    known = np.zeros(labelled, dtype=np.intp)
    n = 2 * of_each
    return Pool(half[:, :n], features[:n], features[n:], known, half[:, n:])
