"""Palate's own model as one of the rankers: weighted implicit feedback, judged like the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.baselines import Factors, Interactions
from palate.posteriors.answers import Answers
from palate.posteriors.fit import FitOptions, fit
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.taste import Taste


@dataclass(frozen=True)
class Palate:
    """The taste model on events, those against too.

    Attributes:
        confidence: Precision of an event.
        background: Precision of every unseen zero.
        dim: Taste dimensions at the start.
    """

    hears_signs: ClassVar = True
    confidence: float = 18.0
    background: float = 6.0
    dim: int = 32

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> Factors:
        shape = (train.n_users, train.n_items)
        answers = Answers.build(train.users.astype(np.int32), train.items.astype(np.int32), train.values, shape)
        likelihood = Implicit(self.confidence, self.background)
        values, weights = likelihood.observed(answers.values.data)
        heard = Answers(answers.matrix(values), weights)
        fitted = fit(heard, likelihood=likelihood, options=FitOptions(self.dim, sweeps=25), rng=rng)
        taste = Taste.build(Items.build(fitted.factors, fitted.covariances, fitted.noise), likelihood)
        users = taste.believe(answers.values).mean
        level: NDArray[np.float64] = np.concatenate([np.ones((len(users), 1)), users], 1)
        return Factors(level, fitted.factors)


def grid() -> Sequence[Palate]:
    """The settings to try."""
    return [Palate(2.0, 1.0), Palate(8.0, 4.0), Palate(18.0, 6.0), Palate(20.0, 7.0), Palate(24.0, 8.0)]
