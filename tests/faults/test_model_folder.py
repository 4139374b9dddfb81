"""Faults of the model folder: files that run code, malformed and damaged files, crashes, sick weights, paths."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

import palate
from palate.errors import ModelFolderError, PalateError, StoreError
from palate.store.model_folder import manifest
from palate.store.model_folder.folder import load_folder, save_folder

PACKAGE = Path(palate.__file__).resolve().parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


def save(folder: Path, number: int) -> int:
    """A checkpoint whose every file differs from those of other numbers."""
    table = pl.DataFrame({"item_id": [f"i{place}" for place in range(20)], "n": [number] * 20})
    taste = {"mean": np.full((4, 3), float(number)), "seen": np.arange(number, number + 5)}
    return save_folder(folder, config={"number": number}, arrays={"taste": taste}, tables={"items": table})


def number_in(folder: Path) -> int:
    """The number that was saved, if all parts agree."""
    loaded = load_folder(folder)
    number: int = loaded.config["number"]
    assert (loaded.arrays["taste"]["mean"] == number).all()
    assert loaded.arrays["taste"]["seen"].tolist() == list(range(number, number + 5))
    assert loaded.tables["items"]["n"].to_list() == [number] * 20
    return number


def forge(folder: Path, contents: dict[str, bytes] | None = None, **parts: Any) -> Path:
    """A folder as an attacker makes it: any bytes, under names and digests that fit."""
    folder.mkdir(exist_ok=True)
    manifest = {}
    for name, data in (contents or {}).items():
        stem, _, kind = name.partition(".")
        digest = hashlib.sha256(data).hexdigest()
        manifest[f"{stem}-{digest[:8]}.{kind}"] = {"sha256": digest, "bytes": len(data)}
        (folder / f"{stem}-{digest[:8]}.{kind}").write_bytes(data)
    document = {"format": 1, "generation": 1, "config": {}, "files": manifest, **parts}
    document["sha256"] = hashlib.sha256(text_of(document)).hexdigest()
    (folder / "config.json").write_bytes(text_of(document))
    return folder


def text_of(document: object) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


# MF-01: files that run code


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.marker),)


def bombs(marker: Path) -> dict[str, bytes]:
    plain = pickle.dumps(Bomb(marker))
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Bomb(marker)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as file:  # as torch.save writes
        file.writestr("archive/data.pkl", plain)
    suffixes = {".pkl": plain, ".pickle": plain, ".joblib": plain, ".bin": plain, ".npy": array.getvalue()}
    return {**suffixes, ".pt": archive.getvalue(), ".pth": archive.getvalue(), ".zip": archive.getvalue()}


def test_MF_01_the_bombs_would_go_off(tmp_path: Path) -> None:
    for number, (suffix, data) in enumerate(bombs(tmp_path / "marker").items()):
        if suffix in (".pt", ".pth", ".zip"):
            data = zipfile.ZipFile(io.BytesIO(data)).read("archive/data.pkl")
        if suffix == ".npy":
            np.load(io.BytesIO(data), allow_pickle=True)
        else:
            pickle.loads(data)  # noqa: S301 - our own, to know that it would go off
        (tmp_path / "marker").rename(tmp_path / str(number))


def test_MF_01_files_that_run_code_are_never_read(tmp_path: Path) -> None:
    marker, folder = tmp_path / "marker", tmp_path / "model"
    folder.mkdir()
    for suffix, data in bombs(marker).items():
        (folder / f"taste{suffix}").write_bytes(data)
        (folder / f"taste-00000000{suffix}").write_bytes(data)
    with pytest.raises(ModelFolderError, match=r"is not a model folder: it has no config\.json"):
        load_folder(folder)
    save(folder, 1)
    assert number_in(folder) == 1  # with the bombs beside it
    assert not marker.exists()


def test_MF_01_pickles_under_our_names_are_refused(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for number, data in enumerate(bombs(marker).values()):
        for kind in ("safetensors", "parquet", *("pkl", "pt", "npy")):
            with pytest.raises(ModelFolderError):
                load_folder(forge(tmp_path / f"{number}-{kind}", {f"taste.{kind}": data}))
        (tmp_path / f"{number}-parquet" / "config.json").write_bytes(data)
        with pytest.raises(ModelFolderError):
            load_folder(tmp_path / f"{number}-parquet")
    assert not marker.exists()


RUNS_CODE = {"pickle", "cloudpickle", "_pickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {"read_pickle", "to_pickle", "unsafe_load", "full_load"}


def dangers(source: str) -> Iterator[str]:
    """What in a module could run code out of a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in RUNS_CODE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in RUNS_CODE:
            yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            yield from _dangerous_call(node)


