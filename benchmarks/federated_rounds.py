"""A round of gradients over HTTP on this machine with a thousand devices, of which three in ten drop out.

A tenth of all devices goes after each of the first three steps; those that have sent their vector are in the sum. It is
compared, to the bit, with the public model that one process makes of the same vectors and the same noise. In the round
after it seven in ten go after the first step, which leaves every group below the minimum.

Each device is a :class:`palate.client.federated.Device` with a folder of its own. Devices take turns in one process, so
its seconds are those of all devices together; their syncs of the disk are left out, the server's are not. A step ends
when those that stay have sent: the server's clock is then put forward.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import scipy.sparse as sparse

from benchmarks._data import main
from palate.client.device_log import DeviceLog
from palate.client.federated import Device
from palate.federated.device import DeviceAnswers, upload
from palate.federated.devices import Devices
from palate.federated.fixed_point import encode
from palate.federated.options import FederatedOptions
from palate.federated.secure_sum.terms import KINDS
from palate.federated.server import State, advance
from palate.random import derive_rng
from palate.service.federated.line import Line

USERS, ITEMS, EACH = 1_000, 3_706, 52
SETTING = {"start_at": USERS, "minimum": 32, "group_size": 64, "step_seconds": 3600.0}
OPTIONS = FederatedOptions(epsilon=3.0, form="factors")
SERVE = """
import json, sys, time
from pathlib import Path
import numpy as np
from palate.service.federated.app import serve
from palate.service.federated.settings import RoundSettings
from palate.service.settings import Settings

