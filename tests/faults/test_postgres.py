"""Faults of the log in PostgreSQL: a server that stops hard, is set unsafely, or loses its clients at a commit."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

import palate
from palate import Recommender
from palate.datasets import planted_world
from palate.entities import Answer, AnswerKind
from palate.errors import ErasedUser, IdError, StoreBusy, StoreError
from palate.exchange.dump import dump
from palate.exchange.load import Loaded, load
from palate.records import Attribute, Event, rate
from palate.store.copying import copy_rows
from palate.store.open_store import open_store
from palate.store.postgres_log import PostgresLog
from palate.store.schema import VERSION
from palate.store.sql_log import SqlLog
from palate.store.sqlite_log import LabelLog
from tests.postgres import Postgres

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}
LONG = pytest.mark.long


@pytest.fixture(params=["sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLog]:
    """A log on each database."""
    is_sqlite = request.param == "sqlite"
    with open_store(tmp_path / "l.sqlite" if is_sqlite else request.getfixturevalue("postgres").schema()) as log:
        yield log


# --- IN-02 --------------------------------------------------------------------------------------------

REFUSED = ("a\0b", "\ud800", "\udc80x", "x" * 1_000_000, "é" * 129, "a\u202eb", "a\u200bb", "\ufeff", "", " ")
TAKEN = (
    "\u00e9",
    "\u0430nn",
    "ann",
    "a\u00a0b",
    "日本",
    "'; DROP TABLE records; --",
    "%s",
    "x" * 256,
    "😀" * 64,
    "=1+1",
)


def test_IN_02_text_that_breaks_stores(log: SqlLog, tmp_path: Path) -> None:
    for bad in REFUSED:
        for arguments in ((bad, "film"), ("ann", bad)):
            with pytest.raises(IdError):
                log.append([Answer(*arguments, AnswerKind.UNKNOWN)])
    assert list(log.records()) == []
    log.append([Answer(text, text, AnswerKind.UNKNOWN, source=text, key=text) for text in TAKEN])
    notes = (*TAKEN, "a\u202eb\u200b\r\n\t", "")
    log.append([Attribute("ann", "note", text, f"note {number}") for number, text in enumerate(notes)])
    assert log.append([Answer(" e\u0301 ", "e\u0301", AnswerKind.UNKNOWN, source="\u00e9", key="e\u0301")])[0].seq == 1
    kept = [record.content for record in log.records()]
    told = [(a.user_id, a.item_id, a.source, a.key) for a in kept if isinstance(a, Answer)]
    assert told == [(text,) * 4 for text in TAKEN]
    for format in ("jsonl", "csv"):
        dump(log, tmp_path / format, format)
        with LabelLog.open(tmp_path / f"{format}.sqlite") as again:
            assert load(tmp_path / format, again, format, rejects=tmp_path / "r.csv") == Loaded(added=len(kept))
            assert [record.content for record in again.records()] == kept


# --- ST-09 --------------------------------------------------------------------------------------------

# Copies, and kills itself when it has copied so many rows.
MOVE = """
import os, signal, sys
from palate.store import copying, sql_log
from palate.store.open_store import open_store
source, target, rows = sys.argv[1:]
def progress(done):
    if done >= int(rows): os.kill(os.getpid(), signal.SIGKILL)
with open_store(source, read_only=True) as old, open_store(target) as new:
    copying.copy_rows(old, new, progress=progress)
