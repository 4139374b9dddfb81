"""The rival that reads: items like what somebody met, by the words they share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from palate.errors import DataError
from palate.evaluation.baselines import FloatArray, Interactions, matrix_of

# A word of two letters or digits and more, or a single Chinese or Japanese sign: with pairs of them, half a word.
_WORDS = r"[^\W_㐀-鿿぀-ヿ]{2,}|[㐀-鿿぀-ヿ]"


@dataclass(frozen=True)
class ByWords:
    """A user's items, and every item's words."""

    history: sparse.csr_array  # (U, I)
    vectors: sparse.csr_array  # (I, C), rows of length one

    def score(self, users: npt.NDArray[np.integer]) -> FloatArray:
        return np.asarray((self.history[users] @ self.vectors @ self.vectors.T).toarray())


@dataclass(frozen=True)
class TfIdfProfile:
    """The sum of the TF-IDF vectors of what a user met, times that of each item.

    Attributes:
        texts: Of each item, (I,).
        longest: Words in a row that count as one.

    References:
        Salton and Buckley, Term-weighting approaches in automatic text retrieval, Information Processing & Management
        24(5), 1988.
    """

    fallback: ClassVar = True
    texts: Sequence[str] = field(repr=False)
    longest: int = 1

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> ByWords:
        """Raises DataError if no text has a word."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        if not has_words(self.texts):
            raise DataError(
                f"{len(self.texts)} items have no text with a word. The TF-IDF profile needs titles or texts."
            )
        words = TfidfVectorizer(
            token_pattern=_WORDS, ngram_range=(1, self.longest), sublinear_tf=True, dtype=np.float64
        )
        return ByWords(matrix_of(train), sparse.csr_array(words.fit_transform(self.texts)))


def has_words(texts: Sequence[str]) -> bool:
    """Whether any of them can be told from no text."""
    return any(re.search(_WORDS, text) for text in texts)
