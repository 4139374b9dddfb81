"""How models of the library transformers are loaded from a folder that may come from anywhere."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palate.errors import MissingExtra, ModelFolderError, PalateError

SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""What every ``from_pretrained`` is given."""


def require(library: str, extra: str, name: str) -> Any:
    """An optional library.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise MissingExtra(library, extra, f"the encoder {name!r}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's progress bars and reports, which would mix with Palate's own output."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def named_failure(folder: Path, doing: str) -> Iterator[None]:
    """Whatever a library raises becomes an error that names the folder."""
    try:
        yield
    except PalateError:
        raise
    except Exception as error:  # a folder from anywhere can make the library fail in any way
        reason = " ".join(str(error).split())[:200]
        raise ModelFolderError(
            f"the model in {folder} cannot be {doing} ({type(error).__name__}: {reason}). "
            "Get the model again, or use another encoder."
        ) from error


def check_complete(folder: Path, missing: Sequence[str]) -> None:
    """Refuse weights with gaps, which the library would fill with random numbers; a pooler's head is not used."""
    gaps = sorted(key for key in missing if not key.startswith("pooler."))
    if gaps:
        raise ModelFolderError(
            f"the weights in {folder} lack {len(gaps)} tensors, first {gaps[0]!r}. Get the model again."
        )
