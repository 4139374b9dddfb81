"""Models from the Hugging Face hub, as folders: only the files that are read, nothing that could run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from palate.encoders.text.model_folder import CODE, READ
from palate.errors import FetchError


def fetch_model(name: str, revision: str | None, *, trusted: bool = False) -> Path:
    """The folder of a model of the hub, fetched on first use and kept in the hub's own cache.

    Args:
        name: ``organisation/name``.
        revision: A branch, a tag or a commit; ``None`` for the main branch.
        trusted: Whether to fetch its Python too.
    Returns:
        A folder named after the commit.
    Raises:
        FetchError: If the model, the revision or the hub cannot be reached, and the model is not in the cache.
    """
    hub: Any = importlib.import_module("huggingface_hub")
    errors: Any = importlib.import_module("huggingface_hub.errors")
    try:
        patterns = [f"*{ending}" for ending in ((*READ, CODE) if trusted else READ)]
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError, errors.HTTPError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise FetchError(
            f"the encoder {name!r}{at} could not be fetched from the hub ({_reason(error)}). {_REMEDY}"
        ) from error


_REMEDY = (
    "Check the name and the network, or give the folder of a copy; the encoders 'default' and 'minilm' need no network."
)
_MEANINGS = {
    "GatedRepoError": "access has to be granted",
    "RepositoryNotFoundError": "no such model, or a private one",
    "RevisionNotFoundError": "no such revision",
    "LocalEntryNotFoundError": "the hub cannot be reached, and no copy is in the cache",
    "IncompleteSnapshotError": "the hub cannot be reached, and the copy in the cache is not complete",
}


def _reason(error: BaseException) -> str:
    kind = type(error).__name__
    return (
        _MEANINGS.get(kind)
        or f"{kind}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
    )
