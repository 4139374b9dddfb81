"""What every runner does alike; Ray is started once for this file."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import psutil
import pytest

from palate.errors import MissingExtra, OptionError, RunnerError, UnknownItem
from palate.machine import cores, one_core
from palate.runners import InProcess, Runner, Threads, open_runner, tree
from palate.runners.kind import Kind, differences, kind_here
from palate.runners.ray_runner import Ray
from tests.runners import work

STORE = 80 * 2**20
LOCAL: dict[str, Callable[[], Runner]] = {
    "in-process": InProcess,
    "one thread": lambda: Threads(1),
    "three threads": lambda: Threads(3),
}


@pytest.fixture(scope="module")
def started() -> Iterator[Ray]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patch.setenv(name, "2")  # what the user set for other programs is not for tasks
        opened = Ray(workers=2, store_bytes=STORE)
    with opened:
        yield opened
    assert opened.folder is not None
    assert not opened.folder.exists()
    assert {"raylet", "gcs_server"}.isdisjoint(process.name() for process in psutil.Process().children())


@pytest.fixture(params=[*LOCAL, "ray"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "ray":
        yield request.getfixturevalue("started")
    else:
        with LOCAL[request.param]() as opened:
            yield opened


def test_handles_arrive_as_values_alone_in_lists_and_in_tuples(runner: Runner) -> None:
    one, two = runner.submit(float, 1), runner.submit(float, 2)
    assert runner.get(runner.submit(work.total, [one, 10.0, two], one)) == 14.0
    assert runner.get(runner.submit(work.total, (one, two))) == 3.0
    first, second = runner.submit(work.both, one, [two], returns=2)
    assert (runner.get(first), runner.get(second)) == (1.0, [2.0])


def test_many_tasks_that_stand_on_each_other_end(runner: Runner) -> None:
    leaves = [runner.submit(work.terms, number) for number in range(37)]
    sums = [tree(runner, leaves[first:], work.add) for first in range(0, 37, 6)]
    runner.wait(sums)
    with InProcess() as other:
        expected = other.get(tree(other, [other.submit(work.terms, number) for number in range(37)], work.add))
    assert np.array_equal(runner.get(sums[0]), expected)


def test_a_failure_is_raised_where_the_value_is_asked_for_and_by_all_that_stand_on_it(runner: Runner) -> None:
    failed = runner.submit(work.fail, "out of range")
    on_it = runner.submit(work.total, [runner.submit(float, 1), failed])
    fine = runner.submit(float, 3)
    for ask in (runner.get, lambda handle: runner.wait([fine, handle])):
        for handle in (failed, on_it):
            with pytest.raises(ValueError, match="out of range"):
                ask(handle)
    assert runner.get(fine) == 3.0


def test_what_does_not_fit_in_memory_is_one_line_with_a_remedy(runner: Runner) -> None:
    with pytest.raises(
        RunnerError, match=r"too_much did not fit in memory \(Unable .* an array\)\. Use more and smaller"
    ):
        runner.get(runner.submit(work.too_much, 0))


def test_inside_a_task_all_work_is_on_one_core_and_outside_it_is_not(runner: Runner) -> None:
    before = cores()
    seen = runner.submit(work.cores_seen, 0)
    assert runner.get(seen) == (1, 0)
    assert cores() == before
    with one_core():
        assert cores() == 1
    assert cores() == before


def test_a_function_that_gives_another_number_of_values_is_told(runner: Runner) -> None:
    handles = runner.submit(work.both, 1, 2, returns=3)
    with pytest.raises(OptionError, match="both gave 2 values, not a tuple of 3"):
        runner.get(handles[2])


def test_in_a_task_of_ray_linear_algebra_is_on_one_thread_and_nothing_is_reported(started: Ray) -> None:
    seen = started.get(started.submit(work.seen_in_task, started.submit(work.terms, 1, 10**6)))
    assert seen == {
        "threads": [1],
        "writeable": False,  # it lies in memory that processes share
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
    }


def test_what_is_got_from_ray_is_the_callers_own(started: Ray) -> None:
    handle = started.submit(work.terms, 1, 10**6)
    first = started.get(handle)
    first[:] = 0
    assert np.array_equal(started.get(handle), work.terms(1, 10**6))


def spilled(runner: Ray) -> int:
    """Bytes that did not fit into the store, on the disk."""
    assert runner.folder is not None
    return sum(path.stat().st_size for path in runner.folder.rglob("ray_spilled_objects*/*") if path.is_file())


def test_what_does_not_fit_into_the_store_lies_on_the_disk_and_what_is_freed_is_gone(started: Ray) -> None:
    """Twelve values of 16 MB for a store of 80 MB, in turn freed and kept."""
    size, expected = 4 * 10**6, work.terms(3, 4 * 10**6)
    before = spilled(started)
    for _ in range(12):
        handle = started.submit(work.terms, 3, size)
        started.wait([handle])
        started.free([handle])
    assert spilled(started) == before
    kept = [started.submit(work.terms, 3, size) for _ in range(12)]
    started.wait(kept)
    assert spilled(started) > before  # else the store holds them all, and the test shows nothing
    assert all(np.array_equal(started.get(handle), expected) for handle in kept)
    started.free(kept)


def test_a_process_that_dies_at_each_try_is_one_line_with_a_remedy(started: Ray) -> None:
    failed = started.submit(work.ended, 0)
    for handle in (failed, started.submit(work.total, [failed])):
        with pytest.raises(
            RunnerError, match=r"or one that it stands on, ended its process 4 times\. Look at its memory"
        ):
            started.get(handle)


def test_one_ray_a_process(started: Ray) -> None:
    with pytest.raises(RunnerError, match="Ray already runs in this process"):
        open_runner("ray", workers=1)
    assert started.get(started.submit(float, 1)) == 1.0


def test_errors_arrive_from_another_process(started: Ray) -> None:
    for error in (MissingExtra("torch", "hf", "the encoder"), UnknownItem("x")):
        with pytest.raises(type(error), match=re.escape(str(error))):
            started.get(started.submit(work.raised, error))


def test_without_ray_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"needs the library 'ray'.*pip install '\.\[scale\]'"):
        open_runner("ray")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": "10.0.0.5:6379", "workers": 2}, "has the workers that it has"),
        ({"address": "auto"}, "'auto' is not HOST:PORT"),
        ({"address": "ray://10.0.0.5:6379"}, "is not HOST:PORT"),
        ({"workers": 0}, "workers is 0"),
        ({"workers": "2"}, "workers is '2'"),
    ],
)
def test_what_ray_does_not_take_is_refused_before_it_starts(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_runner("ray", **options)  # type: ignore[arg-type]


def listening(process: psutil.Process) -> set[str]:
    processes = [process, *process.children(recursive=True)]
    places = [place for one in processes for place in one.net_connections("inet") if place.status == "LISTEN"]
    assert len(places) > 4  # of the store, the head, the node and its processes
    return {place.laddr.ip.removeprefix("::ffff:") for place in places}


def test_DI_03_ray_is_seen_by_this_machine_and_user_alone_and_leaves_nothing_behind(started: Ray) -> None:
    assert started.folder is not None
    assert listening(psutil.Process()) == {"127.0.0.1"}
    assert started.folder.stat().st_mode & 0o777 == 0o700
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert tuple(map(int, version("ray").split("."))) >= (2, 56)  # the first without the known holes


KIND = Kind("3.11", "0.1.0 (1a)", (("numpy", "2.4.6"), ("ray", "2.60.0")), ("x86_64", "znver5", "SkylakeX"))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, ""),
        ({"python": "3.12"}, "this process has Python 3.11, node B has Python 3.12."),
        ({"palate": "0.1.0 (2b)"}, "this process has Palate 0.1.0 (1a), node B has Palate 0.1.0 (2b)."),
        (
            {"libraries": (("numpy", "2.5.0"), ("ray", "2.60.0"))},
            "this process has numpy 2.4.6, node B has numpy 2.5.0.",
        ),
        (
            {"processor": ("x86_64", "znver4", "SkylakeX")},
            "node A has a processor with znver5, node B has a processor with znver4.",
        ),
    ],
)
def test_what_would_change_bits_from_node_to_node_is_told(other: dict[str, Any], said: str) -> None:
    assert differences({"node A": KIND, "node B": KIND._replace(**other)}, here=KIND) == said


def test_the_processor_of_this_process_does_not_count() -> None:
    here = KIND._replace(processor=("arm64",))
    assert differences({"node A": KIND, "node B": KIND}, here=here) == ""
    assert differences({"node A": KIND}, here=here._replace(palate="0.2.0 (1a)")) != ""


def test_a_task_on_a_node_that_joined_later_and_differs_is_refused(started: Ray) -> None:
    theirs, kind = started.get(started.submit(kind_here)), started._kind
    started._kind = theirs._replace(processor=("x86_64", "another"))
    with pytest.raises(RunnerError, match=r"has a processor with .*, another has a processor with another"):
        started.get(started.submit(float, 1))
    started._kind = theirs
    assert started.get(started.submit(float, 1)) == 1.0
    started._kind = kind