"""
BOUNDS = (2.0**63, -(2.0**63), 2.0**53 + 2, 5e-324, 1.7976931348623157e308, 0.1 + 0.2)
MICROSECONDS = 1_795_942_627.123457


def _full(path: Path, rows: int) -> None:
    with LabelLog.open(path) as log:
        log.append([Answer(text, text, AnswerKind.UNKNOWN, key=text, asked_at=MICROSECONDS) for text in TAKEN])
        log.append([rate("ann", "film", bound, key=repr(bound)) for bound in BOUNDS])
        for start in range(0, rows, 5_000):
            many = range(start, min(rows, start + 5_000))
            log.append([rate(f"u{number % 97}", f"i{number}", 4.0, key=f"k{number}") for number in many])
        log.retract("k1", retraction_key="undone")
        log.erase("u5")


@pytest.mark.parametrize("rows", [5_500, pytest.param(100_000, marks=LONG)])
def test_ST_09_moving_to_postgres(postgres: Postgres, tmp_path: Path, rows: int) -> None:
    source, target = tmp_path / "labels.sqlite", postgres.schema()
    _full(source, rows)
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    for turn in range(1, 6):
        command = [sys.executable, "-c", MOVE, str(source), target, str(turn * rows // 6)]
        assert subprocess.run(command, env=ENVIRONMENT, timeout=600).returncode == -signal.SIGKILL
    with open_store(source, read_only=True) as old, open_store(target) as new:
        done = copy_rows(old, new)
        assert 0 < done.new < done.rows == old.last_seq
        assert list(new.records()) == list(old.records())
        assert new.verify() == old.verify() and new.verify().is_whole
        assert new.sealed(0, 10_000) == old.sealed(0, 10_000)
        again = copy_rows(old, new)
        assert (again.new, again.chain, again.rows) == (0, done.chain, done.rows)
        assert new.append([rate("u1", "i98", 4.0, key="k98")])[0] == old.find("k98")
        with pytest.raises(ErasedUser):
            new.append([rate("u5", "i1", 4.0)])
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before


def test_ST_09_an_erasure_after_an_interrupted_move_is_moved_too(postgres: Postgres, tmp_path: Path) -> None:
    _full(tmp_path / "labels.sqlite", 500)
    with LabelLog.open(tmp_path / "labels.sqlite") as old, open_store(postgres.schema()) as new:
        copy_rows(old, new)
        old.erase("u7")
        copy_rows(old, new)
        assert new.verify() == old.verify() and new.verify().is_whole
        assert list(new.records(user_id="u7")) == []
    with LabelLog.open(tmp_path / "other.sqlite") as other, open_store(postgres.schema()) as new:
        new.append([rate("ann", "film", 4.0)])
        other.append([rate("ann", "film", 4.0)])
        with pytest.raises(StoreError, match="row 1 of the target is another"):
            copy_rows(other, new)


# --- ST-10 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [3, pytest.param(30, marks=LONG)])
def test_ST_10_a_server_that_stops_hard_loses_nothing(postgres: Postgres, stops: int) -> None:
    url, acknowledged, done = postgres.schema(), [set[str]() for _ in range(4)], threading.Event()

    def write(name: int) -> None:
        number = 0
        with open_store(url) as log:
            while not done.is_set():
                keys = [f"{name}-{number}-{part}" for part in range(3)]
                with suppress(StoreError):  # sent again under the same keys
                    log.append([rate("ann", "film", 4.0, key=key) for key in keys])
                    acknowledged[name] |= set(keys)
                    number += 1

    open_store(url).close()
    chance = random.Random(0)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, name) for name in range(4)]
        try:
            for _ in range(stops):
                enough = sum(map(len, acknowledged)) + 30
                while sum(map(len, acknowledged)) < enough:
                    time.sleep(chance.uniform(0.0, 0.02))
                postgres.stop(immediately=True)
                postgres.start()
        finally:
            done.set()
        for writer in writers:
            writer.result()
    with open_store(url) as log:
        stored = [record.content.key for record in log.records()]
        assert log.verify().is_whole
    assert len(stored) == len(set(stored)) and len(stored) % 3 == 0
    assert set().union(*acknowledged) <= set(stored)


def test_ST_10_unsafe_settings_are_refused(postgres: Postgres) -> None:
    url = postgres.schema()
    with open_store(url) as log:
        kept = log.append([rate("ann", "film", 4.0)])
    with pytest.raises(StoreError, match=r"has synchronous_commit = off: a crash may lose labels"):
        open_store(url + quote(" -c synchronous_commit=off", safe=""))
    for name in ("fsync", "full_page_writes"):
        try:
            postgres.set(name, "off")
            with pytest.raises(StoreError, match=f"has {name} = off"):
                open_store(url)
        finally:
            postgres.set(name, None)
    with open_store(url) as log:
        assert list(log.records()) == kept


def test_ST_10_a_standby_decides_nothing(postgres: Postgres) -> None:
    url = postgres.schema()
    with open_store(url) as log, postgres.standby() as follower:
        kept = log.append([rate("ann", "film", 4.0)])
        with pytest.raises(StoreError, match="is a standby, which lags behind"):
            open_store(follower.of(url))
        with open_store(follower.of(url), read_only=True) as late:
            deadline = time.monotonic() + 60
            while list(late.records()) != kept:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with pytest.raises(StoreError, match="was opened to be read"):
                late.append([rate("ann", "film", 4.0)])


# --- ST-11 --------------------------------------------------------------------------------------------


class Proxy:
    """Between clients and the server; of some commits it cuts the connection before they are sent on, or right after.

    Args:
        cut: How often of ten.
    """

    def __init__(self, server: Path, cut: int) -> None:
        self._server, self._cut, self._chance = server, cut, random.Random(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = {"before": 0, "after": 0}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                cut = is_client and b"COMMIT\0" in data and self._chance.random() * 10 < self._cut
                if cut and self._chance.random() < 0.25:
                    self.cuts["before"] += 1
                    break
                target.sendall(data)
                if cut:
                    self.cuts["after"] += 1
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


@contextmanager
def proxied(postgres: Postgres, url: str, cut: int) -> Iterator[tuple[str, Proxy]]:
    proxy = Proxy(postgres.socket, cut)
    try:
        options = url.partition("&options=")[2]
        at = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        yield f"{at}?sslmode=disable&gssencmode=disable&options={options}", proxy
    finally:
        proxy.close()


@pytest.mark.parametrize("labels", [60, pytest.param(1_000, marks=LONG)])
def test_ST_11_a_commit_in_doubt_is_looked_up(postgres: Postgres, labels: int) -> None:
    url = postgres.schema()
    with proxied(postgres, url, cut=3) as (through, proxy), open_store(through) as log:
        for number in range(labels):
            (record,) = log.append([rate("ann", f"i{number}", 4.0, key=f"k{number}")])
            assert log.append([rate("ann", f"i{number}", 4.0, key=f"k{number}")]) == [record]
        undone = [log.retract(f"k{number}") for number in range(labels // 5)]
    assert min(proxy.cuts.values()) > 0 and sum(proxy.cuts.values()) > labels // 5  # else it is not looking
    with open_store(url) as log:
        stored = list(log.records())
        assert [record.content.key for record in stored[:labels]] == [f"k{number}" for number in range(labels)]
        assert stored[labels:] == undone
        assert log.verify().is_whole


# --- ST-08 --------------------------------------------------------------------------------------------

# Moves a schema to a revision, in children that each die before another statement; one that is not killed says how many
# there were.
MOVE_TO = """
import os, signal, sys
import psycopg, sqlalchemy
from palate.store.migrations import migrate
left, seen = 10**9, 0
def before(function):
    def call(*args, **options):
        global left, seen
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left, seen = left - 1, seen + 1
        return function(*args, **options)
    return call
