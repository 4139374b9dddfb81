"""The inner loops of the weights of a list, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True)
def loss_and_gradient(
    features: Any, offset: Any, extra: Any, relevant: Any, start: Any, at: Any, weight: Any, knots: Any
) -> Any:
    """Loss of weights, and its gradient.

    The mean −log of the chance that one draw of the softmax of the scores is relevant.

    Args:
        features: Of R candidates by K experts, (R, K).
        offset: Added to each score, (R,).
        extra: Logarithm of how many items a candidate stands for, (R,).
        relevant: (R,).
        start: Where the candidates of each of C cases begin, and the end, (C + 1,).
        at: How much each knot counts for a case, (C, J).
        weight: Of a case, (C,).
        knots: (J, K).
    """
    n, size, width = len(weight), knots.shape[0], knots.shape[1]
    value, gradient = 0.0, np.zeros((size, width))
    pull, weights = np.zeros(width), np.zeros(width)
    for case in range(n):
        first, last = start[case], start[case + 1]
        for k in range(width):
            weights[k], pull[k] = 0.0, 0.0
            for j in range(size):
                weights[k] += at[case, j] * knots[j, k]
        scores = np.empty(last - first)
        top, is_any = -np.inf, False
        for row in range(first, last):
            score = offset[row] + extra[row]
            for k in range(width):
                score += weights[k] * features[row, k]
            scores[row - first] = score
            top = max(top, score)
            is_any |= relevant[row]
        if not is_any:
            continue
        total, hit = 0.0, 1e-30
        for row in range(first, last):
            chance = math.exp(scores[row - first] - top)
            scores[row - first] = chance
            total += chance
            if relevant[row]:
                hit += chance
        value += weight[case] * (math.log(total) - math.log(hit))
        for row in range(first, last):
            slope = scores[row - first] * (1.0 / total - (1.0 / hit if relevant[row] else 0.0))
            for k in range(width):
                pull[k] += slope * features[row, k]
        for j in range(size):
            for k in range(width):
                gradient[j, k] += weight[case] * at[case, j] * pull[k]
    return value, gradient


@njit(cache=True)
def list_quality(
    features: Any,
    offset: Any,
    relevant: Any,
    start: Any,
    at: Any,
    knots: Any,
    ideal: Any,
    most: Any,
    discount: Any,
    cases: Any,
) -> Any:
    """Mean of NDCG and recall of the list of some cases, (n,); of equal scores the first candidate comes first.

    Args:
        cases: Which of the C, (n,).
        ideal: Best discounted gain of a case, (C,).
        most: Relevant items that its list has room for, (C,).
        discount: Of each place for NDCG, as long as the list for recall.
    """
    size, width, k_most = knots.shape[0], knots.shape[1], len(discount)
    found = np.zeros(len(cases))
    for n in range(len(cases)):
        case = cases[n]
        weights = np.zeros(width)
        for k in range(width):
            for j in range(size):
                weights[k] += at[case, j] * knots[j, k]
        best, place, filled = np.empty(k_most), np.empty(k_most, dtype=np.int64), 0
        for row in range(start[case], start[case + 1]):
            score = offset[row]
            for k in range(width):
                score += weights[k] * features[row, k]
            if filled == k_most and score <= best[filled - 1]:
                continue
            if filled < k_most:
                filled += 1
            spot = filled - 1
            while spot > 0 and best[spot - 1] < score:
                best[spot], place[spot] = best[spot - 1], place[spot - 1]
                spot -= 1
            best[spot], place[spot] = score, row
        for spot in range(filled):
            if relevant[place[spot]]:
                found[n] += 0.5 * discount[spot] / ideal[case] + 0.5 / most[case]
    return found
