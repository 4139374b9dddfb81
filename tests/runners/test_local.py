from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
import threadpoolctl

from palate.errors import OptionError
from palate.machine import cores
from palate.runners import Handle, InProcess, Runner, Threads, open_runner, tree

RUNNERS: dict[str, Callable[[], Runner]] = {
    "in-process": InProcess,
    "one thread": lambda: Threads(1),
    "three threads": lambda: Threads(3),
}


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    with RUNNERS[request.param]() as opened:
        yield opened


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


@pytest.mark.long
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


def test_while_a_runner_is_open_linear_algebra_is_on_one_thread() -> None:
    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}

    with threadpoolctl.threadpool_limits(2, "blas"):
        with Threads(2):
            assert threads() == {1}
        assert threads() == {2}


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
