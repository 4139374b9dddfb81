"""The compiled loops of :mod:`palate.acquisition.fast.scorer`: one pass over the catalogue, no matrix of its length.

Items lie in blocks of BLOCK, a block with its dimensions as rows, (n, D, BLOCK) float32: every inner loop then runs
over items, without a sum across a vector register. A block of 64 dimensions is 32 KiB, so all columns but the first
four find it in a near cache, and the next block is asked for while this one is worked on: without that, arithmetic and
memory take turns, and a pass takes half as long again. Columns are taken four at a time: with fewer the block is read
more often, with more the registers run out.

The loops release the interpreter's lock and take a range of blocks, so that plain threads share a pass. Numba's own
parallel loops would abort where two threads of a server score at once, and after a fork. Importing this imports Numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

BLOCK = 128
COLUMNS = 4  # that one sweep over a block computes
ROWS = 4  # dimensions per step; the number of dimensions is padded to a multiple of it
VARIANCE, BALD, A_OPTIMAL = 0, 1, 2
_LINE = 16  # numbers in a cache line

Single = NDArray[np.float32]
Double = NDArray[np.float64]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_TINY = np.float32(1e-30)  # of a variance, so that an item without any is divided by something
_NONE = np.float32(-np.inf)

# Sums may be reordered and there is no NaN (Scorer.build sees to it), so maxima vectorise too; infinities stay exact.
_FAST = {"contract", "reassoc", "nsz", "arcp", "nnan"}


def _compiled(function: _Function) -> _Function:
    """Compiled at first use, kept on disk; typed as it was."""
    return cast("_Function", numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")(function))


def _prefetch_code(context: Any, block: Any, place: Any) -> Any:
    """Asks for the cache line that holds number ``place`` of a block, and does not wait for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        number = ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        call = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(call, [address, number(0), number(2), number(1)])  # to read, into the second-level cache, data
        return context.get_dummy_value()

    return types.void(block, place), generate


_prefetch: Any = intrinsic(_prefetch_code)


