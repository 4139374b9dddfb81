"""The data set: its tables, frozen, with ids as text and every column checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa
from narwhals.exceptions import NarwhalsError
from numpy.typing import NDArray

from palate.datasets.coding import Coded, code
from palate.datasets.files.assemble import FRIEND_TYPES, Assembly, Tables
from palate.datasets.files.boundary import boundary, one_line
from palate.datasets.files.limits import DEFAULT_LIMITS, Limits
from palate.datasets.files.names import Mapped, TableName, check_mapping, check_used
from palate.datasets.files.parquet_child import known_types
from palate.datasets.files.raw import LINE, Piece
from palate.datasets.files.rejects import Rejects
from palate.datasets.fingerprints import fingerprint
from palate.datasets.hugging_face import as_arrow
from palate.datasets.media import Media, media_of
from palate.datasets.rating_scale import Ends, check_within, ends_of
from palate.datasets.rating_scale import read as read_scale
from palate.datasets.readers.folder import read_items
from palate.datasets.readers.formats import read_path
from palate.entities import AUDIO, CATEGORY, CATEGORY_SEPARATOR, IMAGE, TEXT, TITLE
from palate.errors import DataError
from palate.errors.checks import flag, instance, normalise_words, one_of, path_of, shown
from palate.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What people did and what the items are.

    Attributes:
        interactions: user_id and item_id (text), rating (float, null where none), event (text, null where none),
            timestamp (seconds since the epoch, UTC, null where none); further columns as they came.
        items: item_id, title, text, category ("" where absent, several joined by ``|``), image and audio where the
            data has them, further columns as they came. Items of interactions may be missing here.
        users: user_id and whatever else the data says of them. May be empty.
        rejects: Rows that could not be read.
        notes: How tables were taken that are not written as documented, a sentence each.
        kind: The kind of table that came in, in which :meth:`table` gives back.
        folder: Where the paths in image and audio start; None where the data came without a folder.
        scale: Lowest and highest rating that there can be, where they are given.
        vocabulary: What the events mean.
        friends: Who follows whom, user_id and friend_id, each pair once. May be empty; a friendship is two rows.
    """

    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    name: str = "tables"
    rejects: Rejects = field(default_factory=Rejects)
    kind: nw.Implementation = nw.Implementation.POLARS
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    scale: Ends | None = None
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    friends: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FRIEND_TYPES))

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        *,
        columns: Mapped | None = None,
        strict: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        scale: Sequence[float] | str | None = None,
        events: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Read a folder or file: a Palate data folder or a public format, told apart by file names.

        Args:
            columns: What the files call our columns: ``{"user_id": "customer_id", "item_id": "sku"}``; of one table
                ``{"items.item_id": "id"}``.
            strict: Raise at the first row that cannot be read; otherwise such rows are counted in ``rejects``.
            limits: Bounds on the files.
            scale: Lowest and highest rating that there can be, ``(0, 4)`` or ``"0:4"``; None: as ``palate.toml`` in the
                folder says, or, without one, those that the data has.
            events: What events mean that are not documented: ``{"bought": "purchase", "wished": "like:0.5"}``. They add
                to those of ``events.toml`` in the folder.
        Raises:
            DataError: If no known format fits, a column is missing, no row can be read, or a rating is off the scale.
            LimitError: If a file is over a limit.
            OptionError: If ``columns`` names a column that Palate does not know, the scale is none, or an event means
                nothing.
        """
        given = ends_of(scale)
        path = path_of(path, "the path of the data")
        instance(limits, Limits, "limits", "palate.datasets.files.limits.Limits(...)")
        assembly = Assembly(limits, Rejects(strict=flag(strict, "strict")), check_mapping(columns))
        vocabulary = Vocabulary() if events is None else Vocabulary(events)
        vocabulary = Vocabulary.read(path).with_added(vocabulary)
        with boundary(path.name):
            tables = read_path(path, assembly)
        whole = Path(os.path.abspath(path))  # "." has no name
        name = whole.parent.name if whole.name == "original" else whole.name
        data = replace(_dataset(tables, assembly, name), vocabulary=vocabulary)
        return data._on_scale(given or read_scale(path))

    @staticmethod
    def from_tables(
        interactions: Any,
        items: Any = None,
        users: Any = None,
        *,
        friends: Any = None,
        columns: Mapped | None = None,
        name: str = "tables",
        strict: bool = False,
        folder: str | os.PathLike[str] | None = None,
        scale: Sequence[float] | str | None = None,
        events: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Take tables of any kind that Narwhals reads (pandas, Polars, PyArrow ...), or of Hugging Face's ``datasets``.

        In a pandas column NaN means missing, so such a rating is no rating and not a reject.

        Args:
            friends: Who follows whom, with user_id and friend_id: what those whom a user follows choose counts in
                their list. A friendship is two rows.
            columns: What the tables call our columns, as in :meth:`load`.
            strict: Raise at the first row that cannot be read; otherwise such rows are counted in ``rejects``.
            folder: Where the paths in image and audio start. Bytes need none.
            scale: As in :meth:`load`.
            events: What events mean that are not documented, as in :meth:`load`.
        Raises:
            DataError: If something is no table, a column is missing, no row can be read, or a rating is off the scale.
            OptionError: If ``columns`` names a column that Palate does not know, the scale is none, or an event means
                nothing.
        """
        vocabulary = Vocabulary() if events is None else Vocabulary(events)
        given, name = ends_of(scale), normalise_words(name, "the name of the data")
        assembly = Assembly(rejects=Rejects(strict=flag(strict, "strict")), mapping=check_mapping(columns))
        root = None if folder is None else Path(os.path.abspath(path_of(folder, "folder")))
        with boundary(name):
            tables = Tables(
                assembly.interactions(_pieces(interactions, "interactions")),
                assembly.items(_pieces(items, "items") if items is not None else None, root),
                assembly.users(_pieces(users, "users") if users is not None else None),
                root,
                assembly.friends(_pieces(friends, "friends") if friends is not None else None),
            )
        data = replace(_dataset(tables, assembly, name, _kind(interactions)), vocabulary=vocabulary)
        return data._on_scale(given)

    def _on_scale(self, ends: Ends | None) -> Dataset:
        return replace(self, scale=check_within(self.interactions, ends))

    def table(self, name: TableName) -> Any:
        """One of the tables, in the kind that :meth:`from_tables` was given (Polars after :meth:`load`)."""
        tables = {
            "interactions": self.interactions,
            "items": self.items,
            "users": self.users,
            "friends": self.friends,
        }
        one_of(name, tables, "the table")
        if self.kind is nw.Implementation.POLARS:
            return tables[name]
        return nw.from_arrow(tables[name].to_arrow(), backend=self.kind.to_native_namespace()).to_native()

    def filter(self, keep: pl.Expr | pl.Series | NDArray[np.bool_]) -> Dataset:
        """The data set with some of its interactions; items and users stay.

        Args:
            keep: Mask of shape (N,) or an expression over the columns of ``interactions``.
        Raises:
            DataError: If it is neither.
        """
        rows, way = self.interactions.height, "or an expression such as pl.col('rating') > 3"
        mask = keep if isinstance(keep, pl.Expr) else np.asarray(keep)
        if isinstance(mask, np.ndarray) and (mask.shape != (rows,) or mask.dtype != np.bool_):
            raise DataError(f"keep is {shown(keep)}. Give {rows} truth values, {way}.")
        try:
            return replace(self, interactions=self.interactions.filter(mask))
        except pl.exceptions.PolarsError as error:
            why = str(error).splitlines()[0][:120]
            raise DataError(f"keep cannot choose interactions ({why}). Give {rows} truth values, {way}.") from None

    def item_texts(self) -> list[str]:
        """Title, text and category words of each row of ``items``, joined for an encoder."""
        words = pl.col(CATEGORY).str.replace_all(CATEGORY_SEPARATOR, ", ", literal=True)
        whole = [pl.col(TITLE), pl.col(TEXT).str.strip_chars_end(". \n"), words]
        parts = [pl.when(part != "").then(part) for part in whole]
        return self.items.select(pl.concat_str(parts, separator=". ", ignore_nulls=True)).to_series().to_list()

    def item_media(self, column: Literal["image", "audio"]) -> Media | None:
        """The images or sounds of ``items``, read when asked for, or None where no item has any.

        Raises:
            DataError: If the column holds paths and the data came without a folder.
        """
        return media_of(self.items, one_of(column, (IMAGE, AUDIO), "the column"), self.folder)

    def fingerprint(self) -> str:
        """SHA-256 of the content, as hexadecimal; the order of rows and the name do not matter."""
        return fingerprint(self.interactions, self.items, self.users, self.friends)

    def coded(self, values: Literal["rating", "event"] = "rating") -> Coded:
        """Interactions as arrays (:func:`palate.datasets.coding.code`)."""
        return code(self.interactions, self.items, values, self.vocabulary)


