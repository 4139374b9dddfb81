"""What every text encoder does alike: make texts fit for a model, batch them by length, give them back in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from palate.errors import DataError, ModelFolderError

MAX_CHARACTERS = 4_000
"""Characters of a text that are read. Some 700 English words: more than the 512 tokens that most models take, and few
enough that a text of any size is encoded within a second. Models that read a text window by window read more
(:data:`palate.encoders.text.windows.MAX_CHARACTERS`)."""

BATCH = 64
"""Texts that a model sees together: enough to keep a processor busy, few enough for the memory of a large model."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SMALLEST_NORM = np.float32(1e-12)


def clean(text: str, limit: int = MAX_CHARACTERS) -> str:
    r"""The part of a text that a model reads.

    Half a surrogate pair becomes U+FFFD and NUL a space, as one damaged character should not cost a whole text its
    vector. Outer white space goes, and what is left is cut after so many characters.

    >>> clean("  An\x00old film \n")
    'An old film'
    """
    start = text.replace("\x00", " ").strip()[:limit].rstrip()
    return _LONE_SURROGATE.sub("\ufffd", start)


def checked(texts: Sequence[str]) -> list[str]:
    """The texts as a list.

    Raises:
        DataError: If they are one text, or if one of them is no text.
    """
    if isinstance(texts, str):
        raise DataError(f"the texts are one text, {texts[:40]!r}. Give a list of texts.")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"text {row} is {text!r} of type {type(text).__name__}. Give text; where there is none, ''."
            )
    return list(texts)


def encode_by_length(
    texts: Sequence[str], dim: int, encode_batch: Callable[[list[str]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Vectors of the texts, from a model that takes a few clean, not empty texts at once.

    Texts of like length go together, so that little of a batch is padding.

    Returns:
        Shape (N, dim), in the order of the texts, of length one; zeros for a text without content.
    Raises:
        DataError: If one of the texts is no text.
        ModelFolderError: If the model gives values that are not finite.
    """
    cleaned = [clean(text) for text in checked(texts)]
    order = sorted((row for row, text in enumerate(cleaned) if text), key=lambda row: len(cleaned[row]))
    vectors = np.zeros((len(cleaned), dim), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        vectors[rows] = unit_length(encode_batch([cleaned[row] for row in rows]))
    return vectors


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors (N, E) divided by their lengths; zeros stay.

    Raises:
        ModelFolderError: If one is not finite.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise ModelFolderError("the encoder gives values that are not finite. Its weights are damaged: use others.")
    unit: NDArray[np.float32] = vectors / np.maximum(norms, _SMALLEST_NORM)
    return unit
