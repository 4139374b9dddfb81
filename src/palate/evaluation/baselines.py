"""The peers a recommender must beat, all behind one small protocol.

A :class:`Model` is a frozen set of settings whose ``fit`` gives a :class:`Scorer`. Of its settings
:func:`palate.evaluation.tuning.tune` picks by validation data. Every interaction counts as a positive: leave dislikes
out before. A model whose scores are made of what a user met says so (``fallback``), and those who met nothing get
popularity from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from palate.errors import DataError, LimitError, MissingExtra
from palate.machine import blas_threads

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

DAY_SECONDS = 86_400.0
EASE_MAX_ITEMS = 20_000  # its item-by-item matrix takes 8 bytes a cell, thus 3.2 GB here, three times while inverting
NEIGHBOUR_BLOCK = 1024  # items whose similarities are held densely at once


@dataclass(frozen=True, eq=False)
class Interactions:
    """What a model is fitted on or judged by: numbered rows of one world.

    Attributes:
        users, items: Positions, shape (N,).
        values: How much a row counts, in [-1, 1], below 0 where it is against, shape (N,); the baselines count every
            row that is for alike, and are given no other.
        timestamps: Seconds since the epoch, NaN where unknown, shape (N,).
        n_users, n_items: The size of the world, users and items without a row included.
    """

    users: IntArray
    items: IntArray
    values: FloatArray
    timestamps: FloatArray
    n_users: int
    n_items: int

    @property
    def liked(self) -> Interactions:
        """The rows that are for."""
        return self.where(self.values > 0.0)

    def where(self, rows: npt.NDArray[np.bool_]) -> Interactions:
        """Some rows of the same world; ``rows`` has shape (N,)."""
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            values=self.values[rows],
            timestamps=self.timestamps[rows],
        )


class Scorer(Protocol):
    """A fitted model. Stability: full."""

    def score(self, users: IntArray) -> FloatArray:
        """Scores of all items for some users, shape (B, I), more is better; what was seen is left out by the caller."""


class Model(Protocol):
    """Settings that can be fitted; frozen, and its text form names the settings. Stability: full."""

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> Scorer: ...


def matrix_of(data: Interactions) -> sparse.csr_array:
    """Who met what as a 0/1 matrix, shape (U, I), float64; several interactions count once."""
    ones = np.ones(len(data.users))
    matrix = sparse.csr_array((ones, (data.users, data.items)), shape=(data.n_users, data.n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


# --- fitted forms ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SameForAll:
    """One score an item, whoever asks."""

    scores: FloatArray  # (I,)

    def score(self, users: IntArray) -> FloatArray:
        return np.tile(self.scores, (len(users), 1))


@dataclass(frozen=True)
class LinearInHistory:
    """A user's history times an item-to-item matrix."""

    history: sparse.csr_array  # (U, I)
    weights: FloatArray | sparse.csr_array  # (I, I), from seen item to scored item

    def score(self, users: IntArray) -> FloatArray:
        scores = self.history[users] @ self.weights
        return np.asarray(scores.toarray() if sparse.issparse(scores) else scores)


@dataclass(frozen=True)
class Factors:
    """Inner products of user and item factors."""

    users: FloatArray  # (U, D)
    items: FloatArray  # (I, D)

    def score(self, users: IntArray) -> FloatArray:
        return np.asarray(self.users[users] @ self.items.T)


# --- models ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Popularity:
    """How many interactions an item has."""

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> SameForAll:
        return SameForAll(np.bincount(train.items, minlength=train.n_items).astype(np.float64))


@dataclass(frozen=True)
class RecentPopularity:
    """Popularity in which an interaction counts half for every ``half_life`` days before the last; undated: not."""

    half_life: float = 90.0

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> SameForAll:
        if np.isnan(train.timestamps).all():
            raise DataError("the interactions have no timestamps. Recent popularity needs a timestamp column.")
        age = (np.nanmax(train.timestamps) - train.timestamps) / DAY_SECONDS
        weights = np.nan_to_num(0.5 ** (age / self.half_life))
        worth = np.bincount(train.items, weights=weights, minlength=train.n_items)
        return SameForAll(worth.astype(np.float64))


