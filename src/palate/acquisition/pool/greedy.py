"""Batches built one by one: the best each time, a draw each time, or the best of what leads."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from palate.acquisition.draw import Batch, first
from palate.arrays import Array

Chosen = list[int]  # the candidates so far, in order


def one_by_one(
    k: int, pick: Callable[[Chosen], tuple[int, float]], add: Callable[[Chosen], object] = lambda items: None
) -> Batch:
    """``k`` candidates: ``pick`` gives the next with its probability, ``add`` takes in the last of those chosen."""
    items: Chosen = []
    chances: list[float] = []
    for _ in range(k):
        item, chance = pick(items)
        items.append(item)
        chances.append(chance)
        add(items)
    return Batch.of(items, chances)


def greedy(
    k: int, gains: Callable[[Chosen], Array], add: Callable[[Chosen], object], *, rng: np.random.Generator
) -> Batch:
    """``k`` candidates, each of the largest gain given those chosen, (N,); ties by ``rng``."""

    def pick(items: Chosen) -> tuple[int, float]:
        now = gains(items)
        now[items] = -np.inf
        return first(now, rng=rng)

    return one_by_one(k, pick, add)


def draw_one(weights: Array, taken: Chosen, *, rng: np.random.Generator) -> tuple[int, float]:
    """One that is not taken, drawn by its weight, (N,), with its probability; uniformly where no weight is left."""
    weights = weights.copy()
    weights[taken] = 0.0
    if weights.sum() <= 0:
        weights = np.ones(len(weights))
        weights[taken] = 0.0
    shares = weights / weights.sum()
    item = int(rng.choice(len(shares), p=shares))
    return item, float(shares[item])


def lazy_greedy(
    start: Array, gain: Callable[[int], float], add: Callable[[int], object], k: int, *, rng: np.random.Generator
) -> Batch:
    """As :func:`greedy`, where gains only fall: a candidate is looked at again only when it leads.

    Exact where gains never grow, as for every monotone submodular function.

    Args:
        start: Gain of each candidate before any choice, (N,).
        gain: Of a candidate now.
        add: Takes a candidate in.
    References:
        Minoux, Accelerated greedy algorithms for maximizing submodular set functions, 1978.
    """
    order = rng.permutation(len(start))  # the second key: breaks ties, the first of equals has probability 1 / equals
    queue = [(-float(start[item]), int(order[item]), item, 0) for item in range(len(start))]
    heapq.heapify(queue)
    items: Chosen = []
    while queue and len(items) < k:
        _, tie, item, seen = heapq.heappop(queue)
        if seen == len(items):
            items.append(item)
            add(item)
        else:
            heapq.heappush(queue, (-gain(item), tie, item, len(items)))
    return Batch.of(items, [1.0] * len(items))
