"""Paths in the ``image`` and ``audio`` columns: they stay inside the data folder, or the row is a reject."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")


def path_problem(value: str, folder: Path | None = None) -> str | None:
    """Why a path must not be followed, or None.

    Args:
        value: As it stands in the table. Percent-encoding is undone first, as often as it was done.
        folder: The data folder; with it, links are resolved as well. None for tables that came without a folder.
    """
    plain = value
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    if "\x00" in plain:
        return f"the path {value[:80]!r} holds NUL"
    if "\\" in plain:
        return f"the path {value[:80]!r} holds a backslash; write / between folders"
    if _SCHEME.match(plain):
        return f"{value[:80]!r} is a URL or names a drive; give a path inside the data folder"
    if plain.startswith(("/", "~")):
        return f"the path {value[:80]!r} does not start inside the data folder; make it relative"
    if ".." in plain.split("/"):
        return f"the path {value[:80]!r} climbs out with '..'"
    if folder is not None and not _inside(value, folder):
        return f"the path {value[:80]!r} leads out of the data folder"
    return None


def _inside(value: str, folder: Path) -> bool:
    root = os.path.realpath(folder)
    # commonpath, not a prefix: a sibling folder may begin with the same letters
    return os.path.commonpath([root, os.path.realpath(os.path.join(root, value))]) == root
