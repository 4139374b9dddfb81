"""What somebody's answers say of other items by their content alone.

    answer_i = level_i + w_i · z + c(i) + noise,        c ~ GP(0, k),    k(i, j) = Σ_b s_b x_ib · x_jb

A model has few dimensions of taste, those that many people share. Content tells items apart in thousands of ways: who
liked two books of an author will like the third, though no dimension of taste is that author's. So beside the taste
each person has a function ``c`` of the content, with the same prior for everybody: rows ``x_b`` of length one, of words
and of the encoder's vectors, and a variance for either, chosen by how well answers to items are told that are held out
with their content alone. Given the answers, ``z`` and ``c`` are jointly normal: Rasmussen, Williams, *Gaussian
processes for machine learning*, 2006, chapter 2. Here only the mean is moved; what is said of how sure it is stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from palate.arrays import Array, Vectors
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.taste import Taste

MOST = 1_000  # answers of a person, the newest: a square matrix of them is solved
WORDS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # variances that are tried, as shares of the noise of an answer
VECTORS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
_PEOPLE, _ANSWERS = 300, 200  # drawn to choose them by, and answers of each
_HIDDEN = 0.2  # of the items
_LEAST = 5  # answers of a person who is drawn
_ERRORS = 1.0  # standard errors by which content must do better than none


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The content of I items as rows of length one.

    Attributes:
        words: TF-IDF, (I, C); None without.
        vectors: Of an encoder, (I, E), of any length; None without.
        lengths: Of the vectors, (I,); infinite where an item has none.
    """

    words: sparse.csr_array | None
    vectors: Vectors | None
    lengths: Array | None

    @classmethod
    def of(cls, words: sparse.csr_array | None, vectors: Vectors | None) -> Rows:
        """From TF-IDF and vectors; a row of zeros is none."""
        if vectors is None:
            return cls(words, None, None)
        lengths = np.sqrt(np.einsum("ie,ie->i", vectors, vectors, dtype=np.float64))
        return cls(words, vectors, np.where(lengths > 1e-9, lengths, np.inf))

    @property
    def parts(self) -> tuple[bool, bool]:
        """Whether there are words, and vectors."""
        return self.words is not None and self.words.nnz > 0, self.vectors is not None

    def likeness(self, some: NDArray[np.intp], others: NDArray[np.intp]) -> tuple[Array | float, Array | float]:
        """Cosines of items by words and by vectors, (n, m) each; 0 for what there is not."""
        by_words: Array | float = 0.0
        by_vectors: Array | float = 0.0
        if self.words is not None:
            by_words = (self.words[some] @ self.words[others].T).toarray().astype(np.float64)
        if self.vectors is not None and self.lengths is not None:
            product = self.vectors[some].astype(np.float64) @ self.vectors[others].T.astype(np.float64)
            by_vectors = product / self.lengths[some, None] / self.lengths[others]
        return by_words, by_vectors

    def sums(self, items: NDArray[np.intp], weights: Array, variances: tuple[float, float]) -> Array:
        """``Σ_j k(i, j) weight_j`` for all items i, (I,)."""
        n = self.words.shape[0] if self.words is not None else 0 if self.vectors is None else len(self.vectors)
        total = np.zeros(n)
        if self.words is not None and variances[0] > 0.0:
            total += variances[0] * (self.words @ (self.words[items].T @ weights))
        if self.vectors is not None and self.lengths is not None and variances[1] > 0.0:
            summed = (weights / self.lengths[items]) @ self.vectors[items]
            total += variances[1] * (self.vectors @ summed.astype(np.float32)) / self.lengths
        return total


