"""Batches drawn by weight: cheap diversity, and the chance of each label is known."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, choose, first
from palate.acquisition.pool.greedy import Chosen, draw_one, one_by_one
from palate.acquisition.pool.pool import Pool, at_most
from palate.acquisition.pool.uncertainty import bald, margin
from palate.arrays import Array

COLDNESS = 8.0  # of softmax, in units of the scores' standard deviation, which a score in nats does not come in
GAMMA = 10.0  # how much Falcun prefers the most relevant


def power_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Draw a batch in proportion to its information.

    ``p ∝ BALD``, without replacement. O(T C) a candidate.

    References:
        Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron, Gal, Stochastic batch acquisition: a simple baseline
        for deep active learning, TMLR 2023. arXiv:2106.12059.
    """
    return choose(bald(pool, rng=rng), k, rng=rng, draw="power")


def softmax_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Draw a batch by its information, as a softmax ("Gibbs").

    ``p ∝ exp(β BALD)``, without replacement. O(T C) a candidate. β is 8 over the scores' standard deviation; the
    paper's is 1 on scores that are scaled to the model, here to the pool.

    References:
        Kirsch et al., Stochastic batch acquisition: a simple baseline for deep active learning, TMLR 2023.
        arXiv:2106.12059.
    """
    scores = bald(pool, rng=rng)
    spread = float(scores.std())
    return choose(scores, k, rng=rng, draw="softmax", beta=COLDNESS / spread if spread > 1e-12 else 0.0)


def softrank_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Draw a batch by the rank of its information.

    ``p ∝ 1 / rank``, without replacement. O(T C) a candidate. The scale of the scores does not matter.

    References:
        Kirsch et al., Stochastic batch acquisition: a simple baseline for deep active learning, TMLR 2023.
        arXiv:2106.12059.
    """
    return choose(bald(pool, rng=rng), k, rng=rng, draw="softrank")


def badge(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Draw a batch whose gradients are large and point in different directions (BADGE).

    k-means++ on the gradients of the loss at the predicted label. O(N (C + E)) a step, never N × C·E.

    .. math:: g_i = (\bar p_i - e_{\hat y_i}) \otimes x_i, \qquad
        \langle g_i, g_j \rangle = \langle a_i, a_j \rangle \langle x_i, x_j \rangle

    The first choice is the longest gradient; each later one has ``p ∝`` its squared distance to the nearest chosen.

    References:
        Ash, Zhang, Krishnamurthy, Langford, Agarwal, Deep batch active learning by diverse, uncertain gradient lower
        bounds, ICLR 2020. arXiv:1906.03671.
    """
    mean = pool.mean
    errors = mean - np.eye(pool.n_classes)[mean.argmax(1)]
    lengths = (errors**2).sum(1) * (pool.features**2).sum(1)
    apart = np.full(len(pool), np.inf)

    def add(items: Chosen) -> None:
        item = items[-1]
        product = (errors @ errors[item]) * (pool.features @ pool.features[item])
        np.minimum(apart, np.maximum(lengths + lengths[item] - 2.0 * product, 0.0), out=apart)

    def pick(items: Chosen) -> tuple[int, float]:
        return draw_one(apart, items, rng=rng) if items else first(lengths, rng=rng)

    return one_by_one(at_most(k, pool), pick, add)


def falcun(pool: Pool, k: int, *, rng: np.random.Generator, gamma: float = GAMMA) -> Batch:
    r"""Draw what is uncertain and predicted otherwise than what was drawn before (Falcun).

    One by one, in the space of probabilities alone. O(C) a candidate and step.

    .. math:: p_i \propto (u_i + d_i)^\gamma, \qquad u_i = 1 - (\bar p_{i1} - \bar p_{i2}),
        \quad d_i \leftarrow \min(d_i, \lVert \bar p_i - \bar p_q \rVert_1) \text{ scaled to } [0, 1]

    with ``d = u`` at first.

    References:
        Gilhuber, Beer, Ma, Seidl, FALCUN: a simple and efficient deep active learning strategy, ECML PKDD 2024.
    """
    uncertain = margin(pool, rng=rng)
    apart, mean = uncertain, pool.mean

    def pick(items: Chosen) -> tuple[int, float]:
        relevance = uncertain + apart
        return draw_one((relevance / max(float(relevance.max()), 1e-300)) ** gamma, items, rng=rng)

    def add(items: Chosen) -> None:
        nonlocal apart
        apart = _scaled(np.minimum(apart, np.abs(mean - mean[items[-1]]).sum(1)))

    return one_by_one(at_most(k, pool), pick, add)


def _scaled(values: Array) -> Array:
    spread = float(values.max() - values.min())
    return np.asarray((values - values.min()) / (spread if spread > 0 else 1.0))
