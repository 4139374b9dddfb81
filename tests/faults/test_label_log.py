"""Faults of the label log: hostile values and times, kill -9, power loss, disk errors."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import palate
from palate.entities import Answer, AnswerKind
from palate.errors import AnswerError, IdError, PalateError, StoreError
from palate.errors.checks import normalise_id
from palate.store.lock import exclusive
from palate.store.protocol import active
from palate.store.sqlite_log import LabelLog
from palate.store.transaction import Transaction
from palate.store.verify_log import verify_log

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}
BATCH = 3

# Appends batches for ever (or argv[4] of them) and writes each acknowledged batch to a ledger of its own, synced.
CLIENT = """
import os, sys
from palate.entities import Answer, AnswerKind
from palate.errors import StoreError
from palate.store import sqlite_log
from palate.store.sqlite_log import LabelLog
path, ledger, name, rounds, synchronous = sys.argv[1:]
log = LabelLog.open(path)
log._writer().execute(f"PRAGMA synchronous = {synchronous}")
sqlite_log.CHECKPOINT_PAGES = 100  # so that checkpoints are among the moments of the crash
descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
number = 0
while number < int(rounds):
    keys = [f"{name}-{number}-{part}" for part in range(3)]
    try:
        log.append([Answer("ann", "film", AnswerKind.RATING, 4.0, key=key) for key in keys])
    except StoreError as error:
        print(error, flush=True)
    else:
        os.write(descriptor, (" ".join(keys) + "\\n").encode())
        os.fsync(descriptor)
    number += 1
os._exit(0)
"""


def client(path: Path, ledger: Path, name: str, *, rounds: int = 10**9, synchronous: str = "FULL") -> list[str]:
    return [sys.executable, "-c", CLIENT, str(path), str(ledger), name, str(rounds), synchronous]


def needs_strace() -> str:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    return strace


def check_log(path: Path, acknowledged: set[str], context: str) -> set[str]:
    """Opens it as after a restart; all keys."""
    with LabelLog.open(path) as log:
        keys = [label.answer.key for label in log.records()]
        assert log.verify().faults == (), context
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], context
    assert len(keys) == len(set(keys)), context
    batches = [key.rpartition("-")[0] for key in keys]
    assert all(batches.count(batch) == BATCH for batch in set(batches)), f"half a batch, {context}"
    assert acknowledged <= set(keys), f"lost {sorted(acknowledged - set(keys))[:5]}, {context}"
    return set(keys)


def test_IN_01_numbers_that_json_should_not_carry(tmp_path: Path) -> None:
    with LabelLog.open(tmp_path / "labels.sqlite") as log:
        for value in (float("nan"), float("inf"), float("-inf"), 1e999, float("1e999")):
            with pytest.raises(AnswerError, match="is not a finite number"):
                log.append([Answer("ann", "film", AnswerKind.RATING, value)])
            for name in ("propensity", "asked_at", "answered_at"):
                with pytest.raises(AnswerError, match=f"^{name} .* is not a (finite number|probability)"):
                    log.append([Answer("ann", "film", AnswerKind.RATING, 4.0, **{name: value})])  # type: ignore[arg-type]
        assert list(log.records()) == []
        kept = log.append([Answer(str(2**63), str(10**200), AnswerKind.RATING, 2**63, asked_at=10**18)])
        assert list(log.records()) == kept
        assert kept[0].answer.value == float(2**63)


GOOD_TEXTS = ["a\u00a0b", "\u0430nn", "ann", "é", "日本", "'; DROP TABLE labels; --", "=1+1", "x" * 256]


def test_IN_02_text_that_breaks_stores(tmp_path: Path) -> None:
    with LabelLog.open(tmp_path / "labels.sqlite") as log:
        for bad in ("a\0b", "\ud800", "\udc80x", "x" * 1_000_000, "é" * 129, "", "  "):
            for arguments in ((bad, "film"), ("ann", bad)):
                with pytest.raises(IdError):
                    log.append([Answer(*arguments, AnswerKind.UNKNOWN)])
        assert list(log.records()) == []
        log.append([Answer(text, text, AnswerKind.UNKNOWN, source=text, key=text) for text in GOOD_TEXTS])
    with LabelLog.open(tmp_path / "labels.sqlite") as log:
        told = [(a.user_id, a.item_id, a.source, a.key) for a in (label.answer for label in log.records())]
    assert told == [(text,) * 4 for text in GOOD_TEXTS]  # 'ann' and its Cyrillic twin stay two people


def test_IN_02_two_forms_of_one_text_are_one_id(tmp_path: Path) -> None:
    with LabelLog.open(tmp_path / "labels.sqlite") as log:
        first, second = log.append(
            [Answer(text, "film", AnswerKind.UNKNOWN, key=text) for text in ("\u00e9", " e\u0301 ")]
        )
    assert first == second
    assert normalise_id("e\u0301") == first.answer.user_id


def test_IN_09_a_clock_that_jumps_orders_nothing(tmp_path: Path) -> None:
    ticks = iter([5000.0, 1400.0, 91_400.0, 0.0, -5.0])
    claims = [0.0, 4_291_747_200.0, 2_000_000_000.0, None, -1.0]  # 1970, 2106, 2033, unknown, before 1970
    with LabelLog.open(tmp_path / "labels.sqlite", clock=lambda: next(ticks)) as log:
        for number, claim in enumerate(claims):
            log.append([Answer("ann", str(number), AnswerKind.UNKNOWN, answered_at=claim)])
        rows = list(log.records())
    assert [label.answer.item_id for label in rows] == ["0", "1", "2", "3", "4"]
    assert [label.answer.answered_at for label in rows] == claims  # kept as claims
    assert [label.recorded_at for label in rows] == [5000.0, 1400.0, 91_400.0, 0.0, -5.0]
    assert active(rows) == rows


def _write_for_ever(path: Path, folder: Path, name: str) -> None:
    """Four threads append; a synced ledger each of what was acknowledged; where each commit begins and ends."""
    commits = os.open(folder / f"commits-{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = LabelLog.open(path)
    log._writer().set_trace_callback(lambda statement: statement == "COMMIT" and os.write(commits, b"<"))
    committed = log._committed

    def then(transaction: Transaction) -> None:
        committed(transaction)
        os.write(commits, b">")

    def work(thread: int) -> None:
        ledger = os.open(folder / f"ledger-{name}{thread}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in itertools.count():
            keys = [f"{folder.name}-{name}{thread}-{number}-{part}" for part in range(BATCH)]
            log.append([Answer("ann", "film", AnswerKind.RATING, 4.0, key=key) for key in keys])
            os.write(ledger, (" ".join(keys) + "\n").encode())
            os.fsync(ledger)

    log._committed = then  # type: ignore[method-assign]
    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _fork_writers(path: Path, folder: Path) -> int:
    """Two processes of four writers in a process group, whose id this is."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        _write_for_ever(path, folder, "a" if os.fork() else "b")
    finally:
        os._exit(1)


