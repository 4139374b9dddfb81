"""Runs what a page shows: ``python docs/run_pages.py docs/tutorial.md`` writes into the page what comes out now.

A fenced ``python`` block is run, and a ``text`` block right behind it is its output. In a fenced ``console`` block each
line that begins with ``$ `` is run as a command, and what follows is its output. All blocks of a page run in order, in
one namespace. In an output ``...`` stands for anything, and runs of white space are equal.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from palate.cli.app import run

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.+)\n", re.MULTILINE)
LAID = {"upgrade.md": ("tests/data/old-model", "my-model")}  # what lies where a page is run
PIPED = re.compile(r"printf '(.*?)' \| palate (.+)")


@dataclass(frozen=True)
class Block:
    """Something to run, and the place of its output in the page; ``shown`` is None where the page shows none."""

    language: str
    code: str
    line: int
    shown: slice | None


def blocks(text: str) -> Iterator[Block]:
    """What there is to run, in the order of the page."""
    for fence in FENCED.finditer(text):
        line = text.count("\n", 0, fence.start()) + 2
        if fence[1] == "python":
            behind = FENCED.match(text, fence.end() + 1)
            shown = slice(*behind.span(2)) if behind is not None and behind[1] == "text" else None
            yield Block("python", fence[2], line, shown)
        elif fence[1] == "console":
            yield from _commands(fence[2], fence.start(2), line)


def _commands(body: str, start: int, line: int) -> Iterator[Block]:
    found = list(COMMAND.finditer(body))
    ends = [command.start() for command in found[1:]] + [len(body)]
    for command, end in zip(found, ends, strict=True):
        shown = slice(start + command.end(), start + end) if end > command.end() else None
        yield Block("console", command[1], line + body.count("\n", 0, command.start()), shown)


def run_block(block: Block, namespace: dict[str, Any], path: Path) -> str:
    """What a block prints.

    Raises:
        RuntimeError: If a command fails and the page shows no output that would say so.
    """
    if block.language == "console":
        code, printed = _run_command(block.code)
        if code and block.shown is None:
            raise RuntimeError(f"{path.name}:{block.line}: exit code {code}: {printed}")
        return printed
    with redirect_stdout(io.StringIO()) as out:
        exec(compile("\n" * (block.line - 1) + block.code, str(path), "exec", dont_inherit=True), namespace)
    return out.getvalue()


def _run_command(line: str) -> tuple[int, str]:
    piped = PIPED.fullmatch(line)
    typed, words = (piped[1].replace("\\n", "\n"), piped[2]) if piped else ("", line.removeprefix("palate "))
    with CliRunner().isolation(input=typed) as (out, err, _):
        code = run(shlex.split(words))
        sys.stdout.flush()
        sys.stderr.flush()
        return code, err.getvalue().decode() + out.getvalue().decode()


def tidy(printed: str) -> str:
    """An output as a page shows it: no empty lines around it, no blanks at the ends of lines."""
    lines = [line.rstrip() for line in printed.splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def agrees(shown: str, printed: str) -> bool:
    """Whether the page shows what was printed."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(tidy(shown), tidy(printed), flags)


def rewritten(path: Path) -> str:
    """The page with what comes out now, where that is not what it shows."""
    text, namespace, shift = path.read_text(encoding="utf-8"), {"__name__": "page"}, 0
    for block in blocks(text):
        printed = run_block(block, namespace, path)
        if block.shown is None:
            continue
        place = slice(block.shown.start + shift, block.shown.stop + shift)
        if not agrees(text[place], printed):
            text = text[: place.start] + tidy(printed) + text[place.stop :]
            shift += len(tidy(printed)) - (place.stop - place.start)
    return text


def lay(path: Path) -> None:
    """What a page begins with, into the folder where it is run."""
    if path.name in LAID:
        source, target = LAID[path.name]
        shutil.copytree(Path(__file__).resolve().parents[1] / source, target)


def main(names: list[str]) -> None:
    """Rewrite pages in place; each runs in a folder of its own."""
    os.environ["COLUMNS"] = "100"
    for path in [Path(name).resolve() for name in names]:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            lay(path)
            text = rewritten(path)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
