"""Contents encoded by tasks: in a process, or on a machine, that has none of our objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.encoders.cache import Cached
from palate.encoders.protocol import Encoder, Modality
from palate.encoders.registry import load_encoder
from palate.errors import OptionError
from palate.runners import Handle, Runner

_LOADED = local()  # encoders of a thread: not every one may be called by two at a time


def keep_by_tasks(
    cached: Cached,
    contents: Sequence[Any],
    name: str,
    *,
    runner: Runner,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Keep the vectors of the contents, encoded by the encoder of a name; how many were encoded anew."""

    def submit(some: list[Any]) -> Handle:
        handle: Handle = runner.submit(encode_chunk, name, cached.modality, cached.revision, some)
        return handle

    return cached.keep(contents, submit, runner=runner, progress=progress)


def encode_chunk(name: str, modality: Modality, revision: str, contents: list[Any]) -> NDArray[np.float32]:
    """The vectors of the contents, (N, dim).

    Args:
        name: Of the encoder, which is loaded once a thread.
        revision: That it is to have.
    Raises:
        OptionError: If it has another revision here.
    """
    if not hasattr(_LOADED, "encoders"):
        _LOADED.encoders = {}
    loaded: dict[tuple[str, str, str], Encoder] = _LOADED.encoders
    key = name, modality, revision
    if key not in loaded:
        loaded[key] = load_encoder(name, None if modality == "text" else modality, revision=revision)
    found = loaded[key].revision
    if found != revision:
        raise OptionError(
            f"the encoder {name!r} is {found} where a task runs, {revision} here. Install the same on all."
        )
    return np.asarray(loaded[key].encode(contents), dtype=np.float32)
