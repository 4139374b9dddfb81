"""Faults of the service as a whole: lost answers, keys used twice, stops, slow clients, overload, probes, its log."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import http.client
import json
import os
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from palate import rate
from palate.client import AsyncClient, ServiceError
from palate.entities import Answer
from palate.service import tenant as tenant_module
from palate.service.scoring import Call, Scored
from palate.service.settings import Settings
from palate.store.migrations import downgrade
from palate.store.sqlite_log import LabelLog
from tests.served import Process, Served, copied, label, rows_of, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api")) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    limits = {"head_seconds": 1.0, "body_seconds": 1.0, "write_seconds": 1.0, "drain_seconds": 0.5}
    with Process(copied(tmp_path_factory.mktemp("running") / "model"), **limits) as process:
        yield process


def keys_in(folder: Path) -> list[str]:
    return [row.content.key for row in rows_of(folder) if isinstance(row.content, Answer)]


class Proxy:
    """Between client and service: loses some requests before they arrive, and some answers on their way back."""

    def __init__(self, port: int, *, before: float, after: float, rng: random.Random) -> None:
        self._port, self._before, self._after, self._rng = port, before, after, rng
        self.lost = {"request": 0, "answer": 0}

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after another: a body of a stated length each way."""
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                request = await message(reader)
                draw = self._rng.random()
                if draw < self._before:
                    self.lost["request"] += 1
                    return
                back.write(request)
                answer = await message(there)
                if draw < self._before + self._after:
                    self.lost["answer"] += 1
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()
            back.close()


async def message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return head + await reader.readexactly(int(length.partition(b":")[2]))


