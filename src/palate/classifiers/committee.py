"""A belief made of any model that can be sampled: committees of scikit-learn estimators; ensembles as Gaussian beliefs.

Classification gives class probabilities of T members, (T, N, C). Regression gives T predictions a row, (T, N), and
those *are* a Gaussian belief of :mod:`palate.posteriors.taste`, whatever the model was: with

    z ~ N(0, I_T),    b_i = mean_t f_t(x_i),    w_ti = (f_t(x_i) − b_i) / sqrt(T − 1),

``w_i · w_j`` is the ensemble's covariance of two predictions, so variance, BALD, A-optimal, EPIG and exact greedy
batches serve it unchanged. The networks are in :mod:`palate.classifiers.networks`.

References:
    Breiman, *Bagging predictors*, Machine Learning 24, 1996; Seung, Opper, Sompolinsky, *Query by committee*, COLT
    1992; for the belief, Evensen, *The ensemble Kalman filter*, Ocean Dynamics 53, 2003.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.arrays import Array
from palate.classifiers.inputs import as_classes, as_codes, as_features, as_values, same_length
from palate.errors import DataError, OptionError
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread

_LEAST_NOISE = 0.01  # of the squared error out of bag: some of it is always noise


def ensemble_belief(predictions: ArrayLike, noise: ArrayLike) -> tuple[Belief, Items]:
    """The Gaussian belief that T predictions of each of N rows stand for: taste has T dimensions, a row is an item.

    Args:
        predictions: (T, N), at least two members; a column is the same row under each.
        noise: Variance of an answer around what is truly so, one number or one a row, (N,); see :func:`answer_noise`.
    Raises:
        DataError: If there are fewer than two members or a prediction is not finite.
        OptionError: If a noise is not positive.
    """
    table = as_features(predictions)  # a member a row
    members, rows = table.shape
    if members < 2:
        raise DataError(f"{members} member cannot disagree. Give the predictions of at least 2.")
    variance = np.broadcast_to(np.asarray(noise, dtype=np.float64), rows)
    wrong = variance[~((variance > 0.0) & (variance < np.inf))]
    if len(wrong):
        raise OptionError(f"noise is {wrong[0]}. Give a positive variance.")
    level = table.mean(0)
    factors = np.ascontiguousarray((table - level).T) / np.sqrt(members - 1)
    known = Spread("isotropic", np.zeros((rows, 1)))  # the members are what is uncertain, the factors are not
    return Belief(np.zeros(members), np.eye(members)), Items(level, factors, known, variance.copy())


def answer_noise(predictions: ArrayLike, values: ArrayLike) -> float:
    """Variance of answers around the truth, from rows whose answers the members have not seen.

    The mean squared error of the members' mean is noise plus what they do not know yet; the latter is taken off as
    their variance, counted once for the truth and 1 / T for the mean. At least a hundredth of the error is left.

    Args:
        predictions: (T, N); NaN where a member was fitted to that row.
        values: The answers, (N,).
    Raises:
        DataError: If no row has predictions of two members that have not seen it.
    """
    table, truth = np.asarray(predictions, dtype=np.float64), as_values(values)
    unseen = np.isfinite(table)
    count = unseen.sum(0)
    rows = count >= 2
    if not rows.any():
        raise DataError(f"none of {len(truth)} rows is unseen by 2 of {len(table)} members. Give more rows or members.")
    count, unseen, table = count[rows], unseen[:, rows], np.where(unseen, table, 0.0)[:, rows]
    mean = table.sum(0) / count
    unknown = (np.where(unseen, table - mean, 0.0) ** 2).sum(0) / (count - 1)
    error = float(((truth[rows] - mean) ** 2).mean())
    least = np.finfo(np.float64).eps * float((truth**2).mean()) + np.finfo(np.float64).tiny
    return max(error - float((unknown * (1.0 + 1.0 / count)).mean()), _LEAST_NOISE * error, least)


@dataclass(frozen=True, slots=True)
class Committee:
    """Estimators of scikit-learn's kind, each fitted to a bootstrap draw of the labels with a seed of its own.

    Attributes:
        members: The fitted estimators; None stands for a draw with one class or no label at all.
        classes: Names of the classes in the order of the probabilities; empty when values are predicted.
        counts: Labels of each class that each member has seen, (T, C).
        noise: Variance of an answer around the truth, out of bag; 0 for classifiers.
    """

    members: tuple[Any, ...]
    classes: tuple[Hashable, ...]
    counts: Array
    noise: float = 0.0

    @classmethod
    def fit(
        cls,
        estimator: Any,
        features: ArrayLike,
        labels: Sequence[Hashable] | NDArray[np.generic],
        classes: Iterable[Hashable],
        *,
        members: int = 10,
        rng: np.random.Generator,
    ) -> Committee:
        """Classifiers. A draw may lack a class, and there may be no label at all.

        Args:
            estimator: Unfitted, with ``predict_proba``; it is cloned, never fitted itself.
            features: (N, E).
            labels: One of ``classes`` each, (N,).
            classes: All there are.
        """
        if not hasattr(estimator, "predict_proba"):
            raise OptionError(
                f"{type(estimator).__name__} has no predict_proba. Wrap it in scikit-learn's CalibratedClassifierCV."
            )
        known, table = as_classes(classes), as_features(features)
        codes = as_codes(labels, known)
        same_length(table, codes)
        draws = _bootstrap(len(table), members, rng)
        fitted = tuple(
            _fitted(estimator, table[draw], codes[draw], rng) if len(np.unique(codes[draw])) > 1 else None
            for draw in draws
        )
        counts = np.stack([np.bincount(codes[draw], minlength=len(known)) for draw in draws])
        return cls(fitted, known, counts.astype(np.float64))

    @classmethod
    def fit_values(
        cls, estimator: Any, features: ArrayLike, values: ArrayLike, *, members: int = 10, rng: np.random.Generator
    ) -> Committee:
        """Regressors, and the noise of the answers from the rows that members have not drawn.

        Raises:
            DataError: If there are so few rows that none is unseen by two members.
        """
        table, truth = as_features(features), as_values(values)
        same_length(table, truth)
        if not len(truth):
            raise DataError("there is no value to learn from: 0 rows. Give at least 2.")
        draws = _bootstrap(len(table), members, rng)
        fitted = tuple(_fitted(estimator, table[draw], truth[draw], rng) for draw in draws)
        predicted = np.stack([member.predict(table) for member in fitted]).astype(np.float64)
        for row, draw in zip(predicted, draws, strict=True):
            row[draw] = np.nan
        return cls(fitted, (), np.zeros((members, 0)), answer_noise(predicted, truth))

    def samples(self, features: ArrayLike) -> Array:
        """P(class) by each member, (T, N, C).

        By the rule of succession ``(n p + 1) / (n + C)``, with n the labels: a class that no label names is not
        impossible, all the less the fewer there are, and without labels all are equal.
        """
        if not self.classes:
            raise OptionError("this committee predicts values. Use predictions(features) or belief(features).")
        table = as_features(features)
        raw = np.stack([self._raw(t, table) for t in range(len(self.members))])
        n = self.counts.sum(1)[:, None, None]
        return np.asarray((n * raw + 1.0) / (n + len(self.classes)))

    def _raw(self, t: int, features: Array) -> Array:
        """A member's own probabilities over the whole class list."""
        member = self.members[t]
        full: Array = np.zeros((len(features), len(self.classes)))
        if member is None:
            return np.asarray(full + self.counts[t] / max(1.0, self.counts[t].sum()))
        full[:, member.classes_] = member.predict_proba(features)
        return full

    def predictions(self, features: ArrayLike) -> Array:
        """Values predicted by each member, (T, N)."""
        if self.classes:
            raise OptionError("this committee predicts classes. Use samples(features).")
        table = as_features(features)
        return np.stack([np.asarray(member.predict(table), dtype=np.float64) for member in self.members])

    def belief(self, features: ArrayLike) -> tuple[Belief, Items]:
        """:func:`ensemble_belief` of the predictions with the noise out of bag."""
        return ensemble_belief(self.predictions(features), self.noise)


def _bootstrap(n: int, members: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    if members < 2:
        raise OptionError(f"members is {members}. A committee needs at least 2.")
    return [rng.integers(n, size=n) if n else np.zeros(0, dtype=np.intp) for _ in range(members)]


def _fitted(estimator: Any, features: Array, targets: NDArray[Any], rng: np.random.Generator) -> Any:
    """A fitted copy; every ``random_state`` in it, however deep, has a seed of its own."""
    from sklearn.base import clone

    copy = clone(estimator)
    states = [name for name in sorted(copy.get_params()) if name.split("__")[-1] == "random_state"]
    copy.set_params(**{name: int(rng.integers(2**31 - 1)) for name in states})
    return copy.fit(features, targets)
