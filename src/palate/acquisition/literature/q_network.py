"""The network of :mod:`palate.acquisition.literature.nicf`, as functions of a dictionary of weights.

Shapes: C channels, D width, A items (those that are learnt of), B histories of T answers.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import MissingExtra

Weights = dict[str, Any]  # tensors
_TINY = 1e-6


def import_torch() -> Any:
    """The library, or the line that installs it."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise MissingExtra("torch", "hf", "the strategy 'nicf'") from error


def start(
    n_items: int, n_channels: int, width: int, rewards: Array, rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Weights before training: an item is worth its ``rewards``, (A,), whatever the history."""

    def matrices(*shape: int) -> Array:
        return rng.normal(0.0, 1.0 / math.sqrt(shape[-2]), shape)

    weights = {
        "items": rng.normal(0.0, 0.1, (n_channels, n_items + 1, width)),  # row 0 stands before every history
        "query": matrices(n_channels, width, width),
        "key": matrices(n_channels, width, width),
        "value": matrices(n_channels, width, width),
        "up": matrices(n_channels, width, width),
        "up.bias": np.zeros((n_channels, 1, 1, width)),
        "down": matrices(n_channels, width, width),
        "down.bias": np.zeros((n_channels, 1, 1, width)),
        "state": matrices(n_channels * width, width),
        "state.bias": np.zeros(width),
        "actions": rng.normal(0.0, 0.01, (n_items, width)),
        "actions.bias": rewards,
    }
    return {name: value.astype(np.float32) for name, value in weights.items()}


def states(torch: Any, weights: Weights, items: Any, channels: Any) -> Any:
    """The state before the first answer and after each, (B, T + 1, D).

    Args:
        items: Rows of the embeddings, (B, T).
        channels: Of each answer, (B, T); -1 where a history is padded, which changes nothing.
    """
    n_channels, _, width = weights["items"].shape
    length = items.shape[1] + 1
    pad = torch.nn.functional.pad
    mine = pad(channels == torch.arange(n_channels)[:, None, None], (1, 0), value=True)
    x = weights["items"][:, pad(items, (1, 0))]  # every channel begins with row 0: none is empty
    query = _norm(torch, x)
    by = {name: weights[name][:, None] for name in ("query", "key", "value", "up", "down")}
    fit = (query @ by["query"]) @ (x @ by["key"]).mT / math.sqrt(width)
    seen = mine[:, :, None, :] & torch.ones(length, length, dtype=torch.bool).tril()
    mixed = torch.softmax(fit.masked_fill(~seen, -torch.inf), -1) @ (x @ by["value"])
    hidden = _norm(torch, mixed + query)
    out = torch.relu(hidden @ by["up"] + weights["up.bias"]) @ by["down"] + weights["down.bias"]
    out = _norm(torch, out + hidden)
    last = torch.where(mine, torch.arange(length), 0).cummax(2).values  # of the channel so far
    read = out.gather(2, last[..., None].expand(out.shape)).permute(1, 2, 0, 3).flatten(2)
    return torch.relu(read @ weights["state"] + weights["state.bias"])


def _norm(torch: Any, x: Any) -> Any:
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=_TINY)
