"""A small model in service, in this process or in one of its own, that several tests share."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

import palate
from palate import Recommender
from palate.datasets import planted_world
from palate.loop.checkpoint import LOG
from palate.service.app import create_app
from palate.service.keys import KeyRing
from palate.service.logs import RequestLog
from palate.service.settings import Settings
from palate.store.open_store import open_store

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}
ENVIRONMENT.pop("PALATE_ADMIN_KEY", None)
SERVE = "import sys; from palate.cli import main; main(['serve', *sys.argv[1:]])"
SERVE_WITH = """
import json, sys
from pathlib import Path
from palate.service.server import serve
from palate.service.settings import Settings
from palate.store.open_store import open_store
given = json.loads(sys.argv[2])
given |= {"images": Path(given["images"])} if "images" in given else {}
serve({"default": Path(sys.argv[1])}, Settings(**{"port": 0, **given}), store=sys.argv[3])
"""


@cache
def fitted() -> Path:
    """A model folder, fitted once a process; to be copied, not served."""
    folder = Path(tempfile.mkdtemp(prefix="palate-served-")) / "model"
    data = planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset
    Recommender.create(folder, data, encoder="none").close()
    return folder


def copied(folder: Path) -> Path:
    """The fitted model in a place of its own."""
    shutil.copytree(fitted(), folder)
    return folder


@dataclass
class Served:
    """An application in this process.

    Attributes:
        keys: By role.
        log: All lines.
    """

    client: TestClient
    folder: Path
    keys: dict[str, str]
    log: io.StringIO = field(default_factory=io.StringIO)

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = "service", **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self.keys.get(key, key)}"} if key is not None else {}
        headers |= options.pop("headers", {})
        if body is not None:
            options["json"] = body
        return self.client.request(method, path, headers=headers, **options)

    @property
    def tenant(self) -> Any:
        return next(iter(self.client.app.state.tenants.values()))  # type: ignore[attr-defined]

    def rows(self) -> list[Any]:
        return rows_of(self.folder)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextmanager
def served(
    place: Path,
    settings: Settings | None = None,
    tenants: tuple[str, ...] = ("default",),
    again: Path | None = None,
    traces: Any = None,
    store: str = "",
) -> Iterator[Served]:
    """Serves copies of the fitted model, one a tenant; the keys are the first tenant's.

    Args:
        again: A folder that was served before, in the place of a copy.
        store: URL of the log, in the place of the folder's own.
    """
    folders = {name: copied(place / name) for name in tenants} if again is None else {tenants[0]: again}
    log = io.StringIO()
    app = create_app(folders, settings or Settings(fresh_seconds=0.5), log=RequestLog(log), traces=traces, store=store)
    first = folders[tenants[0]]
    ring = KeyRing(first, tenant=tenants[0])
    keys = {role: ring.add(role, name=f"{role}-1")[1] for role in ("service", "annotator")}
    keys["admin"] = (first / "keys" / "admin").read_text().strip()
    with TestClient(app, raise_server_exceptions=False) as client:
        found = Served(client, first, keys, log)
        token = found.call("POST", "/v1/users/ann/tokens", {})
        keys["user"] = token.json()["token"]
        yield found


def rows_of(folder: Path) -> list[Any]:
    """The log of a model folder, read beside whoever writes it."""
    with open_store(folder / LOG, read_only=True) as log:
        return list(log.records())


class Process:
    """A service in a process of its own, on a free port of this machine; by the command, where it has no settings."""

    def __init__(self, folder: Path, *, store: str = "", name: str = "", **settings: Any) -> None:
        self.folder = folder
        self.log = folder.parent / f"{name or folder.name}.log"
        with self.log.open("ab") as log:
            self._begun = log.tell()  # of one that was stopped before there are lines
            command = [sys.executable, "-c", SERVE, str(folder), "--port", "0", "--store", store]
            if settings:
                command = [sys.executable, "-c", SERVE_WITH, str(folder), json.dumps(settings), store]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True)
        self.url = self._address()
        self.port = int(self.url.rpartition(":")[2])
        self.key = (folder / "keys" / "admin").read_text().strip()

    def _address(self) -> str:
        until = time.monotonic() + 300.0  # of a machine that is very busy
        while time.monotonic() < until:
            for line in self.log.read_bytes()[self._begun :].decode(errors="replace").splitlines():
                if '"serving"' in line and line.endswith("}"):
                    return str(json.loads(line)["address"])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the service did not start: {self.log.read_text()[-2000:]}")

    def get(self, path: str) -> tuple[int, bytes]:
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self) -> int:
        """Bytes resident."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.rename(self.log.with_suffix(f".{self.process.pid}"))

    def stop(self, seconds: float = 60.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def label(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "user_id": "ann", "item_id": "i04", "value": 4, **more}
