"""Faults of the disk under a service that runs, and of others who come to its folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palate.errors import StoreBusy
from palate.service.server import serve
from palate.service.settings import Settings
from palate.store.verify_log import verify_log
from tests.served import ENVIRONMENT, Process, copied, label, rows_of

# ---- ST-04: a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A model folder on a disk of its own."""
    place = copied(tmp_path / "fitted").rename(tmp_path / "kept")
    disk = tmp_path / "model"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk]).returncode:
        pytest.skip("a file system can be mounted by root only")
    shutil.copytree(place, disk, dirs_exist_ok=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def call(process: Process, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, answer = process.call(method, path, body)
    return status, json.loads(answer)


def fill(process: Process) -> list[str]:
    """Keys that were acknowledged until the disk took no more, however little."""
    acknowledged = list[str]()
    for parts in (80, 4):
        for number in range(2_000):
            body = {"key": f"{parts}-{number}", "attributes": {f"a{part}": "x" * 1_000 for part in range(parts)}}
            status, answer = call(process, "PUT", "/v1/users/ann/attributes", body)
            if status != 200:
                break
            acknowledged += [row["key"] for row in answer["attributes"]]
        assert (status, answer["error"]["code"]) == (503, "store"), answer
    while call(process, "POST", "/v1/labels", label(f"small-{len(acknowledged)}"))[0] == 200:
        acknowledged.append(f"small-{len(acknowledged)}")
    return acknowledged


def wait_until_ready(process: Process, purpose: str) -> None:
    until = time.monotonic() + 60.0
    while call(process, "GET", f"/readyz?for={purpose}")[0] != 200:
        assert time.monotonic() < until, call(process, "GET", f"/readyz?for={purpose}")
        time.sleep(0.1)


def test_ST_04_a_service_on_a_full_disk_serves_and_loses_nothing(small_disk: Path) -> None:
    lists = "/v1/users/ann/recommendations?k=5"
    with Process(small_disk, free_bytes=1 << 20) as process:
        assert call(process, "POST", "/v1/labels", label("first"))[0] == 200
        acknowledged = ["first", *fill(process)]
        assert len(acknowledged) > 500
        for number in range(3):  # again and again, for everybody
            assert call(process, "POST", "/v1/labels", label(f"no-{number}"))[0] == 503
            shown = call(process, "GET", lists)
            assert shown[0] == 200 and len(shown[1]["items"]) == 5
        status, held = call(process, "GET", "/v1/users/ann/export")
        assert status == 200 and [row["key"] for row in held["log"]] == acknowledged
        assert call(process, "GET", "/livez")[0] == call(process, "GET", "/readyz?for=scoring")[0] == 200
        status, ready = call(process, "GET", "/readyz?for=labels")
        assert status == 503 and "labels: the disk is nearly full" in ready["reasons"]
        assert process.stop() == 0
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4_096)
    with Process(small_disk, free_bytes=1 << 20) as process:  # it starts on a full disk
        assert call(process, "GET", lists)[1]["items"] == shown[1]["items"]
        assert call(process, "POST", "/v1/labels", label("no-again"))[0] == 503
        filler.unlink()
        assert subprocess.run(["mount", "-o", "remount,size=64m", small_disk]).returncode == 0
        wait_until_ready(process, "labels")  # before anybody sends a label, and without a restart
        acknowledged += post_one(process, "after")
        assert process.stop() == 0
    assert [row.content.key for row in rows_of(small_disk)] == acknowledged
    assert verify_log(small_disk / "labels.sqlite").is_whole


def post_one(process: Process, key: str) -> list[str]:
    status, answer = call(process, "POST", "/v1/labels", label(key))
    assert status == 200, answer
    return [row["key"] for row in answer["labels"]]


# ---- ST-07: whose folder it is


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from palate.cli import main; main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", code, *arguments], env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.long
def test_ST_07_a_second_service_on_a_folder_is_refused_and_commands_write_beside_the_first(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    with Process(folder) as process:
        assert f'"database":"SQLite {sqlite3.sqlite_version}' in process.log.read_text()
        if sqlite3.sqlite_version_info < (3, 51, 3):
            assert "one connection at a time writes" in process.log.read_text()
        with pytest.raises(StoreBusy, match=rf"is served by process {process.process.pid}\. Stop that one"):
            serve({"default": folder}, Settings(port=0))

        done, acknowledged = threading.Event(), list[str]()

        def post() -> None:
            number = 0
            while not done.is_set():
                acknowledged.extend(post_one(process, f"served-{number}"))
                number += 1

        posting = threading.Thread(target=post)
        posting.start()
        try:
            told = command("tell", str(folder), "--user", "bob", "--item", "i01", "--answer", "5", "--json")
            assert told.returncode == 0, told.stderr
        finally:
            done.set()
            posting.join()
        until = time.monotonic() + 30.0
        shown = {"i01"}
        while "i01" in shown and time.monotonic() < until:  # the service hears of it by itself
            answer = call(process, "GET", "/v1/users/bob/recommendations?k=40")[1]
            shown = {item["item_id"] for item in answer["items"]}
            time.sleep(0.1)
        assert "i01" not in shown
        process.kill()
    rows = rows_of(folder)
    assert [row.content.key for row in rows if row.user_id == "ann"] == acknowledged
    assert [row.content.item_id for row in rows if row.user_id == "bob"] == ["i01"]  # type: ignore[union-attr]
    assert verify_log(folder / "labels.sqlite").is_whole
    with Process(folder) as again:  # who was killed owns nothing
        assert call(again, "GET", "/livez")[0] == 200
