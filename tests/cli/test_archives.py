"""Archives are unpacked nowhere: each command refuses one, or takes of it what it says, and writes nothing else."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from palate.datasets import fetch
from palate.errors import FetchError

ROWS = b'{"user_id": "ann", "item_id": "i03", "rating": 4}\n'
OUT = "outside.txt"


def zipped(names, *, link="") -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        if link:
            entry = zipfile.ZipInfo("link")
            entry.external_attr = 0o120777 << 16
            file.writestr(entry, link)
        for name in names:
            file.writestr(zipfile.ZipInfo(name), ROWS)
    return buffer.getvalue()


def tarred(*entries) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, kind, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = len(ROWS) if kind == tarfile.REGTYPE else 0
            file.addfile(info, io.BytesIO(ROWS) if info.size else None)
    return buffer.getvalue()


def nested(depth: int) -> bytes:
    inner = zipped(["interactions.csv"])
    for _ in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for number in range(16):
                file.writestr(f"{number}.zip", inner)
        inner = buffer.getvalue()
    return inner


ARCHIVES = {
    "climbs.zip": lambda away: zipped([f"../../{OUT}", "interactions.csv"]),
    "absolute.zip": lambda away: zipped([f"{away}/{OUT}"]),
    "linked.zip": lambda away: zipped([f"link/{OUT}"], link=str(away)),
    "twice.zip": lambda away: zipped(["interactions.csv", "interactions.csv"]),
    "many.zip": lambda away: zipped(map(str, range(20_000))),
    "nested.zip": lambda away: nested(5),
    "linked.tar": lambda away: tarred(("d", tarfile.SYMTYPE, str(away)), (f"d/{OUT}", tarfile.REGTYPE, "")),
    "hard.tar": lambda away: tarred(("d", tarfile.LNKTYPE, f"{away}/kept.txt"), ("d", tarfile.REGTYPE, "")),
    "climbs.tar.gz": lambda away: gzip.compress(tarred((f"../../{OUT}", tarfile.REGTYPE, ""))),
}
COMMANDS = [
    lambda path, model, out: ("data", "inspect", path),
    lambda path, model, out: ("data", "convert", path, out),
    lambda path, model, out: ("fit", path, "--out", out),
    lambda path, model, out: ("models", path),
    lambda path, model, out: ("store", "import", model, path, "--format", "jsonl"),
    lambda path, model, out: ("store", "restore", path, f"{out}/labels.sqlite"),
]


def tree(folder: Path) -> dict[str, str]:
    """Every name below, and what its file holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    "name",
    ["climbs.zip", "linked.tar", "many.zip"]
    + [
        pytest.param(name, marks=pytest.mark.long)
        for name in sorted({*ARCHIVES} - {"climbs.zip", "linked.tar", "many.zip"})
    ],
)
def test_IN_07_an_archive_is_refused_whole_and_nothing_is_written(cli, model, tmp_path, name):
    home, away = tmp_path / "a" / "b", tmp_path / "away"
    home.mkdir(parents=True)
    away.mkdir()
    (away / "kept.txt").write_text("as it was")
    (home / name).write_bytes(ARCHIVES[name](away))
    (home / f"{name}.d").mkdir()
    for member in ("interactions.csv", "interactions.jsonl", "config.json"):  # in the place of a file, too
        (home / f"{name}.d" / member).write_bytes((home / name).read_bytes())
    cli("store", "verify", model)
    before, rows = tree(tmp_path), cli("store", "verify", model, "--json").json["rows"]
    for command in COMMANDS:
        for path in (home / name, home / f"{name}.d"):
            done = cli(*command(path, model, tmp_path / "made"))
            assert done.code == (1 if "restore" in command(path, model, "") else 2), (done, path)
            assert "Traceback" not in done.err and len(done.err) < 2_000
    after = tree(tmp_path)
    ours = {path for path in after if path.endswith(".rejects.csv") or "/audit" in path}
    assert {path: found for path, found in after.items() if path not in ours} == before
    assert cli("store", "verify", model, "--json").json["rows"] == rows


@pytest.mark.parametrize("name", [name for name in ARCHIVES if name.endswith(".zip")])
def test_IN_07_of_a_fetched_archive_the_named_members_are_read_and_no_other(tmp_path, monkeypatch, name):
    """As if its checksum were the one that is pinned."""
    away = tmp_path / "away"
    away.mkdir()
    (tmp_path / "cache").mkdir()
    before, content = tree(tmp_path), ARCHIVES[name](away)
    with pytest.raises(FetchError, match=r"no item named"):
        fetch._members(content, fetch.GROUPLENS_MEMBERS, "the source")
    assert tree(tmp_path) == before
    monkeypatch.setattr(fetch, "LARGEST", 10)
    with pytest.raises(FetchError, match="is larger than 10 bytes"):
        fetch._members(zipped(["ml-100k/u.data"]), {"u.data": "ml-100k/u.data"}, "the source")
    assert os.listdir(away) == []
