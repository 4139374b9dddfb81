"""The attributes told of users: kept beside the model, and what a damaged file says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from palate.errors import ModelFolderError, StoreError
from palate.store import known
from palate.store.model_folder import files, strict

REMEDY = "Restore it from a backup, or remove it and tell the attributes again."


def forge(folder: Path, **parts: Any) -> Path:
    """A file whose digest fits whatever it says."""
    document = {"format": 1, "users": {}, **parts}
    document.setdefault("sha256", files.digest(strict.dumps(document)))
    (folder / known.FILE).write_bytes(strict.dumps(document))
    return folder / known.FILE


def test_what_was_told_comes_back_and_the_last_value_counts(tmp_path: Path) -> None:
    assert known.read(tmp_path) == {}
    known.merge(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    known.merge(tmp_path, {"ann": {"age": 23.0, "gender": "f"}, "雪": {"age": 31.0}})
    known.merge(tmp_path, {"ann": {"age": None}, "bob": {"gender": "m"}})
    assert known.read(tmp_path) == {
        "ann": {"age": None, "gender": "f"},
        "雪": {"age": 31.0},
        "bob": {"gender": "m"},
    }
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("place", range(16))
def test_MF_03_a_damaged_file_is_caught(place: int, tmp_path: Path) -> None:
    known.merge(tmp_path, {"ann": {"age": 23.0}})
    path = tmp_path / known.FILE
    whole = path.read_bytes()
    at = place * len(whole) // 16
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(ModelFolderError):
            known.read(tmp_path)
        with pytest.raises(ModelFolderError):
            known.merge(tmp_path, {"bob": {"age": 30.0}})
        assert path.read_bytes() == damaged, "what could still be repaired is written over"


@pytest.mark.parametrize(
    ("parts", "fact"),
    [
        ({"sha256": "0", "format": 2}, f"is damaged: it does not match its own digest. {REMEDY}"),
        ({"users": [1]}, f"has no table of users. {REMEDY}"),
        ({"users": {"ann": 3}}, f"says nothing that can be kept of the user 'ann'. {REMEDY}"),
        ({"users": {"ann": {"age": [1]}}}, f"says nothing that can be kept of the user 'ann'. {REMEDY}"),
        ({"users": {"ann": {"age": True}}}, f"says nothing that can be kept of the user 'ann'. {REMEDY}"),
        ({"users": {" ann": {"age": 1}}}, f"says nothing that can be kept of the user ' ann'. {REMEDY}"),
        ({"users": {"": {"age": 1}}}, f"says nothing that can be kept of the user ''. {REMEDY}"),
        (
            {"format": 2},
            "is too new: its format is 2, and this Palate reads format 1. "
            "Install a newer Palate, in its checkout: git pull && pip install .",
        ),
    ],
)
def test_MF_02_a_malformed_file_is_refused(parts: dict[str, Any], fact: str, tmp_path: Path) -> None:
    path = forge(tmp_path, **parts)
    with pytest.raises(ModelFolderError) as caught:
        known.read(tmp_path)
    assert str(caught.value) == f"{path} {fact}"


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"format": NaN}'])
def test_MF_02_what_is_no_document_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / known.FILE).write_bytes(text)
    with pytest.raises(ModelFolderError, match="Restore it from a backup"):
        known.read(tmp_path)


def test_MF_06_no_symlink_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text(json.dumps({}))
    (tmp_path / known.FILE).symlink_to(victim)
    with pytest.raises(ModelFolderError, match="cannot be read"):
        known.read(tmp_path)
    (tmp_path / known.FILE).unlink()
    (tmp_path / f"{known.FILE}.tmp").symlink_to(victim)
    with pytest.raises(StoreError, match="cannot write"):
        known.merge(tmp_path, {"ann": {"age": 1.0}})
    assert victim.read_text() == "{}"


def test_a_fifo_does_not_hang_the_load(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / known.FILE)
    with pytest.raises(ModelFolderError, match=r"cannot be read: .*is not a regular file"):
        known.read(tmp_path)
