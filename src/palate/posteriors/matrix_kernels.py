"""The compiled loops of :mod:`palate.posteriors.symmetric`: one small symmetric matrix after the other.

They release the interpreter's lock and take a range of matrices, so that plain threads share the work; what they write
of one hangs on no other, so that it is the same to the bit however the work is shared. No BLAS is called: its own
threads would fight with ours. Importing this imports Numba.

Matrices of size A are packed as in :mod:`palate.posteriors.statistics`; one that is worked on lies in rows that are
padded with zeros to a multiple of LANES.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from palate.arrays import Array

LANES = 8  # numbers in the widest registers
_Function = TypeVar("_Function", bound=Callable[..., Any])

# Sums may be reordered, in one way for all threads; NaN and infinities stay what they are.
_FAST = {"contract", "reassoc", "nsz", "arcp"}


def compiled(function: _Function) -> _Function:
    """Compiled at first use, kept on disk; typed as it was."""
    return cast("_Function", numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")(function))


def _tile_code(context: Any, left: Any, right: Any, i: Any, first: Any, last: Any, j: Any, out: Any) -> Any:
    """``out[:LANES] = Σ_k left[k, i] right[k, j : j + LANES]``, k from ``first`` to ``last − 1``, summed in a register.

    The compiler by itself keeps a sum that runs over rows in memory, which takes twice as long.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, arguments[place])

        def lanes(pointer: Any) -> Any:
            return builder.bitcast(pointer, vector.as_pointer())

        integer, vector = ir.IntType(64), ir.VectorType(ir.DoubleType(), LANES)
        left, right = array(0), array(1)
        column, columns = builder.gep(left.data, [arguments[2]]), builder.gep(right.data, [arguments[5]])
        before, head = builder.block, builder.append_basic_block("head")
        body, done = builder.append_basic_block("body"), builder.append_basic_block("done")
        builder.branch(head)
        builder.position_at_end(head)
        k, total = builder.phi(integer), builder.phi(vector)
        k.add_incoming(arguments[3], before)
        total.add_incoming(ir.Constant(vector, [0.0] * LANES), before)
        builder.cbranch(builder.icmp_signed("<", k, arguments[4]), body, done)
        builder.position_at_end(body)
        number = builder.load(builder.gep(column, [builder.mul(k, builder.extract_value(left.shape, 1))]))
        one, nothing = ir.Constant(ir.IntType(32), 0), ir.Constant(vector, ir.Undefined)
        same = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        repeated = builder.shuffle_vector(builder.insert_element(nothing, number, one), nothing, same)
        row = builder.load(lanes(builder.gep(columns, [builder.mul(k, builder.extract_value(right.shape, 1))])))
        row.align = 8
        product = builder.fmul(repeated, row, flags=["contract"])
        total.add_incoming(builder.fadd(product, total, flags=["contract"]), body)
        k.add_incoming(builder.add(k, ir.Constant(integer, 1)), body)
        builder.branch(head)
        builder.position_at_end(done)
        builder.store(total, lanes(array(6).data)).align = 8
        return context.get_dummy_value()

    return types.void(left, right, types.int64, types.int64, types.int64, types.int64, out), generate


_tile: Any = intrinsic(_tile_code)


@compiled
def product(left: Array, right: Array, i: int, first: int, last: int, start: int, out: Array) -> None:
    """``out[start:] = Σ_k left[k, i] right[k, start:]``, k from ``first`` on, start a multiple of LANES."""
    for j in range(start, right.shape[1], LANES):
        _tile(left, right, i, first, last, j, out[j:])


