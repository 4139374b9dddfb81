"""A fit on shards whose processes, nodes or driver die (rows DI of the fault matrix): the bits of one undisturbed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.posteriors.fit import Fitted
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.sweeps import FitOptions
from palate.runners import InProcess, Runner
from palate.runners.ray_runner import Ray
from palate.scale.fit import fit_shards
from palate.scale.sharding import shard
from palate.scale.shards import Shards
from tests.faults.test_distributed import Nodes, once, started

SWEEPS = 6
COMMAND = [sys.executable, "-c", "from palate.cli import main; main()"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """Eight shards; with 16 dimensions a block of items is 160 kB, which lies with a node, not with the driver."""
    folder, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((800, 500)) < 0.1)
    scores = (rng.normal(size=(800, 4)) @ rng.normal(0.0, 0.5, (500, 4)).T)[rows, columns]
    values = np.clip(np.rint(3.0 + scores + rng.normal(0.0, 0.5, len(rows))), 1.0, 5.0)
    ids = {"user_id": [f"u{row}" for row in rows], "item_id": [f"i{column}" for column in columns]}
    pl.DataFrame(ids | {"rating": values}).write_csv(folder / "interactions.csv")
    return shard(folder / "interactions.csv", folder / "shards", shards=8, block_items=125).shards


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """With the linear algebra of this process, whatever it was told to use."""
    with started() as opened:
        yield opened


def run(shards: Shards, runner: Runner, **options: Any) -> Fitted:
    asked = FitOptions(dim=16, sweeps=SWEEPS, tolerance=0.0)
    rng = np.random.default_rng(0)
    return fit_shards(shards, likelihood=Gaussian(), options=asked, runner=runner, rng=rng, **options)


@pytest.fixture(scope="module")
def undisturbed(shards: Shards) -> Fitted:
    with InProcess() as runner:
        return run(shards, runner)


def assert_same_bits(one: Fitted, other: Fitted) -> None:
    for name in ("factors", "covariances", "noise", "user_noise"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.bounds == other.bounds


def busy() -> list[int]:
    """Processes that work on a task of this test's Ray."""
    said = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(match[1]) for match in re.finditer(r"^ *(\d+) ray::shards_at_once", said, re.M)]


def test_DI_01_ray_gives_the_bits_of_one_process_and_a_killed_worker_changes_none(
    nodes: Nodes,
    shards: Shards,
    undisturbed: Fitted,
) -> None:
    killed: list[int] = []

    def kill() -> None:
        process = once(busy)[0]
        os.kill(process, signal.SIGKILL)
        killed.append(process)

    def progress(done: int, of: int) -> None:
        if done == 2:
            threading.Thread(target=kill).start()

    added = nodes.grow(2)
    try:
        with Ray(address=nodes.cluster.address) as runner:
            assert_same_bits(run(shards, runner, progress=progress), undisturbed)
    finally:
        for node in added:
            nodes.lose(node)
    assert len(killed) == 1


@pytest.mark.long
def test_DI_01_the_same_bits_on_1_2_and_4_nodes_and_after_one_is_lost(
    nodes: Nodes,
    shards: Shards,
    undisturbed: Fitted,
) -> None:
    added: list[Any] = []
    for number in (1, 2, 4):
        added += nodes.grow(number - len(added))
        with Ray(address=nodes.cluster.address) as runner:
            assert runner.workers == number
            assert_same_bits(run(shards, runner), undisturbed)

    def progress(done: int, of: int) -> None:
        if done == 3:
            nodes.lose(added.pop())

    with Ray(address=nodes.cluster.address) as runner:
        assert_same_bits(run(shards, runner, progress=progress), undisturbed)
    for node in added:
        nodes.lose(node)


@pytest.mark.long
@pytest.mark.parametrize("runner", ["threads", pytest.param("ray", marks=pytest.mark.long)])
def test_DI_02_a_killed_driver_goes_on_from_its_checkpoint_with_the_same_bits(
    runner: str, shards: Shards, tmp_path: Path
) -> None:
    def command(out: str, *more: str) -> list[str]:
        words = ["fit", "--shards", str(shards.folder), "--out", str(tmp_path / out), "--encoder", "none"]
        return [*COMMAND, *words, "--runner", runner, "--workers", "2", *more]

    kept = tmp_path / "kept"
    checkpoints = ["--checkpoint", str(kept), "--every", "1"]
    with subprocess.Popen(command("model", *checkpoints), stderr=subprocess.DEVNULL) as process:
        once(lambda: process.poll() is not None or sorted(kept.glob("g000[3-9]/_done.json")), 240.0)
        process.kill()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "model").exists()
    reached = [path.parent.name for path in kept.glob("g*/_done.json")]
    assert reached
    done = subprocess.run(command("model", *checkpoints, "--resume"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    whole = subprocess.run(command("whole"), capture_output=True, text=True, timeout=300)
    assert whole.returncode == 0, whole.stderr

    def taste(model: str) -> list[bytes]:
        return [path.read_bytes() for path in (tmp_path / model).glob("taste-*.safetensors")]

    assert taste("model") == taste("whole") != []
