"""Fits on shards beside Spark MLlib's ALS and implicit's, how they grow, and the rates of the cost model.

    python -m benchmarks.scale --only ratings --size 0.1 --json

A row alone is written into a file of results by ``--out``; ``--size`` is a share of the full data. Every fit and every
peer has a process of its own, one after the other. Ratings are generated (:mod:`benchmarks._generated_events`).

ratings   ten million ratings, rank 16: seconds a sweep on one core and on two, memory beside a fit in one process now
          and before this was there, RMSE beside Spark's, whose penalty is tuned on ratings held out
events    the same pairs as events: NDCG@10 beside implicit's and Spark's, what events weigh tuned likewise for all
overhead  processor seconds of the same fit by Ray with one worker, and in one process
large     12.5, 25, 50 and 100 million events at 32 dimensions, out of core: seconds and memory
rates     seconds of one core that :mod:`palate.scale.cost_model` counts with, at 16, 32 and 64 dimensions
target    ten million users, a million items, 10⁹ events at 64 dimensions, by that model
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse
from scipy.optimize import nnls

from benchmarks._generated_events import write_ratings
from palate.evaluation.intervals import paired_bootstrap
from palate.evaluation.metrics import list_metrics, places
from palate.machine import blas_threads
from palate.posteriors.fit import Unit, first_covariance, first_factors, first_items
from palate.posteriors.item_half import SPREAD, Common, ItemBlock, Step
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.linear_prior import LinearPrior
from palate.random import derive_rng
from palate.scale import cost_model, tasks
from palate.scale.sharding import shard
from palate.scale.shards import Shards

ROOT = Path(__file__).resolve().parents[1]
PEERS = {"spark": ROOT / ".venv-peers-spark", "implicit": ROOT / ".venv-peers-rivals"}  # their environments
BEFORE = "3e2fbc7"  # the last commit whose batch fit holds dense sums
USERS, ITEMS, RATINGS, RANK = 70_000, 10_000, 10_000_000, 16
SWEEPS, TIMED, PEERS_TURNS, K, ASKED = 30, 12, 15, 10, 5_000
LOW, HIGH = 0.5, 5.0
CORES, HELD_OUT = 2, 0.15
MILLIONS = (12.5, 25.0, 50.0, 100.0)  # of events, of the largest data
SPARK_GB = 6
WEIGHTS = ((2.5, 0.5), (5.0, 0.25), (5.0, 0.5), (5.0, 1.0), (10.0, 0.5))  # background and frequency of events


@dataclass(frozen=True)
class Data:
    """Where the parts of one data set lie.

    Attributes:
        files: Ratings, or events, to fit on, with ids.
        coded: The same, and what is held out to tune and to test, as user, item and value: Parquet.
    """

    folder: Path
    files: list[Path]
    items: Path
    n_users: int
    n_items: int

    @classmethod
    def make(cls, folder: Path, users: int, items: int, ratings: int, *, kind: str, dims: int = RANK) -> Data:
        """Fifteen hundredths are held out: a third of them to tune on."""
        raw, place = folder / f"raw-{ratings}-{dims}", folder / f"{kind}-{ratings}-{dims}"
        if not (raw / "held-out.parquet").exists():
            write_ratings(raw, users=users, items=items, ratings=ratings, dims=dims, held_out=HELD_OUT)
        files = sorted(raw.glob("ratings-*.parquet"))
        if kind == "events" and not (place / files[-1].name).exists():
            place.mkdir(exist_ok=True)
            for file in files:
                pl.read_parquet(file).drop("rating").write_parquet(place / file.name)
        place.mkdir(exist_ok=True)
        taken = [place / file.name for file in files] if kind == "events" else files
        data = cls(place, taken, raw / "items.parquet", users, items)
        if not (place / "test.parquet").exists():
            held = _coded(pl.scan_parquet(raw / "held-out.parquet"), kind).collect()
            is_tuning = np.arange(len(held)) % 3 == 0
            _coded(pl.scan_parquet(files), kind).sink_parquet(place / "train.parquet")
            held.filter(is_tuning).write_parquet(place / "tuning.parquet")
            held.filter(~is_tuning).write_parquet(place / "test.parquet")
        return data

    def shards(self) -> Path:
        """Made once."""
        out = self.folder / "shards"
        if not (out / "_manifest.json").exists():
            shard(self.files, out, items=self.items)
        return out

    def part(self, name: str) -> pl.DataFrame:
        """``train``, ``tuning`` or ``test``."""
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def matrix(self, name: str) -> sparse.csr_matrix:
        rows = self.part(name)
        at = rows["user"].to_numpy(), rows["item"].to_numpy()
        return sparse.csr_matrix((rows["value"].to_numpy(), at), shape=(self.n_users, self.n_items))


def _coded(rows: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    number = [pl.col(f"{name}_id").str.slice(1).cast(pl.Int32).alias(name) for name in ("user", "item")]
    return rows.select(*number, (pl.lit(1.0) if kind == "events" else pl.col("rating")).cast(pl.Float32).alias("value"))


# ---- rows


def ratings(size: float, folder: Path) -> dict[str, Any]:
    data = Data.make(folder, int(USERS * size), ITEMS, int(RATINGS * size), kind="ratings")
    timed = {f"palate, {n} of {CORES} cores": _ours(data, workers=n, sweeps=TIMED) for n in (1, CORES)}
    scores = folder / "ours.npz"
    whole = _ours(data, workers=CORES, sweeps=SWEEPS, scores=str(scores))
    arrays = folder / "train.npz"
    rows = data.part("train")
    np.savez(arrays, users=rows["user"].to_numpy(), items=rows["item"].to_numpy(), values=rows["value"].to_numpy())
    single = {"one process, now": _one_process(arrays, ROOT / "src"), "one process, before": _before(arrays)}
    single["one process from the files, before"] = _before(data.files[0].parent)
    centre = float(rows["value"].mean())
    grid = [{"reg": reg, "centre": at} for at in (0.0, centre) for reg in (0.02, 0.05, 0.1)]
    spark, factors = _peer("spark", data, folder, grid, implicit=False)

    def of_spark(number: int, part: str) -> np.ndarray:
        return _squared(factors[f"users-{number}"], factors[f"items-{number}"], data.part(part), grid[number]["centre"])

    best = min(range(len(grid)), key=lambda number: of_spark(number, "tuning").mean())
    implicit, _ = _peer("implicit", data, folder, [{"reg": 1.0, "alpha": 10.0}], train=arrays)
    with np.load(scores) as found:
        ours = _squared(found["users"], found["items"], data.part("test"))
    theirs = of_spark(best, "test")
    return {
        "ratings": len(rows),
        "users": data.n_users,
        "items": data.n_items,
        "fits": timed | {"palate, to the end": whole} | single,
        "spark": spark | {"best": best},
        "implicit": implicit,
        "rmse": {name: round(float(np.sqrt(one.mean())), 5) for name, one in (("palate", ours), ("spark", theirs))},
        "squared_error_ours_minus_spark": _apart(ours, theirs),
    }


def events(size: float, folder: Path) -> dict[str, Any]:
    data = Data.make(folder, int(USERS * size), ITEMS, int(RATINGS * size), kind="events")
    arrays = folder / "train-events.npz"
    rows = data.part("train")
    np.savez(arrays, users=rows["user"].to_numpy(), items=rows["item"].to_numpy(), values=rows["value"].to_numpy())
    grids = {
        "palate": [{}, *({"confidence": 20.0, "background": of, "frequency": by} for of, by in WEIGHTS)],
        "implicit": [{"reg": reg, "alpha": of} for of in (1.0, 3.0, 10.0) for reg in (1.0, 3.0, 10.0, 30.0, 100.0)],
        "spark": [{"reg": reg, "alpha": of, "centre": 0.0} for of in (1.0, 3.0, 10.0) for reg in (0.03, 0.1, 0.3)],
    }  # fmt: skip
    found = {
        "palate": _ours_each(data, folder, grids["palate"]),
        "implicit": _peer("implicit", data, folder, grids["implicit"], train=arrays),
        "spark": _peer("spark", data, folder, grids["spark"], implicit=True),
    }
    seen, asked = data.matrix("train"), _asked(data)
    quality, about = {}, {}
    for name, (said, factors) in found.items():
        by = [
            _ndcg(factors[f"users-{n}"], factors[f"items-{n}"], seen, data.matrix("tuning"), asked).mean()
            for n in range(len(grids[name]))
        ]
        best = int(np.argmax(by))
        about[name] = said | {"best": best, "tuning": [round(float(one), 5) for one in by]}
        tested = {name: best} | ({"palate, untuned": 0} if name == "palate" else {})
        for own, n in tested.items():
            quality[own] = _ndcg(factors[f"users-{n}"], factors[f"items-{n}"], seen, data.matrix("test"), asked)
    return {
        "events": len(rows),
        "people": len(asked),
        **about,
        "ndcg@10": {name: round(float(one.mean()), 5) for name, one in quality.items()},
        "ours_minus": {name: _apart(quality["palate"], quality[name]) for name in ("implicit", "spark")},
    }


def overhead(size: float, folder: Path) -> dict[str, Any]:
    data = Data.make(folder, int(USERS * size), ITEMS, int(RATINGS * size), kind="ratings")
    found = {name: _ours(data, runner=name, workers=1, sweeps=4) for name in ("in-process", "ray")}
    return {"ratings": Shards.open(data.shards()).n_events, "fits": found}


def large(size: float, folder: Path) -> dict[str, Any]:
    rows = []
    for millions in MILLIONS:
        n = int(millions * 1e6 * size / (1.0 - HELD_OUT))
        data = Data.make(folder, n // 100, 50_000, n, kind="events", dims=32)
        begun = time.perf_counter()
        shards = Shards.open(data.shards())
        seconds = time.perf_counter() - begun
        fit = _ours(data, workers=CORES, sweeps=4, dim=32, weights={})  # what events weigh is not chosen
        rows.append({"events": shards.n_events, "users": sum(shards.users), "sharding": seconds, **fit})
    return {"rows": rows}


def rates(size: float, folder: Path) -> dict[str, Any]:
    """Of two data sets, of many answers a user and of few, in one process on one core."""
    parts: dict[str, list[tuple[list[float], float]]] = {"answer": [], "sum": [], "item": []}
    for users, each in ((int(20_000 * size), 60), (int(60_000 * size), 8)):
        data = Data.make(folder, users, 4_000, users * each, kind="ratings")
        for dim in (16, 32, 64):
            for name, row, seconds in _timed_tasks(data, dim):
                parts[name].append((row, seconds))
    own = dict[str, float]()
    for name, of in COLUMNS.items():
        own |= zip(of, _solved(parts[name]), strict=True)
    return {
        "rates": {name: float(f"{value:.3g}") for name, value in own.items()},
        "mean_relative_error": {
            name: _mean_error(rows, [own[of] for of in COLUMNS[name]]) for name, rows in parts.items()
        },
    }


def target(_size: float, _folder: Path) -> dict[str, Any]:
    load = cost_model.Load(10_000_000, 1_000_000, 1_000_000_000, 1_024, 64, number_bytes=4, disk_bytes=24_000_000_000)
    rows = []
    for nodes in (1, 4, 16, 64):
        on = cost_model.Cluster(nodes, 16, 128e9, 1e12)
        rows.append({"nodes": nodes, **cost_model.costs(load, on, sweeps=40)._asdict()})
    return {"rows": rows}


COLUMNS = {
    "answer": ("answer", "answer_number", "user", "user_cube"),
    "sum": ("sum", "sum_number", "moved_number"),
    "item": ("item", "item_cube"),
}
ROWS: dict[str, Callable[[float, Path], dict[str, Any]]] = {
    "ratings": ratings,
    "events": events,
    "overhead": overhead,
    "large": large,
    "rates": rates,
    "target": target,
}


def _row(name: str, size: float, folder: Path) -> dict[str, Any]:
    load = os.getloadavg()[0]
    own = {"command": f"python -m benchmarks.scale --only {name}" + (f" --size {size:g}" if size != 1.0 else "")}
    return own | {"cores": len(os.sched_getaffinity(0)), "load_before": load} | ROWS[name](size, folder)


# ---- fits


def _ours(
    data: Data, *, workers: int, sweeps: int, runner: str = "threads", dim: int = RANK, **more: Any
) -> dict[str, Any]:
    given = {"shards": str(data.shards()), "runner": runner, "workers": workers, "dim": dim, "sweeps": sweeps, **more}
    given |= {"tolerance": 0.0} if "scores" not in more else {}
    said = {"predicted": _predicted(Shards.open(given["shards"]), workers, dim)} if runner == "threads" else {}
    return said | _run([sys.executable, "-m", "benchmarks._scale_fit", json.dumps(given)], ROOT / "src")


def _ours_each(
    data: Data, folder: Path, settings: list[dict[str, float]]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As :func:`_peer`, of Palate: with what events weigh, as it chooses where that is not given."""
    said, arrays, scores = list[dict[str, Any]](), dict[str, np.ndarray](), folder / "ours.npz"
    for number, setting in enumerate(settings):
        weights = {"weights": setting} if setting else {}
        said.append(_ours(data, workers=CORES, sweeps=SWEEPS, scores=str(scores), **weights))
        with np.load(scores) as found:
            arrays |= {f"{name}-{number}": found[name] for name in ("users", "items")}
    return {"settings": said}, arrays


