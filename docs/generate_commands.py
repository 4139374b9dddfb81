"""Writes docs/commands.md from the command line itself: ``python docs/generate_commands.py``.

A test compares the page with what this gives, so a command cannot change without its page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from palate.cli.app import app

PAGE = Path(__file__).with_name("commands.md")
INTRODUCTION = """\
# Commands

Written by `python docs/generate_commands.py` from the commands themselves; `palate COMMAND --help` says the same.

- Results go to standard output. Progress, warnings and errors go to standard error.
- `--json` prints one JSON document on standard output and nothing else there.
- Where something is drawn, `--seed` fixes it: the same seed gives the same result. The other commands take `--seed`
  too, so that a script can give it to all, and do not need it.
- The exit code is 0 for success, 2 for wrong use or wrong input, 130 after Ctrl-C, and 1 for anything else. An error
  is one line: fact, value, remedy. `PALATE_DEBUG=1` adds the traceback.
- A file is written whole or not at all, Ctrl-C included.
"""


def page() -> str:
    """The whole page."""
    found = list(_commands(typer.main.get_command(app), "palate"))
    rows = "\n".join(f"| [`{name}`](#{name.replace(' ', '-')}) | {_first(command.help)} |" for name, command in found)
    sections = "\n".join(_section(name, command) for name, command in found)
    return f"{INTRODUCTION}\n| | |\n| --- | --- |\n{rows}\n\n{sections}"


def _first(text: str) -> str:
    """What a command does, in its first line."""
    return _cell(text.strip().split("\n\n")[0])


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """All commands in the order of the help, with their full names; a group stands for what it holds."""
    for name, command in group.commands.items():
        full = f"{prefix} {name}"
        if hasattr(command, "commands"):
            yield from _commands(command, full)
        else:
            yield full, command


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = "\n".join(f"| `{_cell(what)}` | {_cell(says)} |" for what, says in filter(None, records))
    usage = command.get_usage(context).removeprefix("Usage: ").replace("{", "").replace("}", "")
    table = f"| argument or option | |\n| --- | --- |\n{rows}"
    return f"## {name}\n\n{command.help}\n\n    {usage}\n\n{table}\n\n{_example(command.epilog)}\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _example(epilog: str) -> str:
    return f"Example: `{epilog.removeprefix('Example: ')}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
