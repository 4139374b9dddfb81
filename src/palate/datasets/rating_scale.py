"""The ends of the rating scale, where somebody gives them: in an argument, or in ``palate.toml`` of a data folder."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from palate.entities import RATING
from palate.errors import DataError, OptionError
from palate.errors.checks import number_of, several, shown

FILE = "palate.toml"  # ``scale = [0, 4]``
Ends = tuple[float, float]
_MAX_BYTES = 1 << 16
_WAY = "Give the lowest and the highest rating, such as (1, 5) or, on the command line, 1:5."


def ends_of(scale: Sequence[float] | str | None) -> Ends | None:
    """The ends of a scale, from two numbers or from text such as ``0:4``.

    Raises:
        OptionError: If they are not two finite numbers, the lower first.
    """
    if scale is None:
        return None
    given = tuple(scale.split(":")) if isinstance(scale, str) else several(scale, "scale", "(1, 5)")
    try:
        low, high = (float(end) if isinstance(end, str) else number_of(end) for end in given)
    except ValueError:
        raise OptionError(f"the scale is {shown(scale)}. {_WAY}") from None
    if not -float("inf") < low < high < float("inf"):
        raise OptionError(f"the scale goes from {low:g} to {high:g}. {_WAY}")
    return low, high


def read(folder: Path) -> Ends | None:
    """The ends that ``palate.toml`` in a data folder gives; None where there is none.

    Raises:
        DataError: If the file cannot be read or says something else.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{FILE} has {path.stat().st_size:,} bytes, of at most {_MAX_BYTES:,}. It is one line.")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        strange = sorted(set(found) - {"scale"})
        if strange:
            raise OptionError(f"it has {shown(strange[0])}. It may have scale alone, such as scale = [1, 5].")
        return ends_of(found.get("scale"))
    except (OSError, ValueError, RecursionError, OptionError) as error:  # a TOML error is a ValueError
        raise DataError(f"{FILE} cannot be used: {error}") from None


def check_within(interactions: pl.DataFrame, ends: Ends | None) -> Ends | None:
    """The ends, if all ratings lie within them.

    Raises:
        DataError: If not.
    """
    if ends is None:
        return None
    off = interactions[RATING].drop_nulls().filter(~interactions[RATING].drop_nulls().is_between(*ends))
    if len(off):
        low, high = ends
        raise DataError(
            f"{len(off):,} of {interactions[RATING].count():,} ratings are off the scale {low:g} to {high:g}; the "
            f"first: {off[0]:g}. Give a scale that holds them, or remove them."
        )
    return ends


def toml(ends: Ends) -> str:
    """What :func:`read` reads."""
    return f"scale = [{ends[0]!r}, {ends[1]!r}]\n"
