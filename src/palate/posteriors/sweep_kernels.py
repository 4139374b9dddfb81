"""The compiled loops of :mod:`palate.posteriors.compiled`: one user, or one item, after the other.

As those of :mod:`palate.posteriors.matrix_kernels`, which says what holds for both. Importing this imports Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.posteriors.matrix_kernels import LANES, compiled, dot, fill, inverse, pack_moment, times

_Places = NDArray[np.integer[Any]]


@compiled
def _add_rows(total: Array, table: Array, rows: _Places, weights: Array) -> None:
    """``total += Σ_k weights[k] table[rows[k]]``, eight rows at a time, so that ``total`` is read and written less."""
    last = len(rows) - 1
    for k in range(0, len(rows), 8):
        a, b, c, d = k, min(k + 1, last), min(k + 2, last), min(k + 3, last)
        e, f, g, h = min(k + 4, last), min(k + 5, last), min(k + 6, last), min(k + 7, last)
        r0, r1, r2, r3 = table[rows[a]], table[rows[b]], table[rows[c]], table[rows[d]]
        r4, r5, r6, r7 = table[rows[e]], table[rows[f]], table[rows[g]], table[rows[h]]
        w0, w1, w2, w3 = weights[a], weights[b] * (b > a), weights[c] * (c > b), weights[d] * (d > c)
        w4, w5, w6, w7 = weights[e] * (e > d), weights[f] * (f > e), weights[g] * (g > f), weights[h] * (h > g)
        for p in range(len(total)):
            one = w0 * r0[p] + w1 * r1[p] + w2 * r2[p] + w3 * r3[p]
            total[p] += one + w4 * r4[p] + w5 * r5[p] + w6 * r6[p] + w7 * r7[p]


@compiled
def user_beliefs(
    start: _Places,
    items: _Places,
    own: Array,
    targets: Array,
    precision: Array,
    table: Array,
    pulls: Array,
    of_item: Array,
    shared: Array,
    confidence: float,
    background: float,
    first: int,
    last: int,
    moments: Array,
    log_determinants: Array,
    squares: Array,
) -> None:
    """Beliefs about users ``first`` to ``last − 1`` of a chunk given the items.

    Args:
        start: Where each user's answers begin, (n + 1,).
        items: Of the answers, (N,).
        own: Their weights without the user's precision, (N,).
        targets: (N,).
        precision: Of the users, (n,).
        table: E[w̃ w̃ᵀ] over noise, packed, (I, P).
        pulls: Level and factors over noise, (I, A).
        of_item: 1 / σ², (I,).
        shared: Packed, (P,).
        moments: Gets E[t tᵀ], packed, (n, P).
        log_determinants: Gets those of the covariances, (n,); NaN where a precision is not positive definite.
        squares: Gets the sums of ``own E[(y − t · w̃)²] / σ²``, (n,).
    """
    size = pulls.shape[1]
    dim, width = size - 1, -(-(size - 1) // LANES) * LANES
    total, pull, right, mean = np.empty(table.shape[1]), np.empty(size), np.empty(dim), np.empty(dim)
    upper, half, covariance = np.zeros((dim, width)), np.zeros((dim, width)), np.zeros((dim, width))
    out = np.zeros(width)
    for user in range(first, last):
        mine = slice(start[user], start[user + 1])
        rows, weights, wanted = items[mine], own[mine], targets[mine]
        pulling, square = np.empty(len(rows)), 0.0
        for k in range(len(rows)):
            pulling[k] = weights[k] * wanted[k]
            square += pulling[k] * wanted[k] * of_item[rows[k]]
        total[:] = 0.0
        pull[:] = 0.0
        _add_rows(total, table, rows, weights)
        _add_rows(pull, pulls, rows, pulling)
        seen, strength = (confidence - background) * precision[user], confidence * precision[user]
        fill(upper, shared[size:], total[size:], seen)
        for i in range(dim):
            upper[i, i] += 1.0
            right[i] = strength * pull[1 + i] - seen * total[1 + i] - shared[1 + i]
        log_determinants[user] = -inverse(upper, half, covariance, out)
        times(covariance, right, mean)
        moment = moments[user]
        moment[0] = 1.0
        moment[1:size] = mean
        pack_moment(mean, covariance, size, moment)
        pulled = pull[0]
        for i in range(dim):
            pulled += pull[1 + i] * mean[i]
        squares[user] = square - 2.0 * pulled + dot(total, moment, size)


@compiled
def predictions(
    start: _Places,
    items: _Places,
    table: Array,
    factors: Array,
    of_item: Array,
    moments: Array,
    first: int,
    last: int,
    mean: Array,
    variance: Array,
) -> None:
    """Mean and variance of ``t · w̃`` of the answers of users ``first`` to ``last − 1``, into (N,) each.

    Args:
        moments: What was believed of the users, packed, (n, P); the others as of :func:`user_beliefs`.
    """
    size = factors.shape[1]
    for user in range(first, last):
        moment = moments[user]
        for k in range(start[user], start[user + 1]):
            item = items[k]
            expected = 0.0
            of_one = factors[item]
            for a in range(size):
                expected += of_one[a] * moment[a]
            second = dot(table[item], moment, size) / of_item[item]
            mean[k] = expected
            variance[k] = max(second - expected * expected, 0.0)


@compiled
def item_sums(
    columns: _Places,
    start: _Places,
    users: _Places,
    order: _Places,
    weights: Array,
    targets: Array,
    moments: Array,
    confidence: float,
    background: float,
    first: int,
    last: int,
    moment: Array,
    cross: Array,
    squares: Array,
) -> None:
    """Adds a chunk's answers to the sums of the items ``columns[first]`` to ``columns[last − 1]``.

    Args:
        columns: The items with an answer, (J,).
        start: Where the answers of each begin, (J + 1,), of those sorted by item.
        users: Of the answers sorted by item, (N,).
        order: Where each is among those sorted by user, (N,).
        weights: Sorted by user, (N,).
        targets: Likewise.
        moments: E[t tᵀ] of the users, packed, (n, P).
        moment: (I, P), to which is added.
        cross: (I, A), likewise.
        squares: (I,), likewise.
    """
    for column in range(first, last):
        item, mine = columns[column], slice(start[column], start[column + 1])
        places, rows = order[mine], users[mine]
        seen, pulling, square = np.empty(len(rows)), np.empty(len(rows)), 0.0
        for k in range(len(rows)):
            weight, target = weights[places[k]], targets[places[k]]
            seen[k], pulling[k] = (confidence - background) * weight, confidence * weight * target
            square += pulling[k] * target
        _add_rows(moment[item], moments, rows, seen)
        _add_rows(cross[item], moments, rows, pulling)
        squares[item] += square
