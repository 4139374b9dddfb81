"""The balancer of deploy/haproxy.cfg, before services on ports of this machine."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "deploy" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


@contextmanager
def balanced(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """The address at which HAProxy, as it is shipped, listens before three services, once it has found one ready."""
    assert HAPROXY is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIG.read_text().replace("bind :8000", f"bind 127.0.0.1:{port}")
    text = re.sub(r"palate-(\d):8000", lambda found: f"127.0.0.1:{ports[int(found[1]) - 1]}", text)
    assert text.count("server palate-") == 2 * len(ports)
    path = folder / "haproxy.cfg"
    path.write_text(text)
    subprocess.run([HAPROXY, "-c", "-q", "-f", path], check=True)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", path], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
                break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30.0)
