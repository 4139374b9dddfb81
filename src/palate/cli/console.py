"""What all commands share: two consoles, plain text, tables, progress, JSON."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from palate.errors.checks import INVISIBLE

LONGEST = 160  # characters of a name on the screen


class Report(Protocol):
    """Takes (what, done, of); ``of`` is None where nobody knows how long it takes."""

    def __call__(self, what: str, done: int, of: int | None, /) -> None: ...


def output() -> Console:
    """Standard output: results."""
    return Console(highlight=False, markup=False, emoji=False)


def errors() -> Console:
    """Standard error: progress, warnings and errors."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def plain(text: str) -> str:
    """Text from outside as one line that cannot steer a terminal: no control, escape or hidden characters."""
    seen = INVISIBLE.sub("", text)
    kept = (" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in seen)
    return " ".join("".join(kept).split())


def short(text: str, longest: int = LONGEST) -> str:
    """The text, plain and at most so many characters long."""
    text = plain(text[: 4 * longest])
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def line(console: Console, text: str, style: str = "") -> None:
    """One line, however long: a message that is wrapped cannot be searched for."""
    console.print(Text(plain(text), style=style), soft_wrap=True)


def sentence(console: Console, text: str, style: str = "") -> None:
    """A sentence for people: a terminal breaks it between words, anything else gets it as one line."""
    console.print(Text(plain(text), style=style), soft_wrap=not console.is_terminal)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output."""
    typer.echo(json_text(document))


def json_text(document: Mapping[str, Any]) -> str:
    """The document as JSON, in ASCII so that no terminal or pipe can spoil it; what is not finite becomes null."""
    return json.dumps(_finite(document), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, title: str = "", strong: str = "") -> Table:
    """A table that fits the terminal.

    Args:
        columns: Names; one that begins with ``>`` stands to the right and is never wrapped, one with ``!`` is never
            wrapped either.
        rows: Cells; a text is made plain and short.
        strong: The first cell of the row to emphasise.
    """
    grid = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        fixed = name[0] in ">!"
        justify: Any = "right" if name[0] == ">" else "left"
        grid.add_column(name.lstrip(">!"), justify=justify, no_wrap=fixed, overflow="ellipsis" if fixed else "fold")
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(short(cell)) for cell in row]
        grid.add_row(*cells, style="bold" if strong and cells[0].plain == strong else None)
    return grid


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and what they are, two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, Text(short(value, 10 * LONGEST)))
    return grid


class _Rate(ProgressColumn):
    """How many a second, where there are many."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed and speed >= 1 and (task.total or 0) > 100 else "")


@contextmanager
def progress() -> Iterator[Report]:
    """Bars on standard error while the block runs, where that is a terminal; the block reports (what, done, of)."""
    console = errors()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), _Rate())
    bars = Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def report(what: str, done: int, of: int | None, /) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(plain(what).capitalize(), total=of)
        bars.update(tasks[what], completed=done, total=of)

    with bars:
        yield report
