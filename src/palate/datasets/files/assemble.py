"""From pieces of files to the tables: columns checked, rejects gathered, repeated items told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from palate.datasets.columns import Check, clean, friend_checks, interaction_checks, item_checks, user_checks
from palate.datasets.files.limits import DEFAULT_LIMITS, Limits
from palate.datasets.files.names import TableName, named
from palate.datasets.files.parquet import ParquetDecoder
from palate.datasets.files.raw import LINE, Piece
from palate.datasets.files.rejects import Reject, Rejects
from palate.entities import CATEGORY, EVENT, ITEM, RATING, TEXT, TIMESTAMP, TITLE, USER
from palate.entities.friends import FRIEND
from palate.errors import DataError

CORE_TYPES = {USER: pl.String, ITEM: pl.String, RATING: pl.Float64, EVENT: pl.String, TIMESTAMP: pl.Float64}
FRIEND_TYPES = {USER: pl.String, FRIEND: pl.String}
ITEM_TEXTS = (TITLE, TEXT, CATEGORY)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a data set."""

    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    folder: Path | None = None  # where the paths of media start
    friends: pl.DataFrame | None = None


class Sink(Protocol):
    """Takes interactions piece by piece, so that they are never all in memory."""

    def passes_over(self, rows: int) -> bool:
        """Whether the next piece, of so many rows as they lie, was taken before."""

    def take(self, interactions: pl.DataFrame) -> None:
        """Take the next piece: columns checked; core columns that the data lacks are not there."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """Where the readers of one data set hand their pieces in.

    Attributes:
        mapping: What the caller calls our columns.
        columns: All that were there, as they were written.
        notes: How files were taken that are not written as documented. Both as keys, in order.
        sink: Where interactions go; their table, and that of users, have no rows then. None: they are gathered.
    """

    limits: Limits = DEFAULT_LIMITS
    rejects: Rejects = field(default_factory=Rejects)
    mapping: Mapping[str, str] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    parquet: ParquetDecoder = field(default_factory=ParquetDecoder)
    sink: Sink | None = None

    def interactions(self, pieces: Iterable[Piece] | None) -> pl.DataFrame:
        """The table of interactions; core columns always there, in their order, further ones after them.

        None: there is none, as where items come alone.

        Raises:
            DataError: If a required column is missing or no row can be read.
        """
        if pieces is None:
            return pl.DataFrame(schema=CORE_TYPES)
        if self.sink is not None:
            return self._poured(pieces, self.sink)
        frame = self._gather(pieces, "interactions", interaction_checks()).drop(LINE)
        self.check_rows(frame, "there is no interaction")
        frame = frame.with_columns(
            pl.lit(None, dtype=kind).alias(name) for name, kind in CORE_TYPES.items() if name not in frame.columns
        )
        return frame.select(*CORE_TYPES, pl.exclude(*CORE_TYPES))

    def check_rows(self, frame: pl.DataFrame, fact: str) -> None:
        """Raises DataError if no row could be read."""
        self._check_count(frame.height, fact)

    def _check_count(self, rows: int, fact: str) -> None:
        if not rows:
            first = f" The first is {str(self.rejects.rows[0]).rstrip('.')}." if self.rejects.rows else ""
            raise DataError(f"{fact} that can be read ({self.rejects.total:,} rejected rows).{first}")

    def items(self, pieces: Iterable[Piece] | None, folder: Path | None = None) -> pl.DataFrame:
        """The table of items, one row an item; of a repeated id the first row is kept, the others are rejects."""
        if pieces is None:
            return pl.DataFrame(schema=dict.fromkeys((ITEM, *ITEM_TEXTS), pl.String))
        frame = self._unique(self._gather(pieces, "items", item_checks(folder)), ITEM)
        frame = frame.with_columns(pl.lit("").alias(name) for name in ITEM_TEXTS if name not in frame.columns)
        frame = frame.with_columns(pl.col(*ITEM_TEXTS).fill_null(""))
        return frame.select(ITEM, *ITEM_TEXTS, pl.exclude(ITEM, *ITEM_TEXTS))

    def users(self, pieces: Iterable[Piece] | None) -> pl.DataFrame:
        """The table of users, one row a user."""
        if pieces is None or self.sink is not None:
            return pl.DataFrame(schema={USER: pl.String})
        frame = self._unique(self._gather(pieces, "users", user_checks()), USER)
        return frame.select(USER, pl.exclude(USER))

    def friends(self, pieces: Iterable[Piece] | None) -> pl.DataFrame:
        """The table of who follows whom, one row a pair; a user who follows themselves is a reject.

        Raises:
            DataError: If there is one and interactions are not gathered: a fit of shards knows no friends.
        """
        if pieces is None:
            return pl.DataFrame(schema=FRIEND_TYPES)
        if self.sink is not None:
            raise DataError("the data has a table of friends, and a fit of shards takes 0 of them. Take it out.")
        frame = self._gather(pieces, "friends", friend_checks())
        alone = frame.filter(pl.col(USER) == pl.col(FRIEND))
        self.rejects.extend(
            Reject("friends", line, FRIEND, f"user {user!r} follows themselves")
            for line, user in zip(alone[LINE], alone[USER], strict=True)
        )
        return frame.filter(pl.col(USER) != pl.col(FRIEND)).select(*FRIEND_TYPES).unique(maintain_order=True)

    def _gather(self, pieces: Iterable[Piece], table: TableName, checks: Mapping[str, Check]) -> pl.DataFrame:
        frames = [self._cleaned(piece, table, checks) for piece in pieces]
        return pl.concat(frames, how="diagonal") if frames else pl.DataFrame(schema={LINE: pl.Int64})

    def _poured(self, pieces: Iterable[Piece], sink: Sink) -> pl.DataFrame:
        rows, checks = 0, interaction_checks()
        for piece in pieces:
            frame = piece.frame
            if not sink.passes_over(frame.height):
                frame = self._cleaned(piece, "interactions", checks)
                sink.take(frame)
            rows += frame.height
        self._check_count(rows, "there is no interaction")
        return pl.DataFrame(schema=CORE_TYPES)

    def _cleaned(self, piece: Piece, table: TableName, checks: Mapping[str, Check]) -> pl.DataFrame:
        self.columns.update(dict.fromkeys(piece.frame.columns))
        cleaned = clean(named(piece, table, self.mapping), checks)
        self.rejects.extend(cleaned.rejects)
        self.notes.update(dict.fromkeys(cleaned.notes))
        return cleaned.frame

    def _unique(self, frame: pl.DataFrame, key: str) -> pl.DataFrame:
        if key not in frame.columns:
            return pl.DataFrame(schema={key: pl.String})
        first = frame[key].is_first_distinct()
        again = frame.filter(~first)
        self.rejects.extend(
            Reject(f"{key.removesuffix('_id')}s", line, key, f"{key} {value!r} has a row already")
            for line, value in zip(again[LINE], again[key], strict=True)
        )
        return frame.filter(first).drop(LINE)
