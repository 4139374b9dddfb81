"""A model folder and its log as they are now: read, caught up with, replaced."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import RLock, Thread
from typing import NamedTuple

from palate.datasets.convert import write_folder
from palate.datasets.tables import Dataset
from palate.datasets.views import added_items
from palate.encoders.protocol import Encoder
from palate.errors import OptionError, PalateError, StoreError
from palate.learner import Learner
from palate.loop import checkpoint
from palate.loop.beliefs import save_beliefs
from palate.loop.checkpoint import TAIL, Checkpoint
from palate.loop.past import Past
from palate.model.model import Model
from palate.recommender import versions
from palate.recommender.fitting import DATA
from palate.records import Content, Erasure, Record
from palate.store.lock import exclusive
from palate.store.model_folder.manifest import CONFIG
from palate.store.protocol import LabelStore

REPLACING = "replacing"  # in the folder: held by the process that puts another model in the place of the one there
REPLACE_SECONDS = 60.0  # that another process may take for it
CLOSE_SECONDS = 3.0  # that a close waits for beliefs that are being kept
KEEP_EVERY = 10_000  # rows of the log after which the items' beliefs are kept


class Snapshot(NamedTuple):
    """A learner, the last row of the log that it has seen, and the version of its model: read together."""

    learner: Learner
    seq: int
    version: str


class Live:
    """What a recommender serves from. Safe to share between threads.

    Attributes:
        place: Where the log is; None: in the folder.
        written_seq: Last row that was appended here.
        turn: Held while rows of the log are read, for moments.
        changing: Held while the model is changed, which may take long; whoever holds both took this one first.
    """

    def __init__(self, folder: Path, log: LabelStore, found: Checkpoint, place: str | Path | None = None) -> None:
        self.folder, self.log, self.checkpoint = folder, log, found
        self.place = None if place is None else str(place)
        self.encoders = found.memory.fitted.given_encoders
        self.turn, self.changing = RLock(), RLock()
        self.is_closed = False
        self.written_seq = 0
        self._stamp = stamp_of(folder)
        self._kept_seq = found.started_seq  # up to which the items' beliefs are kept
        self._told = 0  # rows in memory that the log holds
        self._keeping: Thread | None = None
        self._version: tuple[tuple[int, int], str] | None = None  # of the model of this stamp

    def now(self) -> Learner:
        """The learner with all that was told up to now, by whomever."""
        with self.turn:
            self.catch_up()
            self._keep_beliefs()
            return self.learner

    def snapshot(self) -> Snapshot:
        """:meth:`now`, with what it is as of."""
        with self.turn:
            learner = self.now()
            while self._version is None or self._version[0] != self._stamp:
                found = versions.versions_of(self.folder)[0]
                if stamp_of(self.folder) == self._stamp:  # else another process has changed the model meanwhile
                    self._version = self._stamp, found.id
                else:
                    learner = self.now()
            return Snapshot(learner, self.checkpoint.last_seq, self._version[1])

    def stamp(self) -> tuple[tuple[int, int], int]:
        """Of the model in the folder, and of the log: changes with either."""
        return stamp_of(self.folder), self.log.last_seq

    @property
    def learner(self) -> Learner:
        """The learner as it was last."""
        return Learner(self.checkpoint.memory, self.checkpoint.seed)

    def model(self) -> Model:
        """The model as the fit left it: what can be told. Rows of the log are not read, so tells need not wait.

        While another thread reads or changes the model it is the one before: tells do not wait for that either.
        """
        self._check_open()
        if stamp_of(self.folder) != self._stamp and self.turn.acquire(blocking=False):
            try:
                self.reload()
            finally:
                self.turn.release()
        return self.checkpoint.memory.fitted

    def append(self, contents: Sequence[Content]) -> list[Record]:
        """Keep rows in the log. Threads that do so at the same time do not wait for each other."""
        rows = self.log.append(contents)
        self.written_seq = max([self.written_seq, *(row.seq for row in rows)])
        return rows

    def retract(self, key: str) -> Record:
        """Take a row of the log back."""
        row = self.log.retract(key)
        self.written_seq = max(self.written_seq, row.seq)
        return row

    def catch_up(self) -> None:
        """What other recommenders on the folder did since: a new model is read anew, new rows are replayed."""
        self._check_open()
        if stamp_of(self.folder) != self._stamp:
            self.reload()
        now = self.checkpoint
        rows = list(islice(self.log.records(now.last_seq), TAIL))
        if any(isinstance(row.content, Erasure) for row in rows) or (
            len(rows) == TAIL and self.log.erasures(now.last_seq)
        ):
            self.reload()
        elif len(rows) == TAIL:
            last = self.log.last_seq
            past = Past(now.memory.fitted, self.log, last, now.fitted_seq)
            memory = now.memory.unread_in(past, now.last_seq).calibrated(checkpoint.calibrations_in(self.log, last))
            self.checkpoint = replace(now, memory=memory, last_seq=last)
        elif rows:
            memory, _ = checkpoint.replayed(now.memory, rows, now.fitted_seq)
            self._told += len(rows)
            if self._told >= TAIL:
                memory = memory.left_in(Past(memory.fitted, self.log, rows[-1].seq, now.fitted_seq))
                self._told = 0
            self.checkpoint = replace(now, memory=memory, last_seq=rows[-1].seq)

    def reload(self) -> None:
        """Read model and log anew."""
        with self.turn:
            self._stamp = stamp_of(self.folder)
            self.checkpoint = checkpoint.resume(self.folder, self.log, self.encoders.values(), left_out=True)
            self._kept_seq, self._told = self.checkpoint.started_seq, 0

    def replace(self, by: Checkpoint, data: Dataset | None = None, *, keep: bool = False) -> None:
        """Another model in the place of this one; what was told meanwhile follows with the next call.

        Args:
            data: In the place of what the folder keeps.
            keep: Whether the model before stays as a version.
        Raises:
            StoreError: If another process changed the model meanwhile.
        """
        with self.turn, self.alone():
            if stamp_of(self.folder) != self._stamp:
                raise StoreError(f"another process changed the model in {self.folder} meanwhile. Call again.")
            if data is not None:
                write_folder(data, self.folder / DATA)
            if keep:
                versions.keep_live(self.folder)
            self.checkpoint = checkpoint.save_model(self.folder, by)
            self._stamp, self._kept_seq = stamp_of(self.folder), 0
            if keep:
                self.reload()

    def alone(self) -> AbstractContextManager[None]:
        """No other process changes the model meanwhile. Whoever waits for it holds ``changing``."""
        return exclusive(self.folder / REPLACING, wait_seconds=REPLACE_SECONDS)

    def data(self) -> Dataset:
        """What a refit starts from: the data that the folder keeps, with the items that came since.

        Raises:
            OptionError: If it keeps none.
        """
        if not (self.folder / DATA).exists():
            where = f"{self.folder} keeps no data to refit it from."
            raise OptionError(f"{where} Fit its data into it: palate fit PATH --out {self.folder}, or refit(data).")
        kept = added_items(Dataset.load(self.folder / DATA), self.checkpoint.memory.fitted.catalogue.table)
        return replace(kept, folder=self.checkpoint.media)

    def close(self) -> None:
        if self._keeping is not None:
            self._keeping.join(CLOSE_SECONDS)  # it makes a cache, which the next start can do without
        with self.turn:
            self.is_closed = True
            self.log.close()

    def keep_beliefs(self, now: Checkpoint) -> None:
        """Keep what the items have learnt, so that a start need not read all of the log."""
        try:
            save_beliefs(self.folder, now.memory.learnt, model=now.digest, store=self.log, seq=now.last_seq)
        except PalateError as error:  # a cache that cannot be written is no reason not to answer
            if self.is_closed:
                return
            warnings.warn(str(error), stacklevel=2)

    def _keep_beliefs(self) -> None:
        now = self.checkpoint
        if now.last_seq - self._kept_seq < KEEP_EVERY or (self._keeping is not None and self._keeping.is_alive()):
            return
        self._kept_seq = now.last_seq
        self._keeping = Thread(target=self.keep_beliefs, args=(now,), daemon=True, name="palate-beliefs")
        self._keeping.start()

    def _check_open(self) -> None:
        if self.is_closed:
            raise OptionError(f"the recommender on {self.folder} is closed. Open it again with Recommender.open.")


def opened(folder: Path, store: str | Path | None, encoders: Iterable[Encoder]) -> Live:
    """A folder that holds a model, with its log (:meth:`palate.Recommender.open`)."""
    log = checkpoint.open_log(folder, store)
    try:
        found = checkpoint.resume(folder, log, encoders)
        if found.is_old:
            checkpoint.move_old(folder, log)
            found = checkpoint.save_model(folder, found)
        return Live(folder, log, found, store)
    except BaseException:
        log.close()
        raise


def stamp_of(folder: Path) -> tuple[int, int]:
    """Changes with every save."""
    try:
        found = os.stat(folder / CONFIG)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"the model in {folder} is gone ({why}). Restore the folder, then open it again.") from None
    return found.st_mtime_ns, found.st_ino
