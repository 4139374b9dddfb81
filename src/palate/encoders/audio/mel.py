"""The mel spectrogram of a sound, in NumPy: that of librosa 0.10 with its defaults, to float32 precision."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors

# Slaney's scale: linear up to 1,000 Hz, logarithmic above.
_HERTZ_A_MEL = 200 / 3
_CORNER = 1_000.0
_LOG_STEP = np.log(6.4) / 27


def mel_spectrogram(wave: Vectors, rate: int, *, n_fft: int, hop: int, bands: int) -> Vectors:
    """Power in mel bands, shape (1 + n // hop, bands), float32.

    Frames are centred at multiples of ``hop``, with silence around the sound, under a Hann window.

    Args:
        wave: Samples, shape (n,).
        rate: Samples a second.
    """
    padded = np.pad(wave.astype(np.float32), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectrum = np.fft.rfft(frames * _hann(n_fft), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    mels: Vectors = power.astype(np.float32) @ mel_filters(rate, n_fft, bands).T
    return mels


@cache
def _hann(size: int) -> Vectors:
    """Periodic, as for spectra."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


@cache
def mel_filters(rate: int, n_fft: int, bands: int) -> Vectors:
    """Triangles of equal area over the frequencies 0 to rate / 2, shape (bands, 1 + n_fft // 2).

    Slaney, "Auditory Toolbox", Interval Research Corporation technical report 1998-010.
    """
    edges = _hertz(np.linspace(0.0, _mel(rate / 2), bands + 2))
    frequencies = np.fft.rfftfreq(n_fft, 1 / rate)
    slopes = (edges[:, None] - frequencies) / np.append(np.diff(edges), np.inf)[:, None]
    rising = -slopes[:-2]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: Vectors = (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    return filters


def _mel(hertz: float) -> float:
    linear = hertz / _HERTZ_A_MEL
    return float(_CORNER / _HERTZ_A_MEL + np.log(hertz / _CORNER) / _LOG_STEP) if hertz >= _CORNER else linear


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    corner = _CORNER / _HERTZ_A_MEL
    return np.where(mels < corner, mels * _HERTZ_A_MEL, _CORNER * np.exp(_LOG_STEP * (mels - corner)))