@pytest.mark.long
def test_API_02_an_answer_that_is_lost_after_the_commit_makes_no_second_label(running: Process) -> None:
    n, seen = 1_000, dict[str, list[int]]()

    async def post(client: AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            row = await client.tell(f"u{number % 50}", "i04", number % 5 + 1, key=f"lost-{number}")
            seen.setdefault(row["key"], []).append(row["seq"])

    async def run() -> Proxy:
        async with Proxy(running.port, before=0.1, after=0.3, rng=random.Random(1)) as proxy:
            options: dict[str, Any] = {
                "rng": random.Random(2),
                "tries": 100,
                "patience_seconds": 600.0,
                "timeout_seconds": 60.0,
            }
            async with AsyncClient(proxy.url, running.key, **options) as client:
                numbers = iter(range(n))
                await asyncio.gather(*(post(client, numbers) for _ in range(16)))
            async with AsyncClient(running.url, running.key) as client:  # the same again, by another way
                for number in range(0, n, 100):
                    await post(client, iter([number]))
        return proxy

    proxy = asyncio.run(run())
    assert proxy.lost["answer"] > 200 and proxy.lost["request"] > 50, (
        proxy.lost
    )  # a proxy that loses nothing shows nothing
    kept = [key for key in keys_in(running.folder) if key.startswith("lost-")]
    assert sorted(kept) == sorted(f"lost-{number}" for number in range(n))
    assert all(len(set(seqs)) == 1 for seqs in seen.values()) and len(seen) == n


def test_API_03_a_key_is_compulsory_and_of_bounded_length(service: Served) -> None:
    missing = {name: value for name, value in label("x").items() if name != "key"}
    for body in (missing, label(""), label("k" * 300), [label("a"), missing]):
        answer = service.call("POST", "/v1/labels", body)
        assert (answer.status_code, answer.json()["error"]["field"].split(".")[-1]) == (400, "key")


def test_API_03_a_key_with_another_content_is_refused_and_the_first_stays(service: Served) -> None:
    assert service.call("POST", "/v1/labels", label("taken", value=4)).status_code == 200
    for other in ({"value": 5}, {"user_id": "bob"}, {"item_id": "i05"}, {"value": None, "kind": "unknown"}):
        answer = service.call("POST", "/v1/labels", label("taken") | other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "key_taken")
    event = {"key": "taken", "user_id": "ann", "item_id": "i04", "event": "click"}
    assert service.call("POST", "/v1/events", event).status_code == 409
    assert [row.content.value for row in service.rows() if row.content.key == "taken"] == [4.0]


def test_API_03_one_key_fifty_times_at_once_is_one_label(service: Served) -> None:
    answers: list[Any] = []
    barrier = threading.Barrier(50)

    def post() -> None:
        barrier.wait()
        answers.append(service.call("POST", "/v1/labels", label("fifty")).json()["labels"])

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({rows[0]["seq"] for rows in answers}) == 1 and len(answers) == 50
    assert [rows[0]["repeated"] for rows in answers].count(False) == 1
    assert [row.content.key for row in service.rows()].count("fifty") == 1


def test_API_03_a_batch_with_bad_rows_leaves_nothing_and_says_which(service: Served) -> None:
    last = service.tenant.seq
    rows = [label(f"thousand-{n}", user_id=f"t{n % 100}") for n in range(1_000)]
    for place, bad in ((0, {"value": 99}), (500, {"item_id": "nowhere"}), (999, {"value": "4"})):
        broken = [row | bad if n == place else row for n, row in enumerate(rows)]
        answer = service.call("POST", "/v1/labels", broken)
        assert answer.status_code in (404, 422) and service.tenant.seq == last
        assert answer.json()["error"]["field"].startswith(f"{place}."), answer.text
    twice = service.call("POST", "/v1/labels", [label("in-batch"), label("in-batch")]).json()["labels"]
    assert [row["repeated"] for row in twice] == [False, True] and twice[0]["seq"] == twice[1]["seq"]


def test_API_03_a_kill_in_mid_batch_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    """And a stop in mid-work loses nothing that was acknowledged (API-04): one service, killed, then stopped."""
    folder, acknowledged = copied(tmp_path / "model"), set[str]()
    with Process(folder) as process:

        def post() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
            for batch in range(10_000):
                rows = [label(f"kill-{batch}-{n}", user_id=f"u{n}") for n in range(200)]
                headers = {"authorization": f"Bearer {process.key}", "content-type": "application/json"}
                try:
                    connection.request("POST", "/v1/labels", json.dumps(rows), headers)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    return
                if answer.status == 200:
                    acknowledged.add(f"kill-{batch}")

        posting = threading.Thread(target=post)
        posting.start()
        while len(acknowledged) < 3:
            time.sleep(0.01)
        time.sleep(random.Random(3).random() * 0.2)
        process.kill()
        posting.join()
    counts: dict[str, int] = {}
    for key in keys_in(folder):
        batch = key.rpartition("-")[0]
        counts[batch] = counts.get(batch, 0) + 1
    assert set(counts.values()) == {200} and acknowledged <= set(counts)


def test_API_05_slow_clients_are_dropped_and_others_are_served(running: Process) -> None:
    before = running.open_files()
    slow_heads = [running.connect() for _ in range(40)]
    slow_bodies = [running.connect() for _ in range(10)]
    silent = [running.connect() for _ in range(10)]
    given = request_head(running, "POST /v1/labels", "content-type: application/json\r\ncontent-length: 1000\r\n")
    for one in slow_bodies:
        one.sendall(given + b"{")
    until = time.monotonic() + 30.0
    waiting = [*slow_heads, *slow_bodies, *silent]
    while waiting and time.monotonic() < until:
        for one in slow_heads:
            with contextlib.suppress(OSError):
                one.send(b"G")
        assert running.get("/livez")[0] == 200
        waiting = [one for one in waiting if not is_closed(one)]
        time.sleep(0.2)
    assert waiting == []
    for one in (*slow_heads, *slow_bodies, *silent):
        one.close()
    time.sleep(0.5)
    assert running.open_files() <= before + 2


def request_head(process: Process, line: str, more: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {process.key}\r\n{more}\r\n".encode()


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(65_536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_API_05_a_reader_that_stops_is_dropped(running: Process) -> None:
    """Pipelined lists that nobody reads fill the connection; then it is cut."""
    reader = running.connect()
    request = request_head(running, "GET /v1/users/ann/recommendations?k=40")
    reader.settimeout(1.0)
    begun, cut = time.monotonic(), False
    while time.monotonic() - begun < 60.0 and not cut:
        try:
            reader.sendall(request * 100)
        except TimeoutError:
            time.sleep(0.2)
        except OSError:
            cut = True
        assert running.get("/livez")[0] == 200
    reader.close()
    assert cut


def test_API_06_lists_are_shed_and_labels_are_not(tmp_path: Path) -> None:
    with served(tmp_path, Settings(threads=1, waiting_scores=2, wait_seconds=5.0)) as service:
        go, statuses = threading.Event(), list[tuple[int, str]]()
        scoring = service.tenant.scoring

        class Slow:
            fault, refresh = "", staticmethod(lambda: None)

            def answer(self, call: Call) -> Scored:
                go.wait(60.0)
                return Scored(b'"items":[]}', 0)

        service.tenant.scoring = Slow()

        def ask(user: int) -> None:
            answer = service.call("GET", f"/v1/users/shed{user}/recommendations")
            statuses.append((answer.status_code, answer.headers.get("retry-after", "")))

        threads = [threading.Thread(target=ask, args=(user,)) for user in range(12)]
        for thread in threads:
            thread.start()
        while len(statuses) < 9:
            time.sleep(0.01)
        assert set(statuses) == {(503, "1")}  # one works, two wait, the others are told to come again
        rows = service.call("POST", "/v1/labels", [label(f"shed-{n}") for n in range(100)])
        assert rows.status_code == 200 and service.rows()[-1].content.key == "shed-99"
        go.set()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in statuses) == [200] * 3 + [503] * 9
        service.tenant.scoring = scoring
        assert service.call("GET", "/v1/users/shed99/recommendations").status_code == 200


def test_API_06_a_quarter_of_the_connections_is_for_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, Settings(connections=8, wait_seconds=60.0)) as service:
        go, statuses = threading.Event(), list[int]()
        shown = Scored(b'"items":[]}', 0)
        monkeypatch.setattr(type(service.tenant.scoring), "answer", lambda *_: [go.wait(60.0), shown][1])

        def ask(user: int) -> None:
            statuses.append(service.call("GET", f"/v1/users/ann/recommendations?k={user + 1}").status_code)

        threads = [threading.Thread(target=ask, args=(user,)) for user in range(12)]
        for thread in threads:
            thread.start()
        while len(statuses) < 6:
            time.sleep(0.01)
        assert statuses == [503] * 6  # six are inside
        assert service.call("POST", "/v1/labels", label("in a crowd")).status_code == 200
        go.set()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] * 6 + [503] * 6


