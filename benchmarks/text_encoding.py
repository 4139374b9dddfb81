"""The rate of MiniLM on real texts beside sentence-transformers' default ``encode``, and what each backend costs.

Films' overviews, jokes and news titles, in the order they lie in. Each seed takes other texts (``TEXTS`` of them, all
jokes among them); both sides encode the same ones, one after the other in the same process, on two threads, and the
figure is the ratio of their times. Truth is the least cosine to sentence-transformers' vector, and Spearman's rank
correlation over the similarities of 1,000 random pairs. Of a text longer than the model takes, sentence-transformers
reads the beginning and Palate all: those stand apart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks._data import folder_of, main
from palate.encoders.text.huggingface import HuggingFace, minilm
from palate.random import derive_rng

Array = NDArray[np.float32]

TEXTS = int(os.environ.get("PALATE_BENCH_TEXTS", "3000"))
THREADS = 2
PAIRS = 1_000
BACKENDS = ("torch", "onnx", "onnx-int8")


def texts() -> dict[str, list[str]]:
    """The texts by set."""
    columns = {
        "overviews": ("movielens-latest-small", "item_text.parquet", "overview"),
        "jokes": ("jester", "items.parquet", "text"),
        "titles": ("bing-news", "items.parquet", "title"),
    }
    return {
        name: pl.read_parquet(folder_of(folder) / file)[column].drop_nulls().to_list()
        for name, (folder, file, column) in columns.items()
    }


def run(seeds: int) -> dict[str, Any]:
    """One row a backend, and the whole corpus once."""
    import sentence_transformers
    import torch

    torch.set_num_threads(THREADS)
    encoders = {backend: minilm(backend) for backend in BACKENDS}  # type: ignore[arg-type]  # of BACKENDS
    folder = str(encoders["torch"].folder)
    peer = sentence_transformers.SentenceTransformer(folder, device="cpu")

    def theirs(given: list[str]) -> Array:
        vectors: Array = peer.encode(given, show_progress_bar=False)
        return vectors

    corpus = texts()
    rows = {backend: _Row() for backend in BACKENDS}
    for seed in range(seeds):
        given = _sample(corpus, np.random.default_rng(seed))
        expected, base = _timed(theirs, given)
        for backend, encoder in encoders.items():
            found, taken = _timed(encoder.encode, given)
            rows[backend].add(encoder, given, found, expected, taken, base, derive_rng(seed, "pairs"))
    return {
        "texts": {name: len(values) for name, values in corpus.items()},
        "texts_a_seed": len(given),
        "threads": THREADS,
        "vnni": _vnni(),
        "rows": [{"backend": backend, **row.as_dict()} for backend, row in rows.items()],
    }


def _vnni() -> bool:
    """Whether the processor adds products of eight bits at once: without, eight bits gain much less."""
    described = Path("/proc/cpuinfo")
    return described.exists() and "vnni" in described.read_text(encoding="utf-8")


class _Row:
    """What the seeds gave for one backend."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float, float, float]] = []
        self.cosines: list[Array] = []
        self.longer: list[Array] = []
        self.spearman: list[float] = []

    def add(
        self,
        encoder: HuggingFace,
        given: list[str],
        found: Array,
        expected: Array,
        taken: tuple[float, float],
        base: tuple[float, float],
        rng: np.random.Generator,
    ) -> None:
        cosine = (found * expected).sum(axis=1)
        longer = encoder.windows(given) > 1
        self.cosines.append(cosine[~longer])
        self.longer.append(cosine[longer])
        pairs = rng.integers(len(given), size=(2, PAIRS))
        ours, theirs = ((vectors[pairs[0]] * vectors[pairs[1]]).sum(axis=1) for vectors in (found, expected))
        self.spearman.append(float(spearmanr(ours, theirs).statistic))
        self.times.append((len(given) / taken[0], len(given) / base[0], base[0] / taken[0], base[1] / taken[1]))

    def as_dict(self) -> dict[str, Any]:
        rate, peer, ratio, cpu = (np.array(column) for column in zip(*self.times, strict=True))
        cosine, longer = np.concatenate(self.cosines), np.concatenate(self.longer)
        return {
            "texts_per_second": round(float(np.median(rate)), 1),
            "sentence_transformers_per_second": round(float(np.median(peer)), 1),
            "times_as_fast": {"median": round(float(np.median(ratio)), 2), "least": round(float(ratio.min()), 2)},
            "times_less_processor_time": round(float(np.median(cpu)), 2),
            "cosine": {"least": round(float(cosine.min()), 5), "mean": round(float(cosine.mean()), 5)},
            "longer_than_the_model_takes": {
                "texts": len(longer),
                "least_cosine": round(float(longer.min()), 5) if len(longer) else None,
            },
            "spearman_least": round(min(self.spearman), 5),
        }


def _sample(corpus: dict[str, list[str]], rng: np.random.Generator) -> list[str]:
    jokes = corpus["jokes"]
    rest = [text for name, values in corpus.items() if name != "jokes" for text in values]
    n = min(TEXTS - len(jokes), len(rest))
    return jokes + [rest[row] for row in rng.choice(len(rest), n, replace=False)]


def _timed(encode: Callable[[list[str]], Array], given: list[str]) -> tuple[Array, tuple[float, float]]:
    """Vectors, and the seconds on the clock and of the processor, after a warm-up."""
    encode(given[:32])
    clock, processor = time.perf_counter(), time.process_time()
    vectors = encode(given)
    return vectors, (time.perf_counter() - clock, time.process_time() - processor)


if __name__ == "__main__":
    main("text_encoding", run, seeds=3)
