from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset, planted_world
from palate.datasets.convert import write_folder
from palate.errors import DataError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_written_is_read_back_and_twice_is_once(tmp_path: Path) -> None:
    data = planted_world(users=30, items=20, rng=np.random.default_rng(0)).dataset
    out = write_folder(data, tmp_path / "a" / "out")
    once = contents(out)
    assert set(once) == {"interactions.parquet", "items.parquet", "users.parquet"}
    again = Dataset.load(out, strict=True)
    assert again.interactions.equals(data.interactions)
    assert again.items.equals(data.items)
    assert again.fingerprint() == data.fingerprint()
    write_folder(again, out)
    assert contents(out) == once


def test_further_columns_survive(tmp_path: Path) -> None:
    table = pl.DataFrame({"user_id": ["a"], "item_id": [1], "position": [3]})
    items = pl.DataFrame({"item_id": [1], "image": [b"\x00\xff"], "tags": [["x", "y"]]})
    data = Dataset.from_tables(table, items)
    assert Dataset.load(write_folder(data, tmp_path)).items.equals(data.items)
    assert Dataset.load(tmp_path).interactions["position"].to_list() == [3]


def test_friends_are_written_where_there_are_any(tmp_path: Path) -> None:
    table, pairs = (
        pl.DataFrame({"user_id": ["a"], "item_id": [1]}),
        pl.DataFrame({"user_id": ["a"], "friend_id": ["b"]}),
    )
    data = Dataset.from_tables(table, friends=pairs)
    assert Dataset.load(write_folder(data, tmp_path)).friends.equals(data.friends)
    assert Dataset.load(write_folder(Dataset.from_tables(table), tmp_path)).friends.is_empty()


def test_a_failed_write_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted_world(users=5, items=5, rng=np.random.default_rng(0)).dataset
    write_folder(data, tmp_path)
    before = contents(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\). Choose another folder."):
        write_folder(data, tmp_path)
    assert contents(tmp_path) == before


def test_a_folder_that_would_become_ambiguous(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user_id,item_id\na,1\n")
    with pytest.raises(DataError, match=r"holds ratings.csv already. Choose an empty folder."):
        write_folder(Dataset.load(tmp_path), tmp_path)
    assert os.listdir(tmp_path) == ["ratings.csv"]


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file cannot be written \(File exists\)"):
        write_folder(planted_world(users=5, items=5, rng=np.random.default_rng(0)).dataset, tmp_path / "file")


def test_what_a_process_that_died_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    data = planted_world(users=5, items=12, rng=np.random.default_rng(0)).dataset
    left = tmp_path / "out" / ".writing-left"
    left.mkdir(parents=True)
    (left / "interactions").write_text("somebody who was erased since")
    write_folder(data, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == []
