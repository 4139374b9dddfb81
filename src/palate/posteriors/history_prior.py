"""What a user's history says of their taste before they answer anything: ``z ~ N(mean + Gᵀ h, Ψ (1 + hᵀ V h))``.

A user without history stays at N(0, I), the marginal of the same model, so the prior is learned after the item factors
and leaves them as they are. History and labels must not be the same events: they would count twice. Where the data has
ratings or events only, each user's first few are the history (:meth:`palate.encoders.histories.history.Log.early`) and
the others the labels, for learning this prior alone. At their use all of a history counts.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.statistics import inverse
from palate.posteriors.taste import Taste

_ROUNDS = 15  # of expectation maximisation; the strength settles within ten


def fit_history(taste: Taste, labels: sparse.csr_matrix, histories: Array) -> LinearPrior | None:
    """The prior of taste given history, by expectation maximisation.

    Args:
        labels: Answers of U users, (U, I), none of which is in the histories.
        histories: Encoded histories, (U, H); a row of zeros is no history.
    Returns:
        The prior, or None where fewer than two users have both a history and labels.
    """
    users = np.flatnonzero(np.abs(histories).any(1) & (np.diff(labels.indptr) > 0))
    if len(users) < 2:
        return None
    histories = histories[users]
    belief = taste.believe(labels[users])
    dim = taste.items.dim
    precision, _ = inverse(belief.covariance)
    pull = np.einsum("nde,ne->nd", precision, belief.mean)
    precision = precision - np.eye(dim)  # what answers say, and of events the unseen zeros, which come to any prior
    prior = LinearPrior.start(np.zeros(dim), np.eye(dim), histories)
    for _ in range(_ROUNDS):
        relevance = np.linalg.inv(prior.covariance)
        covariances, _ = inverse(precision + relevance)
        means = np.einsum("nde,ne->nd", covariances, prior.predict(histories) @ relevance + pull)
        prior, _ = prior.refit(means, covariances.sum(0), histories, 1e-6)
    return prior
