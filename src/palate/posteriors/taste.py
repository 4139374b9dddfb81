"""What is believed about users and items, and how an answer moves it (model.md, sections 1, 3 and 6).

Shapes: ``I`` items, ``D`` taste dimensions, ``A = D + 1``; a belief about one user has mean (D,) and covariance (D, D),
about ``n`` users at once (n, D) and (n, D, D). Everything here takes both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.errors import OptionError
from palate.posteriors import choices
from palate.posteriors.belief import Belief
from palate.posteriors.choices import Choice, Options
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import outer_products, unpack, used_columns

_ANSWERS = 4  # of one user whose moments are made at once: 130 kB at 64 dimensions


@dataclass(frozen=True, slots=True)
class Taste:
    """Items, the population, and how people answer: all that is needed to form a belief about anybody.

    Attributes:
        items: Beliefs about the items.
        likelihood: How answers come about.
        start: Belief about a user with no answer and no history. N(0, I) for ratings and likes; with implicit
            feedback it holds that nothing was used yet.
    """

    items: Items
    likelihood: Likelihood
    start: Belief

    @classmethod
    def build(cls, items: Items, likelihood: Likelihood) -> Taste:
        dim = items.dim
        start = Belief(np.zeros(dim), np.eye(dim))
        if likelihood.background:
            level = np.concatenate([items.level[:, None], items.factors], 1)
            shared = likelihood.background * (level.T @ level + items.spread.total(dim + 1))
            precision = np.eye(dim) + shared[1:, 1:]
            covariance = np.asarray(np.linalg.inv(precision))
            pull = -shared[1:, 0]
            start = Belief(covariance @ pull, covariance)
        return cls(items, likelihood, start)

    def prior(self, mean: Array | None = None, covariance: Array | None = None) -> Belief:
        """Where a user starts whose history says N(mean, covariance); without history, ``start``."""
        if mean is None or covariance is None:
            return self.start
        if not self.likelihood.background:
            return Belief(mean, covariance)
        precision = np.linalg.inv(covariance)
        base = np.linalg.inv(self.start.covariance)
        total = np.linalg.inv(base - np.eye(len(mean)) + precision)
        return Belief(total @ (base @ self.start.mean + precision @ mean), total)

    def answer_noise(self, items: NDArray[np.intp] | int, of_user: Array | float = 1.0) -> Array:
        """Variance of an answer to each item given the taste, of the items' shape.

        Args:
            of_user: ν, by which the noise of a user's answers is multiplied.
        """
        own = (np.asarray(of_user) - 1.0) * self.items.noise[items]
        return self.likelihood.answer_noise(self.items.answer_noise[items] + own)

    def observe(
        self,
        belief: Belief,
        items: NDArray[np.intp] | int,
        values: Array | float,
        weight: Array | float = 1.0,
        *,
        of_user: Array | float = 1.0,
    ) -> Belief:
        """The belief after one more answer: one user and one item, or n users and an item each.

        Args:
            weight: Of the answer, in (0, 1]: one of weight w is an answer with the noise σ² / w.
            of_user: As of :meth:`answer_noise`.
        """
        factors, level, values = (
            self.items.factors[items],
            self.items.level[items],
            np.asarray(values, dtype=np.float64),
        )
        noise = self.answer_noise(items, of_user)
        return self.likelihood.update(belief, factors, level, values, noise / (weight * self.likelihood.weight(values)))

    def observe_each(
        self, belief: Belief, items: NDArray[np.intp], values: Array, weights: Array, *, of_user: float = 1.0
    ) -> Iterator[Belief]:
        """The belief about one user after each of n answers, (n,): what :meth:`observe` makes of them one by one."""
        noise = self.answer_noise(items, of_user) / (weights * self.likelihood.weight(values))
        return self.likelihood.update_each(belief, self.items.factors[items], self.items.level[items], values, noise)

    def observe_again(self, belief: Belief, item: int, values: Sequence[float], *, of_user: float = 1.0) -> Belief:
        """The belief after several answers about one item, of a user of whom it holds no other answer about it.

        What nobody knows of the item is the same in all of them, so only an answer's own noise averages out; likes
        count as fresh answers.
        """
        if not self.likelihood.is_linear:
            for value in values:
                belief = self.observe(belief, item, value)
            return belief
        noise = float(self.answer_noise(item, of_user))
        own = min(of_user * float(self.items.noise[item]), noise)
        weight = noise / (noise - own + own / len(values))
        return self.observe(belief, item, float(np.mean(values)), weight, of_user=of_user)

    def observe_like(
        self,
        belief: Belief,
        items: NDArray[np.intp] | int,
        liked: Array | float,
        *,
        cut: float,
        known: Array | float = 1.0,
        noise: float = 0.0,
    ) -> Belief:
        """The belief after "I like it" (1) or not (0): an answer above the cut, of which no more is said.

        Args:
            cut: Expected rating from which an item is liked.
            known: P(the user knows it), where 0 also stands for what is not known.
            noise: Variance that comes on top of a rating's.
        """
        unit = self.items.answer_noise[items] + noise
        level = self.like_level(cut, items)
        return belief.update_probit(self.items.factors[items], level, np.asarray(liked), unit, known)

    def like_level(self, cut: float, items: NDArray[np.intp] | int | slice = slice(None)) -> Array:
        """Level of all items, (I,), or some, above where liking begins.

        Args:
            cut: Where it begins, as of an answer or, where a threshold stands between, of what is answered about
                (:attr:`palate.model.model.Model.like_cut`).
        Raises:
            OptionError: Where the model knows events only, whose strength has no level from which an item is liked.
        """
        if self.likelihood.events_only:
            raise OptionError(
                "a model of events has no level of liking. Fit ratings, or ask to rate or to tap in a group."
            )
        return self.items.level[items] - cut

    def observe_pair(
        self,
        belief: Belief,
        first: NDArray[np.intp] | int,
        second: NDArray[np.intp] | int,
        preferred: Array | float,
    ) -> Belief:
        """The belief after the first (1) or the second (0) of two items is preferred.

        ``P(first) = Φ((b₁ − b₂ + (w₁ − w₂) · z) / √(n₁ + n₂))``: Thurstone, *A law of comparative judgment*,
        Psychological Review 34, 1927.
        """
        noise = self.items.answer_noise
        return belief.update_probit(
            self.items.factors[first] - self.items.factors[second],
            self.like_level(0.0, first) - self.like_level(0.0, second),
            np.asarray(preferred),
            noise[first] + noise[second],
        )

    @property
    def sharpness(self) -> float:
        """β of a choice (:func:`palate.posteriors.choices.sharpness_of`)."""
        return choices.sharpness_of(self.items, self.likelihood)

    def recall_options(self, counts: Array, *, power: float = 1.0, sharpness: float | None = None) -> Options:
        """All items, as what somebody names who is asked for one they like.

        Args:
            counts: Answers that each item has, (I,).
            power: a: how much sooner what has more answers comes to mind.
            sharpness: β; the default if None.
        """
        sharp = self.sharpness if sharpness is None else sharpness
        logits = power * np.log(np.asarray(counts) + 0.5) + sharp * self.items.level
        return Options(sharp * self.items.factors, logits)

    def shown_options(
        self,
        items: Positions,
        *,
        known: Array | None = None,
        none: float | None = None,
        sharpness: float | None = None,
    ) -> Options:
        """A few items, as what somebody picks from.

        Args:
            items: Of one user (m,), or of each of n users (n, m), -1 where one is shown fewer.
            known: P(known) of each, of the same shape: what is not known is not clicked. None: all are.
            none: Logit of "none of these" (:func:`palate.posteriors.choices.none_logit`). None: one is picked.
            sharpness: β; the default if None.
        """
        sharp = self.sharpness if sharpness is None else sharpness
        logits = sharp * self.items.level[items] + (0.0 if known is None else np.log(known))
        options = Options(sharp * self.items.factors[items], np.where(np.asarray(items) >= 0, logits, -np.inf))
        return options if none is None else choices.with_none(options, none)

    def choice(self, options: Options, picked: Positions | int, *, sharpness: float | None = None) -> Choice:
        """What was picked: an item of each of n users, (n,), or of one; -1 for none of them."""
        sharp = self.sharpness if sharpness is None else sharpness
        there = np.asarray(picked) >= 0
        return Choice(options, np.where(there[..., None], sharp * self.items.factors[picked], 0.0))

    def observe_choice(self, belief: Belief, options: Options, picked: Positions | int) -> Belief:
        """The belief after one choice more by each user (:mod:`palate.posteriors.choices`).

        Args:
            options: What they chose from, with the default sharpness.
            picked: Positions of the items, (n,) or one; -1 for none of them.
        """
        return choices.heard(belief, [self.choice(options, picked)])

    def expected(self, belief: Belief, items: NDArray[np.intp]) -> Array:
        """Expected answers of n users to their own t items each, (n, t)."""
        factors = self.items.factors[items]
        mean = self.items.level[items] + np.einsum("nd,ntd->nt", belief.mean, factors)
        return self.likelihood.expected(
            mean,
            lambda: (
                np.einsum("ntd,nde,nte->nt", factors, belief.covariance, factors, optimize=True)
                + self.items.answer_noise[items]
            ),
            self.items.noise[items],
        )

    def believe(
        self,
        answers: sparse.csr_matrix,
        start: Belief | None = None,
        *,
        of_users: Array | float = 1.0,
        weights: Array | None = None,
    ) -> Belief:
        """Beliefs about many users from all their answers, (n, I) CSR, entries in the order of answering.

        Args:
            of_users: ν of each, (n,), as of :meth:`answer_noise`.
            weights: Of each answer, in (0, 1], as of :meth:`observe`, in the order of the entries, (N,); None: all 1.

        Equals :meth:`observe` one by one: for ratings and events to rounding (precisions add, so no order), for likes
        because it is that, all users side by side.
        """
        start = start or self.start
        if not self.likelihood.is_linear:
            return self._filter(answers, start, np.ones(answers.nnz) if weights is None else weights)
        of_entries = np.repeat(np.broadcast_to(of_users, answers.shape[0]), np.diff(answers.indptr))
        noise = self.answer_noise(answers.indices, of_entries) / self.likelihood.weight(answers.data)
        noise = noise if weights is None else noise / weights
        answered, precisions = used_columns(
            sparse.csr_matrix((1.0 / noise, answers.indices, answers.indptr), answers.shape)
        )
        factors = self.items.factors[answered]
        pulls = precisions.copy()
        pulls.data = self.likelihood.pull(answers.data, self.items.level[answers.indices], noise)
        precision = np.linalg.inv(start.covariance)
        moved = _moments(precisions, factors) + precision
        covariance = np.linalg.inv(moved)
        covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
        pull = pulls @ factors + (precision @ start.mean[..., None])[..., 0]
        return Belief(np.einsum("nde,ne->nd", covariance, pull), covariance)

    def _filter(self, answers: sparse.csr_matrix, start: Belief, weights: Array) -> Belief:
        """Assumed-density filtering of all users side by side: the t-th answer of each in the t-th round."""
        counts = np.diff(answers.indptr)
        mean = np.broadcast_to(start.mean, (len(counts), self.items.dim)).copy()
        covariance = np.broadcast_to(start.covariance, (*mean.shape, self.items.dim)).copy()
        belief = Belief(mean, covariance)
        for turn in range(int(counts.max(initial=0))):
            users = np.flatnonzero(counts > turn)
            entries = answers.indptr[users] + turn
            moved = self.observe(belief.of(users), answers.indices[entries], answers.data[entries], weights[entries])
            mean[users], covariance[users] = moved.mean, moved.covariance
        return belief


def _moments(weights: sparse.csr_matrix, factors: Array) -> Array:
    """``Σ weight w wᵀ`` over each row's items, (n, J) and (J, D) to (n, D, D).

    For one user a few answers at a time, added in the same order, so that little memory is taken.
    """
    if weights.shape[0] > 1:
        return unpack(np.asarray(weights @ outer_products(factors)))
    total = np.zeros((1, factors.shape[1], factors.shape[1]))
    for first in range(0, weights.nnz, _ANSWERS):
        some = factors[weights.indices[first : first + _ANSWERS]]
        added = some[:, :, None] * some[:, None, :]
        added *= weights.data[first : first + _ANSWERS, None, None]
        total = np.concatenate([total, added]).sum(0, keepdims=True)
    return total
