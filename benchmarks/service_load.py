"""What the service carries: durable labels, lists and questions a second, beside an empty FastAPI route.

The client is on the same machine. Figures of a busy machine say little; the processor time of the server a call, and
the ratio to the empty route, which is called in turn with each row, say more.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import main
from benchmarks.catalogue_scale import synthetic_learner

ITEMS, DIM, USERS = 100_000, 32, 200
SECONDS, SLICES = 3.0, 5  # of each row, in turn with the empty route
CONNECTIONS, BATCH = 32, 100
OVERLOAD_SECONDS = 15.0

SERVED = """
import json, sys
from pathlib import Path
from palate.service.server import serve
from palate.service.settings import Settings
serve({"default": Path(sys.argv[1])}, Settings(port=0, calls_per_second=1e9, scorers=1))
"""
EMPTY = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
@app.get("/")
async def empty(): return {}
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print('{"event": "serving", "address": "http://127.0.0.1:%d"}' % port, flush=True)
Server(uvicorn.Config(app, port=0, log_level="error", access_log=False, loop="uvloop", http="httptools")).run()
"""


@dataclass
class Server:
    """A process that serves."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu(self) -> float:
        """Seconds of the processor so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes resident."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def server(code: str, *arguments: str) -> Iterator[Server]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments], stdout=out, stderr=out, env=environment
            )
        try:
            yield Server(process, _port(process, log))
        finally:
            process.terminate()
            process.wait(30)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if '"serving"' in line:
                return int(json.loads(line)["address"].rpartition(":")[2])
        time.sleep(0.05)
    raise RuntimeError(log.read_text()[-2_000:])


@dataclass
class Load:
    """What was measured of one kind of call.

    Attributes:
        seconds: Of each answered call, by status.
        cpu: Of the server.
    """

    wall: float = 0.0
    cpu: float = 0.0
    seconds: dict[int, list[float]] = field(default_factory=dict)


