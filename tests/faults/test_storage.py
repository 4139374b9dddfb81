"""Faults of the disk, of the files beside the log, of other programs, and of a move to another version."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from palate import Attribute, Event, rate
from palate.entities import Answer, AnswerKind, Form
from palate.errors import StoreBusy, StoreError, StoreFull
from palate.records import Calibration, Consent, Record, Slate
from palate.store import schema, sqlite_connection, sqlite_log, tables
from palate.store.migrations import downgrade, older
from palate.store.sqlite_log import LabelLog
from palate.store.transaction import Transaction
from palate.store.verify_log import verify_log
from palate.store.verifying import verified
from tests.faults.test_label_log import BATCH, ENVIRONMENT, check_log, client, needs_strace, whole_lines

ROWS = 300


def run_forked(work: Callable[[], None]) -> int:
    """The exit code of a child that does this; below 0 the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.sqlite"


# ---- ST-03: what the kernel says


FAULTS = [
    ("fdatasync", "error=EIO"),
    ("fdatasync", "error=EINTR"),
    ("pwrite64", "error=ENOSPC"),
    ("pwrite64", "retval=0"),
]


@pytest.mark.parametrize(("call", "fault"), FAULTS)
@pytest.mark.parametrize(
    "when", [pytest.param(n, marks=() if n in (5, 12) else pytest.mark.long) for n in range(3, 21)]
)
def test_ST_03_a_call_fails_once(tmp_path: Path, call: str, fault: str, when: int) -> None:
    strace, path, ledger = needs_strace(), tmp_path / "labels.sqlite", tmp_path / "ledger"
    LabelLog.open(path).close()
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}"]
    command = [strace, "-o", str(tmp_path / "trace"), *inject, *client(path, ledger, "k", rounds=12)]
    told = subprocess.run(command, env=ENVIRONMENT, timeout=60, capture_output=True, text=True).stdout.splitlines()
    assert "INJECTED" in (tmp_path / "trace").read_text()
    acknowledged = set(whole_lines(ledger)) if ledger.exists() else set()
    assert len(acknowledged) + BATCH * len(told) <= BATCH * 12
    assert told or call == "pwrite64"  # of a page of shared memory, which is tried again, or of a checkpoint
    stopped = path.with_name("labels.sqlite-stopped")
    if call == "fdatasync":  # a sync is never tried again: the pages may be gone
        assert stopped.exists()
        assert all(line.endswith("Check the disk, then: palate store verify.") for line in told)
        with pytest.raises(StoreError, match="stopped after a disk error"):
            LabelLog.open(path)
        with LabelLog.open(path, read_only=True) as log:
            assert acknowledged <= {record.content.key for record in log.records()}
        assert verify_log(path).is_whole and not stopped.exists()
    else:
        assert len(told) <= 1 and not stopped.exists()  # the next batch is kept
    check_log(path, acknowledged, f"after {fault} of {call} {when}")


# ---- ST-04: a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", place]).returncode:
        pytest.skip("a file system can be mounted by root only")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _fill(log: LabelLog, acknowledged: list[Record]) -> None:
    try:
        while True:
            acknowledged += log.append([Attribute("ann", "town", "x" * 60_000) for _ in range(4)])
    except StoreFull as error:
        told = str(error)
    assert told.endswith("Free some disk space, then send the same again.")


def _fill_with_another_file(place: Path) -> Path:
    filler = place / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def test_ST_04_disk_full(small_disk: Path) -> None:
    path, acknowledged = small_disk / "labels.sqlite", list[Record]()
    with LabelLog.open(path) as log:
        _fill(log, acknowledged)
        assert len(acknowledged) > 40
        assert list(log.records()) == acknowledged  # reads go on
        with pytest.raises(StoreFull):
            log.append([Attribute("ann", "town", "x" * 60_000)])
        filler = _fill_with_another_file(small_disk)
        with LabelLog.open(path) as other, LabelLog.open(path, read_only=True) as reader:  # it starts on a full disk
            assert list(other.records()) == list(reader.records()) == acknowledged
        filler.unlink()
        grown = subprocess.run(["mount", "-o", "remount,size=32m", small_disk])
        assert grown.returncode == 0
        acknowledged += log.append([rate("ann", "film", 4.0)])  # without a restart
        assert list(log.records()) == acknowledged and log.verify().is_whole
    filler = _fill_with_another_file(small_disk)
    with LabelLog.open(path, read_only=True) as reader:
        assert list(reader.records()) == acknowledged
    with LabelLog.open(path) as log:
        assert list(log.records()) == acknowledged
        with pytest.raises(StoreFull):
            log.append([rate("ann", "song", 4.0)])
        filler.unlink()
        acknowledged += log.append([rate("ann", "song", 4.0)])
        assert list(log.records()) == acknowledged and log.verify().is_whole


