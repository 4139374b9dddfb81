"""Batches that cover the features: nothing is to be far from a label."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.clusters import k_means
from palate.acquisition.pool.geometry import distance, nearest, slices, squared_distances, unit
from palate.acquisition.pool.greedy import Chosen, greedy, lazy_greedy
from palate.acquisition.pool.pool import Pool, at_most
from palate.acquisition.pool.uncertainty import least_confidence
from palate.arrays import Array

PURE = 0.95  # share of balls that hold one cluster only, at the chosen radius
JUDGED = 1000  # candidates on which that share is estimated
WIDTH = 1.0  # of the kernel of likeness, on rows of length one
MOST_EXAMPLES = 256


def core_set(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Label what is farthest from everything labelled (k-centre).

    .. math:: \arg\max_i \min_{c \in \text{labelled} \cup \text{chosen}} \lVert x_i - x_c \rVert

    again and again: within twice the best radius of ``k`` centres. O(k N E), O(N) memory. Where nothing is labelled the
    first is drawn uniformly.

    References:
        Sener, Savarese, Active learning for convolutional neural networks: a core-set approach, ICLR 2018; Gonzalez,
        Clustering to minimize the maximum intercluster distance, 1985.
    """
    apart = nearest(pool.features, pool.labelled)
    return greedy(
        at_most(k, pool),
        lambda _: apart,
        lambda items: np.minimum(apart, distance(pool.features, pool.features[items[-1]]), out=apart),
        rng=rng,
    )


