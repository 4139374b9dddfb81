"""The words that some models want before a text, to know whether it asks or answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from palate.errors import ModelFolderError

CONFIG = "config_sentence_transformers.json"

_DOCUMENT_NAMES = ("document", "passage", "corpus")
_BGE_QUERY = {
    "en": "Represent this sentence for searching relevant passages: ",
    "zh": "为这个句子生成表示以用于检索相关文章：",
}


class Prompts(NamedTuple):
    """What goes before a text.

    Attributes:
        document: Before one that is found, such as an item's.
        query: Before one that finds, such as a concept's words.
    """

    document: str = ""
    query: str = ""


def prompts_of(folder: Path, name: str) -> Prompts:
    """What a model's folder says, or what its family wants by its authors' instructions.

    Families: E5 (Wang et al., "Text Embeddings by Weakly-Supervised Contrastive Pre-training", 2022, arXiv:2212.03533)
    and BGE (Xiao et al., "C-Pack: Packed Resources For General Chinese Embeddings", SIGIR 2024).

    Args:
        folder: A checked model folder.
        name: Of the model, as on the hub.
    Raises:
        ModelFolderError: If the prompts that the folder gives are no texts.
    """
    given = _given(folder)
    if any(given.values()):
        default = given.get("", "")
        document = next((given[key] for key in _DOCUMENT_NAMES if key in given), default)
        return Prompts(document, given.get("query", default))
    return _of_family(name.partition("@")[0].rpartition("/")[2].lower())


def _given(folder: Path) -> dict[str, str]:
    """Prompts by name; the default one by the empty name."""
    path = folder / CONFIG
    if not path.is_file():
        return {}
    config: Any = json.loads(path.read_text(encoding="utf-8"))  # whose form was checked with the folder
    prompts = config.get("prompts") or {} if isinstance(config, dict) else None
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise ModelFolderError(f"the prompts in {path} are no texts by name. Get the model again.")
    default = prompts.get(config.get("default_prompt_name"))
    return prompts if default is None else {**prompts, "": default}


def _of_family(name: str) -> Prompts:
    words = set(re.split(r"[^a-z0-9]+", name))
    if "e5" in words and "instruct" not in words:
        return Prompts("passage: ", "query: ")
    if "bge" in words and "m3" not in words:
        return Prompts("", next((prompt for language, prompt in _BGE_QUERY.items() if language in words), ""))
    return Prompts()
