"""Pseudo-labels in a pool of texts with few labels: for a classifier of any kind.

A predictor is a function from labelled rows and their classes to the classes and certainties of the whole pool:
:func:`spreading` over the content graph, two views that agree (:func:`palate.oracles.view_agreement.agreed`), or the
classifier's own probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike, NDArray

from palate.arrays import Array
from palate.errors import DataError, OptionError
from palate.oracles.calibration import Platt
from palate.oracles.label_propagation import ALPHA, spread

IntArray = NDArray[np.intp]
Predictor = Callable[[IntArray, IntArray], tuple[IntArray, Array]]


@dataclass(frozen=True, slots=True)
class PoolLabels:
    """What was accepted.

    Attributes:
        rows: Positions in the pool, (m,), the classes by turns, the surest first; none of them has a real label.
        classes: (m,).
        right: Estimated probability that each is right, (m,).
        weight: Of each, a real label being 1: a classifier's ``sample_weight``.
    """

    rows: IntArray
    classes: IntArray
    right: Array
    weight: float


def pool_labels(
    predict: Predictor,
    rows: IntArray,
    classes: IntArray,
    *,
    error: float = 0.1,
    share: float = 4.0,
    weight: float = 0.5,
    folds: int = 5,
    rng: np.random.Generator,
) -> PoolLabels:
    """Labels for the unlabelled of which an estimated share ``error`` at most is wrong.

    Certainties are calibrated on the real labels, each predicted from the others by cross-validation. Few labels
    show no bound: 20 without one mistake leave an error of 10 % possible. So this is Platt's estimate, which on a hard
    task is too hopeful of the few it lets through (docs/lab-notes.md has the figures). The surest of every class are
    taken in the proportions of the real labels, as Blum and Mitchell (1998) do: without that the largest class, of
    which any classifier is surest, takes them all, and the classifier is worse for it.

    Args:
        rows: Labelled rows, (n,).
        classes: Their classes, (n,).
        error: Share of wrong ones; 1 accepts all that is predicted.
        share: At most so many pseudo-labels of a class to one real label of it.
        weight: Of each, in (0, 1).
        folds: Of the cross-validation.
    Raises:
        DataError: If there are fewer labels than folds.
    """
    if not 0.0 <= error <= 1.0 or not share >= 0.0 or not 0.0 < weight < 1.0:
        raise OptionError(
            f"error {error!r}, share {share!r}, weight {weight!r}: give a share of 1, 0 or more, a weight from 0 to 1."
        )
    calibrated = Platt.fit(*_checked(predict, rows, classes, folds, rng))
    said, certainty = predict(rows, classes)
    certainty = certainty.astype(np.float64)
    certainty[rows] = -np.inf
    chosen = _in_turn(said, certainty, classes, share)
    right = calibrated(certainty[chosen])
    good = np.flatnonzero(np.cumsum(right) >= (1.0 - error) * np.arange(1, len(right) + 1))
    accepted = chosen[: good[-1] + 1] if len(good) else chosen[:0]
    return PoolLabels(accepted, said[accepted], right[: len(accepted)], weight)


def _in_turn(said: IntArray, certainty: Array, classes: IntArray, share: float) -> IntArray:
    """Rows in the order to take them: the surest of each class, the classes by turns as often as they are labelled."""
    order = np.argsort(-certainty, kind="stable")[: int((certainty > -np.inf).sum())]
    turn = np.full(len(order), np.inf)
    for one, count in zip(*np.unique(classes, return_counts=True), strict=True):
        of_class = np.flatnonzero(said[order] == one)
        turn[of_class] = np.arange(1, len(of_class) + 1) / count
    return order[np.argsort(turn, kind="stable")][: int((turn <= share).sum())]


def spreading(graph: sparse.csr_matrix, n_classes: int, *, alpha: float = ALPHA) -> Predictor:
    """Label spreading over the content graph, as a predictor."""

    def predict(rows: IntArray, classes: IntArray) -> tuple[IntArray, Array]:
        shares = spread(graph, rows, classes, n_classes=n_classes, alpha=alpha)
        return shares.argmax(1), np.where(shares.any(1), shares.max(1), -np.inf)

    return predict


def logistic(features: ArrayLike, *, options: int, prior_variance: float = 3.0) -> Predictor:
    """A machine that learns a softmax of frozen features, such as an encoder's: as sure as it gives its option.

    Args:
        features: Of all items, in the order of the questions, (N, E); a constant is added.
        options: How many there are.
        prior_variance: Of a weight; features of a length about 1.
    """
    from palate.classifiers.inputs import as_features
    from palate.classifiers.softmax import Softmax

    table = as_features(features)
    table = np.column_stack([table, np.ones(len(table))])

    def machine(rows: IntArray, classes: IntArray) -> tuple[IntArray, Array]:
        chances = Softmax.fit(table[rows], classes, range(options), prior_variance).probabilities(table)
        return chances.argmax(1), chances.max(1)

    return machine


def _checked(
    predict: Predictor, rows: IntArray, classes: IntArray, folds: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """Certainty of each label's prediction without it, and whether that was right."""
    if not 2 <= folds <= len(rows):
        raise DataError(f"{len(rows)} labels cannot be checked in {folds} folds. Give at least 2 folds, a label each.")
    certainty, right = np.empty(len(rows)), np.empty(len(rows), dtype=bool)
    for part in np.array_split(rng.permutation(len(rows)), folds):
        rest = np.setdiff1d(np.arange(len(rows)), part)
        said, sureness = predict(rows[rest], classes[rest])
        certainty[part], right[part] = sureness[rows[part]], said[rows[part]] == classes[part]
    spoken = certainty > -np.inf
    if not spoken.any():
        raise DataError(f"of {len(rows)} labels none can be predicted from the others. Label more of the pool.")
    return certainty[spoken], right[spoken]