@dataclass(frozen=True, slots=True, eq=False)
class ContentPart:
    """The prior of everybody's ``c``.

    Attributes:
        rows: Content of the items.
        variances: s of words and of vectors, in units of the answers squared (of likes, of their latent value).
    """

    rows: Rows
    variances: tuple[float, float]

    def weights(
        self, taste: Taste, start: Belief, belief: Belief, answers: tuple[NDArray[np.intp], Array], noise: Array | float
    ) -> tuple[Array, Array]:
        """α of one person's answers, with content and without it, (n,) each: ``c(i) = Σ_j k(i, j) α_j``.

        Args:
            start: Before any answer.
            belief: After them.
            answers: Positions, each once, and values, (n,) each.
            noise: ν, by which the noise of the person's answers is multiplied; or of each answer, (n,).
        """
        items, values = answers
        targets, variances = _observed(taste, belief, items, values, noise)
        factors = taste.items.factors[items]
        plain = factors @ start.covariance @ factors.T + np.diag(variances)
        left = targets - taste.items.level[items] - factors @ start.mean
        return _solved(plain + self.covariance(items, items), left), _solved(plain, left)

    def covariance(self, some: NDArray[np.intp], others: NDArray[np.intp]) -> Array:
        """k, (n, m)."""
        by_words, by_vectors = self.rows.likeness(some, others)
        both = self.variances[0] * by_words + self.variances[1] * by_vectors
        return np.broadcast_to(both, (len(some), len(others)))

    def shift(
        self,
        taste: Taste,
        start: Belief,
        belief: Belief,
        items: Sequence[int],
        values: Sequence[float],
        noise: float = 1.0,
        shares: Sequence[float] = (),
    ) -> Array:
        """By how much content moves what is expected of each item, (I,), beyond what the taste says; 0 without answers.

        Args:
            start, belief: As of :meth:`weights`.
            items: Positions of what was answered, each once, oldest first.
            shares: How much of each answer is left, in (0, 1]; none: all of all.
        """
        if not len(items):
            return np.zeros(len(taste.items))
        places, told = np.asarray(items[-MOST:], dtype=np.intp), np.asarray(values[-MOST:], dtype=np.float64)
        own = noise / np.asarray(shares[-MOST:]) if shares else noise
        with_it, without = self.weights(taste, start, belief, (places, told), own)
        turned = start.covariance @ (taste.items.factors[places].T @ (with_it - without))
        return np.asarray(taste.items.factors @ turned + self.rows.sums(places, with_it, self.variances))


