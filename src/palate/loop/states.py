"""What is held of the users who were asked for last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from palate.loop.guard import Guard
from palate.loop.learned import Learnt, learning_of
from palate.loop.source import Parts
from palate.loop.state import UserState
from palate.model.model import Model
from palate.posteriors.item_evidence import Sums

CACHE_BYTES = 1 << 27  # of states, about
_TYPICAL = 20  # answers of a user since the fit, by which the size of a state is reckoned


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What is held about a user, and all that it was made of.

    Attributes:
        parts: What they told, did and are.
        fitted: The state under the model of the fit.
        said: What they say of items, by position.
        others: What all others say of the items that the user's answers are about, where they say anything.
        state: The state under those items: what somebody says of an item does not come back to them as what is known of
            it.
        learnt: For which that holds.
    """

    parts: Parts
    fitted: UserState
    said: Mapping[int, Sums]
    others: Mapping[int, Sums] = field(default_factory=dict)
    state: UserState | None = None
    learnt: Learnt | None = None


class States:
    """The states that were asked for last, at most ``size``, and the rows that no state could take. A cache: replay
    gives the same.

    A state is kept with the very parts it was made of, so memories that differ may share one cache. Safe to share
    between threads.
    """

    def __init__(self, size: int) -> None:
        self.size, self.guard = size, Guard()
        self._kept: OrderedDict[str, Held] = OrderedDict()
        self._lock = Lock()

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
