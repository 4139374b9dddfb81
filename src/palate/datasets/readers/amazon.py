"""Amazon reviews (McAuley lab), editions 2014, 2018 and 2023: a file of reviews and one of metadata, ``meta_*``.

Metadata lists are sometimes text that looks like a Python list, ``"['a', 'b']"``, and lines of 2014 are Python literals
instead of JSON. Both are read as literals, never run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.jsonlines import Record, literal, read_json_lines
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM, RATING, TEXT, TIMESTAMP, TITLE, USER
from palate.errors import DataError

ENDINGS = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
META = "meta_"


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is Amazon reviews."""
    return any(name.endswith(ENDINGS) and not name.startswith(META) for name in names)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read a folder with one file of reviews and, if it is there, one of metadata."""
    files = sorted(path for path in folder.iterdir() if path.name.endswith(ENDINGS))
    reviews = _only([path for path in files if not path.name.startswith(META)], "reviews")
    meta = [path for path in files if path.name.startswith(META)]
    items = read_json_lines(_only(meta, "metadata"), assembly.limits, shape=item_of, literals=True) if meta else None
    return Tables(
        interactions=assembly.interactions(read_json_lines(reviews, assembly.limits, shape=review_of, literals=True)),
        items=assembly.items(items, folder),
        users=assembly.users(None),
    )


def read_file(path: Path, assembly: Assembly) -> Tables:
    """Read reviews alone, or JSON lines with columns of our own names."""
    pieces = read_json_lines(path, assembly.limits, shape=review_of, literals=True)
    return Tables(assembly.interactions(pieces), assembly.items(None), assembly.users(None))


def _only(files: list[Path], what: str) -> Path:
    if len(files) > 1:
        raise DataError(f"{files[0].parent} holds {len(files)} files of {what} ({files[0].name} ...). Keep one.")
    return files[0]


def review_of(record: Record) -> Record:
    """User, item, rating and time of a review; a record without an ASIN is left as it is."""
    if "asin" not in record and "parent_asin" not in record:
        return record
    return {
        USER: record.get("reviewerID", record.get("user_id")),
        ITEM: record.get("parent_asin", record.get("asin")),
        RATING: record.get("overall", record.get("rating")),
        TIMESTAMP: record.get("unixReviewTime", record.get("timestamp")),
    }


def item_of(record: Record) -> Record:
    """Our columns of a product, its others after them; image links are kept as ``image_urls``."""
    record = {key: _listed(value) for key, value in record.items()}
    item = {
        ITEM: record.pop("parent_asin", None) or record.pop("asin", None),
        TITLE: record.pop("title", None),
        TEXT: _joined([*_texts(record.pop("description", None)), *_texts(record.pop("features", None))], " "),
        CATEGORY: _joined(_texts(record.pop("categories", record.pop("category", None))), CATEGORY_SEPARATOR),
        "image_urls": record.pop("image", record.pop("images", record.pop("imUrl", None))),
    }
    return item | record


def _listed(value: Any) -> Any:
    """The list that a text stands for, or the value itself."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        parsed = literal(value)
        return parsed if isinstance(parsed, list) else value
    return value


def _texts(value: Any) -> list[str]:
    """All texts in a value, lists within lists flattened (2014 gives paths of categories), each once."""
    if isinstance(value, list):
        return list(dict.fromkeys(text for part in value for text in _texts(part)))
    return [value] if isinstance(value, str) and value else []


def _joined(texts: list[str], separator: str) -> str:
    return separator.join(texts)