def _dangerous_call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if called in FORBIDDEN_CALLS or called.rpartition(".")[2] in FORBIDDEN_METHODS or called == "yaml.load":
        yield called
    if called == "torch.load" and keywords.get("weights_only") != "True":
        yield "torch.load without weights_only"
    if called in ("np.load", "numpy.load") and keywords.get("allow_pickle", "False") != "False":
        yield "np.load with allow_pickle"


def test_MF_01_no_source_runs_code_from_a_file() -> None:
    sources = sorted(PACKAGE.rglob("*.py"))
    assert sources
    found = {str(path.relative_to(PACKAGE)): list(dangers(path.read_text())) for path in sources}
    assert {name: list_ for name, list_ in found.items() if list_} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, joblib.numpy_pickle",
        "from dill import loads",
        "def f():\n    import cloudpickle as harmless",
        "eval('1')",
        "exec(text)",
        "yaml.load(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
    ],
)
def test_MF_01_the_static_test_sees(source: str) -> None:
    assert list(dangers(source))


def test_MF_01_torch_is_new_enough() -> None:
    """Below 2.10, even weights_only can be made to run code (CVE-2026-24747)."""
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    lines = [
        line for extra in [project["dependencies"], *extras.values()] for line in extra if re.match(r"torch\b", line)
    ]
    versions = [re.match(r"torch\s*(?:==|>=)\s*(\d+)\.(\d+)", line) for line in lines]
    assert all(match and (int(match[1]), int(match[2])) >= (2, 10) for match in versions), lines


# MF-02: malformed files under digests that fit


def tensors_file(header: object, numbers: bytes = bytes(16), *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def entry(begin: int, end: int, shape: object = None, dtype: object = "F64") -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - begin) // 8] if shape is None else shape, "data_offsets": [begin, end]}


