"""What protects the log: its schema, its chain and head, erasure, quarantine, readers that wait for nobody."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import palate
from palate import Answer, Attribute, Event, rate
from palate.entities import AnswerKind
from palate.entities.provenance import Provenance
from palate.errors import AnswerError, ErasedUser, StoreError
from palate.records import Calibration, Consent, Erasure
from palate.store import schema
from palate.store.group import Group
from palate.store.migrations import older
from palate.store.sqlite_log import LabelLog

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.sqlite"


@pytest.fixture
def log(path: Path) -> Iterator[LabelLog]:
    with LabelLog.open(path) as opened:
        yield opened


def run_sql(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement)


def overwrite(path: Path, *statements: str) -> None:
    """What a disk or a hostile program could do to rows: the triggers are there again afterwards."""
    triggers = [one for one in schema.STATEMENTS if one.startswith("CREATE TRIGGER")]
    run_sql(path, *(f"DROP TRIGGER {one.split()[2]}" for one in triggers), *statements, *triggers)


# ---- the chain and its head


def test_a_digest_can_be_computed_by_anybody(log: LabelLog, path: Path) -> None:
    came = Provenance("gpt", "http", "plot", "m1", "q7", 0.5, "s1", 3.0, 0.02, 150, "v2")
    kept = log.append(
        [Answer("ann", "é", AnswerKind.RATING, -0.0, key="k", provenance=came), Event("ann", "b", "click")]
    )
    assert kept == list(log.records())
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.row_factory = sqlite3.Row
        before = bytes(32)
        for row in other.execute("SELECT * FROM records ORDER BY seq"):
            said = {name: row[name] for name in row.keys() if row[name] is not None}  # noqa: SIM118 - a row is no dict
            salt, digest, chain = (said.pop(name) for name in ("salt", "digest", "chain"))
            text = json.dumps(said, sort_keys=True, separators=(",", ":"))
            assert hashlib.sha256(salt + text.encode()).digest() == digest
            before = hashlib.sha256(before + digest).digest()
            assert before == chain
    assert path.with_name("labels.sqlite-head").read_text() == f"{2:020d} {before.hex()}\n"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE records SET item_id = 'i7' WHERE seq = 2", "row 2 is not what was kept: it does not match its digest"),
        ("UPDATE records SET others = '{' WHERE seq = 2", "row 2 cannot be read: JSONDecodeError"),
        ("DELETE FROM records WHERE seq = 2", "row 3 does not follow row 1: rows were changed, added or taken out"),
        ("UPDATE records SET chain = x'00' WHERE seq = 2", "row 2 does not follow row 1: rows were changed"),
        ("DELETE FROM records WHERE seq = 4", "1 rows after row 3 are lost: rows up to 4 were kept"),
    ],
)
def test_verify_names_the_first_row_that_is_not_as_it_was_kept(
    log: LabelLog, path: Path, change: str, fault: str
) -> None:
    log.append([rate("ann", f"i{number}", 4.0) for number in range(4)])
    assert log.verify().is_whole and log.verify().rows == 4
    overwrite(path, change)
    report = log.verify()
    assert report.faults[0].startswith(fault)
    assert report.first_bad_seq == int(fault.partition("row ")[2].split()[0]) + fault.startswith("1 rows")
    assert not report.is_whole


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ("DELETE FROM records WHERE seq > 2", "has lost rows: it ends at row 2, and row 4 was kept"),
        ("UPDATE records SET chain = x'00' WHERE seq = 4", "row 4 of .* is not the one that was kept"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_log_that_lost_rows_is_refused_when_it_is_opened(path: Path, change: str, fact: str, read_only: bool) -> None:
    with LabelLog.open(path) as log:
        log.append([rate("ann", f"i{number}", 4.0) for number in range(4)])
    overwrite(path, change)
    with pytest.raises(
        StoreError, match=rf"{fact}.* Restore the log from a backup, or accept it as it is: palate store"
    ):
        LabelLog.open(path, read_only=read_only)


def test_a_log_without_its_head_is_refused_once_it_has_rows(path: Path) -> None:
    head = path.with_name("labels.sqlite-head")
    LabelLog.open(path).close()
    head.unlink()
    with LabelLog.open(path) as log:
        log.append([rate("ann", "film", 4.0)])
    kept = head.read_text()
    head.unlink()
    with pytest.raises(StoreError, match=r"has no labels\.sqlite-head beside it, so rows may be missing at its end\."):
        LabelLog.open(path)
    for damaged in ("", kept[:-1], kept.replace(" ", ""), "x" * len(kept)):
        head.write_text(damaged)
        with pytest.raises(StoreError, match=r"labels\.sqlite-head is damaged: it holds no seq and chain\."):
            LabelLog.open(path)
    head.write_text(kept)
    LabelLog.open(path).close()


def test_a_log_that_went_back_while_it_is_open_takes_nothing(log: LabelLog, path: Path) -> None:
    log.append([rate("ann", f"i{number}", 4.0) for number in range(4)])
    overwrite(path, "DELETE FROM records WHERE seq > 2")
    with pytest.raises(StoreError, match="has lost rows: it ends at row 2, and row 4 was kept"):
        log.append([rate("ann", "new", 4.0)])


# ---- the schema

FOREIGN = {
    "a trigger that drops what is kept": (
        "CREATE TRIGGER t AFTER INSERT ON records BEGIN INSERT INTO records (key) VALUES ('x'); END"
    ),
    "a view that never ends": (
        "CREATE VIEW labels AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n"
    ),
    "a table": "CREATE TABLE mine (what TEXT)",
    "a trigger is gone": "DROP TRIGGER records_no_update",
    "an index is gone": "DROP INDEX records_of_user",
}


@pytest.mark.parametrize("statement", FOREIGN.values(), ids=FOREIGN)
def test_a_schema_that_is_not_ours_is_refused(path: Path, statement: str) -> None:
    """At once, and while the log is open with the next row."""
    with LabelLog.open(path) as log:
        kept = log.append([rate("ann", "film", 4.0)])
        run_sql(path, statement)
        match = "does not have the schema of a label log: (trigger|view|table|index) .* is foreign, changed or missing"
        with pytest.raises(StoreError, match=match):
            log.append([rate("ann", "film", 5.0)])
        assert list(log.records()) == kept
    for read_only in (False, True):
        with pytest.raises(StoreError, match=match):
            LabelLog.open(path, read_only=read_only)


def test_the_schema_of_a_version_stays_as_it_is() -> None:
    known = {
        5: "26e4bd6a40a0dcd0a020e0ed731b154998f87c7a9cba557277afe0f1ff11e800",
        6: "17480c022109d25216eeb52889e0bc809c1abb5ae1fa600ca644657ae9103569",
        7: "a1d3e3afeab68e313376e3c5f7eb8efd31747fe51e4161d9b57a68b1e06232db",
    }
    for version, table, side in ((5, older.TABLE_5, ()), (6, schema.TABLE, ()), (7, schema.TABLE, schema.SIDE)):
        text = "\n".join((table, *schema.STATEMENTS[1:], *side, schema.ALEMBIC))
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert digest == known[version], "logs of this version are refused now: raise VERSION, and write a revision"


# ---- quarantine


def test_a_row_that_cannot_be_read_is_passed_over_and_listed(log: LabelLog, path: Path) -> None:
    kept = log.append([rate("ann", f"i{number}", 4.0, key=f"k{number}") for number in range(6)])
    deep = "[" * 100_000
    overwrite(
        path,
        f"UPDATE records SET others = '{deep}' WHERE seq = 2",
        "UPDATE records SET others = '[3]' WHERE seq = 3",
        "UPDATE records SET item_id = CAST(x'ff' AS TEXT) WHERE seq = 5",
    )
    assert list(log.records()) == [kept[0], kept[3], kept[5]]
    assert [found.seq for found in log.quarantined()] == [2, 3, 5]
    assert log.quarantined()[1].reason == "ValueError: '[3]' is no list of texts"
    assert log.find("k1") is None and log.find("k3") == kept[3]
    with pytest.raises(StoreError, match=r"^row 2 of the log cannot be read: .* palate store verify$"):
        log.append([rate("ann", "i1", 4.0, key="k1")])
    assert len(log.append([rate("bob", "i1", 4.0)])) == 1
    report = log.verify()
    assert report.first_bad_seq == 2 and [fault.split()[1] for fault in report.faults] == ["2", "3", "5"]


# ---- erasure


def test_of_an_erased_user_nothing_is_left(path: Path) -> None:
    with LabelLog.open(path) as log:
        told = [rate("zoe-of-here", "rare-film", 4.0, key="zoe-1"), rate("zoe-of-here", "rare-film", 2.0, key="zoe-2")]
        others = [rate("bob", "rare-film", 3.0, key="b"), Event("bob", "song", "click", key="e")]
        kept = log.append([told[0], others[0], Attribute("zoe-of-here", "town", "nowhere-at-all"), others[1], told[1]])
        log.retract("zoe-1", retraction_key="zoe-undo")
        receipt = log.erase("zoe-of-here", key="erasure-1")
        assert (receipt.seq, receipt.key, receipt.rows) == (7, "erasure-1", 4)
        assert log.erase("zoe-of-here", key="erasure-1") == receipt
        erasure = log.find("erasure-1")
        assert erasure is not None and isinstance(erasure.content, Erasure) and erasure.content.is_of("zoe-of-here")
        assert not erasure.content.is_of("bob")
        assert list(log.records()) == [kept[1], kept[3], erasure]
        assert (log.verify().is_whole, log.verify().erased) == (True, 4)
        for file in path.parent.iterdir():
            content = file.read_bytes()
            assert not [text for text in (b"zoe", b"nowhere-at-all") if text in content], file.name
        with pytest.raises(AnswerError, match="the key 'b' is taken by another row"):
            log.erase("bob", key="b")
    with LabelLog.open(path) as log:
        assert list(log.records(user_id="bob")) == [kept[1], kept[3]] and list(log.records(user_id="zoe-of-here")) == []


def test_rows_of_an_erased_user_are_refused_until_they_come_back(path: Path, log: LabelLog) -> None:
    log.append([rate("zoe", "film", 4.0, key="k"), rate("bob", "film", 4.0)])
    with LabelLog.open(path) as other:  # of another process: it reads of the erasure with its next write
        log.erase("zoe")
        for sent in (rate("zoe", "film", 4.0, key="k"), Event("zoe", "film"), Attribute("zoe", "age", 3.0)):
            with pytest.raises(ErasedUser, match=r"^the user 'zoe' was erased\. Append a consent of theirs first"):
                other.append([rate("bob", "song", 1.0), sent])
        with pytest.raises(ErasedUser):
            other.append([Consent("zoe", (), "v1")])  # it allows nothing
        other.append([Consent("zoe", ("serve", "ask"), "v2", key="c"), rate("zoe", "film", 2.0, key="again")])
    assert [record.content.key for record in log.records(user_id="zoe")] == ["c", "again"]
    assert log.erase("zoe").rows == 2
    with pytest.raises(ErasedUser):
        log.append([rate("zoe", "film", 1.0)])
    assert log.verify().is_whole


def test_an_erasure_of_another_log_erases_here_too(tmp_path: Path, log: LabelLog) -> None:
    with LabelLog.open(tmp_path / "other.sqlite") as other:
        other.append([rate("zoe", "film", 4.0)])
        other.erase("zoe")
        rows = list(other.records())
    log.append([rate("zoe", "film", 4.0), rate("bob", "film", 4.0)])
    (kept,) = log.append([row.content for row in rows])
    assert isinstance(kept.content, Erasure) and kept.content.rows == 1
    assert log.append([row.content for row in rows]) == [kept]
    assert [record.user_id for record in log.records()] == ["bob", ""]
    with pytest.raises(ErasedUser):
        log.append([rate("zoe", "film", 4.0)])
    with pytest.raises(AnswerError, match="an erasure cannot be retracted"):
        log.retract(kept.content.key)


ERASED = dict.fromkeys(("user_id", "item_id", "kind", "value", "source", "question", "form"), "NULL")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"recorded_at": "recorded_at + 1"},
        {"key": "'other'"},
        {"digest": "x'00'"},
        {"chain": "x'00'"},
        {"erased_by": "1"},
        {"erased_by": "NULL"},
        {"item_id": "'film'"},
        {"salt": "x'00'"},
        {"seq": "seq + 10"},
        {"content": "'label'"},
    ],
)
def test_the_one_change_that_the_table_allows(log: LabelLog, path: Path, change: dict[str, str]) -> None:
    log.append([rate("ann", "film", 4.0)])
    by = log.erase("zoe").seq
    erased = {**ERASED, "others": "NULL", "tapped": "NULL", "salt": "NULL", "content": "'erased'"}
    erased |= {"key": "'erased:' || lower(hex(digest))", "erased_by": str(by)} | change
    statement = f"UPDATE records SET {', '.join(f'{name} = {value}' for name, value in erased.items())} WHERE seq = 1"
    if change:
        with pytest.raises(sqlite3.IntegrityError):
            run_sql(path, statement)
        assert log.verify().is_whole
    else:  # what nobody asked for is seen, as the erasure says how many rows it took
        run_sql(path, statement)
        assert log.verify().faults == (f"row {by} says that 0 rows were erased, and 1 were",)


def test_calibrations_and_consents_come_back_equal(log: LabelLog) -> None:
    sent = [
        Calibration("ann", 0.25, "plot", 3.0, "c"),
        Calibration("ann", 1, key="d"),
        Consent("ann", ("research", "serve"), "v1", key="e"),
    ]
    assert [record.content for record in log.append(sent)] == sent == [record.content for record in log.records()]
    assert isinstance(sent[2], Consent) and sent[2].purposes == ("serve", "research")
    with pytest.raises(
        AnswerError, match="the consent key 'e' is taken: the log holds version 'v1' under it, not 'v2'"
    ):
        log.append([Consent("ann", ("research", "serve"), "v2", key="e")])


# ---- readers

STOPPED = """
import os, signal, sys
from palate import rate
from palate.store.sqlite_log import LabelLog
log = LabelLog.open(sys.argv[1])
log.append([rate("ann", "film", 4.0)])
with log._writing(1e12) as connection:
    print("in the middle", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_reader_waits_for_no_writer_and_leaves_nothing(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", STOPPED, str(path)], env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"in the middle\n"
    try:
        before = path.read_bytes()
        begun = time.monotonic()
        with LabelLog.open(path, read_only=True) as log:
            assert [record.user_id for record in log.records()] == ["ann"]
            assert log.verify().is_whole
            with pytest.raises(StoreError, match=r"was opened to be read only\. Open it anew to write\.$"):
                log.append([rate("ann", "film", 5.0)])
        with LabelLog.open(path, wait_seconds=0.1) as log:
            assert [record.user_id for record in log.records()] == ["ann"]
            with pytest.raises(StoreError, match=rf"has been held by process {writer.pid} for 0\.1 s"):
                log.append([rate("ann", "film", 5.0)])
        assert time.monotonic() - begun < 5  # a writer would wait 30
        assert path.read_bytes() == before and path.with_name("labels.sqlite-wal").stat().st_size
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place]).returncode:
        pytest.skip("a file system can be mounted by root only")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_cannot_be_written_is_read(small_disk: Path) -> None:
    with LabelLog.open(small_disk / "labels.sqlite") as log:
        kept = log.append([rate("ann", "film", 4.0)])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with LabelLog.open(small_disk / "labels.sqlite", read_only=True) as log:
        assert list(log.records()) == kept and log.verify().is_whole
    with LabelLog.open(small_disk / "labels.sqlite") as log:
        assert list(log.records()) == kept
        with pytest.raises(StoreError, match=r"Read-only file system\. Give a folder that is there and writable\.$"):
            log.append([rate("ann", "film", 5.0)])


