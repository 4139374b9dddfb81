"""How sure one must be before a prediction may stand for an answer: found on answers held out, never assumed.

References:
    Geifman, El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017 (selection with guaranteed risk);
    Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26,
    1934; Zadrozny, Elkan, Transforming classifier scores into accurate multiclass probability estimates, KDD 2002.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palate.arrays import Array
from palate.errors import OptionError


def upper_limit(wrong: int, n: int, doubt: float) -> float:
    """The share of wrong ones that is not exceeded but with probability ``doubt``, ``wrong`` of ``n`` being wrong."""
    from scipy.stats import beta

    return 1.0 if wrong >= n else float(beta.ppf(1.0 - doubt, wrong + 1, n - wrong))


def certain_from(certainty: npt.ArrayLike, right: npt.ArrayLike, *, error: float, doubt: float = 0.1) -> float:
    """The lowest certainty from which at most a share ``error`` of the predictions is wrong.

    All held-out predictions, the surer half of them, the surest quarter and so on: the largest of these whose share of
    wrong ones is bounded by ``error``. All the bounds hold together with probability ``1 - doubt``, if what is
    predicted later is like what was held out. (Geifman and El-Yaniv bisect instead; that goes wrong where the surest
    few are too few to show anything.)

    Args:
        certainty: Of each held-out prediction, (N,); only the order counts.
        right: Whether it was right, (N,).
    Returns:
        The certainty; infinite where nothing, however certain, can be shown to be that good. With ``doubt`` 0.1 it
        takes 22 predictions without a mistake to show an error under 10 %.
    Raises:
        OptionError: If ``error`` or ``doubt`` is not between 0 and 1, or there are not as many of each.
    """
    for name, share in (("error", error), ("doubt", doubt)):
        if not 0.0 < share < 1.0:
            raise OptionError(f"{name} is {share!r}. Give a share between 0 and 1.")
    sureness, truth = _matched(certainty, right)
    order = np.argsort(-sureness, kind="stable")
    sureness, wrong = sureness[order], np.cumsum(truth[order] == 0.0)
    sizes = _halvings(int(np.isfinite(sureness).sum()), math.log(doubt) / math.log1p(-error))
    for size in sizes:
        last = np.searchsorted(-sureness, -sureness[size - 1], side="right")  # equal certainties go together
        if upper_limit(int(wrong[last - 1]), int(last), doubt / len(sizes)) <= error:
            return float(sureness[size - 1])
    return math.inf


def _halvings(n: int, least: float) -> list[int]:
    """n, n/2, n/4, ... down to the fewest that could show anything."""
    sizes = []
    while n >= least:
        sizes.append(n)
        n //= 2
    return sizes


@dataclass(frozen=True, slots=True)
class Isotonic:
    """From a score to the share of cases in which it came true: a rising curve, linear between its knots.

    Attributes:
        scores: Ascending, (K,).
        shares: Not falling, in [0, 1], (K,).
    """

    scores: Array
    shares: Array

    @classmethod
    def fit(cls, score: npt.ArrayLike, happened: npt.ArrayLike) -> Isotonic:
        """Least squares under the order (pool adjacent violators).

        Args:
            score: Higher for what is more likely, (N,).
            happened: 0 or 1, (N,).
        """
        from scipy.optimize import isotonic_regression

        scores, truth = _matched(score, happened)
        knots, at = np.unique(scores, return_inverse=True)
        counts = np.bincount(at).astype(np.float64)
        means = np.bincount(at, weights=truth) / counts
        return cls(knots, np.asarray(isotonic_regression(means, weights=counts).x))

    def __call__(self, score: npt.ArrayLike) -> Array:
        """Probabilities, of the shape of ``score``."""
        return np.interp(np.asarray(score, dtype=np.float64), self.scores, self.shares)


@dataclass(frozen=True, slots=True)
class Platt:
    """From a certainty to the probability of being right, ``1 / (1 + exp(-(a + b · certainty)))`` with b at least 0.

    Two numbers can be learnt from a few answers, and reach beyond the surest of them, where :func:`certain_from` can
    show nothing: an estimate, not a bound. Platt, Probabilistic outputs for support vector machines, in Advances in
    large margin classifiers, 1999; its targets, drawn in by one answer of each kind, keep few answers from certainty.
    """

    offset: float
    slope: float

    @classmethod
    def fit(cls, certainty: npt.ArrayLike, right: npt.ArrayLike) -> Platt:
        """Most likely offset and slope.

        Args:
            certainty: Of each held-out prediction, (N,), finite.
            right: Whether it was right, (N,).
        """
        from scipy.optimize import minimize

        sureness, truth = _matched(certainty, right)
        n_right, n_wrong = truth.sum(), len(truth) - truth.sum()
        target = np.where(truth > 0.5, (n_right + 1.0) / (n_right + 2.0), 1.0 / (n_wrong + 2.0))
        centre, scale = sureness.mean(), max(float(sureness.std()), 1e-12)
        x = (sureness - centre) / scale

        def loss(parameters: Array) -> tuple[float, Array]:
            z = parameters[0] + parameters[1] * x
            slip = 1.0 / (1.0 + np.exp(-z)) - target
            return float((np.logaddexp(0.0, z) - target * z).sum()), np.array([slip.sum(), slip @ x])

        offset, slope = minimize(loss, np.zeros(2), jac=True, bounds=[(None, None), (0.0, None)]).x
        return cls(float(offset - slope * centre / scale), float(slope / scale))

    def __call__(self, certainty: npt.ArrayLike) -> Array:
        """Probabilities, of the shape of ``certainty``; 0 at -inf."""
        sureness = np.asarray(certainty, dtype=np.float64)
        with np.errstate(invalid="ignore"):  # 0 · -inf, replaced below
            chance = 1.0 / (1.0 + np.exp(-np.clip(self.offset + self.slope * sureness, -700.0, 700.0)))
        return np.where(sureness == -np.inf, 0.0, chance)


def _matched(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Array, Array]:
    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 1 or not left.size or np.isnan(left).any():
        raise OptionError(
            f"shapes {left.shape} and {right.shape}: give one certainty, a number, and one truth a held-out answer."
        )
    return left, right