async def _called(
    of: Server, request: Callable[[], bytes], connections: int, seconds: float, into: Load, per_second: float = 0.0
) -> None:
    """Closed loop: each connection sends its next call when the last one is answered.

    Args:
        per_second: All connections together send no more; a call that is late for it has waited since it was due.
    """
    start = time.perf_counter()
    until = start + seconds

    async def one(place: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", of.port)
        n = 0
        while (begun := time.perf_counter()) < until:
            if per_second:
                begun, n = start + (place + n * connections) / per_second, n + 1
                await asyncio.sleep(max(0.0, begun - time.perf_counter()))
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            place = head.lower().index(b"content-length:")
            await reader.readexactly(int(head[place + 15 : head.index(b"\r", place)]))
            into.seconds.setdefault(int(head[9:12]), []).append(time.perf_counter() - begun)
        writer.close()

    begun, busy = time.perf_counter(), of.cpu()
    await asyncio.gather(*(one(place) for place in range(connections)))
    into.wall += time.perf_counter() - begun
    into.cpu += of.cpu() - busy


def _row(name: str, ours: list[Load], empty: list[Load], each: int = 1) -> dict[str, Any]:
    """Rates, latencies, and the ratio to the empty route, slice by slice."""
    rates = np.array([each * len(load.seconds.get(200, ())) / load.wall for load in ours])
    base = np.array([len(load.seconds.get(200, ())) / load.wall for load in empty])
    taken = np.concatenate([load.seconds.get(200, [np.nan]) for load in ours])
    calls = sum(map(len, (times for load in ours for times in load.seconds.values())))
    low, high = _interval(rates / base)
    return {
        "what": name,
        "per_second": float(np.median(rates)),
        "p50_ms": 1e3 * float(np.nanmedian(taken)),
        "p99_ms": 1e3 * float(np.nanquantile(taken, 0.99)),
        "cpu_us": 1e6 * sum(load.cpu for load in ours) / max(calls * each, 1),
        "statuses": {
            str(status): sum(len(load.seconds.get(status, ())) for load in ours) for status in _statuses(ours)
        },
        "ratio_to_empty": {"mean": float(np.mean(rates / base)), "low": low, "high": high},
        "empty_per_second": float(np.median(base)),
        "empty_cpu_us": 1e6 * sum(load.cpu for load in empty) / sum(len(load.seconds[200]) for load in empty),
    }


def _statuses(loads: list[Load]) -> list[int]:
    return sorted({status for load in loads for status in load.seconds})


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 %, by Student's t over the slices."""
    from scipy.stats import t

    reach = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


class Calls:
    """The requests, ready to be sent."""

    def __init__(self, key: str) -> None:
        self._head = f"host: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        self._rng, self._number = np.random.default_rng(0), 0

    def _get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode()

    def _user(self) -> str:
        return f"user-{self._rng.integers(USERS)}"

    def recommendations(self) -> bytes:
        return self._get(f"/v1/users/{self._user()}/recommendations?k=10")

    def questions(self) -> bytes:
        return self._get(f"/v1/users/{self._user()}/questions?k=1")

    def new_user(self) -> bytes:
        self._number += 1
        return self._get(f"/v1/users/never-{self._number}/recommendations?k=10&exclude={self._number}")

    def new_question(self) -> bytes:
        self._number += 1
        return self._get(f"/v1/users/never-{self._number}/questions?k=1")

    def _label(self) -> dict[str, Any]:
        self._number += 1
        item = int(ITEMS * self._rng.random() ** 3)
        row = {"key": f"k{self._number}", "user_id": f"teller-{self._rng.integers(5_000)}", "item_id": f"item {item}"}
        return {**row, "value": int(self._rng.integers(1, 6))}

    def _post(self, document: Any) -> bytes:
        body = json.dumps(document).encode()
        return f"POST /v1/labels HTTP/1.1\r\n{self._head}content-length: {len(body)}\r\n\r\n".encode() + body

    def label(self) -> bytes:
        return self._post(self._label())

    def batch(self) -> bytes:
        return self._post([self._label() for _ in range(BATCH)])


EMPTY_CALL = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def _measured(
    name: str,
    of: Server,
    empty: Server,
    call: Callable[[], bytes],
    *,
    connections: int = CONNECTIONS,
    each: int = 1,
    per_second: float = 0.0,
) -> dict[str, Any]:
    ours, base = [], []

    async def run() -> None:
        await _called(of, call, 2, SECONDS, Load())  # a list of each user has been worked out
        for _ in range(SLICES):
            base.append(Load())
            await _called(empty, lambda: EMPTY_CALL, connections, SECONDS / 3, base[-1])
            ours.append(Load())
            await _called(of, call, connections, SECONDS, ours[-1], per_second)

    asyncio.run(run())
    return _row(name, ours, base, each)


def _overload(of: Server, calls: Calls) -> dict[str, Any]:
    """Four times as many new users as it has threads and room for, and labels all the while; then quiet again."""
    before, lists, labels, after = Load(), Load(), Load(), Load()

    async def run() -> None:
        await _called(of, calls.new_user, 2, SECONDS, before)
        await asyncio.gather(
            _called(of, calls.new_user, 4 * 66, OVERLOAD_SECONDS, lists),
            _called(of, calls.label, 8, OVERLOAD_SECONDS, labels),
        )
        await asyncio.sleep(1.0)
        await _called(of, calls.new_user, 2, SECONDS, after)

    memory = of.memory()
    asyncio.run(run())

    def p99(load: Load, status: int = 200) -> float:
        return 1e3 * float(np.quantile(load.seconds.get(status, [np.nan]), 0.99))

    return {
        "before_p99_ms": p99(before),
        "lists": {str(status): len(times) for status, times in lists.seconds.items()},
        "labels": {str(status): len(times) for status, times in labels.seconds.items()},
        "accepted_lists_p99_ms": p99(lists),
        "accepted_labels_p99_ms": p99(labels),
        "after_p99_ms": p99(after),
        "memory_grew_mib": (of.memory() - memory) / 2**20,
    }


def run(seeds: int) -> dict[str, Any]:
    """All rows, one after another, on one model of a large catalogue."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        synthetic_learner(ITEMS, DIM).save(folder)
        with server(SERVED, str(folder)) as of, server(EMPTY) as empty:
            calls = Calls((folder / "keys" / "admin").read_text().strip())
            request = urllib.request.Request(f"http://127.0.0.1:{of.port}/v1/users/first/questions?k=1")
            request.add_header("authorization", f"Bearer {(folder / 'keys' / 'admin').read_text().strip()}")
            urllib.request.urlopen(request, timeout=120).read()  # compiles
            rows = [
                _measured("lists of 200 users", of, empty, calls.recommendations),
                _measured("questions of 200 users", of, empty, calls.questions),
                _measured("lists, each worked out anew", of, empty, calls.new_user, connections=4),
                _measured("questions, each worked out anew", of, empty, calls.new_question, connections=4),
                _measured("labels, one by one, 1,000 a second", of, empty, calls.label, per_second=1_000.0),
                _measured("labels, one by one", of, empty, calls.label),
                _measured("labels, in batches of 100", of, empty, calls.batch, connections=4, each=BATCH),
                _measured("lists, anew, after all these labels", of, empty, calls.new_user, connections=4),
            ]
            overload = _overload(of, calls)
    machine = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    setting = {"items": ITEMS, "dimensions": DIM, "users": USERS, "connections": CONNECTIONS, "slices": SLICES}
    return {**machine, **setting, "rows": rows, "overload": overload}


if __name__ == "__main__":
    main("service_load", run, seeds=1)
