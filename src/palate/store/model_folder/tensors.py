"""Safetensors, checked before use.

A file is eight bytes with the length of a header, the header (JSON: a type, a shape and a place for each tensor), and
the numbers. The header is read here and not by the library, so that the bytes checked are the bytes used, and the
arrays are views into one buffer: nothing is copied.

Source: https://github.com/huggingface/safetensors, section Format.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from palate.errors import ModelFolderError
from palate.store.model_folder import strict

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 10_000
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 40  # counted with empty sides as one, so that a product never overflows
LARGEST = 1e30  # a weight of this size is a sick model, and its square overflows float32

DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}

_LENGTH_BYTES = 8


class _Place(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def to_bytes(tensors: dict[str, NDArray[Any]], what: str) -> bytes:
    """The arrays as safetensors; the same arrays give the same bytes.

    Args:
        tensors: Any shapes; floats and whole numbers of 8 to 64 bits.
        what: The file's name, for errors.
    Raises:
        ModelFolderError: If an array has another type, or holds a number that :func:`from_bytes` would refuse.
    """
    for name, array in tensors.items():
        if array.dtype not in DTYPES.values():
            kept = ", ".join(str(dtype) for dtype in DTYPES.values())
            raise ModelFolderError(f"{what}: tensor {name!r} has dtype {array.dtype}. Convert it to one of {kept}.")
    data = safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in tensors.items()})
    if from_bytes(np.frombuffer(data, dtype=np.uint8), what).keys() != tensors.keys():
        raise ModelFolderError(f"{what} has a tensor '__metadata__', which safetensors keeps for itself. Rename it.")
    return data


def from_bytes(data: NDArray[np.uint8], what: str) -> dict[str, NDArray[Any]]:
    """The arrays in a safetensors file, as writable views into ``data``.

    Args:
        data: The whole file, shape (bytes,).
        what: The file's name, for errors.
    Raises:
        ModelFolderError: If the header is not exact to the byte, or a float is not finite or is 1e30 or larger.
    """
    header, start = _header(data, what)
    if len(header) > MAX_TENSORS:
        raise _malformed(what, f"it holds {len(header):,} tensors, of at most {MAX_TENSORS:,}")
    places = [_place(name, entry, what) for name, entry in header.items()]
    _check_layout(places, start, len(data) - start, what)
    arrays = {place.name: _view(data[start:], place) for place in places}
    for name, array in arrays.items():
        _check_numbers(name, array, what)
    return arrays


def _header(data: NDArray[np.uint8], what: str) -> tuple[dict[str, Any], int]:
    """The header without its free text, and where the numbers start."""
    if len(data) < _LENGTH_BYTES:
        raise _malformed(what, f"it has {len(data)} bytes, too few for the length of a header")
    length = int.from_bytes(data[:_LENGTH_BYTES].tobytes(), "little")
    if length > MAX_HEADER_BYTES:
        raise _malformed(what, f"its header claims {length:,} bytes, of at most {MAX_HEADER_BYTES:,}")
    start = _LENGTH_BYTES + length
    if start > len(data):
        raise _malformed(what, f"its header claims {length:,} bytes, and the file ends after {len(data):,}")
    try:
        header = strict.loads(data[_LENGTH_BYTES:start].tobytes())
    except ValueError as error:
        raise _malformed(what, f"its header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise _malformed(what, f"its header is a {type(header).__name__}, not an object")
    header.pop("__metadata__", None)
    return header, start


def _place(name: str, entry: object, what: str) -> _Place:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _malformed(what, f"tensor {name[:40]!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _malformed(what, f"tensor {name[:40]!r} has dtype {str(dtype)[:40]!r}, none of {', '.join(DTYPES)}")
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS or math.prod(max(side, 1) for side in shape) > MAX_ELEMENTS:
        raise _malformed(what, f"tensor {name[:40]!r} has the impossible shape {str(shape)[:80]}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise _malformed(what, f"tensor {name[:40]!r} has the impossible offsets {str(offsets)[:80]}")
    begin, end = offsets
    needed = math.prod(shape) * DTYPES[dtype].itemsize
    if end - begin != needed:
        raise _malformed(what, f"tensor {name[:40]!r} has {end - begin:,} bytes where its shape needs {needed:,}")
    return _Place(name, DTYPES[dtype], tuple(shape), begin, end)


def _are_sizes(value: object) -> bool:
    """Whether ``value`` is a list of whole numbers that can be sides or offsets."""
    return isinstance(value, list) and all(type(side) is int and 0 <= side <= MAX_ELEMENTS for side in value)


def _check_layout(places: list[_Place], start: int, size: int, what: str) -> None:
    """Each byte belongs to one tensor, and each tensor starts where its type may."""
    reached = 0
    for place in sorted(places, key=lambda place: (place.begin, place.end)):
        if place.begin != reached:
            fault = "overlaps the one before it" if place.begin < reached else "leaves a hole before it"
            raise _malformed(what, f"tensor {place.name[:40]!r} starts at byte {place.begin:,} and {fault}")
        if (start + place.begin) % place.dtype.itemsize:
            raise _malformed(what, f"tensor {place.name[:40]!r} is not aligned to its {place.dtype.itemsize} bytes")
        reached = place.end
    if reached != size:
        raise _malformed(what, f"its tensors take {reached:,} bytes and the file has {size:,} for them")


def _view(numbers: NDArray[np.uint8], place: _Place) -> NDArray[Any]:
    return numbers[place.begin : place.end].view(place.dtype).reshape(place.shape)


def _check_numbers(name: str, array: NDArray[Any], what: str) -> None:
    if array.dtype.kind != "f" or array.size == 0:
        return
    low, high = float(array.min()), float(array.max())  # a NaN anywhere makes both NaN
    if not (low > -LARGEST and high < LARGEST):
        raise ModelFolderError(
            f"{what}: tensor {name!r} holds numbers from {low:g} to {high:g}, and all must be finite and below "
            f"{LARGEST:g}. Fit the model again, or go back to an earlier one."
        )


def _malformed(what: str, fact: str) -> ModelFolderError:
    return ModelFolderError(f"{what} is not a sound safetensors file: {fact}. Save the model again.")
