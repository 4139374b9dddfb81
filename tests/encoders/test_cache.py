from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from palate.encoders.cache import CHUNK, Cached, default_folder
from palate.errors import DataError, OptionError

SOURCE = str(Path(__file__).parents[2] / "src")


class Counting:
    """An encoder that says which texts it was given."""

    def __init__(self, revision: str = "1", dim: int = 3) -> None:
        self.name, self.revision, self.dim = "counting", revision, dim
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        return np.array([[len(text), hash(text) % 1000, 0.5][: self.dim] for text in texts], dtype=np.float32)


def database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "encodings.sqlite")


def test_vectors_are_those_of_the_encoder_and_encoded_once(tmp_path: Path) -> None:
    encoder = Counting()
    texts = ["a", "bb", "a", "", "\ud800"]
    first = Cached(encoder, tmp_path).encode(texts)
    np.testing.assert_array_equal(first, Counting().encode(texts))
    assert encoder.seen == ["a", "bb", "", "\ud800"]
    np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(texts), first)
    assert len(encoder.seen) == 4


def test_only_what_changed_is_encoded(tmp_path: Path) -> None:
    encoder = Counting()
    Cached(encoder, tmp_path).encode(["a", "b", "c"])
    Cached(encoder, tmp_path).encode(["c", "changed", "a"])
    assert encoder.seen == ["a", "b", "c", "changed"]


@pytest.mark.parametrize("other", [Counting(revision="2"), Counting(dim=2)], ids=["revision", "dim"])
def test_another_encoder_does_not_get_these_vectors(tmp_path: Path, other: Counting) -> None:
    Cached(Counting(), tmp_path).encode(["a"])
    assert Cached(other, tmp_path).encode(["a"]).shape == (1, other.dim)
    assert other.seen == ["a"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE vectors SET vector = zeroblob(12) WHERE rowid = 1",
        "UPDATE vectors SET vector = substr(vector, 1, 7) WHERE rowid = 1",
        "UPDATE vectors SET digest = zeroblob(16) WHERE rowid = 1",
        "UPDATE vectors SET (vector, digest) = (SELECT vector, digest FROM vectors WHERE rowid = 2) WHERE rowid = 1",
    ],
    ids=["value", "length", "digest", "swapped"],
)
def test_a_damaged_entry_is_encoded_again(tmp_path: Path, damage: str) -> None:
    Cached(Counting(), tmp_path).encode(["first", "second one"])
    with database(tmp_path) as connection:
        connection.execute(damage)
    connection.close()
    encoder = Counting()
    np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(["first"]), Counting().encode(["first"]))
    assert encoder.seen == ["first"]
    Cached(encoder, tmp_path).encode(["first", "second one"])
    assert encoder.seen == ["first"]


@pytest.mark.parametrize("content", [b"not a database, not at all" * 99, b""], ids=["garbage", "empty"])
def test_a_file_that_is_no_database_is_started_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "encodings.sqlite").write_bytes(content)
    encoder = Counting()
    for _ in range(2):
        np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(["a"]), Counting().encode(["a"]))
    assert encoder.seen == ["a"]


def test_a_database_with_a_damaged_page_never_gives_a_wrong_vector(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(300)]
    expected = Cached(Counting(), tmp_path).encode(texts)
    path = tmp_path / "encodings.sqlite"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 0xFF
        path.write_bytes(bytes(damaged[: rng.choice([len(whole), len(whole) // 2])]))
        np.testing.assert_array_equal(Cached(Counting(), tmp_path).encode(texts), expected)


def test_progress_counts_chunks(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    Cached(Counting(), tmp_path).encode(
        ["x"] * (2 * CHUNK + 1), progress=lambda done, total: seen.append((done, total))
    )
    total = 2 * CHUNK + 1
    assert seen == [(CHUNK, total), (2 * CHUNK, total), (total, total)]


def test_an_interrupted_run_keeps_its_chunks(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(3 * CHUNK)]

    def interrupt(done: int, total: int) -> None:
        if done == 2 * CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cached(Counting(), tmp_path).encode(texts, progress=interrupt)
    encoder = Counting()
    Cached(encoder, tmp_path).encode(texts)
    assert encoder.seen == texts[2 * CHUNK :]


KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from palate.encoders.cache import CHUNK, Cached
class Doomed:
    name, revision, dim, chunks = "counting", "1", 3, 0
    def encode(self, texts):
        self.chunks += 1
        if self.chunks == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.ones((len(texts), 3), dtype=np.float32)
Cached(Doomed(), Path(sys.argv[1])).encode([f"text {n}" for n in range(4 * CHUNK)])
"""


def test_a_killed_run_keeps_its_chunks(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": SOURCE}
    run = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=env, check=False)
    assert run.returncode == -signal.SIGKILL
    encoder = Counting()
    Cached(encoder, tmp_path).encode([f"text {n}" for n in range(4 * CHUNK)])
    assert encoder.seen == [f"text {n}" for n in range(2 * CHUNK, 4 * CHUNK)]


def test_no_texts_give_no_rows_and_no_file(tmp_path: Path) -> None:
    assert Cached(Counting(), tmp_path / "new").encode([]).shape == (0, 3)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OptionError, match=r"file cannot keep vectors \(.*File exists.*\)\. Set PALATE_CACHE to a folder"
    ):
        Cached(Counting(), tmp_path / "file").encode(["a"])


def test_the_cache_holds_no_text(tmp_path: Path) -> None:
    Cached(Counting(), tmp_path).encode(["canary-4711"])
    assert all(b"canary" not in path.read_bytes() for path in tmp_path.iterdir())


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^text 0 is 3 of type int\."):
        Cached(Counting(), tmp_path).encode([3])  # type: ignore[list-item]


def test_the_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "encodings"
    monkeypatch.delenv("PALATE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "palate" / "encodings"
