"""A fit on shards in a process of its own: seconds, memory, and how well it predicts.

    python -m benchmarks._scale_fit '{"shards": DIR, "runner": "threads", "workers": 2, "dim": 16, "sweeps": 12, ...}'

``scores`` names a file to write: means of users and factors of items with an answer, by code, for what is predicted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from palate.machine import blas_threads
from palate.posteriors.fit import Fitted, Unit
from palate.posteriors.item_half import SPREAD, ItemBlock
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.sweeps import FitOptions
from palate.runners import open_runner
from palate.scale import model, tasks
from palate.scale.fit import fit_shards
from palate.scale.model import ShardOptions
from palate.scale.shards import Shards


def measured(given: dict[str, Any]) -> dict[str, Any]:
    """What a fit takes. Sweeps are timed from the second on; processor seconds are of this process and all below it."""
    shards = Shards.open(given["shards"])
    likelihood = Implicit(**given["weights"]) if "weights" in given else _likelihood(shards)
    stamps = list[tuple[float, float]]()
    with open_runner(given["runner"], workers=given["workers"]) as runner:
        began = _now()
        fitted = fit_shards(
            shards,
            likelihood=likelihood,
            options=FitOptions(dim=given["dim"], sweeps=given["sweeps"], tolerance=given.get("tolerance", 3e-5)),
            runner=runner,
            rng=np.random.default_rng(0),
            exchange=given.get("exchange", "float64"),
            progress=lambda *_: stamps.append(_now()),
        )
        ended = _now()
    wall, busy = np.diff(np.array(stamps), axis=0).T
    found = {
        "sweeps": len(fitted.bounds),
        "fit_seconds": ended[0] - began[0],
        "sweep_seconds": wall.tolist(),
        "sweep_cpu_seconds": busy.tolist(),
        "mib": _peak() / 2**20,
        "likelihood": {name: value for name, value in vars(fitted.likelihood).items() if isinstance(value, float)},
    }
    if "scores" in given:
        _write(Path(given["scores"]), shards, fitted)
    return found


def _now() -> tuple[float, float]:
    """Seconds, and processor seconds of this process, of those that it has started and of theirs."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)], used[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))

    def is_ours(process: int) -> bool:
        while process not in (os.getpid(), 0):
            process = parents.get(process, 0)
        return process != 0

    ticks = sum(seconds for process, seconds in used.items() if is_ours(process))
    return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK")


def _peak() -> float:
    """Bytes of this process at its fullest. What the system says of a process at its end counts who started it too."""
    status = Path("/proc/self/status").read_text()
    return 1024.0 * float(status.partition("VmHWM:")[2].split()[0])


def _likelihood(shards: Shards) -> Likelihood:
    """As a model is fitted to shards: what events weigh is chosen on two million of them."""
    sample = model._answers(shards, range(model._sampled(shards))) if shards.kind == "events" else None
    return model._likelihood(shards, ShardOptions(), sample)


def _write(path: Path, shards: Shards, fitted: Fitted) -> None:
    """Means of users (U, A) and factors of items (I, A), in the order of the numbers in their ids."""
    rated = np.flatnonzero(shards.item_counts())
    items = ItemBlock(fitted.factors, fitted.covariances, fitted.noise)
    given = tasks.joined([tasks.table_of(items, "float64")], fitted.likelihood, SPREAD)
    unit, every = Unit(0.0, 1.0), len(rated) == shards.n_items
    source = tasks.Source(str(shards.folder), shards.digest, len(rated), every, fitted.likelihood, unit)
    dim = fitted.factors.shape[1] - 1
    users = np.zeros((sum(shards.users), dim + 1))
    with blas_threads(1):
        for shard in range(shards.n_shards):
            found, _, _ = tasks.believe_shard(source, shard, None, given, fitted.likelihood, dim)
            users[_numbers(shards.user_ids(shard))] = found.beliefs.moments[:, : dim + 1]
    ids = [name for block in range(len(shards.blocks)) for name in shards.item_ids(block)]
    factors = np.zeros((shards.n_items, dim + 1))
    factors[_numbers(ids)[rated]] = fitted.factors
    np.savez(path, users=users, items=factors)


def _numbers(ids: list[str]) -> np.ndarray:
    return np.array([int(name[1:]) for name in ids])


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    json.dump(measured(json.loads(sys.argv[1])), sys.stdout)
