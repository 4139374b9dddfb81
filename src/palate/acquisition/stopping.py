"""When to stop asking: by value, and by the criteria of active learning for classifiers, for comparison.

Each is a function of what is known so far, so that a loop keeps the history and nothing else does. ``predictions`` are
the labels that the model gave to one fixed set after each round, oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import entr

from palate.costs import Price
from palate.errors import OptionError


def by_value(values: npt.ArrayLike, price: float) -> bool:
    """Whether no question is worth its price.

    Args:
        values: Expected gain in the value of the slate times the chance of an answer, (I,):
            :func:`palate.acquisition.values` of the strategy ``evoi``, in units of the answers, or of ``evoi-ndcg``.
            -inf is a question that is not open.
        price: Of asking, in the same unit: how much better the slate must get to be worth the trouble.
    Raises:
        OptionError: If the price is not a finite number above 0, or a value is NaN.
    """
    worths = np.asarray(values, dtype=np.float64)
    if np.isnan(worths).any():
        raise OptionError("the value of a question is nan. Give numbers.")
    return bool(worths.max(initial=-np.inf) <= Price(price).cost)


def kappa_average(predictions: Sequence[npt.ArrayLike], *, window: int = 3, least: float = 0.99) -> bool:
    """Whether the predictions of successive rounds agree: mean Cohen's kappa of the last ``window`` pairs ≥ ``least``.

    small-text's criterion of that name looks at the change of kappa instead; this is the paper's.

    References:
        Bloodgood, Vijay-Shanker, A method for stopping active learning based on stabilizing predictions and the need
        for user-adjustable stopping, CoNLL 2009.
    """
    pairs = _last_pairs(predictions, window)
    return len(pairs) == window and float(np.mean([kappa(*pair) for pair in pairs])) >= least


def delta_f(predictions: Sequence[npt.ArrayLike], *, window: int = 3, threshold: float = 0.05) -> bool:
    """Whether the F-measure is forecast to change by less than ``threshold`` in each of the last ``window`` rounds.

    For predictions 0 and 1. Of one round and the next, a are 1 in both, b and c in one of them: 1 − 2a / (2a + b + c).
    small-text counts what is 0 in both as agreement too, which stops earlier where 1 is rare; this is the paper's.

    References:
        Altschuler, Bloodgood, Stopping active learning based on predicted change of F measure for text classification,
        IEEE ICSC 2019.
    """
    pairs = _last_pairs(predictions, window)
    return len(pairs) == window and all(f_change(*pair) < threshold for pair in pairs)


def classification_change(predictions: Sequence[npt.ArrayLike]) -> bool:
    """Whether no prediction changed in the last round.

    References:
        Zhu, Wang, Hovy, Multi-criteria-based strategy to stop active learning for data annotation, COLING 2008.
    """
    pairs = _last_pairs(predictions, 1)
    return len(pairs) == 1 and bool((pairs[0][0] == pairs[0][1]).all())


def overall_uncertainty(probabilities: npt.ArrayLike, *, threshold: float = 0.05) -> bool:
    """Whether the mean entropy of the predictions, as a share of the largest there is, is below ``threshold``.

    Args:
        probabilities: Of each class for each unlabelled example, (N, C), C at least 2.
    Raises:
        OptionError: If there are no such probabilities.
    References:
        Zhu, Wang, Hovy, Multi-criteria-based strategy to stop active learning for data annotation, COLING 2008.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise OptionError(f"the probabilities have shape {table.shape}. Give (N, C) of at least 2 classes.")
    if not ((table >= 0.0) & (table <= 1.0)).all():
        raise OptionError("a probability is not a number from 0 to 1. Give the chance of each class.")
    return not len(table) or bool(entr(table).sum(1).mean() / np.log(table.shape[1]) < threshold)


def confidence_drop(confidences: Sequence[float], *, window: int = 3) -> bool:
    """Whether the model's mean confidence on a fixed set has fallen in each of the last ``window`` rounds.

    References:
        Vlachos, A stopping criterion for active learning, Computer Speech and Language 22(3), 2008.
    """
    _check(window)
    changes = np.diff(np.asarray(confidences, dtype=np.float64))[-window:]
    return len(changes) == window and bool((changes < 0).all())


def no_improvement(uncertainties: Sequence[float], *, window: int = 5, by: float = 0.0) -> bool:
    """Whether the mean uncertainty of the pool is no more than ``by`` below its earlier best in the last rounds.

    Early stopping with a patience of ``window`` rounds, as BaaL's loop is stopped on its uncertainty (Atighehchian et
    al., Bayesian active learning for production, 2020, arXiv:2006.09916).
    """
    _check(window)
    rounds = np.asarray(uncertainties, dtype=np.float64)
    return len(rounds) > window and bool(rounds[-window:].min() >= rounds[:-window].min() - by)


def kappa(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Cohen's kappa of two labellings of the same things; 1 where both give everything the same one label."""
    a, b = np.asarray(first), np.asarray(second)
    labels = np.union1d(a, b)
    agreed = float((a == b).mean())
    by_chance = float(sum((a == label).mean() * (b == label).mean() for label in labels))
    return 1.0 if by_chance == 1.0 else (agreed - by_chance) / (1.0 - by_chance)


def f_change(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Forecast change of the F-measure from one round to the next, in [0, 1]; 0 where neither predicts a 1."""
    a, b = np.asarray(first) == 1, np.asarray(second) == 1
    either = int(a.sum() + b.sum())
    return 1.0 - 2.0 * int((a & b).sum()) / either if either else 0.0


def _last_pairs(
    predictions: Sequence[npt.ArrayLike], window: int
) -> list[tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]]:
    """The last ``window`` pairs of successive rounds, fewer if there were not so many."""
    _check(window)
    rounds = [np.asarray(one) for one in predictions[-window - 1 :]]
    sizes = {one.shape for one in rounds}
    if len(sizes) > 1 or (0,) in sizes:
        predicted = ", ".join(str(one.size) for one in rounds)
        raise OptionError(f"the rounds predict {predicted} things. Predict the same ones each time, at least one.")
    return list(pairwise(rounds))


def _check(window: int) -> None:
    if window < 1:
        raise OptionError(f"the window is {window} rounds. Give at least 1.")
