"""Labels a second that the log keeps on the disk: one by one by many threads, in batches, and by a bare synced loop."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import main
from palate.entities import Answer, AnswerKind
from palate.store.sqlite_log import LabelLog

THREADS, EACH = 32, 60  # labels one by one
BATCH, BATCHES = 100, 60
ROWS, READ = 1_000_000, 100_000  # of the log that is opened again
BARE = 200


def run(seeds: int) -> dict[str, Any]:
    """Rates in labels a second, mean and the 95 % interval over repeats; times of one append; opening a large log."""
    bare, single, batches, waits = [], [], [], []
    for _ in range(seeds):
        folder = Path(tempfile.mkdtemp(prefix="palate-log-"))
        try:
            bare.append(_bare(folder / "bare.sqlite"))
            with LabelLog.open(folder / "labels.sqlite") as log:
                rate, taken = _one_by_one(log)
                single.append(rate)
                waits += taken
                batches.append(_in_batches(log))
        finally:
            shutil.rmtree(folder)
    return {
        "one_by_one": {"threads": THREADS, "labels_per_second": _interval(single)},
        "append_milliseconds": {"median": 1e3 * float(np.median(waits)), "p99": 1e3 * float(np.quantile(waits, 0.99))},
        "batches": {"labels_in_each": BATCH, "labels_per_second": _interval(batches)},
        "bare_commits_per_second": _interval(bare),
        "large": _large(),
    }


def _answer(number: int) -> Answer:
    return Answer(f"u{number % 997}", f"i{number % 1009}", AnswerKind.RATING, float(number % 5))


def _one_by_one(log: LabelLog) -> tuple[float, list[float]]:
    taken: list[list[float]] = [[] for _ in range(THREADS)]

    def work(thread: int) -> None:
        for number in range(EACH):
            begun = time.perf_counter()
            log.append([_answer(thread * EACH + number)])
            taken[thread].append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THREADS * EACH / (time.perf_counter() - begun), [one for each in taken for one in each]


def _in_batches(log: LabelLog) -> float:
    begun = time.perf_counter()
    for batch in range(BATCHES):
        log.append([_answer(batch * BATCH + number) for number in range(BATCH)])
    return BATCH * BATCHES / (time.perf_counter() - begun)


def _bare(path: Path) -> float:
    """Commits a second of one row each on a table without a key, a check or an index: what the disk allows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (what TEXT)")
        begun = time.perf_counter()
        for _ in range(BARE):
            connection.execute("INSERT INTO rows VALUES (?)", ("x" * 300,))
        return BARE / (time.perf_counter() - begun)


def _large() -> dict[str, Any]:
    """A log of a million labels: seconds to open it and to keep one more, to read rows, to read a user's 200."""
    folder = Path(tempfile.mkdtemp(prefix="palate-log-"))
    try:
        with LabelLog.open(folder / "labels.sqlite") as log:
            begun = time.perf_counter()
            for first in range(0, ROWS, 10_000):
                log.append([_answer(first + number) for number in range(10_000)])
            filled = time.perf_counter() - begun
        begun = time.perf_counter()
        with LabelLog.open(folder / "labels.sqlite") as log:
            log.append([_answer(ROWS)])
            opened = time.perf_counter() - begun
            log.append([Answer("ann", f"i{number}", AnswerKind.RATING, 4.0) for number in range(200)])
            begun = time.perf_counter()
            user = [_timed(lambda: list(log.records(user_id="ann"))) for _ in range(20)]
            rows = _timed(lambda: sum(1 for _, _ in zip(log.records(), range(READ), strict=False)))
            verified = _timed(log.verify)
        return {
            "rows": ROWS,
            "append_per_second": ROWS / filled,
            "open_and_append_seconds": opened,
            "read_user_of_200_milliseconds": 1e3 * float(np.median(user)),
            "read_per_second": READ / rows,
            "verify_seconds": verified,
            "bytes_per_row": (folder / "labels.sqlite").stat().st_size / ROWS,
        }
    finally:
        shutil.rmtree(folder)


def _timed(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _interval(values: list[float]) -> dict[str, float]:
    half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "low": float(np.mean(values)) - half, "high": float(np.mean(values)) + half}


if __name__ == "__main__":
    main("log_speed", run, seeds=5)
