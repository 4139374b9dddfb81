"""Files from anywhere become pixels and samples, in child processes that can be lost.

Each child (:mod:`palate.encoders.media.decode_child`) serves many files. One that dies, hangs or says something odd is
killed, its file is a :class:`Fault`, and another child takes over.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from palate.encoders.media.decode_child import REQUEST, RESPONSE, Code
from palate.errors import PalateError, install_line
from palate.machine import cores, start_child

Kind = Literal["image", "audio"]

IMAGE_FORMATS = "PNG, JPEG or WebP"
AUDIO_FORMATS = "WAV, FLAC, Ogg, MP3 or AIFF"


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one file may cost.

    Attributes:
        file_bytes: Size of the file as it lies.
        pixels: Width times height, read from the header before anything is decoded.
        sound_seconds: Of a sound that are read; what lies beyond is not.
        memory_bytes: Of the child, its libraries included.
        seconds: Until the child is killed.
    """

    file_bytes: int = 64 << 20
    pixels: int = 25_000_000
    sound_seconds: int = 60
    memory_bytes: int = 1 << 30
    seconds: float = 30.0


class Fault(NamedTuple):
    """Why a file was not decoded: the end of a sentence that begins with the file."""

    reason: str


Decoded = NDArray[np.uint8] | NDArray[np.float32]
Result = TypeVar("Result")


class Decoder:
    """A pool of children that decode one kind of file.

    Args:
        kind: ``image`` or ``audio``.
        first: Of an image the side in pixels, of a sound the rate in samples a second.
        second: Of an image the crop (:func:`palate.encoders.media.decode_child.image_decoder`), of a sound 0.
        limits: What one file may cost.
        workers: How many children. ``None``: as many as there are cores, four at most.
    """

    def __init__(
        self,
        kind: Kind,
        first: int,
        second: int = 0,
        *,
        limits: MediaLimits | None = None,
        workers: int | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.limits = limits or MediaLimits()
        self.workers = min(4, cores()) if workers is None else workers
        self._wanted = (first, second)
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix=f"palate-{kind}")
        self._idle: SimpleQueue[_Child | None] = SimpleQueue()
        for _ in range(self.workers):
            self._idle.put(None)  # a place for a child that is started when it is needed
        self.close = weakref.finalize(self, _close, self._threads, self._idle)
        """Ends the children; done by itself with the object and with the program."""

    def decode(self, files: Sequence[bytes]) -> list[Decoded | Fault]:
        """Each file decoded, an image as (height, width, 3) uint8, a sound as (n,) float32, or its fault.

        Raises:
            PalateError: If no child can be started.
        """
        return [future.result() for future in self._submit(files)]

    def batches(self, files: Sequence[bytes], size: int) -> Iterator[list[Decoded | Fault]]:
        """As :meth:`decode`, a batch at a time; the next one is decoded while the caller works on this one."""
        starts = range(0, len(files), size)
        ahead = self._submit(files[:size])
        for start in starts:
            current, ahead = ahead, self._submit(files[start + size : start + 2 * size])
            yield [future.result() for future in current]

    def _submit(self, files: Sequence[bytes]) -> list[Future[Decoded | Fault]]:
        return [self._threads.submit(self._one, file) for file in files]

    def _one(self, file: bytes) -> Decoded | Fault:
        if len(file) > self.limits.file_bytes:
            return Fault(f"has {len(file):,} bytes, over {self.limits.file_bytes:,} (limit file_bytes)")
        child = self._idle.get()
        try:
            for last in (False, True):  # an idle child may have been killed by somebody: once more with a new one
                if child is None or not child.alive:
                    child = _Child(self.kind, self.limits)
                answer = child.ask(file, *self._wanted)
                if answer is not None or last:
                    return Fault("makes the decoder fail") if answer is None else answer
            raise AssertionError("the loop returns")
        finally:
            self._idle.put(child)


