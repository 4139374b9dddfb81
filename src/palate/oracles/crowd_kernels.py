"""The compiled steps of :mod:`palate.oracles.crowd`: one item after the other. Importing this imports Numba.

K is the number of options, I of items, W of voters (families), V of slots for votes. The votes on an item are a chain
of slots. Nothing is summed in another order than it stands here, so that the same votes give the same to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array

Places = NDArray[np.int64]
SOFT, NONE = -1, -1
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Votes(NamedTuple):
    """Who said what of which item, and what is believed.

    Attributes:
        shares: How likely each option is the truth, (I, K).
        counts: Expected votes of a voter, by truth and vote, the prior among them, (W, K, K).
        totals: Their sums over the votes, (W, K).
        classes: Expected items of each truth, the prior among them, (K,).
        first: Slot of an item's first vote, NONE without one, (I,).
        after: Slot of the next vote on the same item, (V,).
        where, whose: Item and voter of a slot, (V,).
        codes: The option of a vote; SOFT: its shares are in ``soft``, (V,).
        soft: Shares of soft votes, (V, K); no row before the first of them.
    """

    shares: Array
    counts: Array
    totals: Array
    classes: Array
    first: Places
    after: Places
    where: Places
    whose: Places
    codes: Places
    soft: Array


def _compiled(function: _Function) -> _Function:
    """Compiled at first use, kept on disk; typed as it was."""
    return cast("_Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


@_compiled
def find(votes: Votes, item: int, voter: int) -> int:
    """The slot of a voter's vote on an item."""
    at = votes.first[item]
    while at >= 0 and votes.whose[at] != voter:
        at = votes.after[at]
    return int(at)


@_compiled
def _tell(votes: Votes, at: int, change: Array) -> None:
    """Count a vote with so much more of each truth, (K,)."""
    voter, code = votes.whose[at], votes.codes[at]
    for k in range(len(change)):
        votes.totals[voter, k] += change[k]
        if code >= 0:
            votes.counts[voter, k, code] += change[k]
        else:
            for vote in range(len(change)):
                votes.counts[voter, k, vote] += change[k] * votes.soft[at, vote]


@_compiled
def _weigh(votes: Votes, item: int, out: Array) -> None:
    """Log of how likely each option is an item's truth, but for a constant, by what all other items say, (K,)."""
    for k in range(len(out)):
        out[k] = math.log(votes.classes[k] - votes.shares[item, k])
    at = votes.first[item]
    while at >= 0:
        voter, code = votes.whose[at], votes.codes[at]
        for k in range(len(out)):
            own = votes.shares[item, k]
            if code >= 0:
                out[k] += math.log(votes.counts[voter, k, code] - own)
            else:
                for vote in range(len(out)):
                    said = votes.soft[at, vote]
                    if said > 0.0:
                        out[k] += said * math.log(votes.counts[voter, k, vote] - own * said)
            out[k] -= math.log(votes.totals[voter, k] - own)
        at = votes.after[at]


@_compiled
def _settle(votes: Votes, item: int) -> float:
    """Work an item's shares out anew, and count its votes by them; the largest change of a share."""
    n = votes.shares.shape[1]
    change, old = np.empty(n), votes.shares[item]
    _weigh(votes, item, change)
    top, total, moved = -math.inf, 0.0, 0.0
    for k in range(n):
        top = max(top, change[k])
    for k in range(n):
        change[k] = math.exp(change[k] - top)
        total += change[k]
    for k in range(n):
        new = change[k] / total
        change[k] = new - old[k]
        old[k] = new
        moved = max(moved, abs(change[k]))
        votes.classes[k] += change[k]
    at = votes.first[item]
    while at >= 0:
        _tell(votes, at, change)
        at = votes.after[at]
    return moved


@_compiled
def put(votes: Votes, item: int, voter: int, code: int, said: Array, free: int) -> int:
    """A vote, in the place of the voter's last one on the item.

    Args:
        said: Of a soft vote, (K,).
        free: A slot that it may take.
    Returns:
        The slot that it took.
    """
    shares, at = votes.shares[item], find(votes, item, voter)
    if at >= 0:
        _tell(votes, at, -shares)
    else:
        if votes.first[item] < 0:
            shares[:] = votes.classes / votes.classes.sum()
            votes.classes[:] += shares
        at = free
        votes.where[at], votes.whose[at] = item, voter
        votes.after[at] = votes.first[item]
        votes.first[item] = at
    votes.codes[at] = code
    if code < 0:
        votes.soft[at] = said
    _tell(votes, at, shares)
    _settle(votes, item)
    return at


@_compiled
def take(votes: Votes, item: int, at: int) -> None:
    """Take the vote of a slot back."""
    shares = votes.shares[item]
    _tell(votes, at, -shares)
    if votes.first[item] == at:
        votes.first[item] = votes.after[at]
    else:
        before = votes.first[item]
        while votes.after[before] != at:
            before = votes.after[before]
        votes.after[before] = votes.after[at]
    votes.where[at], votes.whose[at] = NONE, NONE
    if votes.first[item] >= 0:
        _settle(votes, item)
    else:
        votes.classes[:] -= shares
        shares[:] = 0.0


@_compiled
def settle_all(votes: Votes, items: Places, most: int, tolerance: float) -> int:
    """From the shares of the votes alone, items in this order, until nothing moves; in how many sweeps.

    The counts are to hold the prior alone.
    """
    for item in items:
        shares, at, n = votes.shares[item], votes.first[item], 0
        shares[:] = 0.0
        while at >= 0:
            if votes.codes[at] >= 0:
                shares[votes.codes[at]] += 1.0
            else:
                shares[:] += votes.soft[at]
            at, n = votes.after[at], n + 1
        shares[:] /= n
        votes.classes[:] += shares
        at = votes.first[item]
        while at >= 0:
            _tell(votes, at, shares)
            at = votes.after[at]
    for sweep in range(most):
        moved = 0.0
        for item in items:
            moved = max(moved, _settle(votes, item))
        if moved <= tolerance:
            return sweep + 1
    return most


@_compiled
def weighed(votes: Votes, items: Places) -> Array:
    """Log of how likely each option is the truth of each item, but for a constant, by what all others say, (n, K).

    Args:
        items: NONE: one without votes.
    """
    found = np.empty((len(items), votes.shares.shape[1]))
    for row in range(len(items)):
        if items[row] < 0 or votes.first[items[row]] < 0:
            found[row] = np.log(votes.classes)
        else:
            _weigh(votes, items[row], found[row])
    return found


@_compiled
def information(votes: Votes, items: Places, shares: Array, voter: int, confusion: Array) -> Array:
    """Mutual information between the truth of each item and a voter's vote, in nats, (n,); 0 where theirs is there.

    Args:
        items: NONE: one without votes.
        shares: How likely each option is the truth, (n, K).
        voter: NONE: one who has not voted yet.
        confusion: Probability of their vote by truth, (K, K).
    """
    n = len(confusion)
    noise, found = np.zeros(n), np.zeros(len(items))
    for k in range(n):
        for vote in range(n):
            noise[k] += confusion[k, vote] * math.log(confusion[k, vote])
    for row in range(len(items)):
        if items[row] >= 0 and voter >= 0 and find(votes, items[row], voter) >= 0:
            continue
        gain = 0.0
        for k in range(n):
            gain += shares[row, k] * noise[k]
        for vote in range(n):
            chance = 0.0
            for k in range(n):
                chance += shares[row, k] * confusion[k, vote]
            gain -= chance * math.log(chance)
        found[row] = max(gain, 0.0)
    return found
