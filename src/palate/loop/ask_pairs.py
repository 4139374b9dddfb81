"""Which pairs of user and item to ask about in the whole system, what an answer tells everybody counted."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from palate.arrays import Array
from palate.entities import Question
from palate.errors.checks import count
from palate.loop.ask_about_item import Crowd, users_as_items, with_room
from palate.loop.memory import Memory
from palate.loop.wording import worded
from palate.posteriors.belief import quadratic
from palate.posteriors.items import Items
from palate.posteriors.statistics import pack, unpack

_PAIRS_A_USER = 32  # kept of each user's most valuable ones
_USERS_AT_ONCE = 512  # scored together, (512, I) floats


def pairs_to_ask(
    memory: Memory, budget: int, *, per_user: int | None = None, rng: np.random.Generator
) -> tuple[Question, ...]:
    r"""The ``budget`` questions, to whomever, that lower most what is not known of all users' lists together.

    .. math::
        g_{ui} = P(u \text{ answers } i) \left[ \frac{w_i^\top S_u Q_u S_u w_i}{w_i^\top S_u w_i + \sigma_i^2}
               + \frac{\tilde z_u^\top C_i M_i C_i \tilde z_u}{\tilde z_u^\top C_i \tilde z_u + \sigma_u^2} \right],
        \qquad Q_u = \sum_j q_{uj} w_j w_j^\top, \quad M_i = \sum_v q_{vi} \tilde z_v \tilde z_v^\top

    The first term is what an answer tells about the user, summed over the items they may be shown; the second what it
    tells about the item, summed over the users it may be shown to. Both in squared units of the answers. Greedy: after
    each pair that user's S and that item's C are what they will be once the answer is in.

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
            C=_covariances(items),
            Q=unpack(targets @ pack(items.factors[:, :, None] * items.factors[:, None, :])),
            M=unpack(targets.T @ pack(users.factors[:, :, None] * users.factors[:, None, :])).reshape(-1, size, size),
            vectors=users.factors,
            noise=model.taste.likelihood.answer_noise(items.answer_noise),
            user_noise=users.answer_noise,
            known=known,
        )

    def ask(self, budget: int, per_user: int, rng: np.random.Generator) -> tuple[Question, ...]:
        """Lazy greedy (Minoux, Accelerated greedy algorithms, 1978): what is largest once worked out anew is taken.

        Exact where a value only falls as others are chosen. Here some rise a little: once one answer tells of one
        direction of a taste, another tells more of the rest. Such a pair may come later than it should.
        """
        heap = [(-value, rng.random(), pair) for pair, value in self._promising(min(_PAIRS_A_USER, per_user * 4))]
        heapq.heapify(heap)
        asked = np.zeros(len(self.vectors), dtype=int)
        questions: list[Question] = []
        while heap and len(questions) < budget:
            _, tie, (user, item) = heapq.heappop(heap)
            if asked[user] >= per_user:
                continue
            of_user, of_item = self._gains(user, item)
            value = self.known[user, item] * (of_user + of_item)
            if heap and value < -heap[0][0]:
                heapq.heappush(heap, (-value, tie, (user, item)))
                continue
            questions.append(self._question(user, item, value, of_item / max(of_user + of_item, 1e-300)))
            asked[user] += 1
            self._shrink(user, item)
        return tuple(questions)

    def _promising(self, each: int) -> list[tuple[tuple[int, int], float]]:
        """The ``each`` most valuable pairs of every user, with their values."""
        factors, items = self.memory.model.taste.items.factors, self.known.shape[1]
        moved = pack(np.einsum("iab,ibc,icd->iad", self.C, self.M, self.C, optimize=True))
        own = pack(self.C)
        twice = 2.0 - np.eye(self.C.shape[1])
        pairs = []
        for first in range(0, len(self.vectors), _USERS_AT_ONCE):
            rows = slice(first, first + _USERS_AT_ONCE)
            S, vectors = self.S[rows], self.vectors[rows]
            of_user = quadratic(factors, S @ self.Q[rows] @ S) / (quadratic(factors, S) + self.noise)
            outer = pack(twice * vectors[:, :, None] * vectors[:, None, :])
            of_item = (outer @ moved.T) / (outer @ own.T + self.user_noise[rows, None])
            values = self.known[rows] * (of_user + of_item)
            top = np.argpartition(-values, min(each, items) - 1, axis=1)[:, :each]
            for row, best_items in enumerate(top):
                kept = [int(item) for item in best_items if values[row, item] > 0.0]
                pairs += [((first + row, item), float(values[row, item])) for item in kept]
        return pairs

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

    def _question(self, user: int, item: int, value: float, share: float) -> Question:
        model = self.memory.model
        question = Question(
            user_id=self.crowd.user_ids[user],
            item_id=model.catalogue.ids[item],
            strategy="system",
            value=value,
            answerable=float(self.known[user, item]),
            propensity=1.0,
            why=f"{1 - share:.0%} of what an answer tells is about the user, {share:.0%} about the item for everybody",
        )
        return worded(model, question)


def _covariances(items: Items) -> Array:
    """C of every item, (I, A, A), from whichever form is kept."""
    size = items.dim + 1
    if items.spread.form == "full":
        return unpack(items.spread.values).copy()
    diagonal = np.broadcast_to(items.spread.values, (len(items), size))
    return np.asarray(np.einsum("ia,ab->iab", diagonal, np.eye(size)))


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