# ---- ST-05: a damaged store


def _killed_writer(path: Path, n: int = ROWS) -> list[Record]:
    """A log of n rows whose last ones are in the WAL alone; what it held."""

    def work() -> None:
        log = LabelLog.open(path)
        log._pages = -(10**9)  # no checkpoint
        for first in range(0, n, 10):
            log.append(
                [rate(f"u{number % 7}", f"i{number:04d}", 4.0, key=f"k{number}") for number in range(first, first + 10)]
            )
        os.kill(os.getpid(), signal.SIGKILL)

    assert run_forked(work) == -signal.SIGKILL
    assert path.with_name("labels.sqlite-wal").stat().st_size > 50_000
    with LabelLog.open(path, read_only=True) as log:
        return list(log.records())


def _copied(path: Path, place: Path, but: str | None = None) -> Path:
    place.mkdir()
    for file in path.parent.iterdir():
        if file.is_file() and (but is None or file.name != path.name + but):
            shutil.copy(file, place)
    return place / path.name


def _state(path: Path, kept: list[Record]) -> str:
    """Whether the log is refused, verify finds a fault, or it is as it was; never a silent wrong answer."""
    try:
        with LabelLog.open(path) as log:
            if not log.verify().is_whole:
                return "found"
            found = list(log.records())
    except StoreError:
        return "refused"
    assert found == kept[: len(found)]
    return "whole" if len(found) == len(kept) else "short"


def test_ST_05_flipped_bytes(tmp_path: Path, path: Path) -> None:
    with LabelLog.open(path) as log:
        for first in range(0, ROWS, 50):
            log.append(
                [rate(f"u{number % 7}", f"i{number:04d}", 4.0, key=f"k{number}") for number in range(first, first + 50)]
            )
        kept = list(log.records())
    seed = random.SystemRandom().randrange(2**32)
    chance, content, states = random.Random(seed), path.read_bytes(), []
    used = [place for place in range(100, len(content)) if content[place]]
    for number, place in enumerate(chance.sample(used, 40)):
        copy = _copied(path, tmp_path / str(number))
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        copy.write_bytes(damaged)
        states.append(_state(copy, kept))
        assert states[-1] != "short", f"seed {seed}, byte {place}"
        shutil.rmtree(copy.parent)
    assert states.count("found") + states.count("refused") > 30, f"seed {seed}: {states}"
    item = content.index(b"i0123")  # R2: one flipped byte turned one item into another, and nobody saw it
    copy = _copied(path, tmp_path / "item")
    copy.write_bytes(content[:item] + b"i0923" + content[item + 5 :])
    with LabelLog.open(copy) as log:
        assert log.verify().first_bad_seq == 124


@pytest.mark.parametrize("place", [-1, -2, -3])  # the link, the digest, the salt
def test_ST_05_a_row_without_its_digest_is_found(path: Path, place: int) -> None:
    with LabelLog.open(path) as log:
        log.append([rate("ann", f"i{number}", 4.0) for number in range(3)])
        rows = [list(row) for row in log.sealed()]
    rows[1][place] = None
    report = verified(lambda after: [tuple(row) for row in rows if row[0] > after], None, list)
    assert not report.is_whole and report.first_bad_seq == 2


