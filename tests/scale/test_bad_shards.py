"""What is wrong with shards, or with what is to become some, is said in one line, and nothing is left half done."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from palate.cli.app import run
from palate.datasets.files import parquet
from palate.errors import DataError, OptionError, PalateError, StoreBusy
from palate.scale import manifest
from palate.scale.deltas import add_events
from palate.scale.manifest import Manifest
from palate.scale.sharding import locked, shard
from palate.scale.shards import Shards, read_rows
from palate.store.model_folder import files, strict
from tests.scale.test_sharding import KINDS, answers_of, contents, messy, write_data


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    (tmp_path / "data").mkdir()
    return write_data(tmp_path / "data", messy(rng, KINDS["ratings"]))


@pytest.fixture
def made(data: Path, tmp_path: Path) -> Path:
    shard(data, tmp_path / "shards", shards=4, block_items=20)
    return tmp_path / "shards"


def rewritten(folder: Path, change: Callable[[dict], None]) -> None:
    """The manifest with a change, whole again."""
    document = strict.loads((folder / manifest.NAME).read_bytes())
    del document["sha256"]
    change(document)
    document["sha256"] = files.digest(strict.dumps(document))
    files.write(folder / manifest.NAME, strict.dumps(document))


def read_all(folder: Path) -> object:
    return answers_of(Shards.open(folder))


# ---- shards that are there


def test_a_missing_or_shorter_file_is_found_at_open(made: Path) -> None:
    for name in sorted(manifest.read(made).files):
        whole = (made / name).read_bytes()
        (made / name).unlink()
        with pytest.raises(DataError, match=rf"{re.escape(name)} is missing\. Make the shards again"):
            Shards.open(made)
        (made / name).write_bytes(whole[:-1])
        with pytest.raises(DataError, match=rf"damaged: it has {len(whole) - 1:,} bytes instead of {len(whole):,}"):
            Shards.open(made)
        (made / name).write_bytes(whole)
    read_all(made)


def test_a_flipped_bit_never_gives_other_answers(made: Path, rng: np.random.Generator) -> None:
    expected = read_all(made)
    found = 0
    for name in ("users-0001.parquet", "by-block-0002.parquet", "ids/users-0003.parquet", "ids/items-0000.parquet"):
        whole = (made / name).read_bytes()
        for place in [*rng.choice(len(whole), 20, replace=False).tolist(), *range(len(whole) - 900, len(whole), 53)]:
            (made / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            with pytest.raises(DataError, match=rf"{re.escape(name)} is damaged: its SHA-256"):
                Shards.open(made).verify()
            try:
                assert read_all(made) == expected
            except DataError:
                found += 1
        (made / name).write_bytes(whole)
    assert found > 60


@pytest.mark.parametrize("name", ["users-0001", "by-block-0001", "ids/users-0001", "ids/items-0000", "item-totals"])
def test_a_file_without_a_column_is_damaged(name: str, made: Path) -> None:
    shards, path = Shards.open(made), made / f"{name}.parquet"
    table = pq.read_table(path)
    other = table.rename_columns([f"other_{column}" for column in table.column_names])
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), path)
    reads = [shards.item_counts, lambda: shards.rows(1), lambda: shards.by_block(1, 0), lambda: shards.user_ids(1)]
    found = []
    for read in (*reads, lambda: shards.item_ids(0)):
        try:
            read()
        except DataError as error:
            found.append(str(error))
    assert len(found) == 1
    assert f"{name}.parquet is damaged (it has no column" in found[0]


def test_shards_of_other_data_are_told_apart(made: Path, data: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    other = tmp_path / "other"
    other.mkdir()
    rows = messy(rng, KINDS["ratings"])
    shard(write_data(other, rows), tmp_path / "others", shards=4, block_items=20)
    name = "users-0001.parquet"
    shutil.copy(tmp_path / "others" / name, made / name)
    with pytest.raises(DataError, match=f"{name} is damaged: it has"):
        Shards.open(made)
    rewritten(made, lambda one: one["files"][name].update(bytes=(made / name).stat().st_size))
    with pytest.raises(DataError, match=f"{name} belongs to shards of other data, or to another place"):
        Shards.open(made).rows(1)
    shard(data, tmp_path / "again", shards=4, block_items=20)
    shutil.copy(tmp_path / "again" / "users-0002.parquet", made / name)
    with pytest.raises(DataError, match="or to another place"):
        read_rows(str(made), 1)


def test_shards_that_change_while_they_are_read_are_told(made: Path, tmp_path: Path) -> None:
    before = Shards.open(made)
    pl.DataFrame({"user_id": ["ann"], "item_id": ["i1"], "rating": [3.0]}).write_parquet(tmp_path / "new.parquet")
    add_events(tmp_path / "new.parquet", made)
    with pytest.raises(DataError, match="have changed since they were opened"):
        before.rows(0)
    Shards.open(made).rows(0)


def more_blocks(one: dict) -> None:
    one["blocks"] = [[number, number] for number in range(200)]
    one["items"] = one["items"] * 50


MANIFESTS: dict[str, tuple[Callable[[dict], None], str]] = {
    "newer": (lambda one: one.update(format=2), "is too new: its format is 2, and this Palate reads format 1"),
    "more blocks than items": (more_blocks, r"200 blocks of 199 items"),
    "holes": (lambda one: one["blocks"][1].__setitem__(0, 25), "blocks or shards that are not whole"),
    "three shards": (lambda one: one["shards"].pop(), "blocks or shards that are not whole"),
    "other counts": (lambda one: one.update(events=7), "counts that do not agree"),
    "outside": (lambda one: one.update(totals="../x.parquet"), "files that are not those of shards"),
    "no kind": (lambda one: one.update(kind="x"), "counts that do not agree"),
    "a part less": (lambda one: one.pop("total"), "total"),
    "a part more": (lambda one: one.update(more=1), "more"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_says_what_cannot_be_is_refused(name: str, made: Path) -> None:
    change, said = MANIFESTS[name]
    rewritten(made, change)
    with pytest.raises(DataError, match=said) as error:
        Shards.open(made)
    assert "\n" not in str(error.value)


def test_a_manifest_that_is_damaged_or_none_is_refused(made: Path, tmp_path: Path) -> None:
    whole = (made / manifest.NAME).read_text()
    for text in (whole[:-20], whole.replace('"duplicates": ', '"duplicates": 1', 1), "[]", ""):
        (made / manifest.NAME).write_text(text)
        with pytest.raises(DataError, match="is damaged"):
            Shards.open(made)
    (made / manifest.NAME).unlink()
    with pytest.raises(DataError, match=r"holds no shards: _manifest\.json is missing"):
        Shards.open(made)
    with pytest.raises(DataError, match="holds no shards"):
        Shards.open(tmp_path / "nowhere")
    with pytest.raises(OptionError, match="which is no path"):
        Shards.open(3)


@pytest.mark.parametrize("number", [-1, 4, True, "0", 1.0])
def test_a_shard_or_block_that_is_not_there_is_refused(number: object, made: Path) -> None:
    shards = Shards.open(made)
    for read in (shards.rows, shards.user_ids, lambda one: shards.by_block(one, 0)):
        with pytest.raises(OptionError, match="the shard is"):
            read(number)
    with pytest.raises(OptionError, match="the block is"):
        shards.by_block(0, 99 if number == 4 else number)


# ---- data that is to become shards


BAD_DATA: dict[str, tuple[str, str]] = {
    "nothing": ("", "is empty. It needs a header line"),
    "a header alone": ("user_id,item_id,rating\n", "there is no interaction that can be read"),
    "no values": ("user_id,item_id,event\nann,i1,impression\n", "the data has no event to fit: 0 of 1 rows"),
    "another column": ("user,rating\nann,3\n", "has no column 'user_id'"),
    "an unknown event": ("user_id,item_id,event\nann,i1,frob\n", "1 event is unknown: 'frob' 1"),
    "off the scale": ("user_id,item_id,rating\nann,i1,7\n", "1 of 1 ratings are off the scale 1 to 5"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_sharded_leaves_nothing(name: str, tmp_path: Path) -> None:
    text, said = BAD_DATA[name]
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        shard(tmp_path / "bad.csv", tmp_path / "shards", scale="1:5")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shards": 3}, "shards is 3. Give a power of two, such as 4."),
        ({"shards": 0}, "shards is 0. Give a whole number from 1 to 16384."),
        ({"shards": True}, "shards is True"),
        ({"block_items": 0}, "block_items is 0. Give a whole number from 1."),
        ({"seed": -1}, "seed is -1"),
        ({"resume": 1}, "resume is 1. Give True or False."),
        ({"strict": None}, "strict is None. Give True or False."),
        ({"scale": (5, 1)}, "the scale goes from 5 to 1"),
        ({"columns": {"x": "y"}}, "columns maps 'x' to 'y'"),
        ({"events": {"x": "y"}}, "'y'"),
        ({"items": 3}, "the table of items is 3, which is no path"),
        ({"items": "nowhere.csv"}, "there is no file or folder nowhere.csv"),
    ],
)
def test_a_wrong_argument_is_said_and_nothing_is_made(
    options: dict[str, object], said: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(PalateError) as error:
        shard(data, tmp_path / "shards", **options)
    assert said in str(error.value)
    assert not (tmp_path / "shards").exists()


def test_more_blocks_than_items_cannot_be_asked_for(data: Path, tmp_path: Path) -> None:
    shards = shard(data, tmp_path / "shards", block_items=1, shards=1).shards
    assert len(shards.blocks) == shards.n_items
    answers_of(shards)


@pytest.mark.parametrize("paths", [(), [], None, 3, [3], [""]])
def test_paths_that_are_none_are_refused(paths: object, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"paths? of the data|no data to shard"):
        shard(paths, tmp_path / "shards")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_as_it_is(made: Path, data: Path, tmp_path: Path) -> None:
    before = contents(made)
    other = tmp_path / "other.csv"
    other.write_text("user_id,item_id,rating\nann,i1,3\n")
    for resume, said in ((False, "is not empty"), (True, "holds finished shards of other data or options")):
        with pytest.raises(OptionError, match=said):
            shard(other, made, resume=resume)
    assert contents(made) == before
    (tmp_path / "begun").mkdir()
    with mock.patch.object(Manifest, "write", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        shard(data, tmp_path / "begun", shards=4)
    begun = contents(tmp_path / "begun")
    for source, options in ((other, {"shards": 4}), (data, {"shards": 8}), (data, {"shards": 4, "scale": (0, 9)})):
        with pytest.raises(OptionError, match="was begun with other data or other options"):
            shard(source, tmp_path / "begun", resume=True, **options)
    assert contents(tmp_path / "begun") == begun
    for resume, said in ((False, "is not empty"), (True, "holds no shards that were begun")):
        with pytest.raises(OptionError, match=said):
            shard(other, data, resume=resume)
    for nowhere in ("/proc/shards", other / "shards"):
        with pytest.raises(DataError, match=r"cannot be written \(.*\)\. Choose another folder"):
            shard(other, nowhere)


def test_two_at_once_do_not_write_the_same_shards(data: Path, made: Path, tmp_path: Path) -> None:
    with locked(made), pytest.raises(StoreBusy, match=rf"process {os.getpid()} writes shards in"):
        add_events(data, made)
    (tmp_path / "begun" / "_events").mkdir(parents=True)
    with locked(tmp_path / "begun"), pytest.raises(StoreBusy, match=r"Let it finish or end it"):
        shard(data, tmp_path / "begun", resume=True)


# ---- the disk, and kill -9


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place]).returncode:
        pytest.skip("a file system can be mounted by root only")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_said_and_gone_on_from(
    small_disk: Path, tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, 2000, 200_000)],
            "item_id": [f"i{item}" for item in rng.integers(0, 500, 200_000)],
            "rating": rng.normal(size=200_000),
        }
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    command = ["shard", str(tmp_path / "rows.parquet"), "--out", str(small_disk), "--shards", "4"]
    for megabytes in (1, 3, 4):
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", small_disk], check=True)
        assert run([*command, *(["--resume"] if megabytes > 1 else [])]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        full = "cannot be written (No space left on device). Free some space, then give the same with --resume."
        assert " ".join(said.split()).endswith(full), said
        with pytest.raises(DataError, match=r"holds no shards|--resume"):
            Shards.open(small_disk)
    subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
    assert run([*command, "--resume"]) == 0
    whole = shard(tmp_path / "rows.parquet", tmp_path / "whole", shards=4).shards
    assert Shards.open(small_disk).digest == whole.digest
    with contextlib.suppress(OSError):
        (small_disk / "filler").write_bytes(b"x" * (32 << 20))
    before = contents(small_disk)
    subprocess.run(["mount", "-o", "remount,size=33m", small_disk], check=True)
    rows.head(100_000).with_columns(pl.col("rating") + 1).write_parquet(tmp_path / "new.parquet")
    assert run(["shard", str(tmp_path / "new.parquet"), "--onto", str(small_disk)]) == 2
    assert "Free some space, then give the same again." in " ".join(capsys.readouterr().err.split())
    assert contents(small_disk) == before


KILLED = """
import os, sys, time
from pathlib import Path
from palate.scale import intake
from palate.datasets.files import parquet
from palate.scale.sharding import shard
if __name__ == "__main__":
    parquet.READ_ROWS, intake.FLUSH_ROWS = 500, 1000
    data, out = sys.argv[1:]
    def slow(what, done, of):
        print(what, done, flush=True)
        time.sleep(0.05)
    shard(data, out, shards=4, block_items=20, resume=True, progress=slow)
