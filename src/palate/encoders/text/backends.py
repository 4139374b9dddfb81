"""Which way to run a text model is chosen by measurement, once a machine, and kept in the cache."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from palate.encoders.cache import default_folder
from palate.encoders.checksum import sha256_of
from palate.encoders.text import onnx
from palate.encoders.text.transformer import Loaded, Tokens, TorchBackend, Way, has_cards
from palate.encoders.text.windows import Tokenize, Window, Windows, by_tokens, pad, tokenize_fast, tokenize_with
from palate.errors import ModelFolderError, OptionError

Backend = Literal["torch", "torch-half", "onnx", "onnx-int8"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

VERSION = 3
"""Of all that is ours between a text and its vector."""

COSINE = 0.99
"""What a backend's vectors must have with those of PyTorch in float32, each of the sample's, to be chosen."""

_FACTS = "facts.json"
_TOKENIZER = "tokenizer.json"
_SAMPLE = (
    "An old detective is called back for one last case, and finds that the murderer knows his past.",
    "why did the chicken cross the road",
    "Shares fell by 3.5 % after the bank's report; analysts had expected 1.2 %.",
    "一位年轻的厨师在北京开了一家小餐馆。",
    "Un film sur l'amour, la guerre et la mémoire.",
    "😀 so good!!!",
    "The quick brown fox jumps over the lazy dog. " * 6,
    "A family moves to a farm in the north. The children find a door in the cellar that leads to another century, and "
    "must choose where they belong before the first snow closes it for good. " * 3,
)


class Forward(Protocol):
    """Runs a model on batches of padded tokens."""

    def __call__(self, ids: Tokens, mask: Tokens, /) -> NDArray[np.float32]: ...

    def map(self, batches: Iterable[tuple[Tokens, Tokens]], /) -> Iterator[NDArray[np.float32]]: ...


class Ready(NamedTuple):
    """A model that can be run."""

    forward: Forward
    tokenize: Tokenize
    backend: Backend
    max_tokens: int
    pad_id: int | None
    dim: int
    way: Way


class Store:
    """Where graphs of a model and the choice between them are kept: derived data, made again where it is missing.

    Args:
        key: Of the model: its weights and how they are pooled.
    """

    def __init__(self, key: str) -> None:
        self.folder = default_folder().parent / "models" / f"text-{key}-{VERSION}-{onnx.VERSION}-{_machine()}"

    def facts(self) -> dict[str, Any] | None:
        """What was found out, if it is whole."""
        with suppress(OSError, ValueError):
            found = json.loads((self.folder / _FACTS).read_text(encoding="utf-8"))
            if isinstance(found, dict) and found.get("chosen") in BACKENDS:
                return found
        return None

    def ready(self, backend: Backend) -> Ready | None:
        """A backend from its kept graph, without PyTorch; ``None`` where there is none or it is not what was kept."""
        facts = self.facts()
        names = (_TOKENIZER, f"{backend}.onnx")
        if facts is None or not all(name in facts["files"] for name in names):
            return None
        for name in names:
            path = self.folder / name
            if not path.is_file() or sha256_of(path) != facts["files"][name]:
                return None
        tokenizers: Any = importlib.import_module("tokenizers")
        tokenize = tokenize_fast(tokenizers.Tokenizer.from_file(str(self.folder / _TOKENIZER)))
        forward = onnx.OnnxBackend(self.folder / f"{backend}.onnx")
        return Ready(forward, tokenize, backend, facts["max_tokens"], facts["pad_id"], facts["dim"], facts["way"])

    def measure(self, loaded: Loaded) -> Backend:
        """Try what there is on the sample, keep what was made and found, and give the fastest that is true enough.

        Raises:
            OptionError: If the cache cannot be written.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=".part-"))
            try:
                facts = _measured(loaded, part)
                (part / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
                shutil.rmtree(self.folder, ignore_errors=True)
                with suppress(FileExistsError, OSError):  # another process was first
                    part.rename(self.folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        except OSError as error:
            raise OptionError(
                f"the folder {self.folder.parent} cannot keep the encoder's graphs ({error.strerror}). "
                "Set PALATE_CACHE to a folder that can be written and has room."
            ) from error
        chosen: Backend = facts["chosen"]
        return chosen


def in_torch(loaded: Loaded, *, half: bool = False) -> Ready:
    """The model as it was loaded."""
    backend: Backend = "torch-half" if half else "torch"
    forward, tokenize = TorchBackend(loaded.module, half=half), tokenize_with(loaded.tokenizer)
    pad_id = loaded.tokenizer.pad_token_id
    return Ready(forward, tokenize, backend, loaded.max_tokens, pad_id, loaded.dim, loaded.way)


def backend_of(revision: str) -> Backend | None:
    """The backend that a revision names, if it names one."""
    found = [backend for backend in BACKENDS if f"-{backend}-{VERSION}" in revision]
    return max(found, key=lambda backend: len(backend), default=None)


def _measured(loaded: Loaded, folder: Path) -> dict[str, Any]:
    """Graphs in a folder, and what was found out of each backend."""
    plain = in_torch(loaded)
    found: dict[str, dict[str, Any]] = {}
    expected, found["torch"] = _try(plain, None)
    for backend in _candidates(loaded):
        try:
            forward = _made(backend, loaded, folder)
            _, found[backend] = _try(plain._replace(forward=forward), expected)
        except Exception as error:  # noqa: BLE001 - an exporter can fail in any way, and then the model runs as it is
            found[backend] = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    good = [backend for backend, row in found.items() if row.get("cosine", 0.0) >= COSINE]
    chosen = max(good, key=lambda backend: found[backend]["texts_per_second"])
    for path in folder.glob("*.onnx"):
        if path.stem not in good:
            path.unlink()
    if loaded.tokenizer.is_fast:
        (folder / _TOKENIZER).write_text(loaded.tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    return {
        "chosen": chosen,
        "measured": found,
        "dim": loaded.dim,
        "max_tokens": loaded.max_tokens,
        "pad_id": plain.pad_id,
        "way": loaded.way,
        "files": files,
    }


def _candidates(loaded: Loaded) -> list[Backend]:
    if has_cards():
        return ["torch-half"]
    libraries = all(importlib.util.find_spec(library) for library in ("onnx", "onnxruntime"))
    return ["onnx", "onnx-int8"] if libraries and loaded.tokenizer.is_fast else []


def _made(backend: Backend, loaded: Loaded, folder: Path) -> Forward:
    if backend == "torch-half":
        return TorchBackend(loaded.module, half=True)
    path = folder / f"{backend}.onnx"
    if backend == "onnx":
        onnx.export(loaded.module, path)
    else:
        windows = by_tokens(_windows(in_torch(loaded)))
        sample = (pad([window.ids for window in batch], loaded.tokenizer.pad_token_id) for batch in windows)
        onnx.quantise(folder / "onnx.onnx", path, sample)
    return onnx.OnnxBackend(path)


def _try(ready: Ready, expected: NDArray[np.float32] | None) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The vectors of the sample, the rate (the better of two runs), and the least cosine to what is expected."""
    windows = _windows(ready)
    rates: list[float] = []
    for _ in range(3):  # the first warms up
        started = time.perf_counter()
        vectors = run(ready, windows)
        rates.append(len(_SAMPLE) / (time.perf_counter() - started))
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit = vectors / lengths
    cosine = 1.0 if expected is None else float((unit * expected).sum(axis=1).min())
    if not np.isfinite(unit).all():
        if expected is None:
            raise ModelFolderError("the encoder gives values that are not finite. Its weights are damaged: use others.")
        cosine = 0.0
    return unit, {"texts_per_second": round(max(rates[1:]), 1), "cosine": round(cosine, 5)}


def _windows(ready: Ready) -> list[Window]:
    return Windows(ready.tokenize, ready.max_tokens, "").of(_SAMPLE)


def run(ready: Ready, windows: list[Window]) -> NDArray[np.float32]:
    """The vectors of windows, (W, E), in their order."""
    vectors = np.zeros((len(windows), ready.dim), dtype=np.float32)
    place = {id(window): row for row, window in enumerate(windows)}
    batches = list(by_tokens(windows))
    padded = (pad([window.ids for window in batch], ready.pad_id) for batch in batches)
    for batch, found in zip(batches, ready.forward.map(padded), strict=True):
        vectors[[place[id(window)] for window in batch]] = found
    return vectors


def _machine() -> str:
    """Of the processor: another one may be faster with another backend, or round otherwise."""
    facts = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        facts += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(facts.encode()).hexdigest()[:8]
