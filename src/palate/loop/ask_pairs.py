"""Which pairs of user and item to ask about in the whole system, what an answer tells everybody counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.arrays import Array
from palate.entities import Question
from palate.errors.checks import count
from palate.loop.ask_about_item import Crowd, users_as_items, with_room
from palate.loop.memory import Memory
from palate.loop.wording import worded
from palate.posteriors.belief import quadratic
from palate.posteriors.statistics import pack, unpack

_USERS_AT_ONCE = 512  # valued together, (512, P) floats


def pairs_to_ask(
    memory: Memory, budget: int, *, per_user: int | None = None, rng: np.random.Generator
) -> tuple[Question, ...]:
    r"""The ``budget`` questions, to whomever, that lower most what is not known of all users' lists together.

    .. math::
        g_{ui} = P(u \text{ answers } i) \left[ \frac{w_i^\top S_u Q_u S_u w_i}{w_i^\top S_u w_i + \sigma_i^2}
               + \frac{\tilde z_u^\top C_i M_i C_i \tilde z_u}{\tilde z_u^\top C_i \tilde z_u + \sigma_u^2} \right],
        \qquad Q_u = \sum_j q_{uj} w_j w_j^\top, \quad M_i = \sum_v q_{vi} \tilde z_v \tilde z_v^\top

    The first term is what an answer tells about the user, summed over the items they may be shown; the second what it
    tells about the item, summed over the users it may be shown to. Both in squared units of the answers. Greedy, and
    exactly so: after each pair that user's S and that item's C are what they will be once the answer is in, and that
    user's and that item's pairs are valued anew, O((n + I) D²). All values are kept, (n, I). Some rise as others are
    chosen: once one answer tells of one direction of a taste, another tells more of the rest. So a lazy greedy choice,
    which values a pair anew only once it comes first, would pass them over.

    For likes, both count the latent value of the answer.

    Args:
        per_user: At most so many questions to one user; no limit if None.
        rng: Breaks ties.
    Raises:
        OptionError: If budget or per_user is below 1.
    """
    count(budget, "budget", least=1)
    if per_user is not None:
        count(per_user, "per_user", least=1)
    return _System.of(memory).ask(budget, per_user or budget, rng)


@dataclass(frozen=True, slots=True)
class _System:
    """All users and all items side by side, as pairs are chosen.

    Attributes:
        S: Covariance of each user's taste, (n, D, D), and C of each item's (level, factors), (I, A, A): both shrink.
        Q: Each user's target moment, (n, D, D), and M each item's, (I, A, A).
        vectors: (1, mean taste) of each user, (n, A).
        noise: Variance of an answer given the taste, (I,), and ``user_noise`` given the item, (n,).
        known: P(user can answer), (n, I); 0 for pairs that need not be asked.
    """

    memory: Memory
    crowd: Crowd
    S: Array
    C: Array
    Q: Array
    M: Array
    vectors: Array
    noise: Array
    user_noise: Array
    known: Array

    @classmethod
    def of(cls, memory: Memory) -> _System:
        model = memory.model
        crowd = Crowd.of(memory)
        known, targets = _known_to(memory, crowd)
        users = users_as_items(model, crowd.belief)
        items = model.taste.items
        size = items.dim + 1
        return cls(
            memory=memory,
            crowd=crowd,
            S=crowd.belief.covariance.copy(),
            C=items.spread.covariances(size),
            Q=unpack(targets @ pack(items.factors[:, :, None] * items.factors[:, None, :])),
            M=unpack(targets.T @ pack(users.factors[:, :, None] * users.factors[:, None, :])).reshape(-1, size, size),
            vectors=users.factors,
            noise=model.taste.likelihood.answer_noise(items.answer_noise),
            user_noise=users.answer_noise,
            known=known,
        )

    def ask(self, budget: int, per_user: int, rng: np.random.Generator) -> tuple[Question, ...]:
        """The largest value, again and again, the pairs that hang on an answer valued anew."""
        values = self._all_values()
        asked = np.zeros(len(values), dtype=int)
        best = values.argmax(1)  # of each user
        questions: list[Question] = []
        while len(questions) < budget and (pair := _largest(values, best, rng)):
            user, item = pair
            questions.append(self._question(user, item))
            self._shrink(user, item)
            asked[user] += 1
            self.known[user, slice(None) if asked[user] == per_user else item] = 0.0
            values[user], values[:, item] = self._of_one_user(user), self._of_one_item(item)
            fell = np.flatnonzero((best == item) | (np.arange(len(best)) == user))
            best[fell] = values[fell].argmax(1)
            best[values[:, item] > values[np.arange(len(best)), best]] = item
        return tuple(questions)

    def _all_values(self) -> Array:
        """Of every pair, (n, I)."""
        factors = self.memory.model.taste.items.factors
        own, moved = pack(self.C), pack(np.einsum("iab,ibc,icd->iad", self.C, self.M, self.C, optimize=True))
        twice, values = 2.0 - np.eye(self.C.shape[1]), np.empty_like(self.known)
        for first in range(0, len(values), _USERS_AT_ONCE):
            rows = slice(first, first + _USERS_AT_ONCE)
            S, vectors = self.S[rows], self.vectors[rows]
            of_user = quadratic(factors, S @ self.Q[rows] @ S) / (quadratic(factors, S) + self.noise)
            outer = pack(twice * vectors[:, :, None] * vectors[:, None, :])
            of_item = (outer @ moved.T) / (outer @ own.T + self.user_noise[rows, None])
            values[rows] = self.known[rows] * (of_user + of_item)
        return values

    def _of_one_user(self, user: int) -> Array:
        """Values of the user's pairs, (I,)."""
        factors, S, z = self.memory.model.taste.items.factors, self.S[user], self.vectors[user]
        of_user = quadratic(factors, S @ self.Q[user] @ S) / (quadratic(factors, S) + self.noise)
        across = self.C @ z
        told = _each_quadratic(across, self.M)
        return np.asarray(self.known[user] * (of_user + told / (across @ z + self.user_noise[user])))

    def _of_one_item(self, item: int) -> Array:
        """Values of the item's pairs, (n,)."""
        w, C = self.memory.model.taste.items.factors[item], self.C[item]
        along = self.S @ w
        told = _each_quadratic(along, self.Q)
        of_item = quadratic(self.vectors, C @ self.M[item] @ C) / (quadratic(self.vectors, C) + self.user_noise)
        return np.asarray(self.known[:, item] * (told / (along @ w + self.noise[item]) + of_item))

    def _gains(self, user: int, item: int) -> tuple[float, float]:
        """What an answer tells about the user, and about the item."""
        w, z = self.memory.model.taste.items.factors[item], self.vectors[user]
        along, across = self.S[user] @ w, self.C[item] @ z
        of_user = along @ self.Q[user] @ along / (w @ along + self.noise[item])
        return float(of_user), float(across @ self.M[item] @ across / (z @ across + self.user_noise[user]))

    def _shrink(self, user: int, item: int) -> None:
        w, z = self.memory.model.taste.items.factors[item], self.vectors[user]
        along, across = self.S[user] @ w, self.C[item] @ z
        chance = self.known[user, item]
        self.S[user] -= chance * np.outer(along, along) / (w @ along + self.noise[item])
        self.C[item] -= chance * np.outer(across, across) / (z @ across + self.user_noise[user])

    def _question(self, user: int, item: int) -> Question:
        model = self.memory.model
        of_user, of_item = self._gains(user, item)
        share = of_item / (of_user + of_item)
        question = Question(
            user_id=self.crowd.user_ids[user],
            item_id=model.catalogue.ids[item],
            strategy="system",
            value=float(self.known[user, item] * (of_user + of_item)),
            answerable=float(self.known[user, item]),
            propensity=1.0,
            why=f"{1 - share:.0%} of what an answer tells is about the user, {share:.0%} about the item for everybody",
        )
        return worded(model, question)


