"""Polis, where people vote on each other's statements: what it publishes, or tables of several conversations.

``votes.csv`` and ``comments.csv`` are one conversation as Polis exports it. ``votes``, ``items`` and ``conversations``
as Parquet are several; there users and statements have numbers of their own in each, so that ids are
``conversation/number``, and the topic of the conversation is the category.

A vote is a rating: agree 1, pass 0, disagree -1. What was rejected is left out, with its votes; a note says how many.
What somebody votes on their own statement counts as any vote, so that it is not asked about or shown again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import CSV, read_delimited
from palate.datasets.files.parquet import read_parquet
from palate.datasets.files.raw import Piece
from palate.entities import CATEGORY, ITEM, RATING, TEXT, USER
from palate.errors import DataError

VOTES, COMMENTS = "votes.csv", "comments.csv"
TABLES = ("votes.parquet", "items.parquet", "conversations.parquet")
VOTE_COLUMNS = {"voter-id": USER, "comment-id": ITEM, "vote": RATING}
CONVERSATION, AUTHOR = "conversation", "author_user_id"
COMMENT_COLUMNS = {"comment-id": ITEM, "comment-body": TEXT, "author-id": AUTHOR}
REJECTED = "-1"  # of the column moderated


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is Polis."""
    return {VOTES, COMMENTS} <= names or names.issuperset(TABLES)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read a Polis folder."""
    if (folder / COMMENTS).is_file():
        statements = _renamed(read_delimited(folder / COMMENTS, CSV, assembly.limits), COMMENT_COLUMNS)
        votes = _renamed(read_delimited(folder / VOTES, CSV, assembly.limits), VOTE_COLUMNS)
    else:
        topics = pl.concat(
            [piece.frame for piece in read_parquet(folder / TABLES[2], assembly.limits, assembly.parquet)]
        )
        named = {str(name): str(topic) for name, topic in topics.select(CONVERSATION, "topic").rows()}
        statements = _numbered(
            read_parquet(folder / TABLES[1], assembly.limits, assembly.parquet), (ITEM, AUTHOR), named
        )
        votes = _numbered(read_parquet(folder / TABLES[0], assembly.limits, assembly.parquet), (USER, ITEM), {})
    rejected: set[str] = set()
    items = assembly.items(_accepted(statements, rejected))
    return Tables(assembly.interactions(_counted(votes, rejected)), items, assembly.users(None))


def _renamed(pieces: Iterable[Piece], names: dict[str, str]) -> Iterator[Piece]:
    """The columns of an export, of which those that are needed are there.

    Raises:
        DataError: If one is not.
    """
    for piece in pieces:
        if missing := [name for name in names if name not in piece.frame.columns and name != "author-id"]:
            raise DataError(f"{piece.file} has no column {missing[0]!r}, which an export of Polis has. Is it one?")
        yield piece.with_frame(piece.frame.rename(names, strict=False))


def _numbered(pieces: Iterable[Piece], ids: tuple[str, ...], topics: dict[str, str]) -> Iterator[Piece]:
    """With ids that hold in all conversations, and the topic of each where topics are given."""
    for piece in pieces:
        there = [name for name in ids if name in piece.frame.columns]
        frame = piece.frame.with_columns(pl.concat_str(CONVERSATION, name, separator="/").alias(name) for name in there)
        if topics:
            topic = pl.col(CONVERSATION).replace_strict(topics, default="", return_dtype=pl.String)
            frame = frame.with_columns(topic.alias(CATEGORY))
        yield piece.with_frame(frame)


def _accepted(pieces: Iterable[Piece], rejected: set[str]) -> Iterator[Piece]:
    """Statements that were not rejected; the ids of the others are put into ``rejected``."""
    for piece in pieces:
        frame = piece.frame
        if "moderated" in frame.columns:
            is_rejected = pl.col("moderated").cast(pl.String) == REJECTED
            rejected.update(frame.filter(is_rejected)[ITEM].cast(pl.String))
            frame = frame.filter(~is_rejected.fill_null(value=False))
        yield piece.with_frame(frame)


def _counted(pieces: Iterable[Piece], rejected: set[str]) -> Iterator[Piece]:
    """Votes on statements that were not rejected; the last piece says how many there were on others."""
    left_out = 0
    for piece in pieces:
        frame = piece.frame.filter(~pl.col(ITEM).cast(pl.String).is_in(list(rejected)))
        left_out += piece.frame.height - frame.height
        yield piece.with_frame(frame)
    if left_out:
        note = f"{left_out:,} votes on {len(rejected):,} statements that were rejected are left out"
        yield Piece(VOTES, piece.frame.clear(), notes=(note,))
