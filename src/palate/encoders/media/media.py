"""What every encoder of images and sounds does alike, and a column of media as vectors with its faults named."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.encoders.media.decoding import Decoder, Fault
from palate.encoders.protocol import Encoder
from palate.errors import DataError, ModelFolderError, OptionError

if TYPE_CHECKING:
    from palate.datasets.media import Media


OnCorrupt = Literal["raise", "skip"]

CHUNK_FILES = 256
CHUNK_BYTES = 128 << 20
"""Files of a column that are held at a time, by number and by size."""

_SMALLEST_NORM = np.float32(1e-12)


class CorruptMedia(DataError):
    """Files that cannot be decoded.

    Attributes:
        faults: What is wrong with each, by :func:`digest` of its bytes: by position it would not be found again behind
            a cache, which asks only for what it does not hold.
    """

    def __init__(self, message: str, faults: Mapping[bytes, str]) -> None:
        super().__init__(message)
        self.faults = dict(faults)


def digest(file: bytes) -> bytes:
    """By which a file's fault is found again."""
    return hashlib.sha256(file).digest()


def checked(files: Sequence[Any], kind: str) -> list[bytes]:
    """The files as a list.

    Raises:
        DataError: If they are one file, or one of them is not bytes.
    """
    if isinstance(files, bytes):
        raise DataError(f"the {kind} files are one file of {len(files):,} bytes. Give a list of them.")
    for row, file in enumerate(files):
        if not isinstance(file, bytes):
            raise DataError(f"{kind} {row} is of type {type(file).__name__}. Give the file's bytes; for none, b''.")
    return list(files)


