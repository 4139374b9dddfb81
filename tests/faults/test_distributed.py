"""Work on several nodes (rows DI of the fault matrix): what dies is done again, and what is not safe is refused.

The nodes are simulated: each is a Ray node of its own, with a store of its own, all on this machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from palate.errors import RunnerError
from palate.runners import Handle, Runner, ray_runner, tree, tree_sum
from palate.runners.ray_runner import Ray, processes_of
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
        from ray import _raylet
        from ray.cluster_utils import Cluster

        _raylet.Config.initialize("")  # what an earlier test left in this process
        _raylet.AuthenticationTokenLoader.instance().reset_cache()
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}, shutdown_at_exit=False
        )

    def grow(self, number: int, **options: Any) -> list[Any]:
        added = [self.cluster.add_node(wait=False, num_cpus=1, **options) for _ in range(number)]
        self.cluster.wait_for_nodes()
        return added

    def lose(self, node: Any) -> None:
        processes = processes_of(node)
        self.cluster.remove_node(node, allow_graceful=False)
        for process in processes:
            process.wait(30)

    def close(self) -> None:
        processes = [process for node in self.cluster.list_all_nodes() for process in processes_of(node)]
        self.cluster.shutdown()
        for process in processes:
            process.wait(30)


VARIABLES = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # 127.0.0.1 alone
}


@contextmanager
def started(*without: str) -> Iterator[Nodes]:
    """The head of a cluster, and the variables that its nodes are to have, but for these."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        for name in without:
            patch.delenv(name, raising=False)
        opened = Nodes()
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with started("OPENBLAS_CORETYPE") as opened:
        yield opened


@pytest.fixture
def two(nodes: Nodes) -> Iterator[list[Any]]:
    added = nodes.grow(2)
    yield added
    for node in added:
        if node in nodes.cluster.worker_nodes:
            nodes.lose(node)


@pytest.mark.long
def test_DI_01_a_killed_process_and_a_lost_node_are_made_up_for_and_no_bit_changes(
    nodes: Nodes, two: list[Any], tmp_path: Path
) -> None:
    total = expected()
    with Ray(address=nodes.cluster.address) as runner:
        assert runner.workers == 2

        handles = maps(runner, tmp_path / "killed", seconds=0.3)
        number, process, _ = once(lambda: [run for run in runs(tmp_path / "killed") if run[0] == 3])[0]
        os.kill(process, signal.SIGKILL)
        assert np.array_equal(runner.get(tree(runner, handles, work.add)), total)
        done = [run[0] for run in runs(tmp_path / "killed")]
        assert sorted(done) == sorted([*range(PARTS), number])  # that task again, and no other

        handles = maps(runner, tmp_path / "lost", seconds=0.5)  # long enough for both nodes to take some
        runner.wait(handles)
        lost = [number for number, _, node in runs(tmp_path / "lost") if node == two[1].node_id]
        assert 0 < len(lost) < PARTS
        nodes.lose(two[1])
        assert np.array_equal(runner.get(tree(runner, handles, work.add)), total)
        again = [number for number, _, _ in runs(tmp_path / "lost")]
        assert sorted(again) == sorted([*range(PARTS), *lost])


SCRIPT = """
from palate.errors import PalateError
from palate.runners import *
try:
    {}
except PalateError as error:
    print(error)
"""


def told(code: str, **variables: str) -> str:
    """What another process prints."""
    run = [sys.executable, "-c", SCRIPT.format(code)]
    done = subprocess.run(run, env=os.environ | variables, capture_output=True, text=True, timeout=300)
    return done.stdout or done.stderr


