"""How unsure a model is of a candidate's label, and what the label would tell."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, choose
from palate.acquisition.pool.geometry import slices, unit
from palate.acquisition.pool.information import entropy, top_two
from palate.acquisition.pool.pool import Pool
from palate.arrays import Array


def least_confidence(pool: Pool, *, rng: np.random.Generator) -> Array:
    """Label what the model is least sure of, by its first guess.

    ``1 − max_c p̄_c``, (N,), the chance that the first guess is wrong. O(C).

    References:
        Lewis, Gale, A sequential algorithm for training text classifiers, SIGIR 1994.
    """
    return np.asarray(1.0 - pool.mean.max(1))


def margin(pool: Pool, *, rng: np.random.Generator) -> Array:
    """Label what the model is torn about, between its first two guesses.

    ``1 − (p̄₁ − p̄₂)``, (N,), of the two most probable classes; from 0 to 1. O(C).

    References:
        Scheffer, Decomain, Wrobel, Active hidden Markov models for information extraction, IDA 2001.
    """
    first, second = top_two(pool.mean)
    return np.asarray(1.0 - (first - second))


def predictive_entropy(pool: Pool, *, rng: np.random.Generator) -> Array:
    """Label what the model is least sure of, by all its guesses.

    ``−Σ_c p̄_c log p̄_c`` in nats, (N,), with 0 log 0 = 0. O(C).

    References:
        Shannon, A mathematical theory of communication, 1948; as a rule for labelling: Settles, Craven, An analysis of
        active learning strategies for sequence labeling tasks, EMNLP 2008.
    """
    return entropy(pool.mean)


def vote_entropy(pool: Pool, *, rng: np.random.Generator) -> Array:
    """Label what a committee splits its votes over.

    ``−Σ_c (V_c / T) log (V_c / T)`` in nats, (N,): each draw votes for its most probable class, of equally probable
    ones for the first. O(T C).

    References:
        Dagan, Engelson, Committee-based sampling for training probabilistic classifiers, ICML 1995; Seung, Opper,
        Sompolinsky, Query by committee, COLT 1992.
    """
    votes = pool.samples.argmax(2)  # (T, N)
    return entropy((votes[:, :, None] == np.arange(pool.n_classes)).mean(0))


def bald(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Label what tells most about the model's parameters.

    .. math:: H[\bar p] - \frac1T \sum_t H[p_t] = \frac1T \sum_t \mathrm{KL}(p_t \,\|\, \bar p)

    The information between the label and the parameters, in nats, (N,), at least 0; by the second form, which came
    first, also known as mean divergence: how far the members of a committee are from their consensus. O(T C).

    References:
        McCallum, Nigam, Employing EM and pool-based active learning for text classification, ICML 1998 (divergence);
        Houlsby et al., Bayesian active learning for classification and preference learning, 2011. arXiv:1112.5745;
        Gal, Islam, Ghahramani, Deep Bayesian active learning with image data, ICML 2017.
    """
    return np.asarray(np.maximum(entropy(pool.mean) - entropy(pool.samples).mean(0), 0.0))  # below 0 lies rounding


def random(pool: Pool, *, rng: np.random.Generator) -> Array:
    """Label anything: what every strategy is measured against.

    A uniform draw, (N,). O(1).
    """
    return rng.random(len(pool))


def choose_random(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """As :func:`random`: uniform draws without replacement, whose probabilities are 1 over how many were left."""
    return choose(np.zeros(len(pool)), k, rng=rng)


def density(pool: Pool, *, rng: np.random.Generator, beta: float = 1.0) -> Array:
    r"""Label what is uncertain and like many others: an outlier teaches little about the rest.

    .. math:: H[\bar p] \Big(\tfrac1N \sum_j \tfrac{1 + \cos(x, x_j)}{2}\Big)^{\beta}

    Entropy times a power of the mean similarity to the pool, in nats, (N,). O(E) after one pass: the mean of cosines is
    a cosine with the mean of the unit rows, so no pair of candidates is looked at.

    References:
        Settles, Craven, An analysis of active learning strategies for sequence labeling tasks, EMNLP 2008 (information
        density).
    """
    rows = unit(pool.features)
    similarity = (1.0 + rows @ rows.mean(0)) / 2.0
    return np.asarray(entropy(pool.mean) * np.maximum(similarity, 0.0) ** beta)


TARGETS = 256  # drawn where there are more


def epig(pool: Pool, *, rng: np.random.Generator, n_targets: int = TARGETS) -> Array:
    r"""Label what tells most about the labels that are to be predicted.

    .. math:: E_{j}\Big[\sum_{c, c'} p(c, c') \log \frac{p(c, c')}{p(c)\,p(c')}\Big],
        \qquad p(c, c') = \tfrac1T \sum_t p_t(y = c)\, p_t(y_j = c')

    The expected information between the label and a target's, in nats, (N,), at least 0. O(T C² J). Exact over the
    targets, of which :data:`TARGETS` are drawn where there are more.

    References:
        Bickford Smith et al., Prediction-oriented Bayesian active learning, AISTATS 2023. arXiv:2304.08151.
    """
    targets = pool.wanted
    if targets.shape[1] > n_targets:
        targets = targets[:, rng.choice(targets.shape[1], n_targets, replace=False)]
    draws, n, classes = pool.samples.shape
    flat = targets.reshape(draws, -1)
    mean_target = entropy(targets.mean(0)).mean()
    scores = np.zeros(n)
    for rows in slices(n, classes * flat.shape[1]):
        joint = np.tensordot(pool.samples[:, rows], flat, axes=(0, 0)) / draws  # (rows, C, J·C)
        scores[rows] = entropy(joint).sum(1)
    scores = entropy(pool.mean) + mean_target - scores / max(1, targets.shape[1])
    return np.asarray(np.maximum(scores, 0.0))  # below 0 lies rounding
