"""Public data sets, as their makers publish them, in the layout that the benchmarks read (docs/data-sets.md).

    python -m benchmarks._make_set NAME SOURCE --out FOLDER

writes ``FOLDER/NAME``; set ``PALATE_DATA`` to FOLDER. SOURCE is the folder in which the files lie, unpacked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

Tables = Mapping[str, pl.DataFrame]  # by file name, without the ending


def steam_play(source: Path) -> Tables:
    """Kaggle, tamber/steam-video-games: ``steam-200k.csv``, without a header; the rows of play, repeats by the most."""
    names = ["user_id", "title", "behaviour", "hours", "none"]
    rows = pl.read_csv(source / "steam-200k.csv", has_header=False, new_columns=names)
    rows = rows.filter(pl.col("behaviour") == "play").with_columns(pl.col("hours").cast(pl.Float32))
    items = _numbered(rows, "title")
    plays = rows.join(items, on="title").group_by("user_id", "item_id", maintain_order=True).agg(pl.col("hours").max())
    return {"plays": plays, "items": items}


def lastfm_hetrec(source: Path) -> Tables:
    """HetRec 2011: ``user_artists.dat``, ``artists.dat`` and ``user_friends.dat``."""
    friends = pl.read_csv(source / "user_friends.dat", separator="\t", new_columns=["user_id", "friend_id"])
    plays = pl.read_csv(source / "user_artists.dat", separator="\t", quote_char=None)
    artists = pl.read_csv(source / "artists.dat", separator="\t", quote_char=None)
    return {
        "plays": plays.select(
            pl.col("userID").alias("user_id"), pl.col("artistID").alias("item_id"), pl.col("weight").alias("play_count")
        ),
        "artists": artists.select(pl.col("id").alias("item_id"), "name"),
        "friends": friends,
    }


def goodbooks(source: Path) -> Tables:
    """zygmuntz/goodbooks-10k: ``ratings.csv`` and ``books.csv``. All users: draw some if that is too much."""
    ratings, books = pl.read_csv(source / "ratings.csv"), pl.read_csv(source / "books.csv")
    return {
        "ratings": ratings.select("user_id", pl.col("book_id").alias("item_id"), "rating"),
        "items": books.select(
            pl.col("book_id").alias("item_id"),
            "title",
            "authors",
            pl.col("original_publication_year").cast(pl.Int16, strict=False).alias("year"),
            pl.col("language_code").alias("language"),
        ),
    }


def online_retail(source: Path) -> Tables:
    """UCI, Online Retail: the sheet saved as ``Online Retail.csv``; rows with a customer, a product and a quantity."""
    rows = pl.read_csv(source / "Online Retail.csv", schema_overrides={"InvoiceNo": pl.String, "StockCode": pl.String})
    rows = rows.with_columns(
        pl.col("CustomerID").cast(pl.Int64, strict=False).alias("user_id"),
        pl.coalesce(
            pl.col("InvoiceDate").str.to_datetime(pattern, strict=False)
            for pattern in ("%m/%d/%y %H:%M", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S")
        ).alias("timestamp"),
    )
    bought = ~pl.col("InvoiceNo").str.starts_with("C") & (pl.col("Quantity") > 0) & pl.col("user_id").is_not_null()
    bought &= pl.col("UnitPrice") > 0
    rows = rows.filter(bought & pl.col("StockCode").str.contains(r"^\d{5}")).unique(maintain_order=True)
    items = rows.group_by("StockCode", maintain_order=True).agg(pl.col("Description").drop_nulls().mode().min())
    items = items.with_row_index("item_id").rename({"StockCode": "stock_code", "Description": "description"})
    lines = rows.join(items, left_on="StockCode", right_on="stock_code").select(
        "user_id",
        "item_id",
        pl.col("InvoiceNo").alias("basket_id"),
        "timestamp",
        pl.col("Quantity").alias("quantity"),
        pl.col("UnitPrice").alias("unit_price"),
    )
    return {"purchases": lines, "items": items}


def deezer_ro(source: Path) -> Tables:
    """benedekrozemberczki/GEMSEC, deezer_clean_data: ``RO_genres.json``, the genres that each user likes."""
    liked = json.loads((source / "RO_genres.json").read_text(encoding="utf-8"))
    rows = [(int(user), genre) for user, genres in liked.items() for genre in dict.fromkeys(genres)]
    frame = pl.DataFrame(rows, schema=["user_id", "genre"], orient="row")
    genres = _numbered(frame, "genre")
    return {"likes": frame.join(genres, on="genre").select("user_id", "item_id"), "genres": genres}


def kuairand(source: Path) -> Tables:
    """KuaiRand-Pure: ``log_standard_4_22_to_5_08_pure.csv`` and ``video_features_basic_pure.csv``. All users."""
    log = pl.read_csv(source / "log_standard_4_22_to_5_08_pure.csv").unique(maintain_order=True)
    flags = ("is_click", "is_like", "is_hate", "long_view")
    return {
        "impressions": log.select(
            "user_id",
            pl.col("video_id").alias("item_id"),
            (pl.col("time_ms") // 1000).alias("timestamp"),
            *(pl.col(flag).cast(pl.Boolean) for flag in flags),
            (pl.col("play_time_ms") / 1000).cast(pl.Float32).alias("play_s"),
            (pl.col("duration_ms") / 1000).cast(pl.Float32).alias("duration_s"),
        ),
        "items": pl.read_csv(source / "video_features_basic_pure.csv").select(
            pl.col("video_id").alias("item_id"), "video_type", pl.col("tag").cast(pl.String)
        ),
    }


def movietweetings(source: Path) -> Tables:
    """sidooms/MovieTweetings, snapshots/100K: ``ratings.dat`` and ``movies.dat``."""
    rows = [line.split("::") for line in (source / "ratings.dat").read_text(encoding="utf-8").splitlines() if line]
    films = [line.split("::") for line in (source / "movies.dat").read_text(encoding="utf-8").splitlines() if line]
    names = ["user_id", "item_id", "rating", "timestamp"]
    genres = pl.Series([each[2].split("|") if each[2:] and each[2] else [] for each in films], dtype=pl.List(pl.String))
    return {
        "ratings": pl.DataFrame(rows, schema=names, orient="row").cast(pl.Int64),
        "items": pl.DataFrame(
            {"item_id": [int(each[0]) for each in films], "title": [each[1] for each in films], "genres": genres}
        ),
    }


def polis(source: Path) -> Tables:
    """compdemocracy/openData: a folder a conversation, each with ``comments.csv`` and ``votes.csv``; the last vote."""
    statements, votes = [], []
    for folder in sorted(path.parent for path in source.glob("*/votes.csv")):
        name = pl.lit(folder.name).alias("conversation")
        statements.append(
            pl.read_csv(folder / "comments.csv").select(
                name,
                pl.col("comment-id").cast(pl.Int32).alias("item_id"),
                pl.col("moderated").cast(pl.Int8),
                pl.col("comment-body").alias("text"),
            )
        )
        cast = pl.read_csv(folder / "votes.csv").sort("timestamp", maintain_order=True)
        votes.append(
            cast.select(
                name,
                pl.col("voter-id").cast(pl.Int32).alias("user_id"),
                pl.col("comment-id").cast(pl.Int32).alias("item_id"),
                pl.col("vote").cast(pl.Int8),
            ).unique(["user_id", "item_id"], keep="last", maintain_order=True)
        )
    return {"items": pl.concat(statements), "votes": pl.concat(votes)}


SETS: Mapping[str, Callable[[Path], Tables]] = {
    "steam-play": steam_play,
    "lastfm-hetrec": lastfm_hetrec,
    "goodbooks": goodbooks,
    "online-retail": online_retail,
    "deezer-ro": deezer_ro,
    "kuairand-pure-cut": kuairand,
    "movietweetings": movietweetings,
    "polis": polis,
}


def make(name: str, source: Path, out: Path) -> Path:
    """Write one set, and give its folder."""
    tables, folder = SETS[name](source), out / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, table in tables.items():
        table.write_parquet(folder / f"{file}.parquet", compression="zstd")
    return folder


def _numbered(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Each value of a column once, in alphabetical order, with a number from 1."""
    return rows.select(pl.col(column).unique().sort()).with_row_index("item_id", offset=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks._make_set")
    parser.add_argument("name", choices=[*SETS])
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(make(options.name, options.source, options.out))


if __name__ == "__main__":
    main()
