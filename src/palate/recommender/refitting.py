"""A refit in a process of its own: labels are taken and lists made meanwhile, and a model that is worse never serves.

Some of the labels that came since the last fit are held back from the new one. Where it does worse on them than the
model that serves, both with everything else that was told, it is not promoted. Held back or not, every label counts in
the end: those follow the new fit as if they had come after it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any

from palate.datasets.tables import Dataset
from palate.datasets.views import added_items
from palate.entities import Answer
from palate.errors import ModelFolderError, OptionError, PalateError, StoreBusy
from palate.errors.checks import count, positive, share
from palate.loop import checkpoint
from palate.loop.checkpoint import Checkpoint
from palate.loop.drift import Drift, drift
from palate.loop.memory import Memory
from palate.loop.past import Past
from palate.model.counted import is_of_taste, weight_in
from palate.random import derive_rng
from palate.recommender import versions
from palate.recommender.fitting import DATA, fitted, given_again, obeying
from palate.recommender.live import Live
from palate.recommender.privacy import forget_owed
from palate.recommender.versions import Health
from palate.records import Record
from palate.store.lock import exclusive
from palate.store.protocol import active

CANDIDATE = ".candidate"  # in the folder of versions
REFITTING = "refitting"  # in the model folder: held by the process that fits it anew
MOST_HELD_BACK, LEAST_HELD_BACK = 2_000, 20
Process = subprocess.Popen[str]


def drift_of(live: Live, last: int, confidence: float) -> Drift:
    """Whether what people said in the last rows is told worse than before (:meth:`palate.Recommender.drift`)."""
    memory, end = live.now().memory, live.checkpoint.last_seq
    rows = active(live.log.records(max(0, end - last)))
    return drift(memory, [one for row in rows if is_of_taste(one := row.timed)], confidence=confidence)


def refit(live: Live, data: Dataset | None, given: Mapping[str, Any]) -> None:
    """Fit here, and let that model serve (:meth:`palate.Recommender.refit`)."""
    with live.changing:
        memory, before = live.now().memory, live.checkpoint
        rows = list(live.log.records())  # others may tell meanwhile
        taken = obeying(live.data() if data is None else data, rows)
        chosen = {**(before.options or {}), **live.encoders, "seed": before.seed, **given, "data": taken}
        chosen = {name: given_again(value) for name, value in chosen.items()}
        found = fitted(live.folder, rows, withdrawn=memory.fitted.withdrawn, log=live.log, **chosen)
        live.replace(found, None if data is None else taken, keep=True)
        forget_owed(live)


def refit_apart(
    live: Live, share: float, tolerance: float, started: Callable[[Process], None] = lambda process: None
) -> Health:
    """Fit in another process, and let that model serve if it is no worse (:meth:`palate.Recommender.refit_apart`).

    Args:
        started: Called with the process, which may be ended.
    """
    if live.encoders:
        names = ", ".join(sorted(one.name for one in live.encoders.values()))
        raise OptionError(f"the model was fitted with the encoder object {names}, which stays here. Call refit().")
    with _only_one(live.folder):
        return _refit_apart(live, share, tolerance, started)


def _refit_apart(live: Live, share: float, tolerance: float, started: Callable[[Process], None]) -> Health:
    out = live.folder / versions.VERSIONS / CANDIDATE
    before = live.now().memory
    held_back = _held_back(live, share)
    try:
        _fit_elsewhere(live, out, [label.key for label in held_back], started)
        found = checkpoint.read_model(out)
        versions.check_alike(found.memory.fitted, before.fitted)
        taken_back = [Record(0, label, 0.0, retracts=label.key) for label in held_back]
        past = Past(found.memory.fitted, live.log, found.fitted_seq, found.fitted_seq)
        memory = found.memory.calibrated(before.calibrations).unread_in(past, 0).retracted(taken_back)
        health = versions.check_health(memory, before.retracted(taken_back), held_back, tolerance=tolerance)
        if not health.faults:
            with live.changing:
                live.replace(replace(found, memory=Memory(found.memory.fitted)), keep=True)
                forget_owed(live)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return health


class _Elsewhere(StoreBusy):
    """Another process refits the same model."""


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Raises _Elsewhere if another process refits the model of the folder."""

    def said(holder: str) -> str:
        return f"process {holder} refits the model of {folder} already. Let it finish, or end it."

    with ExitStack() as held:
        try:
            held.enter_context(exclusive(folder / REFITTING, wait_seconds=0.0, held=said))
        except StoreBusy as error:
            raise _Elsewhere(str(error)) from None
        yield