MALFORMED_TENSORS: dict[str, tuple[bytes, str]] = {
    "no bytes at all": (b"", "it has 0 bytes, too few"),
    "half a length": (bytes(7), "it has 7 bytes, too few"),
    "header past the file": (tensors_file({"w": entry(0, 16)}, length=5_000), "its header claims 5,000 bytes, and the"),
    "header of 2^64": (tensors_file({}, length=2**64 - 1), "its header claims 18,446,744,073,709,551,615 bytes, of at"),
    "header over 100 MB": (tensors_file(b" " * 100_000_001, b""), "its header claims 100,000,"),
    "no JSON": (tensors_file(b"{'w': 1}"), "its header is not JSON"),
    "not UTF-8": (tensors_file(b'{"\xff": 1}'), "its header is not JSON: 'utf-8' codec"),
    "deep JSON": (tensors_file(b'{"w":' + b"[" * 200_000), "its header is not JSON: it nests too deep"),
    "NaN in the header": (tensors_file(b'{"w": NaN}'), "its header is not JSON: NaN"),
    "a list for a header": (tensors_file([]), "its header is a list"),
    "duplicate names": (
        tensors_file(b'{"w":%s,"w":%s}' % ((json.dumps(entry(0, 16)).encode(),) * 2)),
        "the key 'w' appears twice",
    ),
    "1e5 tensors over one byte": (
        tensors_file(
            b"{" + b",".join(b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}' % n for n in range(18_000)) + b"}",
            bytes(1),
        ),
        "it holds 18,000 tensors, of at most 10,000",
    ),
    "overlap": (tensors_file({"a": entry(0, 16), "b": entry(8, 16)}), "starts at byte 8 and overlaps"),
    "the same bytes twice": (tensors_file({"a": entry(0, 16), "b": entry(0, 16)}), "starts at byte 0 and overlaps"),
    "a hole": (tensors_file({"a": entry(0, 8), "b": entry(16, 24)}, bytes(24)), "starts at byte 16 and leaves a hole"),
    "a hole at the start": (tensors_file({"a": entry(8, 16)}), "starts at byte 8 and leaves a hole"),
    "trailing bytes": (tensors_file({"a": entry(0, 8)}), "take 8 bytes and the file has 16"),
    "missing bytes": (tensors_file({"a": entry(0, 24)}), "take 24 bytes and the file has 16"),
    "no tensors but bytes": (tensors_file({}), "take 0 bytes and the file has 16"),
    "end before begin": (tensors_file({"a": entry(16, 0, [2])}), "has -16 bytes where its shape needs 16"),
    "negative offset": (tensors_file({"a": entry(-8, 8)}), "impossible offsets [-8, 8]"),
    "one offset": (tensors_file({"a": {**entry(0, 16), "data_offsets": [0]}}), "impossible offsets [0]"),
    "offsets of floats": (tensors_file({"a": {**entry(0, 16), "data_offsets": [0.0, 16.0]}}), "impossible offsets"),
    "shape too large": (tensors_file({"a": entry(0, 16, [3])}), "has 16 bytes where its shape needs 24"),
    "shape product past 2^64": (tensors_file({"a": entry(0, 16, [2**32, 2**32 + 1])}), "the impossible shape"),
    "shape product that wraps": (tensors_file({"a": entry(0, 16, [2**62, 8])}), "the impossible shape"),
    "shape product behind a 0": (tensors_file({"a": entry(0, 0, [0, 2**39, 2**39])}), "the impossible shape"),
    "negative side": (tensors_file({"a": entry(0, 16, [-1, -2])}), "the impossible shape"),
    "side of true": (tensors_file({"a": entry(0, 8, [True])}), "the impossible shape"),
    "nine dimensions": (tensors_file({"a": entry(0, 8, [1] * 9)}), "the impossible shape"),
    "a million dimensions": (tensors_file({"a": entry(0, 8, [1] * 300_000)}), "the impossible shape"),
    "unknown dtype": (tensors_file({"a": entry(0, 16, dtype="F65")}), "has dtype 'F65', none of F64"),
    "objects": (tensors_file({"a": entry(0, 16, dtype="O")}), "has dtype 'O', none of F64"),
    "a dtype that is a list": (tensors_file({"a": entry(0, 16, dtype=["F64"])}), "none of F64"),
    "wrong dtype": (tensors_file({"a": entry(0, 16, dtype="F32")}), "has 16 bytes where its shape needs 8"),
    "not aligned": (
        tensors_file({"a": entry(0, 1, [1], "U8"), "b": entry(1, 9)}, bytes(9)),
        "'b' is not aligned to its 8 bytes",
    ),
    "an extra key": (tensors_file({"a": {**entry(0, 16), "code": "x"}}), "is not described by"),
    "an entry that is text": (tensors_file({"a": "F64"}), "is not described by"),
}


def bomb_in_parquet(compression: str) -> bytes:
    """IN-05: 50,000,000 rows over one text of 1,000 bytes."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000_000, dtype=np.int8)), pa.array(["x" * 1000]))
    target = io.BytesIO()
    pq.write_table(pa.table({"title": column}), target, compression=compression)
    assert len(target.getvalue()) < 6_000_000
    return target.getvalue()


# Loads each folder and tells the error, the seconds, and by how much the process has grown at its largest.
LOADER = """
import json, resource, sys, time
from pathlib import Path
from palate.errors import PalateError
from palate.store.model_folder.folder import load_folder
good, *folders = map(Path, sys.argv[1:])
load_folder(good)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in folders:
    started = time.perf_counter()
    told = ["", ""]
    try:
        load_folder(folder)
    except PalateError as error:
        told = [type(error).__name__, str(error)]
    print(json.dumps([*told, time.perf_counter() - started]))
