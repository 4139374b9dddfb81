"""Templates and static files, read once, and the headers that a page has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic_core import to_json

from palate.service.pages.staff_words import STAFF_WORDS
from palate.service.pages.words import HTML_LANGUAGES, LANGUAGES, WORDS

_HERE = Path(__file__).parent
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Scripts and styles from this server alone, none inline; strings never become HTML (trusted types).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'; frame-ancestors "
)
OF_STAFF = ("sign_in", "annotate", "operate")  # pages with words of their own
_COMMON = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


def page_headers(frames: Sequence[str] = ()) -> list[tuple[bytes, bytes]]:
    """Headers of a page.

    Args:
        frames: Origins that may show it in a frame; none: nobody.
    """
    policy = (_POLICY + (" ".join(frames) or "'none'")).encode()
    framing = [] if frames else [(b"x-frame-options", b"DENY"), (b"cross-origin-opener-policy", b"same-origin")]
    return [*_COMMON, *framing, (b"cache-control", b"no-store"), (b"content-security-policy", policy)]


def file_headers(cache_seconds: int) -> list[tuple[bytes, bytes]]:
    """Headers of a static file."""
    kept = f"public, max-age={cache_seconds}".encode()
    return [*_COMMON, (b"cache-control", kept), (b"content-security-policy", b"default-src 'none'")]


@cache
def static_files() -> dict[str, bytes]:
    """By name."""
    return {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir()) if path.suffix in KINDS}


@cache
def version() -> str:
    """Of all static files: another one has another address, so browsers may keep them."""
    digest = hashlib.sha256()
    for name, content in static_files().items():
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:12]


@cache
def environment(*folders: Path) -> Environment:
    """Templates of these folders, and those of the pages that they extend."""
    found = Environment(
        loader=FileSystemLoader([*folders, _HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["data"] = _data
    return found


def _data(document: object) -> Markup:
    """JSON that can stand inside a script element of data, whatever is in it."""
    text = to_json(document).decode()
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def page(name: str, language: str, **values: Any) -> str:
    """A page in a language; whatever is put into it is escaped."""
    words = (STAFF_WORDS if name in OF_STAFF else WORDS)[language]
    facts = {"words": words, "language": language, "html_language": HTML_LANGUAGES[language], "languages": LANGUAGES}
    return environment().get_template(f"{name}.html").render(**facts, static=f"/static/{version()}", **values)
