"""Vectors as whole numbers modulo 2⁶⁴, in units of 2⁻²⁰: their sum is the same to the bit in any order and grouping.

Masks of a secure sum cancel exactly there, and the low bits of a float, which can betray what was added (Mironov, *On
significance of the least significant bits for differential privacy*, CCS 2012), are gone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import OptionError
from palate.errors.checks import number

Words = NDArray[np.uint64]  # two's complement

SCALE = 2.0**20
MAX_BOUND = 1024.0  # squares of whole numbers within it add up below 2⁶³


def quantise(vector: Array, bound: float) -> Words:
    """A vector in whole units, shortened so that its Euclidean length *after* rounding is at most the bound.

    Args:
        vector: Any, (n,). One that holds NaN or an infinity says nothing and becomes zeros.
        bound: From 0 to ``MAX_BOUND``.
    Raises:
        OptionError: If the bound is outside.
    """
    if number(bound, "bound", least=0.0) > MAX_BOUND:
        raise OptionError(f"bound is {bound:g}. Give at most {MAX_BOUND:g}.")
    vector = np.asarray(vector, dtype=np.float64)
    largest = float(np.abs(vector).max(initial=0.0))
    if not 0.0 < largest < math.inf:  # false for NaN too
        return np.zeros(vector.shape, dtype=np.uint64)
    unit = vector / largest  # first, since squares of large numbers overflow
    exact = unit * (min(largest, bound / float(np.linalg.norm(unit))) * SCALE)
    whole, limit = np.rint(exact).astype(np.int64), int(bound * SCALE) ** 2
    if _squares(whole) > limit:
        whole = np.trunc(exact).astype(np.int64)
    while _squares(whole) > limit:  # by the rounding of the division alone
        whole -= np.sign(whole)
    return whole.view(np.uint64)


def encode(vector: Array) -> Words:
    """A sum that is already bounded, in whole units."""
    return np.rint(np.asarray(vector) * SCALE).astype(np.int64).view(np.uint64)


def decode(total: Words) -> Array:
    """The numbers that a sum stands for."""
    return np.asarray(total, dtype=np.uint64).view(np.int64) / SCALE


def _squares(whole: NDArray[np.int64]) -> int:
    return int(whole @ whole)
