"""Items dealt to blocks, sums over all shards, and the manifest made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.scale.manifest import Manifest
from palate.scale.shard_files import Writer
from palate.scale.shards import answers_of

MOST_LEVELS = 20
LEAST_BLOCKS, LEAST_ITEMS, MOST_ITEMS = 4, 256, 16_384  # of a block, where nobody says
FEW_EVENTS, LEAST_SHARDS, MOST_EVENTS = 4_000, 4, 2_000_000

Blocks = tuple[tuple[int, int], ...]


def items_of_block(n_items: int) -> int:
    """Most items of a block: so that there are some blocks to work on side by side, and a block's arrays are small."""
    return min(MOST_ITEMS, max(LEAST_ITEMS, -(-n_items // LEAST_BLOCKS)))


def dealt(counts: NDArray[np.int64], ids: pl.Series, block_items: int) -> tuple[NDArray[np.int64], Blocks]:
    """Items by popularity, dealt to and fro to blocks of at most so many, so that each has about as many events.

    Items without an event come last, in blocks of their own, so that they take no place in those of the others.

    Returns:
        Which item has each code, (I,), and the codes of each block.
    """
    by_count = np.lexsort((ids.rank("ordinal").to_numpy(), -counts))
    n_met = int((counts > 0).sum())
    n_blocks = -(-n_met // block_items)
    turn, place = np.divmod(np.arange(n_met), n_blocks)
    block = np.where(turn % 2 == 0, place, n_blocks - 1 - place)
    ends = np.cumsum(np.bincount(block, minlength=n_blocks)).tolist()
    dealt_out = by_count[:n_met][np.argsort(block, kind="stable")]
    unmet = [*range(n_met + block_items, len(ids), block_items), len(ids)] if n_met < len(ids) else []
    return np.concatenate([dealt_out, by_count[n_met:]]), tuple(pairwise([0, *ends, *unmet]))


def with_sums(found: Manifest, writer: Writer) -> Manifest:
    """The manifest with sums over all answers and the scale; writes the file of sums by item.

    Shards are added in their order, so the sums do not depend on how the shards came about.
    """
    n_items = found.blocks[-1][1]
    counts, sums = np.zeros(n_items, dtype=np.int64), np.zeros(n_items)
    total, squares, levels = 0.0, 0.0, np.zeros(0)
    low, high = np.inf, -np.inf
    for shard in found.shards:
        _, items, values = answers_of(writer.folder, shard, found.of)
        counts += np.bincount(items, minlength=n_items)
        sums += np.bincount(items, values, minlength=n_items)
        total, squares = total + float(values.sum()), squares + float(values @ values)
        if len(values):
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            levels = np.union1d(levels, values) if len(levels) <= MOST_LEVELS else levels
    writer.table(found.totals, pl.DataFrame({"count": counts, "sum": sums}))
    return replace(
        found,
        events=int(counts.sum()),
        total=total,
        total_squares=squares,
        low=found.low if found.is_given else low,
        high=found.high if found.is_given else high,
        levels=tuple(levels.tolist()) if len(levels) <= MOST_LEVELS else (),
    )


def write_items(writer: Writer, table: pl.DataFrame, blocks: Blocks, names: Sequence[str]) -> None:
    """The table of items, in the order of their codes, in a file a block."""
    for (first, last), name in zip(blocks, names, strict=True):
        writer.table(name, table.slice(first, last - first))


def shards_for(events: int) -> int:
    """How many shards suit so many events: a power of two, so that each has two million at most."""
    if events <= FEW_EVENTS:
        return 1
    return max(LEAST_SHARDS, 1 << max(0, (-(-events // MOST_EVENTS) - 1).bit_length()))
