"""What is held of the users who were asked for last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock, RLock

from palate.entities import Answer
from palate.loop.guard import Guard
from palate.loop.learned import Learnt, learning_of
from palate.loop.source import Parts, weighed, with_weights
from palate.loop.state import UserState
from palate.model.counted import Weights, telling
from palate.model.model import Model
from palate.posteriors.item_evidence import Sums
from palate.records import Attribute, Event

Answers = tuple[Answer, ...]

CACHE_BYTES = 1 << 27  # of states, about
MANY = 50  # answers of a user, of whom it is remembered which of them say anything
_TYPICAL = 20  # answers of a user since the fit, by which the size of a state is reckoned


@dataclass(frozen=True, slots=True, eq=False)
class Under:
    """A user's state under the items as all others have taught them: what somebody says of an item does not come back
    to them as what is known of it.

    Attributes:
        answers: What the user told by then.
        items: Positions of what the state is made of.
        learnt: What the items have learnt from everybody.
        then: What the user has said of items in that, by position.
        others: What all others say of the items of the state, where they say anything.
        is_sound: Whether it is that, and not the state under the items of the fit in its place.
    """

    answers: tuple[Answer, ...]
    items: frozenset[int]
    learnt: Learnt
    then: Mapping[int, Sums]
    others: Mapping[int, Sums]
    state: UserState
    is_sound: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What is held about a user, and all that it was made of.

    Attributes:
        parts: What they told, did and are.
        fitted: The state under the model of the fit.
        said: What they say of items, by position.
        under: The state under other items as it was last, after some of these answers, or all.
    """

    parts: Parts
    fitted: UserState
    said: Mapping[int, Sums]
    under: Under | None = None


class States:
    """The states that were asked for last, at most ``size``, and the rows that no state could take. A cache: replay
    gives the same.

    A state is kept with the very parts it was made of, so memories that differ may share one cache. Safe to share
    between threads.

    Attributes:
        folding: Held while it is worked out what the items have learnt, so that one does it for all who wait for it.
    """

    def __init__(self, size: int) -> None:
        self.size, self.guard = size, Guard()
        self._kept: OrderedDict[str, Held] = OrderedDict()
        self._telling: OrderedDict[str, tuple[Answers, Answers, Weights]] = OrderedDict()
        self._lock, self.folding = Lock(), RLock()

    @classmethod
    def for_model(cls, model: Model) -> States:
        """As many as fit into :data:`CACHE_BYTES`, by their covariances and what is said of items."""
        dims = (model.taste.items.dim, model.answerability.loadings.shape[1])
        said = 8 * _TYPICAL * learning_of(model).width
        return cls(max(16, CACHE_BYTES // (32 * sum(dim * (dim + 1) for dim in dims) + said + 2048)))

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, user_id: str) -> Held | None:
        """What was held of a user last."""
        with self._lock:
            found = self._kept.get(user_id)
            if found is not None:
                self._kept.move_to_end(user_id)
            return found

    def keep(self, user_id: str, held: Held) -> Held:
        """Keep it in the place of the user's last; of too many the one not asked for the longest goes."""
        with self._lock:
            self._kept[user_id] = held
            self._kept.move_to_end(user_id)
            if len(self._kept) > self.size:
                self._kept.popitem(last=False)
        return held

    def weighed(
        self, user_id: str, told: Answers, seen: tuple[Event, ...], known: tuple[Attribute, ...], weights: Weights
    ) -> Parts:
        """What of it says anything (:func:`palate.loop.source.weighed`): of a user with many answers those are looked
        at that have come since the last time.
        """
        if len(told) < MANY:
            return weighed(told, seen, known, weights)
        with self._lock:
            before, left, at = self._telling.get(user_id, ((), (), weights))
        n = len(before)
        if at != weights or told[:n] != before:
            left, n = (), 0
        more = telling(told[n:], weights) if n < len(told) else ()
        left = told if len(left) + len(more) == len(told) else (*left, *more)
        with self._lock:
            self._telling[user_id] = told, left, weights
            self._telling.move_to_end(user_id)
            if len(self._telling) > self.size:
                self._telling.popitem(last=False)
        return with_weights(left, seen, known, weights)
