"""MIND, the Microsoft news data: ``behaviors.tsv`` and ``news.tsv``.

A shown article that was clicked is a ``click``, one that was not is a ``skip``, both at the time of the impression. The
history of a user is the same in all their impressions; it gives a ``click`` without a time for each article, once. An
article that ``news.tsv`` lacks is kept by its id, and an impression that stands twice counts once, as any pair does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import Layout, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.raw import LINE, Piece, shorten
from palate.datasets.times import seconds_from_text
from palate.entities import CATEGORY, EVENT, ITEM, TEXT, TIMESTAMP, TITLE, USER

BEHAVIORS = ("impression_id", USER, TIMESTAMP, "history", "impressions")
NEWS = (ITEM, CATEGORY, "subcategory", TITLE, TEXT, "url", "title_entities", "abstract_entities")
TIME = "%m/%d/%Y %I:%M:%S %p"
SHOWN = r"^\S+-[01]( \S+-[01])*$"


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is MIND."""
    return "behaviors.tsv" in names


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read a MIND folder."""
    news = folder / "news.tsv"
    return Tables(
        interactions=assembly.interactions(_events(folder / "behaviors.tsv", assembly.limits)),
        items=assembly.items(_pieces(news, NEWS, assembly.limits) if news.is_file() else None),
        users=assembly.users(None),
    )


def _pieces(path: Path, columns: tuple[str, ...], limits: Limits) -> Iterator[Piece]:
    return read_delimited(path, Layout(delimiter="\t", columns=columns, quoted=False), limits)


def _events(path: Path, limits: Limits) -> Iterator[Piece]:
    told: set[str] = set()
    for piece in _pieces(path, BEHAVIORS, limits):
        whole = _checked(piece)
        first = whole.frame.filter(pl.col(USER).is_first_distinct() & ~pl.col(USER).is_in(sorted(told)))
        told.update(first[USER])
        yield whole.with_frame(pl.concat([_history(first), _impressions(whole.frame)]))


def _checked(piece: Piece) -> Piece:
    piece = piece.reject(
        ~pl.col("impressions").str.contains(SHOWN),
        "impressions",
        lambda value: f"impressions {shorten(value)} are not NEWS-1 (clicked) and NEWS-0, with blanks between",
    )
    piece = piece.reject(
        pl.lit(seconds_from_text(piece.frame[TIMESTAMP], TIME)).is_null(),
        TIMESTAMP,
        lambda value: f"timestamp {shorten(value)} is not like 11/15/2019 8:55:22 AM",
    )
    return piece.with_frame(piece.frame.with_columns(seconds_from_text(piece.frame[TIMESTAMP], TIME).alias(TIMESTAMP)))


def _impressions(frame: pl.DataFrame) -> pl.DataFrame:
    shown = frame.with_columns(pl.col("impressions").str.split(" ")).explode("impressions")
    return shown.select(
        USER,
        pl.col("impressions").str.head(-2).alias(ITEM),
        pl.when(pl.col("impressions").str.ends_with("1")).then(pl.lit("click")).otherwise(pl.lit("skip")).alias(EVENT),
        TIMESTAMP,
        LINE,
    )


def _history(frame: pl.DataFrame) -> pl.DataFrame:
    read = frame.filter(pl.col("history") != "").with_columns(pl.col("history").str.split(" ")).explode("history")
    return read.select(
        USER,
        pl.col("history").alias(ITEM),
        pl.lit("click").alias(EVENT),
        pl.lit(None, dtype=pl.Float64).alias(TIMESTAMP),
        LINE,
    )
