"""A hundred thousand generated texts encoded through the cache: rate, peak memory, and what is lost at a kill.

The encoder (``PALATE_BENCH_ENCODER``, the embedded one unless set) runs in a process of its own, which is first ended
by SIGINT, then by SIGKILL, and then runs to the end; its peak memory is that of the last run. What was encoded before
is not encoded again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._data import main

TEXTS = int(os.environ.get("PALATE_BENCH_TEXTS", "100000"))
ENCODER = os.environ.get("PALATE_BENCH_ENCODER", "default")
FIRST = 4_096
"""Texts after which the first runs are ended."""

_CHILD = """
import json, os, resource, signal, sys, time
import numpy as np
from pathlib import Path
from palate.encoders.cache import Cached
from palate.encoders.registry import load_encoder

n, folder, name, stop, first = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
rng = np.random.default_rng(0)
words = ["".join(rng.choice(list("bcdfghklmnprst"), 2)) + "aeiou"[i % 5] for i in range(2_000)]
texts = [" ".join(words[w] for w in rng.integers(2_000, size=k)) for k in rng.integers(4, 24, size=n)]
encoder = load_encoder(name)
seen, inner = [0], encoder.encode
class Counted:
    modality, name, revision, dim = "text", encoder.name, encoder.revision, encoder.dim
    def encode(self, given):
        seen[0] += len(given)
        return inner(given)
def report(done, total):
    if stop and seen[0] >= first:
        os.kill(os.getpid(), stop)
started = time.perf_counter()
vectors = Cached(Counted(), folder).encode(texts, report)
taken = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
finite = bool(np.isfinite(vectors).all())
print(json.dumps({"encoded": seen[0], "seconds": taken, "peak_megabytes": peak, "finite": finite}))
"""


def run(seeds: int) -> dict[str, Any]:
    """One row: the texts are the same with every seed."""
    with tempfile.TemporaryDirectory() as folder:
        ended = [_child(folder, sent) for sent in (signal.SIGINT, signal.SIGKILL)]
        started = time.perf_counter()
        last = json.loads(_child(folder, None).stdout)
        seconds = time.perf_counter() - started
        again = json.loads(_child(folder, None).stdout)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    row = {
        "texts": TEXTS,
        "encoder": ENCODER,
        "ended_by": [-process.returncode for process in ended],
        "encoded_after_both": last["encoded"],
        "texts_per_second": round(last["encoded"] / last["seconds"], 1),
        "seconds_with_start": round(seconds, 1),
        "peak_megabytes": round(last["peak_megabytes"]),
        "finite": last["finite"],
        "from_cache": {"encoded": again["encoded"], "seconds": round(again["seconds"], 2)},
        "cache_megabytes": round(size / 2**20),
    }
    return {"rows": [row]}


def _child(folder: str, sent: signal.Signals | None) -> subprocess.CompletedProcess[str]:
    arguments = [str(TEXTS), folder, ENCODER, str(int(sent or 0)), str(FIRST)]
    return subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments], stdout=subprocess.PIPE, text=True, check=sent is None
    )


if __name__ == "__main__":
    main("encoding_scale", run, seeds=1)
