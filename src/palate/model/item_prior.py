"""What the prior says of items before any answer to them, of those too that lack what it was fitted on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.arrays import Array
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
