"""Strategies that learn what to choose."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.special import expit

from palate.acquisition.pool.geometry import nearest
from palate.acquisition.pool.information import entropy, top_two
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.uncertainty import bald
from palate.arrays import Array, Positions

TASKS, TRIES, DRAWS, SEED = 200, 12, 16, 20_170_313  # the regression is part of the strategy, so its seed is fixed


def learnt(pool: Pool, *, rng: np.random.Generator) -> Array:
    """Label what a regression, trained on many small tasks, expects to help most (LAL).

    The expected fall of the error rate on unseen rows, (N,). O(trees). A random forest reads what does not depend on
    the task: the first two probabilities, entropy and information of the prediction, the distance to the nearest label
    over its mean, labels so far, and the pool's mean entropy. It learnt the gain on 200 tasks of two Gaussian classes
    in two dimensions, in each of which twelve labels were tried at a random number of labels; made at the first call,
    which takes seconds, and kept.

    References:
        Konyushkova, Sznitman, Fua, Learning active learning from data, NIPS 2017. arXiv:1703.03365 (LAL, independent).
    """
    return np.asarray(_forest().predict(state(pool)), dtype=np.float64)


def state(pool: Pool) -> Array:
    """What the regression reads, (N, 7)."""
    mean = pool.mean
    first, second = top_two(mean)
    unsure = entropy(mean) / np.log(max(2, pool.n_classes))
    apart = nearest(pool.features, pool.labelled)
    apart = apart / max(float(apart.mean()), 1e-12) if len(pool.labels) else np.ones(len(pool))
    information = bald(pool, rng=np.random.default_rng(0))  # draws nothing
    of_pool = np.broadcast_to([np.log1p(len(pool.labels)), unsure.mean()], (len(pool), 2))
    return np.column_stack([first, second, unsure, information, apart, of_pool])


@cache
def _forest() -> Any:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(SEED)
    tasks = [_task(rng) for _ in range(TASKS)]
    states, gains = (np.concatenate(parts) for parts in zip(*tasks, strict=True))
    forest = RandomForestRegressor(n_estimators=50, min_samples_leaf=5, random_state=SEED)
    return forest.fit(states, gains)


def _task(rng: np.random.Generator) -> tuple[Array, Array]:
    """States of some candidates of a random task and how much labelling each lowered the error, (n, 7) and (n,)."""
    n, centre = 150, rng.normal(size=2) * rng.uniform(0.5, 2.0)
    truth = rng.integers(2, size=n)
    rows = rng.normal(size=(n, 2)) + np.where(truth[:, None] == 1, centre, -centre)
    rows = np.column_stack([rows, np.ones(n)])
    known = rng.permutation(75)[: rng.integers(2, 30)]
    others = np.setdiff1d(np.arange(75), known)
    tried = rng.choice(len(others), TRIES, replace=False)
    weights, spread = _logistic(rows[known], truth[known])
    draws = rng.multivariate_normal(weights, spread, size=DRAWS)

    def samples(x: Array) -> Array:
        yes = expit(draws @ x.T)
        return np.stack([1.0 - yes, yes], -1)

    pool = Pool(samples(rows[others]), rows[others], rows[known], truth[known], samples(rows[known]))
    before = _error(weights, rows[75:], truth[75:])
    after = []
    for item in others[tried]:
        more = np.append(known, item)
        after.append(_error(_logistic(rows[more], truth[more])[0], rows[75:], truth[75:]))
    return state(pool)[tried], before - np.array(after)


def _error(weights: Array, rows: Array, truth: Positions) -> float:
    """Expected share of wrong answers of a model that answers with its own probability: smoother than counting."""
    yes = expit(rows @ weights)
    return float(np.where(truth == 1, 1.0 - yes, yes).mean())


def _logistic(rows: Array, labels: Positions) -> tuple[Array, Array]:
    """Mode and Laplace covariance of logistic regression under a standard normal prior, by Newton's method."""
    weights = np.zeros(rows.shape[1])
    hessian = np.eye(len(weights))
    for _ in range(8):
        yes = expit(rows @ weights)
        hessian = (rows * (yes * (1.0 - yes))[:, None]).T @ rows + np.eye(len(weights))
        weights = weights + np.linalg.solve(hessian, rows.T @ (labels - yes) - weights)
    return weights, np.asarray(np.linalg.inv(hessian))


def learning_loss(pool: Pool, *, rng: np.random.Generator, precision: float = 1.0) -> Array:
    r"""Label where a regression on what is labelled expects a large loss.

    .. math:: \hat \ell(x) = \beta_0 + \beta^\top [x, H(\bar p)], \qquad
        \text{fitted to } \ell_l = -\log \bar p_l(y_l)

    The expected log loss of the candidate's prediction in nats, (N,), by ridge regression on labelled rows. O(E). The
    paper trains a module beside a network, on its features; here the features are frozen, so that the module is
    linear and its solution exact. Where nothing is labelled all scores are 0. The losses should be of predictions that
    have not seen the label: a model that fits its labels perfectly has nothing to teach about its own errors.

    References:
        Yoo, Kweon, Learning loss for active learning, CVPR 2019. arXiv:1905.03677.
    """
    if not len(pool.labels):
        return np.zeros(len(pool))
    known = pool.labelled_samples.mean(0)
    losses = -np.log(np.maximum(known[np.arange(len(pool.labels)), pool.labels], 1e-12))
    rows = np.column_stack([pool.labelled, entropy(known)])
    candidates = np.column_stack([pool.features, entropy(pool.mean)])
    centre = rows.mean(0)
    centred = rows - centre
    # in the space of the labelled, of which there are few: (L, L) instead of (E, E)
    pull = np.linalg.solve(centred @ centred.T + precision * np.eye(len(rows)), losses - losses.mean())
    return np.asarray(losses.mean() + (candidates - centre) @ (centred.T @ pull))
