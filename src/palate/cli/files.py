"""What commands read and write: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from palate.cli.console import errors, line, progress
from palate.cli.options import column_names, event_words
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.learner import Learner
    from palate.recommender import Recommender


def load_data(
    path: Path,
    *,
    columns: Iterable[str] | None = None,
    events: Iterable[str] | None = None,
    strict: bool = False,
    scale: str | None = None,
) -> Dataset:
    """The data set; how it was taken and what could not be read is said on standard error."""
    from palate.datasets.tables import Dataset

    with progress() as report:
        report("reading", 0, None)
        named, meant = column_names(columns), event_words(events)
        return _said(Dataset.load(path, columns=named, strict=strict, scale=scale, events=meant))


def load_new_items(path: Path, *, columns: Iterable[str] | None = None, strict: bool = False) -> Dataset:
    """A table of items alone; said likewise."""
    from palate.datasets.tables import load_items

    with progress() as report:
        report("reading", 0, None)
        return _said(load_items(path, columns=column_names(columns), strict=strict))


def _said(data: Dataset) -> Dataset:
    for note in data.notes:
        line(errors(), f"Note: {note}")
    if data.rejects:
        first = data.rejects.rows[0]
        line(errors(), f"Warning: {data.rejects.total:,} rows could not be read; the first: {first}", style="yellow")
    return data


@contextmanager
def opened(folder: Path) -> Iterator[Recommender]:
    """The recommender of a model folder; closed when the block ends."""
    from palate.model.no_taste import no_taste
    from palate.recommender import Recommender

    with progress() as report:
        report("loading", 0, None)
        recommender = Recommender.open(folder)
    with recommender:
        if said := no_taste(recommender.learner.model):
            line(errors(), f"Note: {said}.")
        yield recommender


def load_model(folder: Path) -> Learner:
    """The learner of a model folder, with what its log holds."""
    with opened(folder) as recommender:
        return recommender.learner


def write_files(folder: Path, contents: Mapping[str, bytes | str]) -> None:
    """Write files by name, making the folder.

    Raises:
        OptionError: If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise OptionError(f"{folder} cannot be written: {error.strerror}. Choose another folder.") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path``, renamed to it when the block ends well: a reader sees the old file or the new one.

    When it does not end well, Ctrl-C included, the file is removed.
    """
    descriptor, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp lets nobody else read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path``, renamed to it when the block ends well; otherwise it is removed.

    Raises:
        OptionError: If something is there.
    """
    if path.is_symlink() or path.exists():
        raise OptionError(f"{path} is there already. Give a new folder.")
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp lets nobody else read
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