def test_API_06_labels_that_find_no_room_are_told_to_come_again(tmp_path: Path) -> None:
    with served(tmp_path, Settings(waiting_labels=10)) as service, held(service.folder):
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda n=n: answers.append(service.call("POST", "/v1/labels", label(f"r{n}")).status_code)
            )
            for n in range(15)
        ]
        for thread in threads:
            thread.start()
        while answers.count(503) < 5:
            time.sleep(0.01)
        assert set(answers) == {503}
        release(service.folder)
        for thread in threads:
            thread.join()
        assert answers.count(200) == 10 and len(service.rows()) == 10


_HELD: dict[Path, Any] = {}


class held:  # noqa: N801 - reads as a word
    """The write turn of a log, held by somebody else until the block ends or it is released."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        descriptor = os.open(self._folder / "labels.sqlite-lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        database = sqlite3.connect(self._folder / "labels.sqlite", isolation_level=None, check_same_thread=False)
        database.execute("BEGIN IMMEDIATE")
        _HELD[self._folder] = descriptor, database

    def __exit__(self, *_error: object) -> None:
        release(self._folder)


def release(folder: Path) -> None:
    descriptor, database = _HELD.pop(folder, (None, None))
    if database is not None:
        database.execute("ROLLBACK")
        database.close()
        os.close(descriptor)


def ready(service: Served, purpose: str = "") -> tuple[int, list[str]]:
    answer = service.call("GET", f"/readyz{purpose and f'?for={purpose}'}", key=None)
    assert service.call("GET", "/livez", key=None).status_code == 200
    return answer.status_code, answer.json()["reasons"]


def test_API_07_probes_tell_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_module, "SLOW_SECONDS", 0.2)
    with served(tmp_path) as service:
        assert ready(service) == (200, [])

        with held(service.folder):
            posting = threading.Thread(target=service.call, args=("POST", "/v1/labels", label("slow")))
            posting.start()
            time.sleep(0.5)
            assert ready(service, "labels") == (503, ["labels: the write lock is held"])
            assert ready(service, "scoring") == (200, [])
            assert service.call("GET", "/v1/users/ann/recommendations").status_code == 200
        posting.join()
        assert ready(service) == (200, [])

        with monkeypatch.context() as full:
            full.setattr(tenant_module.shutil, "disk_usage", lambda _: (1, 1, 0)[:2] and type("U", (), {"free": 0}))
            assert ready(service, "labels") == (503, ["labels: the disk is nearly full"])
            assert ready(service, "scoring") == (200, [])
        with monkeypatch.context() as read_only:
            read_only.setattr(tenant_module.os, "access", lambda *_: False)  # root may write anywhere
            assert ready(service, "labels") == (503, ["labels: the folder is read-only"])
        assert ready(service) == (200, [])

        config = service.folder / "config.json"
        config.rename(tmp_path / "config.json")
        until = time.monotonic() + 20.0
        while ready(service, "scoring")[0] == 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert ready(service, "scoring") == (503, ["scoring: StoreError"])
        (tmp_path / "config.json").rename(config)
        while ready(service)[0] == 503 and time.monotonic() < until:
            time.sleep(0.05)
        assert ready(service) == (200, [])
        assert service.call("GET", "/readyz?for=tea", key=None).status_code == 422


def test_API_07_a_migration_that_is_pending_is_named_until_it_is_done(tmp_path: Path) -> None:
    """The log of a service that runs goes back to the version before, as an operator may do it, and forth again."""
    with served(tmp_path) as service:
        service.tenant.recommender.tell(rate("ann", "i04", 4.0, key="before"))  # what that version can keep
        path = service.folder / "labels.sqlite"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as operator:
            operator.execute("BEGIN IMMEDIATE")
            downgrade(operator, 4)
            operator.execute("COMMIT")
        until = time.monotonic() + 30.0
        while len(ready(service)[1]) < 2 and time.monotonic() < until:  # before anybody sends a label
            time.sleep(0.05)
        assert ready(service) == (503, ["labels: a migration is pending", "scoring: a migration is pending"])
        assert service.call("POST", "/v1/labels", label("meanwhile")).status_code == 503
        assert ready(service, "labels") == (503, ["labels: a migration is pending"])
        shown = service.call("GET", "/v1/users/bob/recommendations?k=3")
        assert shown.status_code == 200 and len(shown.json()["items"]) == 3  # of what it had read
        LabelLog.open(path).close()  # moves it
        while ready(service)[0] == 503 and time.monotonic() < until:
            time.sleep(0.05)
        assert ready(service) == (200, [])
        assert service.call("POST", "/v1/labels", label("after")).status_code == 200
        assert keys_in(service.folder) == ["before", "after"]


HOSTILE = ["\x1b[2J", "\r\nlevel: info", '{"half', "\u202e", "x" * 100_000]


def test_API_09_the_log_is_one_object_a_line_whatever_is_sent(service: Served) -> None:
    before = len(service.lines)
    for text in HOSTILE:
        short = text[:2_000]
        service.call("GET", f"/v1/users/{quote(short)}/profile")
        service.call("POST", "/v1/labels", label("x", user_id=text, text=text))
        if text.isascii() and text.isprintable():
            service.call("GET", "/livez", key=None, headers={"user-agent": short, "x-request-id": short})
    raw = service.log.getvalue()
    assert "\x1b" not in raw and "\u202e" not in raw and "x" * 201 not in raw
    assert len(service.lines) >= before + 2 * len(HOSTILE)
    assert all({"time", "level", "event"} <= set(line) for line in service.lines)
    assert all(len(line) < 2_000 for line in raw.splitlines())


@pytest.mark.parametrize("layer", ["answer", "tell", "see"])
def test_API_09_what_nobody_had_foreseen_leaks_nothing(
    service: Served, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("SELECT secret FROM records WHERE path = '/srv/model'")

    monkeypatch.setattr(type(service.tenant), layer, fail)
    answer = {
        "answer": lambda: service.call("GET", "/v1/users/ann/recommendations"),
        "tell": lambda: service.call("POST", "/v1/labels", label("l")),
        "see": lambda: service.call(
            "POST", "/v1/events", {"key": "l", "user_id": "a", "item_id": "i04", "event": "click"}
        ),
    }[layer]()
    fault = answer.json()["error"]
    assert (answer.status_code, fault["code"]) == (500, "internal")
    assert fault["request_id"] == answer.headers["x-request-id"] == service.lines[-1]["request_id"]
    assert "SELECT" not in answer.text + service.log.getvalue() and "/srv" not in answer.text
    assert service.lines[-2]["kind"] == "RuntimeError" and service.lines[-2]["places"]


def test_API_04_a_stop_under_load_loses_nothing(running: Process) -> None:
    """The last test on this service: it stops it."""
    acknowledged, refused, first_no = set[str](), list[Exception](), list[float]()

    async def post(client: AsyncClient, name: int) -> None:
        for number in range(100_000):
            try:
                row = await client.tell(f"u{name}", "i04", 3, key=f"stop-{name}-{number}")
            except ServiceError as error:
                refused.append(error)
                return
            acknowledged.add(row["key"])

    async def watch() -> None:
        while not first_no:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            if b"503" in (await reader.read())[:20]:
                first_no.append(time.monotonic())
            writer.close()

    async def run() -> float:
        async with AsyncClient(running.url, running.key, tries=1) as client:
            posting = [asyncio.create_task(post(client, name)) for name in range(64)]
            while len(acknowledged) < 64:
                await asyncio.sleep(0.05)
            running.process.terminate()
            begun = time.monotonic()
            await asyncio.wait_for(watch(), 30.0)
            await asyncio.gather(*posting)
        return begun

    begun = asyncio.run(run())
    assert running.stop(30.0) == 0
    assert time.monotonic() - begun < 30.0 and first_no[0] - begun < 5.0
    assert len(refused) == 64 and all(error.status == 0 for error in refused if isinstance(error, ServiceError)), {
        str(error) for error in refused
    }
    assert acknowledged <= set(keys_in(running.folder))
    assert '"stopped"' in running.log.read_text()
