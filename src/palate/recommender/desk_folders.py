"""The desks of a model folder, ``MODEL/desks/NAME``, and what is taken from them up to where it was taken last."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from palate.errors import OptionError, StoreError
from palate.errors.checks import normalise_id
from palate.oracles.label_studio import LabelStudio
from palate.oracles.label_studio.journal import JOURNAL
from palate.recommender.desk_answers import Kept, keep_answers
from palate.recommender.recommender import Recommender

DESKS, CURSOR = "desks", "cursor"
ACCESS_VARIABLE = "LABEL_STUDIO_TOKEN"


class TakenFrom(NamedTuple):
    """What came of a desk.

    Attributes:
        left_out: Why something there is no answer, or is one that cannot be kept.
    """

    kept: Kept
    left_out: tuple[str, ...]


def desk_folder(model: Path, name: str) -> Path:
    """Where a desk is kept.

    Raises:
        OptionError: If the name names no folder there.
    """
    name = normalise_id(name, "the desk")
    if name.startswith(".") or "/" in name or "\\" in name:
        raise OptionError(f"the desk is called {name[:40]!r}, which names no folder. Give a word, such as topics.")
    return model / DESKS / name


def desk_names(model: Path) -> list[str]:
    """Those at which something was put."""
    return sorted(path.parent.name for path in (model / DESKS).glob(f"*/{JOURNAL}"))


def take_from(recommender: Recommender, name: str, token: str) -> TakenFrom:
    """Keep what is new, changed or taken back at a desk. Interrupted, the same again goes on.

    Raises:
        OptionError: If nothing was ever put there.
        OracleError: If it cannot be reached.
        StoreError: If the disk refuses.
    """
    folder = desk_folder(recommender.folder, name)
    desk = LabelStudio.reopen(folder, token)
    try:
        cursor = folder / CURSOR
        kept = keep_answers(recommender, desk, cursor.read_text().strip() if cursor.is_file() else "")
        _write(cursor, kept.cursor)
    except OSError as error:
        raise StoreError(
            f"the cursor in {folder} cannot be kept: {error.strerror}. Make space, and call again."
        ) from None
    finally:
        desk.close()
    return TakenFrom(kept, (*desk.left_out, *kept.left_out.values()))


def _write(path: Path, text: str) -> None:
    """Whole or not at all; an older one takes the same again, which changes nothing."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