class _Child:
    """One process that decodes, and what is believed of its answers."""

    def __init__(self, kind: Kind, limits: MediaLimits) -> None:
        self._kind, self._limits = kind, limits
        self._process = _start(kind, limits)
        self.alive = True
        head = self._guarded(lambda: self._read(RESPONSE.size))
        if head is None or RESPONSE.unpack(head)[0] != Code.READY:
            self.kill()
            raise PalateError(
                f"the process that decodes {kind} files does not start (exit code {self._process.returncode}). "
                f"Install its libraries again, in the checkout of Palate: {install_line(kind)} --force-reinstall"
            )

    def ask(self, file: bytes, first: int, second: int) -> Decoded | Fault | None:
        """What the child makes of a file; None where it died of it."""
        answer: Decoded | Fault | None = self._guarded(lambda: self._exchange(file, first, second))
        if answer is None:
            late = self.late
            self.kill()
            return Fault(f"takes over {self._limits.seconds:g} s to decode (limit seconds)") if late else None
        return answer

    def kill(self) -> None:
        self.alive = False
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _shut(pipe)

    def _guarded(self, work: Callable[[], Result]) -> Result | None:
        """The work's result; the child is killed, and the result None, once the time is over."""
        self.late = False
        timer = threading.Timer(self._limits.seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            return work()
        except OSError:  # its end of the pipe is closed
            return None
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.late = True
        self._process.kill()

    def _exchange(self, file: bytes, first: int, second: int) -> Decoded | Fault | None:
        assert self._process.stdin is not None
        self._process.stdin.write(REQUEST.pack(len(file), first, second))
        self._process.stdin.write(file)
        self._process.stdin.flush()
        head = self._read(RESPONSE.size)
        if head is None:
            return None
        code, width, height = RESPONSE.unpack(head)
        if code != Code.OK:
            return Fault(_reason(code, self._kind, self._limits)) if code in _REASONS else None
        return self._pixels(first, second, width, height) if self._kind == "image" else self._samples(first, width)

    def _pixels(self, side: int, crop: int, width: int, height: int) -> Decoded | None:
        fits = width == height == crop if crop else 1 <= width <= side and 1 <= height <= side
        if not fits:
            return None
        data = self._read(3 * width * height)
        return None if data is None else np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)

    def _samples(self, rate: int, count: int) -> Decoded | Fault | None:
        if not 1 <= count <= (self._limits.sound_seconds + 1) * rate:
            return None
        data = self._read(4 * count)
        if data is None:
            return None
        samples = np.frombuffer(data, dtype="<f4")
        return samples if np.isfinite(samples).all() else Fault(_REASONS[Code.NOT_FINITE])

    def _read(self, size: int) -> bytes | None:
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        return data if len(data) == size else None


_REASONS = {
    Code.UNKNOWN: "is no {formats} file, whatever its name says",
    Code.DAMAGED: "is damaged or cut off",
    Code.TOO_LARGE: "has more than {pixels:,} pixels (limit pixels)",
    Code.EMPTY: "holds no sound",
    Code.MEMORY: "needs more than {memory:,} bytes of memory to decode (limit memory_bytes)",
    Code.NOT_FINITE: "holds samples that are not finite",
}


def _reason(code: int, kind: Kind, limits: MediaLimits) -> str:
    """Words of ours for a code: no text comes out of a child."""
    formats = IMAGE_FORMATS if kind == "image" else AUDIO_FORMATS
    return _REASONS[Code(code)].format(formats=formats, pixels=limits.pixels, memory=limits.memory_bytes)


def _start(kind: Kind, limits: MediaLimits) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("decode_child.py")
    return start_child(script, kind, limits.memory_bytes, limits.pixels, limits.sound_seconds)


def _close(threads: ThreadPoolExecutor, idle: SimpleQueue[_Child | None]) -> None:
    threads.shutdown(wait=False, cancel_futures=True)  # may run in one of them, which cannot wait for itself
    while not idle.empty():
        child = idle.get()
        if child is not None:
            child.kill()


def _shut(pipe: Any) -> None:
    with contextlib.suppress(OSError):  # what could not be sent to a dead child
        pipe.close()
