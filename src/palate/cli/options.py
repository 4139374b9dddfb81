"""The arguments that commands share, and how their text is read."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palate.entities import USER
from palate.errors import OptionError
from palate.errors.checks import normalise_id
from palate.vocabulary import Vocabulary

if TYPE_CHECKING:
    from palate.runners import Runner as _Runner

_URL = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # two letters or more before the colon: C: is a drive


def local_path(given: str | Path) -> Path:
    """A path on this machine, exactly as it was typed: nothing in it is decoded. A default comes as a path.

    Raises:
        OptionError: If it is empty, a URL, or holds a NUL.
    """
    text = str(given)
    if not text or "\x00" in text:
        raise OptionError(f"the path {text!r} is empty or holds a NUL. Give the path of a file or folder.")
    if _URL.match(text):
        raise OptionError(f"the path {text!r} is a URL. Give the path of a file or folder on this machine.")
    return Path(text)


@contextmanager
def opened_runner(name: str | None, workers: int | None, address: str | None) -> Iterator[_Runner | None]:
    """The runner that was asked for, until the end of the block; None where none was.

    Raises:
        OptionError: If its workers or its address are given, and it is not.
    """
    if name is None:
        given = [option for option, value in (("--workers", workers), ("--address", address)) if value is not None]
        if given:
            raise OptionError(f"{given[0]} says how a runner works, of which none is given. Give --runner too.")
        yield None
        return
    from palate.runners import open_runner

    with open_runner(name, workers=workers, address=address) as runner:
        yield runner


def writable(folder: Path) -> Path:
    """The folder, if it is there or can be made; checked before the work, so that no hour is lost on a typing mistake.

    Raises:
        OptionError: If not.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise OptionError(f"{folder} cannot be written: {there} is no folder that may be written to. Choose another.")
    return folder


def listed(values: Iterable[str] | None) -> list[str]:
    """``a,b`` and ``a`` ``b`` as a list; an id with a comma goes in double quotes: ``'"a,b",c'``."""
    rows = csv.reader(list(values or ()), skipinitialspace=True)
    return [value.strip() for row in rows for value in row if value.strip()]


def column_names(values: Iterable[str] | None) -> dict[str, str]:
    """``user_id=customer_id,item_id=sku`` as a mapping.

    Raises:
        OptionError: If a part has no ``=``.
    """
    parts = listed(values)
    for part in parts:
        if "=" not in part:
            raise OptionError(f"--columns has {part!r} without =. Write user_id=customer_id,item_id=sku.")
    return {ours.strip(): theirs.strip() for ours, _, theirs in (part.partition("=") for part in parts)}


def event_words(values: Iterable[str] | None) -> dict[str, str]:
    """``bought=purchase,wished=like:0.5`` as a mapping.

    Raises:
        OptionError: If a part has no ``=``, or a word means nothing.
    """
    return dict(Vocabulary.parse(listed(values)).added)


def user_id(text: str) -> str:
    """The one normal form of a user's id."""
    return normalise_id(text, USER)


Data = Annotated[
    Path, typer.Argument(metavar="PATH", parser=local_path, help="Data folder, file, or a public format as it lies.")
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", parser=local_path, help="Model folder, as `palate fit` wrote it.")
]
User = Annotated[
    str, typer.Option("--user", metavar="ID", parser=user_id, help="Whom it is about; somebody new is welcome.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(metavar="OURS=THEIRS,...", help="What the data calls our columns: user_id=customer_id,item_id=sku."),
]
Scale = Annotated[
    str | None,
    typer.Option(metavar="LOW:HIGH", help="Ends of the rating scale, such as 0:4; else those that the data has."),
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event", metavar="NAME=WORD,...", help="What the data's own events mean: bought=purchase,wished=like:0.5."
    ),
]
Exclude = Annotated[list[str] | None, typer.Option(metavar="ID,...", help="Items never to show.")]
Allow = Annotated[list[str] | None, typer.Option(metavar="ID,...", help="Only these items.")]
Category = Annotated[str | None, typer.Option(metavar="NAME", help="Only this category.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", parser=local_path, help="Folder for the results.")]
Encoder = Annotated[str, typer.Option(metavar="NAME", help="Text encoder, see `palate encoders`; none for no content.")]
Strategy = Annotated[str, typer.Option(metavar="NAME", help="How to choose what to ask, see `palate strategies`.")]
Targets = Annotated[
    str,
    typer.Option(metavar="NAME", help="What is to be predicted well: known, slate, popularity or uniform."),
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="An image or sound that cannot be read is left out, not an error.")
]
Strict = Annotated[bool, typer.Option("--strict", help="A row that cannot be read is an error.")]
Runner = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Where the work runs: in-process, threads or ray; threads, if not given."),
]
Here = Annotated[
    str | None,
    typer.Option(
        "--runner", metavar="NAME", help="Where the work runs: threads or ray; if not given, here on all cores."
    ),
]
Workers = Annotated[int | None, typer.Option(metavar="N", min=1, help="Tasks at once; one a core, if not given.")]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster; one on this machine alone, if not given.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every draw: the same seed gives the same result.")]
# For a script that gives every command a seed; in the help it would only raise questions.
UnusedSeed = Annotated[int, typer.Option("--seed", min=0, hidden=True, help="Taken and not needed: nothing is drawn.")]