def _held_back(live: Live, share: float) -> list[Answer]:
    """Some of the ratings that came since the last fit; none where they are few."""
    now = live.checkpoint
    rows = [row for row in active(live.log.records(now.fitted_seq)) if row.seq <= now.last_seq]
    labels = [row.content for row in rows if is_of_taste(row.content) and row.content.value is not None]
    labels = [label for label in labels if weight_in(label, now.memory.weights) == 1.0]
    n = min(int(share * len(labels)), MOST_HELD_BACK)
    if n < LEAST_HELD_BACK:
        return []
    drawn = derive_rng(now.seed, "held back", str(now.last_seq)).permutation(len(labels))[:n]
    return [labels[place] for place in sorted(drawn.tolist())]


def _fit_elsewhere(live: Live, out: Path, held_back: Sequence[str], started: Callable[[Process], None]) -> None:
    given = {"folder": str(live.folder), "place": live.place, "out": str(out), "held_back": list(held_back)}
    command = [sys.executable, "-m", "palate.recommender.refitting"]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        started(process)
        errors = process.communicate(json.dumps(given))[1]
    if process.returncode:
        last = errors.strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
        said = last[0] if process.returncode > 0 else f"it was ended by signal {-process.returncode}"
        raise ModelFolderError(f"the refit failed: {said[:300]}. The model that serves is as it was; call again.")


def fit_here(folder: Path, place: str | None, out: Path, held_back: Sequence[str]) -> None:
    """What the other process does: read, fit, write a candidate."""
    before = checkpoint.read_model(folder)
    log = checkpoint.open_log(folder, place, read_only=True)
    try:
        rows, model = list(log.records()), before.memory.fitted
        data = obeying(Dataset.load(folder / DATA), rows)
        data = replace(added_items(data, model.catalogue.table), folder=before.media)
        options = {name: given_again(value) for name, value in (before.options or {}).items()}
        held: dict[str, Any] = {"withdrawn": model.withdrawn, "held_back": frozenset(held_back), "log": log}
        found: Checkpoint = fitted(folder, rows, data, before.seed, None, **held, **options)
    finally:
        log.close()
    shutil.rmtree(out, ignore_errors=True)
    checkpoint.save_model(out, found)


class Refits:
    """Refits one after the other, in the background, until :meth:`stop`; none while another process refits the model.

    Attributes:
        done: What came of each, the newest last: its health, or the error.
    """

    def __init__(self, live: Live, every_seconds: float | None, after_labels: int | None, hold_back: float) -> None:
        if every_seconds is None and after_labels is None:
            raise OptionError("every_seconds and after_labels are None: no refit would ever start. Give one of them.")
        self._every = None if every_seconds is None else positive(every_seconds, "every_seconds")
        self._after = None if after_labels is None else count(after_labels, "after_labels", least=1)
        self._live, self._share = live, share(hold_back, "hold_back")
        self.done: list[Health | PalateError] = []
        self._stop, self._give_up, self._soon = Signal(), Signal(), Signal()
        self._process: Process | None = None
        self._thread = Thread(target=self._run, daemon=True, name="palate-refits")
        self._thread.start()

    def soon(self) -> None:
        """Refit once, although it is not due."""
        self._soon.set()

    def stop(self, *, now: bool = False) -> None:
        """Let the one that runs end, and start no other.

        Args:
            now: Whether the fit that runs is given up. The model that serves is as it was.
        """
        self._stop.set()
        if now:
            self._give_up.set()
            if self._process is not None:
                self._process.terminate()
        self._thread.join()

    def _started(self, process: Process) -> None:
        self._process = process
        if self._give_up.is_set():  # it was asked for while the process was being started
            process.terminate()

    def _run(self) -> None:
        at, seq = time.monotonic(), self._live.checkpoint.fitted_seq
        while not self._stop.wait(min(1.0, (self._every or 1.0) / 4)):
            is_time = self._every is not None and time.monotonic() - at >= self._every
            try:
                self._live.model()  # one that another process has fitted counts as a refit
                seq = max(seq, self._live.checkpoint.fitted_seq)
                is_due = self._after is not None and self._live.log.last_seq - seq >= self._after
                if is_time or is_due or self._soon.is_set():
                    self._soon.clear()
                    at, seq = time.monotonic(), self._live.log.last_seq
                    self.done.append(refit_apart(self._live, self._share, versions.TOLERANCE, self._started))
            except _Elsewhere:
                continue
            except PalateError as error:
                if not self._stop.is_set():
                    self.done.append(error)


def _main() -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    try:
        fit_here(Path(given["folder"]), given["place"], Path(given["out"]), given["held_back"])
    except PalateError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
