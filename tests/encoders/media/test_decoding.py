"""Images and sounds from anywhere, decoded in children that can be lost (IN-06)."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.encoders.media import decoding
from palate.encoders.media.decode_child import RESPONSE, Code
from palate.encoders.media.decoding import Decoder, Fault, MediaLimits
from palate.errors import PalateError
from tests.encoders.media_files import bomb, picture, pil, save, sound, tone

pytest.importorskip("PIL", reason="needs the extra image")
pytest.importorskip("soundfile", reason="needs the extra audio")
pytest.importorskip("soxr", reason="needs the extra audio")

NO_IMAGE = "is no PNG, JPEG or WebP file, whatever its name says"
NO_SOUND = "is no WAV, FLAC, Ogg, MP3 or AIFF file, whatever its name says"
CUT = "is damaged or cut off"


@pytest.fixture(scope="module")
def images() -> Iterator[Decoder]:
    decoder = Decoder("image", 64, workers=1)
    yield decoder
    decoder.close()


@pytest.fixture(scope="module")
def sounds() -> Iterator[Decoder]:
    decoder = Decoder("audio", 16_000, workers=1, limits=MediaLimits(sound_seconds=5))
    yield decoder
    decoder.close()


def one(decoder: Decoder, file: bytes) -> Any:
    return decoder.decode([file])[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_small_image_is_given_as_it_is(images: Decoder, kind: str) -> None:
    file = picture(kind=kind)
    import io

    expected = np.asarray(pil().open(io.BytesIO(file)).convert("RGB"))
    np.testing.assert_array_equal(one(images, file), expected)


@pytest.mark.parametrize(
    ("size", "shape"), [((640, 320), (32, 64)), ((10, 1000), (64, 8)), ((1000, 1), (8, 64)), ((64, 64), (64, 64))]
)
def test_a_large_image_is_brought_down(images: Decoder, size: tuple[int, int], shape: tuple[int, int]) -> None:
    expected = shape if size != (1000, 1) else (1, 8)  # a strip keeps eight times its shorter side
    assert one(images, picture(size=size)).shape[:2] == expected


def test_the_middle_square_is_that_of_resize_and_crop() -> None:
    decoder = Decoder("image", 32, 28, workers=1)
    image = pil().linear_gradient("L").resize((128, 64)).convert("RGB")
    resized = image.resize((64, 32), pil().Resampling.BICUBIC)
    expected = np.asarray(resized.crop((18, 2, 46, 30)), dtype=float)
    found = one(decoder, save(image))
    assert found.shape == (28, 28, 3)
    np.testing.assert_allclose(found, expected, atol=1.0)
    assert one(decoder, picture(size=(1, 3000))).shape == (28, 28, 3)


@pytest.mark.parametrize(
    ("mode", "value", "rgb"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("LA", (0, 0), (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("I;16", 0x8080, (128, 128, 128)),
        ("I;16", 0x0100, (1, 1, 1)),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(images: Decoder, mode: str, value: Any, rgb: tuple[int, int, int]) -> None:
    found = one(images, save(pil().new(mode, (8, 8), value)))
    np.testing.assert_array_equal(found, np.broadcast_to(np.array(rgb, dtype=np.uint8), (8, 8, 3)))


def test_cmyk_and_a_transparent_palette(images: Decoder) -> None:
    cyan = one(images, save(pil().new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG"))
    np.testing.assert_allclose(cyan.reshape(-1, 3), [[0, 255, 255]] * 256, atol=3)
    palette = pil().new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30])
    assert (one(images, save(palette, transparency=0)) == 255).all()


def test_exif_turns_the_image_upright(images: Decoder) -> None:
    image = pil().new("RGB", (32, 16))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    exif = pil().Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    found = one(images, save(image, "JPEG", exif=exif))
    assert found.shape == (32, 16, 3)
    assert found[:14].mean() > 240 > 15 > found[18:].mean()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(images: Decoder, kind: str) -> None:
    frames = [pil().new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    found = one(images, save(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert (found == [255, 0, 0]).all()


@pytest.mark.parametrize(
    "file",
    [
        b"<html><body>not found</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"8BPS\x00\x01" + bytes(40),
        b"\x1f\x8b\x08\x00" + bytes(40),
        b"x",
        b"\x00" * 1000,
    ],
    ids=["html", "svg", "eps", "psd", "gzip", "letter", "zeros"],
)
def test_IN_06_what_is_no_image_is_refused(images: Decoder, file: bytes) -> None:
    assert one(images, file) == Fault(NO_IMAGE)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_IN_06_other_decoders_are_off(images: Decoder, kind: str) -> None:
    assert one(images, save(pil().new("RGB", (16, 16)), kind)) == Fault(NO_IMAGE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_IN_06_a_truncated_image_is_refused(images: Decoder, kind: str) -> None:
    file = picture(kind=kind)
    for share in (0.5, 0.9):
        assert one(images, file[: int(len(file) * share)]) == Fault(CUT)


@pytest.mark.parametrize("side", [12_000, 30_000])
def test_IN_06_an_image_bomb_is_refused_before_it_is_decoded(images: Decoder, side: int) -> None:
    child = _pid(images)
    assert one(images, bomb(side, side)) == Fault("has more than 25,000,000 pixels (limit pixels)")
    assert _pid(images) == child, "the header was enough: nothing died"


def test_IN_06_memory_over_the_limit_costs_the_file_only() -> None:
    decoder = Decoder("image", 64, workers=1, limits=MediaLimits(memory_bytes=96 << 20, pixels=200_000_000))
    bad, good = decoder.decode([bomb(12_000, 12_000), picture()])
    assert bad in (
        Fault("needs more than 100,663,296 bytes of memory to decode (limit memory_bytes)"),
        Fault("makes the decoder fail"),
        Fault(CUT),
    )
    assert good.shape == (40, 60, 3)


def test_many_frames_cost_no_more_than_one(images: Decoder) -> None:
    frames = [pil().new("RGB", (4, 4), (n % 256, n // 256, 0)) for n in range(2_000)]
    file = save(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert one(images, file).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_U8", 8_000, 1),
        ("WAV", "PCM_16", 44_100, 2),
        ("WAV", "PCM_24", 48_000, 6),
        ("WAV", "FLOAT", 16_000, 1),
        ("WAV", "DOUBLE", 96_000, 2),
        ("AIFF", "PCM_16", 22_050, 1),
        ("FLAC", "PCM_24", 48_000, 2),
        ("OGG", "VORBIS", 44_100, 2),
        ("MP3", "MPEG_LAYER_III", 44_100, 1),
    ],
)
def test_every_kind_of_sound_becomes_one_channel_at_the_rate(
    sounds: Decoder, kind: str, subtype: str, rate: int, channels: int
) -> None:
    wave = np.repeat(tone(rate=rate)[:, None], channels, axis=1)
    found = one(sounds, sound(wave, rate, kind, subtype))
    assert found.dtype == np.float32
    assert abs(len(found) - 16_000) <= (2_000 if kind == "MP3" else 2)
    middle = slice(4_000, 12_000)
    if kind in ("WAV", "AIFF", "FLAC"):
        np.testing.assert_allclose(found[middle], tone()[middle], atol=0.01)
    spectrum = np.abs(np.fft.rfft(found[middle] * np.hanning(8_000)))
    assert abs(spectrum.argmax() * 2 - 440) <= 2


def test_channels_are_averaged(sounds: Decoder) -> None:
    opposite = np.stack([tone(), -tone()], axis=1)
    assert np.abs(one(sounds, sound(opposite, subtype="FLOAT"))).max() < 1e-6


@pytest.mark.parametrize(
    ("wave", "peak"),
    [
        (np.zeros(1_000), 0.0),
        (np.clip(tone() * 10, -1, 1), 1.0),
        (tone() * 60_000, 1.0),
        (np.ones(1_000), 1.0),
        (tone()[:1], 0.0),
    ],
    ids=["silent", "clipped", "beyond one", "constant", "one sample"],
)
def test_peaks(sounds: Decoder, wave: Any, peak: float) -> None:
    assert np.abs(one(sounds, sound(wave, subtype="FLOAT"))).max() == pytest.approx(peak, abs=1e-6)


def test_only_the_first_seconds_are_read(sounds: Decoder) -> None:
    long = sound(np.zeros(3_600 * 8_000), 8_000, "FLAC")
    assert len(long) < 2_000_000
    assert len(one(sounds, long)) == 5 * 16_000


@pytest.mark.parametrize(
    "file", [b"<html></html>", b"RIFF", b"RIFF\x00\x00\x00\x00AVI LIST", b"\x00" * 99, b"\x89PNG\r\n\x1a\n" + bytes(99)]
)
def test_IN_06_what_is_no_sound_is_refused(sounds: Decoder, file: bytes) -> None:
    assert one(sounds, file) == Fault(NO_SOUND)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", None)]
)
def test_a_truncated_sound_is_refused(sounds: Decoder, kind: str, subtype: str | None) -> None:
    file = sound(np.random.default_rng(0).uniform(-0.5, 0.5, 32_000), 16_000, kind, subtype)
    for share in (0.1, 0.5, 0.9):
        assert one(sounds, file[: int(len(file) * share)]) == Fault(CUT)


def test_sounds_that_hold_nothing_or_no_numbers(sounds: Decoder) -> None:
    assert one(sounds, sound(np.zeros((0, 1)))) == Fault("holds no sound")
    for bad in (np.nan, np.inf):
        wave = np.where(np.arange(1_000) == 500, bad, 0.1)
        assert one(sounds, sound(wave, subtype="FLOAT")) == Fault("holds samples that are not finite")


def test_a_file_over_the_size_is_not_sent() -> None:
    decoder = Decoder("image", 64, workers=1, limits=MediaLimits(file_bytes=100))
    assert decoder.decode([bytes(101)]) == [Fault("has 101 bytes, over 100 (limit file_bytes)")]
    assert _idle(decoder) is None, "no child was started"


def test_random_damage_never_stops_the_pool(images: Decoder, sounds: Decoder) -> None:
    rng = np.random.default_rng(0)
    for decoder, file in ((images, picture(kind="JPEG")), (images, picture(kind="WEBP")), (sounds, sound(tone()))):
        for _ in range(40):
            damaged = bytearray(file)
            for place in rng.integers(len(file), size=8):
                damaged[place] = rng.integers(256)
            found = one(decoder, bytes(damaged))
            assert isinstance(found, Fault) or np.isfinite(found).all()
    assert isinstance(one(images, picture()), np.ndarray)


def test_IN_06_a_child_that_was_killed_is_replaced(images: Decoder) -> None:
    before = one(images, picture())
    os.kill(_pid(images), signal.SIGKILL)
    time.sleep(0.05)
    np.testing.assert_array_equal(one(images, picture()), before)


@pytest.fixture
def child_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Decoder]:
    """A decoder whose child does something else."""

    def make(script: str) -> Decoder:
        ready = f"import os, sys, time\nos.write(1, {RESPONSE.pack(Code.READY, 0, 0)!r})\n"
        monkeypatch.setattr(
            decoding,
            "_start",
            lambda kind, limits: subprocess.Popen(
                [sys.executable, "-c", ready + script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ),
        )
        return Decoder("image", 64, workers=1, limits=MediaLimits(seconds=2.0))

    return make


def test_IN_06_a_child_that_hangs_is_killed(child_that: Callable[[str], Decoder]) -> None:
    decoder = child_that("time.sleep(600)")
    assert decoder.decode([b"file"]) == [Fault("takes over 2 s to decode (limit seconds)")]


@pytest.mark.parametrize(
    "reply",
    [
        RESPONSE.pack(Code.OK, 1_000_000, 1_000_000),
        RESPONSE.pack(Code.OK, 65, 1) + bytes(195),
        RESPONSE.pack(Code.OK, 0, 0),
        RESPONSE.pack(200, 0, 0),
        RESPONSE.pack(Code.READY, 0, 0),
        RESPONSE.pack(Code.OK, 2, 2) + b"short",
        b"",
    ],
    ids=["huge", "too wide", "empty", "unknown", "ready again", "cut", "nothing"],
)
def test_IN_06_an_answer_that_is_not_one_is_not_believed(child_that: Callable[[str], Decoder], reply: bytes) -> None:
    decoder = child_that(f"os.read(0, 100); os.write(1, {reply!r})")
    assert decoder.decode([b"file"]) == [Fault("makes the decoder fail")]


def test_a_child_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    start = lambda *_: subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdin=-1, stdout=-1)  # noqa: E731
    monkeypatch.setattr(decoding, "_start", start)
    with pytest.raises(
        PalateError,
        match=r"does not start \(exit code 3\)\. Install .* again, in the checkout .*: pip install '\.\[image\]'",
    ):
        Decoder("image", 64, workers=1).decode([b"file"])


RIGHTS = """
import os, runpy
child = runpy.run_path({script!r})
decode = child["image_decoder"](1000)
child["give_up_rights"](1 << 30)
for attempt in (lambda: open("/etc/passwd"), lambda: open({target!r}, "w"), lambda: __import__("socket").socket(),
                lambda: bytearray(2 << 30)):
    try:
        attempt()
    except (OSError, MemoryError, ImportError):
        os.write(1, b"refused ")
    else:
        os.write(1, b"done ")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is kept on Linux only")