def _kill_9(place: Path, path: Path, turn: int, chance: random.Random) -> tuple[set[str], bool]:
    """What was acknowledged before the kill, and whether a commit had begun whose rows were not yet acknowledged."""
    folder = place / f"turn-{turn}"
    folder.mkdir()
    group = _fork_writers(path, folder)
    deadline = time.monotonic() + 60
    while len([ledger for ledger in folder.glob("ledger-*") if ledger.stat().st_size]) < 8:
        assert time.monotonic() < deadline and os.waitpid(group, os.WNOHANG) == (0, 0)
        time.sleep(0.005)
    time.sleep(chance.uniform(0.05, 0.3))
    os.killpg(group, signal.SIGKILL)
    os.waitpid(group, 0)
    with exclusive(path.with_name("labels.sqlite-lock"), wait_seconds=10):  # the second one is gone too
        pass
    keys = {key for ledger in folder.glob("ledger-*") for key in whole_lines(ledger)}
    return keys, any(file.read_bytes().endswith(b"<") for file in folder.glob("commits-*"))


@pytest.mark.parametrize("turns", [30, pytest.param(500, marks=pytest.mark.long)])
def test_ST_01_kill_9(tmp_path: Path, turns: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance, in_a_commit, total = random.Random(seed), 0, 0
    for turn in range(turns):
        path = tmp_path / f"log-{turn // 5}" / "labels.sqlite"
        path.parent.mkdir(exist_ok=True)
        known = check_log(path, set(), f"seed {seed}") if path.exists() else set()
        acknowledged, began = _kill_9(tmp_path, path, turn, chance)
        started = time.monotonic()
        LabelLog.open(path).close()
        assert time.monotonic() - started < 5
        stored = check_log(path, known, f"seed {seed}, turn {turn}")
        new = stored - known
        assert acknowledged <= new, f"lost {sorted(acknowledged - new)[:5]}, seed {seed}, turn {turn}"
        in_a_commit += began or len(new) > len(acknowledged)
        total += len(acknowledged)
    assert total >= turns * 8 * BATCH
    assert in_a_commit >= turns / 3, f"{in_a_commit} of {turns} kills came after a commit had begun: look closer"


def whole_lines(ledger: Path) -> list[str]:
    return [key for line in ledger.read_text().split("\n")[:-1] for key in line.split()]


@dataclass
class Disk:
    """One file as a crash could leave it: what is synced, and the writes that may be lost."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut off at this offset

    def sync(self) -> None:
        self.durable = self.after(self.pending)
        self.pending = []

    def after(self, writes: list[tuple[int, bytes | None]]) -> bytearray:
        image = bytearray(self.durable)
        for offset, data in writes:
            if data is None:
                del image[offset:]
                continue
            image.extend(bytes(max(0, offset + len(data) - len(image))))
            image[offset : offset + len(data)] = data
        return image

    def image(self, loss: str, chance: random.Random) -> bytearray:
        if loss == "dropped" or not self.pending:
            return self.after([])
        if loss == "half":
            return self.after([write for write in self.pending if chance.random() < 0.5])
        offset, data = self.pending[-1]
        return self.after([*self.pending[:-1], (offset, data and data[:512])])


@dataclass
class Folder:
    """Names in a folder as a crash could leave them: a name that is made, moved or removed lasts once it is synced."""

    now: dict[str, Disk] = field(default_factory=dict)
    durable: dict[str, Disk] = field(default_factory=dict)
    pending: list[tuple[str, Disk | None]] = field(default_factory=list)  # None: removed

    def set(self, name: str, disk: Disk | None) -> None:
        self.pending.append((name, disk))
        if disk is None:
            self.now.pop(name, None)
        else:
            self.now[name] = disk

    def sync(self) -> None:
        self.durable, self.pending = dict(self.now), []

    def images(self, loss: str, chance: random.Random) -> dict[str, bytearray]:
        names = dict[str, Disk | None](self.now if loss == "torn" else self.durable)
        if loss == "half":
            names.update(change for change in self.pending if chance.random() < 0.5)
        return {name: disk.image(loss, chance) for name, disk in names.items() if disk is not None}


_PATH, _DATA = r"<(?P<path>[^>]*)>", r'"(?P<data>[^"]*)"'
_CALLS = [
    re.compile(rf"(?P<call>pwrite64|write|fsync|fdatasync|ftruncate)\(\d+{_PATH}"
    rf"(?:, {_DATA}, \d+)?(?:, (?P<offset>\d+))?\) = 0*(?P<result>\d+)"),
    re.compile(rf"(?P<call>openat)\([^,]*, {_DATA}, (?P<flags>[A-Z_|]+)(?:, \d+)?\) = (?P<result>\d+)"),
    re.compile(rf"(?P<call>unlink|unlinkat)\((?:AT_FDCWD[^,]*, )?{_DATA}(?:, \w+)?\) = 0"),
    re.compile(rf'(?P<call>rename)\({_DATA}, "(?P<path>[^"]*)"\) = 0'),
]  # fmt: skip
TRACED = "trace=openat,rename,unlink,unlinkat,pwrite64,write,fsync,fdatasync,ftruncate"


def _unescape(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def _replay(trace: Path, place: Path) -> Iterator[tuple[Folder, set[str]]]:
    """The folder at every acknowledgement, and the keys acknowledged so far."""
    folder, acknowledged = Folder(), set[str]()
    with trace.open() as lines:
        for line in lines:
            call = next((found for found in (pattern.search(line) for pattern in _CALLS) if found), None)
            if call is None:
                continue
            said = call.groupdict()
            path = Path(_unescape(said.get("path") or said["data"]).decode())
            if path == place:
                assert said["call"] in ("fsync", "fdatasync", "openat")
                if said["call"] != "openat":
                    folder.sync()
            elif path.name == "ledger" and said["call"] == "write":
                acknowledged |= set(_unescape(said["data"]).decode().split())
                yield folder, acknowledged
            elif path.parent == place and path.name not in ("ledger", "labels.sqlite-lock", "labels.sqlite-shm"):
                _apply(folder, path.name, said)


def _apply(folder: Folder, name: str, said: dict[str, str]) -> None:
    call, disk = said["call"], folder.now.get(name)
    if call == "openat":
        if disk is None and "O_CREAT" in said["flags"]:
            folder.set(name, Disk())
        elif disk is not None and "O_TRUNC" in said["flags"]:
            disk.pending.append((0, None))
    elif call in ("unlink", "unlinkat"):
        folder.set(name, None)
    elif call == "rename":
        before = Path(_unescape(said["data"]).decode()).name
        folder.set(name, folder.now[before])
        folder.set(before, None)
    elif disk is None:  # closed after it was removed
        assert call != "pwrite64"
    elif call == "pwrite64":
        data = _unescape(said["data"])
        assert len(data) == int(said["result"])
        disk.pending.append((int(said["offset"]), data))
    elif call in ("fsync", "fdatasync"):
        disk.sync()
    else:
        assert call == "ftruncate", call
        disk.pending.append((int(said["offset"]), None))


def _lost(trace: Path, place: Path, rounds: int, loss: str, seed: int) -> int:
    """At how many acknowledgements a power loss would have cost an acknowledged label or the log itself."""
    losses = number = 0
    chance, copy = random.Random(seed), place / "copy"
    for number, (folder, acknowledged) in enumerate(_replay(trace, place), 1):
        copy.mkdir()
        for name, image in folder.images(loss, chance).items():
            (copy / name).write_bytes(image)
        try:
            check_log(copy / "labels.sqlite", acknowledged, f"{loss}, acknowledgement {number}, seed {seed}")
        except (AssertionError, PalateError, sqlite3.Error):
            losses += 1
        shutil.rmtree(copy)
    assert number == rounds
    return losses


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
@pytest.mark.parametrize("rounds", [40, pytest.param(167, marks=pytest.mark.long)])
def test_ST_02_power_loss(tmp_path: Path, synchronous: str, rounds: int) -> None:
    strace = needs_strace()
    trace = tmp_path / "trace"
    options = ["-f", "-y", "-xx", "-s", "200000", "-o", str(trace), "-e", TRACED]
    command = client(tmp_path / "labels.sqlite", tmp_path / "ledger", "k", rounds=rounds, synchronous=synchronous)
    subprocess.run([strace, *options, *command], env=ENVIRONMENT, check=True, timeout=300)
    seed = random.SystemRandom().randrange(2**32)
    losses = {loss: _lost(trace, tmp_path, rounds, loss, seed) for loss in ("dropped", "half", "torn")}
    if synchronous == "FULL":
        assert losses == {"dropped": 0, "half": 0, "torn": 0}, f"seed {seed}"
    else:  # the control: a test that finds no loss here is not looking
        assert losses["dropped"] > rounds / 2


def test_ST_02_a_name_that_was_not_synced_is_lost(tmp_path: Path) -> None:
    """The other control: of the names, without which nothing else of this would be seen."""
    trace, folder = tmp_path / "trace", str(tmp_path)
    calls = [f'openat(AT_FDCWD</>, "{folder}/a", O_RDWR|O_CREAT, 0644) = 3<{folder}/a>', f"fsync(3<{folder}/a>) = 0"]
    calls += [f'write(4<{folder}/ledger>, "k", 1) = 1', f"fsync(5<{folder}>) = 0", f'unlink("{folder}/a") = 0']
    calls += [f'write(4<{folder}/ledger>, "l", 1) = 1']
    trace.write_text("\n".join(calls))
    names = [set(found.images("dropped", random.Random(0))) for found, _ in _replay(trace, tmp_path)]
    assert names == [set(), {"a"}]


def test_ST_03_a_failed_sync_stops_the_log(tmp_path: Path) -> None:
    strace = needs_strace()
    path, ledger = tmp_path / "labels.sqlite", tmp_path / "ledger"
    LabelLog.open(path).close()
    inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=4"]  # once: a retry would succeed
    command = [strace, "-o", os.devnull, *inject, *client(path, ledger, "k", rounds=8)]
    told = subprocess.run(command, env=ENVIRONMENT, check=True, timeout=60, capture_output=True, text=True).stdout
    first, *others = told.splitlines()
    assert first.endswith("disk I/O error. Check the disk, then: palate store verify.")
    assert others and all(
        line.endswith("stopped after a disk error. Check the disk, then: palate store verify.") for line in others
    )
    with pytest.raises(StoreError, match=r"stopped after a disk error\. Check the disk, then: palate store verify\.$"):
        LabelLog.open(path)  # another process
    assert verify_log(path).is_whole
    acknowledged = set(whole_lines(ledger))
    assert len(acknowledged) == BATCH * (8 - 1 - len(others))
    check_log(path, acknowledged, "after EIO")
