"""A line in a server process of its own, and devices that are led step by step."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import scipy.sparse as sparse

import palate
from palate.client.device_log import DeviceLog
from palate.client.federated import Device
from palate.federated.device import DeviceAnswers, upload
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.server import advance, begin
from palate.service.federated.line import Line

SEED = 7
SERVE = """
import json, os, signal, sys, time
from pathlib import Path
import numpy as np
from palate.service.federated import app, attempt, line
from palate.service.federated.settings import RoundSettings
from palate.service.settings import Settings

def die(*_given, **_named):
    os.kill(os.getpid(), signal.SIGKILL)

given = json.loads(sys.argv[2])
where = {"opening": (attempt.Attempt, "open"), "publishing": (line.Line, "commit")}
if given["dies_at"]:
    setattr(*where[given["dies_at"]], die)
rng, folder = np.random.default_rng(given["seed"]), Path(sys.argv[1])
passed = folder.with_suffix(".passed")  # hours, as the test says

def clock():
    return time.monotonic() + 3600.0 * passed.stat().st_size

app.serve(folder, Settings(**{"port": 0, **given["settings"]}), RoundSettings(**given["rounds"]), rng=rng, clock=clock)
"""
TRANSPORT = httpx.HTTPTransport(verify=False)  # of all devices: to read certificates for each takes long
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}


def answers(users: int, items: int, rng: np.random.Generator, each: int = 12) -> sparse.csr_matrix:
    """Stars from 1 to 5, (users, items), that follow two tastes."""
    tastes, factors = rng.normal(size=(users, 2)), rng.normal(size=(items, 2))
    stars = np.clip(np.rint(3.5 + tastes @ factors.T + 0.3 * rng.normal(size=(users, items))), 1, 5)
    chosen = np.argsort(rng.random((users, items)), 1)[:, :each]
    rows = np.repeat(np.arange(users), each)
    return sparse.csr_matrix((stars[rows, chosen.ravel()], (rows, chosen.ravel())), shape=(users, items))


def made(folder: Path, items: int, **options: Any) -> Path:
    """A line that was made and is not served yet."""
    given = {"epsilon": 3.0, "rounds": 2, "dim": 2, "form": "factors"} | options
    Line.create(folder, [str(item) for item in range(items)], FederatedOptions(**given), name="films").close()
    return folder


def start(folder: Path, log: Path, given: dict[str, Any]) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        command = [sys.executable, "-c", SERVE, str(folder), json.dumps(given)]
        return subprocess.Popen(command, stdout=file, stderr=file, env=ENVIRONMENT, start_new_session=True)


def died(folder: Path, dies_at: str, **rounds: Any) -> int:
    """The exit code of a server that kills itself at a place, once it is there."""
    given = {"dies_at": dies_at, "seed": SEED, "settings": {}, "rounds": rounds}
    return start(folder, folder.with_suffix(f".{time.monotonic_ns()}.log"), given).wait(300)


class Server:
    """A server process on a free port of this machine.

    Args:
        dies_at: Where it kills itself: ``opening``, when the ledger is written, or ``publishing``, when all is opened.
    """

    def __init__(self, folder: Path, *, dies_at: str = "", settings: Any = None, **rounds: Any) -> None:
        self.folder, self.log = folder, folder.with_suffix(f".{time.monotonic_ns()}.log")
        given = {"dies_at": dies_at, "seed": SEED, "settings": settings or {}, "rounds": rounds}
        self._passed = folder.with_suffix(".passed")
        self._passed.touch()
        self.process = start(folder, self.log, given)
        self.url = self._address()
        self.code = (folder / "enrol-code").read_text().strip()

    def _address(self) -> str:
        until = time.monotonic() + 300.0  # of a machine that is very busy
        while time.monotonic() < until and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                if '"serving"' in line and line.endswith("}"):
                    return str(json.loads(line)["address"])
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.log.read_text()[-2000:]}")

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named = {"content-type": "application/octet-stream", **named}
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["error"]

    def round(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call("GET", "round")[1])
        return found

    def until(self, step: str = "", round: int = 0, *, ended: bool = False) -> dict[str, Any]:
        """Where the line is, once it is there."""
        until = time.monotonic() + 120.0
        while time.monotonic() < until:
            now = self.round()
            if now["round"] >= round and step in ("", now["step"]) and bool(now["ended"]) >= ended:
                return now
            time.sleep(0.02)
        raise AssertionError(f"the line is at {now}, not at {step!r} of round {round}: {self.log.read_text()[-2000:]}")

    def pass_time(self) -> None:
        """Hours pass until the step is over."""
        before = self.round()
        while True:
            with self._passed.open("ab") as file:
                file.write(b"h")
            until = time.monotonic() + 10.0  # where the machine is busy, one hour more would end the next step too
            while time.monotonic() < until:
                self.call("POST", "keys", b"")  # which is refused, and makes the server look at the time
                now = self.round()
                if now["step"] != before["step"] or now["terms"] != before["terms"]:
                    return
                time.sleep(0.05)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.kill()


def devices(place: Path, server: Server, given: sparse.csr_matrix, *, consent: bool = True) -> list[Device]:
    """Devices that are enrolled and hold their answers, one a row."""
    found = []
    for user in range(given.shape[0]):
        log = DeviceLog(place / f"device-{user:03d}")
        row = given[user]
        log.answer_all([(str(item), float(value)) for item, value in zip(row.indices, row.data, strict=True)])
        log.consent(consent)
        device = Device(server.url, log, patience_seconds=5.0, rng=random.Random(user), transport=TRANSPORT)
        device.enrol(server.code)
        found.append(device)
    return found


def expected(given: sparse.csr_matrix, sent: Iterable[Iterable[int]], **options: Any) -> PublicModel:
    """The public model after some rounds in one process, from the rows that were sent in each, with the same noise."""
    kept = {"epsilon": 3.0, "rounds": 2, "dim": 2, "form": "factors"} | options
    state = begin([str(item) for item in range(given.shape[1])], FederatedOptions(**kept), line="films")
    rng = np.random.default_rng(SEED)
    for users in sent:
        vectors = [upload(state.public, DeviceAnswers(given[user].indices, given[user].data)) for user in users]
        state = advance(state, np.sum(vectors, axis=0, dtype=np.uint64), len(vectors), rng=rng)
    return state.public


def same(found: PublicModel, wanted: PublicModel) -> bool:
    """Whether they say the same, but for the ledger, whose hashes are drawn."""
    return replace(found, ledger="").digest == wanted.digest


def step(among: Iterable[Device], expected: str) -> None:
    """Each does what is due, and it is this."""
    assert {device.step() for device in among} == {expected}


def lead(server: Server, among: list[Device], rounds: int) -> None:
    """Whole rounds, in which nobody drops out."""
    for _ in range(rounds):
        now = server.until("keys")["round"]
        for name in ("keys", "shares", "upload", "unmask"):
            server.until(name)
            step(among, name)
        server.until(round=now + 1)
