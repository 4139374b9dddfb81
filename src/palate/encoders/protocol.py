"""What an encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.errors.checks import count, shown

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


def check_encoder(given: object, modality: Modality | None = None) -> Encoder:
    """The object, if it can be an encoder.

    Args:
        modality: What it is to take; anything if None.
    Raises:
        OptionError: If not.
    """
    lacking = [part for part in ("modality", "name", "revision", "dim", "encode") if not hasattr(given, part)]
    if isinstance(given, type) or lacking:
        lacks = f"lacks {', '.join(lacking)}" if lacking else "is a class"
        raise OptionError(
            f"the encoder {shown(given)} {lacks}. Give a name, or an object that passes palate.testing.EncoderContract."
        )
    encoder = cast("Encoder", given)
    for part in ("name", "revision"):
        if not isinstance(getattr(encoder, part), str) or not getattr(encoder, part):
            raise OptionError(f"the {part} of an encoder is {shown(getattr(encoder, part))}. Give it a text.")
    count(encoder.dim, f"the dim of the encoder {encoder.name!r}", least=1)
    if modality not in (None, encoder.modality):
        raise OptionError(
            f"the encoder {encoder.name!r} takes {shown(encoder.modality)}, not {modality}. Give it for what it takes."
        )
    return encoder


def not_here(name: str) -> OptionError:
    """Of an encoder that a model was fitted with, as an object, and that nobody has given again."""
    return OptionError(
        f"the model was fitted with the encoder {name!r}, an object that its folder does not hold. "
        "Open it with encoders=[...], that object among them."
    )