@pytest.mark.parametrize("damage", ["garbled", "truncated"])
def test_ST_05_a_damaged_wal(tmp_path: Path, path: Path, damage: str) -> None:
    kept = _killed_writer(path)
    content, states = path.with_name("labels.sqlite-wal").read_bytes(), []
    for place in range(0, len(content), 4096):
        copy = _copied(path, tmp_path / str(place))
        wal = copy.with_name("labels.sqlite-wal")
        wal.write_bytes(content[:place] + (b"\xa5" * 32 + content[place + 32 :] if damage == "garbled" else b""))
        damaged = wal.read_bytes()
        copy.with_name("labels.sqlite-shm").unlink()  # as after a restart of the machine
        states.append(_state(copy, kept))
        assert states[-1] in ("refused", "whole"), place
        if states[-1] == "refused" and damaged:
            (aside,) = copy.parent.glob("labels.sqlite-wal-unread-*")
            assert aside.read_bytes() == damaged
            assert _state(copy, kept) == "refused"  # what was found once is found again
            if place % 65_536 == 0:  # somebody takes what there is: no loop of crashes
                assert not verify_log(copy, accept=True).is_whole
                with LabelLog.open(copy) as log:
                    assert log.append([rate("ann", "new", 4.0)])[0].seq <= len(kept)
                    assert log.verify().is_whole
        shutil.rmtree(copy.parent)
    assert states.count("refused") > len(states) // 2


def test_ST_05_files_are_gone(tmp_path: Path, path: Path) -> None:
    kept = _killed_writer(path)
    assert _state(_copied(path, tmp_path / "all"), kept) == "whole"
    assert _state(_copied(path, tmp_path / "no shm", "-shm"), kept) == "whole"
    copy = _copied(path, tmp_path / "no wal", "-wal")
    with pytest.raises(StoreError, match=r"has lost rows: it ends at row \d+, and row 300 was kept"):
        LabelLog.open(copy)
    copy = _copied(path, tmp_path / "no database", "")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"labels\.sqlite is gone or empty, and 300 rows were kept in it\."):
            LabelLog.open(copy)
    assert copy.with_name("labels.sqlite-wal").read_bytes() == path.with_name("labels.sqlite-wal").read_bytes()
    place = tmp_path / "the database alone"
    place.mkdir()
    with LabelLog.open(path) as log:  # of a server that runs
        log.append([rate("ann", "film", 4.0)])
        log._connection.execute("PRAGMA wal_checkpoint(FULL)")
        shutil.copy(path, place)
    with pytest.raises(StoreError, match=r"has no labels\.sqlite-head beside it, so rows may be missing at its end"):
        LabelLog.open(place / "labels.sqlite")


# ---- ST-07: whose folder it is


def test_ST_07_workers_that_were_forked_before(path: Path) -> None:
    LabelLog.open(path).close()

    def work(name: int) -> Callable[[], None]:
        def run() -> None:
            with LabelLog.open(path) as log:
                for number in range(15):
                    log.append([rate(f"w{name}", str(number), 4.0, key=f"{name}-{number}")])

        return run

    children = []
    for name in range(4):
        child = os.fork()
        if child == 0:
            try:
                work(name)()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    with LabelLog.open(path) as log:
        rows = list(log.records())
        assert log.verify().is_whole
    assert [row.seq for row in rows] == list(range(1, 61)) and len({row.content.key for row in rows}) == 60


def test_ST_07_a_log_that_another_process_makes_meanwhile(path: Path) -> None:
    path.touch()

    class Reader(sqlite3.Connection):
        statements = 0

        def execute(self, *statement: Any) -> sqlite3.Cursor:
            self.statements += 1
            if self.statements == 2:
                LabelLog.open(path).close()
            return super().execute(*statement)

    with contextlib.closing(sqlite3.connect(path, factory=Reader)) as reader:
        assert schema.version_of(reader, path) == 0
        assert schema.version_of(reader, path) == schema.VERSION


def test_ST_07_one_connection_writes_and_checkpoints(path: Path) -> None:
    """The WAL-reset bug of SQLite 3.7.0 to 3.51.2 needs two."""
    assert "3.51.3" in sqlite_connection.DATABASE or sqlite3.sqlite_version_info >= (3, 51, 3)
    with LabelLog.open(path) as log, LabelLog.open(path, read_only=True) as reader:
        log.append([rate("ann", "film", 4.0)])
        assert log.verify().database == verify_log(path).database == sqlite_connection.DATABASE
        for connection in (log._reader, reader._reader):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("PRAGMA user_version = 7")
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            assert path.with_name("labels.sqlite-wal").stat().st_size > 0
            assert connection.execute("PRAGMA mmap_size").fetchone() == (0,)


