"""Write a data set as the Palate data folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import polars as pl

from palate.datasets import rating_scale
from palate.datasets.readers.folder import ENDINGS, INTERACTION_STEMS
from palate.datasets.tables import Dataset
from palate.errors import DataError
from palate.vocabulary import FILE

_WRITING = ".writing-"
NAMES = ("interactions", "items", "users", "friends")  # the last one where there are any


def write_folder(data: Dataset, out: str | os.PathLike[str]) -> Path:
    """Write ``interactions.parquet``, ``items.parquet`` and ``users.parquet``, replacing those that are there; and
    ``palate.toml`` where the scale is given.

    Where the data has words for events of its own, ``events.toml`` too, and ``friends.parquet`` where it has friends.

    Every file is written beside its place and then renamed, so a reader sees the old file or the new one. The same
    data give the same folder however often it is written. Media are not copied: paths in ``image`` and ``audio`` hold
    in the folder that the data came from.

    Raises:
        DataError: If the folder cannot be written, or holds tables in another format, which would be ambiguous.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_others(folder)
        _write(data, folder)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({os.strerror(error.errno or 0)}). Choose another folder."
        ) from None
    return folder


def _refuse_others(folder: Path) -> None:
    for stem in (*INTERACTION_STEMS, *NAMES):
        for ending in ENDINGS:
            ours = stem in NAMES and ending == ".parquet"
            if not ours and (folder / (stem + ending)).exists():
                raise DataError(f"{folder} holds {stem + ending} already. Choose an empty folder.")


def _write(data: Dataset, folder: Path) -> None:
    for left in folder.glob(f"{_WRITING}*"):  # by a process that died
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=_WRITING, dir=folder))
    try:
        names = NAMES if data.friends.height else NAMES[:-1]
        for name in names:
            frame: pl.DataFrame = getattr(data, name)
            frame.write_parquet(temporary / name, compression="zstd")
            _sync(temporary / name)
        for name in names:
            os.replace(temporary / name, folder / f"{name}.parquet")
        if not data.friends.height:  # of data that was here before
            (folder / "friends.parquet").unlink(missing_ok=True)
        (folder / rating_scale.FILE).unlink(missing_ok=True)
        if data.scale is not None:
            (temporary / rating_scale.FILE).write_text(rating_scale.toml(data.scale), encoding="utf-8")
            os.replace(temporary / rating_scale.FILE, folder / rating_scale.FILE)
        if data.vocabulary.added:
            (temporary / FILE).write_text(data.vocabulary.toml(), encoding="utf-8")
            os.replace(temporary / FILE, folder / FILE)
        else:
            (folder / FILE).unlink(missing_ok=True)  # of data that was here before
    finally:
        shutil.rmtree(temporary)
    _sync(folder)


def _sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
