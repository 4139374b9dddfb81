"""A mean with an interval from few labels by people and a prediction of every item, such as the share of a class.

Which items people label is drawn, each with its own probability: more often where the prediction is thought to be far
off. What is added up is unbiased however bad the predictions are,

    θ = mean of  λ f + μ + (y − λ f − μ) ξ / π

with the prediction f, the label y where ξ = 1, and the probability π of that. λ and μ are those of least variance:
where the predictions say nothing λ is 0, and the interval is that of the labels alone.

References:
    Angelopoulos, Duchi, Zrnic, PPI++: efficient prediction-powered inference, 2023, arXiv:2311.01453; Zrnic, Candès,
    Active statistical inference, ICML 2024; μ as in the generalised regression estimator: Cassel, Särndal, Wretman,
    Some results on generalized difference estimation, Biometrika 63, 1976.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from palate.arrays import Array, Mask
from palate.errors import DataError, OptionError
from palate.errors.checks import share

FLOOR = 0.1  # of what each would be drawn with if all were alike: an error that was thought to be 0 is found, too
FEWEST = 10  # labels, below which an interval says nothing


class Estimate(NamedTuple):
    """A mean, and where it lies with the probability that was asked for.

    Attributes:
        labels: By people.
        multiplier: Labels drawn alike, without predictions, that would have told as much, to one of these.
    """

    mean: float
    low: float
    high: float
    labels: int
    multiplier: float


def inclusion(errors: npt.ArrayLike, labels: float, *, floor: float = FLOOR) -> Array:
    """With which probability each item is to be labelled, for so many labels to be expected, (N,).

    In proportion to the root of the squared error that is expected, which is best for the mean.

    Args:
        errors: Expected squared error of each prediction, such as p (1 − p), at least 0, (N,).
        floor: Of the same probability for all, that each has at least.
    """
    expected = _vector(errors, "errors")
    if (expected < 0.0).any() or not 0.0 < labels <= len(expected):
        raise OptionError(
            f"{labels} labels of {len(expected)} items: give errors from 0, and no more labels than items."
        )
    alike, root = labels / len(expected), np.sqrt(expected)
    chance = np.full(len(root), alike)
    low, high = 0.0, float(len(root) / max(root[root > 0.0].min(initial=np.inf), 1e-300)) if root.any() else 0.0
    for _ in range(200 if root.any() else 0):  # the scale at which the clipped chances add up
        scale = (low + high) / 2.0
        chance = np.clip(scale * root, share(floor, "floor") * alike, 1.0)
        low, high = (scale, high) if chance.sum() < labels else (low, scale)
    return chance


def drawn(chances: npt.ArrayLike, *, rng: np.random.Generator) -> Mask:
    """Which are labelled, each by itself with its probability, (N,)."""
    chance = _vector(chances, "chances")
    return rng.random(len(chance)) < chance


def mean_of(
    predictions: npt.ArrayLike,
    labels: npt.ArrayLike,
    asked: npt.ArrayLike,
    chances: npt.ArrayLike,
    *,
    doubt: float = 0.1,
) -> Estimate:
    """The mean label of what the items are a sample of.

    Args:
        predictions: Of all items, (N,); of the share of a class the chance of it, or 0 and 1.
        labels: By people, (N,); only those of which they were asked are looked at.
        asked: Which those are (:func:`drawn`), (N,).
        chances: With which each was drawn, whatever came of it, in (0, 1], (N,).
        doubt: Probability with which the interval misses, nearly.
    Raises:
        DataError: If the arrays do not match, one who was asked has no label, or fewer than ten have one.
        OptionError: If a chance or the doubt is out of range.
    """
    from scipy.stats import t

    f, y = _vector(predictions, "predictions"), np.asarray(labels, dtype=np.float64)
    chance, is_asked = _vector(chances, "chances"), np.asarray(asked, dtype=bool)
    n = int(is_asked.sum())
    if not f.shape == y.shape == is_asked.shape == chance.shape or n < FEWEST:
        raise DataError(f"{n} labels of {len(f)} predictions. Give one of each an item, and {FEWEST} labels at least.")
    if not np.isfinite(y[is_asked]).all():
        missing = int((~np.isfinite(y[is_asked])).sum())
        raise DataError(f"{missing} items that were drawn have no label. Ask again: left out, they bend the mean.")
    if not ((chance > 0.0) & (chance <= 1.0)).all() or not 0.0 < doubt < 1.0:
        raise OptionError(f"chances from {chance.min():g}, doubt {doubt!r}. Give chances in (0, 1], a doubt in (0, 1).")
    weight = np.where(is_asked, 1.0 / chance, 0.0)
    seen, off = np.where(is_asked, y, 0.0) * weight, weight - 1.0
    alone, alone_error = _adjusted(seen, off[:, None])
    found, error = _adjusted(seen, np.column_stack([off, off * f]))
    if alone_error <= error:  # by chance, of few
        found, error = alone, alone_error
    reach = float(t.ppf(1.0 - doubt / 2.0, n - 2)) * error
    alike = float(_variance(y, weight) / n)
    return Estimate(found, found - reach, found + reach, n, alike / error**2 if error > 0.0 else np.inf)


def _variance(y: Array, weight: Array) -> float:
    """Of a label, from those drawn, by one over their chances."""
    some = weight > 0.0
    mean = np.average(y[some], weights=weight[some])
    return float(np.average((y[some] - mean) ** 2, weights=weight[some]))


def _adjusted(seen: Array, controls: Array) -> tuple[float, float]:
    """Mean and standard error of ``seen`` less what controls, whose mean is known to be 0, explain of it."""
    centred = controls - controls.mean(0)
    by, *_ = np.linalg.lstsq(centred, seen - seen.mean(), rcond=None)
    left = seen - controls @ by
    return float(left.mean()), float(np.sqrt(left.var(ddof=1 + controls.shape[1]) / len(left)))


def _vector(given: npt.ArrayLike, name: str) -> Array:
    found = np.asarray(given, dtype=np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise DataError(
            f"{name} have the shape {found.shape}, or hold what is no number. Give one finite number an item."
        )
    return found
