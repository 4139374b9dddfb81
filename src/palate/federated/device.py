"""What a device works out from its own answers and the public model; only the last step of it leaves the device.

The gradient is that of the variational bound in level and factors of each item (Bishop, *Variational principal
components*, ICANN 1999), clipped once over all items, so that its sum is as private as the noise on it (Abadi et al.,
*Deep learning with differential privacy*, CCS 2016), whatever the answers are.

Shapes: I items, D taste dimensions, A = D + 1; t = (1, z) is a taste with a leading one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import TINY, Array
from palate.errors import OptionError
from palate.federated.fixed_point import Words, quantise
from palate.federated.public import MASS_UNIT, MAX_MASS, PublicModel
from palate.posteriors.statistics import augmented_moments

COUNTED = 1.5  # of round 0: an r beyond it counts as that
_MOST = 4.0  # no honest r is further from 0


@dataclass(frozen=True, slots=True)
class DeviceAnswers:
    """What one user has answered, the last answer to each item.

    Attributes:
        items: Positions in the public model, (n,), none twice.
        values: Answers as given, such as stars, (n,). NaN counts as no answer.
    """

    items: NDArray[np.intp]
    values: Array

    def __post_init__(self) -> None:
        items, values = np.asarray(self.items, dtype=np.intp), np.asarray(self.values, dtype=np.float64)
        if items.ndim != 1 or items.shape != values.shape:
            raise OptionError(f"{items.shape} items have {values.shape} answers. Give an answer to each item.")
        if len(np.unique(items)) != len(items):
            raise OptionError(f"{len(items)} answers are to {len(np.unique(items))} items. Give the last one to each.")
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "values", values)


def centred(public: PublicModel, values: Array) -> Array:
    """The r of answers, (n,), as far as an honest one can lie from 0; NaN where there is none."""
    return np.asarray(np.clip((values - public.centre) / public.size, -_MOST, _MOST))


def belief(public: PublicModel, answers: DeviceAnswers) -> tuple[Array, Array]:
    """Mean (D,) and covariance (D, D) of the user's taste.

    What is not known of an item counts as noise of the answers to it, as in :meth:`palate.posteriors.taste.Taste`.
    """
    items, r = _taken(public, answers)
    return _belief(public, items, r)


def round_zero(public: PublicModel, answers: DeviceAnswers) -> Array:
    """Whether each item was answered, and how far above the centre, shared among the user's answers, (2 I,).

    Its length is at most √2 (:attr:`PublicModel.parts`).
    """
    items, r = _taken(public, answers)
    found, each = np.zeros((2, len(public))), 1.0 / np.sqrt(max(len(items), 1))
    found[0, items] = each
    found[1, items] = each * np.clip(r / COUNTED, -1.0, 1.0)
    return found.ravel()


def contribution(public: PublicModel, answers: DeviceAnswers) -> Array:
    """The clipped gradient, (I A,), and after it the mass, the weight of the answers in ``MASS_UNIT``: (I A + 1,).

    All zeros where no answer, or factors too large to work with, give none.
    """
    items, r = _taken(public, answers)
    found = np.zeros(public.factors.size + 1)
    if not len(items):
        return found
    weights = public.item_weights[items]
    with np.errstate(all="ignore"):
        gradient = weights[:, None] * _pulls(public, items, r)
        largest = np.maximum(np.abs(gradient).max(1), TINY)
        lengths = largest * np.linalg.norm(gradient / largest[:, None], axis=1)
        length = float(lengths.max() * np.linalg.norm(lengths / lengths.max()))
    if not np.isfinite(length):
        return found
    shares = np.minimum(min(1.0, public.clip / length), public.item_clip / lengths)
    found[:-1].reshape(public.factors.shape)[items] = shares[:, None] * gradient
    found[-1] = min(float(shares @ weights) / MASS_UNIT, MAX_MASS)
    return found


def _pulls(public: PublicModel, items: NDArray[np.intp], r: Array) -> Array:
    """``r E[t] − E[t tᵀ] w̃`` of each answer, (n, A); NaN where factors are too large to work with."""
    try:
        mean, covariance = _belief(public, items, r)
    except np.linalg.LinAlgError:
        return np.full((len(items), public.dim + 1), np.nan)
    moment = augmented_moments(mean, covariance)
    return np.asarray(r[:, None] * moment[0] - public.factors[items] @ moment)


def upload(public: PublicModel, answers: DeviceAnswers) -> Words:
    """What the device sends for this model, before it is masked: of one length for everybody, each part of it bounded
    as :attr:`PublicModel.parts` says after rounding.
    """
    found = round_zero(public, answers) if public.form == "means" else contribution(public, answers)
    ends = np.cumsum([length for length, _ in public.parts])[:-1]
    parts = zip(np.split(found, ends), public.parts, strict=True)
    return np.concatenate([quantise(part, bound) for part, (_, bound) in parts])


def _taken(public: PublicModel, answers: DeviceAnswers) -> tuple[NDArray[np.intp], Array]:
    """Items answered and r of each, without those that are no number."""
    if len(answers.items) and not 0 <= answers.items.min() <= answers.items.max() < len(public):
        raise OptionError(f"an answer is to no item of the {len(public)} of the public model. Leave it out.")
    r = centred(public, answers.values)
    known = ~np.isnan(r)
    return answers.items[known], r[known]


def _belief(public: PublicModel, items: NDArray[np.intp], r: Array) -> tuple[Array, Array]:
    level, factors = public.factors[items, 0], public.factors[items, 1:]
    weighed = factors / (public.noise + public.variances[items].sum(1))[:, None]
    covariance = np.linalg.inv(np.eye(public.dim) + factors.T @ weighed)
    covariance = (covariance + covariance.T) / 2.0
    return covariance @ (weighed.T @ (r - level)), covariance
