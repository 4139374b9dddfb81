"""What a pool strategy sees, and what it gives back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from palate.acquisition.draw import Batch, choose
from palate.arrays import Array, Positions
from palate.errors import DataError, OptionError

Status = Literal["recommended", "measured", "reference"]


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
        status: ``measured`` where what its labels are worth stands in ``benchmarks/results``, else ``reference``.
    """

    name: str
    cost: str
    source: str
    unit: str
    score: PoolScore | None = None
    choose: PoolChoose | None = None
    status: Status = "reference"

    @property
    def description(self) -> str:
        """What it labels, in one line: the first of its function's docstring."""
        return described(self.score or self.choose)

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


def named(function: Callable[..., object]) -> str:
    """The name of what a function does, as on the command line."""
    return function.__name__.replace("_", "-")


def described(function: Callable[..., object] | None) -> str:
    """The first line of its docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
