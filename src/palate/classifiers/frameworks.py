"""What is behind a network: Keras 3, on whatever ``KERAS_BACKEND`` says before Keras is imported, or PyTorch alone.

Neither leaves a trace in a global source of randomness: batches are drawn by ``rng``, dropout masks by a seed. Masks of
dropout as a posterior are one for all rows, so that a draw is one network (Kirsch, van Amersfoort, Gal, *BatchBALD*,
NeurIPS 2019), and layers that only dropout's neighbours would disturb, batch normalisation above all, stay as in use.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import MissingExtra, OptionError


@dataclass(frozen=True, slots=True)
class Keras:
    """Keras 3 models.

    Attributes:
        build: A compiled model from a seed. ``keras.utils.set_random_seed(seed)`` as its first line makes it
            reproducible. Classes: it ends in ``Dense(C, activation="softmax")`` with a sparse categorical loss, or, for
            two, in ``Dense(1, activation="sigmoid")`` with a binary one. Values: in ``Dense(1)``.
        epochs: Passes over the labels.
        batch_size: Labels a step.
    """

    build: Callable[[int], Any]
    epochs: int = 100
    batch_size: int = 32
    logits: bool = field(default=False, init=False)

    def fit(self, features: Array, targets: NDArray[Any], *, seed: int, rng: np.random.Generator) -> Any:
        """A trained model."""
        _import_keras()
        model = self.build(seed)
        x, y = features.astype(np.float32), targets.astype(np.float32)[:, None]
        for rows in _batches(len(x), self.batch_size, self.epochs, rng):  # fit() would shuffle by a global generator
            model.train_on_batch(x[rows], y[rows])
        return model

    def outputs(self, network: Any, features: Array, seed: int | None = None) -> Array:
        """What the model gives, (N, K); with a seed under its dropout masks."""
        keras = _import_keras()
        x = keras.ops.convert_to_tensor(features.astype(np.float32))
        if seed is None:
            out = network(x, training=False)
        else:
            with _keras_masks(keras, network, seed):
                out = network(x, training=True)
        with warnings.catch_warnings():  # a promise between PyTorch 2.13 and NumPy 2 that Keras meets on its way
            warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
            return np.asarray(keras.ops.convert_to_numpy(out), dtype=np.float64)


def _import_keras() -> Any:
    try:
        return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name == "keras":
            raise MissingExtra("keras", "keras", "a Keras network") from error
        raise OptionError(
            f"Keras is set to run on {error.name!r}, which is not installed. Set KERAS_BACKEND=torch before the start."
        ) from error


@contextmanager
def _keras_masks(keras: Any, model: Any, seed: int) -> Iterator[None]:
    """Dropout layers with the seed's masks, one for all rows; batch normalisation by what it learnt."""
    layers = list(_layers(model))
    drops = [layer for layer in layers if isinstance(layer, keras.layers.Dropout) and layer.rate > 0]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    _expect_dropout(drops, model)
    before = [(layer, "noise_shape", layer.noise_shape) for layer in drops]
    before += [(layer, "trainable", layer.trainable) for layer in norms]
    for number, layer in enumerate(drops):
        layer.noise_shape = (1, *(None for _ in layer.output.shape[1:]))
        layer.seed_generator.state.assign([seed, number * 2**16])
    for layer in norms:
        layer.trainable = False
    try:
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


@dataclass(frozen=True, slots=True)
class Torch:
    """PyTorch modules, trained by Adam.

    Attributes:
        build: A module from a seed. It gives logits, not probabilities: (N, C) for C classes, or (N, 1) for two; for
            values (N, 1). ``torch.manual_seed(seed)`` as its first line makes it reproducible.
        epochs: Passes over the labels.
        batch_size: Labels a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
    """

    build: Callable[[int], Any]
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 0.0

    logits: bool = field(default=True, init=False)

    def fit(self, features: Array, targets: NDArray[Any], *, seed: int, rng: np.random.Generator) -> Any:
        """A trained module."""
        torch = _import_torch()
        x, y = torch.from_numpy(features.astype(np.float32)), torch.from_numpy(targets)
        with torch.random.fork_rng(devices=[]):  # dropout in training draws from the global generator
            torch.manual_seed(seed)
            module = self.build(seed).train()
            optimizer = torch.optim.Adam(module.parameters(), self.learning_rate, weight_decay=self.weight_decay)
            for rows in _batches(len(x), self.batch_size, self.epochs, rng):
                optimizer.zero_grad()
                _torch_loss(torch, module(x[rows]), y[rows]).backward()
                optimizer.step()
        return module.eval()

    def outputs(self, network: Any, features: Array, seed: int | None = None) -> Array:
        """What the module gives, (N, K); with a seed under its dropout masks."""
        torch = _import_torch()
        x = torch.from_numpy(features.astype(np.float32))
        with torch.inference_mode():
            if seed is None:
                out = network(x)
            else:
                with _torch_masks(torch, network, seed):
                    out = network(x)
        return np.asarray(out.numpy(), dtype=np.float64)


def _import_torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise MissingExtra("torch", "hf", "a PyTorch network") from error


def _torch_loss(torch: Any, out: Any, targets: Any) -> Any:
    functional = torch.nn.functional
    if targets.is_floating_point():
        return functional.mse_loss(out[:, 0], targets.to(out.dtype))
    if out.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(out[:, 0], targets.to(out.dtype))
    return functional.cross_entropy(out, targets)


@contextmanager
def _torch_masks(torch: Any, module: Any, seed: int) -> Iterator[None]:
    """Masks by hooks on the dropout layers, which let all through in a module that is not training."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.nn.modules.dropout._DropoutNd
    drops = [layer for layer in module.modules() if isinstance(layer, kind) and layer.p > 0]
    _expect_dropout(drops, module)

    def drop(layer: Any, _: Any, out: Any) -> Any:
        # nn.Dropout drops entries of a row, its relatives for images whole channels
        shape = (1, *out.shape[1:]) if isinstance(layer, torch.nn.Dropout) else (1, out.shape[1], *[1] * (out.ndim - 2))
        keep = torch.rand(shape, generator=generator) >= layer.p
        return out * keep / (1.0 - layer.p)

    hooks = [layer.register_forward_hook(drop) for layer in drops]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _expect_dropout(layers: list[Any], network: Any) -> None:
    if not layers:
        raise OptionError(
            f"{type(network).__name__} has no dropout layer: all draws would be equal. Add one, or use DeepEnsemble."
        )


def _batches(n: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Rows of each step: every row once an epoch, in a new order."""
    for _ in range(epochs if n else 0):
        order = rng.permutation(n)
        yield from np.split(order, range(size, n, size))
