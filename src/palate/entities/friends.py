"""Whom a user follows, as the attribute ``friends`` keeps it: a text, which is a JSON array of ids."""

from __future__ import annotations

import json
from collections.abc import Iterable

from palate.errors.checks import normalise_id

FRIENDS = "friends"  # the attribute
FRIEND = "friend_id"  # of the table of friends: whom a user follows


def friends_text(user_id: str, friends: Iterable[object]) -> str:
    """The ids as a text, each once, without the user's own."""
    ids = dict.fromkeys(normalise_id(one, "friend") for one in friends)
    return json.dumps([one for one in ids if one != user_id])


def friends_in(text: object) -> list[str] | None:
    """The ids in such a text; None where it is something else."""
    if not isinstance(text, str) or not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None
