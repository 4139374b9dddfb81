"""The network of :mod:`palate.encoders.histories.behaviour`, as functions of a dictionary of weights.

Pre-norm blocks of causal self-attention with a learnt bias a head and distance (Raffel et al., JMLR 21, 2020).
Distances and not places: what a history of three events means does not depend on how long others are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.encoders.histories.history import KINDS
from palate.encoders.histories.sequences import GAPS, Batch

Weights = dict[str, Any]  # tensors
Drop = Callable[[Any], Any]
HEAD = 32  # width of an attention head


def shapes(size: int, layers: int, length: int, n_inputs: int, n_items: int) -> dict[str, tuple[int, ...]]:
    """Shape of every weight."""
    found: dict[str, tuple[int, ...]] = {
        "input": (n_inputs, size + 1),
        "residual": (n_items, size + 1),
        "kind.scale": (len(KINDS), 2),
        "kind.shift": (len(KINDS), size),
        "liking": (size,),
        "gap": (GAPS, size),
        "start": (size,),
        "norm": (2, size),
    }
    for layer in range(layers):
        found |= {
            f"{layer}.norm.attention": (2, size),
            f"{layer}.attention": (size, 3 * size),
            f"{layer}.out": (size, size),
            f"{layer}.distance": (heads(size), length + 1),
            f"{layer}.norm.hidden": (2, size),
            f"{layer}.up": (size, 4 * size),
            f"{layer}.up.bias": (4 * size,),
            f"{layer}.down": (4 * size, size),
            f"{layer}.down.bias": (size,),
        }
    return found


def with_new_kinds(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Weights of a model that knows fewer kinds of event; the new ones are as before training."""
    found = dict(arrays)
    for name in ("kind.scale", "kind.shift"):
        missing = len(KINDS) - len(found[name]) if name in found and found[name].ndim == 2 else 0
        if missing > 0:
            new = start({name: (missing, found[name].shape[1])}, np.random.default_rng(0))[name]
            found[name] = np.concatenate([found[name], new])
    return found


def heads(size: int) -> int:
    """How many heads share a width."""
    return size // HEAD


def decays(name: str) -> bool:
    """Whether a weight is shrunk towards zero."""
    return name in ("input", "residual") or name.partition(".")[2] in ("attention", "out", "up", "down")


def start(shape: dict[str, tuple[int, ...]], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Weights before training: matrices small and random, norms and slopes of liking one, biases zero."""
    weights = {}
    for name, size in shape.items():
        if "norm" in name or name == "kind.scale":
            value = np.zeros(size)
            value[0 if "norm" in name else (slice(None), 1)] = 1.0  # what is disliked counts as its opposite
        elif name.endswith(("bias", "distance")) or name in ("gap", "kind.shift"):  # what is never seen says nothing
            value = np.zeros(size)
        elif name in ("residual", "start", "liking"):
            value = rng.normal(0.0, 0.02, size)
        else:
            value = rng.normal(0.0, 1.0 / math.sqrt(max(size[0], 1)), size) * (0.2 if name == "input" else 1.0)
        weights[name] = value.astype(np.float32)
    return weights


def items(weights: Weights, inputs: Any, keep: Any = None) -> Any:
    """Embedding and, last, popularity of each item, (I, size + 1): what content and factors say, and what was learnt.

    Args:
        inputs: (I, E).
        keep: 1 where the item's own part counts, (I, 1).
    """
    return inputs @ weights["input"] + (weights["residual"] if keep is None else weights["residual"] * keep)


def states(torch: Any, weights: Weights, table: Any, batch: Batch, drop: Drop = lambda x: x) -> Any:
    """What is known before and after each event, (B, T + 1, size).

    Args:
        table: Of :func:`items`.
    """
    size = weights["norm"].shape[1]
    x = _tokens(torch, weights, table[:, :size], batch)
    x = drop(torch.cat([weights["start"].expand(len(x), 1, size), x], 1) * math.sqrt(size))
    n_layers = sum(name.endswith(".out") for name in weights)
    for layer in range(n_layers):
        part = {name.partition(".")[2]: value for name, value in weights.items() if name.startswith(f"{layer}.")}
        x = x + drop(_attended(torch, part, _normal(torch, x, part["norm.attention"])))
        hidden = torch.nn.functional.gelu(_normal(torch, x, part["norm.hidden"]) @ part["up"] + part["up.bias"])
        x = x + drop(drop(hidden) @ part["down"] + part["down.bias"])
    return _normal(torch, x, weights["norm"])


def _tokens(torch: Any, weights: Weights, table: Any, batch: Batch) -> Any:
    """Events as vectors: the item's, as much as its kind and liking let through, with kind, liking and time gap."""
    place = table.device
    kinds, gaps, met, liking = (
        torch.from_numpy(part).to(place) for part in (batch.kinds, batch.gaps, batch.items, batch.liking)
    )
    liking = liking[:, :, None]
    scale, slope = weights["kind.scale"][kinds].split(1, -1)
    seen = torch.nn.functional.embedding(met, table) * (scale + slope * liking)
    return seen + weights["kind.shift"][kinds] + weights["gap"][gaps] + liking * weights["liking"]


def _normal(torch: Any, x: Any, weight: Any) -> Any:
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight[0], weight[1])


def _attended(torch: Any, part: Weights, x: Any) -> Any:
    n, steps, size = x.shape
    query, key, value = (
        side.reshape(n, steps, -1, size // heads(size)).transpose(1, 2) for side in (x @ part["attention"]).chunk(3, -1)
    )
    place = torch.arange(steps, device=x.device)
    distance = place[:, None] - place
    bias = part["distance"][:, distance.clamp(min=0)].masked_fill(distance < 0, -math.inf)
    mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return mixed.transpose(1, 2).reshape(n, steps, size) @ part["out"]