folder, passed = Path(sys.argv[1]), Path(sys.argv[2])
clock = lambda: time.monotonic() + 3600.0 * passed.stat().st_size
settings = Settings(port=0, log_requests=False)
serve(folder, settings, RoundSettings(**json.loads(sys.argv[3])), rng=np.random.default_rng(0), clock=clock)
"""


class Server:
    """A server process, and the file that puts its clock forward."""

    def __init__(self, folder: Path) -> None:
        self._passed, self._log = folder.with_suffix(".passed"), folder.with_suffix(".log")
        self._passed.touch()
        command = [sys.executable, "-c", SERVE, str(folder), str(self._passed), json.dumps(SETTING)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)
        while not (serving := [row for row in self.events() if row["event"] == "serving"]):
            if self.process.poll() is not None:
                raise SystemExit(self._log.read_text())
            time.sleep(0.1)
        self.url = serving[0]["address"]
        self._http = httpx.Client(base_url=self.url, timeout=600.0)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(row) for row in self._log.read_text().splitlines() if row.endswith("}")]

    def now(self) -> dict[str, Any]:
        return dict(self._http.get("/v1/round").json())

    def end_step(self) -> dict[str, Any]:
        """The deadline of this step passes; what comes after it."""
        before = self.now()
        while (now := self.now())["step"] == before["step"] and now["terms"] == before["terms"]:
            with self._passed.open("ab") as file:
                file.write(b"h")
            self._http.post("/v1/keys", content=b"", headers={"content-type": "application/octet-stream"})
            time.sleep(0.2)
        return now

    @property
    def seconds(self) -> float:
        """Of the processor."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def most_mib(self) -> float:
        """Of memory, so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def close(self) -> None:
        self._http.close()
        self.process.terminate()
        self.process.wait()


def run(seeds: int) -> dict[str, Any]:
    """One row a seed."""
    synced, os.fsync = os.fsync, lambda _descriptor: None
    try:
        rows = [_row(seed) for seed in range(seeds)]
    finally:
        os.fsync = synced
    setting = {"users": USERS, "items": ITEMS, "dim": OPTIONS.dim, "answers_each": EACH, **SETTING}
    return {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], **setting, "rows": rows}


def _row(seed: int) -> dict[str, Any]:
    rng = derive_rng(seed, "federated rounds")
    with tempfile.TemporaryDirectory() as place:
        folder, given = Path(place) / "line", _answers(rng)
        state = _after_counts(folder, given)
        server = Server(folder)
        try:
            devices = _enrolled(Path(place), server, folder, given)
            order = rng.permutation(USERS)
            row = {"seed": seed, **_round(server, [devices[at] for at in order])}
            in_sum = order[: USERS * 8 // 10]
            below = _below_the_minimum(server, devices)
        finally:
            server.close()
        vectors = (upload(state.public, DeviceAnswers(given[at].indices, given[at].data)) for at in in_sum)
        total = sum(vectors, start=np.zeros(sum(n for n, _ in state.public.parts), dtype=np.uint64))
        wanted = advance(state, total, len(in_sum), rng=np.random.default_rng(0)).public
        with Line.open(folder) as line:
            row["equal"] = replace(line.public, ledger="", mu_squared=0.0).digest == _bare(wanted)
            row["spendings"] = len(line.ledger.entries)
    return row | below


def _bare(public: Any) -> str:
    return str(replace(public, ledger="", mu_squared=0.0).digest)


def _answers(rng: np.random.Generator) -> sparse.csr_matrix:
    tastes, factors = rng.normal(size=(USERS, OPTIONS.dim)), 0.3 * rng.normal(size=(ITEMS, OPTIONS.dim))
    items = np.concatenate([rng.choice(ITEMS, EACH, replace=False) for _ in range(USERS)])
    users = np.repeat(np.arange(USERS), EACH)
    stars = np.clip(np.rint(3.5 + (tastes[users] * factors[items]).sum(1) + 0.8 * rng.normal(size=len(items))), 1, 5)
    return sparse.csr_matrix((stars, (users, items)), shape=(USERS, ITEMS))


def _after_counts(folder: Path, given: sparse.csr_matrix) -> State:
    """A line whose next round is the first of gradients."""
    with Line.create(folder, [str(item) for item in range(ITEMS)], OPTIONS, name="films") as line:
        counts = encode(Devices.of(given).round_zeros(line.public))
        line.commit(advance(line.state, counts, USERS, rng=np.random.default_rng(1)))
        return line.state


def _enrolled(place: Path, server: Server, folder: Path, given: sparse.csr_matrix) -> list[Device]:
    code, transport = (folder / "enrol-code").read_text().strip(), httpx.HTTPTransport(verify=False)
    found = []
    for user in range(USERS):
        log = DeviceLog(place / f"device-{user}")
        row = given[user]
        log.answer_all([(str(item), float(value)) for item, value in zip(row.indices, row.data, strict=True)])
        log.consent(True)
        device = Device(server.url, log, timeout_seconds=600.0, rng=random.Random(user), transport=transport)
        device.enrol(code)
        found.append(device)
    return found


def _round(server: Server, devices: Sequence[Device]) -> dict[str, Any]:
    """A round in which a tenth goes after each step."""
    while server.now()["step"] != "keys":
        time.sleep(0.1)
    ms, before, began = dict.fromkeys(KINDS, 0.0), server.seconds, time.perf_counter()
    for n, kind in enumerate(KINDS):
        staying = devices[: USERS - n * USERS // 10]
        for device in staying:
            start = time.process_time()
            if device.step() != kind:
                raise SystemExit(f"a device was left out of {kind}: {list(device.log.rows())[-1]}")
            ms[kind] += 1e3 * (time.process_time() - start) / len(staying)
        if kind == "unmask":
            stepped = time.perf_counter()
        if n:
            server.end_step()
        else:
            while server.now()["step"] != "shares":
                time.sleep(0.1)
    while server.now()["round"] < 2:
        time.sleep(0.05)
    ended = [event for event in server.events() if event["event"] == "round ended"]
    return {
        "devices": USERS,
        "gone": 1 - (USERS - 3 * USERS // 10) / USERS,
        "in_the_sum": ended[-1]["devices"],
        "device_ms": ms,
        "upload_bytes": max(row["bytes"] for row in devices[0].log.rounds),
        "seconds": time.perf_counter() - began,
        "opening_seconds": time.perf_counter() - stepped,
        "server_processor_seconds": server.seconds - before,
        "server_mib": server.most_mib,
    }


def _below_the_minimum(server: Server, devices: Sequence[Device]) -> dict[str, Any]:
    """A round that leaves three in ten after the first step."""
    while server.now()["step"] != "keys":
        time.sleep(0.1)
    for device in devices:
        device.step()
    while server.now()["step"] != "shares":
        time.sleep(0.1)
    for device in devices[: USERS * 3 // 10]:
        device.step()
    server.end_step()
    given_up = [event for event in server.events() if event["event"] == "round given up"]
    return {"given_up": len(given_up), "round_after": server.now()["round"]}


if __name__ == "__main__":
    main("federated_rounds", run, seeds=1)
