"""The lists of many users, in one Parquet or Arrow file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from palate.cli.console import Report
from palate.cli.files import replacing
from palate.cli.options import writable
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.learner import Learner
    from palate.loop.lists import ListArguments


def one_way(user: str | None, users: Path | None, everybody: bool, out: Path | None) -> None:
    """Checks that it is said, once, whom lists are for, and where those of many go: before the model is loaded.

    Raises:
        OptionError: If not.
    """
    ways = [name for name, given in (("--user", user), ("--users", users), ("--all", everybody or None)) if given]
    if len(ways) != 1:
        said = " and ".join(ways) or "nobody"
        raise OptionError(f"whom the list is for is said {len(ways)} times: {said}. Give --user, --users or --all.")
    if (out is None) != (user is not None):
        found = "no --out" if out is None else "--out"
        raise OptionError(
            f"{ways[0]} is given with {found}. Give --out FILE.parquet for the lists of many, and only then."
        )
    if out is not None:
        check_file(out)


def check_file(out: Path) -> None:
    """Checks that a table can be written there: before the model is loaded.

    Raises:
        OptionError: If not.
    """
    from palate.integrations.arrow import form_of

    form_of(out)
    writable(out.absolute().parent)


def read_ids(path: Path) -> list[str]:
    """Ids, one a line; empty lines say nothing, and of equal ones the first counts.

    Raises:
        OptionError: If the file cannot be read as UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8"
        raise OptionError(f"{path} cannot be read: {why}. Give a text file with an id a line.") from None
    return list(dict.fromkeys(filter(None, map(str.strip, lines))))


def write_lists(
    learner: Learner, users: list[str] | None, out: Path, report: Report, *, k: int, **options: Unpack[ListArguments]
) -> dict[str, Any]:
    """Writes the lists, a row group a thousand users; a reader sees the whole file or the one that was there before.

    Returns:
        How many users and rows, and notes, for ``--json``.
    Raises:
        OptionError: If the disk refuses.
    """
    from palate.integrations.arrow import LISTS, form_of, writer
    from palate.loop.all_lists import USERS_AT_ONCE, everybody

    asked, form = everybody(learner.memory) if users is None else users, form_of(out)
    rows, done, served = 0, 0, 0
    report("listing", 0, len(asked))
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary, writer(temporary, LISTS, form) as sink:
            for table in learner.recommend_all(asked, k, **options):
                sink.write_table(table.to_arrow().cast(LISTS))
                rows, served = rows + len(table), served + table["user_id"].n_unique()
                done = min(done + USERS_AT_ONCE, len(asked))
                report("listing", done, len(asked))
    except OSError as error:
        raise OptionError(f"{out} cannot be written: {error.strerror or error}. Give another file.") from None
    notes = ["without-lists"] if served < len(asked) and k else []
    return {"path": str(out), "users": len(asked), "rows": rows, "k": k, "notes": notes}