def encode_files(
    files: Sequence[bytes],
    dim: int,
    decoder: Decoder,
    batch: int,
    encode_batch: Callable[[list[Any]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Vectors of files, from a model that takes a few decoded ones at once.

    Args:
        batch: How many of them.
        encode_batch: Decoded images (H, W, 3) or sounds (n,) to (N, dim); a row of NaN where there is nothing.
    Returns:
        Shape (N, dim), of length one; NaN for ``b""`` and where the model found nothing.
    Raises:
        DataError: If one is not bytes.
        CorruptMedia: If some cannot be decoded; all of them are named.
    """
    given = checked(files, decoder.kind)
    rows = np.array([row for row, file in enumerate(given) if file], dtype=np.intp)
    vectors = np.full((len(given), dim), np.nan, dtype=np.float32)
    faults: dict[int, str] = {}
    for part, decoded in zip(
        np.split(rows, range(batch, len(rows), batch)),
        decoder.batches([given[row] for row in rows], batch),
        strict=False,
    ):
        bad = {int(row): found.reason for row, found in zip(part, decoded, strict=True) if isinstance(found, Fault)}
        faults |= bad
        if not faults:  # else what follows is only looked at for further faults
            vectors[part] = _unit_length(encode_batch(decoded))
    if faults:
        raise _corrupt(given, faults, decoder.kind)
    return vectors


def _corrupt(files: list[bytes], faults: dict[int, str], kind: str) -> CorruptMedia:
    row, reason = next(iter(faults.items()))
    more = f", and {len(faults) - 1} more like it" if len(faults) > 1 else ""
    message = f"{kind} {row} of {len(files)} {reason}{more}. Correct it, or leave it out."
    return CorruptMedia(message, {digest(files[row]): why for row, why in faults.items()})


def _unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if np.isinf(vectors).any() or (np.isnan(vectors).any(axis=1) != np.isnan(vectors).all(axis=1)).any():
        raise ModelFolderError("the encoder gives values that are not finite. Its weights are damaged: use others.")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(norms, _SMALLEST_NORM)
    return unit


class MediaFault(NamedTuple):
    """An item whose image or sound was left out."""

    item_id: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class EncodedMedia:
    """A column of media as vectors.

    Attributes:
        vectors: (I, E), a row of NaN for an item without one.
        faults: The items whose file was skipped.
    """

    kind: str
    vectors: NDArray[np.float32]
    faults: list[MediaFault]

    def report(self) -> str:
        """One line on what was skipped; empty where nothing was."""
        if not self.faults:
            return ""
        counts = Counter(fault.reason for fault in self.faults).most_common()
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in counts[:5]) + ("; ..." if counts[5:] else "")
        first = ", ".join(repr(fault.item_id) for fault in self.faults[:5])
        return (
            f"{len(self.faults):,} of {len(self.vectors):,} items go without {self.kind} "
            f"(first {first}), as their file: {reasons}."
        )


def encode_media(
    encoder: Encoder,
    media: Media,
    *,
    on_corrupt: OnCorrupt = "raise",
    progress: Callable[[int, int], None] | None = None,
) -> EncodedMedia:
    """The vectors of a column of media; only some files are held at a time.

    Args:
        encoder: Of that modality; with :class:`palate.encoders.cache.Cached` around it only new files are encoded.
        media: :meth:`palate.datasets.tables.Dataset.item_media`.
        on_corrupt: ``raise`` at a file that is missing or cannot be decoded, or ``skip`` it: its item has no such
            content then.
        progress: Called with (done, total).
    Raises:
        DataError: At such a file; the message names its item.
        OptionError: If the encoder takes something else, or ``on_corrupt`` is unknown.
    """
    if encoder.modality != media.kind:
        raise OptionError(
            f"the encoder {encoder.name!r} takes {encoder.modality}, the column holds {media.kind}. "
            f"Give an encoder of {media.kind} (palate encoders)."
        )
    if on_corrupt not in ("raise", "skip"):
        raise OptionError(f"on_corrupt is {on_corrupt!r}. Give 'raise' or 'skip'.")
    vectors = np.full((len(media), encoder.dim), np.nan, dtype=np.float32)
    faults: list[MediaFault] = []
    for files, unread in _chunks(media):
        found = dict(unread)
        if found and on_corrupt == "raise":
            raise _named(media, found)
        done = max([*files, *unread]) + 1
        found |= _encode_chunk(encoder, media, files, vectors, on_corrupt)
        faults += [MediaFault(media.item_ids[row], found[row]) for row in sorted(found)]
        if progress is not None:
            progress(done, len(media))
    return EncodedMedia(media.kind, vectors, faults)


def _chunks(media: Media) -> Iterator[tuple[dict[int, bytes], dict[int, str]]]:
    """Files, and reasons where there is none, by row."""
    from palate.datasets.media import UnreadableMedia  # with polars, which encoders alone do not need

    files: dict[int, bytes] = {}
    unread: dict[int, str] = {}
    for row in range(len(media)):
        try:
            files[row] = media.read(row)
        except UnreadableMedia as error:
            unread[row] = error.reason
        full = len(files) + len(unread) >= CHUNK_FILES or sum(map(len, files.values())) > CHUNK_BYTES
        if full or row == len(media) - 1:
            yield files, unread
            files, unread = {}, {}


def _encode_chunk(
    encoder: Encoder, media: Media, files: dict[int, bytes], vectors: NDArray[np.float32], on_corrupt: OnCorrupt
) -> dict[int, str]:
    """Fill in the vectors of these rows; the reasons of those that were skipped."""
    try:
        vectors[list(files)] = encoder.encode(list(files.values()))
    except CorruptMedia as error:
        found = {row: error.faults[key] for row, file in files.items() if (key := digest(file)) in error.faults}
        if on_corrupt == "raise":
            raise _named(media, found) from None
        good = {row: file for row, file in files.items() if row not in found}
        vectors[list(good)] = encoder.encode(list(good.values()))
        return found
    return {}


def _named(media: Media, faults: dict[int, str]) -> DataError:
    row = min(faults)
    return DataError(
        f"{media.what(row)} {faults[row]}. Correct it, empty its cell, or leave such files out with "
        f"on_corrupt='skip' (--skip-corrupt)."
    )