def move(url, revision):
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        migrate(connection, revision, down=revision == "0004")
psycopg.Cursor.execute = before(psycopg.Cursor.execute)
psycopg.Connection.commit = before(psycopg.Connection.commit)
url, revision, *points = sys.argv[1:]
for point in points:
    child = os.fork()
    if child == 0:
        try:
            left = int(point)
            move(url, revision)
            print(seen, flush=True)
            os._exit(0)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


WHOLE = 10**9  # a point that is never reached


def _moved(url: str, revision: str, *points: int) -> list[int]:
    command = [sys.executable, "-c", MOVE_TO, url, revision, *map(str, points)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert not done.returncode and "Traceback" not in done.stderr, done.stderr
    return [int(line) for line in done.stdout.split()]


def _hash(postgres: Postgres, url: str) -> str:
    """Of everything that the schema holds."""
    schema = url.rpartition("%3D")[2]
    tables = postgres.execute(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1")
    rows = [postgres.execute(f"SELECT t::text FROM {schema}.{table} t ORDER BY 1") for (table,) in tables]
    return hashlib.sha256(repr((tables, rows)).encode()).hexdigest()


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=LONG)])
def test_ST_08_every_revision_up_down_up_and_killed(postgres: Postgres, kills: int) -> None:
    """A revision is one transaction: a process that dies leaves the one before, and the next goes all the way."""
    url, other, moves = postgres.schema(), postgres.schema(), ("0005", "0004", "0005")
    states = dict[str, str]()
    for revision in moves:
        total, code = _moved(other, revision, WHOLE)
        assert code == 0 and total > 8
        before, steps = _hash(postgres, url), {round(total * (number + 0.5) / kills) for number in range(kills)}
        codes = _moved(url, revision, *(step for step in steps if step < total))
        assert set(codes) == {-signal.SIGKILL} and _hash(postgres, url) == before
        assert _moved(url, revision, WHOLE)[1] == 0
        assert states.setdefault(revision, _hash(postgres, url)) == _hash(postgres, url) != before
    with open_store(url) as log:
        log.append([rate(f"u{number % 5}", f"i{number}", 4.0, key=f"k{number}") for number in range(300)])
        log.erase("u3")
        kept, report = log.sealed(), log.verify()
    full = _hash(postgres, url)
    assert _moved(url, "0004", WHOLE) == [1]  # there is nowhere to put the rows
    assert _moved(url, "0005", WHOLE)[1] == 0 and _hash(postgres, url) == full
    with open_store(url) as log:
        assert log.sealed() == kept and log.verify() == report and report.is_whole


