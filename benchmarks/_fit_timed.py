"""A batch fit in a process of its own, whose PYTHONPATH names the version of the code that is timed.

    python benchmarks/_fit_timed.py ARRAYS.npz DIM SWEEPS

reads ``users``, ``items``, ``values`` and prints seconds as JSON. Of a folder it reads ratings-*.parquet and
items.parquet, as an application does.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from palate.datasets import Dataset
from palate.posteriors.fit import fit
from palate.posteriors.likelihoods import Gaussian


def timed(path: str, dim: int, sweeps: int) -> dict[str, Any]:
    """Seconds and processor seconds of each sweep but the first, which compiles and starts; of all; and MiB."""
    home, sweeping = (
        f"palate.posteriors.{name}" if find_spec(f"palate.posteriors.{name}") else "palate.posteriors.fit"
        for name in ("answers", "sweeps")
    )
    users, items, values = _read(Path(path))
    shape = (int(users.max()) + 1, int(items.max()) + 1)
    answers = import_module(home).Answers.build(users, items, values, shape)
    del users, items, values
    stamps = [(time.perf_counter(), time.process_time())]
    found = fit(
        answers,
        likelihood=Gaussian(),
        options=import_module(sweeping).FitOptions(dim=dim, sweeps=sweeps),
        rng=np.random.default_rng(0),
        progress=lambda *_: stamps.append((time.perf_counter(), time.process_time())),
    )
    whole, whole_busy = time.perf_counter() - stamps[0][0], time.process_time() - stamps[0][1]
    wall, busy = np.diff(np.array(stamps), axis=0)[1:].T
    return {
        "sweeps": len(found.bounds),
        "dimensions_kept": found.factors.shape[1] - 1,
        "fit_seconds": whole,
        "fit_cpu_seconds": whole_busy,
        "sweep_seconds": wall.tolist(),
        "sweep_cpu_seconds": busy.tolist(),
        "mib": float(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024,
    }


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if path.is_dir():
        data = Dataset.from_tables(pl.read_parquet(path / "ratings-*.parquet"), pl.read_parquet(path / "items.parquet"))
        coded = data.coded()
        return coded.users, coded.items, coded.values
    with np.load(path) as arrays:
        return arrays["users"], arrays["items"], arrays["values"]


if __name__ == "__main__":
    path, dim, sweeps = sys.argv[1:]
    json.dump(timed(path, int(dim), int(sweeps)), sys.stdout)
