"""The attributes told of users in the file that older versions wrote, and what a damaged file says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from palate.errors import ModelFolderError
from palate.store.model_folder import files, strict
from palate.store.old_attributes import FILE, read_attributes

REMEDY = "Restore it from a backup, or remove it and tell the attributes again."


def forge(folder: Path, **parts: Any) -> Path:
    """A file whose digest fits whatever it says."""
    document = {"format": 1, "users": {}, **parts}
    document.setdefault("sha256", files.digest(strict.dumps(document)))
    (folder / FILE).write_bytes(strict.dumps(document))
    return folder / FILE


WRITTEN = """{
  "format": 1,
  "sha256": "2435147193ba8dcf3d1a4fe9faac4507569ab4dd0f394e38cd4d4689c770fa9e",
  "users": {
    "ann": {
      "age": null,
      "gender": "f"
    },
    "bob": {
      "rooms": 3
    },
    "雪": {
      "age": 31.5
    }
  }
}
"""
TOLD = {"ann": {"age": None, "gender": "f"}, "雪": {"age": 31.5}, "bob": {"rooms": 3}}


def test_what_an_older_version_kept_is_read(tmp_path: Path) -> None:
    assert read_attributes(tmp_path) == {}
    (tmp_path / FILE).write_text(WRITTEN, encoding="utf-8")
    assert read_attributes(tmp_path) == TOLD
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("place", range(16))
def test_MF_03_a_damaged_file_is_caught(place: int, tmp_path: Path) -> None:
    path = forge(tmp_path, users=TOLD)
    whole = path.read_bytes()
    at = place * len(whole) // 16
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(ModelFolderError):
            read_attributes(tmp_path)


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
        read_attributes(tmp_path)
    assert str(caught.value) == f"{path} {fact}"


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"format": NaN}'])
def test_MF_02_what_is_no_document_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(ModelFolderError, match="Restore it from a backup"):
        read_attributes(tmp_path)


def test_MF_06_no_symlink_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text(json.dumps({}))
    (tmp_path / FILE).symlink_to(victim)
    with pytest.raises(ModelFolderError, match="cannot be read"):
        read_attributes(tmp_path)


def test_a_fifo_does_not_hang_the_load(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(ModelFolderError, match=r"cannot be read: .*is not a regular file"):
        read_attributes(tmp_path)
