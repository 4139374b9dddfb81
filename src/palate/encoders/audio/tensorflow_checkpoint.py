"""The tensors of a TensorFlow checkpoint, without TensorFlow and without running anything.

An index file (a LevelDB table of protocol buffers: name, type, shape, place) beside one data file of plain numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palate.errors import ModelFolderError

_MAGIC = bytes.fromhex("57fb808b247547db")
_FLOAT = 1
_VARINT, _BYTES, _FIXED32, _FIXED64 = 0, 2, 5, 1


def read_checkpoint(index: Path, data: Path) -> dict[str, NDArray[np.float32]]:
    """Every float32 tensor, by name.

    Raises:
        ModelFolderError: If a file cannot be read or is no such checkpoint.
    """
    try:
        numbers = data.read_bytes()
        return dict(_tensors(index.read_bytes(), numbers))
    except (OSError, IndexError, ValueError, KeyError, struct.error) as error:
        raise ModelFolderError(
            f"{index} is no checkpoint that can be read ({error}). Get the weights again."
        ) from error


def _tensors(index: bytes, numbers: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    if index[-8:] != _MAGIC:
        raise ValueError("it does not end like a table")
    footer = index[-48:]
    _, place = _varint(footer, 0)  # offset and size of a block of other things
    _, place = _varint(footer, place)
    for _, handle in _entries(_block(index, footer[place:])):
        for name, value in _entries(_block(index, handle)):
            fields = dict(_fields(value))
            if name and fields.get(1) == _FLOAT:
                start, size = _number(fields, 4), _number(fields, 5)
                yield name.decode(), np.frombuffer(numbers[start : start + size], "<f4").reshape(_shape(fields))


def _shape(fields: dict[int, int | bytes]) -> list[int]:
    shape = fields.get(2, b"")
    assert isinstance(shape, bytes)
    return [_number(dict(_fields(axis)), 1) for _, axis in _fields(shape) if isinstance(axis, bytes)]


def _number(fields: dict[int, int | bytes], field: int) -> int:
    value = fields.get(field, 0)
    if not isinstance(value, int):
        raise ValueError(f"field {field} is no number")
    return value


def _block(table: bytes, handle: bytes) -> bytes:
    start, place = _varint(handle, 0)
    size, _ = _varint(handle, place)
    if table[start + size] != 0:
        raise ValueError("a block is compressed")
    return table[start : start + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys, of which the part shared with the one before is left out, and values."""
    end = len(block) - 4 * (1 + struct.unpack("<I", block[-4:])[0])
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        size, place = _varint(block, place)
        key = key[:shared] + block[place : place + own]
        place += own
        yield key, block[place : place + size]
        place += size


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a protocol buffer."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, message[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
