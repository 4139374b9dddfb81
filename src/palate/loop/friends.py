"""Whom a user follows, and what these met, as far as it counts in the list of the user."""

from __future__ import annotations

from palate.arrays import Positions
from palate.entities import USER
from palate.errors.checks import normalise_id
from palate.loop.company import met
from palate.loop.memory import Memory
from palate.ranking.list_model import FRIENDS

MOST = 500  # friends of a user that count, the first that are named


def met_by_friends_of(memory: Memory, user_id: str) -> tuple[Positions, ...]:
    """What each of those met whom a user follows, in the data and since; empty where the fit found no use in it.

    A friend counts who allows both ``serve`` and ``research``; who was not asked does.
    """
    lists = memory.fitted.list_model
    if lists is None or FRIENDS not in (*lists.new.counting, *lists.known.counting):
        return ()
    friends = [friend for friend in friends_of(memory, user_id)[:MOST] if _lends(memory, friend)]
    return tuple(met(memory.fitted, memory.source(friend)) for friend in friends)


def friends_of(memory: Memory, user_id: str) -> list[str]:
    """Whom a user follows, as they said last or, if they never did, as the data says."""
    user_id = normalise_id(user_id, USER)
    told = [one.friends for one in memory.known.get(user_id, ()) if one.friends is not None]
    if told:
        return told[-1]
    return [] if memory.fitted.friendships is None else [*memory.fitted.friendships.of(user_id)]


def _lends(memory: Memory, user_id: str) -> bool:
    consent = memory.consent(user_id)
    return consent is None or {"serve", "research"} <= {*consent.purposes}
