"""Small pieces of a page. All text that comes in is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from palate.evaluation.style import CSS

NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class Markup(str):
    """Text that is HTML already; everything else is escaped."""

    __slots__ = ()


class Cell(NamedTuple):
    """A table cell; ``band`` is a second, softer line such as an interval."""

    text: str
    band: str = ""


def text(value: str) -> Markup:
    """The value as HTML, unchanged if it is HTML already."""
    return value if isinstance(value, Markup) else Markup(escape(value))


def tag(name: str, *children: str, cls: str = "") -> Markup:
    """An element around its children."""
    attributes = f' class="{cls}"' if cls else ""
    return Markup(f"<{name}{attributes}>{''.join(map(text, children))}</{name}>")


def section(identifier: str, title: str, children: Iterable[str]) -> Markup:
    """A titled part that the list of contents can point to."""
    inner = "".join(map(text, children))
    return Markup(f'<section id="{identifier}"><h2>{escape(title)}</h2>{inner}</section>')


def folded(title: str, *children: str) -> Markup:
    """A part that is shut until somebody opens it; on paper it is open."""
    return Markup(f"<details><summary>{escape(title)}</summary>{''.join(map(text, children))}</details>")


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    strong: str = "",
    stacked: bool = True,
) -> Markup:
    """A table with a heading for each row and column.

    Args:
        rows: The first entry names the row; a :class:`Cell` is a number and stands to the right.
        strong: The row to emphasise, by its name.
        stacked: On a narrow screen each row is a block, with the name of a column before each of its values.
    """
    rows = [list(row) for row in rows]
    numeric = [any(isinstance(row[at], Cell) for row in rows) for at in range(len(columns))]
    heads = "".join(
        f'<th role="columnheader" scope="col"{_number(is_number)}>{escape(column)}</th>'
        for column, is_number in zip(columns, numeric, strict=True)
    )
    body = "".join(_row(row, columns, row[0] == strong) for row in rows)
    # Roles, since a table that is shown as blocks is none to a screen reader.
    return Markup(
        f'<table role="table"{" class=stacked" if stacked else ""}><caption>{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and what they are, two columns."""
    return tag("dl", *(Markup(f"<dt>{escape(name)}</dt><dd>{text(value)}</dd>") for name, value in pairs))


def page(title: str, sections: Sequence[tuple[str, str, Iterable[str]]]) -> str:
    """The whole document; each section is (identifier, title, children)."""
    links = "".join(f'<li><a href="#{identifier}">{escape(name)}</a></li>' for identifier, name, _ in sections)
    body = "".join(section(*part) for part in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_FROM_OUTSIDE}">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><header><h1>{escape(title)}</h1>"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header>'
        f"<main>{body}</main></body></html>\n"
    )


def _row(row: Sequence[str | Cell], columns: Sequence[str], is_strong: bool) -> str:
    name, *rest = row
    cells = "".join(_cell(entry, column) for entry, column in zip(rest, columns[1:], strict=True))
    strong = ' class="proposed"' if is_strong else ""
    return f'<tr role="row"{strong}><th role="rowheader" scope="row">{text(str(name))}</th>{cells}</tr>'


def _cell(entry: str | Cell, column: str) -> str:
    label = f'role="cell" data-label="{escape(column)}"'
    if isinstance(entry, Cell):
        band = f'<span class="band">{escape(entry.band)}</span>' if entry.band else ""
        return f'<td {label} class="number"><span>{escape(entry.text)}{band}</span></td>'
    return f"<td {label}><span>{text(entry)}</span></td>"


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
