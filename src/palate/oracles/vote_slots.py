"""Votes in arrays that grow by doubling, and what is believed of the items and the voters.

Items and voters are places here; whoever holds this gives them names. A voter has one vote on an item. Importing this
imports Numba.
"""

from __future__ import annotations

import numpy as np

from palate.arrays import Array
from palate.oracles import crowd_kernels as kernels
from palate.oracles.crowd_kernels import NONE, SOFT, Places, Votes

CLASS_PRIOR = 1.0  # items of each truth, in advance
_NO_SHARES = np.empty(0)


class VoteSlots:
    """All votes, and the state of incremental EM.

    Args:
        prior: Votes that every voter is taken to have given, by truth and vote, (K, K).

    Attributes:
        votes: The arrays.
    """

    def __init__(self, prior: Array) -> None:
        self._prior = prior
        self._free: list[int] = []
        self._used = 0  # slots that were ever in use
        self.votes = self._empty(16, 4, 64, 0)

    def make_room(self, items: int, voters: int) -> None:
        """For so many of both."""
        if items > len(self.votes.first) or voters > len(self.votes.counts):
            self._grow(items, voters)

    def put(self, item: int, voter: int, said: int | Array) -> None:
        """A vote, in the place of the voter's last one on the item.

        Args:
            said: The option, or a share of each, (K,).
        """
        is_soft = not isinstance(said, int)
        if (self._used == len(self.votes.whose) and not self._free) or (is_soft and not len(self.votes.soft)):
            self._grow(0, 0, is_soft=is_soft)
        free = self._free[-1] if self._free else self._used
        code, shares = (said, _NO_SHARES) if isinstance(said, int) else (SOFT, said)
        if kernels.put(self.votes, item, voter, code, shares, free) == free:
            if self._free:
                self._free.pop()
            self._used = max(self._used, free + 1)

    def said(self, item: int, voter: int) -> int | Array | None:
        """What a voter says of an item; None: nothing."""
        at = NONE if NONE in (item, voter) else kernels.find(self.votes, item, voter)
        if at == NONE:
            return None
        code = int(self.votes.codes[at])
        return self.votes.soft[at].copy() if code == SOFT else code

    def take(self, item: int, voter: int) -> bool:
        """Take a vote back; whether there was one."""
        at = NONE if NONE in (item, voter) else kernels.find(self.votes, item, voter)
        if at != NONE:
            kernels.take(self.votes, item, at)
            self._free.append(at)
        return at != NONE

    def has_votes(self, item: int) -> bool:
        return item != NONE and bool(self.votes.first[item] >= 0)

    def voted(self) -> tuple[set[int], set[int]]:
        """Items and voters with votes."""
        whose = self.votes.whose[: self._used]
        return set(self.votes.where[: self._used][whose >= 0].tolist()), set(whose[whose >= 0].tolist())

    def settle(self, items: Places, voters: Places, most: int, tolerance: float) -> int:
        """Work all out from the votes alone, until nothing moves; in how many sweeps.

        Args:
            items, voters: Rank of each place in an order that does not hang on the order of the votes, (I,) and (W,):
                by it sums are added, so that the same votes come to the same.
        """
        self._sort(items, voters)
        votes = self.votes
        votes.counts[:] = self._prior
        votes.totals[:] = self._prior.sum(1)
        votes.classes[:] = CLASS_PRIOR
        order = votes.where[: self._used]
        order = order[np.append(True, order[1:] != order[:-1])[: len(order)]]
        return int(kernels.settle_all(votes, order, most, tolerance))

    def weighed(self, items: Places) -> Array:
        """Log of how likely each option is the truth of each item, but for a constant, (n, K)."""
        return kernels.weighed(self.votes, items)

    def shares(self, items: Places, power: float = 1.0) -> Array:
        """How likely each option is the truth of each item, to a power, (n, K); NONE: one without votes."""
        logs = power * self.weighed(items)
        shares = np.exp(logs - logs.max(1, keepdims=True))
        return np.asarray(shares / shares.sum(1, keepdims=True))

    def confusion(self, voter: int) -> Array:
        """Probability of each vote by truth, (K, K); NONE: of somebody who has not voted."""
        counts = self._prior if voter == NONE else self.votes.counts[voter]
        return np.asarray(counts / counts.sum(1, keepdims=True))

    def information(self, items: Places, voter: int) -> Array:
        """Mutual information between the truth of each item and a voter's vote, in nats, (n,); NONE as above."""
        return kernels.information(self.votes, items, self.shares(items), voter, self.confusion(voter))

    def _empty(self, items: int, voters: int, slots: int, soft: int) -> Votes:
        k = len(self._prior)
        return Votes(
            shares=np.zeros((items, k)),
            counts=np.tile(self._prior, (voters, 1, 1)),
            totals=np.tile(self._prior.sum(1), (voters, 1)),
            classes=np.full(k, CLASS_PRIOR),
            first=_none(items),
            after=_none(slots),
            where=_none(slots),
            whose=_none(slots),
            codes=_none(slots),
            soft=np.zeros((soft, k)),
        )

    def _grow(self, items: int, voters: int, *, is_soft: bool = False) -> None:
        """Room for twice as much of whatever is full."""
        old = self.votes
        room = [len(old.first), len(old.counts), len(old.whose)]
        for place, needed in enumerate((items, voters, self._used + 1)):
            while room[place] < needed:
                room[place] *= 2
        new = self._empty(room[0], room[1], room[2], room[2] if is_soft or len(old.soft) else 0)
        for before, after in zip(old, new, strict=True):
            after[: len(before)] = before
        self.votes = new

    def _sort(self, items: Places, voters: Places) -> None:
        """Bring the slots into the order of the ranks."""
        votes = self.votes
        used = np.flatnonzero(votes.whose[: self._used] >= 0)
        used = used[np.lexsort((voters[votes.whose[used]], items[votes.where[used]]))]
        n = self._used = len(used)
        self._free = []
        for array in (votes.where, votes.whose, votes.codes, votes.soft):
            if len(array):
                array[:n] = array[used]
        votes.where[n:], votes.whose[n:] = NONE, NONE
        where = votes.where[: n + 1] if n < len(votes.where) else np.append(votes.where, NONE)
        is_last = where[1:] != where[:n]
        votes.after[:n] = np.where(is_last, NONE, np.arange(1, n + 1))
        is_first = np.append(True, is_last)[:n]
        votes.first[where[:n][is_first]] = np.flatnonzero(is_first)


def _none(n: int) -> Places:
    return np.full(n, NONE, dtype=np.int64)
