"""Attributes told of users, written as older versions kept them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from palate.errors import StoreError
from palate.store.lock import exclusive
from palate.store.model_folder import files, strict
from palate.store.model_folder.folder import LOCK, WAIT_SECONDS
from palate.store.old_attributes import FILE, FORMAT, _digest
from palate.store.old_attributes import read_attributes as read

__all__ = ["FILE", "merge", "read"]


def merge(folder: Path, told: Mapping[str, Mapping[str, float | str | None]]) -> None:
    """Keep what was told, on the disk when this returns; other users and other attributes stay as they are."""
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