# ---- R1: what is acknowledged was read again


@pytest.mark.parametrize("column", [3, 4, 6, 30])  # the user, the item, the value, what is retracted
def test_ST_05_a_row_that_the_database_keeps_otherwise_is_not_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch, column: int
) -> None:
    """Where neither the number of rows nor the last link of the chain shows it."""
    written = Transaction._write

    def changed(transaction: Transaction) -> None:
        new = transaction._new
        written(transaction)
        for row in new[:1]:
            name = tables.SAID[column]
            transaction._connection.execute("DROP TRIGGER records_no_update")
            value = row[column] + 1.0 if name == "value" else "other"
            transaction._connection.execute(f"UPDATE records SET {name} = ? WHERE seq = ?", (value, row[0]))

    with LabelLog.open(path) as log:
        kept = log.append([rate("ann", "film", 4.0)])
        monkeypatch.setattr(Transaction, "_write", changed)
        with pytest.raises(StoreError, match="the database kept other rows than it was given, after row 1"):
            log.append([rate("ann", "song", 4.0), rate("bob", "song", 4.0)])
        monkeypatch.undo()
        assert list(log.records()) == kept and log.verify().is_whole


# ---- ST-08: versions


def _of_version_4(path: Path, n: int) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        for statement in older.VERSION_4:
            old.execute(statement)
        label = "INSERT INTO records (seq, key, content, user_id, item_id, kind, value, source, propensity, question, "
        label += (
            "asked_at, form, others, tapped, recorded_at) VALUES (?, ?, 'label', 'ann', 'é', 'rating', ?, 'person', "
        )
        label += "0.1, '', 1e300, 'pair', '[\"b\\u00fc\"]', '[]', ?)"
        old.execute("BEGIN")
        for number in range(1, n + 1):
            old.execute(label, (number * 2, f"k{number}", float(number % 2), number / 3))
        old.execute(
            "INSERT INTO records (key, content, user_id, item_id, kind, value, recorded_at, retracts) "
            "VALUES ('r', 'event', 'ann', 'b', 'click', -0.5, 7, 'k1')"
        )
        old.execute(
            "INSERT INTO records (key, content, user_id, name, text, recorded_at) "
            "VALUES ('a', 'attribute', 'b', 'x', '', 8)"
        )
        old.execute("COMMIT")
    return _rows_of_version_4(path)


def _rows_of_version_4(path: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as old:
        return old.execute(f"SELECT {older.COLUMNS} FROM records ORDER BY seq").fetchall()


def test_ST_08_every_revision_up_down_up(path: Path) -> None:
    kept = _of_version_4(path, 2_500)
    with LabelLog.open(path) as log:
        records = list(log.records())
        assert len(records) == 2_502 and log.verify().is_whole
        assert records[0] == Record(
            2,
            Answer("ann", "é", AnswerKind.RATING, 1.0, "person", 0.1, "k1", "", 1e300, None, Form.PAIR, ("bü",)),
            1 / 3,
        )
        assert _rows_of_version_4(path) == kept
    _down(path)
    with contextlib.closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (4,)
        with pytest.raises(sqlite3.IntegrityError, match="the label log only grows"):
            old.execute("DELETE FROM records")
    assert _rows_of_version_4(path) == kept
    with LabelLog.open(path) as log:
        assert list(log.records()) == records and log.verify().is_whole
        log.append([Consent("ann", ("ask",), "v1")])
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"^row 5003 of the log has what version 4 cannot keep\. Nothing was changed"):
        _down(path)
    assert path.read_bytes() == before


