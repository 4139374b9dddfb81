"""The attributes told of users as older versions kept them: one JSON file in the model folder, beside the label log.

    {"format": 1, "sha256": "...", "users": {"ann": {"age": 23, "gender": "f"}}}

It is read, so that they can be appended to the log, and never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.entities import USER
from palate.errors import NEWER, IdError, ModelFolderError
from palate.errors.checks import normalise_id
from palate.store.model_folder import files, strict

FILE = "attributes.json"
FORMAT = 1
MAX_BYTES = 1 << 28

OldAttributes = dict[str, dict[str, float | str | None]]


def read_attributes(folder: Path) -> OldAttributes:
    """What was told, by user and attribute, null where it is not known; nothing where the folder has no such file.

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


def _digest(document: Mapping[str, Any]) -> str:
    return files.digest(strict.dumps({key: value for key, value in document.items() if key != "sha256"}))


def _users(document: object, path: Path) -> OldAttributes:
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
