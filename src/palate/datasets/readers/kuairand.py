"""KuaiRand, logs of short videos: ``log_standard_*.csv``, or its impressions, items and users as Parquet.

An impression gives one event, the strongest that it holds: ``dislike`` (hated), ``share`` (forwarded), ``like``,
``play`` (watched long), ``click``, and ``skip`` where it holds none; so a like without a play is a like. How long
somebody watched is kept as ``seconds``, and ``share`` of the video, above 1 where it was watched again and empty where
its length is not known. Comments and follows are about more than the video and are not read; neither are the logs of
videos shown at random (``log_random_*.csv``) and histories without times (``history.parquet``).

Gao, Li, Zhang, Chen, Li, Lei, Jiang, He, *KuaiRand: an unbiased sequential recommendation dataset with randomly exposed
videos*, CIKM 2022.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.names import renamed
from palate.datasets.files.raw import LINE, Piece, shorten
from palate.datasets.readers.folder import read_table
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, EVENT, ITEM, TIMESTAMP, USER
from palate.errors import DataError

LOG, VIDEOS, USERS = "log_standard_", "video_features_basic", "user_features"  # how the names of the CSV files begin
IMPRESSIONS = "impressions.parquet"
WORDS = {"is_hate": "dislike", "is_forward": "share", "is_like": "like", "long_view": "play", "is_click": "click"}
OURS = {"video_id": ITEM, "time_ms": TIMESTAMP}
UNITS = {"play_time_ms": 1e3, "play_s": 1.0, "duration_ms": 1e3, "duration_s": 1.0, "video_duration": 1e3}  # a second
PLAYED, LENGTHS = ("play_time_ms", "play_s"), ("duration_ms", "duration_s", "video_duration")
TRUE, FALSE = ["1", "true"], ["0", "false"]
HASHED = "onehot_feat"  # how the names begin of columns of users that say nothing to anybody


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is KuaiRand."""
    return IMPRESSIONS in names or any(name.startswith(LOG) and name.endswith(".csv") for name in names)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read all standard logs of a folder, and its videos and users."""
    if (folder / IMPRESSIONS).is_file():
        starts, ending = ("impressions", "items", "users"), ".parquet"
    else:
        starts, ending = (LOG, VIDEOS, USERS), "*.csv"
    logs, videos, users = (sorted(folder.glob(start + ending)) for start in starts)
    return Tables(
        interactions=assembly.interactions(map(_events, _pieces(logs, assembly))),
        items=assembly.items(map(_video, _pieces(videos, assembly)) if videos else None),
        users=assembly.users(map(_readable, _pieces(users, assembly)) if users else None),
    )


def _pieces(files: Iterable[Path], assembly: Assembly) -> Iterator[Piece]:
    for path in files:
        for piece in read_table(path, assembly):
            yield renamed(piece, {theirs: ours for theirs, ours in OURS.items() if theirs in piece.frame.columns})


def _events(piece: Piece) -> Piece:
    """One event a row, and what was watched of it; a flag that is none and a time that cannot be are rejects."""
    flags = [name for name in WORDS if name in piece.frame.columns]
    if "is_click" not in flags:
        raise DataError(f"{piece.file} has no column 'is_click', which a log of KuaiRand has. Is it one?")
    for name in flags:
        piece = piece.with_frame(piece.frame.with_columns(pl.col(name).cast(pl.String)))
        piece = piece.reject(~pl.col(name).is_in(TRUE + FALSE), name, partial(_no_flag, name))
    played, length = (
        next((name for name in names if name in piece.frame.columns), None) for names in (PLAYED, LENGTHS)
    )
    for name in filter(None, (played, length)):
        piece = _in_seconds(piece, name)
    said = [pl.when(pl.col(name).is_in(TRUE)).then(pl.lit(WORDS[name])) for name in flags]
    columns = [pl.coalesce(*said, pl.lit("skip")).alias(EVENT)]
    if played is not None:
        columns.append(pl.col(played).alias("seconds"))
    if played is not None and length is not None:
        columns.append(pl.when(pl.col(length) > 0.0).then((pl.col(played) / pl.col(length)).round(4)).alias("share"))
    given = [name for name in (USER, ITEM, TIMESTAMP, "tab", LINE) if name in piece.frame.columns]
    return piece.with_frame(piece.frame.select(*given, *columns))


def _no_flag(name: str, value: object) -> str:
    return f"{name} {shorten(value)} is neither 0 nor 1"


def _in_seconds(piece: Piece, name: str) -> Piece:
    """With a column of times as seconds; an empty cell is null, and what is no time from 0 on a reject."""
    texts = pl.col(name).cast(pl.String).str.strip_chars()
    written = piece.with_frame(piece.frame.with_columns(pl.when(texts != "").then(texts).alias(name)))
    number = pl.col(name).cast(pl.Float64, strict=False)
    wrong = pl.col(name).is_not_null() & ~(number.is_finite() & (number >= 0.0)).fill_null(value=False)
    kept = written.reject(wrong, name, lambda value: f"{name} {shorten(value)} is no time from 0 on")
    return kept.with_frame(kept.frame.with_columns((number / UNITS[name]).round(3)))


def _video(piece: Piece) -> Piece:
    """Tags as categories, ``tag 3``, and the length in seconds, empty where it is not known; no video has a title."""
    frame = piece.frame
    if "tag" in frame.columns:
        tags = pl.col("tag").cast(pl.String).fill_null("").str.extract_all(r"\d+")
        named = tags.list.eval(pl.lit("tag ") + pl.element()).list.join(CATEGORY_SEPARATOR)
        frame = frame.with_columns(named.alias(CATEGORY))
    if (length := next((name for name in LENGTHS if name in frame.columns), None)) is not None:
        seconds = pl.col(length).cast(pl.Float64, strict=False) / UNITS[length]
        known = seconds.is_finite() & (seconds > 0.0)
        frame = frame.with_columns(pl.when(known).then(seconds).alias("duration")).drop(length)
    return piece.with_frame(frame)


def _readable(piece: Piece) -> Piece:
    return piece.with_frame(piece.frame.select(pl.exclude(f"^{HASHED}.*$")))
