"""The ``image`` and ``audio`` columns: paths that stay inside the data folder, or the bytes themselves."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from palate.entities import ITEM
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

LARGEST = 64 << 20
"""Bytes of a media file that are read; a larger one is not."""

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")


def path_problem(value: str, folder: Path | None = None) -> str | None:
    """Why a path must not be followed, or None.

    Args:
        value: As it stands in the table. Percent-encoding is undone first, as often as it was done.
        folder: The data folder; with it, links are resolved as well. None for tables that came without a folder.
    """
    plain = value
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    if "\x00" in plain:
        return f"the path {value[:80]!r} holds NUL"
    if "\\" in plain:
        return f"the path {value[:80]!r} holds a backslash; write / between folders"
    if _SCHEME.match(plain):
        return f"{value[:80]!r} is a URL or names a drive; give a path inside the data folder"
    if plain.startswith(("/", "~")):
        return f"the path {value[:80]!r} does not start inside the data folder; make it relative"
    if ".." in plain.split("/"):
        return f"the path {value[:80]!r} climbs out with '..'"
    if folder is not None and not _inside(value, folder):
        return f"the path {value[:80]!r} leads out of the data folder"
    return None


def _inside(value: str, folder: Path) -> bool:
    root = os.path.realpath(folder)
    # commonpath, not a prefix: a sibling folder may begin with the same letters
    return os.path.commonpath([root, os.path.realpath(os.path.join(root, value))]) == root


class UnreadableMedia(DataError):
    """A media file that cannot be had.

    Attributes:
        reason: The end of a sentence that begins with the file.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} {reason}. Correct the path or the file, or leave the cell empty.")
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """A media file for each item, read when it is asked for.

    Attributes:
        kind: The column: ``image`` or ``audio``.
        item_ids: (I,).
        values: Path, bytes, or None where the item has none, (I,).
        folder: Where the paths start.
    """

    kind: str
    item_ids: list[str]
    values: list[str | bytes | None]
    folder: Path | None

    def __len__(self) -> int:
        return len(self.values)

    def what(self, row: int) -> str:
        """The file in a message."""
        value = self.values[row]
        where = f" ({value[:80]})" if isinstance(value, str) and value else ""
        return f"the {self.kind} of item {self.item_ids[row]!r}{where}"

    def read(self, row: int) -> bytes:
        """The bytes of one file; none where the item has none.

        Raises:
            UnreadableMedia: If the file is missing, too large, not inside the folder or no file.
        """
        value = self.values[row]
        if not value:
            return b""
        try:
            return _bounded(value) if isinstance(value, bytes) else _read_inside(value, self.folder)
        except _Unreadable as problem:
            raise UnreadableMedia(self.what(row), str(problem)) from None


def media_of(table: pl.DataFrame, column: str, folder: Path | None) -> Media | None:
    """The media in a column of an items table, or None where no item has any.

    Args:
        table: With item_id.
        column: ``image`` or ``audio``.
        folder: Where paths start; None is enough where the column holds bytes.
    Raises:
        DataError: If the column holds paths and there is no folder.
    """
    if column not in table.columns:
        return None
    values = table[column].to_list()
    first = next(filter(None, values), None)
    if first is None:
        return None
    if isinstance(first, str) and folder is None:
        raise DataError(
            f"the column {column} holds paths, such as {first[:80]!r}, and the tables came without a folder. "
            "Give Dataset.from_tables a folder, or put the bytes of the files into the column."
        )
    return Media(column, table[ITEM].to_list(), values, folder)


class _Unreadable(Exception):
    """The end of a sentence that begins with the file."""


def _bounded(data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise _Unreadable(f"has over {LARGEST:,} bytes")
    return data


def _read_inside(value: str, folder: Path | None) -> bytes:
    """The file's bytes; links are looked at again, since they may have changed since the table was read."""
    problem = path_problem(value, folder)
    if problem is not None or folder is None:
        raise _Unreadable(f"cannot be read: {problem or 'there is no folder'}")
    try:
        descriptor = os.open(folder / value, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would never open
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _Unreadable("is no file")
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise _Unreadable(f"cannot be read ({error.strerror})") from None
    if not data:
        raise _Unreadable("is empty")
    return _bounded(data)
