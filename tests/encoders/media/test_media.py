"""Columns of images and sounds as vectors: what is missing or damaged is named, or left out and counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from palate import Dataset
from palate.datasets.media import Media, media_of
from palate.encoders.media import media as module
from palate.encoders.media.decoding import Decoder
from palate.encoders.media.media import CorruptMedia, encode_files, encode_media
from palate.encoders.protocol import Modality
from palate.errors import DataError, ModelFolderError, OptionError
from tests.encoders.media_files import picture

pytest.importorskip("PIL", reason="needs the extra image")

UNUSED = pl.DataFrame({"user_id": ["u"], "item_id": ["x"]})
NO_IMAGE = "is no PNG, JPEG or WebP file, whatever its name says"


class Colours:
    """An encoder of images: their mean colour."""

    name, revision, dim = "colours", "1", 3
    modality: Modality = "image"

    def __init__(self) -> None:
        self.seen = 0
        self.decoder = Decoder("image", 64, workers=1)

    def encode(self, files: Sequence[bytes], /) -> NDArray[np.float32]:
        return encode_files(files, 3, self.decoder, 4, self._batch)

    def _batch(self, images: list[Any]) -> NDArray[np.float32]:
        self.seen += len(images)
        return np.stack([image.mean((0, 1)) for image in images]).astype(np.float32)


@pytest.fixture
def colours() -> Iterator[Colours]:
    encoder = Colours()
    yield encoder
    encoder.decoder.close()


def column(values: list[str | bytes | None], folder: Path | None = None) -> Media:
    return Media("image", [f"i{n}" for n in range(len(values))], values, folder)


def test_vectors_come_in_the_order_of_the_files(colours: Colours) -> None:
    files = [picture(seed) for seed in range(11)]
    vectors = colours.encode([*files, b""])
    assert vectors.shape == (12, 3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors[:11], axis=1), 1, atol=1e-6)
    assert np.isnan(vectors[11]).all()
    np.testing.assert_array_equal(colours.encode(files[::-1]), vectors[:11][::-1])
    assert colours.encode([]).shape == (0, 3)


def test_all_damaged_files_are_named_at_once(colours: Colours) -> None:
    with pytest.raises(CorruptMedia, match=rf"^image 1 of 8 {NO_IMAGE}, and 1 more like it\. Correct it, or leave it"):
        colours.encode([picture(0), b"<html>", *map(picture, range(1, 6)), picture(7)[:200]])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("a.png", r"^image 0 is of type str\. "),
        (b"one", r"^the image files are one file of 3 bytes\. Give a list of them\.$"),
        ([b"", None], r"^image 1 is of type NoneType\. Give the file's bytes; for none, b''\.$"),
    ],
)
def test_what_is_no_list_of_bytes_is_refused(colours: Colours, files: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        colours.encode(files)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_model_that_gives_no_numbers_is_said(colours: Colours, bad: float) -> None:
    spoilt = lambda images: np.full((len(images), 3), [1.0, bad, 1.0], dtype=np.float32)  # noqa: E731
    with pytest.raises(ModelFolderError, match="values that are not finite"):
        encode_files([picture()], 3, colours.decoder, 4, spoilt)


def test_a_column_of_paths_and_of_bytes(colours: Colours, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(picture(1))
    paths = encode_media(colours, column(["images/a.png", None, ""], tmp_path))
    assert np.isnan(paths.vectors[1:]).all()
    assert paths.report() == ""
    np.testing.assert_array_equal(encode_media(colours, column([picture(1)])).vectors[0], paths.vectors[0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "gone.png",
            r"^the image of item 'i1' \(gone\.png\) cannot be read \(No such file or directory\)\. ",
        ),
        ("page.png", rf"^the image of item 'i1' \(page\.png\) {NO_IMAGE}\. Correct it, empty its cell, or leave such "),
        ("empty.png", r"^the image of item 'i1' \(empty\.png\) is empty\. Correct it"),
        ("images", r"^the image of item 'i1' \(images\) is no file\. "),
        ("pipe", r"^the image of item 'i1' \(pipe\) is no file\. "),
        ("../x.png", r"cannot be read: the path '../x\.png' climbs out"),
        ("%2e%2e/x.png", r"cannot be read: the path '%2e%2e/x\.png' climbs out"),
        ("/etc/passwd", r"cannot be read: the path '/etc/passwd' does not start inside"),
        ("file:///etc/passwd", r"cannot be read: 'file:///etc/passwd' is a URL"),
        ("link.png", r"cannot be read: the path 'link\.png' leads out of the data folder"),
        ("a\x00.png", r"cannot be read: the path 'a\\x00\.png' holds NUL"),
        (b"<html>", rf"^the image of item 'i1' {NO_IMAGE}\. .* on_corrupt='skip' \(--skip-corrupt\)\.$"),
    ],
)
def test_MF_06_a_file_that_cannot_be_had_is_named_or_skipped(
    colours: Colours, tmp_path: Path, value: str | bytes, message: str
) -> None:
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (tmp_path / "x.png").write_bytes(picture(9))
    (root / "link.png").symlink_to(tmp_path / "x.png")
    (root / "page.png").write_text("<html>not found</html>")
    (root / "empty.png").write_bytes(b"")
    os.mkfifo(root / "pipe")
    media = column([picture(0), value, picture(2)], root)
    with pytest.raises(DataError, match=message):
        encode_media(colours, media)
    found = encode_media(colours, media, on_corrupt="skip")
    assert np.isnan(found.vectors).any(axis=1).tolist() == [False, True, False]
    assert [fault.item_id for fault in found.faults] == ["i1"]
    assert found.report().startswith("1 of 3 items go without image (first 'i1'), as their file: 1 ")


def test_skipping_counts_by_reason_and_names_the_first(colours: Colours) -> None:
    values = [picture(n) if n % 3 else b"no" if n % 2 else picture(n)[:200] for n in range(30)]
    found = encode_media(colours, column(values), on_corrupt="skip")
    assert np.isnan(found.vectors).all(axis=1).tolist() == [n % 3 == 0 for n in range(30)]
    assert found.report() == (
        "10 of 30 items go without image (first 'i0', 'i3', 'i6', 'i9', 'i12'), as their file: "
        f"5 is damaged or cut off; 5 {NO_IMAGE}."
    )


def test_few_files_are_held_at_a_time(colours: Colours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_FILES", 4)
    monkeypatch.setattr(module, "CHUNK_BYTES", 2 * len(picture(0)))
    done: list[int] = []
    values: list[str | bytes | None] = [picture(n % 5) for n in range(6)] + [None] * 6
    encode_media(colours, column(values), progress=lambda now, of: done.append(now))
    assert done == [3, 6, 10, 12]


def test_the_wrong_encoder_or_option_is_named(colours: Colours) -> None:
    with pytest.raises(OptionError, match=r"^the encoder 'colours' takes image, the column holds audio\. "):
        encode_media(colours, Media("audio", ["a"], [b"x"], None))
    with pytest.raises(OptionError, match=r"^on_corrupt is 'ignore'\. Give 'raise' or 'skip'\.$"):
        encode_media(colours, column([b"x"]), on_corrupt="ignore")  # type: ignore[arg-type]


def test_a_data_set_knows_where_its_media_lie(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"here")
    UNUSED.write_csv(tmp_path / "interactions.csv")
    pl.DataFrame({"item_id": ["x", "y"], "image": ["a.png", None]}).write_csv(tmp_path / "items.csv")
    media = Dataset.load(tmp_path).item_media("image")
    assert media is not None
    assert (media.item_ids, media.read(0), media.read(1)) == (["x", "y"], b"here", b"")
    assert Dataset.load(tmp_path).item_media("audio") is None
    assert Dataset.load(tmp_path).filter(pl.col("item_id") == "x").item_media("image") is not None


def test_media_of_tables(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"here")
    paths = pl.DataFrame({"item_id": ["x"], "image": ["a.png"]})
    given = Dataset.from_tables(UNUSED, paths, folder=tmp_path).item_media("image")
    assert given is not None
    assert given.read(0) == b"here"
    with pytest.raises(
        DataError, match=r"^the column image holds paths, such as 'a\.png', and the tables came without"
    ):
        Dataset.from_tables(UNUSED, paths).item_media("image")
    data = Dataset.from_tables(UNUSED, pl.DataFrame({"item_id": ["x"], "audio": [b"bytes"]}))
    found = data.item_media("audio")
    assert found is not None
    assert found.read(0) == b"bytes"
    assert media_of(pl.DataFrame({"item_id": ["x"], "image": [None]}), "image", None) is None


def test_a_file_over_the_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palate.datasets.media.LARGEST", 10)
    (tmp_path / "a.png").write_bytes(bytes(11))
    with pytest.raises(DataError, match=r"^the image of item 'i0' \(a\.png\) has over 10 bytes\. Correct the path"):
        column(["a.png"], tmp_path).read(0)
