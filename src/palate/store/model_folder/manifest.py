"""``config.json``: what a checkpoint of a model folder consists of, and the checks that make it worth believing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.errors import NEWER, ModelFolderError
from palate.store.model_folder import files, strict

FORMAT = 1
CONFIG = "config.json"
PREVIOUS = "previous.json"
MAX_CONFIG_BYTES = 1 << 20
MAX_FILES = 1_000
MAX_FILE_BYTES = 1 << 33

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CONTENT = re.compile(r"(?P<stem>[a-z0-9][a-z0-9._-]*)-(?P<digest>[0-9a-f]{8})\.(?P<kind>safetensors|parquet)")
_KEYS = {"format", "generation", "config", "files", "sha256"}


class Damaged(ModelFolderError):
    """The bytes are not those that were written: the checkpoint before may be used instead."""


class ContentName(NamedTuple):
    """The parts of ``taste-1a2b3c4d.safetensors``."""

    stem: str
    digest: str
    kind: str


def content_name(stem: str, kind: str, data: bytes) -> str:
    """The name of a file with this content, so that no save writes over another's files.

    Raises:
        ModelFolderError: If no file of a model may be called that.
    """
    name = f"{stem}-{files.digest(data)[:8]}.{kind}"
    if parse_name(name) is None:
        raise ModelFolderError(f"{stem[:80]!r} cannot name a file of a model. Use up to 40 of a-z, 0-9, '.', '_', '-'.")
    return name


def parse_name(name: str) -> ContentName | None:
    """The parts of a name that :func:`content_name` gives; ``None`` for any other."""
    match = _CONTENT.fullmatch(name)
    if match is None or not _NAME.fullmatch(name):
        return None
    return ContentName(match["stem"], match["digest"], match["kind"])


def compose(config: dict[str, Any], contents: dict[str, bytes], generation: int) -> bytes:
    """The text of a ``config.json``.

    Raises:
        ModelFolderError: If the caller's config is too large, or JSON cannot hold it.
    """
    manifest = {name: {"sha256": files.digest(data), "bytes": len(data)} for name, data in contents.items()}
    body = {"format": FORMAT, "generation": generation, "config": config, "files": manifest}
    try:
        document = strict.dumps({**body, "sha256": _own_digest(body)})
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"the config is not JSON: {error}. Keep texts, finite numbers and lists.") from error
    if len(document) > MAX_CONFIG_BYTES:
        raise ModelFolderError(
            f"the config has {len(document):,} bytes, of at most {MAX_CONFIG_BYTES:,}. Keep long lists in a table."
        )
    return document


def read(folder: Path, name: str) -> dict[str, Any]:
    """A ``config.json`` that is whole, of our format, and names only files inside the folder.

    Raises:
        Damaged: If it is missing or not as it was written.
        ModelFolderError: If it is whole and still cannot be used.
    """
    raw = _read(folder, name, at_most=MAX_CONFIG_BYTES).tobytes()
    try:
        document = strict.loads(raw)
    except ValueError as error:
        raise Damaged(f"{name} is damaged: {error}") from error
    if not isinstance(document, dict) or not _KEYS & set(document):
        raise ModelFolderError(f"{folder / name} is not Palate's. Give the folder of a model that Palate saved.")
    newer = type(document.get("format")) is int and document["format"] > FORMAT
    claim = f"its format is {document.get('format')!r:.20}, and this Palate reads format {FORMAT}"
    if not _is_whole(document, raw):
        raise Damaged(f"{name} is damaged: it does not match its own digest" + (f"; {claim}" if newer else ""))
    if newer:
        raise ModelFolderError(f"{folder / name} is too new: {claim}. {NEWER}")
    _check(document, folder / name)
    return document


def read_content(folder: Path, name: str, entry: dict[str, Any]) -> NDArray[np.uint8]:
    """The bytes of a file that the manifest names, hashed after they were read: shape (bytes,).

    Raises:
        Damaged: If the file is missing, or these are not the bytes that were saved.
    """
    data = _read(folder, name, at_most=entry["bytes"])
    if len(data) != entry["bytes"] or files.digest(data) != entry["sha256"]:
        raise Damaged(f"{name} is damaged: its {len(data):,} bytes are not those that were saved")
    return data


def _own_digest(document: dict[str, Any]) -> str:
    return files.digest(strict.dumps({key: value for key, value in document.items() if key != "sha256"}))


def _is_whole(document: dict[str, Any], raw: bytes) -> bool:
    """Whether these are the bytes we wrote: the digest fits, and there is one way to write a document."""
    try:
        return document.get("sha256") == _own_digest(document) and strict.dumps(document) == raw
    except UnicodeEncodeError:  # half a surrogate pair, which we never write
        return False


def _check(document: dict[str, Any], path: Path) -> None:
    """The digest only says that somebody meant it so: the parts still have to be what they should."""
    sound = (
        set(document) == _KEYS
        and document["format"] == FORMAT
        and type(document["generation"]) is int
        and isinstance(document["config"], dict)
        and isinstance(document["files"], dict)
        and len(document["files"]) <= MAX_FILES
    )
    if not sound:
        raise ModelFolderError(f"{path} lacks a part or has one too many. Save the model again.")
    parts = [_check_entry(name, entry, path) for name, entry in document["files"].items()]
    if len({(part.stem, part.kind) for part in parts}) < len(parts):
        raise ModelFolderError(f"{path} names two files for one part of the model. Save the model again.")


def _check_entry(name: str, entry: object, path: Path) -> ContentName:
    parts = parse_name(name)
    if parts is None or not _is_inside(path.parent, name):
        raise ModelFolderError(
            f"{path} names the file {name[:80]!r}, which Palate never wrote. Do not use this folder."
        )
    if not isinstance(entry, dict) or set(entry) != {"sha256", "bytes"}:
        raise ModelFolderError(f"{path} does not give size and digest of {name!r}. Save the model again.")
    size, digest = entry["bytes"], entry["sha256"]
    if type(size) is not int or not 0 <= size <= MAX_FILE_BYTES:
        raise ModelFolderError(
            f"{path} gives {name!r} {size!r:.40} bytes, of at most {MAX_FILE_BYTES:,}. Save it again."
        )
    if not isinstance(digest, str) or not digest.startswith(parts.digest):
        raise ModelFolderError(f"{path} gives {name!r} the digest {digest!r:.40}, not that of its name. Save it again.")
    return parts


def _is_inside(folder: Path, name: str) -> bool:
    root = folder.resolve()
    return os.path.commonpath([root, (folder / name).resolve()]) == str(root)


def _read(folder: Path, name: str, *, at_most: int) -> NDArray[np.uint8]:
    try:
        return files.read(folder / name, at_most=at_most)
    except FileNotFoundError:
        raise Damaged(f"{name} is missing") from None
    except OSError as error:
        raise Damaged(f"{name} cannot be read: {error.strerror or error}") from error
