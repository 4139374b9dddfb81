from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import threadpoolctl

from palate.errors import OptionError, RunnerError
from palate.machine import cores, one_core
from palate.runners import Handle, InProcess, Runner, Threads, open_runner, tree
from tests.runners import work

RUNNERS: dict[str, Callable[[], Runner]] = {
    "in-process": InProcess,
    "one thread": lambda: Threads(1),
    "three threads": lambda: Threads(3),
}


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    with RUNNERS[request.param]() as opened:
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


class Value:
    """Something whose end can be seen."""


class Marked:
    """Makes values and knows which of them are alive."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[Value] = weakref.WeakSet()

    def make(self, *_: object) -> Value:
        value = Value()
        self.alive.add(value)
        return value

    def left(self, number: int) -> int:
        """How many are alive, once they are so many: a thread that gave a value may hold it a moment longer."""
        until = time.monotonic() + 30
        while (gc.collect(), len(self.alive))[1] > number and time.monotonic() < until:
            time.sleep(0.01)
        return len(self.alive)


def test_what_is_freed_is_gone_and_tasks_that_need_it_still_get_it(runner: Runner) -> None:
    marked = Marked()
    first = runner.submit(marked.make)
    second = runner.submit(marked.make, first)
    third, fourth = runner.submit(lambda *_: (marked.make(), marked.make()), first, second, returns=2)
    runner.wait([first, second, third, fourth])
    assert len(marked.alive) == 4
    for freed, left in (([second], 3), ([third], 2), ([first, fourth], 0)):
        runner.free(freed)
        assert marked.left(left) == left
    with pytest.raises(OptionError, match="was freed"):
        runner.get(first)


def test_the_sums_on_the_way_of_a_tree_are_gone(runner: Runner) -> None:
    marked = Marked()
    handles = [runner.submit(marked.make) for _ in range(8)]
    total = tree(runner, handles, marked.make)
    runner.wait([total])
    assert marked.left(9) == 9
    runner.free([*handles, total])
    assert marked.left(0) == 0


def test_on_threads_a_sum_goes_before_work_that_would_make_more() -> None:
    """Eight leaves wait while the only thread is held; with the sums first at most four values lie at a time."""
    marked, begun, most = Marked(), threading.Event(), 0

    def leaf(*_: object) -> Value:
        nonlocal most
        value = marked.make()
        gc.collect()
        most = max(most, len(marked.alive))
        return value

    with Threads(1) as runner:
        held = runner.submit(begun.wait)
        handles = [runner.submit(leaf) for _ in range(8)]
        total = tree(runner, handles, leaf)
        runner.free(handles)
        begun.set()
        runner.wait([held, total])
    assert most <= 5  # one a level, and the one that is made


def test_inside_a_task_all_work_is_on_one_core_and_outside_it_is_not(runner: Runner) -> None:
    before = cores()
    seen = runner.submit(work.cores_seen, 0)
    assert runner.get(seen) == (1, 0)
    assert cores() == before
    with one_core():
        assert cores() == 1
    assert cores() == before


def test_while_a_runner_is_open_linear_algebra_is_on_one_thread() -> None:
    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}

    with threadpoolctl.threadpool_limits(2, "blas"):
        with Threads(2):
            assert threads() == {1}
        assert threads() == {2}


def test_a_function_that_gives_another_number_of_values_is_told(runner: Runner) -> None:
    handles = runner.submit(work.both, 1, 2, returns=3)
    with pytest.raises(OptionError, match="both gave 2 values, not a tuple of 3"):
        runner.get(handles[2])


def test_a_closed_runner_refuses_and_a_handle_of_another_is_refused() -> None:
    for make in RUNNERS.values():
        with make() as runner:
            pass
        with pytest.raises(OptionError, match="was closed"):
            runner.submit(float, 1)
        with make() as runner, pytest.raises(OptionError, match="the runner that made them"):
            runner.get(Handle("something else"))


def test_leaving_a_runner_drops_what_has_not_begun() -> None:
    begun, ran = threading.Event(), []
    with Threads(1) as runner:
        runner.submit(begun.set)
        begun.wait()
        for _ in range(1000):
            runner.submit(lambda: ran.append(threading.Event().wait(0.05)))
    assert len(ran) < 1000
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("palate-runner")]


@pytest.mark.parametrize(("name", "workers"), [("in-process", None), ("in-process", 1), ("threads", 2)])
def test_runners_are_opened_by_name(name: str, workers: int | None) -> None:
    with open_runner(name, workers=workers) as runner:
        assert runner.workers == (workers or 1)
        assert runner.get(runner.submit(float, 1)) == 1.0
    with open_runner("threads") as runner:
        assert runner.workers == cores()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("thread", {}, r"runner 'thread' is unknown\. Did you mean 'threads'"),
        ("threads", {"workers": 0}, "workers is 0"),
        ("in-process", {"workers": 2}, "has 1 worker, not 2"),
    ],
)
def test_what_no_runner_is_or_takes_is_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_runner(name, **options)  # type: ignore[arg-type]
