"""Online Retail: lines of invoices, as the UCI repository has them, or the same in tables of Parquet.

UCI: one CSV whose name starts with ``Online Retail`` (spelt anyhow; also ``online_retail_II``), a row a line of an
invoice. Tables: ``purchases.parquet`` with ``quantity`` and ``unit_price``, ``items.parquet``, ``users.parquet``.

A line that was sold is a ``purchase``. An invoice whose number starts with C, or a quantity below 0, is a ``return``; a
return of less than the customer had bought so far has that share as its ``weight``, so that the purchase stands.
Rejects are rows without a customer, a price of 0 or below (free samples, adjustments of stock) and codes that are no
products (postage, fees, discounts). ``quantity``, ``price`` and ``basket_id`` are kept. In the table of items ``title``
is the description that comes first and ``price`` the median of what was paid.

Chen, Sain, Guo, *Data mining for the online retail industry*, Journal of Database Marketing and Customer Strategy
Management 19(3), 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import Layout, header_of, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.names import renamed
from palate.datasets.files.parquet import read_parquet
from palate.datasets.files.raw import LINE, Piece, shorten
from palate.datasets.times import seconds_from_text, seconds_of
from palate.entities import EVENT, ITEM, TIMESTAMP, TITLE, USER, WEIGHT
from palate.errors import DataError

PURCHASES = "purchases.parquet"
BASKET, QUANTITY, PRICE = "basket_id", "quantity", "price"
# Of both editions at UCI, without capitals and blanks.
COLUMNS = {
    "invoiceno": BASKET,
    "invoice": BASKET,
    "stockcode": ITEM,
    "description": TITLE,
    "quantity": QUANTITY,
    "invoicedate": TIMESTAMP,
    "unitprice": PRICE,
    "price": PRICE,
    "customerid": USER,
    "country": "country",
}
LAYOUT = Layout(others=";\t", fallback="latin-1")
TIMES = ("%m/%d/%y %H:%M", "%m/%d/%Y %H:%M", None)  # None: ISO 8601
PRODUCT = r"^[0-9]{5}[A-Za-z]*$"  # of a code; POST, M, D, BANK CHARGES, DOT and gift vouchers are none
START = "onlineretail"


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is Online Retail."""
    return PURCHASES in names or any(map(is_file, names))


