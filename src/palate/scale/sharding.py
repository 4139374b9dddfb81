"""Data of any size as shards: one pass over the source, then one shard after the other sorted in memory.

Rows go first to the part of their user, by hash (:mod:`palate.scale.spill`); a shard is one part or several. Memory
holds some pieces of the source, the table of items, and one shard: no list of all users or of all events. A run that
was killed goes on from its last checkpoint; the manifest, written last, makes the folder one of shards.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from palate.arrays import Progress
from palate.datasets.files.boundary import boundary
from palate.datasets.files.names import Mapped
from palate.datasets.files.rejects import Reject, Rejects
from palate.datasets.tables import Dataset
from palate.datasets.views import item_table
from palate.entities import ITEM
from palate.errors import DataError, InputError, OptionError
from palate.errors.checks import count, flag, path_of
from palate.model.strengths import learn_strengths
from palate.posteriors.likelihoods import Implicit
from palate.scale import manifest
from palate.scale.compose import dealt, items_of_block, shards_for, with_sums, write_items
from palate.scale.intake import COUNTS, Intake
from palate.scale.manifest import PROGRESS, File, Kind, Manifest, Shard, is_shard_file
from palate.scale.shard_files import Writer
from palate.scale.shards import Shards
from palate.scale.sort_shard import Weighing, answers_in, coded, write_shard
from palate.scale.source import Source
from palate.scale.spill import Spill, Unwritable, writing
from palate.store.lock import exclusive
from palate.store.model_folder import files, strict

SPILL, ITEMS, LOCK = "_events", "items.parquet", ".lock"
MOST_SHARDS = 1 << 14
RESUME = "give the same with --resume"
LEARNT_FROM = 1_000_000  # events from which their strengths are learnt: those of the first users by hash
TOTALS = "item-totals{}.parquet"


@dataclass(frozen=True, slots=True)
class Sharded:
    """What :func:`shard` leaves.

    Attributes:
        shards: Open for reading.
        rejects: Rows that could not be read.
        notes: How files were taken that are not written as documented.
    """

    shards: Shards
    rejects: Rejects
    notes: tuple[str, ...] = ()


def shard(
    paths: object,
    out: object,
    *,
    items: object = None,
    shards: int | None = None,
    block_items: int | None = None,
    columns: Mapped | None = None,
    strict: bool = False,
    scale: Sequence[float] | str | None = None,
    events: Mapping[str, str] | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Sharded:
    """Write the answers of a data set as shards: those that :meth:`palate.Learner.fit` would learn from.

    Args:
        paths: A data folder or file, or several that are read one after the other.
        out: A folder that is not there or is empty.
        items: A table of items beside those of the data: a file, or a folder that holds one.
        shards: A power of two; None: so that each has two million events at most.
        block_items: Most items of a block; None: 16,384, of fewer than 65,536 items a quarter of them.
        columns, strict, scale, events: As of :meth:`palate.Dataset.load`.
        resume: Go on where a run with the same arguments was stopped.
        seed: Of the draws by which the strengths of events are learnt.
    Raises:
        DataError: If the data cannot be read, holds no answer, or the folder cannot be written.
        OptionError: If an argument is out of its range, or the folder holds something else.
    """
    source = Source.of(paths, items, columns, strict, scale, events)
    folder = path_of(out, "the folder of shards")
    options = {
        "shards": None if shards is None else _power_of_two(shards),
        "block_items": None if block_items is None else count(block_items, "block_items", least=1),
        "seed": count(seed, "seed"),
    }
    with boundary("the data"):
        described = source.described() | options
    with writing(folder, RESUME):
        if _is_done(folder, described, flag(resume, "resume")):
            _remove_marks(folder)
            return Sharded(Shards.open(folder), Rejects())
        (folder / SPILL).mkdir(parents=True, exist_ok=True)
        with locked(folder):
            run = _Run(folder, source, described, progress or say_nothing)
            try:
                return run.all()
            except Unwritable:
                raise
            except InputError:
                if run.state is None:
                    run.remove()
                raise


def _power_of_two(shards: object) -> int:
    found = count(shards, "shards", least=1, most=MOST_SHARDS)
    if found & (found - 1):
        raise OptionError(f"shards is {found}. Give a power of two, such as {1 << found.bit_length()}.")
    return found


def say_nothing(_what: str, _done: int, _of: int, /) -> None:
    """For who does not ask for progress."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else writes shards there meanwhile."""

    def held(by: str) -> str:
        return f"process {by} writes shards in {folder}. Let it finish or end it, then try again."

    with exclusive(folder / LOCK, wait_seconds=0.0, held=held):
        yield