@pytest.mark.long
def test_DI_01_nodes_with_another_processor_are_refused(nodes: Nodes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_CORETYPE", "Nehalem")  # linear algebra as on that one
        mixed = nodes.grow(1)
    mixed += nodes.grow(1)
    with pytest.raises(RunnerError, match=r"has a processor with .*Nehalem.* Results would depend on where a task ran"):
        Ray(address=nodes.cluster.address)
    for node in mixed:
        nodes.lose(node)


@pytest.mark.long
def test_DI_03_a_cluster_wants_its_token_and_a_node_to_work_on(nodes: Nodes) -> None:
    address = nodes.cluster.address
    said = told(f"open_runner('ray', address={address!r})", RAY_AUTH_TOKEN=TOKEN[::-1])
    assert f"the cluster at {address} could not be used" in said
    assert "Look whether its token (RAY_AUTH_TOKEN) and its versions" in said
    with pytest.raises(RunnerError, match="has no node with a core"):
        Ray(address=address)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_DI_02_what_answers_but_is_no_cluster_is_told_within_seconds(
    answer: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_runner, "CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection, suppress(ConnectionError):
                if answer is not None:
                    connection.sendall(answer)
                while connection.recv(1000):  # until it is closed
                    pass

        threading.Thread(target=serve, daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(
            RunnerError, match=r"no Ray cluster answers at 127.0.0.1:\d+ \((timed out|not a Ray cluster)"
        ):
            Ray(address=f"127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - begun < 30
    with pytest.raises(RunnerError, match="no Ray cluster answers"):  # nobody listens any more
        Ray(address="127.0.0.1:1")


@pytest.mark.long
def test_DI_01_the_same_bits_on_1_2_and_4_nodes_with_20_processes_killed(nodes: Nodes, tmp_path: Path) -> None:
    total = expected()
    for number, new in ((1, 1), (2, 1), (4, 2)):
        nodes.grow(new)
        with Ray(address=nodes.cluster.address) as runner:
            assert runner.workers == number
            killed: set[int] = set()
            while len(killed) < (20 if number == 2 else 1):
                notes = tmp_path / f"{number}-{len(killed)}"
                handles = maps(runner, notes, seconds=0.3)
                for part in (2, 5):  # each task twice at most: a third loss of one is allowed, a fourth is not
                    process = once(lambda notes=notes, part=part: [run[1] for run in runs(notes) if run[0] == part])[0]
                    os.kill(process, signal.SIGKILL)
                    killed.add(process)
                assert np.array_equal(runner.get(tree(runner, handles, work.add)), total)
                assert len(runs(notes)) >= PARTS + 1
    for node in list(nodes.cluster.worker_nodes):
        nodes.lose(node)


@pytest.mark.long
def test_DI_01_a_task_that_the_node_has_no_memory_for_ends_the_job_in_one_line() -> None:
    said = told(
        "r = open_runner('ray', workers=1); r.wait([r.submit(__import__('time').sleep, 600)])",
        RAY_memory_usage_threshold="0.001",
        RAY_memory_monitor_refresh_ms="100",
        RAY_task_oom_retry_delay_base_ms="10",
    )
    assert "the task sleep did not fit in memory (the node was nearly full). Use more and smaller shards" in said


@pytest.mark.long
def test_DI_02_a_head_that_is_lost_ends_the_job_in_one_line() -> None:
    begun = time.monotonic()
    said = told(
        "import os, subprocess, time; r = open_runner('ray', workers=1); h = r.submit(time.sleep, 600); "
        "heads = subprocess.run(['pgrep', '-P', str(os.getpid()), 'gcs_server'], capture_output=True).stdout.split(); "
        "os.kill(int(heads[0]), 9); r.get(h)"
    )
    assert "the head of the cluster, 127.0.0.1:" in said
    assert "does not answer, and sleep waits. Start the cluster, and this, again" in said
    assert time.monotonic() - begun < 120


@pytest.mark.long
def test_DI_03_a_cluster_that_asks_for_no_token_is_refused() -> None:
    script = (
        "from ray.cluster_utils import Cluster; import sys\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})\n"
        "print(cluster.address, flush=True); sys.stdin.read(); cluster.shutdown()"
    )
    variables = (
        os.environ | VARIABLES | {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        said = told(f"open_runner('ray', address={address!r})", RAY_AUTH_TOKEN=TOKEN)
        cluster.stdin.close()
        cluster.wait(60)
    assert f"the cluster at {address} asks for no token: whoever reaches it runs code there." in said


@pytest.mark.long
def test_DI_03_started_here_it_is_seen_by_nobody_else_and_needs_no_network() -> None:
    """In a network name space of its own, whose only interface is that of the machine itself."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs root, unshare and ip")
    code = "from palate.runners import *\nwith open_runner('ray', workers=1) as r: print(r.get(r.submit(float, 7)))"
    command = f"ip link set lo up && {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    done = subprocess.run(["unshare", "-n", "sh", "-c", command], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1:] == ["7.0"], done.stderr[-2000:]
