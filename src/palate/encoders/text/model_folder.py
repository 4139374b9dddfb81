"""A Hugging Face model folder is looked at before any library reads it: it may come from anywhere.

Only JSON, text and safetensors are read from a folder, and no code that it brings or names is run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from palate.encoders.checksum import sha256_of
from palate.errors import ModelFolderError, OptionError

MODULES = frozenset({"Transformer", "Pooling", "Normalize", "Dense"})
"""The parts of a sentence-transformers model that are loaded: those of text encoders."""

READ = (".json", ".txt", ".model", ".jinja", ".safetensors")
"""Endings of the files that are read from a folder."""

CODE = ".py"
"""What is read besides where code of its own may run."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")


def check_model_folder(folder: Path, *, trusted: bool = False) -> None:
    """Make sure that a folder can be loaded without running anything from it.

    Args:
        trusted: Whether code of its own may run: a person has said so. Weights are safetensors all the same.
    Raises:
        OptionError: If there is no such folder.
        ModelFolderError: If it is no model folder, its weights are not safetensors, its JSON cannot be read, or it
            wants code to be run.
    """
    if not folder.is_dir():
        raise OptionError(f"the encoder's folder {folder} does not exist. Give the folder that holds its config.json.")
    parts = module_folders(folder, trusted=trusted)
    if not any((part / "config.json").is_file() for part in parts):
        raise ModelFolderError(
            f"{folder} is no model folder: it has no config.json. Give a Hugging Face model's folder."
        )
    for part in parts:
        for path in sorted(part.glob("*config*.json")):
            value = _read_json(path)
            if not trusted:
                _check_no_code(path, value)
        _check_no_pickle(part)
    if not any(_has_safetensors(part) for part in parts):
        raise ModelFolderError(f"{folder} has no weights. Give a folder with model.safetensors.")


def module_folders(folder: Path, *, trusted: bool = False) -> list[Path]:
    """The folder, and for a sentence-transformers model those of its modules.

    Raises:
        ModelFolderError: If modules.json cannot be read, leads out of the folder, or names a module that is not loaded
            (unless the folder is trusted).
    """
    path = folder / "modules.json"
    if not path.is_file():
        return [folder]
    modules = _read_json(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelFolderError(f"{path} is not a list of modules. Save the model again with sentence-transformers.")
    return list(dict.fromkeys([folder, *(_module_folder(folder, module, trusted) for module in modules)]))


def fingerprint(folder: Path, *, trusted: bool = False) -> str:
    """The first 12 digits of a SHA-256 over the files that an encoder reads."""
    total = hashlib.sha256()
    endings = (*READ, CODE) if trusted else READ
    for part in module_folders(folder, trusted=trusted):
        for path in sorted(part.glob("*")):  # a module without files has no folder
            if path.suffix in endings and path.is_file():
                total.update(f"{path.relative_to(folder).as_posix()}\x00{sha256_of(path)}\x00".encode())
    return total.hexdigest()[:12]


def _module_folder(folder: Path, module: dict[str, Any], trusted: bool) -> Path:
    kind, where = str(module.get("type")), PurePosixPath(str(module.get("path", "")))
    package, _, name = kind.rpartition(".")
    known = package.partition(".")[0] == "sentence_transformers" and name in MODULES
    if not (known or trusted):
        raise ModelFolderError(
            f"{folder / 'modules.json'} wants the module {kind!r}. Palate loads {', '.join(sorted(MODULES))} "
            "of sentence_transformers and runs no other code: give a model made of these."
        )
    if where.is_absolute() or ".." in where.parts or "\\" in str(where):
        raise ModelFolderError(
            f"{folder / 'modules.json'} leads out of the folder, to {str(where)!r}. Use another model."
        )
    return folder / where


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path} cannot be read as JSON ({error}). Get the model again.") from error


def _check_no_code(path: Path, value: Any) -> None:
    """Refuse the entries by which a configuration makes a library import or fetch code."""
    if isinstance(value, dict):
        kernel = "/" in str(value.get("attn_implementation", ""))  # the hub's name of a compiled kernel
        if value.get("auto_map") or value.get("trust_remote_code") or kernel:
            raise ModelFolderError(
                f"{path} wants code of its own to be run (auto_map, trust_remote_code or a kernel). "
                "Palate runs no code from a model unless it is trusted by name (trust_remote_code=True, "
                "palate fit --trust-remote-code NAME): use one of an architecture that transformers has."
            )
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            _check_no_code(path, inner)


def _check_no_pickle(part: Path) -> None:
    pickles = sorted(path.name for path in part.glob("*") if path.suffix in _PICKLES)
    if pickles and not _has_safetensors(part):
        raise ModelFolderError(
            f"{part} has its weights as {pickles[0]}, a format that can run code. "
            "Palate reads safetensors only: get or convert the model as model.safetensors."
        )


def _has_safetensors(part: Path) -> bool:
    return next(part.glob("*.safetensors"), None) is not None
