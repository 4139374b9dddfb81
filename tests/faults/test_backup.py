"""Faults of backups: made while labels arrive, half made, damaged, older than an erasure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import palate
from palate import Recommender
from palate.datasets import planted_world
from palate.errors import ErasedUser, OlderLog, StoreError
from palate.records import Attribute, rate
from palate.store.backup import backup, restore
from palate.store.open_store import open_store
from palate.store.verify_log import verify_log

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}
LABELS_A_SECOND = 200
OLD = Path(__file__).resolve().parents[1] / "data" / "old-model"

BACKUP = """
import sys
from pathlib import Path
from palate.store import backup
if sys.argv[3]:  # ends in the midst, as if it had been killed there
    import os
    def killed(*_): os.kill(os.getpid(), 9)
    setattr(backup, sys.argv[3], killed)
backup.backup(sys.argv[1], Path(sys.argv[2]))
"""


class Writer(threading.Thread):
    """Tells labels at a steady rate until it is stopped."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._place, self._ended = place, threading.Event()

    def run(self) -> None:
        started, number = time.monotonic(), 0
        with open_store(self._place) as log:
            while not self._ended.is_set():
                log.append([rate(f"u{number % 50}", f"i{number}", 4.0, key=f"k{number}")])
                self.acknowledged.append(f"k{number}")
                number += 1
                time.sleep(max(0.0, started + number / LABELS_A_SECOND - time.monotonic()))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def contents(place: Path) -> list[object]:
    with open_store(place, read_only=True) as log:
        return list(log.records())


@pytest.mark.parametrize("backups", [5, pytest.param(20, marks=pytest.mark.long)])
def test_ST_06_backups_while_labels_arrive(tmp_path: Path, backups: int) -> None:
    live = tmp_path / "labels.sqlite"
    writer = Writer(live)
    writer.start()
    try:
        while len(writer.acknowledged) < 20:
            time.sleep(0.01)
        for number in range(backups):
            before = set(writer.acknowledged)
            made = backup(live, tmp_path / f"backup-{number}")
            after = len(writer.acknowledged)
            report = restore(tmp_path / f"backup-{number}", tmp_path / f"{number}" / "labels.sqlite")
            assert report.is_whole and report.rows == made.rows <= after + 1
            kept = contents(tmp_path / f"{number}" / "labels.sqlite")
            assert before <= {record.content.key for record in kept}  # type: ignore[attr-defined]
    finally:
        writer.stop()
    assert kept == contents(live)[: len(kept)]
    assert len(writer.acknowledged) == len(contents(live))


def labels(place: Path, n: int = 30) -> list[object]:
    with open_store(place) as log:
        log.append([rate("ann" if number % 3 else "bob", f"i{number}", 4.0, key=f"k{number}") for number in range(n)])
    return contents(place)


def test_ST_06_a_model_rebuilt_from_a_backup_is_the_same(tmp_path: Path) -> None:
    data = planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset
    with Recommender.create(tmp_path / "live", data, encoder="none") as live:
        live.tell([rate("ann", f"i{number:02}", number % 5 + 1) for number in range(1, 13)])
        live.undo("ann")
        backup(tmp_path / "live" / "labels.sqlite", tmp_path / "backup")
        live.refit()
        restore(tmp_path / "backup", tmp_path / "again" / "labels.sqlite")
        with Recommender.create(tmp_path / "again", data, encoder="none") as again:
            assert again.recommend("ann", 40) == live.recommend("ann", 40)
            assert again.last_seq == live.last_seq == 13


@pytest.mark.long
def test_ST_06_a_log_of_more_than_a_gibibyte(tmp_path: Path) -> None:
    """SQLite leaves out the page at one gibibyte, which copies by other means have taken for a page like any."""
    text, rows = "x" * 60_000, 18_500
    with open_store(tmp_path / "labels.sqlite") as log:
        for start in range(0, rows, 500):
            log.append([Attribute("ann", "note", text, f"k{number}") for number in range(start, start + 500)])
    assert (tmp_path / "labels.sqlite").stat().st_size > 1 << 30
    made = backup(tmp_path / "labels.sqlite", tmp_path / "backup")
    assert made.bytes > 1 << 30
    assert restore(tmp_path / "backup", tmp_path / "new.sqlite").rows == rows


