"""A real Label Studio in an environment of its own, made once and kept in the cache of this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import httpx

from tests.oracles.label_studio.members import Members

VERSION = "1.23.2"
OWNER, PASSWORD, TOKEN = "owner@example.com", "palate-tests-1", "f" * 40
READY_SECONDS, INSTALL_SECONDS = 600.0, 1_800.0
QUIET = {
    "LATEST_VERSION_CHECK": "false",  # asks the package index
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "SSRF_PROTECTION_ENABLED": "false",  # webhooks to this machine
    "ML_BLOCK_LOCAL_IP": "false",  # a backend on it
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class CannotInstall(Exception):
    """Why there is none; the reason for which tests are skipped."""


def environment() -> Path:
    """The folder of an environment with Label Studio, made if it is not there: some minutes, from the package index."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palate-tests"
    folder = cache / f"label-studio-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}"
    done = folder / "done"
    if not done.is_file():
        venv.create(folder, with_pip=True, clear=True)
        _pip(folder, "install", "--quiet", "--disable-pip-version-check", f"label-studio=={VERSION}")
        done.touch()
    return folder


def _pip(folder: Path, *arguments: str) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", *arguments]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"label-studio {VERSION} was not installed in {INSTALL_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or ["pip said nothing"]
        raise CannotInstall(f"label-studio {VERSION} cannot be installed: {last[0][:200]}") from None


class LabelStudioServer:
    """A server with its own data, on a port that stays the same when it is killed and started again.

    Args:
        folder: For the data and the log.
    """

    def __init__(self, folder: Path) -> None:
        self._programs, self.folder = environment() / "bin", folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        given = ["--port", str(self.port), "--username", OWNER, "--password", PASSWORD, "--user-token", TOKEN]
        command = [str(self._programs / "label-studio"), "start", "--no-browser", *given, "--enable-legacy-api-token"]
        settings = {**os.environ, **QUIET, "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder / "data")}
        settings.pop("PYTHONPATH", None)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=settings, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"Label Studio did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """SIGKILL, by its id: nothing is finished."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def member(self, name: str) -> str:
        """The token of somebody who signs up, as the page there does it."""
        with httpx.Client(base_url=self.url, timeout=60, follow_redirects=True) as browser:
            page = browser.get("/user/signup/")
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            assert found is not None, page.text[:500]
            form = {"csrfmiddlewaretoken": found[1], "email": f"{name}@example.com", "password": PASSWORD}
            browser.post("/user/signup/", data=form, headers={"referer": f"{self.url}/user/signup/"})
            return str(browser.get("/api/current-user/token").raise_for_status().json()["token"])

    def members(self) -> Members:
        return Members(self.url, {"owner": TOKEN, "ann": self.member("ann"), "bob": self.member("bob")})

    def personal_token(self) -> str:
        """A personal access token of the owner."""
        headers = {"authorization": f"Token {TOKEN}"}
        settings = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
        httpx.post(f"{self.url}/api/jwt/settings", json=settings, headers=headers, timeout=60).raise_for_status()
        made = httpx.post(f"{self.url}/api/token/", headers=headers, timeout=60).raise_for_status()
        return str(made.json()["token"])