def load_items(path: str | os.PathLike[str], *, columns: Mapped | None = None, strict: bool = False) -> Dataset:
    """Items alone, out of a file or the table of items of a data folder; arguments and errors as of Dataset.load."""
    path = Path(path)
    assembly = Assembly(rejects=Rejects(strict=strict), mapping=check_mapping(columns))
    with boundary(path.name):
        return _dataset(read_items(path, assembly), assembly, path.name)


def take_items(items: Any, folder: Path | None = None) -> Dataset:
    """Items alone, out of a table of any kind that Narwhals reads; a row that cannot be read is an error."""
    assembly = Assembly(rejects=Rejects(strict=True))
    root = None if folder is None else Path(os.path.abspath(folder))
    with boundary("items"):
        table = assembly.items(_pieces(items, "items"), root)
    return _dataset(Tables(assembly.interactions(None), table, assembly.users(None), root), assembly, "items")


def _dataset(
    tables: Tables, assembly: Assembly, name: str, kind: nw.Implementation = nw.Implementation.POLARS
) -> Dataset:
    check_used(assembly.mapping, assembly.columns)
    notes = tuple(assembly.notes)
    data = Dataset(tables.interactions, tables.items, tables.users, name, assembly.rejects, kind, tables.folder, notes)
    return data if tables.friends is None else replace(data, friends=tables.friends)


