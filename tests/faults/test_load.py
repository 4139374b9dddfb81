"""More load than a service can carry, and clients that are slow. What takes minutes is run by `make test-long`."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.served import Process, copied, label, rows_of

LONG = pytest.mark.long
Answer = tuple[int, bool, float]  # status, whether it says when to come again, seconds


def request_of(process: Process, method: str, path: str, body: Any = None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {process.key}\r\nconnection: close\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


async def send(process: Process, request: bytes) -> Answer:
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    try:
        writer.write(request)
        answer = await reader.read()
    finally:
        writer.close()
    return int(answer[9:12]), b"retry-after:" in answer.partition(b"\r\n\r\n")[0].lower(), time.monotonic() - begun


async def open_loop(process: Process, make: Callable[[int], bytes], rate: float, seconds: float) -> list[Answer]:
    """So many requests a second, whether or not those before were answered."""
    begun, sent = time.monotonic(), list[asyncio.Task[Answer]]()
    while (elapsed := time.monotonic() - begun) < seconds:
        while len(sent) < rate * elapsed:
            sent.append(asyncio.create_task(send(process, make(len(sent)))))
        await asyncio.sleep(0.005)
    return list(await asyncio.gather(*sent))


def gauge(process: Process, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", process.get("/metrics")[1].decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


@pytest.mark.parametrize("seconds", [4.0, pytest.param(60.0, marks=LONG)])
def test_API_06_four_times_the_load_sheds_questions_and_no_label(tmp_path: Path, seconds: float) -> None:
    folder = copied(tmp_path / "model")
    with Process(folder, calls_per_second=1e9, log_requests=False, waiting_scores=16) as process:

        def question(number: int, of: str) -> bytes:  # of somebody new: worked out each time
            return request_of(process, "GET", f"/v1/users/{of}{number}/questions?k=20")

        def one_label(number: int) -> bytes:
            return request_of(process, "POST", "/v1/labels", label(f"load-{number}", user_id=f"u{number % 50}"))

        async def capacity(of: str, n: int = 100) -> float:
            begun, numbers = time.monotonic(), iter(range(n))
            await asyncio.gather(*(_closed(process, (question(one, of) for one in numbers)) for _ in range(4)))
            return n / (time.monotonic() - begun)

        async def overload(rate: float) -> tuple[list[Answer], list[Answer], list[float]]:
            waiting = list[float]()

            async def watch() -> None:
                while True:
                    waiting.append(await asyncio.to_thread(gauge, process, 'palate_waiting{lane="lists"}'))
                    await asyncio.sleep(0.2)

            watching = asyncio.create_task(watch())
            asked, told = await asyncio.gather(
                open_loop(process, lambda n: question(n, "new"), rate, seconds),
                open_loop(process, one_label, 20.0, seconds),
            )
            watching.cancel()
            return asked, told, waiting

        asyncio.run(capacity("warm"))
        per_second, files, memory = asyncio.run(capacity("one")), process.open_files(), process.memory()
        asked, told, waiting = asyncio.run(overload(4.0 * per_second))
        counts = Counter(status for status, _, _ in asked)
        took = f"p99 of accepted {p99(asked):.2f} s, of labels {p99(told):.2f} s"
        print(f"capacity {per_second:.0f}/s; {dict(counts)}; {took}")
        assert set(counts) <= {200, 429, 503} and min(counts[200], counts[429] + counts[503]) > 10, counts
        assert all(comes_again for status, comes_again, _ in asked if status != 200)
        assert {status for status, _, _ in told} == {200} and len(told) >= 15 * seconds
        assert max(waiting) <= 17
        assert process.memory() - memory < 100 << 20
        until = time.monotonic() + 60.0
        calm = 0
        while calm < 20 and time.monotonic() < until:  # and after it all is as before
            calm = calm + 1 if asyncio.run(send(process, question(calm, "calm")))[0] == 200 else 0
        assert calm == 20
        while process.open_files() > files + 2 and time.monotonic() < until:
            time.sleep(0.1)
        assert process.open_files() <= files + 2 and gauge(process, 'palate_waiting{lane="lists"}') == 0
        assert sum(row.content.key.startswith("load-") for row in rows_of(folder)) == len(told)


async def _closed(process: Process, requests: Any) -> None:
    for request in requests:
        await send(process, request)


def p99(answers: list[Answer]) -> float:
    return float(np.quantile([seconds for status, _, seconds in answers if status == 200], 0.99))


@pytest.mark.long
@pytest.mark.parametrize("seconds", [3.0, pytest.param(120.0, marks=LONG)])
def test_API_06_what_is_learnt_keeps_up_with_ten_times_the_events(tmp_path: Path, seconds: float) -> None:
    folder = copied(tmp_path / "model")
    with Process(folder, calls_per_second=1e9, log_requests=False) as process:

        def events(number: int) -> bytes:
            of = {"user_id": f"u{number % 50}", "item_id": f"i{number % 40 + 1:02}", "event": "click"}
            return request_of(process, "POST", "/v1/events", [of | {"key": f"e{number}-{n}"} for n in range(10)])

        told = asyncio.run(open_loop(process, events, 20.0, seconds))
        assert {status for status, _, _ in told} == {200} and len(told) >= 15 * seconds
        until = time.monotonic() + 30.0
        while gauge(process, "palate_log_seq") < 10 * len(told) and time.monotonic() < until:
            time.sleep(0.05)
        assert gauge(process, "palate_log_seq") == 10 * len(told) == len(rows_of(folder))
        assert gauge(process, 'palate_waiting{lane="labels"}') == 0
        shown = json.loads(process.get("/v1/users/u7/recommendations?k=5")[1])
        assert shown["seq"] == 10 * len(told) and shown["items"]


@pytest.mark.parametrize(("sockets", "rows"), [(60, 15_000), pytest.param(500, 60_000, marks=LONG)])
def test_API_05_slow_clients_hold_up_nobody(tmp_path: Path, sockets: int, rows: int) -> None:
    """One byte of a header a second, and readers who stop in the middle of a big export."""
    limits = {"head_seconds": 4.0, "body_seconds": 4.0, "write_seconds": 2.0, "calls_per_second": 1e9}
    with Process(copied(tmp_path / "model"), log_requests=False, **limits) as process:
        of = {"user_id": "big", "item_id": "i04", "event": "click"}
        for first in range(0, rows, 1_000):
            status, _ = process.call("POST", "/v1/events", [of | {"key": f"e{first + n}"} for n in range(1_000)])
            assert status == 200
        ping = request_of(process, "GET", "/livez")

        async def pings(seconds: float) -> list[Answer]:
            found, until = list[Answer](), time.monotonic() + seconds
            while time.monotonic() < until:
                found.append(await send(process, ping))
                await asyncio.sleep(0.01)
            return found

        whole = len(process.get("/v1/users/big/export")[1])
        alone, files = p99(asyncio.run(pings(2.0))), process.open_files()
        readers = [_connected(process, 4_096) for _ in range(3)]
        for reader in readers:
            reader.sendall(request_of(process, "GET", "/v1/users/big/export"))
        slow = [_connected(process) for _ in range(sockets)]

        async def drip() -> list[Answer]:
            found, left, until = list[Answer](), set(slow), time.monotonic() + 60.0
            while left and time.monotonic() < until:
                for one in list(left):
                    try:
                        one.send(b"G")
                    except OSError:
                        left.discard(one)
                found += await pings(1.0)
            assert not left, "slow clients were not dropped"
            return found

        beside = asyncio.run(drip())
        print(f"p99 of others alone {alone:.4f} s, beside {sockets} slow clients {p99(beside):.4f} s")
        assert {status for status, _, _ in beside} == {200}
        assert p99(beside) <= max(2.0 * alone, 1.0)
        until = time.monotonic() + 60.0
        while process.open_files() > files and time.monotonic() < until:
            time.sleep(0.2)
        assert process.open_files() <= files
        for reader in readers:
            assert len(_rest(reader)) < whole, "the export was not cut off"
            reader.close()
        for one in slow:
            one.close()


def _connected(process: Process, buffer: int = 0) -> socket.socket:
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect(("127.0.0.1", process.port))
    return connection


def _rest(connection: socket.socket) -> bytes:
    found = b""
    try:
        while data := connection.recv(1 << 16):
            found += data
    except OSError:
        return found
    return found
