"""The model folder: safetensors, JSON and Parquet, and never anything that can run.

    config.json                     format, generation, the caller's config, size and SHA-256 of each file and of itself
    previous.json                   the same, of the checkpoint before
    taste-1a2b3c4d.safetensors      arrays; a content's digest is in its name, so no save writes over another's files
    items-5e6f7a8b.parquet          tables
    save.lock                       held while a save runs

A save writes and syncs its files, then renames ``config.json`` into place: a crash leaves the old checkpoint or the new
one. A load believes a file only after hashing the very bytes it then uses. Where they are damaged it takes the
checkpoint before and says so; where they are whole and wrong (unsafe names, sick weights, a newer format) it refuses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from numpy.typing import NDArray

from palate.errors import ModelFolderError, StoreError
from palate.store.lock import exclusive
from palate.store.model_folder import bounded, files, manifest, tensors
from palate.store.model_folder.manifest import CONFIG, PREVIOUS, Damaged

LOCK = "save.lock"
WAIT_SECONDS = 60.0  # for another save
TRIES = 10  # to load while others save

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class LoadedFolder:
    """What a model folder holds.

    Attributes:
        config: As it was saved.
        arrays: By file and tensor; writable.
        tables: By file.
        generation: 1 for the first save into the folder, then one more each time.
        notes: What the person should know, such as that a damaged checkpoint was passed over. Empty if all is well.
        digest: SHA-256 of everything.
    """

    config: dict[str, Any]
    arrays: dict[str, Arrays]
    tables: dict[str, pl.DataFrame]
    generation: int
    notes: list[str]
    digest: str = ""


def save_folder(
    folder: Path, *, config: dict[str, Any], arrays: dict[str, Arrays], tables: dict[str, pl.DataFrame]
) -> int:
    """Save a checkpoint; the one before stays as ``previous.json``. Other files in the folder are left alone.

    Args:
        folder: Made if missing.
        config: Anything JSON can hold, up to 1 MB.
        arrays: File stem to tensors: floats that are finite and below 1e30, and whole numbers.
        tables: File stem to a flat table.
    Returns:
        The generation, from 1.
    Raises:
        ModelFolderError: If something cannot be kept, or the folder holds another program's ``config.json`` or a newer
            format. The checkpoint that was there is untouched.
        LimitError: If a table is larger than a limit of :mod:`palate.store.model_folder.bounded`.
        StoreError: If the disk refuses. The checkpoint that was there can still be loaded.
    """
    contents = _contents(arrays, tables)
    with _told(folder):
        files.make_folder(folder)
        with exclusive(folder / LOCK, wait_seconds=WAIT_SECONDS):
            name, current = _newest_intact(folder)
            generation: int = 1 + current.get("generation", 0)
            document = manifest.compose(config, contents, generation)
            _write_contents(folder, contents)
            if name == CONFIG:  # else it is damaged, and what previous.json names is still needed
                files.write(folder / PREVIOUS, (folder / CONFIG).read_bytes())
            files.write(folder / CONFIG, document)
            files.sync_folder(folder)
            _remove_others(folder, set(contents) | set(current.get("files", ())))
    return generation


def digest_of(folder: Path) -> str:
    """Of the checkpoint that was saved last (:attr:`LoadedFolder.digest`)."""
    return str(manifest.read(folder, CONFIG)["sha256"])


def load_folder(folder: Path) -> LoadedFolder:
    """Load the newest checkpoint that is whole.

    Raises:
        ModelFolderError: If there is none, or if it is unsafe, of a newer format or holds sick numbers.
        LimitError: If a table is larger than a limit of :mod:`palate.store.model_folder.bounded`.
    """
    check_folder(folder)
    for _ in range(TRIES):
        stamp, damages = _stamp(folder), list[str]()
        for name in (CONFIG, PREVIOUS):
            try:
                if damages and _stamp(folder) != stamp:
                    break  # it is not damaged: two saves meanwhile have removed the files that it named
                return _load(folder, name, damages)
            except Damaged as error:
                damages.append(str(error))
        if _stamp(folder) == stamp:
            break
    raise _not_whole(folder, damages)


def check_manifest(folder: Path) -> None:
    """Raises ModelFolderError as :func:`check_folder`, or if neither file that names a checkpoint is whole."""
    check_folder(folder)
    damages = list[str]()
    for name in (CONFIG, PREVIOUS):
        try:
            manifest.read(folder, name)
            return
        except Damaged as error:
            damages.append(str(error))
    raise _not_whole(folder, damages)


def _not_whole(folder: Path, damages: list[str]) -> ModelFolderError:
    return ModelFolderError(
        f"the model folder {folder} holds no whole checkpoint: {'; '.join(damages)}. "
        "Restore the folder from a backup, or save the model again."
    )


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Changes with every save."""
    try:
        found = os.stat(folder / CONFIG)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _contents(arrays: dict[str, Arrays], tables: dict[str, pl.DataFrame]) -> dict[str, bytes]:
    """The bytes of each file, by its name."""
    parts = [(stem, "safetensors", tensors.to_bytes(part, stem)) for stem, part in arrays.items()]
    parts += [(stem, "parquet", bounded.to_parquet(table, stem)) for stem, table in tables.items()]
    return {manifest.content_name(stem, kind, data): data for stem, kind, data in parts}