def remove_others(folder: Path, names: Container[str]) -> None:
    """Remove files of shards but those of these names."""
    for inside in (folder, folder / "ids"):
        for path in inside.iterdir() if inside.is_dir() else ():
            name = str(path.relative_to(folder))
            if is_shard_file(name.removesuffix(files.TEMPORARY)) and name not in names:
                path.unlink()


def _is_done(folder: Path, described: dict[str, Any], resume: bool) -> bool:
    """Whether the folder holds what would be written.

    Raises:
        OptionError: If it holds something that is not to be written over.
    """
    there = {path.name for path in folder.iterdir()} - {LOCK, "lost+found"} if folder.is_dir() else set()
    if not there:
        return False
    if not resume:
        unfinished = PROGRESS in there and manifest.NAME not in there
        way = "Give the same with --resume to finish them" if unfinished else "Give a folder that is not there"
        raise OptionError(f"{folder} is not empty. {way}.")
    if manifest.NAME in there:
        if manifest.read(folder).source == described:
            return True
        raise OptionError(f"{folder} holds finished shards of other data or options. Give a folder that is not there.")
    if PROGRESS not in there and there != {SPILL}:
        raise OptionError(f"{folder} holds no shards that were begun. Give a folder that is not there.")
    return False


def _remove_marks(folder: Path) -> None:
    """Remove what only a run that goes on needs."""
    (folder / PROGRESS).unlink(missing_ok=True)
    shutil.rmtree(folder / SPILL, ignore_errors=True)


