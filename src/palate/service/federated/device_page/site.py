"""The files of the device's page: HTML in each language, scripts, and the public model as one file.

``model.bin`` is the length of a JSON text (uint32), the JSON, padded with blanks to four bytes, and then float32: level
and factors, (I, A), the variance of an answer given the taste, (I,), and the share of users who can answer, (I,); all
little-endian. One file, so that facts and numbers are always of the same round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Response

from palate.entities import Item
from palate.errors import OptionError
from palate.federated.asking import taste_of
from palate.federated.public import PublicModel
from palate.model.answer_keys import KEYS
from palate.model.spoken import as_said, year_of
from palate.service.faults import not_found
from palate.service.federated.device_page.words import DEVICE_WORDS
from palate.service.pages.render import KINDS, environment, static_files
from palate.service.pages.words import HTML_LANGUAGES, LANGUAGES, WORDS

_HERE = Path(__file__).parent
_SHARED = ("style.css", "icon.svg", "dom.js", "kept.js", "press.js")  # with the other pages
PAGES = {"en": "index.html", "zh": "zh.html"}
# Its own files and nothing else; no form, and no string becomes HTML or code but the name of its worker.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types palate-worker"
)

Site = Mapping[str, tuple[str, bytes]]  # by name: media type and content


def build_site(
    public: PublicModel, items: Mapping[str, Item] | None = None, levels: Sequence[float] = (1, 2, 3, 4, 5)
) -> Site:
    """The whole page, ready to be served.

    Args:
        public: What it asks and recommends by.
        items: By id, what they are called; one that is missing is shown by its id.
        levels: The ratings that may be given, ascending, at most ten; of likes, none are needed.
    Raises:
        OptionError: If there are not two to ten levels, ascending.
    """
    files = {name: static_files()[name] for name in _SHARED}
    files |= {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir()) if path.suffix in KINDS}
    site = {name: (KINDS[Path(name).suffix], content) for name, content in files.items()}
    site |= {PAGES[language]: ("text/html; charset=utf-8", _page(language).encode()) for language in LANGUAGES}
    return site | {"model.bin": ("application/octet-stream", model_file(public, items or {}, levels))}


def model_file(public: PublicModel, items: Mapping[str, Item], levels: Sequence[float]) -> bytes:
    """``model.bin``."""
    facts = {
        "line": public.line,
        "round": public.round,
        "digest": public.digest,
        "kind": public.kind,
        "centre": public.centre,
        "unit": public.size,
        "answerNoise": public.noise,
        "dim": public.dim,
        "levels": _levels(public.kind, levels),
        "items": [_described(item_id, items.get(item_id)) for item_id in public.item_ids],
    }
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    tables = (public.factors, taste_of(public).items.answer_noise, public.answer_rate)
    return len(text).to_bytes(4, "little") + text + b"".join(one.astype("<f4").tobytes() for one in tables)


def device_headers() -> list[tuple[bytes, bytes]]:
    """Headers of every file of the page."""
    policy = f"{_POLICY}; frame-ancestors 'none'".encode()
    return [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cache-control", b"no-cache"),
        (b"content-security-policy", policy),
    ]


def write_site(folder: Path, site: Site) -> None:
    """The same for a file server; what lies in the folder under other names stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, content) in site.items():
        (folder / name).write_bytes(content)


def device_router(site: Callable[[], Site], path: str = "/device") -> APIRouter:
    """The page of a service, below ``path``, as ``site()`` is now. It takes no query, no cookie and no body."""
    router = APIRouter(include_in_schema=False)
    headers = {name.decode(): value.decode() for name, value in device_headers()}

    @router.get(path)
    async def get_folder() -> Response:
        return Response(status_code=308, headers={**headers, "location": f"{path.rpartition('/')[2]}/"})

    @router.get(f"{path}/{{name:path}}")
    async def get_file(name: str) -> Response:
        found = site().get(name or PAGES["en"])
        if found is None:
            raise not_found("file")
        return Response(found[1], media_type=found[0], headers=headers)

    return router


def _page(language: str) -> str:
    words = {**WORDS[language], **DEVICE_WORDS[language]}
    return (
        environment(_HERE / "templates")
        .get_template("device.html")
        .render(
            words=words,
            language=language,
            html_language=HTML_LANGUAGES[language],
            languages=LANGUAGES,
            pages=PAGES,
            path="/",
            policy=_POLICY,
            static=".",
        )
    )


def _levels(kind: str, levels: Sequence[float]) -> list[dict[str, Any]]:
    if kind == "like":
        return [{"key": "1", "word": "like", "value": 1.0}, {"key": "0", "word": "dislike", "value": 0.0}]
    given = [float(level) for level in levels]
    if not 2 <= len(given) <= len(KEYS) or not np.all(np.diff(given) > 0) or not np.isfinite(given).all():
        raise OptionError(f"levels are {list(levels)}. Give two to ten numbers, ascending.")
    is_digit = all(level.is_integer() and 0 <= level <= 9 for level in given)
    keys = [str(int(level)) for level in given] if is_digit else KEYS
    return [{"key": key, "word": "", "value": level} for key, level in zip(keys, given, strict=False)]


def _described(item_id: str, item: Item | None) -> dict[str, Any]:
    title = item.title if item is not None and item.title else item_id
    categories = item.category.split("|") if item is not None and item.category else []
    return {"item_id": item_id, "title": as_said(title), "year": year_of(title), "categories": categories}
