"""Who can answer what: a linear factor model of the matrix "has rated", moved by answers and by "don't know it".

    P(user u can answer item i) = share · max(rate_i + l_i · x_u, least · rate_i),        x_u ~ N(0, I)

A linear score falls below 0 where a chance cannot, for a quarter to a half of all pairs once a user was asked 20 items.
Some of them are known: how many, as a share of how well known the items are, is learnt from users held out.
Taste is untouched by it, and it by taste. "Binary prediction" in Elahi, Ricci, Rubens, *A survey of active learning in
collaborative filtering recommender systems*, Computer Science Review 20, 2016. Linear, not logistic: on MovieLens-100K
a probit model of the same matrix obtained no more answers and took longer (docs/lab-notes.md).

What a group and a pair say of what a user knows, in the linear model of who can answer what.

An item that is not tapped was not liked or is not known: ``P(tap) = π P(known)``, π the chance that it is liked if it
is known. "Not tapped" is then an observation of the same factors with loadings ``π l``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, svds

from palate.arrays import Array, Mask
from palate.posteriors.belief import Belief
from palate.posteriors.probit import yes_chance
from palate.posteriors.statistics import pack, unpack, used_columns
from palate.posteriors.taste import Taste

LOWEST = 1e-3  # nobody is known to be unable to answer
_LEARNT_FROM = 4_000  # users at most, a fifth of them held out
_TRIED_ON = 2_000  # items at most, on which their scores are seen
_GROUPS, _ASKED = 10, 20  # of users held out, each with its own items asked, as many as an interview has


@dataclass(frozen=True, slots=True)
class Answerability:
    """The population's exposure to the items.

    Attributes:
        rate: Share of users who have rated each item, (I,).
        loadings: l, (I, E).
        noise: Variance of "has rated" given x, (I,).
        least: P(can answer) over the item's rate, of those users whose score is lower than that.
    """

    rate: Array
    loadings: Array
    noise: Array
    least: float = 0.0
    _covariance: Array = field(init=False, repr=False)  # of x once all is known, (E, E)
    _average: Array = field(init=False, repr=False)  # Σ rate l / noise, (E,)

    def __post_init__(self) -> None:
        weighted = self.loadings / self.noise[:, None]
        precision = np.eye(self.loadings.shape[1]) + weighted.T @ self.loadings
        object.__setattr__(self, "_covariance", np.linalg.inv(precision))
        object.__setattr__(self, "_average", self.rate @ weighted)

    @classmethod
    def fit(cls, seen: sparse.csr_matrix, *, dim: int = 12, rng: np.random.Generator) -> Answerability:
        """From who has rated what, (U, I) CSR; the entries' values do not matter."""
        known = sparse.csr_matrix((np.ones(seen.nnz), seen.indices, seen.indptr), shape=seen.shape)
        return replace(cls._linear(known, dim, rng), least=_least(known, dim, rng))

    @classmethod
    def _linear(cls, known: sparse.csr_matrix, dim: int, rng: np.random.Generator) -> Answerability:
        """Rates and loadings of zeros and ones, (U, I) CSR."""
        n_users, n_items = known.shape
        rate = np.asarray(known.mean(0)).ravel()
        dim = min(dim, n_users - 2, n_items - 2)
        if dim < 1 or np.isin(np.bincount(known.indices, minlength=n_items), (0, n_users)).all():  # nothing varies
            return cls(rate, np.zeros((n_items, 0)), np.maximum(rate * (1 - rate), LOWEST))
        centred = LinearOperator(
            (n_users, n_items),
            matvec=lambda x: known @ x.ravel() - rate @ x.ravel(),
            rmatvec=lambda x: known.T @ x.ravel() - rate * x.sum(),
            dtype=np.float64,
        )
        try:
            _, singular, right = svds(centred, k=dim, v0=rng.normal(size=min(n_users, n_items)))
            loadings = (
                np.ascontiguousarray(right[::-1].T) * singular[::-1] / np.sqrt(n_users)
            )  # as a saved one comes back
        except ArpackError:  # where many axes are equally strong, as when hardly anything is rated
            loadings = _dense_loadings(known, rate, dim)
        return cls(rate, loadings, _noise(rate, loadings))

    @property
    def floor(self) -> Array:
        """Lowest P(can answer) of each item, (I,)."""
        return np.asarray(np.maximum(self.least * self.rate, LOWEST))

    def extended(self, n_items: int, content: tuple[Array, Array] | None = None) -> Answerability:
        """With ``n_items`` new items that nobody could rate so far.

        Args:
            content: Encodings of the old items, (I, E), and of the new ones, (n_items, E). Who knows a new item is
                then predicted from who knows items of similar content; without, it is known like the average item,
                by those who know much.
        """
        rated = self.rate > 0  # the others are new themselves, or what nobody knows
        seen = rated if rated.any() else np.ones(len(self.rate), dtype=bool)
        table = np.concatenate([self.rate[:, None], self.loadings], 1)
        if content is None:
            predicted = np.broadcast_to(table[seen].mean(0), (n_items, table.shape[1]))
        else:
            predicted = _by_content(content[0][seen], table[seen], content[1])
        rate = np.append(self.rate, np.clip(predicted[:, 0], LOWEST, 1.0))
        loadings = np.concatenate([self.loadings, predicted[:, 1:]])
        noise = np.append(self.noise, _noise(rate, loadings)[len(self.noise) :])
        return replace(self, rate=rate, loadings=loadings, noise=noise)

    def start(self, n_users: int | None = None) -> Belief:
        """Belief about somebody never asked, or about n of them."""
        dim = self.loadings.shape[1]
        if n_users is None:
            return Belief(np.zeros(dim), np.eye(dim))
        return Belief(np.zeros((n_users, dim)), np.tile(np.eye(dim), (n_users, 1, 1)))

    def believe(self, seen: sparse.csr_matrix, asked: Mask | None = None) -> Belief:
        """Beliefs about n users, (n, I), who have rated these items and no other.

        Args:
            asked: Items of which it is known whether they have, (n, I); all if None.
        """
        ones = sparse.csr_matrix((np.ones(seen.nnz), seen.indices, seen.indptr), seen.shape)
        if asked is not None:
            return self._believe_some(ones, asked)
        rated, known = used_columns(ones)
        pull = known @ (self.loadings[rated] / self.noise[rated][:, None]) - self._average
        return Belief(pull @ self._covariance, np.tile(self._covariance, (len(pull), 1, 1)))

    def _believe_some(self, seen: sparse.csr_matrix, asked: Mask) -> Belief:
        weighted = self.loadings / self.noise[:, None]
        # precisions add: a product with the packed pairs of loadings
        outer = pack(weighted[:, :, None] * self.loadings[:, None, :])
        covariance = np.linalg.inv(np.eye(self.loadings.shape[1]) + unpack(asked.astype(np.float64) @ outer))
        covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
        error = asked * (seen.toarray() - self.rate)
        return Belief(np.einsum("nef,nf->ne", covariance, error @ weighted), covariance)

    def observe(self, belief: Belief, items: NDArray[np.intp] | int, answered: NDArray[Any] | bool) -> Belief:
        """After one answer, or none: one user and one item, or n users and an item each."""
        loadings = self.loadings[items]
        along = belief.mean @ loadings if belief.mean.ndim == 1 else np.einsum("ne,ne->n", belief.mean, loadings)
        predicted = self.rate[items] + along
        return belief.update(loadings, np.asarray(answered, dtype=np.float64) - predicted, self.noise[items])

    def observe_each(self, belief: Belief, items: NDArray[np.intp], answered: NDArray[Any]) -> Belief:
        """After n answers, or none, of one user about an item each, (n,): as :meth:`observe` one by one."""
        values = np.asarray(answered, dtype=np.float64)
        each = belief.after_each(self.loadings[items], self.rate[items], values, self.noise[items])
        return deque(each, maxlen=1).pop() if len(items) else belief

    def probability(self, belief: Belief) -> Array:
        """P(can answer), (I,) or (n, I), at least 0.001 and at most 1."""
        return np.clip(self.rate + belief.mean @ self.loadings.T, self.floor, 1.0)

    def targets(self, belief: Belief) -> Array:
        """Probability that an item is one the user will be shown, (I,) or (n, I): by what the user may know."""
        probability = self.probability(belief)
        return np.asarray(probability / probability.sum(-1, keepdims=True))

    def reach(self, belief: Belief) -> Array:
        """``E[P(can answer i) n] / E[n]``, n the share of the catalogue the user knows, (I,) or (n, I).

        What an answer is worth grows with how many items the user will use, and both hang on the same x: an item that
        only avid users know is answered rarely, but by those who gain most. Equal to P(can answer) once x is known.
        """
        mean_loading = self.loadings.mean(0) if len(self.loadings) else np.zeros(0)
        average = self.rate.mean()
        size = np.maximum(average + belief.mean @ mean_loading, 0.3 * average)[..., None]
        together = np.einsum("...ef,f->...e", belief.covariance, mean_loading) @ self.loadings.T
        return np.asarray(np.maximum(self.rate + belief.mean @ self.loadings.T + together / size, self.floor))


