"""Transformers in PyTorch: tokens in, one pooled vector a row out."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors
from palate.encoders.text.loading import SAFE, check_complete
from palate.errors import ModelFolderError

Pooling = Literal["mean", "last"]
Way = Literal["mean", "last", "modules"]
Tokens = NDArray[np.int64]

MAX_TOKENS = 512
"""Tokens that a model sees at once, fewer where it takes fewer."""


class Loaded(NamedTuple):
    """A model in memory.

    Attributes:
        module: A torch module, (ids (N, T), mask (N, T)) to vectors (N, E).
        tokenizer: Of the library transformers.
        max_tokens: That the module takes at once.
        dim: E.
        way: How states become one vector; ``modules``: as sentence-transformers' modules say.
    """

    module: Any
    tokenizer: Any
    max_tokens: int
    dim: int
    way: Way


def load_transformer(folder: Path, pooling: Pooling | None, *, trusted: bool = False) -> Loaded:
    """A transformer with a pooling.

    BERT-like models see a text from both sides, and the mean of their states stands for it. In GPT-like models a state
    knows only what came before, and the last token's stands for the text (Muennighoff, 2022, arXiv:2202.08904).

    Args:
        folder: A checked model folder.
        pooling: ``mean`` or ``last``; ``None`` chooses by the kind of model.
        trusted: Whether code in the folder may run.
    Raises:
        ModelFolderError: If the model is an encoder-decoder or weights are missing.
    """
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    safe = {**SAFE, "trust_remote_code": trusted}
    config = transformers.AutoConfig.from_pretrained(folder, **safe)
    if config.is_encoder_decoder:
        raise ModelFolderError(
            f"{folder} is an encoder-decoder ({config.model_type}), which has no one state for a text. "
            "Give a BERT-like or GPT-like model, or its sentence-transformers form."
        )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
    model, found = transformers.AutoModel.from_pretrained(
        folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **safe
    )
    check_complete(folder, found["missing_keys"])
    chosen: Pooling = pooling or ("last" if _is_causal(config.model_type) else "mean")
    pool = last if chosen == "last" else mean
    module = _module(
        model, lambda model, ids, mask: pool(model(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
    )
    limits = (MAX_TOKENS, tokenizer.model_max_length, _positions(model, config))
    return Loaded(module, tokenizer, int(min(limits)), int(config.hidden_size), chosen)


def load_modules(folder: Path, *, trusted: bool = False) -> Loaded:
    """A sentence-transformers model, run as its modules say.

    Raises:
        ModelFolderError: If its pooling leaves the prompt out, which is not done here.
    """
    torch: Any = importlib.import_module("torch")
    library: Any = importlib.import_module("sentence_transformers")
    model = library.SentenceTransformer(
        str(folder),
        device="cpu",
        local_files_only=True,
        trust_remote_code=trusted,
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
    )
    if any(getattr(part, "include_prompt", True) is False for part in model) and any(model.prompts.values()):
        raise ModelFolderError(f"{folder} wants its prompt left out of the pooling. Give its transformer's folder.")
    module = _module(
        model, lambda model, ids, mask: model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
    )
    max_tokens = int(min(model.max_seq_length or MAX_TOKENS, MAX_TOKENS))
    return Loaded(module, model.tokenizer, max_tokens, int(model.get_embedding_dimension()), "modules")


def _module(model: Any, forward: Callable[[Any, Any, Any], Any]) -> Any:
    """A torch module that holds the model; a class made here, since torch is imported late."""
    torch: Any = importlib.import_module("torch")
    body = {"forward": lambda self, ids, mask: forward(self.model, ids, mask)}
    module = type("Pooled", (torch.nn.Module,), body)()
    module.model = model
    return module.eval()


def _positions(model: Any, config: Any) -> int:
    """Tokens there are positions for; in RoBERTa and its like the first ones are never used."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    unused = getattr(table, "padding_idx", None)
    return int(getattr(config, "max_position_embeddings", MAX_TOKENS)) - (0 if unused is None else unused + 1)


class TorchBackend:
    """A module on the processor, or a copy on each graphics card, each with its own batches.

    Args:
        module: Of :class:`Loaded`.
        half: Whether to compute in half precision, which only graphics cards are faster in.
    """

    def __init__(self, module: Any, *, half: bool = False) -> None:
        self._torch: Any = importlib.import_module("torch")
        kind = self._torch.float16 if half else self._torch.float32
        self._copies = [copy.deepcopy(module).to(device=where, dtype=kind) for where in devices(self._torch)]

    def __call__(self, ids: Tokens, mask: Tokens) -> Vectors:
        """Vectors of the rows, (N, E)."""
        return self._run(self._copies[0], ids, mask)

    def map(self, batches: Iterable[tuple[Tokens, Tokens]]) -> Iterator[Vectors]:
        """Vectors of each batch, in their order; as many batches at once as there are cards."""
        if len(self._copies) == 1:
            yield from (self(ids, mask) for ids, mask in batches)
            return
        free: SimpleQueue[Any] = SimpleQueue()
        for module in self._copies:
            free.put(module)

        def one(batch: tuple[Tokens, Tokens]) -> Vectors:
            module = free.get()
            try:
                return self._run(module, *batch)
            finally:
                free.put(module)

        waiting = iter(batches)
        with ThreadPoolExecutor(len(self._copies)) as pool:
            while part := list(islice(waiting, 8 * len(self._copies))):
                yield from pool.map(one, part)

    def _run(self, module: Any, ids: Tokens, mask: Tokens) -> Vectors:
        torch, where = self._torch, next(module.parameters()).device
        with torch.inference_mode():
            vectors: Vectors = (
                module(torch.from_numpy(ids).to(where), torch.from_numpy(mask).to(where)).float().cpu().numpy()
            )
        return vectors


def devices(torch: Any) -> list[str]:
    """Where to compute: every graphics card, or the processor."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{card}" for card in range(cards)] or ["cpu"]


def has_cards() -> bool:
    """Whether there is a graphics card to compute on."""
    return devices(importlib.import_module("torch")) != ["cpu"]


def mean(states: Any, mask: Any) -> Any:
    """The mean over real tokens of states (N, T, E), for a mask (N, T) with a token in each row: (N, E)."""
    weights = mask[:, :, None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def last(states: Any, mask: Any) -> Any:
    """The last real token of states (N, T, E) padded on the right, for a mask (N, T): (N, E)."""
    torch: Any = importlib.import_module("torch")
    is_last = torch.arange(mask.shape[1], device=mask.device) == mask.sum(1, keepdim=True) - 1
    return (states * is_last[:, :, None].to(states.dtype)).sum(1)


def _is_causal(model_type: str) -> bool:
    """Whether a kind of model is only ever trained to predict the next token, as GPT is and BERT is not."""
    auto: Any = importlib.import_module("transformers.models.auto.modeling_auto")
    return (
        model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and model_type not in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
