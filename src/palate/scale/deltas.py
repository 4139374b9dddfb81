"""New events beside shards that are there: a delta file a shard, merged into it at a tenth of its size.

Items and users keep their codes and rows; new ones get the next. A delta holds the rows that the base lacks and those
that take the place of one of the base, each with its place there, so that it is read in one go (:func:`answers_of
<palate.scale.shards.answers_of>`). New files have names of their own, and the manifest changes in one step: a run that
is stopped has changed nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from palate.arrays import Array, Mask, Progress
from palate.datasets.coding import last_of_pairs
from palate.datasets.files.boundary import boundary
from palate.datasets.files.names import Mapped
from palate.datasets.files.rejects import Rejects
from palate.datasets.tables import Dataset
from palate.datasets.views import item_table
from palate.entities import ITEM
from palate.errors import DataError
from palate.scale.compose import Blocks, with_sums
from palate.scale.intake import Intake
from palate.scale.manifest import Manifest, Shard
from palate.scale.shard_files import Rows, Writer, read_frame
from palate.scale.sharding import SPILL, TOTALS, Sharded, locked, remove_others, say_nothing
from palate.scale.shards import Shards, merged, rows_of
from palate.scale.sort_shard import Weighing, answers_in, write_shard
from palate.scale.source import Source
from palate.scale.spill import Spill, writing
from palate.vocabulary import Vocabulary

MERGED_AT = 0.1  # of the base's rows: from there on a delta becomes part of it


def add_events(
    paths: object,
    folder: object,
    *,
    items: object = None,
    columns: Mapped | None = None,
    strict: bool = False,
    events: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Sharded:
    """Add the answers of newer data to shards, as if they had been there at the end of the data from the beginning.

    What the shards know of an item stays as it is. Strengths of events are those that were learnt then.

    Args:
        folder: Of shards.
        paths, items, columns, strict, events: As of :func:`palate.scale.sharding.shard`.
    Raises:
        DataError: If the data cannot be read, holds no answer of the kind that the shards hold, or a rating is off a
            scale that was given; if there are no shards, or they cannot be written. Nothing is changed then.
    """
    place = Shards.open(folder).folder
    source = Source.of(paths, items, columns, strict, None, events)
    with writing(place, "give the same again"), locked(place):  # opened again, as nobody else changes them from here on
        return _Adding(Shards.open(place), source, progress or say_nothing).all()


class _Adding:
    def __init__(self, shards: Shards, source: Source, progress: Progress) -> None:
        self.shards, self.source, self.report = shards, source, progress
        self.folder, self.old = shards.folder, shards.manifest
        self.generation = self.old.generation + 1
        self.writer = Writer(self.folder, self.old.of, {})
        self.vocabulary = Vocabulary(**self.old.vocabulary).with_added(source.vocabulary)

    def all(self) -> Sharded:
        rejects = Rejects(strict=self.source.strict)
        self._remove_all_but(self.old)
        spill = self.folder / SPILL
        spill.mkdir()
        try:
            intake, items, notes = self._read(spill, rejects)
            found = self._merged(intake, items)
        except BaseException:
            self._remove_all_but(self.old)
            raise
        found.write(self.folder)
        self._remove_all_but(found)
        return Sharded(Shards.open(self.folder), rejects, notes)

    def _remove_all_but(self, found: Manifest) -> None:
        """Remove what a run left that was stopped, and what a manifest no longer names."""
        shutil.rmtree(self.folder / SPILL, ignore_errors=True)
        remove_others(self.folder, found.files)

    def _read(self, spill: Path, rejects: Rejects) -> tuple[Intake, pl.DataFrame, tuple[str, ...]]:
        old, is_rated = self.old, self.old.kind != "events"
        ends = (old.low, old.high) if is_rated and old.is_given else None
        intake = Intake(Spill(spill, [0] * len(old.shards)), self.vocabulary, ends, has_ratings=is_rated)
        ids = (one for block in range(len(old.blocks)) for one in self.shards.item_ids(block))
        intake.codes = {one: code for code, one in enumerate(ids)}
        intake.extend()
        intake.saved = lambda: self.report("reading", intake.rows, 0)
        items, notes = self.source.read(intake, rejects)
        intake.flush()
        what = "rating" if is_rated else "event"
        if intake.has_ratings != is_rated or not intake.valued:
            instead = " but ratings" if intake.has_ratings != is_rated else ""
            raise DataError(f"the new data has no {what}{instead}, and the shards in {self.folder} hold {old.kind}.")
        if old.kind == "likes" and not (intake.levels is not None and intake.levels <= {0.0, 1.0}):
            raise DataError(
                f"the new data has ratings that are not 0 or 1, and the shards in {self.folder} hold likes."
            )
        for one in items[ITEM]:
            intake.codes.setdefault(one, len(intake.codes))
        intake.extend()
        return intake, items, notes

    def _merged(self, intake: Intake, items: pl.DataFrame) -> Manifest:
        old = self.old
        codes, new = self._codes(intake)
        blocks = _extended(old.blocks, len(codes), old.block_items)
        names = self._write_items(new, items, blocks)
        weighing = Weighing(intake.has_ratings, tuple(intake.words), self.vocabulary)
        shards = []
        for number, one in enumerate(old.shards):
            self.report("merging", number, len(old.shards))
            table = intake.spill.read([number])
            shards.append(self._one(number, one, table, codes, weighing, blocks) if table.num_rows else one)
        self.report("merging", len(old.shards), len(old.shards))
        added = [*old.source.get("added", []), self.source.described()]
        found = replace(
            old,
            generation=self.generation,
            blocks=blocks,
            shards=tuple(shards),
            items=names,
            totals=TOTALS.format(f"-g{self.generation}"),
            vocabulary=self.vocabulary.as_dict(),
            source=old.source | {"added": added},
        )
        found = with_sums(found, self.writer)
        files = {name: file for name, file in {**old.files, **self.writer.written}.items() if name in found.names()}
        gave_way = intake.valued - (found.events - old.events)
        return replace(found, files=files, duplicates=old.duplicates + gave_way)

    def _codes(self, intake: Intake) -> tuple[NDArray[np.int32], list[str]]:
        """The code of each item by its number, (I,), and the ids of the new ones in the order of their codes."""
        known = self.old.blocks[-1][1]
        new = list(intake.codes)[known:]
        counts = intake.counts[known : len(intake.codes)]
        order = sorted(range(len(new)), key=lambda place: (-int(counts[place]), new[place]))
        codes = np.arange(len(intake.codes), dtype=np.int32)
        codes[known + np.array(order, dtype=np.int64)] = known + np.arange(len(new), dtype=np.int32)
        return codes, [new[place] for place in order]

    def _write_items(self, new: list[str], items: pl.DataFrame, blocks: Blocks) -> tuple[str, ...]:
        table = item_table(Dataset(pl.DataFrame(), items, pl.DataFrame()), new)
        known, names = self.old.blocks[-1][1], list(self.old.items)
        for block, (first, last) in enumerate(blocks):
            if last <= known:
                continue
            start = max(first, known)
            rows = table.slice(start - known, last - start)
            if block < len(names):
                with boundary("the table of items"):
                    rows = pl.concat([read_frame(self.folder, names[block], self.old.of), rows], how="diagonal_relaxed")
            names[block:] = [f"ids/items-{block:04d}-g{self.generation}.parquet"]
            self.writer.table(names[block], rows)
        return tuple(names)

    def _one(
        self, number: int, old: Shard, table: pa.Table, codes: NDArray[np.int32], weighing: Weighing, blocks: Blocks
    ) -> Shard:
        known = read_frame(self.folder, old.ids, self.old.of).to_series()
        ids, new, _ = answers_in(table, codes, weighing, known)
        if not len(new.users) and len(ids) == len(known):
            return old
        base, before = rows_of(self.folder, old, self.old.of)
        delta = _once([new] if before is None else [before, new], len(codes))
        delta, at, replaces = _against(base, delta, len(codes))
        if len(delta.users) > MERGED_AT * len(base.users):
            whole = Rows(*merged(base, delta, at, replaces))
            return write_shard(self.writer, number, ids, whole, blocks, self.generation)
        end = f"-{number:04d}-g{self.generation}.parquet"
        one = replace(old, users=len(ids), events=len(base.users) + int((~replaces).sum()), delta=f"delta{end}")
        if len(ids) > len(known):
            one = replace(one, ids=f"ids/users{end}")
            self.writer.table(one.ids, ids.to_frame())
        self.writer.delta(f"delta{end}", delta, at, replaces)
        return one


def _once(parts: Iterable[Rows], n_items: int) -> Rows:
    """Rows of several sources, the later ones last, each pair once, sorted by user and item."""
    both = Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    kept = last_of_pairs(both.users, both.items, both.times, both.ranks, n_items)
    both = both if kept is None else both.take(kept)
    return both.take(np.argsort(_keys(both, n_items), kind="stable"))


def _keys(rows: Rows, n_items: int) -> NDArray[np.int64]:
    return rows.users.astype(np.int64) * n_items + rows.items


def _against(base: Rows, delta: Rows, n_items: int) -> tuple[Rows, NDArray[np.int32], Mask]:
    """What of a delta stands against its base, before which row each stands, and whether it takes its place."""
    keys, of_base = _keys(delta, n_items), _keys(base, n_items)
    at = np.searchsorted(of_base, keys)
    inside = np.minimum(at, len(of_base) - 1) if len(of_base) else at
    replaces = of_base[inside] == keys if len(of_base) else np.zeros(len(keys), dtype=bool)
    places = inside[replaces]
    rank, time = delta.ranks[replaces], _known(delta.times[replaces])
    weaker = rank < base.ranks[places]
    earlier = (rank == base.ranks[places]) & (time < _known(base.times[places]))
    stands = np.ones(len(keys), dtype=bool)
    stands[np.flatnonzero(replaces)[weaker | earlier]] = False
    kept = np.flatnonzero(stands)
    return delta.take(kept), at[kept].astype(np.int32), replaces[kept]


def _known(times: Array) -> Array:
    return np.nan_to_num(times, nan=-np.inf)


def _extended(blocks: Blocks, n_items: int, block_items: int) -> Blocks:
    """The blocks with codes up to ``n_items``: the last one filled, then new ones."""
    found: list[tuple[int, int]] = list(blocks)
    first, last = found[-1]
    found[-1] = (first, max(last, min(n_items, first + block_items)))
    while found[-1][1] < n_items:
        found.append((found[-1][1], min(n_items, found[-1][1] + block_items)))
    return tuple(found)
