"""Tasks of an outbox, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from palate.errors import OptionError
from palate.records import rate
from palate.store.open_store import open_store
from palate.store.outbox import Outbox
from palate.store.sql_log import SqlLog
from palate.store.sqlite_log import LabelLog
from tests.store.conftest import Clock


def labels(log: SqlLog, *items: str, user: str = "ann") -> list[int]:
    return [record.seq for record in log.append([rate(user, item, 4.0, key=item) for item in items])]


def taken(outbox: Outbox, **options: float) -> list[tuple[int, int]]:
    return [(task.seq, task.tries) for task in outbox.take(**options)]  # type: ignore[arg-type]


def test_each_row_that_is_kept_is_a_task_once(log: SqlLog) -> None:
    labels(log, "before")
    outbox, again, other = Outbox(log, "webhook"), Outbox(log, "webhook"), Outbox(log, "payment")
    labels(log, "a", "b")
    labels(log, "b")  # a repeat, which keeps nothing
    log.retract("a", retraction_key="c")
    tasks = outbox.take(2)
    assert [(task.seq, task.record.content.key, task.tries, task.fault) for task in tasks] == [
        (2, "a", 1, ""),
        (3, "b", 1, ""),
    ]
    assert taken(again) == [(4, 1)] and taken(outbox) == []
    assert taken(other) == [(2, 1), (3, 1), (4, 1)]
    outbox.done([2, 3, 4])
    assert taken(other, lease_seconds=1.0) == [] and outbox.set_aside() == []


def test_a_task_that_is_not_done_comes_again_and_is_set_aside_in_the_end(log: SqlLog, clock: Clock) -> None:
    outbox = Outbox(log, "webhook")
    labels(log, "a", "b")
    assert taken(outbox, lease_seconds=10.0) == [(1, 1), (2, 1)]
    outbox.done([2])
    clock.now += 9.0
    assert taken(outbox) == []
    clock.now += 1.0
    assert taken(outbox) == [(1, 2)]  # whoever had it did not come back
    outbox.failed(1, "the other side said\nno", again_in_seconds=5.0)
    assert taken(outbox) == []
    clock.now += 5.0
    assert taken(outbox) == [(1, 3)] and outbox.set_aside() == []
    outbox.failed(1, "no again")
    (task,) = outbox.set_aside()
    assert (task.seq, task.tries, task.fault, task.record.content.key) == (1, 3, "no again", "a")
    labels(log, "c")
    clock.now += 1e6
    assert taken(outbox) == [(3, 1)]  # those after it go on
    outbox.done([1])
    assert outbox.set_aside() == []


def test_of_an_erased_row_there_is_nothing_to_do(log: SqlLog) -> None:
    outbox = Outbox(log, "webhook")
    labels(log, "a", user="bob")
    labels(log, "b")
    log.erase("bob")
    assert next(task.record.content.key for task in outbox.take()) == "b"
    assert log.verify().is_whole


@pytest.mark.parametrize("bad", [{"at_most": 0}, {"at_most": 10_000}, {"lease_seconds": 0.0}])
def test_what_is_out_of_range_is_refused(tmp_path: Path, bad: dict[str, float]) -> None:
    with LabelLog.open(tmp_path / "labels.sqlite") as log:
        outbox = Outbox(log, "webhook")
        with pytest.raises(OptionError):
            outbox.take(**bad)  # type: ignore[arg-type]
        with pytest.raises(OptionError):
            outbox.failed(1, "")


def test_a_process_killed_after_the_commit_leaves_the_task(tmp_path: Path) -> None:
    code = """
import os, sys
from palate.records import rate
from palate.store.open_store import open_store
from palate.store.outbox import Outbox
log = open_store(sys.argv[1])
Outbox(log, "webhook")
log.append([rate("ann", "film", 4.0, key="k")])
os.kill(os.getpid(), 9)
"""
    path = tmp_path / "labels.sqlite"
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", code, str(path)], env=environment, timeout=120).returncode == -9
    with open_store(path) as log:
        assert [task.record.content.key for task in Outbox(log, "webhook").take()] == ["k"]