def ranked_batch(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Label what is far from everything labelled at first, and what is uncertain later.

    The first choice's score, (N,), from 0 to 1. O(L E).

    .. math:: \alpha \Big(1 - \frac{1}{1 + \min_l \lVert x - x_l \rVert}\Big) + (1 - \alpha)(1 - \max_c \bar p_c),
        \qquad \alpha = \frac{N}{N + L}

    References:
        Cardoso, Silva, Canuto, Moro, Gonçalves, Ranked batch-mode active learning, Information Sciences 379, 2017.
    """
    return _score(least_confidence(pool, rng=rng), nearest(pool.features, pool.labelled), len(pool), len(pool.labels))


def choose_ranked_batch(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Each choice counts as labelled for the next: distances shrink, α falls. O(E) a step."""
    uncertain = least_confidence(pool, rng=rng)
    apart = nearest(pool.features, pool.labelled)

    def gains(items: Chosen) -> Array:
        return _score(uncertain, apart, len(pool) - len(items), len(pool.labels) + len(items))

    def add(items: Chosen) -> None:
        np.minimum(apart, distance(pool.features, pool.features[items[-1]]), out=apart)

    return greedy(at_most(k, pool), gains, add, rng=rng)


def _score(uncertain: Array, apart: Array, open_: int, labelled: int) -> Array:
    alpha = open_ / (open_ + labelled)
    return np.asarray(alpha * (1.0 - 1.0 / (1.0 + apart)) + (1.0 - alpha) * uncertain)


def probcover(pool: Pool, k: int, *, rng: np.random.Generator, radius: float | None = None) -> Batch:
    r"""Label what covers most by balls of one radius (ProbCover).

    Greedy, what lies within a radius of something labelled being covered:

    .. math:: \arg\max_i \#\{j \text{ not covered} : \lVert x_i - x_j \rVert \le \delta\}

    The degrees are kept and lowered as candidates become covered, which needs no graph: O(N² E) in all, O(N) memory.

    Args:
        radius: δ; found by :func:`pure_radius` if None.
    References:
        Yehuda, Dekel, Hacohen, Weinshall, Active learning through a covering lens, NeurIPS 2022. arXiv:2205.11320.
    """
    features = pool.features
    radius = pure_radius(features, pool.n_classes, rng=rng) if radius is None else radius
    apart = nearest(features, pool.labelled)
    covered = np.isfinite(apart) & (apart <= radius)
    degrees = _within(features, features[~covered], radius)

    def add(items: Chosen) -> None:
        item = items[-1]
        new = ~covered & (squared_distances(features, features[[item]])[:, 0] <= radius**2)
        new[item] = not covered[item]  # whatever rounding says of its distance to itself
        np.subtract(degrees, _within(features, features[new], radius), out=degrees)
        np.logical_or(covered, new, out=covered)

    return greedy(at_most(k, pool), lambda _: degrees, add, rng=rng)


def pure_radius(features: Array, n_classes: int, *, rng: np.random.Generator) -> float:
    """The largest radius at which 95 % of the balls hold candidates of one k-means cluster only, ``n_classes`` of them.

    A ball is impure from the distance to the nearest candidate of another cluster on, so this is a quantile of those
    distances. Infinite where there is one cluster.
    """
    clusters = k_means(features, n_classes, rng=rng)
    rows = np.arange(len(features))
    if len(rows) > JUDGED:
        rows = rng.choice(len(features), JUDGED, replace=False)
    apart = [nearest(features[rows[clusters[rows] == c]], features[clusters != c]) for c in np.unique(clusters)]
    return float(np.quantile(np.concatenate(apart), 1.0 - PURE, method="lower")) * (1.0 - 1e-9)


def _within(features: Array, others: Array, radius: float) -> Array:
    """How many of the others each row has within the radius, (N,)."""
    counts = np.zeros(len(features))
    for part in slices(len(features), len(others)):
        counts[part] = (squared_distances(features[part], others) <= radius**2).sum(1)
    return counts


def max_herding(pool: Pool, k: int, *, rng: np.random.Generator, width: float = WIDTH) -> Batch:
    r"""Label the candidates that together are like as many as possible (MaxHerding).

    Greedy maximisation of the mean similarity of a candidate to the nearest label, within 1 − 1/e of the best:

    .. math:: \frac1N \sum_j \max_{c \in \text{labelled} \cup \text{chosen}} e^{-\lVert x_j - x_c \rVert^2 / \sigma^2}

    on features of length one. One pass over all pairs, O(N² E) in slices, then O(N E) for each candidate that leads.

    References:
        Bae, Noh, Sutherland, Generalized coverage for more robust low-budget active learning, ECCV 2024.
        arXiv:2407.12212.
    """
    rows = unit(pool.features)
    covered = _covered(rows, unit(pool.labelled), width)
    return lazy_greedy(
        _gains(rows, covered, width),
        lambda item: float(np.maximum(_kernel(rows, rows[[item]], width)[:, 0] - covered, 0.0).mean()),
        lambda item: np.maximum(covered, _kernel(rows, rows[[item]], width)[:, 0], out=covered),
        at_most(k, pool),
        rng=rng,
    )


def _kernel(rows: Array, others: Array, width: float) -> Array:
    return np.asarray(np.exp(-squared_distances(rows, others) / width**2))


def _covered(rows: Array, labelled: Array, width: float) -> Array:
    covered = np.zeros(len(rows))
    if len(labelled):
        for part in slices(len(rows), len(labelled)):
            covered[part] = _kernel(rows[part], labelled, width).max(1)
    return covered


def _gains(rows: Array, covered: Array, width: float) -> Array:
    gains = np.zeros(len(rows))
    for part in slices(len(rows), len(rows)):
        gains[part] = np.maximum(_kernel(rows[part], rows, width) - covered, 0.0).mean(1)
    return gains


def similar(pool: Pool, k: int, *, rng: np.random.Generator, examples: Array | None = None, eta: float = 1.0) -> Batch:
    r"""Label what is like a set of examples, and different among itself (SIMILAR).

    Greedy facility-location mutual information between the batch A and the examples Q. O(N J) a step.

    .. math:: \sum_{q \in Q} \max_{a \in A} s_{qa} + \eta \sum_{a \in A} \max_{q \in Q} s_{qa},
        \qquad s = \tfrac{1 + \cos}{2}

    Args:
        examples: Features of what is looked for, (J, E). If None, the labelled of the class with fewest labels, which
            is the paper's use for rare classes; without labels the batch is a uniform draw.
        eta: Weight of being like an example at all against covering the examples.
    References:
        Kothawade, Beck, Killamsetty, Iyer, SIMILAR: submodular information measures based active learning in realistic
        scenarios, NeurIPS 2021. arXiv:2107.00717.
    """
    examples = _rarest(pool) if examples is None else examples
    if len(examples) > MOST_EXAMPLES:
        examples = examples[rng.choice(len(examples), MOST_EXAMPLES, replace=False)]
    likeness = (1.0 + unit(pool.features) @ unit(examples).T) / 2.0  # (N, J)
    own = eta * likeness.max(1, initial=0.0)
    covered = np.zeros(len(examples))

    def gains(_: Chosen) -> Array:
        return np.asarray(np.maximum(likeness - covered, 0.0).sum(1) + own)

    return greedy(at_most(k, pool), gains, lambda items: np.maximum(covered, likeness[items[-1]], out=covered), rng=rng)


def _rarest(pool: Pool) -> Array:
    counts = np.bincount(pool.labels, minlength=pool.n_classes)
    present = np.flatnonzero(counts)
    if not len(present):
        return pool.labelled
    return np.asarray(pool.labelled[pool.labels == present[counts[present].argmin()]])
