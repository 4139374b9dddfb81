"""What an encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Modality = Literal["text", "image", "audio"]


class Encoder(Protocol):
    """Turns contents into vectors: the same content gives the same vector, whatever stands beside it.

    A content is a text, or the bytes of an image or sound as they lie in the file. Every encoder here gives vectors of
    length one; the zero vector for a text that holds nothing but white space; NaN for ``b""`` and for silence, which
    are no image and no sound.

    Attributes:
        modality: What it takes: ``str`` where it is ``text``, else ``bytes``.
        name: How :func:`palate.encoders.registry.load_encoder` finds it again.
        revision: Names the weights and everything else that changes a vector; equal revisions give equal vectors.
        dim: Length of a vector.
    """

    @property
    def modality(self) -> Modality: ...

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, contents: Sequence[Any], /) -> NDArray[np.float32]:
        """The vectors of the contents, in their order, shape (N, dim)."""
        ...