class _Run:
    """One making of shards, from its last checkpoint on."""

    def __init__(self, folder: Path, source: Source, described: dict[str, Any], progress: Progress) -> None:
        self.folder, self.source, self.described, self.report = folder, source, described, progress
        self.spill_folder = folder / SPILL
        self.rejects = Rejects(strict=source.strict)
        self.state = self._found_state()

    def _found_state(self) -> dict[str, Any] | None:
        if not (self.folder / PROGRESS).is_file():
            shutil.rmtree(self.spill_folder)  # of a run that came to no checkpoint
            self.spill_folder.mkdir()
            return None
        try:
            state: dict[str, Any] = strict.loads((self.folder / PROGRESS).read_bytes())
            begun = state["source"]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{self.folder / PROGRESS} is damaged. Remove {self.folder} and start again.") from None
        if begun != self.described or state["written"] != self.source.written():
            raise OptionError(
                f"{self.folder} was begun with other data or other options. Give those, or remove it and start again."
            )
        return state

    def all(self) -> Sharded:
        intake, items, notes = self._read()
        weighing = self._weighing(intake)
        found = self._sort(intake, items, weighing)
        found.write(self.folder)
        _remove_marks(self.folder)
        return Sharded(Shards.open(self.folder), self.rejects, notes)

    def remove(self) -> None:
        """Remove all that was made."""
        _remove_marks(self.folder)
        remove_others(self.folder, ())
        (self.folder / LOCK).unlink(missing_ok=True)
        for folder in (self.folder / "ids", self.folder):
            with suppress(OSError):  # it is not there, or something else is in it
                folder.rmdir()

    # ---- the pass over the source

    def _read(self) -> tuple[Intake, pl.DataFrame, tuple[str, ...]]:
        intake = self._intake()
        if self.state is not None and self.state["read"]:
            items = pl.read_parquet(self.spill_folder / ITEMS)
            return intake, items, tuple(self.state["notes"])
        intake.saved, intake.again = lambda: self._save(intake), RESUME
        items, notes = self.source.read(intake, self.rejects)
        intake.flush()
        if not intake.valued:
            values = "rating" if intake.has_ratings else "event"
            raise DataError(f"the data has no {values} to fit: 0 of {intake.rows:,} rows. Give at least one.")
        for one in items[ITEM]:
            intake.codes.setdefault(one, len(intake.codes))
        intake.extend()
        items.write_parquet(self.spill_folder / ITEMS)
        self._save(intake, notes=notes, read=True)
        return intake, items, notes

    def _intake(self) -> Intake:
        if self.state is None:
            most = self.described["shards"] or min(1024, shards_for(self.source.most_events()))
            return Intake(Spill(self.spill_folder, [0] * most), self.source.vocabulary, self.source.scale)
        self.rejects.total = self.state["rejects"]
        self.rejects.rows = [Reject(*one) for one in self.state["rejected"]]
        return Intake.restored(self.spill_folder, self.state["intake"], self.source.vocabulary, self.source.scale)

    def _save(self, intake: Intake, notes: Sequence[str] = (), read: bool = False) -> None:
        state = {
            "source": self.described,
            "written": self.source.written(),
            "intake": intake.state(),
            "rejects": self.rejects.total,
            "rejected": [list(one) for one in self.rejects.rows],
            "notes": list(notes),
            "read": read,
        }
        files.write(self.folder / PROGRESS, strict.dumps(state))
        for old in self.spill_folder.glob(COUNTS.format("*")):
            if old.name != COUNTS.format(intake.pieces):
                old.unlink()
        self.report("reading", intake.rows, 0)

    # ---- what values are

    def _weighing(self, intake: Intake) -> Weighing:
        plain = Weighing(intake.has_ratings, tuple(intake.words), self.source.vocabulary)
        if intake.has_ratings:
            return plain
        tables: list[pa.Table] = []
        for part in range(len(intake.spill.lengths)):
            if sum(table.num_rows for table in tables) < LEARNT_FROM:
                tables.append(intake.spill.read([part]))
        some = coded(pa.concat_tables(tables), pl.Series(ITEM, list(intake.codes)), plain)
        learnt = learn_strengths(some, self.source.vocabulary, Implicit(), seed=self.described["seed"])
        return plain._replace(vocabulary=learnt)

    # ---- sorting

    def _sort(self, intake: Intake, items: pl.DataFrame, weighing: Weighing) -> Manifest:
        ids = pl.Series(ITEM, list(intake.codes), dtype=pl.String)
        block_items = self.described["block_items"] or items_of_block(len(ids))
        order, blocks = dealt(intake.counts[: len(ids)], ids, block_items)
        codes = np.empty(len(ids), dtype=np.int32)
        codes[order] = np.arange(len(ids), dtype=np.int32)
        (self.folder / "ids").mkdir(exist_ok=True)
        writer = Writer(self.folder, f"{intake.of:016x}", {})
        n_parts = len(intake.spill.lengths)
        n_shards = self.described["shards"] or min(n_parts, shards_for(intake.valued))
        done, duplicates = [], 0
        for number in range(n_shards):
            self.report("sorting", number, n_shards)
            one, gave_way = self._one(number, range(number, n_parts, n_shards), intake, codes, blocks, weighing, writer)
            done.append(one)
            duplicates += gave_way
        self.report("sorting", n_shards, n_shards)
        names = tuple(f"ids/items-{block:04d}.parquet" for block in range(len(blocks)))
        data = Dataset(pl.DataFrame(), items, pl.DataFrame())
        write_items(writer, item_table(data, ids.gather(order).to_list()), blocks, names)
        scale = self.source.scale if intake.has_ratings else (-1.0, 1.0)
        found = Manifest(
            of=writer.of,
            generation=0,
            kind=_kind(intake),
            low=scale[0] if scale else 0.0,
            high=scale[1] if scale else 0.0,
            is_given=scale is not None,
            levels=(),
            events=0,
            duplicates=duplicates,
            total=0.0,
            total_squares=0.0,
            block_items=block_items,
            blocks=blocks,
            shards=tuple(done),
            items=names,
            totals=TOTALS.format(""),
            vocabulary=weighing.vocabulary.as_dict(),
            source=self.described,
            files=writer.written,
        )
        return with_sums(found, writer)

    def _one(
        self,
        number: int,
        parts: Sequence[int],
        intake: Intake,
        codes: NDArray[np.int32],
        blocks: tuple[tuple[int, int], ...],
        weighing: Weighing,
        writer: Writer,
    ) -> tuple[Shard, int]:
        """Write one shard, unless it was written before the run was stopped."""
        mark = self.spill_folder / f"done-{number:04d}.json"
        if mark.is_file():
            said = json.loads(mark.read_bytes())
            writer.written.update({name: File(**one) for name, one in said["files"].items()})
            return Shard(**said["shard"]), said["duplicates"]
        ids, rows, duplicates = answers_in(intake.spill.read(parts), codes, weighing)
        own = writer._replace(written={})
        one = write_shard(own, number, ids, rows, blocks)
        writer.written.update(own.written)
        written = {name: asdict(file) for name, file in own.written.items()}
        said = {"shard": asdict(one), "duplicates": duplicates, "files": written}
        files.write(mark, strict.dumps(said))
        return one, duplicates


def _kind(intake: Intake) -> Kind:
    if not intake.has_ratings:
        return "events"
    return "likes" if intake.levels == {0.0, 1.0} else "ratings"
