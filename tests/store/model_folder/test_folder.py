from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import ModelFolderError, StoreError
from palate.store.model_folder import files
from palate.store.model_folder.folder import load_folder, save_folder

SOURCE = str(Path(palate.__file__).resolve().parents[1])


def save(folder: Path, number: int = 1) -> int:
    arrays = {"taste": {"w": np.full((2, 3), float(number)), "n": np.arange(3)}, "none": {}}
    table = pl.DataFrame({"item_id": ["a", "b"], "title": ["é", None], "n": [number, number]})
    return save_folder(folder, config={"number": number, "name": "é"}, arrays=arrays, tables={"items": table})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "model"
    assert save(folder, 7) == 1
    loaded = load_folder(folder)
    assert loaded.config == {"number": 7, "name": "é"}
    assert loaded.notes == []
    assert loaded.generation == 1
    assert set(loaded.arrays) == {"taste", "none"} and loaded.arrays["none"] == {}
    np.testing.assert_array_equal(loaded.arrays["taste"]["w"], np.full((2, 3), 7.0), strict=True)
    np.testing.assert_array_equal(loaded.arrays["taste"]["n"], np.arange(3), strict=True)
    assert loaded.tables["items"].to_dict(as_series=False) == {"item_id": ["a", "b"], "title": ["é", None], "n": [7, 7]}
    loaded.arrays["taste"]["w"] += 1  # a loaded model can be updated as a fitted one


def test_config_is_plain_json_with_a_digest_for_each_file(tmp_path: Path) -> None:
    save(tmp_path)
    document = json.loads((tmp_path / "config.json").read_bytes())
    assert set(document) == {"format", "generation", "config", "files", "sha256"}
    assert (document["format"], document["generation"]) == (1, 1)
    for name, entry in document["files"].items():
        data = (tmp_path / name).read_bytes()
        assert entry == {"sha256": files.digest(data), "bytes": len(data)}
        assert entry["sha256"][:8] in name


def test_two_checkpoints_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    others = ["labels.sqlite", "labels.sqlite-wal", "model-00001-of-00002.safetensors", "notes.txt", "items.parquet"]
    for name in others:
        (tmp_path / name).write_text(name)
    leftover = tmp_path / "taste-00000000.safetensors.tmp"  # of a save that was killed
    leftover.write_text("half")
    assert [save(tmp_path, number) for number in (1, 2, 3)] == [1, 2, 3]
    names = {path.name for path in tmp_path.iterdir()}
    kept = {
        file for name in ("config", "previous") for file in json.loads((tmp_path / f"{name}.json").read_text())["files"]
    }
    assert names == {*others, *kept, "config.json", "previous.json", "save.lock"}
    assert [(tmp_path / name).read_text() for name in others] == others
    assert load_folder(tmp_path).config["number"] == 3


def test_an_unchanged_part_serves_both_checkpoints(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 1)
    assert len(list(tmp_path.glob("taste-*.safetensors"))) == 1
    assert (load_folder(tmp_path).generation, load_folder(tmp_path).notes) == (2, [])


def test_a_damaged_checkpoint_never_takes_the_place_of_the_good_one_before(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    newest = json.loads((tmp_path / "config.json").read_text())["files"]
    (tmp_path / next(name for name in newest if name.startswith("taste"))).write_bytes(b"")
    assert save(tmp_path, 3) == 2
    assert load_folder(tmp_path).config["number"] == 3
    (tmp_path / "config.json").write_bytes(b"")
    assert load_folder(tmp_path).config["number"] == 1


def test_another_programs_config_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelFolderError) as caught:
        save(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'config.json'} is not Palate's. Give the folder of a model that Palate saved."
    )
    assert (tmp_path / "config.json").read_text() == '{"model_type": "bert"}'
    assert list(tmp_path.glob("taste*")) == []


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"config": {"x": float("nan")}}, "the config is not JSON: "),
        ({"config": {"x": {1, 2}}}, "the config is not JSON: "),
        ({"config": {"x": "\ud800"}}, "the config is not JSON: "),
        ({"config": {"x": "y" * 2_000_000}}, "the config has 2,000,"),
        ({"arrays": {"Taste": {}}}, "'Taste' cannot name a file of a model. "),
        ({"arrays": {"../taste": {}}}, "'../taste' cannot name a file of a model. "),
        ({"tables": {"x" * 60: pl.DataFrame()}}, f"'{'x' * 60}' cannot name a file of a model. "),
        ({"arrays": {"taste": {"w": np.array([np.nan])}}}, "taste: tensor 'w' holds numbers from nan to nan, "),
        ({"tables": {"items": pl.DataFrame({"l": [[1]]})}}, "items: column 'l.list.element' is nested "),
    ],
)
def test_what_cannot_be_kept_changes_nothing(tmp_path: Path, parts: dict[str, Any], message: str) -> None:
    save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ModelFolderError) as caught:
        save_folder(tmp_path, **{"config": {}, "arrays": {}, "tables": {}, **parts})
    assert str(caught.value).startswith(message)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    save(tmp_path, 1)

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError) as caught:
            save(tmp_path, 2)
    assert str(caught.value) == (
        f"cannot save the model to {tmp_path}: {os.strerror(code)}. Make the folder writable, or free some disk space; "
        "the model that was there can still be loaded."
    )
    assert load_folder(tmp_path).config["number"] == 1


def test_a_path_that_is_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError) as caught:
        load_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not a model folder: it has no config.json. Give a folder that Palate saved."
    )
    with pytest.raises(ModelFolderError, match=r"cannot be read: No such file or directory\. Give another\.$"):
        load_folder(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFolderError, match=r"cannot be read: Not a directory\. Give another\.$"):
        load_folder(tmp_path / "file")
    with pytest.raises(StoreError, match=r"^cannot save the model to .*: File exists\. "):
        save(tmp_path / "file")


def test_two_processes_save_in_turn(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from palate.store.model_folder.folder import load_folder, save_folder
for number in range(10):
    arrays = {"taste": {"w": np.full(3, int(sys.argv[2]) + number)}}
    save_folder(Path(sys.argv[1]), config={"number": int(sys.argv[2]) + number}, arrays=arrays, tables={})
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    children = [subprocess.Popen([*command, start], env=environment) for start in ("100", "200")]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    loaded = load_folder(tmp_path)
    assert (loaded.generation, loaded.notes) == (20, [])
    assert loaded.arrays["taste"]["w"][0] == loaded.config["number"]
