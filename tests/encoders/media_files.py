"""Images and sounds, good and bad, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest


def picture(seed: int = 0, *, size: tuple[int, int] = (60, 40), kind: str = "PNG", mode: str = "RGB") -> bytes:
    """An image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return save(pil().fromarray(pixels).convert(mode), kind)


def pil() -> Any:
    return pytest.importorskip("PIL.Image", reason="needs the extra image")


def save(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel, written without an image of that size."""
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row * 1000) for _ in range(height // 1000)) + packer.flush()
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(p)) + name + p + struct.pack(">I", zlib.crc32(name + p)) for name, p in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tone(hertz: float = 440.0, seconds: float = 1.0, rate: int = 16_000) -> Any:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def sound(wave: Any, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    soundfile: Any = pytest.importorskip("soundfile", reason="needs the extra audio")
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=kind, subtype=subtype)
    return buffer.getvalue()
