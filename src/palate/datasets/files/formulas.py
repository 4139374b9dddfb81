"""Cells of a CSV file that a spreadsheet would compute."""

from __future__ import annotations

FORMULA = "=+-@\t\r'"  # how such a cell begins, and the apostrophe that marks it as text


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> inert("=1+1"), inert("film")
    ("'=1+1", 'film')
    """
    return f"'{cell}" if cell[:1] and cell[0] in FORMULA else cell


def as_it_was(cell: str) -> str:
    """What :func:`inert` was given."""
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in FORMULA else cell
