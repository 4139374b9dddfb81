"""What an encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Turns texts into vectors: the same text gives the same vector, whatever stands beside it.

    Every encoder here gives vectors of length one, and the zero vector for a text that holds nothing but white space.

    Attributes:
        name: How :func:`palate.encoders.registry.load_encoder` finds it again.
        revision: Names the weights and everything else that changes a vector; equal revisions give equal vectors.
        dim: Length of a vector.
    """

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the texts, in their order, shape (N, dim)."""
        ...