def _pieces(table: Any, name: str) -> Iterator[Piece]:
    frame = _frame(table, name)
    lines = pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True)
    yield Piece(name, frame.with_columns(lines.alias(LINE)))


def _frame(table: Any, name: str) -> pl.DataFrame:
    table = as_arrow(table, name)
    try:
        frame = nw.from_native(table)
    except TypeError:
        raise DataError(f"{name} is a {type(table).__name__}. Give a pandas, Polars or PyArrow table.") from None
    except NarwhalsError as error:
        raise _unfit(name, error) from None
    try:
        if isinstance(table, pa.Table):
            table.validate(full=True)  # text that is not UTF-8 is undefined behaviour further on
            frame = nw.from_native(known_types(table))
        return (frame.collect() if isinstance(frame, nw.LazyFrame) else frame).to_polars()
    except (pa.ArrowException, pl.exceptions.PolarsError, NarwhalsError, TypeError) as error:
        raise _unfit(name, error) from None


def _unfit(name: str, error: Exception) -> DataError:
    why = one_line(str(error), 120)
    return DataError(f"{name} cannot be taken ({why}). Give every column its own name and one type.")


def _kind(table: Any) -> nw.Implementation:
    frame = nw.from_native(as_arrow(table, "interactions"))
    return nw.Implementation.POLARS if isinstance(frame, nw.LazyFrame) else frame.implementation