@compiled
def inverse(upper: Array, half: Array, inverted: Array, out: Array) -> float:
    """Upper triangle of the inverse of a symmetric positive definite matrix; returns its log determinant.

    Cholesky's factor U, row by row, and with it the inverse of its transpose, W; then ``A⁻¹ = Wᵀ W``.

    Args:
        upper: (n, N), its upper triangle; overwritten.
        half: Room, (n, N).
        inverted: (n, N), overwritten; only the upper triangle counts.
        out: Room, (N,).
    Returns:
        NaN where the matrix is not positive definite.
    """
    size, width = upper.shape
    log_determinant = 0.0
    for i in range(size):
        u, w = upper[i], half[i]
        product(upper, upper, i, 0, i, i // LANES * LANES, out)
        for j in range(i // LANES * LANES, width):
            u[j] -= out[j]
        pivot = u[i]
        if not pivot > 0.0:
            return np.nan
        log_determinant += math.log(pivot)
        scale = 1.0 / math.sqrt(pivot)
        for j in range(width):
            u[j] *= scale
        u[:i] = 0.0
        out[:] = 0.0
        for j in range(0, i, LANES):  # a row k of W ends at column k
            _tile(upper, half, i, j, i, j, out[j:])
        for j in range(width):
            w[j] = -scale * out[j]
        w[i] = scale
    for i in range(size):
        for j in range(i // LANES * LANES, width, LANES):
            _tile(half, half, i, max(i, j), size, j, inverted[i, j:])
    return log_determinant


@compiled
def times(matrix: Array, vector: Array, out: Array) -> None:
    """``out = matrix @ vector``, of which the upper triangle counts, (n, N) and (n,)."""
    size = len(vector)
    out[:] = 0.0
    for i in range(size):
        total = matrix[i, i] * vector[i]
        row, rest, sums = matrix[i, i + 1 : size], vector[i + 1 :], out[i + 1 :]
        for j in range(len(row)):
            total += row[j] * rest[j]
            sums[j] += row[j] * vector[i]
        out[i] += total


@compiled
def pack_moment(mean: Array, covariance: Array, start: int, out: Array) -> None:
    """Upper triangle of ``covariance + mean meanᵀ`` into ``out[start:]``; of (n, N) the upper triangle counts."""
    size, place = len(mean), start
    for i in range(size):
        of_row, left, right = out[place : place + size - i], covariance[i, i:size], mean[i:]
        for j in range(len(of_row)):
            of_row[j] = left[j] + mean[i] * right[j]
        place += size - i


@compiled
def fill(upper: Array, base: Array, added: Array, weight: float) -> None:
    """Upper triangle of ``base + weight added``, from packed ones to (n, N)."""
    size, place = len(upper), 0
    for i in range(size):
        row, left, right = upper[i, i:size], base[place : place + size - i], added[place : place + size - i]
        for j in range(len(row)):
            row[j] = left[j] + weight * right[j]
        place += size - i


@compiled
def dot(one: Array, other: Array, size: int) -> float:
    """Sum of the products of two symmetric matrices, packed, (P,)."""
    total, diagonal, place = 0.0, 0.0, 0
    for p in range(len(one)):
        total += one[p] * other[p]
    for i in range(size):
        diagonal += one[place] * other[place]
        place += size - i
    return 2.0 * total - diagonal


@compiled
def item_beliefs(
    moment: Array,
    unseen: Array,
    relevance: Array,
    pull: Array,
    noise: Array,
    first: int,
    last: int,
    factors: Array,
    covariances: Array,
    log_determinants: Array,
    fitted: Array,
) -> None:
    """Beliefs about items ``first`` to ``last − 1`` given the users.

    Args:
        moment: Sums over their users, packed, (I, P).
        unseen: What is added to each, packed, (P,).
        relevance: Precision of the prior, packed, (P,).
        pull: (I, A).
        noise: σ², (I,).
        factors: Gets the means, (I, A).
        covariances: Gets them, packed, (I, P).
        log_determinants: Gets those of the covariances, (I,); NaN where a precision is not positive definite.
        fitted: Gets ``tr(E[w̃ w̃ᵀ] M)``, M the sum with what is added, (I,).
    """
    size = pull.shape[1]
    width = -(-size // LANES) * LANES
    upper, half, inverted = np.zeros((size, width)), np.zeros((size, width)), np.zeros((size, width))
    out, whole, second = np.zeros(width), np.empty(len(unseen)), np.empty(len(unseen))
    for item in range(first, last):
        of_item = moment[item]
        for p in range(len(whole)):
            whole[p] = of_item[p] + unseen[p]
        fill(upper, relevance, whole, 1.0 / noise[item])
        log_determinants[item] = -inverse(upper, half, inverted, out)
        times(inverted, pull[item], factors[item])
        pack_moment(factors[item], inverted, 0, second)
        fitted[item] = dot(second, whole, size)
        place, covariance = 0, covariances[item]
        for i in range(size):
            covariance[place : place + size - i] = inverted[i, i:size]
            place += size - i


@compiled
def item_moments(means: Array, covariances: Array, noise: Array, first: int, last: int, out: Array) -> None:
    """``(C + m mᵀ) / σ²`` of items ``first`` to ``last − 1``, from (I, A), packed (I, P) and (I,), into (I, P)."""
    size = means.shape[1]
    for item in range(first, last):
        mean, covariance, row, precision, place = means[item], covariances[item], out[item], 1.0 / noise[item], 0
        for i in range(size):
            for j in range(i, size):
                row[place + j - i] = precision * (covariance[place + j - i] + mean[i] * mean[j])
            place += size - i


@compiled
def turned(packed: Array, across: Array, first: int, last: int, out: Array) -> None:
    """``F M Fᵀ`` of the matrices ``first`` to ``last − 1``, packed, (n, P) to (n, P').

    Args:
        across: Fᵀ, (A, N), padded.
        out: Gets them; its P' tells how many rows F has.
    """
    size, width = across.shape
    rows = round((math.sqrt(8.0 * out.shape[1] + 1.0) - 1.0) / 2.0)
    matrix, half, row = np.zeros((size, -(-size // LANES) * LANES)), np.zeros((size, width)), np.zeros(width)
    for item in range(first, last):
        place = 0
        for i in range(size):
            matrix[i, i:size] = matrix[i:size, i] = packed[item, place : place + size - i]
            place += size - i
        for i in range(size):
            product(matrix, across, i, 0, size, 0, half[i])
        place = 0
        for i in range(rows):
            product(across, half, i, 0, size, i // LANES * LANES, row)
            out[item, place : place + rows - i] = row[i:rows]
            place += rows - i
