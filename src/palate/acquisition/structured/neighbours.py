"""The users of the population most like one user, by what that user has answered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.population import Given, Population

_SHRINK = 2.0  # ratings in common that an unknown difference counts for


def nearest(population: Population, given: Given, count: int) -> NDArray[np.intp]:
    """Rows of the ``count`` nearest users, nearest first; everybody, in order, where nothing was answered.

    The distance is the mean squared difference of the ratings in common. It is shrunk to that of two strangers, twice
    the variance of all ratings, since an agreement on one item may be chance; equal ones stay in the order of the rows.
    Cost O(ratings of the answered items).
    """
    columns, values = given.rated()
    if len(columns) == 0 or population.n_users <= count:
        return np.arange(population.n_users)
    rated = population.by_item[columns]
    differences = rated.data - np.repeat(values, np.diff(rated.indptr))
    shared = np.bincount(rated.indices, minlength=population.n_users)
    squares = np.bincount(rated.indices, differences**2, minlength=population.n_users)
    strangers = 2.0 * float(population.answers.data.var()) if population.answers.nnz else 0.0
    distance = (squares + _SHRINK * strangers) / (shared + _SHRINK)
    return np.argsort(distance, kind="stable")[:count]
