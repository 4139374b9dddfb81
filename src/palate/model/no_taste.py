"""Where the data shows no taste: what to say, and whether a data set is so before anybody fits it."""

from __future__ import annotations

import numpy as np

from palate.datasets.tables import Dataset
from palate.model.model import Model
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.sweeps import FitOptions

_DIM, _SWEEPS = 2, 20
_FEWEST, _MOST = 1_000, 200_000  # answers: of fewer nothing is said, of more users are drawn


def no_taste(model: Model) -> str | None:
    """What to tell whoever uses a model that found none; None where it found some."""
    return None if model.taste.items.dim else sentence(model.answers.nnz)


def sentence(answers: int) -> str:
    """What to say of so many answers that show none."""
    return f"no taste found in {answers:,} answers: lists are by popularity and content"


def no_taste_in(data: Dataset, *, seed: int = 0) -> str | None:
    """The same of ratings that are not fitted yet, by a short fit of few dimensions; None of few ratings too."""
    coded = data.coded()
    if len(coded.values) < _FEWEST:
        return None
    users, items, values = coded.users, coded.items, coded.values
    if len(values) > _MOST:
        order = np.random.default_rng(seed).permutation(len(coded.user_ids))
        few = np.cumsum(np.bincount(users)[order]) <= _MOST
        drawn = np.isin(users, order[few])
        users, items, values = users[drawn], items[drawn], values[drawn]
    rows, columns = (np.unique(codes, return_inverse=True)[1].astype(np.int32) for codes in (users, items))
    answers = Answers.build(rows, columns, values, (int(rows.max()) + 1, int(columns.max()) + 1))
    options = FitOptions(dim=_DIM, sweeps=_SWEEPS)
    found = fit(answers, likelihood=Gaussian(), options=options, rng=np.random.default_rng(seed))
    return None if found.factors.shape[1] > 1 else sentence(len(values))