def test_IN_06_what_runs_in_the_child_can_open_write_and_reach_nothing(tmp_path: Path) -> None:
    script = str(Path(decoding.__file__).with_name("decode_child.py"))
    code = RIGHTS.format(script=script, target=str(tmp_path / "written"))
    environment = os.environ | {"PYTHONPATH": str(Path(palate.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert run.stdout.split() == ["refused"] * 4, run.stderr
    assert not (tmp_path / "written").exists()


def test_the_child_has_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary-4711")
    decoder = Decoder("image", 64, workers=1)
    one(decoder, picture())
    assert b"canary-4711" not in Path(f"/proc/{_pid(decoder)}/environ").read_bytes()


def test_children_end_with_their_decoder() -> None:
    decoder = Decoder("image", 64, workers=1)
    one(decoder, picture())
    process = _idle(decoder)._process
    assert process.poll() is None
    del decoder
    gc.collect()
    assert process.poll() is not None


def test_files_come_back_in_their_order_and_batches() -> None:
    decoder = Decoder("image", 64, workers=3)
    files = [save(pil().new("RGB", (4, 4), (n, 0, 0))) for n in range(50)]
    batches = list(decoder.batches(files, 7))
    assert [len(batch) for batch in batches] == [7] * 7 + [1]
    assert [int(found[0, 0, 0]) for batch in batches for found in batch] == list(range(50))
    assert list(decoder.batches([], 7)) == []


def _idle(decoder: Decoder) -> Any:
    child = decoder._idle.get()
    decoder._idle.put(child)
    return child


def _pid(decoder: Decoder) -> int:
    return int(_idle(decoder)._process.pid)