def _noise(rate: Array, loadings: Array) -> Array:
    return np.asarray(np.maximum(rate * (1 - rate) - (loadings**2).sum(1), LOWEST))


def _least(known: sparse.csr_matrix, dim: int, rng: np.random.Generator) -> float:
    """How often users answer where their score is too low, over the items' rates: of users held out, once asked."""
    users = rng.permutation(known.shape[0])[:_LEARNT_FROM]
    held, others = users[: len(users) // 5], users[len(users) // 5 :]
    model = Answerability._linear(known[others], dim, rng)
    if len(held) == 0 or np.count_nonzero(model.rate) < 2:
        return 0.0
    groups = [known[some] for some in np.array_split(held, _GROUPS) if len(some)]
    scores, answered, rates = np.concatenate([_tried(model, group, rng) for group in groups], 1)
    least, before = 0.0, -1.0
    while least > before + 1e-4:  # more are too low as it rises
        low = scores <= np.maximum(least * rates, LOWEST)
        # one more that was not answered: of few, hardly anything is learnt
        before, least = least, min(float(answered[low].sum() / (rates[low].sum() + 1.0)), 1.0)
    return least


def _tried(model: Answerability, known: sparse.csr_matrix, rng: np.random.Generator) -> Array:
    """Score, whether it is known and the item's rate, (3, N), of users asked the same items, those known to many first.

    Args:
        known: What the users can answer, (n, I) CSR.
    """
    n = min(_ASKED, int(np.count_nonzero(model.rate)) // 2)
    asked = rng.choice(len(model.rate), n, replace=False, p=model.rate / model.rate.sum())
    belief = model.start(known.shape[0])
    for item in asked:
        belief = model.observe(belief, np.full(known.shape[0], item), known[:, item].toarray().ravel())
    tried = rng.permutation(np.setdiff1d(np.flatnonzero(model.rate), asked))[:_TRIED_ON]
    scores = model.rate[tried] + belief.mean @ model.loadings[tried].T
    rates = np.broadcast_to(model.rate[tried], scores.shape)
    return np.stack([scores.ravel(), known[:, tried].toarray().ravel(), rates.ravel()])


def _dense_loadings(known: sparse.csr_matrix, rate: Array, dim: int) -> Array:
    """The same loadings (I, E) from the whole covariance of the rated items."""
    rated = np.flatnonzero(rate)
    seen = known[:, rated]
    covariance = (seen.T @ seen).toarray() / known.shape[0] - np.outer(rate[rated], rate[rated])
    values, vectors = np.linalg.eigh(covariance)
    strongest = slice(None, -min(dim, len(rated)) - 1, -1)
    loadings = np.zeros((len(rate), min(dim, len(rated))))
    loadings[rated] = vectors[:, strongest] * np.sqrt(np.maximum(values[strongest], 0.0))
    return loadings


def _by_content(known: Array, table: Array, new: Array) -> Array:
    """Ridge regression of a table (I, K) on encodings, its strength by generalised cross-validation, at new ones."""
    centre, base = known.mean(0), table.mean(0)
    left, singular, right = np.linalg.svd(known - centre, full_matrices=False)
    along = left.T @ (table - base)

    def shrunk(strength: float) -> Array:
        return singular**2 / (singular**2 + strength)

    def loss(strength: float) -> float:
        shrink = shrunk(strength)
        residual = table - base - left @ (shrink[:, None] * along)
        return float((residual**2).sum() / max(1.0 - (shrink.sum() + 1.0) / len(table), 1e-3) ** 2)

    strength = min(10.0 ** np.arange(-2, 5), key=loss)
    spread = np.where(singular > 1e-9, singular, np.inf)
    return np.asarray(base + (new - centre) @ right.T @ ((shrunk(strength) / spread)[:, None] * along))


def like_chance(taste: Taste, belief: Belief, items: NDArray[np.intp] | int, cut: float) -> Array:
    """P(a user likes an item that they know): of one user and one item or several, or of n users and an item each."""
    factors = taste.items.factors[items]
    mean = taste.like_level(cut, items) + np.einsum("...d,...d->...", belief.mean, factors)
    variance = np.einsum("...d,...de,...e->...", factors, belief.covariance, factors)
    return yes_chance(mean, variance + taste.items.answer_noise[items])


def known_chance(answerability: Answerability, exposure: Belief, items: NDArray[np.intp] | slice | int) -> Array:
    """P(a user knows an item), at least 0.001 and at most 1; shapes as above."""
    score = np.einsum("...e,...e->...", exposure.mean, answerability.loadings[items])
    rate = answerability.rate[items]
    return np.asarray(np.clip(rate + score, np.maximum(answerability.least * rate, LOWEST), 1.0))


def compared(
    answerability: Answerability,
    exposure: Belief,
    first: NDArray[np.intp] | int,
    second: NDArray[np.intp] | int,
    known: Mask | bool,
) -> Belief:
    """The belief about what a user knows after they compared two items: both are known, or else one of them is not."""
    for item, other in ((first, second), (second, first)):
        silent = not_named(answerability, exposure, item, known_chance(answerability, exposure, other))
        exposure = answerability.observe(exposure, item, True).where(known, silent)
    return exposure


def not_named(
    answerability: Answerability, exposure: Belief, items: NDArray[np.intp] | int, chance: Array | float
) -> Belief:
    """The belief about what a user knows after an item was not named, which happens with a chance if it is known.

    Args:
        chance: π: that it is liked, of an item not tapped; that the other is known, of a pair of which one is not.
    """
    rate, loadings = answerability.rate[items], answerability.loadings[items]
    chance = np.asarray(chance)
    predicted = chance * (rate + np.einsum("...e,...e->...", exposure.mean, loadings))
    named = chance * rate
    noise = named - named**2 - chance**2 * np.einsum("...e,...e->...", loadings, loadings)
    return exposure.update(chance[..., None] * loadings, -predicted, np.maximum(noise, LOWEST))