def test_a_reader_makes_no_file(path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open database file"):
        LabelLog.open(path, read_only=True)
    assert list(path.parent.iterdir()) == []


# ---- threads


def test_threads_that_wait_share_a_commit_and_nobody_is_overtaken(log: LabelLog) -> None:
    """While one commit is held up, others queue; then all of them are one commit, and a bad one fails alone."""
    commits: list[int] = []
    work, held = log._work, threading.Event()

    def slow(jobs: list[Any], deadline: float) -> None:
        commits.append(len(jobs))
        if len(commits) == 1:
            held.wait(10)
        work(jobs, deadline)

    log._group = Group(slow)
    results: dict[int, object] = {}

    def send(number: int) -> None:
        try:
            results[number] = log.append([rate("ann", f"i{number}", 4.0, key=f"k{min(number, 7)}")])[0].seq
        except AnswerError as error:
            results[number] = error

    threads = [threading.Thread(target=send, args=(number,)) for number in range(9)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(log._group._waiting) < number:
            time.sleep(0.001)
    held.set()
    for thread in threads:
        thread.join(10)
    assert commits == [1, 8]
    assert [results[number] for number in range(8)] == list(range(1, 9))
    assert isinstance(results[8], AnswerError)  # its key is that of the one before it in the same commit
    assert log.last_seq == 8


def test_a_group_that_cannot_commit_tells_all_of_them(log: LabelLog, path: Path) -> None:
    run_sql(path, FOREIGN["a table"])
    errors: list[StoreError] = []

    def send(number: int) -> None:
        try:
            log.append([rate("ann", f"i{number}", 4.0)])
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 8
    run_sql(path, "DROP TABLE mine")
    assert log.append([rate("ann", "film", 4.0)])[0].seq == 1
