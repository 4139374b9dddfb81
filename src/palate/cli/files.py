"""What commands read and write: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from palate.cli.console import errors, line, progress
from palate.cli.options import column_names
from palate.errors import AnswerError, OptionError, UnknownItem

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.entities import Answer
    from palate.learner import Learner


def load_data(path: Path, *, columns: Iterable[str] | None = None, strict: bool = False) -> Dataset:
    """The data set; how it was taken and what could not be read is said on standard error."""
    from palate.datasets.tables import Dataset

    with progress() as report:
        report("reading", 0, None)
        data = Dataset.load(path, columns=column_names(columns), strict=strict)
    for note in data.notes:
        line(errors(), f"Note: {note}")
    if data.rejects:
        first = data.rejects.rows[0]
        line(errors(), f"Warning: {data.rejects.total:,} rows could not be read; the first: {first}", style="yellow")
    return data


def load_model(folder: Path) -> Learner:
    """The learner of a model folder, with the answers in its log."""
    from palate.learner import Learner

    with progress() as report:
        report("loading", 0, None)
        return Learner.load(folder)


def kept_answers(folder: Path) -> list[Answer]:
    """The answers in the label log of a model folder; none where there is no log."""
    from palate.loop.checkpoint import log_path
    from palate.store.protocol import active
    from palate.store.sqlite_log import LabelLog

    if not log_path(folder).exists():
        return []
    with LabelLog.open(log_path(folder)) as log:
        return [label.answer for label in active(log.labels())]


def save_model(learner: Learner, folder: Path) -> None:
    """Save into a folder, whose label log stays.

    Raises:
        OptionError: If the log holds an answer that this model cannot take: then the folder would not load again.
    """
    for answer in kept_answers(folder):
        try:
            learner.check(answer)
        except (UnknownItem, AnswerError) as error:
            raise OptionError(
                f"{folder} keeps answers that this data does not fit: {error} Give another folder with --out."
            ) from None
    learner.save(folder)


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
