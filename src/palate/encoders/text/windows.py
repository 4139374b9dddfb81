"""Texts as windows of tokens: a long text is read whole, window by window, and not cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_CHARACTERS = 100_000
"""Characters of a text that are read, some 17,000 English words: what a text of any size costs is bounded."""

BATCH_TOKENS = 1_024
"""Tokens, padding counted, that a model sees together: enough to keep a processor busy, and what lies between its
layers still fits the processor's cache."""


Tokenize = Callable[[Sequence[str], bool], list[list[int]]]
"""Texts, and whether with the special tokens, to token ids."""


class Window(NamedTuple):
    """A part of a text that a model sees at once.

    Attributes:
        text: Number of the text.
        ids: Tokens, special ones and the prompt's included.
        weight: How many of them are the text's own.
    """

    text: int
    ids: list[int]
    weight: int


class Windows:
    """Cuts texts into windows.

    Args:
        tokenize: Of the model.
        max_tokens: What the model takes at once.
        prompt: Goes before every window.
    Raises:
        ValueError: If that leaves no room for a text.
    """

    def __init__(self, tokenize: Tokenize, max_tokens: int, prompt: str) -> None:
        self._tokenize, self._prompt = tokenize, prompt
        self._before, self._after = _special(tokenize)
        self._head = tokenize([prompt.rstrip()], False)[0] if prompt else []
        self._room = max_tokens - len(self._before) - len(self._after)
        if self._room <= len(self._head):
            raise ValueError(f"a window of {max_tokens} tokens has no room for a text")

    def of(self, texts: Sequence[str]) -> list[Window]:
        """The windows of the texts, those of a text that has no token left out."""
        tokens = self._tokenize([self._prompt + text for text in texts], False)
        return [window for text, ids in enumerate(tokens) for window in self._cut(text, ids)]

    def _cut(self, text: int, ids: list[int]) -> Iterator[Window]:
        if len(ids) <= self._room:
            if self._before or ids or self._after:
                yield Window(text, [*self._before, *ids, *self._after], max(len(ids), 1))
            return
        head = self._head if ids[: len(self._head)] == self._head else []
        body, room = ids[len(head) :], self._room - len(head)
        for start in range(0, len(body), room):
            part = body[start : start + room]
            yield Window(text, [*self._before, *head, *part, *self._after], len(part))


def _special(tokenize: Tokenize) -> tuple[list[int], list[int]]:
    """The tokens that go before and after every text."""
    (whole,), (bare,) = tokenize(["a"], True), tokenize(["a"], False)
    start = next(at for at in range(len(whole) + 1) if whole[at : at + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


def tokenize_with(tokenizer: Any) -> Tokenize:
    """The function of a tokenizer of the library transformers."""
    if tokenizer.is_fast:
        return tokenize_fast(tokenizer.backend_tokenizer)

    def tokenize(texts: Sequence[str], special: bool) -> list[list[int]]:
        return [list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]) for text in texts]

    return tokenize


def tokenize_fast(backend: Any) -> Tokenize:
    """The function of a tokenizer of the library tokenizers."""
    backend.no_truncation()
    backend.no_padding()

    def tokenize(texts: Sequence[str], special: bool) -> list[list[int]]:
        return [found.ids for found in backend.encode_batch_fast(list(texts), add_special_tokens=special)]

    return tokenize


def by_tokens(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Batches of windows of like length, longest first, none of more than :data:`BATCH_TOKENS` unless it is one window.

    Longest first: memory that does not suffice is found out with the first batch.
    """
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: len(window.ids), reverse=True):
        if batch and (len(batch) + 1) * len(batch[0].ids) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


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