print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))
"""


def load_apart(good: Path, folders: list[Path]) -> tuple[list[tuple[str, str, float]], float]:
    command = [sys.executable, "-c", LOADER, str(good), *map(str, folders)]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=120)
    *told, grown = map(json.loads, done.stdout.splitlines())
    return [(kind, message, seconds) for kind, message, seconds in told], grown


def test_MF_02_malformed_files(tmp_path: Path) -> None:
    save(tmp_path / "good", 1)
    cases = {name: ({"taste.safetensors": data}, reason) for name, (data, reason) in MALFORMED_TENSORS.items()}
    cases["zstd bomb"] = ({"items.parquet": bomb_in_parquet("zstd")}, "column 'title' is compressed (ZSTD)")
    cases["bomb"] = ({"items.parquet": bomb_in_parquet("none")}, "more than MAX_DECODED_BYTES = 1,073,741,824 bytes")
    del cases["header over 100 MB"]  # reading that file takes its size in memory; see below
    folders = [forge(tmp_path / str(number), contents) for number, (contents, _) in enumerate(cases.values())]
    told, grown = load_apart(tmp_path / "good", folders)
    for (name, (_, reason)), (kind, message, seconds) in zip(cases.items(), told, strict=True):
        assert kind in ("ModelFolderError", "LimitError") and reason in message, (name, kind, message)
        assert seconds < 1, (name, seconds)
    assert grown < 64


def test_MF_02_a_header_of_100_megabytes(tmp_path: Path) -> None:
    data, reason = MALFORMED_TENSORS["header over 100 MB"]
    with pytest.raises(ModelFolderError, match=reason):
        load_folder(forge(tmp_path, {"taste.safetensors": data}))


def test_MF_02_the_forger_can_make_a_good_folder(tmp_path: Path) -> None:
    """Else the malformed files above could be refused for another reason."""
    data = safetensors.numpy.save({"w": np.arange(3.0)})
    contents = {"taste.safetensors": data, "other.safetensors": tensors_file({"a": entry(0, 16)})}
    loaded = load_folder(forge(tmp_path, contents, config={"dimensions": 3}))
    assert loaded.config == {"dimensions": 3}
    assert loaded.arrays["taste"]["w"].tolist() == [0, 1, 2] and loaded.arrays["other"]["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "config.json is damaged: Expecting value"),
        (b"[" * 100_000, "config.json is damaged: it nests too deep"),
        (b'{"format": NaN}', "config.json is damaged: NaN is not a number JSON has"),
        (b'{"format": 1e999}', "config.json is damaged: the number 1e999 is not finite"),
        (b'{"format": 1, "format": 1}', "config.json is damaged: the key 'format' appears twice"),
        (b'{"format": \xff}', "config.json is damaged: 'utf-8' codec"),
        (b'{"format": ' + b"1" * 5_000 + b"}", "config.json is damaged: Exceeds the limit"),
        (
            b'{"format": "' + b"x" * (1 << 20) + b'"}',
            "config.json cannot be read: config.json has 1,048,590 bytes, of at",
        ),
        (b'{"format": "\\ud800"}', "config.json is damaged: it does not match its own digest"),
        (b'{"format": 1}', "config.json is damaged: it does not match its own digest"),
        (b'{"format": 9}', "its format is 9, and this Palate reads format 1"),
        (b"[]", "is not Palate's"),
        (b'{"architectures": ["Bert"]}', "is not Palate's"),
    ],
)
def test_MF_02_a_malformed_config(tmp_path: Path, text: bytes, reason: str) -> None:
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(ModelFolderError, match=re.escape(reason)):
        load_folder(tmp_path)


GOOD_ENTRY = {"sha256": "1a2b3c4d" + "0" * 56, "bytes": 5}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"generation": True}, "lacks a part or has one too many"),
        ({"config": []}, "lacks a part or has one too many"),
        ({"files": []}, "lacks a part or has one too many"),
        ({"format": 0}, "lacks a part or has one too many"),
        ({"format": "1"}, "lacks a part or has one too many"),
        ({"hook": "os.system"}, "lacks a part or has one too many"),
        ({"files": {f"t{n}-1a2b3c4d.parquet": GOOD_ENTRY for n in range(1_001)}}, "lacks a part or has one too many"),
        ({"files": {"taste-1a2b3c4d.safetensors": []}}, "does not give size and digest"),
        ({"files": {"taste-1a2b3c4d.safetensors": {**GOOD_ENTRY, "url": ""}}}, "does not give size and digest"),
        ({"files": {"taste-1a2b3c4d.safetensors": {**GOOD_ENTRY, "bytes": -1}}}, "-1 bytes, of at most"),
        ({"files": {"taste-1a2b3c4d.safetensors": {**GOOD_ENTRY, "bytes": 10**15}}}, "1000000000000000 bytes, of at"),
        ({"files": {"taste-1a2b3c4d.safetensors": {**GOOD_ENTRY, "bytes": "5"}}}, "'5' bytes, of at most"),
        ({"files": {"taste-1a2b3c4d.safetensors": {**GOOD_ENTRY, "sha256": "0" * 64}}}, "not that of its name"),
        ({"files": {"taste-1a2b3c4d.safetensors": {**GOOD_ENTRY, "sha256": None}}}, "not that of its name"),
        (
            {"files": {f"taste-{digest}.safetensors": {"sha256": digest, "bytes": 0} for digest in ("0" * 8, "1" * 8)}},
            "names two files for one part",
        ),
    ],
)
def test_MF_02_a_manifest_whose_digest_fits(tmp_path: Path, parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFolderError, match=re.escape(reason)):
        load_folder(forge(tmp_path, **parts))


def test_MF_02_a_claimed_size_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    forge(tmp_path, files={"taste-1a2b3c4d.safetensors": GOOD_ENTRY})
    with open(tmp_path / "taste-1a2b3c4d.safetensors", "wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no disk
    with pytest.raises(ModelFolderError, match="has 1,099,511,627,776 bytes, of at most 5"):
        load_folder(tmp_path)


# MF-03: damage


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save(folder, 1)
    save(folder, 2)
    return folder


def files_of(folder: Path, name: str) -> list[Path]:
    return [folder / name, *(folder / content for content in json.loads((folder / name).read_bytes())["files"])]


def check_fallback(folder: Path, damaged: Path) -> None:
    loaded = load_folder(folder)
    assert (loaded.config["number"], loaded.generation) == (1, 1), damaged
    (note,) = loaded.notes
    assert note.startswith(damaged.name) and note.endswith(
        "; generation 1 of previous.json was loaded instead. Save again."
    )
    assert number_in(folder) == 1


def test_MF_03_a_load_that_two_saves_overtake_finds_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)
    read, left = manifest.read_content, [2, 3]

    def overtaken(*arguments: Any) -> Any:
        numbers, left[:] = left[:], []
        for number in numbers:
            save(tmp_path, number)
        return read(*arguments)

    monkeypatch.setattr(manifest, "read_content", overtaken)
    loaded = load_folder(tmp_path)
    assert not loaded.notes and loaded.config["number"] == 3


def test_MF_03_truncated_at_every_64th(two_checkpoints: Path) -> None:
    for path in files_of(two_checkpoints, "config.json"):
        whole = path.read_bytes()
        for part in range(64):
            path.write_bytes(whole[: len(whole) * part // 64])
            check_fallback(two_checkpoints, path)
        path.write_bytes(whole + b"\n")
        check_fallback(two_checkpoints, path)
        path.unlink()
        check_fallback(two_checkpoints, path)
        path.write_bytes(whole)
    assert (number_in(two_checkpoints), load_folder(two_checkpoints).notes) == (2, [])


def test_MF_03_a_flipped_bit(two_checkpoints: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    for path in files_of(two_checkpoints, "config.json"):
        whole = path.read_bytes()
        for bit in chance.sample(range(8 * len(whole)), 200):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            loaded = load_folder(two_checkpoints)
            assert (loaded.config["number"], len(loaded.notes)) == (1, 1), (path.name, bit, seed)
        path.write_bytes(whole)


def test_MF_03_files_swapped_between_checkpoints(two_checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(two_checkpoints, folder)
    new, old = ({path.suffix: path for path in files_of(folder, name)} for name in ("config.json", "previous.json"))
    shutil.copyfile(old[".safetensors"], new[".safetensors"])
    check_fallback(folder, new[".safetensors"])
    shutil.copyfile(new[".parquet"], old[".parquet"])
    with pytest.raises(ModelFolderError) as caught:
        load_folder(folder)
    told = str(caught.value)
    assert told.startswith(
        f"the model folder {folder} holds no whole checkpoint: {new['.safetensors'].name} is damaged: "
    )
    assert f"; {old['.parquet'].name} is damaged: " in told
    assert told.endswith(". Restore the folder from a backup, or save the model again.")


def test_MF_03_damage_to_the_checkpoint_before_is_no_trouble(two_checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(two_checkpoints, folder)
    for path in files_of(folder, "previous.json"):
        path.write_bytes(b"")
    assert (number_in(folder), load_folder(folder).notes) == (2, [])


# MF-04: a crash while saving


def interrupt_at(monkeypatch: pytest.MonkeyPatch, turn: int, error: BaseException) -> list[str]:
    """Let the ``turn``-th call that changes the disk fail; the list tells the calls made."""
    calls: list[str] = []

    def wrap(name: str) -> None:
        genuine = getattr(os, name)

        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            calls.append(name)
            if len(calls) == turn:
                raise error
            return genuine(*arguments, **keywords)

        monkeypatch.setattr(os, name, wrapped)

    for name in ("open", "fsync", "replace", "rename", "unlink"):
        wrap(name)
    return calls


@pytest.mark.parametrize("first", [True, False], ids=["first save", "later save"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["ctrl-c", "full"])
def test_MF_04_interrupted_at_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, first: bool
) -> None:
    outcomes = set()
    for turn in range(1, 200):
        folder = tmp_path / str(turn)
        for number in () if first else (1, 2):
            save(folder, number)
        with monkeypatch.context() as patch:
            calls = interrupt_at(patch, turn, error)
            try:
                save(folder, 3)
            except (KeyboardInterrupt, StoreError):
                outcomes.add("stopped")
        if len(calls) < turn:
            break
        outcomes.add(check_old_or_new(folder, first))
    assert {"open", "fsync", "replace"} <= set(calls) and turn > 12
    assert outcomes == {"stopped", "old", "new"}


def check_old_or_new(folder: Path, first: bool) -> str:
    """After a crash the old or the new checkpoint loads, and the next save clears up."""
    if first and not (folder / "config.json").exists():
        outcome = "old"
    else:
        loaded = load_folder(folder)
        assert loaded.notes == []
        outcome = {2: "old", 3: "new"}[number_in(folder)]
    save(folder, 4)
    assert number_in(folder) == 4
    named = {path.name for name in ("config.json", "previous.json") for path in _files_if_there(folder, name)}
    assert {path.name for path in folder.iterdir()} == named | {"save.lock"}
    return outcome


def _files_if_there(folder: Path, name: str) -> list[Path]:
    return files_of(folder, name) if (folder / name).exists() else []


def test_MF_04_everything_is_synced_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill cannot show, since the page cache outlives the process: the order that a power loss needs."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    steps: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def names() -> dict[int, str]:
        return {path.stat().st_ino: path.name for path in [tmp_path, *tmp_path.iterdir()]}

    def watched_fsync(descriptor: int) -> None:
        steps.append(("sync", names()[os.fstat(descriptor).st_ino]))
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        assert ("sync", Path(source).name) in steps
        steps.append(("name", Path(target).name))
        replace(source, target)

    def watched_unlink(path: Path) -> None:
        steps.append(("remove", Path(path).name))
        unlink(path)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    monkeypatch.setattr(os, "unlink", watched_unlink)
    save(tmp_path, 3)
    taste, items = (
        next(name for kind, name in steps if kind == "name" and part in name) for part in ("taste", "items")
    )
    folder = ("sync", tmp_path.name)
    order = [step for step in steps if step[0] != "sync" or step == folder]
    assert order[:6] == [
        ("name", taste),
        ("name", items),
        folder,
        ("name", "previous.json"),
        ("name", "config.json"),
        folder,
    ]
    assert {kind for kind, _ in order[6:]} == {"remove"} and len(order) == 8


# One process a folder saves number 3. strace kills each at its 30th call of one kind; those made beforehand, elsewhere,
# decide which call of the save that is. Forking spares the time of importing Polars under strace for every folder.
SAVER = """
import os, sys
from pathlib import Path
import numpy as np
import polars as pl
from palate.store.model_folder.folder import save_folder
call, scratch, *folders = sys.argv[1:]

