"""A log copied while it is in use, and put back.

A backup is a folder: ``labels.sqlite``, and ``backup.json`` with what is in it, written last. Without that file, or
where the two do not agree, it is no backup.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from palate.errors import NEWER, OlderLog, StoreError
from palate.records import Erasure
from palate.store import chain, schema
from palate.store.copying import copy_rows
from palate.store.model_folder import files, strict
from palate.store.open_store import is_url, open_store
from palate.store.protocol import LabelStore, Report
from palate.store.sqlite_log import LabelLog

FILE, MANIFEST = "labels.sqlite", "backup.json"
FORMAT = 1
_MAX_MANIFEST = 1 << 16
_AGAIN = "Make it again: palate store backup"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        rows: Of the log, up to this ``seq``.
        chain: Hash of all of them, in hexadecimal digits.
        sha256, bytes: Of the file.
        made_at: Seconds since the epoch.
    """

    rows: int
    chain: str
    sha256: str
    bytes: int
    made_at: float
    format: int = FORMAT


def backup(place: str | Path, folder: Path) -> Manifest:
    """Copy a log, at one moment, into a new folder. Writers go on meanwhile.

    Everything that was acknowledged before the call is in it.

    Raises:
        StoreError: If the folder is there, the log cannot be read or is of an older version, or the disk refuses. What
            was begun has no ``backup.json``.
    """
    if not is_url(place):
        _refuse_older(Path(place))
    try:
        files.make_folder(folder.absolute().parent)
        folder.mkdir()
    except FileExistsError:
        raise StoreError(f"{folder} is there already. Give a folder that is not.") from None
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}. Give another.") from error
    path = folder / FILE
    if is_url(place):
        with open_store(place, read_only=True) as source, LabelLog.open(path) as target:
            copy_rows(source, target)
    else:
        _copy_file(Path(place), path)
    head = _made_one_file(path)
    chain.write_head(_all_of(path)[1], head, sync=True)
    made = Manifest(head.seq, head.chain.hex(), *_digest(path), time.time())
    files.write(folder / MANIFEST, strict.dumps(asdict(made)))
    files.sync_folder(folder)
    files.sync_folder(folder.absolute().parent)
    return made


def restore(folder: Path, place: str | Path, *, obey: Iterable[LabelStore] = ()) -> Report:
    """Put a backup where there is no log, and read it through.

    Args:
        place: The path of an SQLite file that is not there, or the URL of an empty PostgreSQL log.
        obey: Logs whose erasures hold for what is restored: whoever was erased after the backup was made stays erased.
    Raises:
        StoreError: If it is no whole backup, or ``place`` holds something. Nothing is left at ``place`` then.
    """
    manifest = read_manifest(folder)
    erasures = [record.content for log in obey for record in log.records() if isinstance(record.content, Erasure)]
    if is_url(place):
        with LabelLog.open(folder / FILE, read_only=True) as source, open_store(place) as target:
            if target.last_seq:
                raise StoreError(f"the log at that URL has {target.last_seq:,} rows. Give one that has none.")
            copy_rows(source, target)
            return _checked(target, erasures, manifest)
    path = Path(place)
    taken = [other for other in _all_of(path) if other.exists()]
    if taken:
        raise StoreError(f"{taken[0]} is there already. Move it away, or give another path.")
    files.make_folder(path.absolute().parent)
    begun = path.with_name(path.name + ".restoring")
    _remove(begun)
    try:
        _copy_bytes(folder / FILE, begun)
        chain.write_head(_all_of(begun)[1], chain.Head(manifest.rows, bytes.fromhex(manifest.chain)), sync=True)
        with LabelLog.open(begun) as log:
            report = _checked(log, erasures, manifest)
        _made_one_file(begun)
        os.replace(_all_of(begun)[1], _all_of(path)[1])  # the head first: a log without one is not opened
        os.replace(begun, path)
        files.sync_folder(path.absolute().parent)
    finally:
        _remove(begun)
    return report


def read_manifest(folder: Path) -> Manifest:
    """What a backup holds, if its file is the one that was made.

    Raises:
        StoreError: If it is no backup, is half made or damaged, or is of a newer Palate.
    """
    try:
        document = strict.loads(files.read(folder / MANIFEST, at_most=_MAX_MANIFEST).tobytes())
        if isinstance(document, dict) and isinstance(document.get("format"), int) and document["format"] > FORMAT:
            raise StoreError(
                f"{folder} is a backup of format {document['format']}; this Palate reads {FORMAT}. {NEWER}"
            )
        manifest = Manifest(**document)
        found = _digest(folder / FILE)
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is no whole backup: {Path(error.filename).name} is missing. {_AGAIN}.") from None
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{folder} is no backup that can be read ({error!s:.120}). {_AGAIN}.") from error
    if found != (manifest.sha256, manifest.bytes):
        raise StoreError(f"{folder} is damaged: {FILE} is not the file of {MANIFEST}. Use another backup.")
    return manifest


def _checked(log: LabelStore, erasures: list[Any], manifest: Manifest) -> Report:
    """The log with these erasures, read through."""
    report = log.verify()
    if not report.is_whole or report.last_seq != manifest.rows:
        why = report.faults[0] if report.faults else f"it ends at row {report.last_seq}, not at {manifest.rows}"
        raise StoreError(f"the backup is damaged: {why}. Use another backup.")
    if not erasures:
        return report
    log.append(erasures)
    return log.verify()


def _refuse_older(source: Path) -> None:
    """A backup is of this version: it is compared with the chain, which older logs do not have."""
    if not source.is_file():
        raise StoreError(f"{source} is no label log. Give the path of one, or of a model folder.")
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)) as log:
            version = schema.version_of(log, source)
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be read: {error}. Check the disk, then make the backup again.") from error
    if version != schema.VERSION:
        raise OlderLog(
            f"{source} is a label log of version {version}, and a backup has version {schema.VERSION}. End what uses "
            f"it and copy its folder as it is: cp -a {source.parent} {source.absolute().parent.name}-before."
        )


def _copy_file(source: Path, target: Path) -> None:
    """One snapshot by SQLite's own means; a reader holds up no writer."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)) as log,
            closing(sqlite3.connect(target)) as copy,
        ):
            log.backup(copy)
    except sqlite3.Error as error:
        raise StoreError(
            f"{source} cannot be copied: {error}. Check both disks, then make the backup again."
        ) from error


def _made_one_file(path: Path) -> chain.Head:
    """Its head, once nothing of the log is beside its file; both are on the disk."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            last = connection.execute("SELECT seq, chain FROM records ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be written: {error}. Check the disk, then make it again.") from error
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return chain.Head() if last is None else chain.Head(*last)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), os.fstat(stream.fileno()).st_size


def _copy_bytes(source: Path, target: Path) -> None:
    import shutil

    with source.open("rb") as read, target.open("xb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())


def _all_of(path: Path) -> list[Path]:
    """The file of a log and what lies beside it."""
    return [path, *(path.with_name(f"{path.name}-{what}") for what in ("head", "wal", "shm", "lock", "stopped"))]


def _remove(path: Path) -> None:
    for one in _all_of(path):
        one.unlink(missing_ok=True)
