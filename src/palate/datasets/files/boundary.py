"""The one boundary around everything that reads: whatever a reader stumbles over becomes one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polars.exceptions import PanicException

from palate.errors import DataError, LimitError, PalateError

LONGEST = 160  # characters of what a library said


def one_line(text: str, longest: int) -> str:
    """Text from outside as the part of a message: one line, printable, at most so long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest]).split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


@contextmanager
def boundary(name: str) -> Iterator[None]:
    """Turn what no reader foresaw into a DataError; errors of ours and Ctrl-C pass.

    A panic of Polars is no ``Exception``, so that it would pass every other handler.

    Raises:
        DataError: If the block raises anything else.
    """
    try:
        yield
    except PalateError:
        raise
    except MemoryError as error:
        raise LimitError(f"{name} needs more memory than there is. Split it, or use a machine with more.") from error
    except (Exception, PanicException) as error:
        said = one_line(str(error), LONGEST)
        raise DataError(
            f"{name} cannot be read ({type(error).__name__}: {said}). Write it again as CSV in UTF-8, and read that."
        ) from error