def _write_contents(folder: Path, contents: dict[str, bytes]) -> None:
    written = [(files.write_temporary(folder / name, data), folder / name) for name, data in contents.items()]
    for temporary, path in written:
        os.replace(temporary, path)
    files.sync_folder(folder)  # the names must last before config.json speaks of them


def _newest_intact(folder: Path) -> tuple[str, dict[str, Any]]:
    """The checkpoint that a failed save must not take away: the file that names it, and what that file says."""
    for name in (CONFIG, PREVIOUS):
        try:
            document = manifest.read(folder, name)
            for content, entry in document["files"].items():
                manifest.read_content(folder, content, entry)
        except Damaged:
            continue
        return name, document
    return "", {}


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Remove what earlier saves wrote, interrupted ones too, except the files of the two checkpoints."""
    for path in folder.iterdir():
        if path.name not in kept and manifest.parse_name(path.name.removesuffix(files.TEMPORARY)):
            path.unlink()


def _load(folder: Path, name: str, damages: list[str]) -> LoadedFolder:
    document = manifest.read(folder, name)
    arrays: dict[str, Arrays] = {}
    tables: dict[str, pl.DataFrame] = {}
    for content, entry in document["files"].items():
        data = manifest.read_content(folder, content, entry)
        stem = content.rpartition("-")[0]
        if content.endswith(".safetensors"):
            arrays[stem] = tensors.from_bytes(data, str(folder / content))
        else:
            tables[stem] = bounded.from_parquet(data, str(folder / content))
    generation = document["generation"]
    notes = [f"{damage}; generation {generation} of {name} was loaded instead. Save again." for damage in damages]
    return LoadedFolder(document["config"], arrays, tables, generation, notes, document["sha256"])


def check_folder(folder: Path) -> None:
    """Raises ModelFolderError if a folder is none of a model, or holds a link."""
    try:
        links = [entry.name for entry in os.scandir(folder) if entry.is_symlink()]
    except OSError as error:
        raise ModelFolderError(f"the model folder {folder} cannot be read: {error.strerror}. Give another.") from error
    if links:
        raise ModelFolderError(f"{folder / links[0]} is a symlink. Copy the file it stands for into the folder.")
    if not (folder / CONFIG).exists() and not (folder / PREVIOUS).exists():
        raise ModelFolderError(f"{folder} is not a model folder: it has no {CONFIG}. Give a folder that Palate saved.")


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """The disk's errors as ours."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot save the model to {folder}: {error.strerror or error}. "
            "Make the folder writable, or free some disk space; the model that was there can still be loaded."
        ) from error
