"""Draws from a tree of clusters (hierarchical sampling)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.greedy import Chosen, one_by_one
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array, Positions

LEAF = 4  # rows of a node that is not split


@dataclass(slots=True)
class _Node:
    """Rows of the pool's candidates and, after them, of its labelled."""

    rows: Positions
    children: list[_Node] = field(default_factory=list)


def hierarchical(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Label where a tree of clusters is not yet known to be of one class (hierarchical sampling).

    Draws of a node of the best pruning of the tree, then of a candidate in it. O(N E log N) for the tree.

    .. math:: p(v) \propto w_v (1 - p^{LB}_{v, l(v)}), \qquad
        p^{LB} = \Big[p - \tfrac1n - \sqrt{p (1 - p) / n}\Big]_+

    with ``w_v`` the node's share of the rows and ``l(v)`` its leading class. A node may stand for its rows where its
    class is known well enough against every other, ``1 − p^{LB}_l < 2 (1 − p^{UB}_{l'})``, and does where its estimated
    error is no larger than its children's. The labels of a node count as drawn uniformly from it, which they are while
    this strategy has asked for all of them. The tree splits at the mean along the principal direction.

    References:
        Dasgupta, Hsu, Hierarchical sampling for active learning, ICML 2008; the tree: Boley, Principal direction
        divisive partitioning, Data Mining and Knowledge Discovery 2, 1998.
    """
    features = np.concatenate([pool.features, pool.labelled])
    root = _tree(features)
    cut = _pruning(root, pool)
    doubt = np.array([len(node.rows) * (1.0 - _bounds(node, pool)[1].max()) for node in cut])
    open_ = [node.rows[node.rows < len(pool)] for node in cut]

    def pick(_: Chosen) -> tuple[int, float]:
        shares = _shares(doubt, np.array([len(rows) for rows in open_]))
        node = int(rng.choice(len(cut), p=shares))
        item = int(rng.choice(open_[node]))
        chance = float(shares[node]) / len(open_[node])
        open_[node] = open_[node][open_[node] != item]
        return item, chance

    return one_by_one(at_most(k, pool), pick)


def _shares(doubt: Array, left: Positions) -> Array:
    weights = np.where(left > 0, doubt, 0.0)
    weights = weights if weights.sum() > 0 else left.astype(np.float64)
    return np.asarray(weights / weights.sum())


def _tree(features: Array) -> _Node:
    root = _Node(np.arange(len(features)))
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if len(node.rows) > LEAF:
            node.children = [_Node(rows) for rows in _halves(features, node.rows)]
            waiting += node.children
    return root


def _halves(features: Array, rows: Positions) -> tuple[Positions, Positions]:
    """By the side of the mean along the principal direction; equal rows by their place."""
    centred = features[rows] - features[rows].mean(0)
    along = centred[int((centred**2).sum(1).argmax())]
    for _ in range(8):  # of power iteration: a rough direction splits as well as an exact one
        along = centred.T @ (centred @ along)
        along = along / max(float(np.linalg.norm(along)), 1e-300)
    right = centred @ along > 0
    if right.all() or not right.any():
        right = np.arange(len(rows)) >= len(rows) // 2
    return rows[~right], rows[right]


def _bounds(node: _Node, pool: Pool) -> tuple[Array, Array, Array]:
    """Share of each class among the node's labels with its lower and upper bound, (C,) each; 0 to 1 without labels."""
    labels = pool.labels[node.rows[node.rows >= len(pool)] - len(pool)]
    n = len(labels)
    if not n:
        return np.zeros(pool.n_classes), np.zeros(pool.n_classes), np.ones(pool.n_classes)
    share = np.bincount(labels, minlength=pool.n_classes) / n
    width = 1.0 / n + np.sqrt(share * (1.0 - share) / n)
    return share, np.maximum(share - width, 0.0), np.minimum(share + width, 1.0)


def _error(node: _Node, pool: Pool) -> float:
    """Estimated error of giving the node its leading class; 1 where no class is admissible yet."""
    share, lower, upper = _bounds(node, pool)
    lead = int(share.argmax())
    others = np.delete(upper, lead)
    admissible = share[lead] > 0 and (not len(others) or 1.0 - lower[lead] < 2.0 * (1.0 - others.max()))
    return 1.0 - float(share[lead]) if admissible else 1.0


def _pruning(root: _Node, pool: Pool) -> list[_Node]:
    """The nodes that stand for their rows: the highest that are no worse than what is below them."""
    order, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += node.children
    cuts: dict[int, tuple[float, list[_Node]]] = {}
    for node in reversed(order):  # children before their parent
        below = [cuts.pop(id(child)) for child in node.children]
        error = _error(node, pool) * len(node.rows)
        split = sum(loss for loss, _ in below)
        keep = not below or error <= split
        cuts[id(node)] = (error, [node]) if keep else (split, [leaf for _, leaves in below for leaf in leaves])
    return cuts[id(root)][1]
