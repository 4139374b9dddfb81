"""Hugging Face models of images and sounds, tiny and random, by their folders."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.encoders.registry import load_encoder
from palate.encoders.towers import Tower, modality_of
from palate.errors import DataError, ModelFolderError, OptionError
from tests.encoders.conftest import WORDS, save_tokenizer

pytestmark = pytest.mark.hf

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SEEN = {**SIZES, "image_size": 32, "patch_size": 8}
READ = {**SIZES, "vocab_size": 16, "max_position_embeddings": 16}
CONVOLUTIONS = {"conv_dim": (8, 8), "conv_stride": (160, 2), "conv_kernel": (320, 3), "num_feat_extract_layers": 2}
POSITIONS = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
WHISPER = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "num_mel_bins": 8,
    "max_source_positions": 50,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
HEARD = {
    "hidden_size": 16,
    "patch_embeds_hidden_size": 8,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "num_hidden_layers": 2,
    "spec_size": 64,
    "num_mel_bins": 16,
    "window_size": 4,
    "intermediate_size": 16,
}


def save(folder: Path, kind: str) -> Path:
    torch = pytest.importorskip("torch")
    t = pytest.importorskip("transformers")
    square: dict[str, Any] = {"size": {"height": 32, "width": 32}}
    models: dict[str, Callable[[], tuple[Any, Any]]] = {
        "vit": lambda: (t.ViTConfig(**SEEN), t.ViTImageProcessorPil(**square)),
        "dinov2": lambda: (t.Dinov2Config(**SEEN), t.BitImageProcessorPil(**square, do_center_crop=False)),
        "clip": lambda: (
            t.CLIPConfig(text_config={**READ, "eos_token_id": 3}, vision_config=SEEN, projection_dim=12),
            t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32),
        ),
        "siglip": lambda: (
            t.SiglipConfig(text_config={**READ, "projection_size": 16}, vision_config=SEEN),
            t.SiglipImageProcessorPil(**square),
        ),
        "wav2vec2": lambda: (t.Wav2Vec2Config(**SIZES, **CONVOLUTIONS, **POSITIONS), t.Wav2Vec2FeatureExtractor()),
        "whisper": lambda: (
            t.WhisperConfig(**WHISPER),
            t.WhisperFeatureExtractor(feature_size=8, chunk_length=1, hop_length=160),
        ),
        "clap": lambda: (
            t.ClapConfig(text_config={**READ, "pad_token_id": 0}, audio_config=HEARD, projection_dim=12),
            t.ClapFeatureExtractor(feature_size=16, max_length_s=1, sampling_rate=48_000, truncation="rand_trunc"),
        ),
    }
    config, preparation = models[kind]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        t.AutoModel.from_config(config).save_pretrained(folder)
    preparation.save_pretrained(folder)
    if kind in ("clip", "siglip", "clap"):
        save_tokenizer(folder, WORDS, bert=True)
    return folder


@pytest.fixture(scope="session")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = save(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return get


def picture(seed: int, width: int = 40, height: int = 30) -> bytes:
    image: Any = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def sound(hertz: float, seconds: float = 1.5, rate: int = 16_000) -> bytes:
    soundfile: Any = pytest.importorskip("soundfile")
    buffer = io.BytesIO()
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    soundfile.write(buffer, wave, rate, format="WAV")
    return buffer.getvalue()


IMAGE_MODELS = [("vit", 16), ("dinov2", 16), ("clip", 12), ("siglip", 16)]
AUDIO_MODELS = [("wav2vec2", 16), ("whisper", 16), ("clap", 12)]


@pytest.mark.parametrize(("kind", "dim"), IMAGE_MODELS)
def test_images(tower: Callable[[str], Path], kind: str, dim: int) -> None:
    encoder = load_encoder(str(tower(kind)))
    assert (encoder.modality, encoder.dim) == ("image", dim)
    files = [picture(0), b"", picture(1, 2000, 20), picture(2)]
    vectors = encoder.encode(files)
    assert np.isnan(vectors[1]).all()
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 2, 3]], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode([files[3]])[0], vectors[3], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[3], atol=1e-4)


@pytest.mark.parametrize(("kind", "dim"), AUDIO_MODELS)
def test_sounds(tower: Callable[[str], Path], kind: str, dim: int) -> None:
    encoder = load_encoder(str(tower(kind)))
    assert (encoder.modality, encoder.dim) == ("audio", dim)
    files = [sound(220), b"", sound(0), sound(3000, 0.1), sound(880, 2.6)]
    vectors = encoder.encode(files)
    assert np.isnan(vectors[[1, 2]]).all(), "nothing and silence are no sound"
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 3, 4]], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode([files[4]])[0], vectors[4])
    assert not np.allclose(vectors[0], vectors[4], atol=1e-4)


@pytest.mark.parametrize("kind", ["clip", "siglip", "clap"])
def test_words_meet_images_and_sounds(tower: Callable[[str], Path], kind: str) -> None:
    words, other = load_encoder(str(tower(kind)), "text"), load_encoder(str(tower(kind)))
    assert (words.modality, words.dim) == ("text", other.dim)
    assert words.revision != other.revision, "the cache must tell the two sides apart"
    vectors = words.encode(["the film of love", "", "war"])
    assert not vectors[1].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 2]], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(words.encode(["war"])[0], vectors[2], atol=1e-5)


def test_the_vectors_are_those_of_the_library(tower: Callable[[str], Path]) -> None:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel

    model, prepare = AutoModel.from_pretrained(tower("clip")), AutoImageProcessor.from_pretrained(tower("clip"))
    file = picture(5)
    with torch.inference_mode():
        output = model.get_image_features(**prepare(Image.open(io.BytesIO(file)), return_tensors="pt"))
    expected = (output if isinstance(output, torch.Tensor) else output.pooler_output)[0].numpy()
    found = load_encoder(str(tower("clip"))).encode([file])[0]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_model_is_not_taken_for_what_it_cannot(tower: Callable[[str], Path], tiny: Callable[[str], Path]) -> None:
    with pytest.raises(OptionError, match=r"does not take text\. Give it for image\.$"):
        load_encoder(str(tower("vit")), "text")
    with pytest.raises(OptionError, match=r"does not take audio\. Give it for image\.$"):
        load_encoder(str(tower("clip")), "audio")
    with pytest.raises(OptionError, match=r"takes text, not image\. Give one that takes image"):
        load_encoder(str(tiny("bert")), "image")
    assert modality_of(tiny("bert")) == "text"


def test_a_folder_that_wants_code_is_refused(tower: Callable[[str], Path], tmp_path: Path) -> None:
    folder = save(tmp_path / "vit", "vit")
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**config, "auto_map": {"AutoImageProcessor": "x.Y"}}))
    with pytest.raises(ModelFolderError, match="wants code of its own to be run"):
        load_encoder(str(folder))


def test_weights_with_gaps_are_refused(tower: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = save(tmp_path / "vit", "vit")
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(name for name in sorted(weights) if "layer" in name))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"lack 1 tensors"):
        Tower(folder)


def test_a_text_is_no_image(tower: Callable[[str], Path]) -> None:
    with pytest.raises(DataError, match=r"^image 0 is of type str\. Give the file's bytes; for none, b''\.$"):
        load_encoder(str(tower("vit"))).encode(["a film"])