def _largest(values: Array, best: Array, rng: np.random.Generator) -> tuple[int, int] | None:
    """The user and item of largest value, a tie broken by chance; None if all are 0.

    Args:
        best: Place of each user's largest, (n,).
    """
    tops = values[np.arange(len(best)), best]
    highest = tops.max(initial=0.0)
    if highest <= 0.0:
        return None
    user = int(rng.choice(np.flatnonzero(tops == highest)))
    return user, int(rng.choice(np.flatnonzero(values[user] == highest)))


def _each_quadratic(vectors: Array, matrices: Array) -> Array:
    """``x_nᵀ M_n x_n``, (n, D) with (n, D, D) to (n,)."""
    return np.asarray((np.matmul(vectors[:, None], matrices)[:, 0] * vectors).sum(1))


def _known_to(memory: Memory, crowd: Crowd) -> tuple[Array, Array]:
    """P(user can answer), 0 where nothing is left to ask, and P(user is shown it), (n, I) each."""
    model, n = memory.model, len(crowd.user_ids)
    answerability = model.answerability
    exposure = with_room(model.population.once("exposures", lambda own: answerability.believe(own.answers)), n)
    for row, state in crowd.since.items():
        exposure.mean[row], exposure.covariance[row] = state.exposure.mean, state.exposure.covariance
    known, targets = answerability.probability(exposure), answerability.targets(exposure)
    indptr, indices = model.answers.indptr, model.answers.indices
    known[np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices] = 0.0
    for row, state in crowd.since.items():
        known[row, list(state.asked)] = 0.0
    return known, targets
