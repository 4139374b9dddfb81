"""One part of the users in memory: each pair of user and item once, sorted, written in both orders."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.coding import Coded, last_of_pairs
from palate.entities import USER
from palate.scale.manifest import Shard
from palate.scale.shard_files import Rows, Writer
from palate.vocabulary import Vocabulary


class Weighing(NamedTuple):
    """How rows become answers.

    Attributes:
        has_ratings: Whether ratings count, and events do not.
        words: Names of events by their number.
        vocabulary: With the strengths that were learnt.
    """

    has_ratings: bool
    words: tuple[str, ...]
    vocabulary: Vocabulary

    def told(self, table: pa.Table) -> pa.Table:
        """The rows that tell something."""
        words, values = table["word"].to_numpy(), table["value"].to_numpy()
        return table.filter(pa.array(~np.isnan(values) & ((words < 0) == self.has_ratings)))

    def ranks(self, table: pa.Table) -> Array:
        """How strong each event is before anything is learnt; 0 of ratings, (N,)."""
        if self.has_ratings:
            return np.zeros(table.num_rows)
        strengths = np.array([self.vocabulary.words[name].strength for name in self.words])
        ranks: Array = strengths[table["word"].to_numpy()] * np.abs(table["value"].to_numpy())
        return ranks

    def values(self, table: pa.Table) -> Array:
        """What the fit takes, (N,)."""
        values = np.asarray(table["value"].to_numpy(), dtype=np.float64)
        if self.has_ratings:
            return values
        learnt = np.array([self.vocabulary.strength(name) for name in self.words])
        weighed: Array = values * learnt[table["word"].to_numpy()]
        return weighed


def numbered(users: pa.ChunkedArray, known: pl.Series | None = None) -> tuple[pl.Series, NDArray[np.int32]]:
    """The ids of users, those known first, the others sorted as text, and the row of each of ``users``, (N,)."""
    column = pl.Series(USER, pl.from_arrow(users), dtype=pl.String)
    new = column.unique()
    if known is not None:
        new = new.filter(~new.is_in(known.implode()))
    ids = new.sort() if known is None else pl.concat([known, new.sort()])
    return ids, column.cast(pl.Enum(ids)).to_physical().cast(pl.Int32).to_numpy()


def answers_in(
    table: pa.Table, codes: NDArray[np.int32], weighing: Weighing, known: pl.Series | None = None
) -> tuple[pl.Series, Rows, int]:
    """The users of one part, their answers sorted by user and item, and how many rows gave way to another.

    Args:
        table: Of :data:`palate.scale.spill.SCHEMA`.
        codes: Of each item by its number while reading, (I,).
        known: Users that have a row already.
    """
    ids, users = numbered(table["user"], known)
    told = weighing.told(table.set_column(0, "user", pa.array(users)))
    rows = Rows(
        told["user"].to_numpy(),
        codes[told["item"].to_numpy()],
        weighing.values(told),
        told["time"].to_numpy(),
        weighing.ranks(told),
    )
    kept = last_of_pairs(rows.users, rows.items, rows.times, rows.ranks, len(codes))
    once = rows if kept is None else rows.take(kept)
    order = np.argsort(once.users.astype(np.int64) * len(codes) + once.items, kind="stable")
    return ids, once.take(order), told.num_rows - len(order)


def write_shard(
    writer: Writer, number: int, ids: pl.Series, rows: Rows, blocks: tuple[tuple[int, int], ...], generation: int = 0
) -> Shard:
    """Write the three files of a shard."""
    end = f"-{number:04d}{f'-g{generation}' if generation else ''}.parquet"
    shard = Shard(len(ids), len(rows.items), f"users{end}", f"by-block{end}", f"ids/users{end}")
    writer.rows(shard.rows, rows)
    writer.by_block(shard.by_block, rows, blocks)
    writer.table(shard.ids, ids.to_frame(USER))
    return shard


def coded(table: pa.Table, item_ids: pl.Series, weighing: Weighing) -> Coded:
    """Events as a fit of all of them would code them; strengths are learnt from that.

    Args:
        item_ids: By number while reading, (I,).
    """
    table = table.sort_by("place")
    user_ids, users = numbered(table["user"])
    order = item_ids.arg_sort().to_numpy()
    codes = np.empty(len(order), dtype=np.int32)
    codes[order] = np.arange(len(order), dtype=np.int32)
    told = weighing.told(table.set_column(0, "user", pa.array(users)))
    users, items = told["user"].to_numpy(), codes[told["item"].to_numpy()]
    times, values, words = (told[name].to_numpy() for name in ("time", "value", "word"))
    kept = last_of_pairs(users, items, times, weighing.ranks(told), len(codes))
    kept = np.arange(len(users)) if kept is None else kept
    return Coded(
        users[kept],
        items[kept],
        values[kept],
        times[kept],
        user_ids.to_list(),
        item_ids.sort().to_list(),
        words=words[kept].astype(np.int32),
        names=weighing.words,
    )
