"""Vectors kept on disk, so that only what changed is encoded.

Derived data: the folder can be deleted at any time. It holds digests of contents and vectors, never a content.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.encoders.protocol import Encoder, Modality
from palate.encoders.shards import Shards
from palate.encoders.text.texts import checked
from palate.errors import OptionError
from palate.runners import Handle, Runner

CHUNK = 256
"""Contents encoded and kept at a time: what an interrupted run loses at most."""
AHEAD = 2
"""Of :meth:`Cached.keep`: chunks a worker that are on their way at a time."""


def default_folder() -> Path:
    """The folder ``encodings`` in ``$PALATE_CACHE``, or in ``~/.cache/palate`` where that is not set."""
    root = os.environ.get("PALATE_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "palate") / "encodings"


class Cached:
    """An encoder that remembers; itself an :class:`Encoder`.

    A vector is found by the digest of encoder name, revision, dimension and content. Each is kept with a digest of its
    own bytes: a damaged one is encoded again. Chunks are kept as they are done, so a run that is killed loses one
    chunk at most, and several processes may share a folder (:mod:`palate.encoders.shards`).

    Args:
        encoder: The encoder that does the work.
        folder: Where to keep vectors. ``None``: :func:`default_folder`.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self.encoder = encoder
        self.folder = default_folder() if folder is None else folder

    @property
    def modality(self) -> Modality:
        return self.encoder.modality

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def revision(self) -> str:
        return self.encoder.revision

    @property
    def dim(self) -> int:
        return self.encoder.dim

    def encode(
        self, contents: Sequence[Any], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """The vectors of the contents, shape (N, dim); those not yet kept are encoded and kept.

        Args:
            contents: What to encode: ``str``, or ``bytes`` for images and sounds.
            progress: Called with (done, total) after each chunk.
        Raises:
            DataError: If one of the contents is none that the encoder takes.
            OptionError: If the folder cannot be used.
        """
        given = checked(contents) if self.modality == "text" else list(contents)
        vectors = np.empty((len(given), self.dim), dtype=np.float32)
        if not given:
            return vectors
        keys = [self._digest(content).digest() for content in given]
        first: dict[bytes, int] = {}  # row of a key's first content
        with self._opened() as shards:
            for start in range(0, len(given), CHUNK):
                rows = range(start, min(start + CHUNK, len(given)))
                new = {keys[row]: given[row] for row in rows if first.setdefault(keys[row], row) == row}
                for key, vector in self._of(new, shards).items():
                    vectors[first[key]] = vector
                vectors[rows.start : rows.stop] = vectors[[first[keys[row]] for row in rows]]
                if progress is not None:
                    progress(rows.stop, len(given))
        return vectors

    def keep(
        self,
        contents: Sequence[Any],
        encode: Callable[[list[Any]], Handle],
        *,
        runner: Runner,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Keep the vectors of the contents, encoded by tasks, each content once; this process alone writes.

        The batches, and so the vectors, are those of :meth:`encode`.

        Args:
            encode: Submits the task that encodes some, such as :func:`palate.encoders.chunk.encode_chunk`.
        Returns:
            How many contents were encoded anew.
        """
        given = checked(contents) if self.modality == "text" else list(contents)
        keys = [self._digest(content).digest() for content in given]
        seen: set[bytes] = set()
        waiting: deque[tuple[list[bytes], Handle]] = deque()
        encoded = 0
        with self._opened() as shards:

            def take(most: int) -> None:
                nonlocal encoded
                while len(waiting) > most:
                    new, handle = waiting.popleft()
                    self._write(shards, dict(zip(new, self._checked(runner.get(handle), len(new)), strict=True)))
                    runner.free([handle])
                    encoded += len(new)

            for start in range(0, len(given), CHUNK):
                rows = range(start, min(start + CHUNK, len(given)))
                chunk = {keys[row]: given[row] for row in rows if keys[row] not in seen}
                seen.update(chunk)
                found = shards.read(list(chunk))
                missing = {key: content for key, content in chunk.items() if key not in found}
                if missing:
                    waiting.append((list(missing), encode(list(missing.values()))))
                take(AHEAD * runner.workers)
                if progress is not None:
                    progress(rows.stop, len(given))
            take(0)
        return encoded

    def _opened(self) -> Shards:
        try:
            return Shards(self.folder, self._digest().hexdigest()[:16], self.dim)
        except OSError as error:
            raise self._unusable(error) from error

    def _of(self, contents: dict[bytes, Any], shards: Shards) -> dict[bytes, NDArray[np.float32]]:
        """The vectors of contents by key, kept from now on."""
        found = shards.read(list(contents))
        missing = {key: content for key, content in contents.items() if key not in found}
        if missing:
            encoded = self._checked(self.encoder.encode(list(missing.values())), len(missing))
            fresh = dict(zip(missing, encoded, strict=True))
            self._write(shards, fresh)
            found |= fresh
        return found

    def _write(self, shards: Shards, vectors: dict[bytes, NDArray[np.float32]]) -> None:
        try:
            shards.write(vectors)
        except OSError as error:
            raise self._unusable(error) from error

    def _checked(self, encoded: Any, number: int) -> NDArray[np.float32]:
        vectors = np.asarray(encoded, dtype=np.float32)
        if vectors.shape != (number, self.dim):
            raise OptionError(
                f"the encoder {self.name!r} gives vectors of the shape {vectors.shape}. Return one a content, of its "
                f"dim: {(number, self.dim)}."
            )
        return vectors

    def _digest(self, content: Any = "") -> Any:
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        return hashlib.sha256("\x00".join((self.name, self.revision, str(self.dim), "")).encode() + raw)

    def _unusable(self, error: OSError) -> OptionError:
        return OptionError(
            f"the folder {self.folder} cannot keep vectors ({error}). "
            "Set PALATE_CACHE to a folder that can be written and has room."
        )
