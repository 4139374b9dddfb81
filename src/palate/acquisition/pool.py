"""Active learning on any model: draws of class probabilities in, a score per candidate or a batch of candidates out.

A model need not be of this package: whatever gives T draws of its posterior (a Laplace approximation, MC-dropout, a
committee, T = 1 for a point estimate) makes a :class:`Pool`, and every strategy of
:mod:`palate.acquisition.general` runs on it.

Shapes: ``T`` draws, ``N`` candidates, ``C`` classes, ``E`` features, ``L`` labelled, ``J`` targets, ``k`` to ask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from palate.errors import DataError, OptionError

Array = NDArray[np.float64]
Positions = NDArray[np.intp]
Draw = Literal["greedy", "power", "softmax", "softrank"]


@dataclass(frozen=True, slots=True)
class Pool:
    """What a strategy sees: candidates, what is labelled, what is to be predicted.

    Attributes:
        samples: Class probabilities of the candidates under each draw of the posterior, (T, N, C).
        features: Of the candidates, (N, E).
        labelled: Features of what is labelled, (L, E).
        labels: Class of each of those, (L,).
        labelled_samples: Their class probabilities under the same draws, (T, L, C).
        targets: Class probabilities, under the same draws, of what is to be predicted, (T, J, C); the candidates
            themselves if None.
    Raises:
        DataError: If the shapes do not fit together or a value is not finite.
    """

    samples: Array
    features: Array
    labelled: Array
    labels: Positions
    labelled_samples: Array
    targets: Array | None = None

    def __post_init__(self) -> None:
        if self.samples.ndim != 3:
            raise DataError(f"samples have the shape {self.samples.shape}. Give (draws, candidates, classes).")
        if self.features.ndim != 2:
            raise DataError(f"features have the shape {self.features.shape}. Give (candidates, features).")
        draws, n, classes = self.samples.shape
        size, known = self.features.shape[1], len(self.labels)
        _expect("features", self.features, (n, size))
        _expect("labelled", self.labelled, (known, size))
        _expect("labelled_samples", self.labelled_samples, (draws, known, classes))
        if self.targets is not None:
            _expect("targets", self.targets, (draws, *self.targets.shape[1:2], classes))
        if known and not (self.labels.min() >= 0 and self.labels.max() < classes):
            raise DataError(f"a label is {self.labels.max()} or {self.labels.min()}. Give classes 0 to {classes - 1}.")

    def __len__(self) -> int:
        return int(self.samples.shape[1])

    @classmethod
    def unlabelled(cls, samples: Array, features: Array) -> Pool:
        """A pool of which nothing is labelled yet."""
        draws, _, classes = samples.shape
        nothing = np.zeros(0, dtype=np.intp)
        return cls(samples, features, np.zeros((0, features.shape[1])), nothing, np.zeros((draws, 0, classes)))

    @property
    def n_classes(self) -> int:
        return int(self.samples.shape[2])

    @property
    def mean(self) -> Array:
        """Predicted class probabilities of the candidates, (N, C)."""
        return np.asarray(self.samples.mean(0))

    @property
    def wanted(self) -> Array:
        """Class probabilities of what is to be predicted, (T, J, C)."""
        return self.samples if self.targets is None else self.targets

    def take(self, positions: Positions) -> Pool:
        """Some of the candidates, in the order given; what is to be predicted stays."""
        return replace(self, samples=self.samples[:, positions], features=self.features[positions], targets=self.wanted)


def _expect(name: str, values: Array, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise DataError(f"{name} have the shape {values.shape}. Give {shape}, to fit the samples and the labels.")
    if not np.isfinite(values).all():
        raise DataError(f"{name} hold a value that is not finite. Give finite numbers.")


@dataclass(frozen=True, slots=True)
class Batch:
    """Candidates chosen, in the order of choice.

    Attributes:
        items: Their positions in the pool, (k,), all different.
        propensities: Probability of each choice given the earlier ones and whatever was computed before the first
            (clusters, scores), (k,): 1 over the number of equals for a greedy choice, the drawn one's share otherwise.
    """

    items: Positions
    propensities: Array

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, items: list[int], propensities: list[float]) -> Batch:
        return cls(np.array(items, dtype=np.intp), np.array(propensities, dtype=np.float64))

    def within(self, positions: Positions) -> Batch:
        """The same choice where the candidates were themselves taken from a larger pool."""
        return Batch(positions[self.items], self.propensities)


class PoolScore(Protocol):
    """A pool in, a score per candidate out, (N,): the highest is asked first. Stability: Caller."""

    def __call__(self, pool: Pool, *, rng: np.random.Generator) -> Array: ...


class PoolChoose(Protocol):
    """A pool in, up to k different candidates out. Stability: Caller."""

    def __call__(self, pool: Pool, k: int, *, rng: np.random.Generator) -> Batch: ...


@dataclass(frozen=True, slots=True)
class PoolStrategy:
    """A way to choose from a pool: by a score, by a batch, or both.

    Attributes:
        name: As on the command line.
        cost: Time of scoring all candidates, or of one batch.
        source: Where it comes from.
        unit: Of the score; of what a batch maximises.
        score: Of each candidate alone; None where a batch has no such thing.
        choose: Of a batch as a whole; None where the best scores are the batch.
    """

    name: str
    cost: str
    source: str
    unit: str
    score: PoolScore | None = None
    choose: PoolChoose | None = None

    def pick(self, pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
        """Up to ``k`` different candidates; fewer where the pool has fewer.

        Raises:
            OptionError: If k is below 1.
        """
        if at_most(k, pool) == 0:
            return Batch.of([], [])
        if self.choose is not None:
            return self.choose(pool, k, rng=rng)
        assert self.score is not None  # one of both is given
        return choose(self.score(pool, rng=rng), k, rng=rng)


def at_most(k: int, pool: Pool) -> int:
    """How many can be chosen.

    Raises:
        OptionError: If k is below 1.
    """
    if k < 1:
        raise OptionError(f"k is {k}. Ask for at least 1 label.")
    return min(k, len(pool))


def best(values: Array, *, rng: np.random.Generator) -> tuple[int, float]:
    """Position of the largest value, equal ones broken by ``rng``, and 1 over how many were equal."""
    top = np.flatnonzero(values == values.max())
    return int(rng.choice(top)) if len(top) > 1 else int(top[0]), 1.0 / len(top)


def choose(scores: Array, k: int, *, rng: np.random.Generator, draw: Draw = "greedy", beta: float = 1.0) -> Batch:
    r"""Up to ``k`` candidates by their scores.

    ``greedy`` takes the highest. The others draw without replacement, by Gumbel top-k, which costs a sort and needs no
    joint score to be diverse; each draw's probability given the earlier ones is recorded.

    .. math::
        p_i \propto s_i^\beta \;(\text{power}), \qquad e^{\beta s_i} \;(\text{softmax}), \qquad
        \operatorname{rank}_i^{-\beta} \;(\text{softrank}, best = 1)

    Args:
        scores: (N,).
        beta: 0 is a uniform draw; the larger, the closer to greedy.
    Raises:
        OptionError: If k is below 1, a score is not finite, beta is below 0, or ``power`` meets a score below 0.
    References:
        Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron, Gal, Stochastic batch acquisition: a simple baseline
        for deep active learning, TMLR 2023. arXiv:2106.12059. Kool, van Hoof, Welling, Stochastic beams and where to
        find them, ICML 2019 (Gumbel top-k).
    """
    if k < 1:
        raise OptionError(f"k is {k}. Ask for at least 1 label.")
    if not np.isfinite(scores).all():
        place = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise OptionError(f"the score of candidate {place} is {scores[place]}. A score must be finite.")
    if draw == "greedy":
        return _highest(scores, k, rng)
    return _drawn(log_weights(scores, draw, beta), k, rng)


def _highest(scores: Array, k: int, rng: np.random.Generator) -> Batch:
    shuffled = rng.permutation(len(scores))
    items = shuffled[np.argsort(-scores[shuffled], kind="stable")][:k]
    values, counts = np.unique(scores, return_counts=True)
    equal = counts[np.searchsorted(values, scores[items])]
    turn = np.arange(len(items)) - np.searchsorted(-scores[items], -scores[items])  # chosen before, of the same score
    return Batch(items, 1.0 / (equal - turn))


def log_weights(scores: Array, draw: Draw, beta: float) -> Array:
    """Logarithm of what each is drawn in proportion to, (N,) (:func:`choose`)."""
    if not (np.isfinite(beta) and beta >= 0):
        raise OptionError(f"beta is {beta}. Give a finite number of at least 0.")
    if draw == "softmax":
        return beta * scores
    if draw == "softrank":
        return _log_rank_weights(scores, beta)
    if draw != "power":
        raise OptionError(f"draw {draw!r} is unknown. Use greedy, power, softmax or softrank.")
    if len(scores) and scores.min() < 0:
        raise OptionError(f"power draws meet the score {scores.min():.3g}. Use softmax or softrank below 0.")
    with np.errstate(divide="ignore"):
        logs = np.log(scores)
    return np.zeros_like(scores) if beta == 0 else beta * logs


def _log_rank_weights(scores: Array, beta: float) -> Array:
    """Equal scores share the mean weight of the ranks they hold, so that the order of candidates does not matter."""
    _, group = np.unique(-scores, return_inverse=True)
    weights = np.arange(1, len(scores) + 1, dtype=np.float64) ** -beta
    shared = np.bincount(np.sort(group), weights=weights) / np.bincount(group)
    return np.asarray(np.log(shared)[group])


def _drawn(logs: Array, k: int, rng: np.random.Generator) -> Batch:
    noise = rng.gumbel(size=len(logs))
    order = np.lexsort((-noise, -(logs + noise)))  # those of no weight come last, in a uniform order
    weights = logs[order]
    left = np.logaddexp.accumulate(weights[::-1])[::-1]  # log of the weight not yet drawn
    none_left = np.isneginf(left)
    shares = np.exp(weights - np.where(none_left, 0.0, left))
    shares[none_left] = 1.0 / np.arange(len(order), 0, -1)[none_left]
    return Batch(order[:k], shares[:k])
