from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import palate
from palate.encoders.text.backends import VERSION

pytestmark = pytest.mark.hf
pytest.importorskip("huggingface_hub", reason="needs the extra hf: pip install '.[hf]'")

SOURCE = str(Path(palate.__file__).resolve().parents[1])
COMMIT = "c0ffee" + "0" * 34
SHOW = """
import sys
from palate.encoders.registry import load_encoder
from palate.errors import PalateError
try:
    encoder = load_encoder(sys.argv[1])
    print(encoder.name, encoder.revision, encoder.encode(["film"]).shape)
except PalateError as error:
    print(type(error).__name__, error)
"""


def load_in_process(name: str, endpoint: str, home: Path) -> str:
    """The hub's library reads its address when it is imported: hence a process of its own."""
    env = {**os.environ, "PYTHONPATH": SOURCE, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    run = subprocess.run([sys.executable, "-c", SHOW, name], capture_output=True, text=True, env=env, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


class Hub:
    """A hub on loopback with one model, ``org/model``; it remembers which files were asked for."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        self.asked: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path.startswith("/api/models/org/model/revision/"):
                    revision = path.rpartition("/")[2]
                    if revision not in ("main", COMMIT):
                        return self.reply(b"{}", 404, {"X-Error-Code": "RevisionNotFound"})
                    return self.reply(json.dumps({"id": "org/model", "sha": COMMIT, "siblings": []}).encode())
                if path.startswith("/api/models/org/model/tree/"):
                    return self.reply(json.dumps(hub.tree()).encode())
                name = path.partition(f"/org/model/resolve/{COMMIT}/")[2]
                if name not in hub.files:
                    return self.reply(b"{}", 404, {"X-Error-Code": "RepoNotFound"})
                hub.asked.add(name)
                etag = hashlib.sha1(hub.files[name]).hexdigest()
                return self.reply(hub.files[name], headers={"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

            def do_HEAD(self) -> None:
                self.do_GET()

            def reply(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def tree(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
            for name, body in self.files.items()
        ]


@pytest.fixture
def hub(tiny: Callable[[str], Path], tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tiny("bert"))
    hub.files |= {"evil.py": b"raise SystemExit(9)", "pytorch_model.bin": b"pickle"}
    thread = threading.Thread(target=hub.server.serve_forever)
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


def test_a_model_is_fetched_once_and_only_what_is_read(hub: Hub, tmp_path: Path) -> None:
    first = load_in_process("org/model@main", hub.url, tmp_path)
    assert re.fullmatch(rf"org/model@main c0ffee000000-mean-[a-z0-9-]+-{VERSION} \(1, 16\)", first)
    assert hub.asked == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    without_network = load_in_process("org/model", "http://127.0.0.1:9", tmp_path)
    assert without_network == first.replace("@main", "")


def test_a_model_or_revision_that_is_not_there(hub: Hub, tmp_path: Path) -> None:
    assert load_in_process("org/other", hub.url, tmp_path).startswith(
        "FetchError the encoder 'org/other' could not be fetched from the hub (no such model, or a private one). Check"
    )
    assert load_in_process("org/model@v9", hub.url, tmp_path).startswith(
        "FetchError the encoder 'org/model' at revision 'v9' could not be fetched from the hub (no such revision). "
    )


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    assert load_in_process("org/model", "http://127.0.0.1:9", tmp_path) == (
        "FetchError the encoder 'org/model' could not be fetched from the hub (the hub cannot be reached, and no copy "
        "is in the cache). Check the name and the network, or give the folder of a copy; the encoders 'default' and "
        "'minilm' need no network."
    )
