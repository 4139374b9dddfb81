"""A hundred thousand items with generated texts, encoded and fitted: rate, peak memory, and what is lost at a kill.

A process of its own fits a model on them and a million ratings of ten thousand people, with an empty cache. It is
ended by SIGINT while it encodes, then by SIGKILL, and then runs to the end; the peak of memory is that last run's. What
was encoded before is not encoded again. ``PALATE_BENCH_ENCODER`` is ``minilm`` unless set.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import main

TEXTS = int(os.environ.get("PALATE_BENCH_TEXTS", "100000"))
ENCODER = os.environ.get("PALATE_BENCH_ENCODER", "minilm")
FIRST = 4_096
"""Texts after which the first runs are ended."""

_CHILD = """
import json, os, resource, sys, time
import numpy as np
import polars as pl
from palate import Dataset, Learner
from palate.encoders import registry

n, name, stop, first = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(0)
words = ["".join(rng.choice(list("bcdfghklmnprst"), 2)) + "aeiou"[i % 5] for i in range(2_000)]
texts = [" ".join(words[w] for w in rng.integers(2_000, size=k)) for k in rng.integers(4, 24, size=n)]
items = pl.DataFrame({"item_id": [f"i{i}" for i in range(n)], "text": texts})
ratings = pl.DataFrame({
    "user_id": rng.integers(n // 10, size=10 * n), "item_id": rng.integers(n, size=10 * n),
    "rating": rng.integers(1, 6, size=10 * n).astype(float),
}).with_columns(pl.format("u{}", "user_id"), pl.format("i{}", "item_id"))
data = Dataset.from_tables(ratings, items)

encoder, begun, ended = registry.load_encoder(name), [], []
seen, inner = [0], encoder.encode
def counted(given):
    begun.append(time.perf_counter())
    vectors = inner(given)
    ended.append(time.perf_counter())
    seen[0] += len(given)
    return vectors
encoder.encode = counted
import palate.model.fit
palate.model.fit.load_encoder = lambda *_, **__: encoder

def report(stage, done, total):
    if stop and seen[0] >= first:
        os.kill(os.getpid(), stop)
started = time.perf_counter()
learner = Learner.fit(data, encoder=name, progress=report)
taken = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
finite = bool(np.isfinite(learner.model.taste.items.factors).all())
encoding = sum(ended) - sum(begun)
print(json.dumps({"encoded": seen[0], "encoding_seconds": encoding, "seconds": taken, "peak_megabytes": peak,
    "finite": finite}))
"""


def run(seeds: int) -> dict[str, Any]:
    """One row: texts and ratings are the same with every seed."""
    with tempfile.TemporaryDirectory() as folder:
        ended = [_child(folder, sent) for sent in (signal.SIGINT, signal.SIGKILL)]
        last, again = (json.loads(_child(folder, None).stdout) for _ in range(2))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    row = {
        "items": TEXTS,
        "ratings": 10 * TEXTS,
        "encoder": ENCODER,
        "ended_by": [-process.returncode for process in ended],
        "encoded_after_both": last["encoded"],
        "texts_per_second": round(last["encoded"] / last["encoding_seconds"], 1),
        "fit_seconds": round(last["seconds"], 1),
        "peak_megabytes": round(last["peak_megabytes"]),
        "finite": last["finite"],
        "fitted_again": {"encoded": again["encoded"], "seconds": round(again["seconds"], 1)},
        "cache_megabytes": round(size / 2**20),
    }
    return {"rows": [row]}


def _child(folder: str, sent: signal.Signals | None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _CHILD, str(TEXTS), ENCODER, str(int(sent or 0)), str(FIRST)]
    cache = {**os.environ, "PALATE_CACHE": str(Path(folder) / "vectors")}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=sent is None, env=cache)


if __name__ == "__main__":
    main("encoding_scale", run, seeds=1)