def test_ST_08_another_version_is_refused_and_nothing_is_written(postgres: Postgres) -> None:
    url = postgres.schema()
    schema = f"SET search_path = {url.rpartition('%3D')[2]}"
    with open_store(url) as log:
        log.append([rate("ann", "film", 4.0)])
    for version, told in (
        ("0004", "has version 4, which no Palate has written"),
        (f"{VERSION + 1:04}", f"of version {VERSION + 1}; this Palate"),
    ):
        postgres.execute(f"{schema}; UPDATE alembic_version SET version_num = '{version}'")
        before = _hash(postgres, url)
        for read_only in (False, True):
            with pytest.raises(StoreError, match=told):
                open_store(url, read_only=read_only)
        assert _hash(postgres, url) == before


# --- API-08, PR-01 ------------------------------------------------------------------------------------


def test_API_08_more_writers_than_connections_and_one_that_is_held(postgres: Postgres) -> None:
    with PostgresLog(postgres.schema()) as log, log._connected():  # one is never given back
        with ThreadPoolExecutor(32) as pool:
            kept = list(pool.map(lambda n: log.append([rate("ann", f"i{n}", 4.0, key=f"k{n}")])[0].seq, range(96)))
            read = list(pool.map(lambda _n: log.last_seq, range(64)))
        assert sorted(kept) == list(range(1, 97)) and set(read) == {96}


def test_API_08_a_writer_who_waits_too_long_is_told(postgres: Postgres) -> None:
    url = postgres.schema()
    with PostgresLog(url) as holder, PostgresLog(url, wait_seconds=0.5) as log:
        with holder._writing(time.monotonic() + 60):
            with pytest.raises(StoreBusy, match="another process writes"):
                log.append([rate("ann", "film", 4.0, key="k")])
            assert log.last_seq == 0  # who reads does not wait
        assert log.append([rate("ann", "film", 4.0, key="k")])[0].seq == 1


CANARY = "canary-of-ann-7f3a"


def _hits(folder: Path) -> int:
    return sum(path.read_bytes().count(CANARY.encode()) for path in folder.rglob("*") if path.is_file())


def test_PR_01_an_erased_user_is_in_no_file_of_the_tables(postgres: Postgres) -> None:
    with open_store(postgres.schema()) as log:
        log.append([Attribute(CANARY, "note", f"{CANARY} {number}" * 30, f"{CANARY} {number}") for number in range(50)])
        log.append([Event(CANARY, "film", key="event"), rate("bob", CANARY[::-1], 4.0, key="bob's")])
        postgres.execute("ANALYZE")
        postgres.execute("CHECKPOINT")
        assert _hits(postgres.data / "base") > 50  # else it is not looking
        receipt = log.erase(CANARY)
        assert receipt.rows == 51
        assert [record.content.key for record in log.records()] == ["bob's", receipt.key]
        assert log.verify().is_whole
    postgres.execute("CHECKPOINT")
    assert _hits(postgres.data / "base") == 0


# --- R1 -----------------------------------------------------------------------------------------------

