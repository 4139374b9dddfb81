"""The compiled loop of :mod:`palate.ranking.shortlist`: bounds of the scores of a whole catalogue, in one pass.

Items lie in blocks of BLOCK, a block with its dimensions as rows, (n, D, BLOCK) float32: every inner loop runs over
items. The loop releases the interpreter's lock and takes a range of blocks, so that plain threads share a pass.
Importing this imports Numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

BLOCK = 128
ROWS = 4  # dimensions per step; the number of dimensions is padded to a multiple of it
LOWEST, PER_UNIT = -16.0, 512.0  # where the table of log Φ begins, and its nodes a unit

Single = NDArray[np.float32]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_NONE = np.float32(-np.inf)
_HALF_ROOT = np.int32(0x3F3504F3)  # √½ as bits
_MANTISSA = np.int32(0x007FFFFF)

# Sums may be reordered and there is no NaN, so maxima vectorise too; infinities stay exact.
_FAST = {"contract", "reassoc", "nsz", "arcp", "nnan"}


def _compiled(function: _Function) -> _Function:
    """Compiled at first use, kept on disk; typed as it was."""
    return cast("_Function", numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")(function))


@_compiled
def _add_products(block: Single, vector: Single, out: Single) -> None:
    """Adds the products of a block (D, BLOCK) with a vector (D,), D a multiple of ROWS."""
    for d in range(0, block.shape[0], ROWS):
        w0, w1, w2, w3 = block[d], block[d + 1], block[d + 2], block[d + 3]
        a0, a1, a2, a3 = vector[d], vector[d + 1], vector[d + 2], vector[d + 3]
        for j in range(BLOCK):
            out[j] += w0[j] * a0 + w1[j] * a1 + w2[j] * a2 + w3[j] * a3


@_compiled
def _add_logs(x: Single, weight: float, out: Single) -> None:
    """Adds ``weight · log x`` of normal numbers above 0, and spoils them.

    Exponent, and a polynomial in the mantissa: Moshier, *Methods and Programs for Mathematical Functions*, 1989.
    """
    bits, scale = x.view(np.int32), np.float32(weight)
    for j in range(BLOCK):
        moved = bits[j] - _HALF_ROOT
        exponent = np.float32(moved >> np.int32(23))
        bits[j] = (moved & _MANTISSA) + _HALF_ROOT  # x is in [√½, √2) now
        f = x[j] - np.float32(1.0)
        p = np.float32(7.0376836292e-2) * f - np.float32(1.1514610310e-1)
        p = p * f + np.float32(1.1676998740e-1)
        p = p * f - np.float32(1.2420140846e-1)
        p = p * f + np.float32(1.4249322787e-1)
        p = p * f - np.float32(1.6668057665e-1)
        p = p * f + np.float32(2.0000714765e-1)
        p = p * f - np.float32(2.4999993993e-1)
        p = p * f + np.float32(3.3333331174e-1)
        square = f * f
        log = f + (p * f * square - np.float32(0.5) * square) + exponent * np.float32(0.69314718)
        out[j] += scale * log


@_compiled
def _add_log_chances(z: Single, table: Single, out: Single) -> None:
    """Adds ``log Φ(z)``: between two nodes of the table, below it by the first terms of its series."""
    last = np.float32(len(table) - 2)
    for j in range(BLOCK):
        x = (z[j] - np.float32(LOWEST)) * np.float32(PER_UNIT)
        if x < np.float32(0.0):
            square = z[j] * z[j]
            tail = np.float32(math.log(-z[j])) + np.float32(0.9189385) + np.float32(1.0) / square
            out[j] -= np.float32(0.5) * square + tail
        else:
            x = min(x, last)
            node = int(x)
            out[j] += table[node] + (x - np.float32(node)) * (table[node + 1] - table[node])


@_compiled
def multiply(blocks: Single, vector: Single, first: int, last: int, out: Single, sums: NDArray[np.float64]) -> None:
    """Products of blocks first, ..., last - 1 with a vector, (n · BLOCK,), what is below 0 as 0; a sum a block."""
    for b in range(first, last):
        found = out[b * BLOCK : (b + 1) * BLOCK]
        found[:] = np.float32(0.0)
        _add_products(blocks[b], vector, found)
        total = np.float32(0.0)
        for j in range(BLOCK):
            found[j] = max(found[j], np.float32(0.0))
            total += found[j]
        sums[b] = total


@_compiled
def bound(
    taste: Single,
    of_taste: Single,
    squares: Single,
    noise: Single,
    level: Single,
    least: float,
    most: float,
    exposure: Single,
    of_exposure: Single,
    rate: Single,
    floor: Single,
    of_known: float,
    base: Single,
    evidence: Single,
    of_evidence: Single,
    over_mean: Single,
    table: Single,
    allowed: Any,
    first: int,
    last: int,
    upper: Single,
    tops: Single,
) -> None:
    """Blocks first, ..., last - 1: upper bounds of the scores, (n · BLOCK,), and the largest of each block, (n,).

    Args:
        of_taste: Mean of the belief, (D,); empty where nothing is known of liking.
        least, most: Eigenvalues of its covariance.
        of_known: Weight of log P(know); 0 to leave it out.
        base: What is added to each score, (n · BLOCK,).
        evidence: s of each E(s), (E, n · BLOCK), at least 0, ``of_evidence`` their weights, ``over_mean`` 1 / (c mean).
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    lowest, highest = np.float32(least), np.float32(most)
    value, some = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for b in range(first, last):
        here = slice(b * BLOCK, (b + 1) * BLOCK)
        up, free = upper[here], allowed[here]
        column = base[here]
        for j in range(BLOCK):
            value[j] = column[j]
        for term in range(len(of_evidence)):
            column, scale = evidence[term, here], over_mean[term]
            for j in range(BLOCK):
                some[j] = one + scale * column[j]
            _add_logs(some, of_evidence[term], value)
        if of_known != 0.0:
            at_rate, at_floor = rate[here], floor[here]
            for j in range(BLOCK):
                some[j] = at_rate[j]
            _add_products(exposure[b], of_exposure, some)
            for j in range(BLOCK):
                some[j] = min(max(some[j], at_floor[j]), one)
            _add_logs(some, of_known, value)
        if len(of_taste):
            at_level, at_noise, square = level[here], noise[here], squares[here]
            for j in range(BLOCK):
                some[j] = at_level[j]
            _add_products(taste[b], of_taste, some)
            for j in range(BLOCK):  # the least variance makes most of a mean above 0, the greatest of one below
                variance = at_noise[j] + square[j] * (lowest if some[j] > zero else highest)
                some[j] = some[j] / np.sqrt(variance)
            _add_log_chances(some, table, value)
        best = _NONE
        for j in range(BLOCK):
            up[j] = value[j] if free[j] else _NONE
            best = max(best, up[j])
        tops[b] = best
