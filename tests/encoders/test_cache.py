from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import palate
from palate.encoders.cache import CHUNK, Cached, default_folder
from palate.encoders.protocol import Modality
from palate.encoders.shards import Shards
from palate.errors import DataError, OptionError

SOURCE = str(Path(palate.__file__).resolve().parents[1])


class Counting:
    """An encoder that says which texts it was given."""

    modality: Modality = "text"

    def __init__(self, revision: str = "1", dim: int = 3) -> None:
        self.name, self.revision, self.dim = "counting", revision, dim
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        return np.array([[len(text), hash(text) % 1000, 0.5][: self.dim] for text in texts], dtype=np.float32)


def files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*.{ending}"))


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


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


def swap(index: Path, vectors: Path) -> None:
    row = vectors.read_bytes()[12:24]
    overwrite(vectors, 0, row)
    overwrite(index, 32, index.read_bytes()[80:96])


@pytest.mark.parametrize(
    "damage",
    [
        lambda index, vectors: overwrite(vectors, 0, b"\x00" * 12),
        lambda index, vectors: overwrite(index, 32, b"\x00" * 16),
        lambda index, vectors: overwrite(index, 0, b"\x00" * 32),
        swap,
    ],
    ids=["value", "digest", "key", "swapped"],
)
def test_a_damaged_entry_is_encoded_again(tmp_path: Path, damage: Callable[[Path, Path], None]) -> None:
    Cached(Counting(), tmp_path).encode(["first", "second one"])
    damage(files(tmp_path, "index")[0], files(tmp_path, "vectors")[0])
    encoder = Counting()
    np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(["first"]), Counting().encode(["first"]))
    assert encoder.seen == ["first"]
    Cached(encoder, tmp_path).encode(["first", "second one"])
    assert encoder.seen == ["first"]


@pytest.mark.parametrize("cut", [("index", 95), ("index", 40), ("vectors", 20), ("vectors", 0)])
def test_what_is_half_written_is_encoded_again(tmp_path: Path, cut: tuple[str, int]) -> None:
    texts = ["first", "second one"]
    expected = Cached(Counting(), tmp_path).encode(texts)
    os.truncate(files(tmp_path, cut[0])[0], cut[1])
    encoder = Counting()
    for _ in range(2):
        np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(texts), expected)
    assert encoder.seen == texts[1 if cut[1] in (95, 20) else 0 :]
    assert len(files(tmp_path, "index")) == 1


@pytest.mark.parametrize("content", [b"no index, not at all" * 99, b""], ids=["garbage", "empty"])
@pytest.mark.parametrize("ending", ["index", "vectors"])
def test_a_file_that_is_no_shard_is_started_anew(tmp_path: Path, ending: str, content: bytes) -> None:
    Cached(Counting(), tmp_path).encode(["a"])
    files(tmp_path, ending)[0].write_bytes(content)
    encoder = Counting()
    for _ in range(2):
        np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(["a"]), Counting().encode(["a"]))
    assert encoder.seen == ["a"]


def test_a_shard_with_a_damaged_byte_never_gives_a_wrong_vector(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(300)]
    expected = Cached(Counting(), tmp_path).encode(texts)
    whole = {path: path.read_bytes() for path in tmp_path.iterdir()}
    rng = np.random.default_rng(0)
    for _ in range(20):
        for path, data in whole.items():
            damaged = bytearray(data)
            damaged[int(rng.integers(len(data)))] ^= 0xFF
            path.write_bytes(bytes(damaged[: rng.choice([len(data), len(data) // 2])]))
        np.testing.assert_array_equal(Cached(Counting(), tmp_path).encode(texts), expected)


def test_a_full_shard_is_followed_by_another(tmp_path: Path) -> None:
    keys = [bytes([n]) * 32 for n in range(5)]
    vectors = {key: np.full(3, n, dtype=np.float32) for n, key in enumerate(keys)}
    with Shards(tmp_path, "e", 3, shard_bytes=2 * 12) as shards:
        shards.write(vectors)
    assert [path.stat().st_size for path in files(tmp_path, "vectors")] == [24, 24, 12]
    with Shards(tmp_path, "e", 3, shard_bytes=2 * 12) as shards:
        found = shards.read(keys)
        assert {key: vector.tolist() for key, vector in found.items()} == {key: [n] * 3 for n, key in enumerate(keys)}
        shards.write({b"x" * 32: np.ones(3, dtype=np.float32)})
    assert [path.stat().st_size for path in files(tmp_path, "vectors")] == [24, 24, 24]


def test_two_at_once_write_two_shards_and_read_both(tmp_path: Path) -> None:
    one, two = (Shards(tmp_path, "e", 1) for _ in range(2))
    with one, two:
        one.write({b"1" * 32: np.ones(1, dtype=np.float32)})
        two.write({b"2" * 32: np.full(1, 2, dtype=np.float32)})
    assert len(files(tmp_path, "index")) == 2
    with Shards(tmp_path, "e", 1) as both:
        assert sorted(vector[0] for vector in both.read([b"1" * 32, b"2" * 32, b"3" * 32]).values()) == [1, 2]


def test_images_are_kept_too_and_bytes_are_not_mixed_up_with_text(tmp_path: Path) -> None:
    encoder = Counting()
    encoder.modality = "image"
    contents: list[Any] = [b"a", b"", b"\xff\x00"]
    np.testing.assert_array_equal(Cached(encoder, tmp_path).encode(contents)[:, 0], [1, 0, 2])
    Cached(encoder, tmp_path).encode(contents)
    assert encoder.seen == contents


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


STOPPED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from palate.encoders.cache import CHUNK, Cached
class Doomed:
    modality, name, revision, dim, chunks = "text", "counting", "1", 3, 0
    def encode(self, texts):
        self.chunks += 1
        if self.chunks == 3:
            os.kill(os.getpid(), int(sys.argv[2]))
        return np.array([[len(text), 0, 0.5] for text in texts], dtype=np.float32)
Cached(Doomed(), Path(sys.argv[1])).encode([f"text {n}" for n in range(4 * CHUNK)])
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_keeps_its_chunks(tmp_path: Path, sent: signal.Signals) -> None:
    env = {**os.environ, "PYTHONPATH": SOURCE}
    run = subprocess.run(
        [sys.executable, "-c", STOPPED, str(tmp_path), str(int(sent))], env=env, check=False, capture_output=True
    )
    assert run.returncode == -sent
    encoder = Counting()
    vectors = Cached(encoder, tmp_path).encode([f"text {n}" for n in range(4 * CHUNK)])
    assert encoder.seen == [f"text {n}" for n in range(2 * CHUNK, 4 * CHUNK)]
    assert vectors[:, 0].tolist() == [len(f"text {n}") for n in range(4 * CHUNK)]


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
