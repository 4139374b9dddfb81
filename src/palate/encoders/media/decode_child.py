"""The process in which images and sounds from anywhere are decoded.

It is run by its path, imports nothing of Palate but :mod:`palate.machine`, and holds nothing worth having: no
settings, no secrets, no network. After its libraries are loaded it gives up opening files, writing, starting
processes, and more memory than a limit, and then answers requests until its input ends. What it says back is one of a
few codes and pixels or samples; the other side (:mod:`palate.encoders.media.decoding`) believes nothing else.

Usage: ``python decode_child.py image|audio MEMORY_BYTES PIXELS SECONDS``
"""

from __future__ import annotations

import importlib
import io
import os
import struct
import sys
import warnings
from collections.abc import Callable
from enum import IntEnum
from typing import Any, BinaryIO

from palate.machine import give_up_rights

REQUEST = struct.Struct("<III")
"""Bytes of the file that follows, and what is wanted: (side, crop) of an image, (rate, 0) of a sound."""

RESPONSE = struct.Struct("<BII")
"""A code, and the size of what follows where it is OK: width and height of 8-bit RGB; number of float32 samples, 0."""


class Code(IntEnum):
    """What became of a file."""

    OK = 0
    READY = 1
    UNKNOWN = 2  # none of the formats that are read
    DAMAGED = 3  # one of them, and cut or spoilt
    TOO_LARGE = 4  # more pixels than the limit
    EMPTY = 5  # nothing in it
    MEMORY = 6  # more memory than the limit
    NOT_FINITE = 7  # samples that are NaN or infinite


class Refused(Exception):
    """A file that is not decoded, with the code that says why."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


Decode = Callable[[bytes, int, int], tuple[int, int, bytes]]

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
LONGEST = 8
"""Times the shorter side that is kept of an image's longer one: of a longer strip the middle."""


