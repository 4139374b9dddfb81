"""Networks that can be sampled: deep ensembles and Monte Carlo dropout, of Keras 3 models and of PyTorch modules.

A network is built, trained and called by :class:`palate.classifiers.frameworks.Keras` or ``Torch``; what a network of
either knows of classes and of values is the same, and is here.

References:
    Lakshminarayanan, Pritzel, Blundell, *Simple and scalable predictive uncertainty estimation using deep ensembles*,
    NIPS 2017; Gal, Ghahramani, *Dropout as a Bayesian approximation*, ICML 2016; for one mask for all rows, Kirsch, van
    Amersfoort, Gal, *BatchBALD*, NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from palate.arrays import Array
from palate.classifiers.committee import ensemble_belief
from palate.classifiers.inputs import as_classes, as_codes, as_features, as_values, same_length
from palate.errors import DataError, OptionError
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items

_ROWS = 8192  # that pass through a network at a time
_SUM = 1e-3  # by which probabilities in 32 bits may miss 1


class Framework(Protocol):
    """What a sampled network asks of the library behind it. Stability: Caller."""

    @property
    def logits(self) -> bool:
        """Whether classes come out as logits; else as probabilities."""

    def fit(self, features: Array, targets: NDArray[Any], *, seed: int, rng: np.random.Generator) -> Any:
        """A network trained on codes of classes, or on floats; not trained where there is no row."""

    def outputs(self, network: Any, features: Array, seed: int | None = None) -> Array:
        """What comes out, (N, K). With a seed dropout is on, by one mask of the seed's for all rows."""


@dataclass(frozen=True, slots=True)
class DeepEnsemble:
    """Networks trained on the same labels from different starts.

    Attributes:
        framework: :class:`palate.classifiers.frameworks.Keras` or ``Torch``.
        members: The trained networks, as their library has them, for it to save.
        classes: Names of the classes in the order of the probabilities; empty when values are predicted.
    """

    framework: Framework
    members: tuple[Any, ...]
    classes: tuple[Hashable, ...] = ()

    @classmethod
    def fit(
        cls,
        framework: Framework,
        features: ArrayLike,
        labels: Sequence[Hashable] | NDArray[np.generic],
        classes: Iterable[Hashable],
        *,
        members: int = 5,
        rng: np.random.Generator,
    ) -> DeepEnsemble:
        """Classifiers; untrained ones where there is no label."""
        table, codes, known = _labelled(features, labels, classes)
        return cls(framework, _trained(framework, table, codes, members, rng), known)

    @classmethod
    def fit_values(
        cls, framework: Framework, features: ArrayLike, values: ArrayLike, *, members: int = 5, rng: np.random.Generator
    ) -> DeepEnsemble:
        """Networks with one output that predict a value."""
        table, truth = _valued(features, values)
        return cls(framework, _trained(framework, table, truth, members, rng))

    def samples(self, features: ArrayLike) -> Array:
        """P(class) by each member, (T, N, C)."""
        return _probabilities(self._outputs(features), self.classes, self.framework.logits)

    def predictions(self, features: ArrayLike) -> Array:
        """Values predicted by each member, (T, N)."""
        return _values(self._outputs(features), self.classes)

    def belief(self, features: ArrayLike, noise: ArrayLike) -> tuple[Belief, Items]:
        """:func:`palate.classifiers.committee.ensemble_belief` of the predictions."""
        return ensemble_belief(self.predictions(features), noise)

    def _outputs(self, features: ArrayLike) -> Array:
        table = as_features(features)
        return np.stack([_outputs(self.framework, member, table) for member in self.members])


