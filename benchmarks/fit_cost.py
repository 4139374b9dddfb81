"""Seconds of a batch fit of ten million ratings beside another version and implicit's ALS; cost of one user's belief.

git worktree add ../before 53717a0
python -m benchmarks.fit_cost --json --seeds 3 --before ../before
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy.sparse as sparse

from benchmarks._data import main
from palate.posteriors.items import Items, Spread
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.taste import Taste
from palate.random import derive_rng

USERS, ITEMS, RATINGS, DIM = 70_000, 10_000, 10_000_000, 16
SWEEPS = 4
CATALOGUE, BELIEF_DIM, ANSWERS, REPEATS = 100_000, 64, (20, 100), 30
SCRIPT, HERE = Path(__file__).with_name("_fit_timed.py"), Path(__file__).parents[1]


def run(seeds: int, before: Path | None) -> dict[str, Any]:
    """Each seed is a round in which all take their turn: what else the machine does hits all alike."""
    versions = {"now": HERE} | ({} if before is None else {"before": before})
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "ratings.npz")
        arrays = ratings(USERS, ITEMS, RATINGS, DIM)
        np.savez(path, **arrays)
        load = os.getloadavg()[0]
        for seed in range(seeds):
            for name, checkout in versions.items():
                rows.append({"who": name, "round": seed, **_fit(checkout, path, SWEEPS)})
            rows += [{"who": who, "round": seed, **found} for who, found in _implicit(arrays, seed).items()]
    given = "" if before is None else " --before ../before"
    return {
        "command": f"python -m benchmarks.fit_cost --json --seeds {seeds}{given}",
        "before": None if before is None else _commit(before),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load,
        "ratings": len(arrays["values"]),
        "users": USERS,
        "items": ITEMS,
        "dimensions": DIM,
        "sweeps": _summary(rows),
        "fits": [row for row in rows if row["who"] in versions],
        "belief": [row for kind in ("gaussian", "probit", "implicit") for row in _belief(kind)],
        "load_after": os.getloadavg()[0],
    }


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def ratings(users: int, items: int, count: int, dim: int) -> dict[str, np.ndarray]:
    """About ``count`` ratings of tastes with ``dim`` dimensions: half stars, by avid and by rare users."""
    rng = derive_rng(0, "fit-cost")
    activity = rng.lognormal(0.0, 1.0, users)
    counts = np.maximum((1.09 * count * activity / activity.sum()).astype(int), 5)
    chances = rng.permutation(1.0 / (np.arange(items) + 30.0) ** 0.8)
    drawn = np.searchsorted(np.cumsum(chances / chances.sum()), rng.random(counts.sum()))
    pairs = np.unique(np.repeat(np.arange(users), counts) * items + np.minimum(drawn, items - 1))
    who, what = np.divmod(pairs, items)
    tastes, factors, level = rng.normal(size=(users, dim)), rng.normal(0, 0.3, (items, dim)), rng.normal(0, 0.5, items)
    values = 3.5 + level[what] + rng.normal(0, 0.8, len(pairs))
    for some in np.array_split(np.arange(len(pairs)), 20):
        values[some] += np.einsum("nd,nd->n", tastes[who[some]], factors[what[some]])
    values = np.clip(np.round(2 * values) / 2, 0.5, 5.0)
    return {"users": who.astype(np.int32), "items": what.astype(np.int32), "values": values}


def _fit(checkout: Path, path: str, sweeps: int) -> dict[str, Any]:
    """In a process whose BLAS has one thread; the fit shares its own work among the cores."""
    command = [sys.executable, str(SCRIPT), path, str(DIM), str(sweeps)]
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout))


def _implicit(arrays: dict[str, np.ndarray], seed: int) -> dict[str, dict[str, Any]]:
    """Seconds of each sweep but the first of implicit's ALS with Cholesky's factor, in single and double precision."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    matrix = sparse.csr_matrix((arrays["values"], (arrays["users"], arrays["items"])), shape=(USERS, ITEMS))
    found = {}
    for dtype in (np.float32, np.float64):
        stamps = [(time.perf_counter(), time.process_time())]

        def note(*_: Any, stamps: list[tuple[float, float]] = stamps) -> None:
            stamps.append((time.perf_counter(), time.process_time()))

        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(DIM, dtype=dtype, use_cg=False, iterations=SWEEPS, random_state=seed)
            model.fit(matrix, show_progress=False, callback=note)
        wall, busy = np.diff(np.array(stamps), axis=0)[1:].T
        row = {"sweep_seconds": wall.tolist(), "sweep_cpu_seconds": busy.tolist()}
        found[f"implicit, {np.dtype(dtype).name}"] = row
    return found


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Best and median seconds of a sweep over all rounds; of each, the median over the rounds of ours over theirs."""
    taken = {who: [row for row in rows if row["who"] == who] for who in dict.fromkeys(row["who"] for row in rows)}
    medians = {who: np.array([np.median(row["sweep_seconds"]) for row in some]) for who, some in taken.items()}
    return {
        who: {
            "best_seconds": float(min(min(row["sweep_seconds"]) for row in some)),
            "median_seconds": float(np.median(np.concatenate([row["sweep_seconds"] for row in some]))),
            "best_cpu_seconds": float(min(min(row["sweep_cpu_seconds"]) for row in some)),
            "times_ours": (medians[who] / medians["now"]).tolist(),
        }
        for who, some in taken.items()
    }


def _belief(kind: str) -> list[dict[str, Any]]:
    """Milliseconds and MB of what is believed of one user in a large catalogue."""
    likelihood = {"gaussian": Gaussian(), "probit": Probit(), "implicit": Implicit(20.0, 5.0)}[kind]
    rng = derive_rng(0, "belief", kind)
    spread = Spread("isotropic", rng.uniform(0.02, 0.2, (CATALOGUE, 1)))
    factors = rng.normal(0, 0.3, (CATALOGUE, BELIEF_DIM))
    taste = Taste.build(Items(rng.normal(size=CATALOGUE), factors, spread, np.ones(CATALOGUE)), likelihood)
    rows = []
    for count in ANSWERS:
        items = rng.choice(CATALOGUE, count, replace=False)
        answers = sparse.csr_matrix((np.ones(count), items, [0, count]), shape=(1, CATALOGUE))
        taken = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            taste.believe(answers)
            taken.append(1e3 * (time.perf_counter() - begun))
        tracemalloc.start()
        taste.believe(answers)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append(
            {
                "kind": kind,
                "items": CATALOGUE,
                "dimensions": BELIEF_DIM,
                "answers": count,
                "best_ms": min(taken),
                "median_ms": float(np.median(taken)),
                "mb": peak / 1e6,
            }
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--before", type=Path, help="a checkout of another version")
    given, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    main("fit_cost", lambda seeds: run(seeds, given.before), seeds=3)