"""


@pytest.mark.parametrize("line", [1, pytest.param(3, marks=pytest.mark.long), pytest.param(6, marks=pytest.mark.long)])
def test_shards_whose_maker_was_killed_are_finished(
    line: int, data: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(data), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        for _ in range(line):
            maker.stdout.readline()
        maker.send_signal(signal.SIGKILL)
    assert maker.returncode == -signal.SIGKILL
    assert not (out / manifest.NAME).exists()
    for rows in (100, 3000) if line == 1 else ():
        monkeypatch.setattr(parquet, "READ_ROWS", rows)
        with pytest.raises(
            DataError, match=r"the data comes in other pieces than before: .* instead of 1,500\. Remove"
        ):
            shard(data, out, shards=4, block_items=20, resume=True)
    monkeypatch.setattr(parquet, "READ_ROWS", 500)
    assert shard(data, out, shards=4, block_items=20, resume=True).shards.digest == Shards.open(made).digest


# ---- the command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give --out DIR, or --onto DIR"),
        (["--onto", "made", "--shards", "4"], "--onto and --shards do not go together"),
        (["--onto", "made", "--resume"], "--onto and --resume do not go together"),
        (["--onto", "nowhere"], "holds no shards"),
        (["--out", "made"], "is not empty"),
        (["--out", "new", "--shards", "5"], "Give a power of two, such as 8"),
        (["--out", "made/users-0000.parquet"], "is no folder that may be written to"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    arguments: list[str],
    said: str,
    data: Path,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    made.rename(tmp_path / "made")
    assert run(["shard", str(data), *arguments]) == 2
    told = capsys.readouterr().err
    assert said in " ".join(told.split())
    assert told.count("Error:") == 1
    assert not (tmp_path / "new").exists()
