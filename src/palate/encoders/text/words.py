"""What items say in so many words: hashed TF-IDF of their title, text, categories and further columns.

A text encoder puts "a dragon" near "a wyvern"; it does not know that two books have one author. Words do: each stands
for itself, the rarer the more it counts (Spärck Jones, *A statistical interpretation of term specificity*, Journal of
Documentation 28(1), 1972). Scripts without spaces are read by pairs of neighbouring characters. Of further columns of
text (author, brand, genre) each value is a word of its own kind, since "same author" says more than "same name in it".

Words are found by their hash, so that none is kept, and an item that comes later is read with the weights of the fit.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Vectors
from palate.entities import AUDIO, CATEGORY, CATEGORY_SEPARATOR, IMAGE, ITEM, TEXT, TITLE
from palate.errors import DataError, ModelFolderError

NAME = "lexical"  # as an encoder of text: words alone
BUCKETS = 2**20  # of the hash: of a hundred thousand words a tenth shares one
AXES = 100  # of the reduced form: more add nothing on texts of a few words (docs/lab-notes.md)
MAX_WORDS = 50_000  # the most frequent of those that two items share: 20 MB of axes
_MAX_CHARACTERS = 4_000  # of a text that are read
_MAX_VALUE = 60  # characters of a value of a further column, beyond which it is no name
_MAX_VALUES = 30  # of one item in one column
_FIELD = "\x1f"  # between the name of a column and its value
_RUNS = re.compile(r"\w+", re.UNICODE)
# Han, kana, Thai, Lao, Burmese, Khmer: written without spaces
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"
)
_BETWEEN = re.compile(r"[|,;/]")
_NO_NAME = re.compile(r'[{}\[\]"\\<>]|://')
_READ_ELSEWHERE = frozenset({ITEM, TITLE, TEXT, CATEGORY, IMAGE, AUDIO})
_REPEATS = 0.5  # of a column's words that stand in the title or text already: it is another title, say
_ROUNDS = 4  # of the subspace iteration


def words_of(text: str) -> Iterator[str]:
    """The words of a text, lower case; of scripts without spaces pairs of characters, or one that stands alone.

    >>> list(words_of("The Hobbit, 霍比特人"))
    ['the', 'hobbit', '霍比', '比特', '特人']
    """
    folded = unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).casefold()
    for run in _RUNS.findall(folded):
        start = 0
        for found in _NO_SPACES.finditer(run):
            if found.start() > start:
                yield run[start : found.start()]
            piece = found[0]
            yield from (piece[at : at + 2] for at in range(max(len(piece) - 1, 1)))
            start = found.end()
        if start < len(run):
            yield run[start:]


def field_of(word: str) -> tuple[str, str]:
    """The column that a word is a value of, empty for one of a text, and the word or value itself."""
    column, _, value = word.rpartition(_FIELD)
    return column, value


def item_words(table: pl.DataFrame) -> list[list[str]]:
    """The words of each item of a table: of its title and text, its categories, and the values of further columns."""
    texts = zip(_texts(table, TITLE), _texts(table, TEXT), strict=True)
    found = [[*words_of(title), *words_of(text)] for title, text in texts]
    of_categories = [[name for name in names.split(CATEGORY_SEPARATOR) if name] for names in _texts(table, CATEGORY)]
    columns = {CATEGORY: [[_folded(name) for name in names] for names in of_categories]}
    for column in table.columns:
        if column not in _READ_ELSEWHERE and table.schema[column] in (pl.String, pl.List(pl.String)):
            columns[column] = [list(_names(cell)) for cell in table[column].to_list()]
    added = [_of_names(column, names, found) for column, names in columns.items()]
    return [[*words, *(word for of_column in added for word in of_column[row])] for row, words in enumerate(found)]


def _of_names(column: str, names: list[list[str]], texts: list[list[str]]) -> list[list[str]]:
    """Each name as a value of its column, and the words of a longer one; none of a column that repeats the texts."""
    words = [[list(words_of(name)) for name in some] for some in names]
    if column != CATEGORY:
        repeated = [
            word in text for some, text in zip(words, map(set, texts), strict=True) for one in some for word in one
        ]
        if repeated and np.mean(repeated) > _REPEATS:
            return [[] for _ in names]
    return [
        [f"{column}{_FIELD}{name}" for name in some] + [word for one in parts if len(one) > 1 for word in one]
        for some, parts in zip(names, words, strict=True)
    ]


def _texts(table: pl.DataFrame, column: str) -> list[str]:
    return table[column].fill_null("").to_list() if column in table.columns else [""] * table.height


def _names(cell: object) -> Iterator[str]:
    """The names in a cell: parts of a text, or of a list of texts."""
    parts = [part for part in cell if part] if isinstance(cell, list) else _BETWEEN.split(str(cell or ""))
    for part in parts[:_MAX_VALUES]:
        name = _folded(part)
        if name and len(name) <= _MAX_VALUE and not _NO_NAME.search(name):
            yield name


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The weights of C hashed words.

    Attributes:
        columns: Their hashes, ascending, (C,).
        weights: Inverse document frequency, (C,).
        axes: From there to the reduced form, (C, R).
    """

    columns: NDArray[np.int64]
    weights: NDArray[np.float32]
    axes: Vectors

    @property
    def revision(self) -> str:
        """Names all that decides what an item's row is."""
        return hashlib.sha256(self.columns.tobytes() + self.weights.tobytes()).hexdigest()[:12]

    @classmethod
    def fit(cls, documents: Sequence[Sequence[str]], *, rng: np.random.Generator) -> Words | None:
        """The words that two of the documents share, but not all; None where there is none.

        Args:
            documents: The words of each item.
            rng: Source of the start of the axes.
        """
        counts = _counted(documents)
        n = int((np.diff(counts.indptr) > 0).sum())
        spread = np.bincount(counts.indices, minlength=BUCKETS)
        kept = np.flatnonzero((spread >= 2) & (spread < n))
        if not len(kept):
            return None
        if len(kept) > MAX_WORDS:
            kept = np.sort(kept[np.argsort(-spread[kept], kind="stable")[:MAX_WORDS]])
        weights = (np.log((1.0 + n) / (1.0 + spread[kept])) + 1.0).astype(np.float32)
        bare = cls(kept.astype(np.int64), weights, np.zeros((len(kept), 0), dtype=np.float32))
        return cls(bare.columns, weights, _principal(bare.rows(documents), min(AXES, len(kept)), rng))

    def rows(self, documents: Sequence[Sequence[str]]) -> sparse.csr_array:
        """TF-IDF of documents, (n, C) of length one; a row without any known word is empty."""
        counted = _counted(documents)
        places = np.minimum(np.searchsorted(self.columns, counted.indices), len(self.columns) - 1)
        known = self.columns[places] == counted.indices
        rows = np.repeat(np.arange(counted.shape[0]), np.diff(counted.indptr))[known]
        values = ((1.0 + np.log(counted.data[known])) * self.weights[places[known]]).astype(np.float32)
        lengths = np.sqrt(np.bincount(rows, values.astype(np.float64) ** 2, counted.shape[0]))
        values = (values / lengths[rows]).astype(np.float32)
        found = sparse.csr_array((values, (rows, places[known])), shape=(counted.shape[0], len(self.columns)))
        found.sort_indices()
        return found

    def vectors(self, rows: sparse.csr_array) -> Vectors:
        """Reduced rows, (n, R); NaN for an item without any known word."""
        reduced = np.asarray(rows @ self.axes, dtype=np.float32)
        reduced[np.diff(rows.indptr) == 0] = np.nan
        return reduced


@dataclass(frozen=True, slots=True, eq=False)
class ItemWords:
    """What I items say in words.

    Attributes:
        words: The weights.
        rows: TF-IDF of the items, (I, C) of length one.
    """

    words: Words
    rows: sparse.csr_array

    @classmethod
    def of(cls, table: pl.DataFrame, *, rng: np.random.Generator) -> ItemWords | None:
        """Of the items of a table; None where no two share a word that others lack."""
        documents = item_words(table)
        words = Words.fit(documents, rng=rng)
        return None if words is None else cls(words, words.rows(documents))

    def added(self, table: pl.DataFrame) -> ItemWords:
        """With new items, read with the weights there are."""
        new = self.words.rows(item_words(table))
        return ItemWords(self.words, sparse.csr_array(sparse.vstack([self.rows, new], format="csr")))

    def take(self, items: NDArray[np.intp]) -> ItemWords:
        """What some of them say."""
        return ItemWords(self.words, self.rows[items])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a model folder."""
        return {
            "columns": self.words.columns,
            "weights": self.words.weights,
            "axes": self.words.axes,
            "rows.values": self.rows.data,
            "rows.items": self.rows.indices.astype(np.int32),
            "rows.start": self.rows.indptr.astype(np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_items: int) -> ItemWords:
        """Back from a model folder.

        Raises:
            ModelFolderError: If the arrays do not fit each other, or the number of items.
            KeyError, ValueError: If one is missing or of another shape.
        """
        words = Words(arrays["columns"], arrays["weights"], arrays["axes"])
        n = len(words.columns)
        fits = n > 0 and words.weights.shape == (n,) and words.axes.ndim == 2 and len(words.axes) == n
        if not fits or (np.diff(words.columns) <= 0).any() or len(arrays["rows.start"]) != n_items + 1:
            raise ModelFolderError("the words of the items do not fit each other. Save the model again.")
        parts = (arrays["rows.values"], arrays["rows.items"], arrays["rows.start"])
        rows = sparse.csr_array(parts, shape=(n_items, n))
        rows.check_format(full_check=True)
        return cls(words, rows)


def shared(one: Sequence[str], other: Sequence[str], words: Words) -> list[str]:
    """The words that two items share, those that say most first: ``field_of`` tells a value of a column."""
    common = sorted(set(one) & set(other))
    if not common:
        return []
    buckets = _counted([[word] for word in common])
    places = np.minimum(np.searchsorted(words.columns, buckets.indices), len(words.columns) - 1)
    weights = np.where(words.columns[places] == buckets.indices, words.weights[places], 0.0)
    order = np.argsort(-weights, kind="stable")
    return [common[at] for at in order if weights[at] > 0.0]


def _counted(documents: Sequence[Sequence[str]]) -> sparse.csr_array:
    """How often each hash occurs in each document, (n, BUCKETS)."""
    from sklearn.feature_extraction import FeatureHasher

    if isinstance(documents, str) or any(isinstance(document, str) for document in documents):
        raise DataError("the documents are text, not lists of words. Give the words of each item.")
    hasher = FeatureHasher(BUCKETS, input_type="string", dtype=np.float64, alternate_sign=False)
    # a lone surrogate cannot be hashed
    clean = ([word.encode("utf-8", "replace").decode() for word in document] for document in documents)
    counted = sparse.csr_array(hasher.transform(clean)) if len(documents) else sparse.csr_array((0, BUCKETS))
    counted.sum_duplicates()
    return counted


def _principal(rows: sparse.csr_array, n: int, rng: np.random.Generator) -> Vectors:
    """The leading right singular vectors, (C, n), by subspace iteration (Halko et al., SIAM Review 53(2), 2011)."""
    basis = rng.standard_normal((rows.shape[1], min(n + 10, *rows.shape)))
    for _ in range(_ROUNDS):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    vectors = np.linalg.svd(rows @ basis, full_matrices=False)[2][:n]
    found = basis @ vectors.T
    signs = np.where(found[np.abs(found).argmax(0), np.arange(found.shape[1])] < 0.0, -1.0, 1.0)
    return np.asarray(found * signs, dtype=np.float32)
