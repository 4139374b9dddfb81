"""The words that two items share."""

from __future__ import annotations

from palate.encoders.text.words import field_of, item_words, shared, words_of
from palate.model.catalogue import Catalogue

_MOST = 2  # words that are told
_LEAST = 2  # characters of one


def shared_words(catalogue: Catalogue, one: int, other: int) -> tuple[str, ...]:
    """The words of title and text that two items share, at most two, those that say most; none where none were read.

    Of further columns nothing is told, nor of the words in their values: a maker or a category is a reason of its own.
    Nor of words such as "from", however rare they are.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    if catalogue.words is None:
        return ()
    first, second = item_words(catalogue.table[[one, other]])
    found = [field_of(word) for word in shared(first, second, catalogue.words.words)]
    left_out = {word for column, value in found if column for word in words_of(value)}
    said = [word for column, word in found if not column and word not in left_out and len(word) >= _LEAST]
    return tuple(word for word in said if word not in ENGLISH_STOP_WORDS)[:_MOST]