def test_ST_08_slates_came_with_version_6(path: Path) -> None:
    with LabelLog.open(path) as log:
        kept = log.append([rate("ann", "film", 4.0), Calibration("ann", 0.5)])
    _down(path, 5)
    with contextlib.closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (5,)
        (table,) = old.execute("SELECT sql FROM sqlite_master WHERE name = 'records'").fetchone()
        assert table == older.TABLE_5
    with LabelLog.open(path) as log:
        assert list(log.records()) == kept and log.verify().is_whole
        log.append([Slate("ann", ("film",), (0.5,), 1.0)])
    with pytest.raises(StoreError, match=r"^row 3 of the log has what version 5 cannot keep\. Nothing was changed"):
        _down(path, 5)
    assert len(list(LabelLog.open(path).records())) == 3


def _down(path: Path, version: int = 4) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            downgrade(connection, version)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.long
def test_ST_08_a_move_that_is_killed_at_any_statement(path: Path) -> None:
    """It leaves the version before; the next opening moves all of it."""
    import palate.store.migrations  # noqa: F401 - before the fork

    kept, codes = _of_version_4(path, 20), list[int]()
    while 0 not in codes and len(codes) < 160:

        def work() -> None:
            left = len(codes)

            def trace(statement: str) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            connect = sqlite3.connect

            def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
                connection = connect(*arguments, **options)
                connection.set_trace_callback(trace)
                return connection

            sqlite_connection.sqlite3.connect = traced  # type: ignore[attr-defined]  # of this child alone
            LabelLog.open(path)

        codes.append(run_forked(work))
        with contextlib.closing(sqlite3.connect(path)) as other:
            (version,) = other.execute("PRAGMA user_version").fetchone()
            tables = [name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert version in (4, 7) and not {"older", "other"} & set(tables)
        assert _rows_of_version_4(path) == kept
    assert codes[-1] == 0 and set(codes[:-1]) == {-signal.SIGKILL} and len(codes) > 30
    with LabelLog.open(path) as log:
        assert log.verify().is_whole and _rows_of_version_4(path) == kept


# ---- API-08: the database is busy


@contextlib.contextmanager
def _held(path: Path, seconds: float) -> Iterator[None]:
    """Another program is in a transaction that writes, in its own time."""
    code = (
        "import sqlite3, sys, time\n"
        "held = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "held.execute('BEGIN IMMEDIATE'); print('held', flush=True)\n"
        "time.sleep(float(sys.argv[2]))"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(path), str(seconds)], stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_API_08_another_program_holds_the_database(path: Path) -> None:
    told: list[str] = []
    with LabelLog.open(path) as patient, LabelLog.open(path, wait_seconds=1.0) as hasty:

        def send(log: LabelLog, number: int) -> float:
            begun = time.monotonic()
            try:
                log.append([rate("ann", str(number), 4.0, key=f"k{number}")])
            except StoreBusy as error:
                told.append(str(error))
                return time.monotonic() - begun
            return 0.0

        with _held(path, 3.0), ThreadPoolExecutor(16) as pool:  # shorter than they wait: all of them are kept
            assert set(pool.map(lambda number: send(patient, number), range(16))) == {0.0}
        with _held(path, 30.0), ThreadPoolExecutor(16) as pool:  # longer: each is told in its time
            waits = list(pool.map(lambda number: send(hasty, number), range(16)))
        assert all(0.5 < wait < 4.0 for wait in waits), waits
        assert all("locked" not in one and one.endswith("finish, then try again.") for one in told)
        assert len(list(patient.records())) == 16
        assert [send(hasty, number) for number in range(16)] == [0.0] * 16
        assert len(list(patient.records())) == 16


def test_API_08_a_reader_that_keeps_its_snapshot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_connection, "LARGEST_WAL", 1 << 20)
    monkeypatch.setattr(sqlite_log, "CHECKPOINT_PAGES", 100)
    wal = path.with_name("labels.sqlite-wal")
    with LabelLog.open(path) as log:
        log.append([rate("ann", "film", 4.0)])
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM records").fetchone() == (1,)
            for _ in range(20):
                log.append([Attribute("ann", "town", "x" * 60_000) for _ in range(5)])
            assert wal.stat().st_size > 4 << 20
            assert reader.execute("SELECT count(*) FROM records").fetchone() == (1,)
        for number in range(3):
            log.append([Event("ann", str(number))])
        assert wal.stat().st_size <= 1 << 20
        assert log.last_seq == 104 and log.verify().is_whole