def learn_variances(
    rows: Rows,
    taste: Taste,
    unseen: Items,
    answers: sparse.csr_matrix,
    of_users: Array,
    *,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The variances under which answers to items are best told that nobody has answered about.

    A fifth of the items is hidden. Of people drawn the answers to the others tell those to them, whose level and
    factors are what their content says. (0, 0) where nothing does better than no content.

    Args:
        unseen: The items as if nobody had answered, from their content.
        answers: (U, I).
        of_users: ν of each user, (U,).
        rng: Source of the items and people.
    """
    hidden = rng.random(answers.shape[1]) < _HIDDEN
    able = np.flatnonzero(np.diff(answers.indptr) >= _LEAST)
    people = [
        _Person.of(rows, taste, unseen, answers, int(user), float(of_users[user]), hidden, rng)
        for user in rng.permutation(able)[:_PEOPLE]
    ]
    people = [person for person in people if person is not None]
    words, vectors = rows.parts
    if not people or not (words or vectors):
        return 0.0, 0.0
    unit = float(np.median(taste.items.answer_noise))
    grids = (WORDS if words else (0.0,), VECTORS if vectors else (0.0,))
    found: dict[tuple[float, float], Array] = {}

    def errors(shares: tuple[float, float]) -> Array:
        if shares not in found:
            variances = (unit * shares[0], unit * shares[1])
            found[shares] = np.array([person.squared_error(variances) for person in people if person is not None])
        return found[shares]

    best = (0.0, 0.0)
    for part in (0, 1, 0):
        tried = [(share, best[1]) if part == 0 else (best[0], share) for share in grids[part]]
        best = min(tried, key=lambda shares: float(errors(shares).sum()))
    gain = errors((0.0, 0.0)) - errors(best)
    if gain.sum() <= _ERRORS * np.sqrt((gain**2).sum()):
        return 0.0, 0.0
    return unit * best[0], unit * best[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """n answers that are known and h that are hidden.

    Attributes:
        plain: Covariance of what is known, noise with it, without content, (n, n).
        left: What is known less what was expected, (n,).
        across: Covariance of the hidden with the known by taste, (h, n).
        known, hidden: Cosines by words and by vectors, (n, n) and (h, n).
        mean, variance: Of the hidden before any answer, noise with it, (h,).
        noise: Of their answers, (h,).
        values: The hidden answers, (h,).
    """

    plain: Array
    left: Array
    across: Array
    known: tuple[Array | float, Array | float]
    hidden: tuple[Array | float, Array | float]
    mean: Array
    variance: Array
    noise: Array
    values: Array
    likelihood: Likelihood

    @classmethod
    def of(
        cls,
        rows: Rows,
        taste: Taste,
        unseen: Items,
        answers: sparse.csr_matrix,
        user: int,
        of_user: float,
        hidden: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> _Person | None:
        """None where nothing is known of them, or nothing hidden."""
        entries = np.arange(answers.indptr[user], answers.indptr[user + 1])
        entries = np.sort(rng.permutation(entries)[:_ANSWERS])
        items, values = answers.indices[entries].astype(np.intp), answers.data[entries]
        is_hidden = hidden[items]
        if is_hidden.all() or not is_hidden.any():
            return None
        seen, held = items[~is_hidden], items[is_hidden]
        start, row = (
            taste.start,
            sparse.csr_matrix((values[~is_hidden], seen, [0, len(seen)]), shape=(1, answers.shape[1])),
        )
        belief = taste.believe(row, of_users=np.array([of_user])).of(0)
        targets, variances = _observed(taste, belief, seen, values[~is_hidden], of_user)
        factors, others = taste.items.factors[seen], unseen.factors[held]
        noise = unseen.noise[held] * of_user
        spread = np.einsum("hd,de,he->h", others, belief.covariance, others)
        return cls(
            plain=factors @ start.covariance @ factors.T + np.diag(variances),
            left=targets - taste.items.level[seen] - factors @ start.mean,
            across=others @ start.covariance @ factors.T,
            known=rows.likeness(seen, seen),
            hidden=rows.likeness(held, seen),
            mean=unseen.level[held] + others @ start.mean,
            variance=spread + noise,
            noise=noise,
            values=values[is_hidden],
            likelihood=taste.likelihood,
        )

    def squared_error(self, variances: tuple[float, float]) -> float:
        """Of what is expected of the hidden answers, summed."""
        known, hidden = (
            variances[0] * by_words + variances[1] * by_vectors for by_words, by_vectors in (self.known, self.hidden)
        )
        mean = self.mean + (self.across + hidden) @ _solved(self.plain + known, self.left)
        expected = self.likelihood.expected(mean, self.variance, self.noise)
        return float(((expected - self.values) ** 2).sum())


def _observed(
    taste: Taste, belief: Belief, items: NDArray[np.intp], values: Array, of_user: Array | float
) -> tuple[Array, Array]:
    """Answers as observations of ``level + w · z`` with normal noise: targets and variances, (n,) each."""
    noise = taste.answer_noise(items, of_user)
    if taste.likelihood.is_linear:
        return values, noise
    factors = taste.items.factors[items]

    def predicted() -> tuple[Array, Array]:
        spread = np.einsum("nd,de,ne->n", factors, belief.covariance, factors)
        return taste.items.level[items] + factors @ belief.mean, spread

    found = taste.likelihood.entries(values, predicted)
    return found.targets, noise / found.weights


def _solved(matrix: Array, right: Array) -> Array:
    return np.asarray(cho_solve(cho_factor(matrix, lower=True), right))
