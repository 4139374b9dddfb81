"""The attributes told of users since the fit: one JSON file in the model folder, beside the label log.

    {"format": 1, "sha256": "...", "users": {"ann": {"age": 23, "gender": "f"}}}

It is no part of a checkpoint, so a fit into the folder leaves it. Of several values of one attribute the last counts;
null says that it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.entities import USER, normalise_id
from palate.errors import NEWER, IdError, ModelFolderError, StoreError
from palate.store.lock import exclusive
from palate.store.model_folder import files, strict
from palate.store.model_folder.folder import LOCK, WAIT_SECONDS

FILE = "attributes.json"
FORMAT = 1
MAX_BYTES = 1 << 28

Known = dict[str, dict[str, float | str | None]]


def read(folder: Path) -> Known:
    """What was told, by user and attribute; nothing where the folder has no such file.

    Raises:
        ModelFolderError: If the file is damaged, of a newer format, or holds something else.
    """
    path = folder / FILE
    try:
        document = strict.loads(files.read(path, at_most=MAX_BYTES).tobytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise _damaged(path, f"is damaged: {error}") from error
    return _users(document, path)


def merge(folder: Path, told: Mapping[str, Mapping[str, float | str | None]]) -> None:
    """Keep what was told, on the disk when this returns; other users and other attributes stay as they are.

    Raises:
        ModelFolderError: If the file that is there cannot be read; it is left as it is.
        StoreError: If the disk refuses.
    """
    if not told:
        return
    with exclusive(folder / LOCK, wait_seconds=WAIT_SECONDS):
        users = read(folder)
        for user, attributes in told.items():
            users[user] = {**users.get(user, {}), **attributes}
        document = {"format": FORMAT, "users": users}
        data = strict.dumps({**document, "sha256": _digest(document)})
        try:
            files.write(folder / FILE, data)
            files.sync_folder(folder)
        except OSError as error:
            raise StoreError(
                f"cannot write {folder / FILE}: {error.strerror or error}. Make the folder writable, or free space."
            ) from error


def _digest(document: Mapping[str, Any]) -> str:
    return files.digest(strict.dumps({key: value for key, value in document.items() if key != "sha256"}))


def _users(document: object, path: Path) -> Known:
    """What a document says of users, if it is whole and of our format."""
    if not isinstance(document, dict) or document.get("sha256") != _digest(document):
        raise _damaged(path, "is damaged: it does not match its own digest")
    if document.get("format") != FORMAT:
        newer = f"its format is {document.get('format')!r:.20}, and this Palate reads format {FORMAT}"
        raise ModelFolderError(f"{path} is too new: {newer}. {NEWER}")
    users = document.get("users")
    if not isinstance(users, dict):
        raise _damaged(path, "has no table of users")
    for user, attributes in users.items():
        if not (_is_user(user) and isinstance(attributes, dict) and all(map(_can_be_kept, attributes.values()))):
            raise _damaged(path, f"says nothing that can be kept of the user {user[:40]!r}")
    return users


def _is_user(text: str) -> bool:
    try:
        return normalise_id(text, USER) == text
    except IdError:
        return False


def _can_be_kept(value: object) -> bool:
    return value is None or type(value) in (str, int, float)


def _damaged(path: Path, fact: str) -> ModelFolderError:
    return ModelFolderError(f"{path} {fact}. Restore it from a backup, or remove it and tell the attributes again.")