FOREIGN = {
    "a trigger": "CREATE TRIGGER other AFTER INSERT ON records EXECUTE FUNCTION records_grow()",
    "a trigger that is off": "ALTER TABLE records DISABLE TRIGGER records_grow",
    "a function that allows all": "CREATE OR REPLACE FUNCTION records_grow() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RETURN NEW; END$$",
    "a rule": "CREATE RULE other AS ON INSERT TO records DO INSTEAD NOTHING",
    "a column": "ALTER TABLE records ADD COLUMN other text",
    "a policy": "CREATE POLICY other ON records USING (false)",
    "a child": "CREATE TABLE other () INHERITS (records)",
    "a key less": "ALTER TABLE records DROP CONSTRAINT records_key_key",
    "a newer version": "UPDATE alembic_version SET version_num = '9999'",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_ST_05_a_table_that_is_not_as_it_was_made_is_refused(postgres: Postgres, what: str) -> None:
    url = postgres.schema()
    with open_store(url) as log:
        kept = log.append([rate("ann", "film", 4.0)])
        schema = url.rpartition("%3D")[2]
        postgres.execute(f"SET search_path = {schema}; {FOREIGN[what]}")
        told = "of version 9999" if "version" in what else "is not as it was made"
        with pytest.raises(StoreError, match=told):
            open_store(url)
        assert list(log.records()) == kept


def test_ST_05_rows_changed_behind_the_log_are_found(postgres: Postgres) -> None:
    url = postgres.schema()
    with open_store(url) as log:
        log.append([rate("ann", f"i{number}", 4.0) for number in range(9)])
        assert log.verify().is_whole
        change = "ALTER TABLE records {} TRIGGER ALL"
        for fault, statement in (
            (4, "UPDATE records SET value = 5 WHERE seq = 4"),
            (3, "DELETE FROM records WHERE seq = 3"),
        ):
            schema = f"SET search_path = {url.rpartition('%3D')[2]}"
            postgres.execute(f"{schema}; {change.format('DISABLE')}; {statement}; {change.format('ENABLE')}")
            report = log.verify()
            assert not report.is_whole and report.first_bad_seq == (fault if fault == 4 else 4)


def test_ST_05_rows_that_the_server_lost_are_missed(postgres: Postgres, tmp_path: Path) -> None:
    url, head = postgres.schema(), tmp_path / "head"
    with open_store(url, head=head) as log:
        log.append([rate("ann", f"i{number}", 4.0) for number in range(9)])
    with open_store(url) as elsewhere:
        elsewhere.append([rate("ann", "film", 4.0)])  # the head may lag
    with open_store(url, head=head) as log:
        assert log.verify().is_whole
        schema = f"SET search_path = {url.rpartition('%3D')[2]}"
        off, on = (f"ALTER TABLE records {how} TRIGGER ALL" for how in ("DISABLE", "ENABLE"))
        postgres.execute(f"{schema}; {off}; DELETE FROM records WHERE seq > 7; {on}")
        report = log.verify()
        assert (report.is_whole, report.first_bad_seq) == (False, 8)
    with open_store(url) as log:
        assert log.verify().is_whole  # the control: without the head nobody misses them
    with pytest.raises(StoreError, match=r"row 9 of .* is lost"):
        open_store(url, head=head)


TELL = """
import sys
from palate import Recommender, rate
with Recommender.open(sys.argv[1], store=sys.argv[2]) as recommender:
    recommender.tell([rate("ann", f"i{number:02}", 4, key=f"k{number}") for number in range(1, 6)])
    print([item.item_id for item in recommender.recommend("ann", 10)])
"""


def test_processes_on_one_server_agree_without_talking_to_each_other(postgres: Postgres, tmp_path: Path) -> None:
    data = planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset
    folder, url = tmp_path / "model", postgres.schema()
    with Recommender.create(folder, data, encoder="none", store=url) as one:
        before = [item.item_id for item in one.recommend("ann", 10)]
        command = [sys.executable, "-c", TELL, str(folder), url]
        told = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=True).stdout
        after = [item.item_id for item in one.recommend("ann", 10)]
        assert str(after) == told.strip() and after != before
        with Recommender.open(folder, store=url) as two:
            two.undo("ann")
            assert one.recommend("ann", 10) == two.recommend("ann", 10)
            assert one.last_seq == two.last_seq == 6
            one.refit()
            assert one.recommend("ann", 10) == two.recommend("ann", 10)
    assert not (folder / "labels.sqlite").exists()
    assert (folder / "labels-head").read_text().startswith(f"{6:020d} ")
    with pytest.raises(StoreError, match=r"row 6 of .* is lost"):
        Recommender.open(folder, store=postgres.schema())
