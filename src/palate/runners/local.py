"""Runners inside this process: at once, and on threads."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType
from typing import Any, NoReturn

from palate.errors import OptionError, RunnerError
from palate.errors.checks import count
from palate.machine import blas_threads, one_core
from palate.runners.protocol import Handle, replaced, values_of


class _Place:
    """Where one value of a task will lie."""

    __slots__ = ("depth", "done", "error", "value", "waiting")

    def __init__(self, depth: int) -> None:
        self.depth = depth  # how many tasks, one after another, it takes
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.waiting: list[_Task] = []


class _Task:
    """A call whose values go to places; it begins once none of its arguments is missing."""

    def __init__(self, function: Callable[..., Any], arguments: list[Any], places: tuple[_Place, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.places = places
        self.missing = 0

    def run(self, on: Callable[[], AbstractContextManager[None]]) -> tuple[tuple[Any, ...], BaseException | None]:
        """The values, or what was raised. An argument that failed is the failure of the task."""
        failed: list[BaseException] = []

        def value(place: _Place) -> Any:
            if place.error is not None:
                failed.append(place.error)
            return place.value

        arguments = replaced(self.arguments, _Place, value)
        nothing = (None,) * len(self.places)
        if failed:
            return nothing, failed[0]
        try:
            with on():
                return values_of(self.function, self.function(*arguments), len(self.places)), None
        except MemoryError as error:
            return nothing, too_large(self.function.__name__, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the value is asked for
            return nothing, error


def too_large(function: str, reason: str) -> RunnerError:
    """What is raised where a task does not fit into memory."""
    return RunnerError(
        f"the task {function} did not fit in memory ({reason.rstrip('.') or 'no more could be had'}). "
        "Use more and smaller shards, fewer --workers, or a machine with more memory."
    )


class Threads:
    """Tasks on threads of this process, each on one core.

    Of tasks that can begin, the one that stands on most others does first: a sum of two results goes before work that
    would make a third, so that few lie in memory.

    While it is open, linear algebra of the whole process is on one thread: see :func:`palate.machine.blas_threads`.

    Args:
        workers: How many threads.
    """

    nodes = 1

    def __init__(self, workers: int) -> None:
        self.workers = count(workers, "workers", least=1, most=4096)
        self._blas = _linear_algebra_on_one_thread()
        self._changed = threading.Condition()
        self._ready: list[tuple[int, int, _Task]] = []
        self._submitted = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"palate-runner-{number}", daemon=True)
            for number in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: Any, returns: int = 1, near: int | None = None) -> Any:
        needed: list[_Place] = []

        def place_of(handle: Handle) -> _Place:
            needed.append(handle.held(_Place))
            return needed[-1]

        inner = replaced(arguments, Handle, place_of)
        depth = 1 + max((place.depth for place in needed), default=0)
        places = tuple(_Place(depth) for _ in range(count(returns, "returns", least=1)))
        task = _Task(function, inner, places)
        with self._changed:
            if self._closed:
                _refuse()
            for place in needed:
                if not place.done:
                    task.missing += 1
                    place.waiting.append(task)
            if not task.missing:
                self._make_ready(task)
        return Handle(places[0]) if returns == 1 else tuple(map(Handle, places))

    def _make_ready(self, task: _Task) -> None:
        self._submitted += 1
        heapq.heappush(self._ready, (-task.places[0].depth, self._submitted, task))
        self._changed.notify_all()

    def _work(self) -> None:
        while self._run_next():  # between two it holds nothing of either
            pass

    def _run_next(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed)
            if self._closed:
                return False
            task = heapq.heappop(self._ready)[2]
        values, error = task.run(one_core)
        with self._changed:
            for place, value in zip(task.places, values, strict=True):
                place.value, place.error, place.done = value, error, True
                for other in place.waiting:
                    other.missing -= 1
                    if not other.missing:
                        self._make_ready(other)
                place.waiting.clear()
            self._changed.notify_all()
        return True

    def get(self, handle: Handle) -> Any:
        place = handle.held(_Place)
        with self._changed:
            self._changed.wait_for(lambda: place.done or self._closed)
        if not place.done:
            _refuse()
        if place.error is not None:
            raise place.error
        return place.value

    def wait(self, handles: Iterable[Handle]) -> None:
        places = [handle.held(_Place) for handle in handles]

        def failed() -> BaseException | None:
            return next((place.error for place in places if place.error is not None), None)

        with self._changed:
            self._changed.wait_for(lambda: failed() or all(place.done for place in places) or self._closed)
        if error := failed():
            raise error
        if not all(place.done for place in places):
            _refuse()

    def free(self, handles: Iterable[Handle]) -> None:
        for handle in handles:
            handle.drop()

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._blas.close()

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InProcess:
    """Tasks at once, in :meth:`submit`, on the thread that submits. One of them is one core's work.

    While it is open, linear algebra of the whole process is on one thread: see :func:`palate.machine.blas_threads`.

    Args:
        all_cores: Whether a task may work on all cores, as the same work outside a runner.
    """

    workers = nodes = 1

    def __init__(self, *, all_cores: bool = False) -> None:
        self._on = nullcontext if all_cores else one_core
        self._blas = _linear_algebra_on_one_thread()
        self._closed = False

    def submit(self, function: Callable[..., Any], *arguments: Any, returns: int = 1, near: int | None = None) -> Any:
        if self._closed:
            _refuse()
        places = tuple(_Place(1) for _ in range(count(returns, "returns", least=1)))
        values, error = _Task(function, replaced(arguments, Handle, lambda one: one.held(_Place)), places).run(self._on)
        for place, value in zip(places, values, strict=True):
            place.value, place.error, place.done = value, error, True
        return Handle(places[0]) if returns == 1 else tuple(map(Handle, places))

    def get(self, handle: Handle) -> Any:
        place = handle.held(_Place)
        if place.error is not None:
            raise place.error
        return place.value

    def wait(self, handles: Iterable[Handle]) -> None:
        for handle in handles:
            self.get(handle)

    def free(self, handles: Iterable[Handle]) -> None:
        for handle in handles:
            handle.drop()

    def close(self) -> None:
        self._closed = True
        self._blas.close()

    def __enter__(self) -> InProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse() -> NoReturn:
    raise OptionError("the runner was closed. Open another one.")


def _linear_algebra_on_one_thread() -> ExitStack:
    import scipy.linalg  # noqa: F401 - brings an OpenBLAS of its own; only one that is loaded can be limited

    limited = ExitStack()
    limited.enter_context(blas_threads(1))
    return limited