def is_file(name: str) -> bool:
    """Whether a file of this name is the CSV of UCI."""
    return _folded(name).startswith(START) and name.lower().removesuffix(".gz").endswith(".csv")


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read the tables, or the one CSV of a folder."""
    if (folder / PURCHASES).is_file():
        return _tables(folder, assembly)
    files = sorted(path for path in folder.iterdir() if is_file(path.name))
    if len(files) > 1:
        raise DataError(f"{folder} holds both {files[0].name} and {files[1].name}. Keep one of them.")
    return read_file(files[0], assembly)


def read_file(path: Path, assembly: Assembly) -> Tables:
    """Read the CSV of UCI; products and customers come out of its lines."""
    names = _names(path, assembly.limits)
    products: list[pl.DataFrame] = []
    customers: list[pl.DataFrame] = []

    def lines() -> Iterator[Piece]:
        for piece in read_delimited(path, LAYOUT, assembly.limits):
            line = _checked(_typed(renamed(piece, names)))
            products.append(line.frame.select(ITEM, TITLE, PRICE))
            customers.append(line.frame.select(USER, "country").unique(USER, keep="first", maintain_order=True))
            yield line.with_frame(line.frame.drop(TITLE, "country"))

    interactions = assembly.interactions(_events(lines()))
    sold = pl.concat(products).group_by(ITEM, maintain_order=True)
    items = sold.agg(pl.col(TITLE).filter(pl.col(TITLE) != "").first(), pl.col(PRICE).median())
    users = pl.concat(customers).unique(USER, keep="first", maintain_order=True)
    return Tables(interactions, assembly.items([_piece(path, items)]), assembly.users([_piece(path, users)]))


def _names(path: Path, limits: Limits) -> dict[str, str]:
    """Our names of the columns of a file."""
    header = header_of(path, LAYOUT, limits)
    names = {name: COLUMNS[_folded(name)] for name in header if _folded(name) in COLUMNS}
    for ours in dict.fromkeys(COLUMNS.values()):
        if ours not in names.values():
            raise DataError(
                f"{path.name} has no column for {ours} (its columns: {', '.join(header[:12])}). Online Retail has "
                "InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country."
            )
    return names


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _typed(piece: Piece) -> Piece:
    """Numbers and times of text; a customer ``12346.0`` is ``12346``."""
    quantity = pl.col(QUANTITY).cast(pl.Float64, strict=False)
    price = pl.col(PRICE).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    times = pl.coalesce(pl.lit(seconds_from_text(piece.frame[TIMESTAMP], pattern)) for pattern in TIMES)
    typed = piece.with_frame(
        piece.frame.with_columns(
            quantity.alias("__quantity__"),
            price.alias("__price__"),
            times.alias("__time__"),
            pl.col(USER).str.strip_chars().str.strip_suffix(".0"),
            pl.col(ITEM).str.strip_chars(),
            pl.col(TITLE).str.strip_chars(),
        )
    )
    typed = typed.reject(~quantity.is_finite(), QUANTITY, lambda value: f"quantity {shorten(value)} is no number")
    typed = typed.reject(~pl.col("__price__").is_finite(), PRICE, lambda value: f"price {shorten(value)} is no number")
    typed = typed.reject(
        pl.col("__time__").is_null(), TIMESTAMP, lambda value: f"time {shorten(value)} is not like 12/1/2010 8:26"
    )
    return typed.with_frame(
        typed.frame.with_columns(
            pl.col("__quantity__").alias(QUANTITY),
            pl.col("__price__").alias(PRICE),
            pl.col("__time__").alias(TIMESTAMP),
        ).drop("__quantity__", "__price__", "__time__")
    )


def _checked(piece: Piece) -> Piece:
    """Without the lines that are no sale or return of a product to somebody."""
    piece = piece.reject(pl.col(USER) == "", USER, lambda _: "the line has no customer")
    piece = piece.reject(
        ~pl.col(ITEM).str.contains(PRODUCT),
        ITEM,
        lambda value: f"code {shorten(value)} is no product: five digits, and letters after them",
    )
    piece = piece.reject(
        ~(pl.col(PRICE) > 0.0),
        PRICE,
        lambda value: f"price {value:g} is none that was paid: a free sample or an adjustment of stock",
    )
    return piece.reject(pl.col(QUANTITY) == 0.0, QUANTITY, lambda _: "quantity 0 is neither sold nor returned")


def _events(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Purchases and returns of lines, with the weight of a return of a part."""
    pairs = pl.DataFrame(schema={USER: pl.String, ITEM: pl.String, "sold": pl.Float64})
    for piece in pieces:
        is_back = (pl.col(QUANTITY) < 0.0) | pl.col(BASKET).str.to_uppercase().str.starts_with("C")
        frame = piece.frame.with_columns(
            pl.when(is_back).then(pl.lit("return")).otherwise(pl.lit("purchase")).alias(EVENT),
            pl.when(is_back).then(0.0).otherwise(pl.col(QUANTITY)).alias("sold"),
        )
        joined = frame.join(pairs, on=[USER, ITEM], how="left", suffix="_before", maintain_order="left")
        bought = pl.col("sold").cum_sum().over(USER, ITEM) + pl.col("sold_before").fill_null(0.0)
        share = pl.when(bought > 0.0).then((pl.col(QUANTITY).abs() / bought).clip(upper_bound=1.0)).otherwise(1.0)
        weight = pl.when(pl.col(EVENT) == "return").then(share).otherwise(1.0).alias(WEIGHT)
        kept = joined.with_columns(weight).drop("sold", "sold_before")
        pairs = pl.concat([pairs, frame.select(USER, ITEM, "sold")]).group_by(USER, ITEM).agg(pl.col("sold").sum())
        yield piece.with_frame(kept.select(pl.exclude(LINE), LINE))


def _piece(path: Path, frame: pl.DataFrame) -> Piece:
    return Piece(path.name, frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(LINE)))


def _tables(folder: Path, assembly: Assembly) -> Tables:
    """The tables of Parquet, whose odd lines were taken out before."""
    interactions = assembly.interactions(_events(_purchases(folder / PURCHASES, assembly)))
    items, users = folder / "items.parquet", folder / "users.parquet"
    return Tables(
        interactions,
        assembly.items(_products(items, assembly) if items.is_file() else None),
        assembly.users(read_parquet(users, assembly.limits, assembly.parquet) if users.is_file() else None),
    )


def _purchases(path: Path, assembly: Assembly) -> Iterator[Piece]:
    for piece in read_parquet(path, assembly.limits, assembly.parquet):
        lacking = [name for name in (USER, ITEM, BASKET, TIMESTAMP, QUANTITY, "unit_price") if name not in piece.frame]
        if lacking:
            raise DataError(f"{path.name} has no column {lacking[0]!r}, which lines of invoices have. Is it another?")
        frame = piece.frame.rename({"unit_price": PRICE}).with_columns(
            pl.col(USER, ITEM, BASKET).cast(pl.String).fill_null(""),
            pl.col(QUANTITY, PRICE).cast(pl.Float64),
            seconds_of(piece.frame[TIMESTAMP]).alias(TIMESTAMP),
        )
        line = piece.with_frame(frame).reject(pl.col(USER) == "", USER, lambda _: "the line has no customer")
        line = line.reject(~(pl.col(PRICE) > 0.0), PRICE, lambda value: f"price {shorten(value)} is none that was paid")
        yield line.reject(
            ~(pl.col(QUANTITY) != 0.0),
            QUANTITY,
            lambda value: f"quantity {shorten(value)} is neither sold nor returned",
        )


def _products(path: Path, assembly: Assembly) -> Iterator[Piece]:
    for piece in read_parquet(path, assembly.limits, assembly.parquet):
        names = {"description": TITLE, "median_price": PRICE}
        yield renamed(piece, {old: new for old, new in names.items() if old in piece.frame.columns})
