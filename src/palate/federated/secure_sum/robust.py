"""A sum that a few wrong parts cannot move far: of groups of devices (mode B) or of silos (mode A).

Each coordinate's largest and smallest means are left out, as many on either side, and the rest stands for all. Values
that are sorted move no further in total than they moved before, so one user who changes one part by at most C changes
the trimmed sum by at most ``factor · C``: what is left out depends on the data, yet it costs no more than that factor
in the noise, and nothing else has to be budgeted. The cap is a projection onto a ball, which brings no two points
further apart, so it costs nothing.

What it stands, in mode B: hostile devices, whatever they send, in at most a share ``trim`` of the *groups*. What it
does not stand: hostile devices spread over more groups than that, which 20 % of all devices always are; one of them
can spoil its group's sum, and no check of a sum can tell which device it was. A proof of each vector's norm (a range
proof) would be needed; there is none here. In mode A the parts are single silos, each seen and checked, and up to a
share ``trim`` of them may be hostile.

References:
    Yin et al., Byzantine-robust distributed learning: towards optimal statistical rates, ICML 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.arrays import TINY, Array
from palate.errors import OptionError
from palate.errors.checks import number, positive

MAX_TRIM = 0.25  # so that the parts that are kept weigh at most twice their share


class Robust(NamedTuple):
    """A robust sum.

    Attributes:
        total: Of all devices, (length,).
        factor: How much further one user can move it than a plain sum, from 1. The noise grows by it.
    """

    total: Array
    factor: float


def trimmed_sum(values: Array, devices: NDArray[np.intp], *, trim: float, cap: float | None = None) -> Robust:
    """The sum of all parts by the trimmed mean of their devices' means.

    Args:
        values: A sum a part, (parts, length).
        devices: Whose vectors are in each, (parts,).
        trim: Share of the parts that is left out on either side, up to ``MAX_TRIM``; none, and it is the plain sum.
        cap: The norm of no device's vector is larger; a part beyond it is shortened.

    Raises:
        OptionError: If trim or cap is out of range, or the arrays do not go together.
    """
    if number(trim, "trim", least=0.0) > MAX_TRIM:
        raise OptionError(f"trim is {trim:g}. Give at most {MAX_TRIM}.")
    if values.ndim != 2 or devices.shape != values.shape[:1] or not len(devices) or devices.min() < 1:
        raise OptionError(f"values are {values.shape} and devices {devices.shape}. Give a sum and a number a part.")
    means = values / devices[:, None]
    if cap is not None:
        norms = np.linalg.norm(means, axis=1, keepdims=True)
        means = means * np.minimum(1.0, positive(cap, "cap") / np.maximum(norms, TINY))
    out = int(trim * len(means))
    if not out:
        return Robust(devices @ means, 1.0)
    kept = np.sort(means, axis=0)[out:-out]
    n = int(devices.sum())
    return Robust(kept.mean(axis=0) * n, n / (int(devices.min()) * len(kept)))