def image_decoder(pixels: int) -> Decode:
    """A function (file, side, crop) -> (width, height, 8-bit RGB).

    The first frame, turned upright, transparent parts white, grey and CMYK made RGB, 16 bits made 8. With a crop: the
    shorter side is brought to ``side`` and the middle square of ``crop`` pixels is kept, at bicubic interpolation.
    Without (0): the longer side is brought down to ``side`` where it is longer.
    """
    Image: Any = importlib.import_module("PIL.Image")
    for plugin in ("Png", "Jpeg", "Mpo", "WebP", "Tiff"):  # the last for EXIF; no import is possible later
        importlib.import_module(f"PIL.{plugin}ImagePlugin")
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }

    def rgb(image: Any) -> Any:
        if image.mode.startswith("I"):  # 16 bits of grey, which a plain conversion would cut off at 255
            image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        if image.has_transparency_data:
            above = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
        return image.convert("RGB")

    def opened(file: bytes) -> Any:
        try:
            image = Image.open(io.BytesIO(file), formats=IMAGE_FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Refused(Code.TOO_LARGE) from error
        except Image.UnidentifiedImageError as error:
            raise Refused(Code.UNKNOWN) from error
        if image.width * image.height > pixels:
            raise Refused(Code.TOO_LARGE)
        return image

    def decode(file: bytes, side: int, crop: int) -> tuple[int, int, bytes]:
        image = opened(file)
        orientation = image.getexif().get(0x0112)
        width, height = image.size
        size, box = _cropped(width, height, side, crop) if crop else _shrunk(width, height, side)
        scale = 2 * max(size[0] / (box[2] - box[0]), size[1] / (box[3] - box[1]))
        image.draft(None, (round(width * scale), round(height * scale)))  # a large JPEG is decoded at 1/2, 1/4, 1/8
        image = rgb(image)
        ratio = image.width / width, image.height / height
        box = (box[0] * ratio[0], box[1] * ratio[1], box[2] * ratio[0], box[3] * ratio[1])
        image = image.resize(size, Image.Resampling.BICUBIC, box=box)
        if orientation in turns:
            image = image.transpose(turns[orientation])
        return image.width, image.height, image.tobytes()

    _warm_up_images(Image, decode)
    return decode


Box = tuple[float, float, float, float]


def _cropped(width: int, height: int, side: int, crop: int) -> tuple[tuple[int, int], Box]:
    """The middle of an image as a square: its size, and the box in the image, as if resized first and cropped then."""
    half = min(width, height) * crop / side / 2
    return (crop, crop), (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)


def _shrunk(width: int, height: int, side: int) -> tuple[tuple[int, int], Box]:
    """An image that fits into a square of that side, whole unless it is a long strip."""
    wide, high = min(width, LONGEST * height), min(height, LONGEST * width)
    left, top = (width - wide) / 2, (height - high) / 2
    scale = min(1.0, side / max(wide, high))
    return (max(1, round(wide * scale)), max(1, round(high * scale))), (left, top, left + wide, top + high)


def _warm_up_images(Image: Any, decode: Decode) -> None:
    """Decode each format once, while what the library loads at first use can still be loaded."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in IMAGE_FORMATS:
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4)).save(buffer, kind, exif=exif)
        decode(buffer.getvalue(), 2, 0)


BLOCK = 1 << 18
"""Samples read at a time, over all channels."""

SILENCE = 2.0**-15
"""Peak up to which a sound is silent: less than one step of 16 bits."""


def audio_decoder(seconds: int) -> Decode:
    """A function (file, rate, 0) -> (n, 0, float32 samples): the first seconds, one channel, at that rate.

    Channels are averaged. Samples beyond ±1, which only floating point can hold, are scaled down to that peak.
    """
    np: Any = importlib.import_module("numpy")
    soundfile: Any = importlib.import_module("soundfile")
    soxr: Any = importlib.import_module("soxr")

    def read(sound: Any) -> Any:
        wanted = min(seconds * sound.samplerate, sound.frames if sound.frames > 0 else seconds * sound.samplerate)
        blocks, found = [], 0
        while found < wanted:
            block = sound.read(min(wanted - found, max(1, BLOCK // sound.channels)), dtype="float32", always_2d=True)
            if not len(block):
                break
            blocks.append(block.mean(axis=1, dtype=np.float32))
            found += len(block)
        if found == 0:
            raise Refused(Code.EMPTY)
        if found < wanted and _says_its_length(sound):
            raise Refused(Code.DAMAGED)
        return np.concatenate(blocks)

    def decode(file: bytes, rate: int, _: int) -> tuple[int, int, bytes]:
        if not _is_sound(file):
            raise Refused(Code.UNKNOWN)
        if _is_cut(file):
            raise Refused(Code.DAMAGED)
        with soundfile.SoundFile(io.BytesIO(file)) as sound:
            if not 1_000 <= sound.samplerate <= 768_000:
                raise Refused(Code.DAMAGED)
            wave, of = read(sound), sound.samplerate
        if not np.isfinite(wave).all():
            raise Refused(Code.NOT_FINITE)
        wave = wave if of == rate else soxr.resample(wave, of, rate)
        wave = wave / max(1.0, float(np.abs(wave).max())) if len(wave) else np.zeros(1)
        return len(wave), 0, wave.astype("<f4").tobytes()

    _warm_up_sounds(np, soundfile, decode)
    return decode


def _is_sound(file: bytes) -> bool:
    """Whether it begins like WAV, FLAC, Ogg, AIFF or MP3: other decoders are never asked."""
    of_mp3 = file[:3] == b"ID3" or (file[:1] == b"\xff" and len(file) > 1 and file[1] & 0xE6 == 0xE2)
    wave = file[:4] in (b"RIFF", b"RF64") and file[8:12] == b"WAVE"
    aiff = file[:4] == b"FORM" and file[8:12] in (b"AIFF", b"AIFC")
    return wave or aiff or file[:4] in (b"fLaC", b"OggS") or of_mp3


def _is_cut(file: bytes) -> bool:
    """Whether a WAV or AIFF is shorter than it says, or an Ogg lacks its last page: the library would not mind."""
    if file[:4] in (b"RIFF", b"FORM") and len(file) >= 8:
        says = int.from_bytes(file[4:8], "little" if file[:1] == b"R" else "big")
        return 0 < says < 0x7FFF_0000 and says + 8 > len(file) + 1  # what is streamed says 0 or the largest number
    if file[:4] == b"OggS":
        page = file[file.rfind(b"OggS") :]
        whole = len(page) > 26 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
        return not whole or not page[5] & 4  # the last page says that it is
    return False


def _says_its_length(sound: Any) -> bool:
    """An MP3 only guesses its length."""
    return sound.format not in ("MP3", "MPEG")


def _warm_up_sounds(np: Any, soundfile: Any, decode: Decode) -> None:
    for kind, subtype in (("WAV", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.zeros((800, 2)), 8_000, format=kind, subtype=subtype)
        decode(buffer.getvalue(), 16_000, 0)


def answer(decode: Decode, file: bytes, first: int, second: int) -> tuple[bytes, bytes]:
    """The response to one request, and what follows it."""
    try:
        width, height, decoded = decode(file, first, second)
    except Refused as refused:
        return RESPONSE.pack(refused.code, 0, 0), b""
    except MemoryError:
        return RESPONSE.pack(Code.MEMORY, 0, 0), b""
    except Exception:  # noqa: BLE001  # whatever a damaged file makes a library raise
        return RESPONSE.pack(Code.DAMAGED, 0, 0), b""
    return RESPONSE.pack(Code.OK, width, height), decoded


def serve(decode: Decode, requests: BinaryIO, responses: BinaryIO) -> None:
    """Answer requests until there are none."""
    responses.write(RESPONSE.pack(Code.READY, 0, 0))
    responses.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        size, first, second = REQUEST.unpack(head)
        responses.writelines(answer(decode, requests.read(size), first, second))
        responses.flush()


def main() -> None:
    """Serve on standard input and output, which libraries no longer reach."""
    kind, memory, pixels, seconds = sys.argv[1], *map(int, sys.argv[2:5])
    requests, responses = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    decode = image_decoder(pixels) if kind == "image" else audio_decoder(seconds)
    give_up_rights(memory)
    serve(decode, requests, responses)


if __name__ == "__main__":
    main()