def _predicted(shards: Shards, workers: int, dim: int) -> dict[str, float]:
    """MiB and seconds of a sweep by the cost model, of cores that do nothing else."""
    items = int((shards.item_counts() > 0).sum())
    load = cost_model.Load(sum(shards.users), items, shards.n_events, shards.n_shards, dim)
    on = cost_model.Cluster(1, workers, np.inf, np.inf, share=1.0)
    found = cost_model.costs(load, on, sweeps=1)
    return {"mib": sum(found.memory.values()) / 2**20, "sweep_seconds": found.sweep}


def _one_process(answers: Path, source: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("_fit_timed.py")
    return _run([sys.executable, str(script), str(answers), str(RANK), "4"], source)


def _before(answers: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "-C", ROOT, "archive", BEFORE, "src"], check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        return _one_process(answers, Path(folder) / "src")


def _run(command: list[str], source: Path) -> dict[str, Any]:
    paths = f"{source}{os.pathsep}{ROOT}"
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def _peer(
    name: str, data: Data, folder: Path, settings: list[dict[str, float]], *, train: Path | None = None, **more: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a peer says of its seconds, and its factors by setting."""
    python = PEERS[name] / "bin" / "python"
    if not python.exists():
        sys.exit(f"The environment of the peers is missing: make {PEERS[name].name}/.made")
    given = {
        "train": str(train or data.folder / "train.parquet"), "n_users": data.n_users, "n_items": data.n_items,
        "rank": RANK, "iterations": PEERS_TURNS, "threads": CORES, "memory_gb": SPARK_GB, "settings": settings, **more,
    }  # fmt: skip
    source, out = folder / f"{name}.json", folder / f"{name}.npz"
    source.write_text(json.dumps(given), encoding="utf-8")
    path = Path(__file__).with_name(f"_peers_{name}.py")
    one = {"PYTHONPATH": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([python, path, source, out], capture_output=True, text=True, env={**os.environ, **one})
    if done.returncode:
        sys.exit(done.stderr[-3_000:])
    with np.load(out) as arrays:
        return dict(json.loads(done.stdout.splitlines()[-1])), dict(arrays)


# ---- quality


def _squared(users: np.ndarray, items: np.ndarray, rows: pl.DataFrame, centre: float = 0.0) -> np.ndarray:
    """Squared errors of ratings within the scale, (N,)."""
    who, what = rows["user"].to_numpy(), rows["item"].to_numpy()
    told = np.empty(len(rows))
    for first in range(0, len(rows), 1 << 18):
        some = slice(first, first + (1 << 18))
        told[some] = np.einsum("nd,nd->n", users[who[some]], items[what[some]])
    return (np.clip(told + centre, LOW, HIGH) - rows["value"].to_numpy()) ** 2


def _asked(data: Data) -> np.ndarray:
    """Some of the users with something to find, in the part to tune on and in the part to test."""
    has = [np.diff(data.matrix(name).indptr) > 0 for name in ("train", "tuning", "test")]
    who = np.flatnonzero(np.logical_and.reduce(has))
    return np.sort(derive_rng(0, "asked").permutation(who)[:ASKED])


def _ndcg(
    users: np.ndarray, items: np.ndarray, seen: sparse.csr_matrix, relevant: sparse.csr_matrix, asked: np.ndarray
) -> np.ndarray:
    """Of each of those asked, (n,)."""
    ranked, _ = places(users[asked] @ items.T, relevant[asked], K, seen=seen[asked])
    return list_metrics(ranked, relevant[asked])["ndcg"]


def _apart(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    return paired_bootstrap(ours, theirs, rng=derive_rng(0, "bootstrap")).as_dict()


# ---- rates


def _timed_tasks(data: Data, dim: int) -> list[tuple[str, list[float], float]]:
    """Names, what was done, and seconds of the tasks of a sweep on one shard and all its blocks."""
    shards = Shards.open(data.shards())
    counts, size, cube = shards.item_counts(), (dim + 1) * (dim + 2) // 2, float((dim + 1) ** 3)
    rated = np.flatnonzero(counts)
    unit = Unit(shards.total / shards.n_events, 1.0)
    every = len(rated) == shards.n_items
    source = tasks.Source(str(shards.folder), shards.digest, len(rated), every, Gaussian(), unit)
    factors = first_factors(np.zeros(len(rated)), derive_rng(0, "rates").normal(0, 0.3, (len(rated), dim)))
    items = first_items(factors)
    given = tasks.joined([tasks.table_of(items, "float64")], Gaussian(), SPREAD)
    prior = LinearPrior.start(factors.mean(0), first_covariance(dim), np.zeros((len(rated), 0)))
    nothing = np.zeros((dim + 1, dim + 1))
    step = Step(Common(prior, Gaussian()), np.eye(dim + 1), nothing, np.zeros(size))
    found = []
    with blas_threads(1):
        for turn in range(3):
            (beliefs, _, _), seconds = _seconds(tasks.believe_shard, source, 0, None, given, Gaussian(), dim)
            n, users = len(beliefs.beliefs.targets), len(beliefs.beliefs.precision)
            if turn:  # the first one compiles
                found.append(("answer", [n, n * size, users, users * cube], seconds))
            rows, block = shards.by_block(0, 0), (0, *shards.blocks[0])
            sums, seconds = _seconds(tasks.block_sums, source, block, 0, [beliefs], Gaussian(), "float64")
            n_items = block[2] - block[1]
            part = ItemBlock(items.factors[:n_items], items.covariances[:n_items], items.noise[:n_items])
            if turn:
                found.append(("sum", [len(rows.users), len(rows.users) * size, n_items * size], seconds))
                found.append(("sum", [0, 0, n_items * size], _seconds(tasks.add_blocks, sums, sums)[1]))
                _, seconds = _seconds(tasks.learn_items, source, block, part, sums, step)
                found.append(("item", [n_items, n_items * cube], seconds))
    return found


def _seconds(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    begun = time.process_time()
    found = work(*arguments)
    return found, time.process_time() - begun


def _solved(rows: list[tuple[list[float], float]]) -> list[float]:
    """Rates that are not below 0, with the least relative errors."""
    counts, seconds = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    size = counts.max(0)
    return list(nnls(counts / size / seconds[:, None], np.ones(len(seconds)))[0] / size)


def _mean_error(rows: list[tuple[list[float], float]], found: list[float]) -> float:
    counts, seconds = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return round(float(np.abs(counts @ np.array(found) / seconds - 1.0).mean()), 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(ROWS), action="append", help="a row; all, if not given")
    parser.add_argument("--size", type=float, default=1.0, help="share of the full data")
    parser.add_argument(
        "--folder", type=Path, help="where data is kept for the next run; a temporary one, if not given"
    )
    parser.add_argument("--out", type=Path, help="a file of results, in which these rows are replaced")
    parser.add_argument("--json", action="store_true", help="one line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="palate-scale-") as temporary:
        place = options.folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        rows = {name: _row(name, options.size, place) for name in options.only or ROWS}
    if options.out is not None and options.out.exists():
        rows = {**json.loads(options.out.read_text("utf-8"))["rows"], **rows}
    of = {name: rows[name] for name in ROWS if name in rows}
    document = {"command": "python -m benchmarks.scale --json", "seeds": [0], "rows": of}
    if options.out is not None:
        options.out.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
    json.dump(document, sys.stdout, indent=None if options.json else 1, allow_nan=False)
    print()
