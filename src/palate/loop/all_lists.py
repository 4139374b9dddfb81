"""The lists of many users, as tables: some users at a time, so that memory holds one table and not all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from palate.entities import ITEM, USER
from palate.errors.checks import normalise_id, several
from palate.loop.lists import Wish, recommend
from palate.loop.memory import Memory

USERS_AT_ONCE = 1_000
COLUMNS = {
    USER: pl.String(),
    "rank": pl.Int32(),
    ITEM: pl.String(),
    "score": pl.Float64(),
    "std": pl.Float64(),
    "chance": pl.Float64(),
    "reason": pl.String(),
}


def everybody(memory: Memory) -> list[str]:
    """The users of the fit, sorted, then those of whom something was told since, in the order of their first word."""
    fitted = memory.fitted.rows
    return [*memory.fitted.user_ids, *(user for user in memory.users if user not in fitted)]


def lists_of(memory: Memory, users: Iterable[str] | None, wish: Wish, *, k: int) -> Iterator[pl.DataFrame]:
    """Lists as :func:`palate.loop.lists.recommend` makes them, of :data:`USERS_AT_ONCE` users a table.

    A row an item: user_id, rank from 1, item_id, score, std, chance, reason. Arguments are checked before the first.
    """
    asked = everybody(memory) if users is None else [normalise_id(user, USER) for user in several(users, "users")]
    if asked:
        recommend(memory, asked[0], wish, k=k)
    return _tables(memory, asked, wish, k)


def _tables(memory: Memory, users: list[str], wish: Wish, k: int) -> Iterator[pl.DataFrame]:
    for first in range(0, len(users), USERS_AT_ONCE):
        rows = [
            (user, rank, one.item_id, one.score, one.std, one.chance, one.reason)
            for user in users[first : first + USERS_AT_ONCE]
            for rank, one in enumerate(recommend(memory, user, wish, k=k), start=1)
        ]
        yield pl.DataFrame(rows, schema=COLUMNS, orient="row")
