"""How much an item is like what somebody met, by its content: evidence for items that few have acted on.

    s_i = Σ_j∈h x_j · x_i,        evidence E(s) = log(1 + s⁺ / (0.1 · mean s⁺))

``x`` are rows of length one: TF-IDF of an item's words, or the encoder's vectors. What others did tells more than words
once enough have acted, so each likeness comes twice: as it is, and times ``1 / (1 + count / 5)``, which fades as an
item becomes known. How much either counts is for the weights of the list to say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.special import logsumexp

from palate.arrays import Array, Mask, Vectors
from palate.errors import DataError
from palate.ranking.held_back import Met
from palate.ranking.histories import Histories, evidence, list_ndcg

FEW = 5.0  # people who acted on an item, at which its content counts half
SHARES = ((1.0, 0.0), (1.0, 0.3), (1.0, 1.0), (0.3, 1.0), (0.0, 1.0))  # of words and vectors, tried for new items
SCALES = (0.3, 0.6, 1.0, 1.5, 2.5)  # of both
NEW_ITEMS = "content of new items"
_HIDDEN, _PEOPLE, _LEAST = 0.2, 500, 30  # share of items, people at most, and at least
MOST = 20_000  # items that share a word, beyond which it is left out: it says little, and a list of it is long


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Items as rows of length one, and the likeness of two: their product. Of either form.

    Attributes:
        rows: TF-IDF, (I, C); None where it is by vectors.
        vectors: (I, R); zeros of an item without any.
    """

    rows: sparse.csr_array | None
    vectors: Vectors | None = None

    @classmethod
    def of_words(cls, rows: sparse.csr_array) -> Likeness:
        """By shared words, (I, C), without those of more than :data:`MOST` items."""
        spread = np.bincount(rows.indices, minlength=rows.shape[1])
        if spread.max(initial=0) > MOST:
            kept: Mask = np.asarray(spread <= MOST)[rows.indices]
            ends = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
            rows = sparse.csr_array((rows.data[kept], rows.indices[kept], ends), shape=rows.shape)
        return cls(rows)

    @classmethod
    def of_vectors(cls, vectors: Vectors) -> Likeness:
        """By the cosine of vectors, (I, R), from their mean; NaN where an item has none."""
        known: Mask = np.asarray(~np.isnan(vectors).any(1))
        centred = np.where(known[:, None], vectors - vectors[known].mean(0) if known.any() else 0.0, 0.0)
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        return cls(None, np.asarray(centred / np.maximum(lengths, 1e-9), dtype=np.float32))

    def __len__(self) -> int:
        return int(self._items.shape[0])

    @property
    def _items(self) -> sparse.csr_array | Vectors:
        found = self.rows if self.vectors is None else self.vectors
        if found is None:
            raise DataError("a likeness has neither words nor vectors. Give one of them.")
        return found

    def sums(self, histories: sparse.csr_array) -> Vectors:
        """s⁺ of all items, (n, I), for n histories, (n, I)."""
        items = self._items
        total = (histories.astype(np.float32) @ items) @ items.T
        dense = total.toarray() if isinstance(total, sparse.csr_array) else total
        return np.asarray(np.maximum(dense, 0.0), dtype=np.float32)

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """What each of some items adds to s of another, (n,)."""
        one, some = self._items[[item]], self._items[items]
        found = some @ one.T
        dense = found.toarray() if isinstance(found, sparse.csr_array) else found
        return np.asarray(np.maximum(dense[:, 0], 0.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class ContentExpert:
    """One expert of the list.

    Attributes:
        name: ``words`` or ``vectors``; with `` of the new`` where it fades as an item becomes known.
        likeness: Of items.
        fading: By what the evidence of each item is multiplied, (I,); None: nothing.
    """

    name: str
    likeness: Likeness
    fading: Vectors | None = None

    def evidence(self, histories: Histories) -> Vectors:
        found = evidence(self.likeness.sums(histories.matrix(1.0)))
        return found if self.fading is None else np.asarray(found * self.fading, dtype=np.float32)

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """What each of the items met adds to the score of an item, (n,), at least 0."""
        return self.likeness.shares(items, item)

    def counting(self, counts: Array) -> ContentExpert:
        """The same where so many have acted on each item, (I,)."""
        return self if self.fading is None else replace(self, fading=_fading(counts))


def fit_content(
    counts: Array, *, rows: sparse.csr_array | None = None, vectors: Vectors | None = None
) -> tuple[ContentExpert, ...]:
    """The experts that there is content for: by words, by vectors, each as it is and fading; none without content.

    Args:
        counts: How many acted on each item, (I,), as far as the fit may know.
        rows: TF-IDF, (I, C) of length one (:class:`palate.encoders.text.words.Words`).
        vectors: Of an encoder, (I, R); NaN where an item has none.
    Raises:
        DataError: If the content is of another number of items.
    """
    likenesses = {}
    if rows is not None and rows.nnz:
        likenesses["words"] = Likeness.of_words(rows)
    if vectors is not None and np.isfinite(vectors).all(1).any():
        likenesses["vectors"] = Likeness.of_vectors(vectors)
    found = []
    for name, likeness in likenesses.items():
        if len(likeness) != len(counts):
            raise DataError(f"there is content of {len(likeness)} items and counts of {len(counts)}. Give both of all.")
        found += [ContentExpert(name, likeness), ContentExpert(f"{name} of the new", likeness, _fading(counts))]
    return tuple(found)


def _fading(counts: Array) -> Vectors:
    return (1.0 / (1.0 + np.asarray(counts) / FEW)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class NewItems:
    """What speaks for items that nobody has met: likeness to what somebody met, of both kinds.

    Those who are held back for the weights of the list met known items only, so nothing is learnt from them of others.

    Attributes:
        likenesses: By words and by vectors; None where there are none.
        weights: Of either.
        is_new: Whether nobody has met an item, (I,).
    """

    likenesses: tuple[Likeness | None, Likeness | None]
    weights: tuple[float, float]
    is_new: Mask

    def evidence(self, histories: Histories) -> Vectors:
        """0 of items that somebody has met."""
        rows, total = histories.matrix(1.0), np.zeros((len(histories), len(self.is_new)), dtype=np.float32)
        for likeness, weight in zip(self.likenesses, self.weights, strict=True):
            if likeness is not None and weight > 0.0:
                total += np.float32(weight) * evidence(likeness.sums(rows))
        return np.asarray(total * self.is_new, dtype=np.float32)

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """What each of the items met adds to the score of an item, (n,): of each kind its part, times its weight."""
        total = np.zeros(len(items))
        for likeness, weight in zip(self.likenesses, self.weights, strict=True):
            if likeness is not None and weight > 0.0:
                own = likeness.shares(items, item)
                total += weight * own / max(float(own.sum()), 1e-30)
        return total


def weights_of_new_items(
    met: Met, likenesses: tuple[Likeness | None, Likeness | None], *, rng: np.random.Generator
) -> tuple[float, float]:
    """The weights under which people find what they like among items that are hidden as if they were new.

    A fifth of the items is hidden; what people met of the others is their history. The shares of words and vectors have
    the best mean NDCG@10, and their scale makes what was liked likeliest under a softmax of all hidden items. (1, 1)
    where too few people liked something hidden.

    Args:
        rng: Source of the items and the people.
    """
    there = tuple(likeness is not None for likeness in likenesses)
    tried = [
        shares for shares in SHARES if not any(share and not known for share, known in zip(shares, there, strict=True))
    ]
    hidden = rng.random(met.n_items) < _HIDDEN
    seen, later = met.take(~hidden[met.items]), met.take(hidden[met.items] & met.liked)
    people = rng.permutation(np.intersect1d(seen.users, later.users))[:_PEOPLE]
    if not tried or len(people) < _LEAST:
        return float(there[0]), float(there[1])
    starts = seen.starts
    histories = Histories.of([seen.items[starts[user] : starts[user + 1]] for user in people], met.n_items)
    liked = np.zeros((len(people), met.n_items), dtype=bool)
    own = np.isin(later.users, people)
    order = np.argsort(people)
    liked[order[np.searchsorted(people[order], later.users[own])], later.items[own]] = True
    liked = liked[:, hidden]
    rows = histories.matrix(1.0)
    parts = [None if one is None else evidence(one.sums(rows))[:, hidden] for one in likenesses]

    def score(shares: tuple[float, float]) -> Vectors:
        return np.asarray(sum(share * part for share, part in zip(shares, parts, strict=True) if part is not None))

    counts = liked.sum(1)
    best = max(tried, key=lambda shares: float(list_ndcg(score(shares), liked, counts).mean()))
    plain = score(best)
    scale = max(SCALES, key=lambda scale: _log_chance(scale * plain, liked))
    return scale * best[0], scale * best[1]


def _log_chance(scores: Vectors, liked: Mask) -> float:
    """Mean logarithm of the chance of what is liked under a softmax of each row."""
    log = scores - logsumexp(scores, axis=1, keepdims=True)
    return float((np.where(liked, log, 0.0).sum(1) / liked.sum(1)).mean())
