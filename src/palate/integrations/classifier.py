"""The Bayesian softmax model of labels as a scikit-learn classifier that chooses what to label next."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from palate.acquisition.pool.pool import Pool, PoolStrategy
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.arrays import Array, Positions
from palate.classifiers.softmax import Softmax
from palate.errors import DataError
from palate.errors.checks import count, flag, instance, one_of, positive, several, shown
from palate.integrations.estimator_input import checked, refusing


class PalateClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Bayesian softmax regression (:mod:`palate.classifiers.softmax`), which knows what it does not know: made to
    choose what to label next (:meth:`ask`).

    The prior is on weights, so features should be of about one size: put a ``StandardScaler`` before it. Probabilities
    are those at the mode.

    Args:
        classes: All classes there are, in any order. None: those in ``y``. Needed where the first labels may not name
            all of them.
        prior_variance: s² of a weight, in (1 / feature)².
        fit_intercept: Whether a column of ones is added, with a weight of the same prior.
    Attributes:
        classes_: In the order of the probabilities, (C,).
        softmax_: The :class:`palate.classifiers.softmax.Softmax` of the fit.
        labelled_, labels_: The rows and their classes' positions that the fit was made of, (L, E) and (L,).
    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 3))
        >>> y = np.where(X[:, 0] > 0, "yes", "no")
        >>> model = PalateClassifier(classes=["no", "yes"]).fit(X[:2], y[:2])
        >>> left = np.arange(2, 200)
        >>> for _ in range(10):
        ...     chosen = left[model.ask(X[left], 2, strategy="bald", rng=rng)]
        ...     left = np.setdiff1d(left, chosen)
        ...     _ = model.partial_fit(X[chosen], y[chosen])
        >>> bool(model.score(X, y) > 0.9)
        True
    """

    classes_: NDArray[Any]
    softmax_: Softmax
    labelled_: Array
    labels_: Positions

    def __init__(
        self, *, classes: Iterable[Hashable] | None = None, prior_variance: float = 1.0, fit_intercept: bool = True
    ) -> None:
        self.classes = classes
        self.prior_variance = prior_variance
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> PalateClassifier:
        """The posterior of the weights given these labels.

        Args:
            X: Features, (N, E).
            y: A class each, (N,).
        Raises:
            InvalidInput: If they cannot be taken, name one class only and ``classes`` is not given, or more than 8,192
                weights would be fitted.
        """
        return self._fit(X, y, self.classes)

    def partial_fit(self, X: Any, y: Any, classes: ArrayLike | None = None) -> PalateClassifier:
        """The posterior given all labels so far, old and new. It is exact: the same as :meth:`fit` on all of them, to
        the tolerance of the mode. For that the labelled rows are kept.

        Args:
            X: Features of the new labels, (n, E).
            y: A class each, (n,).
            classes: All classes there are: where this is the first call, and the constructor did not say.
        Raises:
            InvalidInput: If they cannot be taken, or a label is none of the classes.
        """
        if not hasattr(self, "softmax_"):
            return self._fit(X, y, self.classes if classes is None else classes)
        with refusing():
            if classes is not None and set(several(classes, "classes")) != set(self.classes_.tolist()):
                raise DataError(f"classes are {shown(classes)}, and were others before. Give them once, or the same.")
            features, labels = _labelled(self, X, y, reset=False)
            table = np.concatenate([self.labelled_, features])
            codes = np.concatenate([self.labels_, self._codes(labels)])
            self.softmax_ = self.softmax_.refit(self._widened(table), codes)
            self.labelled_, self.labels_ = table, codes
        return self

    def predict_proba(self, X: Any) -> Array:
        """P(class) of each row at the mode, (N, C)."""
        features = self._features(X)
        return self.softmax_.probabilities(self._widened(features))

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row, (N,)."""
        likeliest = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[likeliest])

    def pool(self, X: Any, *, draws: int = 64, rng: np.random.Generator) -> Pool:
        """Rows that may be labelled, as strategies for pools see them, beside all that is labelled.

        Args:
            X: Features, (N, E).
            draws: Of the weights.
        """
        features = self._features(X)
        rows = np.concatenate([features, self.labelled_])
        samples = self.softmax_.samples(self._widened(rows), count(draws, "draws", least=1), rng=rng)
        n = len(features)
        return Pool(samples[:, :n], features, self.labelled_, self.labels_, samples[:, n:])

    def ask(
        self,
        X: Any,
        k: int = 1,
        *,
        strategy: str | PoolStrategy = "margin",
        draws: int = 64,
        rng: np.random.Generator,
    ) -> Positions:
        """Positions of up to ``k`` rows whose labels tell most, best first, (k,).

        Args:
            X: Features of what may be labelled, (N, E). What is labelled already is not left out by itself.
            strategy: A strategy for pools or its name (``palate strategies``).
            draws: Of the weights.
        Raises:
            OptionError: If the strategy is unknown, or k or draws is below 1.
        """
        if not isinstance(strategy, PoolStrategy):
            strategy = POOL_STRATEGIES[one_of(strategy, POOL_STRATEGIES, "the strategy")]
        chosen = instance(rng, np.random.Generator, "rng", "numpy.random.default_rng(0)")
        return strategy.pick(self.pool(X, draws=draws, rng=chosen), count(k, "k", least=1), rng=chosen).items

    def _fit(self, X: Any, y: Any, classes: Any) -> PalateClassifier:
        with refusing():
            features, labels = _labelled(self, X, y, reset=True)
            self.classes_ = np.unique(labels if classes is None else np.array(several(classes, "classes")))
            if len(self.classes_) < 2:
                names = ", ".join(map(str, self.classes_)) or "none"
                raise DataError(
                    f"y or classes name {len(self.classes_)} class(es): {names}. Label another, or name all in classes."
                )
            variance = positive(self.prior_variance, "prior_variance")
            self.labelled_, self.labels_ = features, self._codes(labels)
            codes = range(len(self.classes_))
            self.softmax_ = Softmax.fit(self._widened(features), self.labels_, codes, variance)
        return self

    def _features(self, X: Any) -> Array:
        check_is_fitted(self)
        with refusing():
            return np.asarray(checked(self, X, reset=False, dtype=np.float64))

    def _widened(self, features: Array) -> Array:
        ones = np.ones((len(features), 1 if flag(self.fit_intercept, "fit_intercept") else 0))
        return np.concatenate([features, ones], axis=1)

    def _codes(self, labels: NDArray[Any]) -> Positions:
        codes = np.searchsorted(self.classes_, labels)
        wrong = np.flatnonzero(self.classes_[np.minimum(codes, len(self.classes_) - 1)] != labels)
        if len(wrong):
            raise DataError(f"label '{labels[wrong[0]]}' is none of the classes. Name all of them in classes.")
        return np.asarray(codes, dtype=np.intp)


def _labelled(estimator: PalateClassifier, X: Any, y: Any, *, reset: bool) -> tuple[Array, NDArray[Any]]:
    if y is None:
        raise DataError("requires y to be passed, but the target y is None. Give a class a row.")
    features, labels = checked(estimator, X, y, reset=reset, dtype=np.float64)
    check_classification_targets(labels)
    return features, labels
