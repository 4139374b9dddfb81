"""Work on several nodes (rows DI of the fault matrix): what dies is done again, and what is not safe is refused.

The nodes are simulated: each is a Ray node of its own, with a store of its own, all on this machine.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from palate.runners import Handle, Runner, tree, tree_sum
from palate.runners.ray_runner import Ray
from tests.runners import work

SIZE = 100_000  # float32: results of 400 kB lie in a node's store, not with the driver
PARTS = 8
TOKEN = "0123456789abcdef" * 4


def expected() -> NDArray[np.float32]:
    parts = [work.terms(number, SIZE) for number in range(PARTS)]
    total = tree_sum(parts, PARTS, work.add)
    assert not np.array_equal(reduce(work.add, parts), total)  # the control: else any order gives these bits
    return total


def maps(runner: Runner, notes: Path, seconds: float = 0.0) -> list[Handle]:
    notes.mkdir()
    return [runner.submit(work.noted, number, str(notes), seconds, SIZE) for number in range(PARTS)]


def runs(notes: Path) -> list[tuple[int, int, str]]:
    """Number, process and node of each run that began."""
    return [
        (int(number), int(process), node)
        for number, process, node in (path.name.split("-")[:3] for path in notes.iterdir())
    ]


def once(condition: Any, seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return found


class Nodes:
    """A cluster whose head works on nothing, and one core a node."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}, shutdown_at_exit=False
        )

    def grow(self, number: int, **options: Any) -> list[Any]:
        return [self.cluster.add_node(num_cpus=1, **options) for _ in range(number)]

    def lose(self, node: Any) -> None:
        self.cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self.cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # 127.0.0.1 alone
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.delenv("OPENBLAS_CORETYPE", raising=False)
        opened = Nodes()
        yield opened
        opened.close()


def test_DI_01_a_killed_process_and_a_lost_node_are_made_up_for_and_no_bit_changes(
    nodes: Nodes, tmp_path: Path
) -> None:
    total = expected()
    first, second = nodes.grow(2)
    with Ray(address=nodes.cluster.address) as runner:
        assert runner.workers == 2

        handles = maps(runner, tmp_path / "killed", seconds=0.2)
        number, process, _ = once(lambda: [run for run in runs(tmp_path / "killed") if run[0] == 3])[0]
        os.kill(process, signal.SIGKILL)
        assert np.array_equal(runner.get(tree(runner, handles, work.add)), total)
        done = [run[0] for run in runs(tmp_path / "killed")]
        assert sorted(done) == sorted([*range(PARTS), number])  # that task again, and no other

        handles = maps(runner, tmp_path / "lost")
        runner.wait(handles)
        lost = [number for number, _, node in runs(tmp_path / "lost") if node == second.node_id]
        assert 0 < len(lost) < PARTS
        nodes.lose(second)
        assert np.array_equal(runner.get(tree(runner, handles, work.add)), total)
        again = [number for number, _, _ in runs(tmp_path / "lost")]
        assert sorted(again) == sorted([*range(PARTS), *lost])
    nodes.lose(first)
