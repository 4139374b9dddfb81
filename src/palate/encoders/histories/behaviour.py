"""What a person did, as a vector, by a Transformer that predicts the next liked item.

An event is its item's vector, its kind, how much it is liked and the time since the event before; causal attention
(SASRec: Kang and McAuley, *Self-attentive sequential recommendation*, ICDM 2018) turns those so far into a state, and
the state's inner products with the items' vectors say which comes next. An item's vector is a linear map of its content
and factors plus a part of its own, shrunk towards zero, which a new item does not have: as in the item prior, what is
said holds until the log says otherwise. So new items and new people need no training.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.histories import causal
from palate.encoders.histories.history import Log
from palate.encoders.histories.sequences import Sequences
from palate.errors import DataError, MissingExtra, ModelFolderError, OptionError

_AT_ONCE = 256  # histories encoded together


@dataclass(frozen=True, slots=True)
class BehaviourOptions:
    """Settings of the Transformer and its training.

    Attributes:
        size: The one dial: width of the states, a multiple of 32. Cost grows with its square.
        layers: Blocks of attention.
        length: Events it looks back.
        epochs: At most this many passes over the log.
        patience: Stop after this many passes without gain on the users held out.
        held_out: Share of users, who are not trained on, that decide when to stop.
        ahead: A state is to tell one of the next ``ahead`` events, drawn anew each pass; 1 is the next alone.
        dropout: Share of activations dropped in training.
        forget: Share of items whose own part is dropped in a step, so that content learns to stand alone, and of
            windows whose kinds and gaps are, so that histories without any are understood.
        negatives: Items a step is judged against, drawn uniformly; all where there are no more than these.
        rate: Of learning (AdamW).
        decay: Of the weights.
        averaging: What is kept is the mean of the weights over the steps, each of which counts this share of the next
            (after Polyak, Juditsky, *Acceleration of stochastic approximation by averaging*, SIAM Journal on Control
            and Optimization 30(4), 1992); with 0 the weights of the last.
    """

    size: int = 64
    layers: int = 2
    length: int = 64
    epochs: int = 40
    patience: int = 4
    held_out: float = 0.1
    ahead: int = 1
    dropout: float = 0.2
    forget: float = 0.1
    negatives: int = 2048
    rate: float = 2e-3
    decay: float = 0.05
    averaging: float = 0.98

    def __post_init__(self) -> None:
        if self.size < causal.HEAD or self.size % causal.HEAD:
            raise OptionError(f"size is {self.size}. Give a multiple of {causal.HEAD}, such as 64.")
        counts = {
            name: getattr(self, name) for name in ("layers", "length", "epochs", "patience", "ahead", "negatives")
        }
        for name, count in counts.items():
            if count < 1:
                raise OptionError(f"{name} is {count}. Give a number from 1.")
        for name in ("held_out", "dropout", "forget", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}. Give a share from 0 to below 1.")


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """A fitted Transformer: a history encoder, and a ranker of what comes next.

    Attributes:
        weights: By name (:func:`palate.encoders.histories.causal.shapes`).
        centre, unit: Of the item vectors it was fitted on, (E,) each: they are standardised before use.
    """

    weights: Mapping[str, NDArray[np.float32]]
    centre: NDArray[np.float32]
    unit: NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.weights["norm"].shape[1])

    @property
    def length(self) -> int:
        return int(self.weights["0.distance"].shape[1]) - 1

    @property
    def revision(self) -> str:
        """Names the weights: equal revisions give equal vectors on one machine."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return f"behaviour-{digest.hexdigest()[:16]}"

    def encode(self, log: Log, item_vectors: NDArray[np.floating], n_users: int) -> Array:
        """The last state of each user, (n_users, dim); zeros for a user without events.

        Args:
            item_vectors: (I, E) with the columns it was fitted on; items after those it was fitted on are new ones.
                NaN stands for what is not known of an item.
        Raises:
            DataError: If a position is out of range or E is not that of the fit.
            MissingExtra: If torch is not installed.
        """
        log.check(n_users, len(item_vectors))
        torch = import_torch()
        sequences = Sequences.of(log, n_users)
        windows = sequences.newest(self.length)
        encoded = np.zeros((n_users, self.dim))
        with torch.inference_mode():
            used, sequences.items[:] = np.unique(sequences.items, return_inverse=True)
            weights, table = self._ready(torch, item_vectors, used)
            active = np.flatnonzero(windows[:, 1] > windows[:, 0])
            active = active[np.argsort((windows[active, 1] - windows[active, 0]), kind="stable")]
            for first in range(0, len(active), _AT_ONCE):
                users = active[first : first + _AT_ONCE]
                batch = sequences.padded(windows[users])
                found = causal.states(torch, weights, table, batch)
                encoded[users] = found[np.arange(len(users)), batch.mask.sum(1)].cpu().numpy()
        return encoded

    def score(self, histories: Array, item_vectors: NDArray[np.floating]) -> Array:
        """How likely each item comes next, as unnormalised logarithms, for states (n, dim): (n, I)."""
        torch = import_torch()
        with torch.inference_mode():
            everything = np.arange(len(item_vectors))
            table = self._ready(torch, item_vectors, everything)[1].cpu().numpy().astype(np.float64)
        return np.asarray(histories @ table[:, :-1].T + table[:, -1])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it, to be kept as safetensors."""
        return {**self.weights, "centre": self.centre, "unit": self.unit}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Behaviour:
        """What :meth:`arrays` gave.

        Raises:
            ModelFolderError: If a weight is missing or has another shape than the others demand.
        """
        try:
            size, layers = arrays["norm"].shape[1], sum(name.endswith(".out") for name in arrays)
            expected = causal.shapes(
                size, layers, arrays["0.distance"].shape[1] - 1, len(arrays["centre"]), len(arrays["residual"])
            )
            expected |= {"centre": (len(arrays["centre"]),), "unit": (len(arrays["centre"]),)}
        except (KeyError, IndexError, TypeError) as error:
            raise ModelFolderError(f"the behaviour model lacks {error}. Save the model again.") from error
        arrays = causal.with_new_kinds(arrays)
        found = {name: array.shape for name, array in arrays.items()}
        if found != expected or size < causal.HEAD or size % causal.HEAD:
            wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name)) or ["norm"]
            raise ModelFolderError(
                f"the shape of the behaviour model's {wrong[0]!r} is {found.get(wrong[0])}, expected "
                f"{expected.get(wrong[0])}. Save the model again."
            )
        kept = {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}
        return cls(
            {name: kept[name] for name in expected if name in found and name not in ("centre", "unit")},
            kept["centre"],
            kept["unit"],
        )

    def _ready(
        self, torch: Any, item_vectors: NDArray[np.floating], used: NDArray[np.intp]
    ) -> tuple[causal.Weights, Any]:
        """The weights, and the embeddings of some items."""
        if item_vectors.shape[1:] != self.centre.shape:
            raise DataError(
                f"the item vectors have the shape {item_vectors.shape}, the behaviour model was fitted on "
                f"{len(self.centre)} columns. Encode the items as then, or fit again."
            )
        place = device(torch)
        weights = {name: torch.from_numpy(array).to(place) for name, array in self.weights.items()}
        own = np.zeros((len(used), self.dim + 1), dtype=np.float32)
        fitted = used < len(self.weights["residual"])  # new items have no part of their own
        own[fitted] = self.weights["residual"][used[fitted]]
        inputs = torch.from_numpy(self.standardised(item_vectors[used])).to(place)
        return weights, causal.items({**weights, "residual": torch.from_numpy(own).to(place)}, inputs)

    def standardised(self, item_vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """In the units of the fit; what is not known is as in the middle."""
        standard: NDArray[np.float32] = np.nan_to_num((item_vectors - self.centre) / self.unit).astype(np.float32)
        return standard


def item_vectors(content: NDArray[np.floating] | None, level: Array, factors: Array) -> Array:
    """What is known of the items, side by side: content (I, E) or None, level (I,), factors (I, D)."""
    blocks = [level[:, None], factors]
    return np.concatenate(blocks if content is None else [content.astype(np.float64), *blocks], 1)


def import_torch() -> Any:
    """The library, or the line that installs it."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise MissingExtra("torch", "hf", "the behaviour encoder") from error


def device(torch: Any) -> str:
    """Where to compute: the graphics card if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