@_compiled
def _four(
    block: Single, ahead: Single, columns: Single, at: int, s0: Single, s1: Single, s2: Single, s3: Single
) -> None:
    """Products of a block (D, BLOCK) with columns at, ..., at + 3 of (D, K), into an array each, (BLOCK,).

    Four arrays and not the rows of one: only then does the compiler see that they cannot overlap, and vectorise.
    Meanwhile asks for its share of the block that comes next, ``ahead``.
    """
    lines = max(1, BLOCK // columns.shape[1])  # at each step, so that all sweeps together ask for the whole block
    place = at * lines * _LINE * block.shape[0] // (COLUMNS * ROWS)
    for j in range(BLOCK):
        s0[j] = s1[j] = s2[j] = s3[j] = 0.0
    for d in range(0, block.shape[0], ROWS):
        w0, w1, w2, w3 = block[d], block[d + 1], block[d + 2], block[d + 3]
        a0, a1, a2, a3 = columns[d, at], columns[d + 1, at], columns[d + 2, at], columns[d + 3, at]
        b0, b1, b2, b3 = columns[d, at + 1], columns[d + 1, at + 1], columns[d + 2, at + 1], columns[d + 3, at + 1]
        c0, c1, c2, c3 = columns[d, at + 2], columns[d + 1, at + 2], columns[d + 2, at + 2], columns[d + 3, at + 2]
        e0, e1, e2, e3 = columns[d, at + 3], columns[d + 1, at + 3], columns[d + 2, at + 3], columns[d + 3, at + 3]
        if place < ahead.size:
            for line in range(lines):
                _prefetch(ahead, place + _LINE * line)
            place += _LINE * lines
        for j in range(BLOCK):
            x0, x1, x2, x3 = w0[j], w1[j], w2[j], w3[j]
            s0[j] += x0 * a0 + x1 * a1 + x2 * a2 + x3 * a3
            s1[j] += x0 * b0 + x1 * b1 + x2 * b2 + x3 * b3
            s2[j] += x0 * c0 + x1 * c1 + x2 * c2 + x3 * c3
            s3[j] += x0 * e0 + x1 * e1 + x2 * e2 + x3 * e3


@_compiled
def _finish(
    kind: int, spread: Single, value: Single, noise: Single, weight: Double, allowed: Any, scores: Single
) -> np.float32:
    """Scores of one block from its variances of w·z and its values; their maximum.

    All of the block alone, at most BLOCK long: an index that is a plain counter is what the compiler can vectorise.
    """
    count = len(scores)
    for j in range(count):
        spread[j] = max(spread[j], np.float32(0.0))  # below it lies rounding
    if kind == A_OPTIMAL:
        for j in range(count):
            scores[j] = max(value[j], np.float32(0.0)) / max(spread[j] + noise[j], _TINY)
    elif kind == VARIANCE:
        for j in range(count):
            scores[j] = spread[j] + noise[j]
    else:
        for j in range(count):
            scores[j] = np.float32(0.5) * np.float32(math.log1p(spread[j] / max(noise[j], _TINY)))
    if len(weight):
        for j in range(count):
            scores[j] *= np.float32(weight[j])
    if len(allowed):
        for j in range(count):
            scores[j] = scores[j] if allowed[j] else _NONE
    top = _NONE
    for j in range(count):
        top = scores[j] if scores[j] > top else top
    return top


@_compiled
def score_low_rank(
    kind: int,
    blocks: Single,
    squares: Single,
    energies: Single,
    noise: Single,
    columns: Single,
    weight: Double,
    allowed: Any,
    first: int,
    last: int,
    scores: Single,
    tops: Single,
) -> None:
    """Blocks first, ..., last - 1 under ``S = I − V Vᵀ``.

    ``w·S·w = |w|² − |Vᵀw|²`` and ``w·SQS·w = w·Q·w − 2 (Vᵀw)·(Rᵀw)`` with ``R = Q V − ½ V (VᵀQV)``.

    Args:
        columns: V and 2 R in turn by twos (V₀ V₁ 2R₀ 2R₁ V₂ ...), (D, 2 T), T even.
    """
    spread, value = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    y0, y1 = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    y2, y3 = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for b in range(first, last):
        at_b = slice(b * BLOCK, min((b + 1) * BLOCK, len(scores)))
        square, energy = squares[at_b], energies[at_b]
        for j in range(len(square)):
            spread[j] = square[j]
            value[j] = energy[j]
        for at in range(0, columns.shape[1], COLUMNS):
            _four(blocks[b], blocks[min(b + 1, last - 1)], columns, at, y0, y1, y2, y3)
            for j in range(BLOCK):
                spread[j] -= y0[j] * y0[j] + y1[j] * y1[j]
                value[j] -= y0[j] * y2[j] + y1[j] * y3[j]
        tops[b] = _finish(kind, spread, value, noise[at_b], weight[at_b], allowed[at_b], scores[at_b])


@_compiled
def score_squares(
    kind: int,
    blocks: Single,
    squares: Single,
    noise: Single,
    columns: Single,
    signs: Single,
    gains: Single,
    weight: Double,
    allowed: Any,
    first: int,
    last: int,
    scores: Single,
    tops: Single,
) -> None:
    """Blocks first, ..., last - 1 where, with ``y = Xᵀ w``, both forms are sums of squares.

    ``w·S·w = squares + Σ_k sign_k y_k²`` and ``w·SQS·w = Σ_k gain_k y_k²``.

    Args:
        squares: |w|², (I,), or empty for 0.
        columns: X, (D, K), K a multiple of COLUMNS.
        signs, gains: Of each column, (K,).
    """
    spread, value = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    y0, y1 = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    y2, y3 = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for b in range(first, last):
        at_b = slice(b * BLOCK, min((b + 1) * BLOCK, len(scores)))
        square = squares[at_b]
        for j in range(BLOCK):
            spread[j] = value[j] = 0.0
        for j in range(len(square)):
            spread[j] = square[j]
        for at in range(0, columns.shape[1], COLUMNS):
            _four(blocks[b], blocks[min(b + 1, last - 1)], columns, at, y0, y1, y2, y3)
            g0, g1, g2, g3 = gains[at], gains[at + 1], gains[at + 2], gains[at + 3]
            s0, s1, s2, s3 = signs[at], signs[at + 1], signs[at + 2], signs[at + 3]
            for j in range(BLOCK):
                q0, q1, q2, q3 = y0[j] * y0[j], y1[j] * y1[j], y2[j] * y2[j], y3[j] * y3[j]
                spread[j] += s0 * q0 + s1 * q1 + s2 * q2 + s3 * q3
                value[j] += g0 * q0 + g1 * q1 + g2 * q2 + g3 * q3
        tops[b] = _finish(kind, spread, value, noise[at_b], weight[at_b], allowed[at_b], scores[at_b])


@_compiled
def add_moment(blocks: Single, targets: Double, first: int, last: int, moment: Double) -> None:
    """Adds ``Σ_j q_j w_j w_jᵀ`` of some blocks to the lower blocks of ``moment`` (D, D), four by four.

    A block is summed in single, the blocks in double precision.
    """
    chance, scaled = np.empty(BLOCK, np.float32), np.empty((ROWS, BLOCK), np.float32)
    for b in range(first, last):
        block, target = blocks[b], targets[b * BLOCK : (b + 1) * BLOCK]
        chance[:] = 0.0
        for j in range(len(target)):
            chance[j] = target[j]
        for d in range(0, block.shape[0], ROWS):
            for row in range(ROWS):
                for j in range(BLOCK):
                    scaled[row, j] = block[d + row, j] * chance[j]
            for e in range(0, d + ROWS, ROWS):
                _tile(scaled, block[e : e + ROWS], moment[d : d + ROWS, e : e + ROWS])


@_compiled
def _tile(left: Single, right: Single, sums: Double) -> None:
    """Adds the sixteen products of four rows with four rows, (4, BLOCK) each, to (4, 4)."""
    l0, l1, l2, l3 = left[0], left[1], left[2], left[3]
    r0, r1, r2, r3 = right[0], right[1], right[2], right[3]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = c0 = c1 = c2 = c3 = e0 = e1 = e2 = e3 = np.float32(0.0)
    for j in range(BLOCK):
        a0 += l0[j] * r0[j]
        a1 += l0[j] * r1[j]
        a2 += l0[j] * r2[j]
        a3 += l0[j] * r3[j]
        b0 += l1[j] * r0[j]
        b1 += l1[j] * r1[j]
        b2 += l1[j] * r2[j]
        b3 += l1[j] * r3[j]
        c0 += l2[j] * r0[j]
        c1 += l2[j] * r1[j]
        c2 += l2[j] * r2[j]
        c3 += l2[j] * r3[j]
        e0 += l3[j] * r0[j]
        e1 += l3[j] * r1[j]
        e2 += l3[j] * r2[j]
        e3 += l3[j] * r3[j]
    for row, (x0, x1, x2, x3) in enumerate(((a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (e0, e1, e2, e3))):
        sums[row, 0] += x0
        sums[row, 1] += x1
        sums[row, 2] += x2
        sums[row, 3] += x3
