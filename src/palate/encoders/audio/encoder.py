"""The audio encoder for offline use: musicnn, learnt on MagnaTagATune, its weights inside a package."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palate.encoders.audio.musicnn import DIM, RATE, Musicnn, patches
from palate.encoders.audio.tensorflow_checkpoint import read_checkpoint
from palate.encoders.checksum import verify_sha256
from palate.encoders.media.decode_child import SILENCE
from palate.encoders.media.decoding import Decoder, MediaLimits
from palate.encoders.media.media import encode_files
from palate.encoders.protocol import Modality
from palate.encoders.text.huggingface import MissingWeights
from palate.errors import MissingExtra

NAME = "musicnn"
PACKAGE = "musicnn==0.1.0"
SHA256 = {
    ".data-00000-of-00001": "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
    ".index": "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
}

BATCH = 8
"""Sounds that are held decoded at a time."""

VERSION = 1
"""Of all that is ours between a file and its vector."""


class MusicnnEncoder:
    """Music to 200 features that tell instruments, voices and genres; an :class:`palate.encoders.protocol.Encoder`.

    The mean over patches of 3 seconds, for as much of a sound as the limits allow. No torch, no TensorFlow: NumPy.

    Args:
        limits: What one file may cost.
    Raises:
        MissingExtra: If a library of the extra ``audio`` or the package of the weights is not installed.
        ModelFolderError: If the weights are not the published ones.
    """

    name = NAME
    dim = DIM
    modality: Modality = "audio"

    def __init__(self, limits: MediaLimits | None = None) -> None:
        check_audio_libraries(NAME)
        self._network = _network()
        self._limits = limits or MediaLimits()

    @property
    def revision(self) -> str:
        return f"{SHA256['.data-00000-of-00001'][:12]}-{VERSION}-{self._limits.sound_seconds}"

    def encode(self, files: Sequence[bytes], /) -> NDArray[np.float32]:
        """Vectors of length one, shape (N, 200); NaN for ``b""`` and for silence.

        Raises:
            DataError: If one is not bytes.
            CorruptMedia: If some cannot be decoded.
        """
        return encode_files(files, DIM, self._decoder, BATCH, self._features)

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder("audio", RATE, limits=self._limits)

    def _features(self, waves: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        vectors = np.full((len(waves), DIM), np.nan, dtype=np.float32)
        for row, wave in enumerate(waves):
            if np.abs(wave).max() > SILENCE:
                vectors[row] = self._network.features(patches(wave)).mean(0)
        return vectors


def check_audio_libraries(name: str) -> None:
    """Raises MissingExtra where a library that decodes sounds is not installed."""
    for library in ("soundfile", "soxr"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "audio", f"the encoder {name!r}")


@cache
def _network() -> Musicnn:
    spec = importlib.util.find_spec("musicnn")
    if spec is None or spec.origin is None:
        raise MissingWeights(NAME, f"--no-deps {PACKAGE}")  # its own requirements are years old and not used
    folder = Path(spec.origin).parent / "MTT_musicnn"
    for file, expected in SHA256.items():
        verify_sha256(folder / file, expected, PACKAGE)
    return Musicnn(read_checkpoint(folder / ".index", folder / ".data-00000-of-00001"))
