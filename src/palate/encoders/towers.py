"""Any Hugging Face model of images or sounds as an encoder, and the text side of those that have one (extra ``hf``).

CLIP, SigLIP, ViT, DINOv2 and their like; CLAP, Wav2Vec2, Whisper's encoder and their like. Of a model with two towers
the vectors are those that were trained to meet, so that words find images (Radford et al., "Learning Transferable
Visual Models From Natural Language Supervision", ICML 2021).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors
from palate.encoders.audio.encoder import check_audio_libraries
from palate.encoders.media.decode_child import SILENCE
from palate.encoders.media.decoding import Decoder, MediaLimits
from palate.encoders.media.media import encode_files
from palate.encoders.protocol import Modality
from palate.encoders.text.loading import SAFE, check_complete, named_failure, quiet, require
from palate.encoders.text.model_folder import check_model_folder, fingerprint
from palate.encoders.text.texts import MAX_CHARACTERS, encode_by_length
from palate.errors import OptionError

BATCH = 16
"""Images or sounds that a model sees together, or are held decoded."""

SIDE = 1_024
"""Pixels of an image's longer side; a larger image is brought down to it before the model's own preparation."""

WINDOW_SECONDS = 10
"""Of a sound that a model sees at once, where it does not say how long."""

VERSION = 1
"""Of all that is ours between a file and its vector."""


def modality_of(folder: Path) -> Modality:
    """What the model in a folder takes by the kind in its config.json; of two towers the one that is not text.

    Raises:
        MissingExtra: If transformers is not installed.
        ModelFolderError: If the folder is not one that can be loaded without running code from it.
    """
    check_model_folder(folder)
    if not (folder / "config.json").is_file():
        return "text"  # a sentence-transformers folder may keep it further down
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    require("transformers", "hf", str(folder))
    names: Any = importlib.import_module("transformers.models.auto.modeling_auto")
    of_image = {
        *names.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        *names.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        *_IMAGE_TOWERS,
    }
    of_audio = {
        *names.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
        *names.MODEL_FOR_CTC_MAPPING_NAMES,
        *_AUDIO_TOWERS,
    }
    if kind in of_image:
        return "image"
    return "audio" if kind in of_audio else "text"


_IMAGE_TOWERS = ("clip_vision_model", "siglip_vision_model", "siglip2_vision_model")
_AUDIO_TOWERS = ("clap", "clap_audio_model", "whisper")


class Tower:
    """A model folder as an :class:`palate.encoders.protocol.Encoder` of images, sounds, or the words beside them.

    Args:
        folder: Where config.json lies.
        modality: What to take; ``text`` only of a model with two towers. ``None``: :func:`modality_of`.
        name: How to find it again. ``None``: the folder.
        revision: What its weights are. ``None``: a digest of the folder's files.
        limits: What one file may cost.
    Raises:
        MissingExtra: If a library is not installed.
        OptionError: If there is no such folder, or the model does not take that.
        ModelFolderError: If the model cannot be loaded without running code from it, or not at all.
    """

    def __init__(
        self,
        folder: Path,
        modality: Modality | None = None,
        *,
        name: str | None = None,
        revision: str | None = None,
        limits: MediaLimits | None = None,
    ) -> None:
        self.folder = folder
        self.name = str(folder.resolve()) if name is None else name
        found = modality_of(folder)
        self.modality: Modality = modality or found
        self._limits = limits or MediaLimits()
        _require_libraries(self.modality, self.name)
        with quiet(), named_failure(folder, "loaded"):
            self._model = _load(folder)
            self._check_takes(found)
            self._prepare = _preparation(folder, self.modality)
            self.dim = int(self._try_out().shape[1])
        seconds = self._limits.sound_seconds if self.modality == "audio" else MAX_CHARACTERS
        self.revision = f"{revision or fingerprint(folder)}-{self.modality}-{VERSION}-{seconds}"

    def encode(self, contents: Sequence[Any], /) -> Vectors:
        """Vectors of length one, shape (N, dim); NaN for ``b""`` and silence, zeros for a text without content.

        Raises:
            DataError: If one is not bytes (of text: no text).
            CorruptMedia: If some cannot be decoded.
            ModelFolderError: If the model fails on a content or gives values that are not finite.
        """
        with quiet(), named_failure(self.folder, "used"):
            if self.modality == "text":
                return encode_by_length(contents, self.dim, self._texts)
            return encode_files(contents, self.dim, self._decoder, BATCH, self._encode_batch)

    @property
    def _encode_batch(self) -> Callable[[list[Any]], Vectors]:
        return self._images if self.modality == "image" else self._sounds

    @cached_property
    def _decoder(self) -> Decoder:
        if self.modality == "audio":
            return Decoder("audio", int(self._prepare.sampling_rate), limits=self._limits)
        return Decoder("image", SIDE, limits=self._limits)

    def _check_takes(self, found: Modality) -> None:
        fits = hasattr(self._model, "get_text_features") if self.modality == "text" else self.modality == found
        if not fits:
            raise OptionError(f"the model in {self.folder} does not take {self.modality}. Give it for {found}.")

    def _try_out(self) -> Vectors:
        """A vector of something, for its length."""
        if self.modality == "text":
            return self._texts(["a"])
        if self.modality == "image":
            return self._images([np.zeros((32, 32, 3), dtype=np.uint8)])
        return self._sounds([np.sin(np.arange(self._prepare.sampling_rate, dtype=np.float32))])

    def _images(self, images: list[NDArray[np.uint8]]) -> Vectors:
        inputs = self._prepare(images=images, return_tensors="pt", input_data_format="channels_last")
        return self._run(getattr(self._model, "get_image_features", self._model), **inputs)

    def _texts(self, texts: list[str]) -> Vectors:
        fixed = self._model.config.model_type.startswith("siglip")  # which was trained on texts filled up to 64 tokens
        limit = getattr(self._model.config.text_config, "max_position_embeddings", None)
        padding = "max_length" if fixed else True
        inputs = self._prepare(texts, padding=padding, truncation=True, max_length=limit, return_tensors="pt")
        wanted = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
        return self._run(self._model.get_text_features, **wanted)

    def _sounds(self, waves: list[Vectors]) -> Vectors:
        vectors = np.full((len(waves), getattr(self, "dim", 0)), np.nan, dtype=np.float32)
        for row, wave in enumerate(waves):
            if np.abs(wave).max() > SILENCE:
                vector = self._sound(wave)
                vectors = vectors if vectors.shape[1] else np.full((len(waves), len(vector)), np.nan, np.float32)
                vectors[row] = vector
        return vectors

    def _sound(self, wave: Vectors) -> Vectors:
        """The mean over windows of a sound by their length; a rest of under a second is not heard."""
        rate = int(self._prepare.sampling_rate)
        length = int(rate * _window_seconds(self._prepare))
        whole = wave if len(wave) >= rate else np.resize(wave, rate)
        windows = [whole[start : start + length] for start in range(0, len(whole), length)]
        windows = [window for window in windows if len(window) >= rate]
        vectors = [self._window(window) for window in windows]
        weights = np.array([len(window) for window in windows], dtype=np.float32)
        return np.asarray((weights / weights.sum()) @ np.stack(vectors), dtype=np.float32)

    def _window(self, window: Vectors) -> Vectors:
        inputs = self._prepare(window, sampling_rate=self._prepare.sampling_rate, return_tensors="pt")
        wanted = {name: inputs[name] for name in ("input_values", "input_features", "is_longer") if name in inputs}
        forward = self._model.get_encoder() if self._model.config.is_encoder_decoder else self._model
        vectors = self._run(getattr(self._model, "get_audio_features", forward), **wanted)
        first: Vectors = vectors[0]
        return first

    def _run(self, forward: Callable[..., Any], **inputs: Any) -> Vectors:
        torch: Any = importlib.import_module("torch")
        with torch.inference_mode():
            output = forward(**{name: value.to(self._model.device) for name, value in inputs.items()})
            vectors = output if isinstance(output, torch.Tensor) else _pooled(self._model, output)
        found: Vectors = vectors.float().cpu().numpy()
        return found


def _pooled(model: Any, output: Any) -> Any:
    """One vector a row: (N, E).

    The pooled output, unless a layer makes it that only a classifier of something else has use for; of tokens then the
    first where it stands for the whole, as in ViT and DINOv2, else their mean.
    """
    pooler = getattr(model, "pooler", None)
    of_a_task = pooler is not None and next(pooler.parameters(), None) is not None
    if not of_a_task and getattr(output, "pooler_output", None) is not None:
        return output.pooler_output.flatten(1)
    states = output.last_hidden_state
    if states.dim() == 4:  # (N, E, height, width)
        return states.mean((2, 3))
    has_class = any(name.endswith("cls_token") for name, _ in model.named_parameters())
    return states[:, 0] if has_class else states.mean(1)


def _load(folder: Path) -> Any:
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    model, found = transformers.AutoModel.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **SAFE
    )
    check_complete(folder, found["missing_keys"])
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _preparation(folder: Path, modality: Modality) -> Any:
    """What the folder says on how a content becomes numbers."""
    transformers: Any = importlib.import_module("transformers")
    kinds = {"text": "AutoTokenizer", "image": "AutoImageProcessor", "audio": "AutoFeatureExtractor"}
    return getattr(transformers, kinds[modality]).from_pretrained(folder, **SAFE)


def _window_seconds(extractor: Any) -> float:
    """Of Whisper and CLAP the length that they fill up to; others take any."""
    for name in ("chunk_length", "max_length_s"):
        if getattr(extractor, name, None):
            return float(getattr(extractor, name))
    return WINDOW_SECONDS


def _require_libraries(modality: Modality, name: str) -> None:
    for library in ("torch", "transformers"):
        require(library, "hf", name)
    if modality == "image":
        require("PIL", "image", name)
    if modality == "audio":
        check_audio_libraries(name)
