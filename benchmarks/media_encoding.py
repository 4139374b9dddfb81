"""Images and clips a second on one core, whole and without decoding, beside torch for the same weights; and what the
vectors are worth: a linear probe of the categories of emoji, clothes and music.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import folder_of, main
from benchmarks._torch_media import efficientnet_lite0, musicnn
from palate.encoders.audio import encoder as audio
from palate.encoders.audio.encoder import MusicnnEncoder
from palate.encoders.audio.musicnn import patches
from palate.encoders.image import encoder as image
from palate.encoders.image.encoder import EfficientNetLite0
from palate.encoders.media.decoding import Decoder
from palate.encoders.protocol import Encoder

FOLDS = 5
REPEATS = 3  # of a timing, of which the fastest counts: the machine may be shared
BATCH = 16


def run(seeds: int) -> dict[str, Any]:
    """On the one core that this process is pinned to, children and libraries included."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)
    return {"rows": [_images(seeds), _clips(seeds)], "probes": [*_image_probes(seeds), _genre_probe(seeds)]}


def _images(seeds: int) -> dict[str, Any]:
    encoder = EfficientNetLite0()
    files = _posters()
    pixels = np.random.default_rng(0).integers(0, 255, (BATCH, 224, 224, 3), dtype=np.uint8)
    torch_network, torch_pixels = efficientnet_lite0(image._weights()), _tensor(pixels)
    gap = np.abs(encoder._features(list(pixels)) - torch_network(torch_pixels).numpy()).max()
    return {
        "encoder": encoder.name,
        "files": f"{len(files)} film posters of 96 x 141, JPEG",
        **_rates(encoder, encoder._decoder, files, _photographs(seeds)),
        "network_a_second": BATCH / _seconds(lambda: encoder._features(list(pixels))),
        "torch_network_a_second": BATCH / _seconds(lambda: torch_network(torch_pixels)),
        "largest_difference_to_torch": float(gap),
    }


def _clips(seeds: int) -> dict[str, Any]:
    encoder, network = MusicnnEncoder(), audio._network()
    items = pl.read_parquet(folder_of("emotify") / "items.parquet")
    files = [(folder_of("emotify") / path).read_bytes() for path in items["audio"][:24]]
    wave: Any = encoder._decoder.decode(files[:1])[0]
    heard = patches(wave)
    torch_network, torch_heard = musicnn(network._weights), _tensor(heard)
    expected = torch_network(torch_heard).numpy()
    return {
        "encoder": encoder.name,
        "files": f"{len(files)} clips of 10 s, 16 kHz, Ogg",
        **_rates(encoder, encoder._decoder, files, []),
        "network_a_second": 1 / _seconds(lambda: network.features(heard)),
        "spectrogram_a_second": 1 / _seconds(lambda: patches(wave)),
        "torch_network_a_second": 1 / _seconds(lambda: torch_network(torch_heard)),
        "largest_difference_to_torch": float(np.abs(network.features(heard) - expected).max()),
    }


def _rates(encoder: Encoder, decoder: Decoder, files: list[bytes], large: list[bytes]) -> dict[str, float]:
    encoder.encode(files[:2])  # starts the child
    rates = {
        "encoded_a_second": len(files) / _seconds(lambda: encoder.encode(files)),
        "decoded_a_second": len(files) / _seconds(lambda: decoder.decode(files)),
    }
    if large:
        rates["decoded_of_12_megapixels_a_second"] = len(large) / _seconds(lambda: decoder.decode(large))
    return rates


def _posters() -> list[bytes]:
    return pl.read_parquet(folder_of("movie-posters") / "posters.parquet")["poster_jpeg"][:96].to_list()


def _photographs(seed: int) -> list[bytes]:
    """As a telephone makes them: 12 megapixels of smooth noise."""
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((4_000, 3_000)).save(buffer, "JPEG", quality=90)
    return [buffer.getvalue()] * 8


def _image_probes(seeds: int) -> list[dict[str, Any]]:
    encoder = EfficientNetLite0()
    rows = []
    for name, label, count in (("fashion-mnist-cut", "label", 500), ("emoji-images", "category", 500)):
        items = pl.read_parquet(folder_of(name) / "items.parquet").sample(count, seed=0)
        items = items.filter(pl.len().over(label) >= FOLDS)
        vectors = encoder.encode(items["image_png"].to_list())
        rows.append({"set": name, "encoder": encoder.name, **_probe(vectors, items[label].to_numpy(), seeds)})
    return rows


def _genre_probe(seeds: int) -> dict[str, Any]:
    items = pl.read_parquet(folder_of("emotify") / "items.parquet")
    encoder = MusicnnEncoder()
    vectors = encoder.encode([(folder_of("emotify") / path).read_bytes() for path in items["audio"]])
    return {"set": "emotify", "encoder": encoder.name, **_probe(vectors, items["genre"].to_numpy(), seeds)}


def _probe(vectors: Any, labels: Any, seeds: int) -> dict[str, Any]:
    """Accuracy of a logistic regression in five folds, by seed of the folds, beside always the commonest class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = [StratifiedKFold(FOLDS, shuffle=True, random_state=seed) for seed in range(seeds)]
    found = [float(cross_val_score(model, vectors, labels, cv=fold).mean()) for fold in folds]
    classes, counts = np.unique(labels, return_counts=True)
    return {
        "items": len(labels),
        "classes": len(classes),
        "accuracy": float(np.mean(found)),
        "lowest": min(found),
        "highest": max(found),
        "commonest": float(counts.max() / len(labels)),
    }


def _seconds(work: Callable[[], Any]) -> float:
    work()
    found: Sequence[float] = [_timed(work) for _ in range(REPEATS)]
    return min(found)


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _tensor(values: Any) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))


if __name__ == "__main__":
    main("media_encoding", run, seeds=5)
