"""The network musicnn in NumPy.

Pons and Serra, "musicnn: Pre-trained Convolutional Neural Networks for Music Audio Tagging", ISMIR 2019 late-breaking
demo. Filters as tall as timbre and as long as rhythm, three layers over time, pooling, and a dense layer of 200.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from palate.arrays import Vectors
from palate.encoders.audio.mel import mel_spectrogram

RATE = 16_000
BANDS = 96
FRAMES = 187
"""Of a patch: 3 seconds."""

DIM = 200
TAGS = 50

_HOP = 256
_EPSILON = np.float32(1e-3)  # of batch normalisation


def patches(wave: Vectors) -> Vectors:
    """Log-mel patches of 3 seconds side by side, shape (n, 187, 96), float32; what is left at the end is not seen.

    A shorter sound is repeated to fill one.
    """
    least = (FRAMES - 1) * _HOP
    whole = wave if len(wave) >= least else np.resize(wave, least)
    power = mel_spectrogram(whole, RATE, n_fft=512, hop=_HOP, bands=BANDS)
    logs: Vectors = np.log10(np.float32(10_000) * power + np.float32(1))
    n = len(logs) // FRAMES
    return logs[: n * FRAMES].reshape(n, FRAMES, BANDS)


class Musicnn:
    """The network with the weights of one training.

    Args:
        weights: TensorFlow's variables, by name.
    """

    def __init__(self, weights: Mapping[str, Vectors]) -> None:
        self._weights = weights
        self._norms = [_norm(weights, number) for number in range(11)]

    def features(self, patches: Vectors) -> Vectors:
        """The layer before the tags, shape (n, 200), of patches (n, 187, 96)."""
        return np.stack([self._patch(patch) for patch in patches])

    def tags(self, features: Vectors) -> Vectors:
        """Probabilities of the 50 tags, shape (n, 50), of features (n, 200)."""
        logits = features @ self._weights["dense_1/kernel"] + self._weights["dense_1/bias"]
        probabilities: Vectors = 1 / (1 + np.exp(-logits))
        return probabilities

    def _patch(self, patch: Vectors) -> Vectors:
        """One patch at a time: what the filters see then fits into the processor's cache, more or less."""
        scale, shift = self._norms[0]
        front = self._front(patch * scale + shift)
        middle = self._over_time(front, 5)
        second = middle + self._over_time(middle, 6)
        third = second + self._over_time(second, 7)
        states = np.concatenate([front, middle, second, third], axis=1)
        pooled = np.stack([states.max(0), states.mean(0)], axis=1).ravel()  # max and mean in turns
        dense = self._normed(pooled, 9) @ self._weights["dense/kernel"] + self._weights["dense/bias"]
        return self._normed(np.maximum(dense, 0), 10)

    def _front(self, patch: Vectors) -> Vectors:
        """Timbre and rhythm over time, (187, 561)."""
        of_timbre = [self._pooled(np.pad(patch, ((3, 3), (0, 0))), number) for number in (0, 1)]
        of_rhythm = []
        for number in (2, 3, 4):
            length = len(self._kernel(number))
            before = (length - 1) // 2
            of_rhythm.append(self._pooled(np.pad(patch, ((before, length - 1 - before), (0, 0))), number))
        return np.concatenate(of_timbre + of_rhythm, axis=1)

    def _pooled(self, patch: Vectors, number: int) -> Vectors:
        """A convolution, ReLU, normalisation and the largest over frequency, (time, filters).

        ReLU and normalisation keep the order of values or turn it round, so they come after the largest and smallest.
        """
        kernel = self._kernel(number)
        windows = np.lib.stride_tricks.sliding_window_view(patch, kernel.shape[:2])
        times, frequencies = windows.shape[:2]
        flat = windows.reshape(times * frequencies, -1) @ kernel.reshape(-1, kernel.shape[-1])
        found = flat.reshape(times, frequencies, -1)
        extreme = np.where(self._norms[number + 1][0] >= 0, found.max(1), found.min(1))
        return self._normed(np.maximum(extreme + self._bias(number), 0), number + 1)

    def _over_time(self, states: Vectors, number: int) -> Vectors:
        """A convolution over seven steps that sees all states (T, n), ReLU and normalisation, (T, 64)."""
        kernel = self._kernel(number)
        padded = np.pad(states, ((3, 3), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2])
        flat = windows.reshape(len(states), -1) @ kernel.reshape(-1, kernel.shape[-1])
        return self._normed(np.maximum(flat + self._bias(number), 0), number + 1)

    def _kernel(self, number: int) -> Vectors:
        return self._weights[f"{_numbered('conv2d', number)}/kernel"]

    def _bias(self, number: int) -> Vectors:
        return self._weights[f"{_numbered('conv2d', number)}/bias"]

    def _normed(self, values: Vectors, number: int) -> Vectors:
        scale, shift = self._norms[number]
        return values * scale + shift


def _norm(weights: Mapping[str, Vectors], number: int) -> tuple[Vectors, Vectors]:
    """Batch normalisation as a factor and a summand."""
    name = _numbered("batch_normalization", number)
    scale = weights[f"{name}/gamma"] / np.sqrt(weights[f"{name}/moving_variance"] + _EPSILON)
    return scale, weights[f"{name}/beta"] - weights[f"{name}/moving_mean"] * scale


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name
