"""Shards: answers of many users on disk, by hash of the user, in both orders, and the functions that read them.

A shard holds whole users, a block holds whole items. No call holds more than one shard, one block's part of a shard, or
the table of items; there is no list of all users.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from palate.arrays import Array, Mask
from palate.entities import ITEM, USER
from palate.errors import DataError
from palate.errors.checks import count, path_of
from palate.scale import manifest
from palate.scale.manifest import Kind, Manifest, Shard
from palate.scale.shard_files import Rows, read_frame, read_table


class ShardRows(NamedTuple):
    """The answers of one shard, sorted by user and item.

    Attributes:
        start: Where the answers of each user begin, (U + 1,).
        items: Codes, (N,).
        values: (N,).
    """

    start: NDArray[np.int64]
    items: NDArray[np.int32]
    values: Array


class BlockRows(NamedTuple):
    """The answers of one shard to the items of one block, sorted by item and user.

    Attributes:
        columns: Codes of the items with an answer, (J,).
        start: Where the answers of each begin, (J + 1,).
        users: Rows in the shard, (N,).
        places: Where each answer is among those of the shard (:class:`ShardRows`), (N,).
    """

    columns: NDArray[np.int32]
    start: NDArray[np.int64]
    users: NDArray[np.int32]
    places: NDArray[np.int32]


def hash_of(user_id: str) -> int:
    """64 bits; the shard of a user is the low ones."""
    return int.from_bytes(hashlib.blake2b(user_id.encode(), digest_size=8).digest(), "little")


def shard_of(user_id: str, n_shards: int) -> int:
    """In which of 2^k shards a user is: a shard of 2^k is two of 2^(k + 1)."""
    return hash_of(user_id) & (n_shards - 1)


def read_rows(folder: str, shard: int, *, digest: str | None = None) -> ShardRows:
    """The answers of one shard.

    Args:
        digest: Of the manifest that the caller means (:attr:`Shards.digest`); None: of whichever is there.
    Raises:
        DataError: If a file is missing, damaged or of other data, or the shards have changed since.
        OptionError: If there is no such shard.
    """
    place, found = Path(folder), _manifest(folder, digest)
    one = found.shards[count(shard, "the shard", most=len(found.shards) - 1)]
    users, items, values = answers_of(place, one, found.of)
    start = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=one.users))])
    if len(items) != one.events or len(start) != one.users + 1:
        raise DataError(f"{place / one.rows} has other rows than {manifest.NAME} says. {manifest.AGAIN}.")
    return ShardRows(start, items, values)


def answers_of(folder: Path, one: Shard, of: str) -> tuple[NDArray[np.int32], NDArray[np.int32], Array]:
    """Rows of users, codes of items and values of a shard's answers, sorted by user and item, (N,) each."""
    users, items, values = columns_of(folder, one.rows, of, "user", "item", "value")
    if one.delta is not None:
        delta = _Delta.read(folder, one.delta, of)
        new = (delta.users, delta.items, delta.values)
        users, items, values = merged((users, items, values), new, delta.at, delta.replaces)
    return users, items, values


def read_times(folder: str, shard: int, *, digest: str | None = None) -> Array:
    """When each answer of :func:`read_rows` was given, seconds since the epoch, NaN where nobody knows, (N,)."""
    place, found = Path(folder), _manifest(folder, digest)
    one = found.shards[count(shard, "the shard", most=len(found.shards) - 1)]
    times = columns_of(place, one.rows, found.of, "time")
    if one.delta is not None:
        delta = _Delta.read(place, one.delta, found.of)
        times = merged(times, columns_of(place, one.delta, found.of, "time"), delta.at, delta.replaces)
    return times[0].astype(np.float64)


def merged(
    base: Sequence[NDArray[Any]], delta: Sequence[NDArray[Any]], at: NDArray[np.int32], replaces: Mask
) -> list[NDArray[Any]]:
    """The columns of a base with the rows of a delta put before those at ``at``, or in their place."""
    return [_inserted(old, new, at, replaces) for old, new in zip(base, delta, strict=True)]


def _inserted(old: NDArray[Any], new: NDArray[Any], at: NDArray[np.int32], replaces: Mask) -> NDArray[Any]:
    whole = old.copy()
    whole[at[replaces]] = new[replaces]
    return np.insert(whole, at[~replaces], new[~replaces])


def rows_of(folder: Path, one: Shard, of: str) -> tuple[Rows, Rows | None]:
    """All columns of a shard's base, and of its delta where there is one."""
    base = _rows(folder, one.rows, of)
    return base, None if one.delta is None else _rows(folder, one.delta, of)


def _rows(folder: Path, name: str, of: str) -> Rows:
    users, items, values, times, ranks = columns_of(folder, name, of, "user", "item", "value", "time", "rank")
    return Rows(users, items, values, times, ranks)


def columns_of(folder: Path, name: str, of: str, *columns: str) -> list[NDArray[Any]]:
    """Some columns of a file as arrays, (N,) each."""
    table = read_table(folder, name, of, columns)
    return [plain(table[column]) for column in columns]


