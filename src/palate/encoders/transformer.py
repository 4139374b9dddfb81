"""A Hugging Face transformer as a text encoder: tokens in, one pooled vector out."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.errors import ModelFolderError

Pooling = Literal["mean", "last"]

MAX_TOKENS = 512
"""Tokens of a text that are read, fewer where the model takes fewer."""


class Transformer:
    """A transformer with a pooling.

    BERT-like models see a text from both sides, and the mean of their states stands for it. In GPT-like models a state
    knows only what came before, and the last token's stands for the text (Muennighoff, 2022, arXiv:2202.08904).

    Args:
        folder: A checked model folder.
        pooling: ``mean`` or ``last``; ``None`` chooses by the kind of model.
    Raises:
        ModelFolderError: If the model is an encoder-decoder or weights are missing.
    """

    def __init__(self, folder: Path, pooling: Pooling | None) -> None:
        self._torch: Any = importlib.import_module("torch")
        transformers: Any = importlib.import_module("transformers")
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        config = transformers.AutoConfig.from_pretrained(folder, **safe)
        if config.is_encoder_decoder:
            raise ModelFolderError(
                f"{folder} is an encoder-decoder ({config.model_type}), which has no one state for a text. "
                "Give a BERT-like or GPT-like model, or its sentence-transformers form."
            )
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
        model, found = transformers.AutoModel.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=self._torch.float32, output_loading_info=True, **safe
        )
        _check_complete(folder, found["missing_keys"])
        self._model = model.eval().to(device(self._torch))
        self.pooling: Pooling = pooling or ("last" if _is_causal(config.model_type) else "mean")
        self.dim = int(config.hidden_size)
        limits = (MAX_TOKENS, self._tokenizer.model_max_length, getattr(config, "max_position_embeddings", MAX_TOKENS))
        self._max_tokens = int(min(limits))

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        """Pooled states of the texts, shape (N, dim); zeros for a text that has no token."""
        tokens = self._tokenizer(texts, truncation=True, max_length=self._max_tokens)["input_ids"]
        rows = [row for row, ids in enumerate(tokens) if ids]
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if rows:
            vectors[rows] = self._pooled([tokens[row] for row in rows])
        return vectors

    def _pooled(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        torch = self._torch
        ids, mask = (
            torch.from_numpy(array).to(self._model.device) for array in pad(tokens, self._tokenizer.pad_token_id)
        )
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = last(states, mask) if self.pooling == "last" else mean(states, mask)
        vectors: NDArray[np.float32] = pooled.cpu().numpy()
        return vectors


def pad(tokens: Sequence[Sequence[int]], pad_id: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids filled up on the right, and the mask of those that are real, each of shape (N, longest).

    On the right, whatever side the tokenizer prefers: so the states of real tokens are those of the text alone, in
    models that see both sides (by the mask) and in those that see what came before (by the order). A GPT that has no
    padding token needs none.
    """
    lengths = np.array([len(ids) for ids in tokens])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id or 0, dtype=np.int64)
    ids[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in tokens])
    return ids, mask.astype(np.int64)


def mean(states: Any, mask: Any) -> Any:
    """The mean over real tokens of states (N, T, E), for a mask (N, T) with a token in each row: (N, E)."""
    weights = mask[:, :, None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def last(states: Any, mask: Any) -> Any:
    """The last real token of states (N, T, E) padded on the right, for a mask (N, T): (N, E)."""
    positions = mask.sum(1) - 1
    return states[range(len(states)), positions]


def device(torch: Any) -> str:
    """Where to compute: the graphics card if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _is_causal(model_type: str) -> bool:
    """Whether a kind of model is only ever trained to predict the next token, as GPT is and BERT is not."""
    auto: Any = importlib.import_module("transformers.models.auto.modeling_auto")
    return (
        model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and model_type not in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def _check_complete(folder: Path, missing: Sequence[str]) -> None:
    """Refuse weights with gaps, which the library would fill with random numbers; the pooler's head is not used."""
    gaps = sorted(key for key in missing if not key.startswith("pooler."))
    if gaps:
        raise ModelFolderError(
            f"the weights in {folder} lack {len(gaps)} tensors, first {gaps[0]!r}. Get the model again."
        )
