"""Greedy maximisation of a function whose gains only fall: a candidate is looked at again only when it leads."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from palate.acquisition.draw import Batch
from palate.arrays import Array


def lazy_greedy(
    first: Array, gain: Callable[[int], float], add: Callable[[int], object], k: int, *, rng: np.random.Generator
) -> Batch:
    """Up to ``k`` candidates, each of the largest gain given the earlier ones; ties by ``rng``.

    Exact where gains never grow, as for every monotone submodular function.

    Args:
        first: Gain of each candidate before any choice, (N,).
        gain: Of a candidate now.
        add: Takes a candidate in.
    References:
        Minoux, Accelerated greedy algorithms for maximizing submodular set functions, 1978.
    """
    order = rng.permutation(len(first))  # the second key: breaks ties, the first of equals has probability 1 / equals
    queue = [(-float(first[item]), int(order[item]), item, 0) for item in range(len(first))]
    heapq.heapify(queue)
    items: list[int] = []
    chances: list[float] = []
    while queue and len(items) < k:
        _, tie, item, seen = heapq.heappop(queue)
        if seen == len(items):
            items.append(item)
            chances.append(1.0)
            add(item)
        else:
            heapq.heappush(queue, (-gain(item), tie, item, len(items)))
    return Batch.of(items, chances)
