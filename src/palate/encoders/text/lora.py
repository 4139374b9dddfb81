"""Low-rank changes to the attention of a text encoder, as arrays: applied with torch alone, kept as safetensors.

Hu et al., *LoRA: low-rank adaptation of large language models*, ICLR 2022. The change of a layer's weights is
``up @ down``; it is added to them when the model is loaded, so an adapted model runs as fast as the one it came from.
Training is in :mod:`palate.encoders.text.lora_fit`.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors
from palate.errors import ModelFolderError, OptionError

# what the layers of query and value are called in BERT, RoBERTa, DistilBERT, MPNet, DeBERTa, Qwen, Llama, Gemma, GPT-2
TARGETS = frozenset(
    {"query", "value", "q_lin", "v_lin", "q", "v", "query_proj", "value_proj", "q_proj", "v_proj", "c_attn"}
)


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """An adapter.

    Attributes:
        layers: By the layer's name in the module of :class:`palate.encoders.text.transformer.Loaded`: ``up``, (out,
            r), and ``down``, (r, in).
    """

    layers: Mapping[str, tuple[Vectors, Vectors]]

    @property
    def revision(self) -> str:
        """Names the weights: part of the revision of an encoder that has them."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return f"lora{digest.hexdigest()[:12]}"

    def arrays(self) -> dict[str, Vectors]:
        """For a model folder."""
        ends = {name: {"up": up, "down": down} for name, (up, down) in self.layers.items()}
        return {f"{name}.{end}": array for name, pair in ends.items() for end, array in pair.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Lora:
        """From a model folder.

        Raises:
            ModelFolderError: If a layer has one half only, or two that do not fit.
        """
        layers = {}
        for name in dict.fromkeys(key.rpartition(".")[0] for key in arrays):
            up, down = arrays.get(f"{name}.up"), arrays.get(f"{name}.down")
            if up is None or down is None or up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0]:
                shapes = [None if half is None else half.shape for half in (up, down)]
                raise ModelFolderError(f"the adapter of {name!r} has halves of shapes {shapes}. Save the model again.")
            layers[name] = up.astype(np.float32), down.astype(np.float32)
        return cls(layers)

    def merge(self, module: Any) -> None:
        """Add the change to a module's weights.

        Raises:
            ModelFolderError: If a layer is missing there, or of another size: the adapter is another model's.
        """
        torch: Any = importlib.import_module("torch")
        places = dict(module.named_modules())
        with torch.no_grad():
            for name, (up, down) in self.layers.items():
                weight = getattr(places.get(name), "weight", None)
                change = up @ down
                if weight is not None and turned(places[name]):
                    change = change.T
                if weight is None or tuple(weight.shape) != change.shape:
                    found = "none" if weight is None else f"one of {tuple(weight.shape)}"
                    raise ModelFolderError(
                        f"the adapter changes a layer {name!r} of {change.shape}, the encoder has {found}. "
                        "Load it with the encoder it was trained on, or refit."
                    )
                weight += torch.from_numpy(np.ascontiguousarray(change)).to(weight)


def turned(layer: Any) -> bool:
    """Whether a layer holds its weights as (in, out), as GPT-2's do."""
    return type(layer).__name__ == "Conv1D"


def targets(module: Any) -> list[str]:
    """The names of the layers that an adapter changes: those of query and value.

    Raises:
        OptionError: If there is none of a known name.
    """
    found = [
        name
        for name, layer in module.named_modules()
        if name.rpartition(".")[2] in TARGETS and getattr(layer, "weight", None) is not None and layer.weight.ndim == 2
    ]
    if not found:
        raise OptionError(
            f"the encoder has no attention layer of a known name (one of {', '.join(sorted(TARGETS))}). "
            "Give adapt='linear', or another encoder."
        )
    return found
