"""Label where a regression expects the model's loss to be large, learnt from the losses on what is labelled."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.information import entropy
from palate.acquisition.pool import Array, Pool


def learning_loss(pool: Pool, *, rng: np.random.Generator, precision: float = 1.0) -> Array:
    r"""Expected log loss of the candidate's prediction in nats, (N,), by ridge regression on labelled rows. O(E).

    .. math:: \hat \ell(x) = \beta_0 + \beta^\top [x, H(\bar p)], \qquad
        \text{fitted to } \ell_l = -\log \bar p_l(y_l)

    The paper trains a module beside a network, on its features; here the features are frozen, so that the module is
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