@dataclass(frozen=True, slots=True)
class MCDropout:
    """One network; its dropout masks are the draws.

    A draw uses one mask for all rows, so it is one network, and rows vary together as joint strategies need it.
    """

    framework: Framework
    network: Any
    classes: tuple[Hashable, ...] = ()

    @classmethod
    def fit(
        cls,
        framework: Framework,
        features: ArrayLike,
        labels: Sequence[Hashable] | NDArray[np.generic],
        classes: Iterable[Hashable],
        *,
        rng: np.random.Generator,
    ) -> MCDropout:
        """A classifier; untrained where there is no label."""
        table, codes, known = _labelled(features, labels, classes)
        return cls(framework, framework.fit(table, codes, seed=_seed(rng), rng=rng), known)

    @classmethod
    def fit_values(
        cls, framework: Framework, features: ArrayLike, values: ArrayLike, *, rng: np.random.Generator
    ) -> MCDropout:
        """A network with one output that predicts a value."""
        table, truth = _valued(features, values)
        return cls(framework, framework.fit(table, truth, seed=_seed(rng), rng=rng))

    def samples(self, features: ArrayLike, n: int, *, rng: np.random.Generator) -> Array:
        """P(class) under n masks, (n, N, C).

        Raises:
            OptionError: If the network has no dropout layer: every draw would be the same.
        """
        return _probabilities(self._outputs(features, n, rng), self.classes, self.framework.logits)

    def predictions(self, features: ArrayLike, n: int, *, rng: np.random.Generator) -> Array:
        """Values predicted under n masks, (n, N)."""
        return _values(self._outputs(features, n, rng), self.classes)

    def belief(
        self, features: ArrayLike, noise: ArrayLike, n: int = 50, *, rng: np.random.Generator
    ) -> tuple[Belief, Items]:
        """:func:`palate.classifiers.committee.ensemble_belief` of n draws."""
        return ensemble_belief(self.predictions(features, n, rng=rng), noise)

    def _outputs(self, features: ArrayLike, n: int, rng: np.random.Generator) -> Array:
        if n < 1:
            raise OptionError(f"n is {n}. Take at least 1 sample.")
        table = as_features(features)
        return np.stack([_outputs(self.framework, self.network, table, _seed(rng)) for _ in range(n)])


def _labelled(
    features: ArrayLike, labels: Sequence[Hashable] | NDArray[np.generic], classes: Iterable[Hashable]
) -> tuple[Array, NDArray[np.intp], tuple[Hashable, ...]]:
    table, known = as_features(features), as_classes(classes)
    codes = as_codes(labels, known)
    same_length(table, codes)
    return table, codes, known


def _valued(features: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    table, truth = as_features(features), as_values(values)
    same_length(table, truth)
    return table, truth


def _trained(
    framework: Framework, features: Array, targets: NDArray[Any], members: int, rng: np.random.Generator
) -> tuple[Any, ...]:
    if members < 2:
        raise OptionError(f"members is {members}. An ensemble needs at least 2.")
    return tuple(framework.fit(features, targets, seed=_seed(rng), rng=rng) for _ in range(members))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31 - 1))


def _outputs(framework: Framework, network: Any, features: Array, seed: int | None = None) -> Array:
    """By chunks of rows; a seed is the same network for all of them."""
    starts = range(0, max(1, len(features)), _ROWS)
    return np.concatenate([framework.outputs(network, features[start : start + _ROWS], seed) for start in starts])


def _probabilities(outputs: Array, classes: tuple[Hashable, ...], logits: bool) -> Array:
    """(T, N, K) to (T, N, C); one output is the probability, or the logit, of the second of two classes."""
    if not classes:
        raise OptionError("this network predicts values. Use predictions or belief.")
    if outputs.shape[-1] != len(classes) and (outputs.shape[-1], len(classes)) != (1, 2):
        raise DataError(f"the network has {outputs.shape[-1]} outputs for {len(classes)} classes. Give it one a class.")
    if outputs.shape[-1] == 1:
        second = expit(outputs) if logits else outputs
        found = np.concatenate([1.0 - second, second], -1)
    else:
        found = softmax(outputs, axis=-1) if logits else outputs
    if not ((found >= 0.0).all() and np.allclose(found.sum(-1), 1.0, atol=_SUM)):
        raise DataError("the network's outputs are not probabilities. End it in softmax, or in one sigmoid.")
    return np.asarray(found / found.sum(-1, keepdims=True))


def _values(outputs: Array, classes: tuple[Hashable, ...]) -> Array:
    if classes:
        raise OptionError("this network predicts classes. Use samples.")
    if outputs.shape[-1] != 1:
        raise DataError(f"the network has {outputs.shape[-1]} outputs. Give it one to predict a value.")
    return outputs[..., 0]
