"""Open Bandit (ZOZO): one CSV a policy and campaign, and ``item_context.csv``.

The log names no users. A user here is everybody with the same four features, and the users table holds these. A click
is a ``click``, a shown item without one a ``skip``. ``position`` and ``propensity_score`` are kept for off-policy
evaluation; the user-item affinities are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import CSV, header_of, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.raw import LINE, Piece, shorten
from palate.entities import EVENT, ITEM, TIMESTAMP, USER
from palate.errors import DataError

CONTEXT = "item_context.csv"
FEATURES = tuple(f"user_feature_{number}" for number in range(4))
LOGGED = (TIMESTAMP, ITEM, "position", "click", "propensity_score", *FEATURES)
SHOWN_LETTERS = 8  # of each hashed feature in a user id; the full hashes are in the users table


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is Open Bandit."""
    return CONTEXT in names and any(name.endswith(".csv") and name != CONTEXT for name in names)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read the one log of a folder and its item context."""
    logs = sorted(path for path in folder.glob("*.csv") if path.name != CONTEXT)
    if len(logs) > 1:
        raise DataError(f"{folder} holds both {logs[0].name} and {logs[1].name}. Keep the log of one policy.")
    _check_header(logs[0], assembly.limits)
    groups: list[pl.DataFrame] = []
    interactions = assembly.interactions(_events(logs[0], assembly.limits, groups))
    items = assembly.items(_without_index(piece) for piece in read_delimited(folder / CONTEXT, CSV, assembly.limits))
    users = pl.concat(groups).unique(USER, maintain_order=True, keep="first")
    return Tables(interactions, items, users)


def _check_header(path: Path, limits: Limits) -> None:
    header = header_of(path, CSV, limits)
    if missing := [name for name in LOGGED if name not in header]:
        raise DataError(f"{path.name} has no column {missing[0]!r}, which an Open Bandit log has. Is it one?")


def _events(path: Path, limits: Limits, groups: list[pl.DataFrame]) -> Iterator[Piece]:
    for piece in read_delimited(path, CSV, limits):
        logged = piece.with_frame(piece.frame.select(*LOGGED, LINE)).reject(
            ~pl.col("click").is_in(["0", "1"]), "click", lambda value: f"click {shorten(value)} is neither 0 nor 1"
        )
        user = pl.concat_str([pl.col(name).str.head(SHOWN_LETTERS) for name in FEATURES], separator="-").alias(USER)
        clicked = pl.when(pl.col("click") == "1").then(pl.lit("click")).otherwise(pl.lit("skip")).alias(EVENT)
        frame = logged.frame.with_columns(user, clicked)
        groups.append(frame.select(USER, *FEATURES).unique(USER, maintain_order=True, keep="first"))
        numbers = pl.col("position", "propensity_score").cast(pl.Float64, strict=False)
        yield logged.with_frame(frame.drop("click", *FEATURES).with_columns(numbers))


def _without_index(piece: Piece) -> Piece:
    """The first column of these files is a row number without a name."""
    return piece.with_frame(piece.frame.drop("column_1", strict=False))