def one_more():
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT)
    if call == "fsync":
        os.fsync(descriptor)
    elif call == "rename":
        os.replace(scratch, scratch + "-")
    else:
        os.unlink(scratch)
    os.close(descriptor)

for turn, folder in enumerate(folders, start=1):
    child = os.fork()
    if child == 0:
        for _ in range(30 - turn):
            one_more()
        table = pl.DataFrame({"item_id": [f"i{place}" for place in range(20)], "n": [3] * 20})
        taste = {"mean": np.full((4, 3), 3.0), "seen": np.arange(3, 8)}
        save_folder(Path(folder), config={"number": 3}, arrays={"taste": taste}, tables={"items": table})
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.parametrize(("call", "made"), [("fsync", 6), ("rename", 4), ("unlink", 2)])
def test_MF_04_killed_at_every_sync_rename_and_unlink(tmp_path: Path, call: str, made: int) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    folders = [tmp_path / str(turn) for turn in range(1, made + 2)]
    for folder in folders:
        save(folder, 1)
        save(folder, 2)
    options = ["-f", "-qq", "-o", os.devnull, "-e", f"trace=/^{call}", "-e", f"inject=/^{call}:signal=KILL:when=30"]
    command = [strace, *options, sys.executable, "-B", "-c", SAVER, call, str(tmp_path / "scratch"), *map(str, folders)]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=120)
    assert [int(code) for code in done.stdout.split()] == [-signal.SIGKILL] * made + [0]
    outcomes = [check_old_or_new(folder, first=False) for folder in folders]
    assert outcomes == sorted(outcomes, reverse=True)  # old up to one call, new from then on
    assert outcomes[-1] == "new" and (call == "unlink" or outcomes[0] == "old")