def read_by_block(folder: str, shard: int, block: int, *, digest: str | None = None) -> BlockRows:
    """The answers of one shard to the items of one block; arguments and errors as of :func:`read_rows`."""
    place, found = Path(folder), _manifest(folder, digest)
    one = found.shards[count(shard, "the shard", most=len(found.shards) - 1)]
    first, last = found.blocks[count(block, "the block", most=len(found.blocks) - 1)]
    base = read_table(place, one.by_block, found.of, ("item", "user", "place"), group=block)
    items, users, places = (plain(base[name]) for name in ("item", "user", "place"))
    if one.delta is not None:
        delta = _Delta.read(place, one.delta, found.of).inserted()
        places = places + np.searchsorted(delta.at, places, side="right").astype(np.int32)
        mine = np.flatnonzero((delta.items >= first) & (delta.items < last))
        items = np.concatenate([items, delta.items[mine]])
        users = np.concatenate([users, delta.users[mine]])
        places = np.concatenate([places, (delta.at[mine] + mine).astype(np.int32)])
        order = np.lexsort((places, items))
        items, users, places = items[order], users[order], places[order]
    begins = np.flatnonzero(np.diff(items, prepend=-1))
    return BlockRows(items[begins], np.append(begins, len(items)), users, places)


class _Delta(NamedTuple):
    """Answers that came later, sorted by user and item.

    Attributes:
        at: Before which of the base's rows each stands, (N,).
        replaces: Whether it stands in the place of that row, (N,).
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: Array
    at: NDArray[np.int32]
    replaces: Mask

    @classmethod
    def read(cls, folder: Path, name: str, of: str) -> _Delta:
        users, items, values, at, replaces = columns_of(folder, name, of, "user", "item", "value", "at", "replaces")
        return cls(users, items, values, at, replaces)

    def inserted(self) -> _Delta:
        """Those that stand in no other's place."""
        new = ~self.replaces
        return _Delta(self.users[new], self.items[new], self.values[new], self.at[new], self.replaces[new])


def plain(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as an array, (N,)."""
    return np.asarray(column.to_numpy())


def _manifest(folder: str, digest: str | None) -> Manifest:
    found = manifest.read(Path(folder))
    if digest is not None and digest != found.digest:
        raise DataError(f"the shards in {folder} have changed since they were opened. Start again.")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """A folder of shards, open for reading.

    Attributes:
        folder: Where they lie.
        manifest: What they are made of.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: object) -> Shards:
        """Open a folder that ``palate shard`` wrote; that its files are there and have their sizes is checked.

        Raises:
            DataError: If it holds no shards, unfinished ones or those of a newer format, or a file is missing or
                damaged.
        """
        path = path_of(folder, "the folder of shards")
        found = manifest.read(path)
        manifest.check_sizes(path, found)
        return cls(path, found)

    def verify(self) -> None:
        """Read every byte and compare it with the manifest.

        Raises:
            DataError: If a file is not as it was written.
        """
        manifest.check_digests(self.folder, self.manifest)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which names the digest of every file."""
        return self.manifest.digest

    @property
    def kind(self) -> Kind:
        return self.manifest.kind

    @property
    def low(self) -> float:
        return self.manifest.low

    @property
    def high(self) -> float:
        return self.manifest.high

    @property
    def n_items(self) -> int:
        """Items, those without an answer too."""
        return self.manifest.blocks[-1][1]

    @property
    def n_events(self) -> int:
        """Answers."""
        return self.manifest.events

    @property
    def n_shards(self) -> int:
        """A power of two."""
        return len(self.manifest.shards)

    @property
    def users(self) -> tuple[int, ...]:
        """How many users each shard has, those without an answer too."""
        return tuple(one.users for one in self.manifest.shards)

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Of each block its first item code and the one after its last: ``range(*block)`` are its codes."""
        return self.manifest.blocks

    @property
    def total(self) -> float:
        """Sum of all values."""
        return self.manifest.total

    @property
    def total_squares(self) -> float:
        """Sum of the squares of all values."""
        return self.manifest.total_squares

    def item_counts(self) -> NDArray[np.int64]:
        """How many answers each item has, (I,)."""
        return self._totals("count").astype(np.int64)

    def item_sums(self) -> Array:
        """Sum of the values of each item's answers, (I,)."""
        return self._totals("sum").astype(np.float64)

    def _totals(self, column: str) -> NDArray[Any]:
        return columns_of(self.folder, self.manifest.totals, self.manifest.of, column)[0]

    def item_ids(self, block: int) -> list[str]:
        """The ids of a block's items in the order of their codes."""
        name = self.manifest.items[count(block, "the block", most=len(self.blocks) - 1)]
        ids: list[str] = read_table(self.folder, name, self.manifest.of, [ITEM])[ITEM].to_pylist()
        return ids

    def user_ids(self, shard: int) -> list[str]:
        """The ids of a shard's users in the order of their rows."""
        name = self.manifest.shards[count(shard, "the shard", most=self.n_shards - 1)].ids
        ids: list[str] = read_table(self.folder, name, self.manifest.of, [USER])[USER].to_pylist()
        return ids

    def items_table(self) -> pl.DataFrame:
        """The items in the order of their codes: id, title, text, category and what else the data says, (I) rows."""
        tables = [read_frame(self.folder, name, self.manifest.of) for name in self.manifest.items]
        return pl.concat(tables, how="diagonal_relaxed")

    def rows(self, shard: int) -> ShardRows:
        """The answers of one shard (:func:`read_rows`)."""
        return read_rows(str(self.folder), shard, digest=self.digest)

    def times(self, shard: int) -> Array:
        """When each of them was given (:func:`read_times`)."""
        return read_times(str(self.folder), shard, digest=self.digest)

    def by_block(self, shard: int, block: int) -> BlockRows:
        """The answers of one shard to the items of one block (:func:`read_by_block`)."""
        return read_by_block(str(self.folder), shard, block, digest=self.digest)
