"""The messages of one attempt at a round, on the disk before they are acknowledged.

    u32 length ‖ first 8 bytes of SHA-256(payload) ‖ payload      payload = u8 kind ‖ body

Messages that come together share one sync. What a process that was killed has left half written was never
acknowledged, and is cut off when the journal is opened again.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from palate.errors import StoreError
from palate.store.model_folder.files import sync_folder

_HEAD = struct.Struct("<I8s")


class Entry(NamedTuple):
    """A message.

    Attributes:
        kind: A small number, which the writer gives a meaning.
        place, size: Of its body in the file.
    """

    kind: int
    place: int
    size: int


class Journal:
    """One file. Appending is for one event loop.

    Args:
        path: Made if it is not there.
    Raises:
        StoreError: If it cannot be made or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            sync_folder(path.parent)
            self.entries = list(self._whole())
            self._end = sum(_HEAD.size + 1 + entry.size for entry in self.entries)
            os.ftruncate(self._file, self._end)
        except OSError as error:
            raise _failed(path, error) from error
        self._waiting: list[tuple[Entry, bytes, asyncio.Future[Entry]]] = []
        self._writer: asyncio.Task[None] | None = None

    def _whole(self) -> Iterator[Entry]:
        place, size = 0, os.fstat(self._file).st_size
        while place + _HEAD.size + 1 <= size:
            length, check = _HEAD.unpack(os.pread(self._file, _HEAD.size, place))
            payload = os.pread(self._file, length, place + _HEAD.size)
            if length < 1 or len(payload) != length or hashlib.sha256(payload).digest()[:8] != check:
                return
            yield Entry(payload[0], place + _HEAD.size + 1, length - 1)
            place += _HEAD.size + length

    async def append(self, kind: int, body: bytes) -> Entry:
        """Keep a message; it is on the disk when this returns.

        Raises:
            StoreError: If it cannot be written; then nothing of it is kept.
        """
        kept: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._waiting.append((Entry(kind, 0, len(body)), body, kept))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        return await kept

    async def settled(self) -> None:
        """When all that was appended before is on the disk, or was given up."""
        if self._writer is not None:
            await asyncio.wait({self._writer})

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                placed = await asyncio.to_thread(self._write, [(entry, body) for entry, body, _ in batch])
            except OSError as error:
                for _, _, kept in batch:
                    if not kept.cancelled():
                        kept.set_exception(_failed(self.path, error))
                continue
            for (_, _, kept), entry in zip(batch, placed, strict=True):
                if not kept.cancelled():
                    kept.set_result(entry)
        self._writer = None

    def _write(self, batch: list[tuple[Entry, bytes]]) -> list[Entry]:
        placed, place, data = [], self._end, bytearray()
        for entry, body in batch:
            payload = bytes([entry.kind]) + body
            data += _HEAD.pack(len(payload), hashlib.sha256(payload).digest()[:8]) + payload
            placed.append(entry._replace(place=place + _HEAD.size + 1))
            place += _HEAD.size + len(payload)
        try:
            view = memoryview(data)
            while view:
                view = view[os.pwrite(self._file, view, place - len(view)) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end = place
        self.entries += placed
        return placed

    def read(self, entry: Entry) -> bytes:
        """The body of a message.

        Raises:
            StoreError: If the file does not hold it any more.
        """
        body = os.pread(self._file, entry.size, entry.place)
        if len(body) != entry.size:
            raise StoreError(f"{self.path} has lost its end. Let one process alone write it, and start that again.")
        return body

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _failed(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be written: {error.strerror}. Make room on its disk, then send the same again.")