# MF-05: a wrong or a sick model


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -3e38])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_MF_05_sick_weights_are_named(tmp_path: Path, value: float, dtype: type) -> None:
    arrays = {"fine": np.ones(2), "loadings": np.array([[0.0, 1.0], [value, 2.0]], dtype=dtype)}
    save(tmp_path, 1)
    shutil.copyfile(tmp_path / "config.json", tmp_path / "previous.json")  # a sick model is no reason to take the last
    with pytest.raises(ModelFolderError) as caught:
        load_folder(forge(tmp_path, {"taste.safetensors": safetensors.numpy.save(arrays)}))
    assert "tensor 'loadings' holds numbers from" in str(caught.value)
    assert str(caught.value).endswith(
        "must be finite and below 1e+30. Fit the model again, or go back to an earlier one."
    )


def test_MF_05_infinite_halves_are_sick(tmp_path: Path) -> None:
    data = safetensors.numpy.save({"w": np.array([np.inf], dtype=np.float16)})
    with pytest.raises(ModelFolderError, match="tensor 'w' holds numbers from inf to inf"):
        load_folder(forge(tmp_path, {"taste.safetensors": data}))


def test_MF_05_a_newer_format_says_what_it_needs(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    forge(tmp_path, format=2)
    told = (
        f"{tmp_path / 'config.json'} is too new: its format is 2, and this Palate reads format 1. "
        "Install a newer Palate, in its checkout: git pull && pip install ."
    )
    for use in (lambda: load_folder(tmp_path), lambda: save(tmp_path, 3)):
        with pytest.raises(ModelFolderError) as caught:
            use()
        assert str(caught.value) == told


# MF-06: paths

PATHS = [
    "../x-1a2b3c4d.safetensors",
    "%2e%2e/x-1a2b3c4d.safetensors",
    "..\\x-1a2b3c4d.safetensors",
    "..",
    "/etc/passwd",
    "file:///etc/x-1a2b3c4d.safetensors",
    "http:///#/../../etc/x-1a2b3c4d.safetensors",
    "?../../x-1a2b3c4d.safetensors",
    "x\0-1a2b3c4d.safetensors",
    "C:x-1a2b3c4d.safetensors",
    "sub/x-1a2b3c4d.safetensors",
    ".x-1a2b3c4d.safetensors",
    "-x-1a2b3c4d.safetensors",
    "X-1a2b3c4d.safetensors",
    "é-1a2b3c4d.safetensors",
    "x-1a2b3c4d.safetensors\n",
    "x-1a2b3c4d.safetensors ",
    "x-1a2b3c4d.pkl",
    "x-1a2b3c4d.parquet.pkl",
    "x-1A2B3C4D.parquet",
    "labels.sqlite",
    "config.json",
    "x.safetensors",
    f"{'x' * 60}-1a2b3c4d.parquet",
    "",
]


@pytest.mark.parametrize("name", PATHS)
def test_MF_06_names_that_palate_never_gives(tmp_path: Path, name: str) -> None:
    folder = forge(tmp_path / "model", files={name: GOOD_ENTRY})
    with pytest.raises(ModelFolderError) as caught:
        load_folder(folder)
    assert str(caught.value) == (
        f"{folder / 'config.json'} names the file {name[:80]!r}, which Palate never wrote. Do not use this folder."
    )


def test_MF_06_a_sibling_with_the_same_beginning(tmp_path: Path) -> None:
    save(tmp_path / "model-of-others", 1)
    secret = next((tmp_path / "model-of-others").glob("taste*"))
    for name in (f"../model-of-others/{secret.name}", f"-of-others/{secret.name}"):
        manifest = {name: {"sha256": hashlib.sha256(secret.read_bytes()).hexdigest(), "bytes": secret.stat().st_size}}
        with pytest.raises(ModelFolderError, match="which Palate never wrote"):
            load_folder(forge(tmp_path / "model", files=manifest))


@pytest.mark.parametrize("name", ["config.json", "taste", "labels.sqlite", "save.lock"])
def test_MF_06_symlinks_are_refused(tmp_path: Path, name: str) -> None:
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    save(folder, 1)
    path = next(folder.glob("taste*")) if name == "taste" else folder / name
    if path.exists():
        path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(ModelFolderError) as caught:
        load_folder(folder)
    assert str(caught.value) == f"{path} is a symlink. Copy the file it stands for into the folder."


def test_MF_06_a_save_does_not_write_through_a_symlink(tmp_path: Path) -> None:
    folder, victim = tmp_path / "model", tmp_path / "victim"
    save(folder, 1)
    for name in ("save.lock", "config.json.tmp", "previous.json.tmp"):
        victim.write_text("precious")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
        with pytest.raises(StoreError):
            save(folder, 2)
        (folder / name).unlink()
        assert victim.read_text() == "precious"


def test_MF_06_a_fifo_does_not_hang_the_load(tmp_path: Path) -> None:
    save(tmp_path, 1)
    path = next(tmp_path.glob("taste*"))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PalateError, match="is not a regular file"):
        load_folder(tmp_path)