@dataclass(frozen=True)
class ItemKNN:
    """Sum of the similarities of an item to what the user has seen, over its nearest neighbours only.

    Similarity is the cosine with ``shrinkage`` added to its denominator, so that rare items need more evidence.

    References:
        Sarwar, Karypis, Konstan, Riedl, Item-based collaborative filtering recommendation algorithms, WWW 2001.
        Bell and Koren, Improved neighborhood-based collaborative filtering, KDD Cup 2007 (shrinkage).
    """

    fallback: ClassVar = True
    neighbours: int = 100
    shrinkage: float = 0.0

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> LinearInHistory:
        history = matrix_of(train)
        norms = np.sqrt(np.bincount(history.indices, minlength=train.n_items))
        columns = sparse.csr_array(history.T)
        blocks = [
            self._nearest((columns[start : start + NEIGHBOUR_BLOCK] @ history).toarray(), start, norms)
            for start in range(0, train.n_items, NEIGHBOUR_BLOCK)
        ]
        return LinearInHistory(history, sparse.csr_array(sparse.vstack(blocks, format="csr").T))

    def _nearest(self, together: FloatArray, start: int, norms: FloatArray) -> sparse.csr_array:
        """Rows of the similarity matrix, shape (b, I), each with its ``neighbours`` largest entries."""
        rows = np.arange(len(together))
        together[rows, start + rows] = 0.0
        similar = together / np.maximum(norms[start + rows, None] * norms + self.shrinkage, 1e-12)
        k = min(self.neighbours, similar.shape[1])
        kept = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(similar, kept, axis=1)
        return sparse.csr_array((values.ravel(), (np.repeat(rows, k), kept.ravel())), shape=similar.shape)


@dataclass(frozen=True)
class Ease:
    """The best linear map from history to items with a zero diagonal, in closed form.

    References:
        Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019. arXiv:1905.03375
    """

    fallback: ClassVar = True
    l2: float = 200.0

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> LinearInHistory:
        if train.n_items > EASE_MAX_ITEMS:
            raise LimitError(
                f"EASE holds an item-by-item matrix and the catalogue has {train.n_items:,} items; its limit is "
                f"{EASE_MAX_ITEMS:,}. Leave it out with --models."
            )
        history = matrix_of(train)
        gram = (history.T @ history).toarray() + self.l2 * np.eye(train.n_items)
        precision = linalg.inv(gram, overwrite_a=True, check_finite=False)
        weights = precision / -np.diag(precision)
        np.fill_diagonal(weights, 0.0)
        return LinearInHistory(history, weights)


@dataclass(frozen=True)
class Ials:
    """Implicit alternating least squares, by the library ``implicit``.

    Attributes:
        factors: Their number.
        shrinkage: The regularisation divided by ``alpha``: what shrinks is the ratio of the two.
        alpha: What an interaction weighs, where everything unseen weighs 1.
        iterations: Passes.

    References:
        Hu, Koren, Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008.
        Rendle, Krichene, Zhang, Koren, Revisiting the performance of iALS on item recommendation benchmarks, RecSys
        2022 (why it must be tuned).
    """

    fallback: ClassVar = True
    factors: int = 64
    shrinkage: float = 8.0
    alpha: float = 4.0
    iterations: int = 15

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> Factors:
        try:
            from implicit.cpu.als import AlternatingLeastSquares
        except ImportError as error:
            raise MissingExtra("implicit", "peers", "the baseline ials") from error
        with blas_threads(1):  # it runs its own threads, and warns where BLAS has several too
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.shrinkage * self.alpha,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=int(rng.integers(2**31)),
            )
            model.fit(sparse.csr_matrix(matrix_of(train), dtype=np.float32), show_progress=False)
        return Factors(
            np.asarray(model.user_factors, dtype=np.float64), np.asarray(model.item_factors, dtype=np.float64)
        )
