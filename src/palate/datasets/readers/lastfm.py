"""Last.fm of HetRec 2011: who listened to which artist, and who is friends with whom.

``user_artists.dat``, ``artists.dat`` and ``user_friends.dat`` as they were published, with the tags that artists were
given where ``tags.dat`` and ``user_taggedartists.dat`` are there; or ``plays``, ``artists`` and ``friends`` as Parquet.
An artist listened to is one ``play``, however often; how often stays in ``play_count``. An artist's category is the tag
that most people gave it, its text the ten given most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import Layout, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.parquet import read_parquet
from palate.datasets.files.raw import Piece
from palate.entities import CATEGORY, EVENT, ITEM, TEXT, TITLE, USER
from palate.entities.friends import FRIEND

PLAYS, ARTISTS, FRIENDS = "user_artists.dat", "artists.dat", "user_friends.dat"
TAGS, TAGGED = "tags.dat", "user_taggedartists.dat"
TABLES = ("plays.parquet", "artists.parquet")
NAMES = {"userID": USER, "artistID": ITEM, "weight": "play_count", "id": ITEM, "name": TITLE, "friendID": FRIEND}
MOST_TAGS = 10
_LAYOUT = Layout(delimiter="\t", quoted=False, fallback="latin-1")


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is Last.fm of HetRec 2011."""
    return PLAYS in names or names.issuperset(TABLES)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read either layout."""
    if (folder / PLAYS).is_file():
        plays, artists, friends = (
            _renamed(path, assembly.limits) for path in (folder / PLAYS, folder / ARTISTS, folder / FRIENDS)
        )
        tags = _tags(folder, assembly.limits)
        artists = None if artists is None else _with_tags(artists, tags)
    else:
        paths = (folder / name for name in (*TABLES, "friends.parquet"))
        plays, artists, friends = (
            read_parquet(path, assembly.limits, assembly.parquet) if path.is_file() else None for path in paths
        )
        artists = None if artists is None else (piece.with_frame(_spread(piece.frame)) for piece in artists)
    return Tables(
        interactions=assembly.interactions(None if plays is None else map(_as_plays, plays)),
        items=assembly.items(artists),
        users=assembly.users(None),
        friends=assembly.friends(friends),
    )


def _renamed(path: Path, limits: Limits) -> Iterator[Piece] | None:
    """The columns of a published file under our names."""
    if not path.is_file():
        return None
    pieces = read_delimited(path, _LAYOUT, limits)
    return (piece.with_frame(piece.frame.rename(NAMES, strict=False)) for piece in pieces)


def _as_plays(piece: Piece) -> Piece:
    return piece.with_frame(piece.frame.with_columns(pl.lit("play").alias(EVENT)))


def _tags(folder: Path, limits: Limits) -> pl.DataFrame:
    """Of each artist the tags that most people gave it, most given first: item_id and tags; empty without the files."""
    if not ((folder / TAGS).is_file() and (folder / TAGGED).is_file()):
        return pl.DataFrame(schema={ITEM: pl.String, "tags": pl.List(pl.String)})
    words, given = (
        pl.concat([piece.frame for piece in read_delimited(folder / name, _LAYOUT, limits)]) for name in (TAGS, TAGGED)
    )
    counted = given.group_by(pl.col("artistID").alias(ITEM), "tagID").len()
    named = counted.join(words.select("tagID", pl.col("tagValue").alias("tags")), on="tagID")
    ordered = named.sort(ITEM, "len", "tags", descending=[False, True, False])
    return ordered.group_by(ITEM, maintain_order=True).agg(pl.col("tags").head(MOST_TAGS))


def _with_tags(pieces: Iterable[Piece], tags: pl.DataFrame) -> Iterator[Piece]:
    for piece in pieces:
        kept = piece.frame.drop("url", "pictureURL", strict=False)
        yield piece.with_frame(_spread(kept.join(tags, on=ITEM, how="left", maintain_order="left")))


def _spread(frame: pl.DataFrame) -> pl.DataFrame:
    """Tags as a category and a text."""
    if "tags" not in frame.columns:
        return frame
    return frame.with_columns(
        pl.col("tags").list.first().fill_null("").alias(CATEGORY),
        pl.col("tags").list.join(", ").fill_null("").alias(TEXT),
    ).drop("tags")
