"""What the prior says of items before any answer to them, of those too that lack what it was fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from palate.arrays import Array
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.prior import Prior


def promised(prior: Prior, content: Array, fitted: Callable[[], Array]) -> tuple[Array, Array]:
    """Prior means (n, A) and covariances (n, A, A) of level and factors.

    Where the prior cannot do without what an item lacks (of models saved before content had blocks), it is what the
    prior says of an item drawn from the catalogue.

    Args:
        content: Of the items, (n, E), NaN where an item lacks something.
        fitted: Gives that of the catalogue.
    """
    means, covariances = prior.predict(content), prior.covariances(content)
    lacking = np.isnan(means).any(1)
    if lacking.any():
        others = fitted()
        said = prior.predict(others)
        means[lacking] = said.mean(0)
        covariances[lacking] = prior.covariances(others).mean(0) + np.cov(said.T, bias=True)
    return means, covariances


def of_answers(prior: Prior, factors: Array, content: Array, counts: Array) -> Prior:
    """The prior of an item that somebody answers about: in its mean an item counts as often as it has answers.

    What people choose to answer about is what they like, so an item's expected answer is above that of the average
    item: by a quarter star on MovieLens.

    Args:
        factors: Level and factors of the fitted items, (I, A).
        content: Of them, (I, E).
        counts: Answers that each has, (I,).
    """
    left = prior.left_out(factors, content) if isinstance(prior, FusedPrior) else factors - prior.predict(content)
    return replace(prior, mean=prior.mean + counts @ left / counts.sum())  # type: ignore[type-var]  # a dataclass
