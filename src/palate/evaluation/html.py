"""Small pieces of a page. All text that comes in is escaped here and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from palate.evaluation.style import CSS

NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


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


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, strong: str = "") -> Markup:
    """A table with a heading for each row and column; a narrow screen scrolls it by itself.

    Args:
        rows: The first entry names the row; a :class:`Cell` is a number and stands to the right.
        strong: The row to emphasise, by its name.
    """
    rows = [list(row) for row in rows]
    numeric = [any(isinstance(row[at], Cell) for row in rows) for at in range(len(columns))]
    heads = "".join(
        f'<th scope="col"{_number(is_number)}>{escape(column)}</th>'
        for column, is_number in zip(columns, numeric, strict=True)
    )
    body = "".join(_row(row, row[0] == strong) for row in rows)
    return Markup(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption><span>{escape(caption)}</span></caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def picture(png: bytes, says: str) -> Markup:
    """A picture inside the page; ``says`` is its caption and what a screen reader reads."""
    data = base64.b64encode(png).decode()
    image = Markup(f'<img src="data:image/png;base64,{data}" alt="{escape(says)}">')
    return tag("figure", image, tag("figcaption", says))


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and what they are, two columns."""
    return tag("dl", *(Markup(f"<dt>{escape(name)}</dt><dd>{text(value)}</dd>") for name, value in pairs))


def page(title: str, headline: str, sections: Sequence[tuple[str, str, Iterable[str]]]) -> str:
    """The whole document; each section is (identifier, title, children)."""
    links = "".join(f'<li><a href="#{identifier}">{escape(name)}</a></li>' for identifier, name, _ in sections)
    body = "".join(section(*part) for part in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_FROM_OUTSIDE}">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><header><h1>{escape(title)}</h1>"
        f'<p class="headline">{escape(headline)}</p><nav aria-label="Contents"><ul>{links}</ul></nav></header>'
        f"<main>{body}</main></body></html>\n"
    )


def _row(row: Sequence[str | Cell], is_strong: bool) -> str:
    name, *rest = row
    cells = "".join(_cell(entry) for entry in rest)
    return f'<tr{" class=proposed" if is_strong else ""}><th scope="row">{text(str(name))}</th>{cells}</tr>'


def _cell(entry: str | Cell) -> str:
    if isinstance(entry, Cell):
        band = f'<span class="band">{escape(entry.band)}</span>' if entry.band else ""
        return f'<td class="number">{escape(entry.text)}{band}</td>'
    return f"<td>{text(entry)}</td>"


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