def test_ST_06_a_log_of_an_older_version_is_not_begun_and_the_line_says_what_to_do(tmp_path: Path) -> None:
    folder = shutil.copytree(OLD, tmp_path / "model")
    with pytest.raises(OlderLog, match=rf"is a label log of version 2, .* copy its folder as it is: cp -a {folder} "):
        backup(folder / "labels.sqlite", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    with pytest.raises(OlderLog, match=rf"moves it to version 7: palate models {folder}\.$"):
        verify_log(folder / "labels.sqlite")


@pytest.mark.parametrize("step", ["_copy_file", "_made_one_file", "_digest", "asdict"])
def test_ST_06_a_backup_killed_midway_is_refused(tmp_path: Path, step: str) -> None:
    kept = labels(tmp_path / "labels.sqlite")
    command = [sys.executable, "-c", BACKUP, str(tmp_path / "labels.sqlite"), str(tmp_path / "half"), step]
    assert subprocess.run(command, env=ENVIRONMENT, timeout=120).returncode == -signal.SIGKILL
    with pytest.raises(StoreError, match=r"is no whole backup: backup.json is missing. Make it again"):
        restore(tmp_path / "half", tmp_path / "new.sqlite")
    assert not list(tmp_path.glob("new.sqlite*"))
    with pytest.raises(StoreError, match="is there already"):
        backup(tmp_path / "labels.sqlite", tmp_path / "half")
    backup(tmp_path / "labels.sqlite", tmp_path / "whole")
    restore(tmp_path / "whole", tmp_path / "new.sqlite")
    assert contents(tmp_path / "new.sqlite") == kept


def _cut(path: Path) -> None:
    os.truncate(path / "labels.sqlite", (path / "labels.sqlite").stat().st_size - 4096)


def _flip(path: Path) -> None:
    data = bytearray((path / "labels.sqlite").read_bytes())
    data[data.index(b"i17")] ^= 1
    (path / "labels.sqlite").write_bytes(data)


def _flip_and_sign(path: Path) -> None:
    """Somebody who knows of the manifest, and not of the chain."""
    import hashlib

    _flip(path)
    manifest = json.loads((path / "backup.json").read_text())
    manifest["sha256"] = hashlib.sha256((path / "labels.sqlite").read_bytes()).hexdigest()
    (path / "backup.json").write_text(json.dumps(manifest))


def _newer(path: Path) -> None:
    manifest = json.loads((path / "backup.json").read_text())
    (path / "backup.json").write_text(json.dumps({**manifest, "format": 2}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_cut, "is not the file of backup.json"),
        (_flip, "is not the file of backup.json"),
        (_flip_and_sign, "row 18 is not what was kept"),
        (_newer, "is a backup of format 2; this Palate reads 1"),
        (lambda path: (path / "labels.sqlite").unlink(), "labels.sqlite is missing"),
        (lambda path: (path / "backup.json").write_text("{"), "is no backup that can be read"),
    ],
)
def test_ST_06_a_damaged_backup_is_refused(tmp_path: Path, damage: object, told: str) -> None:
    labels(tmp_path / "labels.sqlite")
    backup(tmp_path / "labels.sqlite", tmp_path / "backup")
    damage(tmp_path / "backup")  # type: ignore[operator]
    with pytest.raises(StoreError, match=told):
        restore(tmp_path / "backup", tmp_path / "new.sqlite")
    assert not list(tmp_path.glob("new.sqlite*"))


def test_ST_06_nothing_is_overwritten(tmp_path: Path) -> None:
    kept = labels(tmp_path / "labels.sqlite")
    backup(tmp_path / "labels.sqlite", tmp_path / "backup")
    with pytest.raises(StoreError, match=r"is there already\. Move it away"):
        restore(tmp_path / "backup", tmp_path / "labels.sqlite")
    assert contents(tmp_path / "labels.sqlite") == kept


def test_PR_02_a_restored_backup_obeys_later_erasures(tmp_path: Path) -> None:
    live = tmp_path / "labels.sqlite"
    labels(live)
    backup(live, tmp_path / "backup")
    with open_store(live) as log:
        log.erase("bob")
    with open_store(live, read_only=True) as log:
        report = restore(tmp_path / "backup", tmp_path / "new.sqlite", obey=[log])
    assert (report.is_whole, report.erased) == (True, 10)
    with open_store(tmp_path / "new.sqlite") as restored:
        assert {record.user_id for record in restored.records()} == {"ann", ""}
        with pytest.raises(ErasedUser):
            restored.append([rate("bob", "i1", 3.0)])
    assert b"bob" not in (tmp_path / "new.sqlite").read_bytes()
    # the control: without them bob would be back
    restore(tmp_path / "backup", tmp_path / "control.sqlite")
    assert "bob" in {record.user_id for record in contents(tmp_path / "control.sqlite")}  # type: ignore[attr-defined]
