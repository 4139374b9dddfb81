"""What this machine gives: cores to work on, and child processes that are given little."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

_ON_ONE: ContextVar[bool] = ContextVar("whether this thread works on one core", default=False)


def cores() -> int:
    """Cores this process may use, at least 1: fewer than the machine has where it was pinned to some, or told so by
    ``OMP_NUM_THREADS``, as other numerical libraries are; 1 within :func:`one_core`.
    """
    if _ON_ONE.get():
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(there, int(told)) if told.isdigit() and int(told) else there


def on_threads(work: Callable[..., Result], *arguments: Iterable[Any]) -> list[Result]:
    """``map(work, *arguments)`` on as many threads as there are cores, in order."""
    if cores() == 1:
        return list(map(work, *arguments))
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, *arguments))


@contextmanager
def one_core() -> Iterator[None]:
    """Within the block this thread, and no other, works on one core: :func:`cores` is 1, :func:`on_threads` serial.

    For work that is itself one of several parts done at once. Linear algebra is bounded by :func:`blas_threads`.
    """
    token = _ON_ONE.set(True)
    try:
        yield
    finally:
        _ON_ONE.reset(token)


@contextmanager
def blas_threads(number: int) -> Iterator[None]:
    """Linear algebra on so many threads, in the whole process, while the block or the decorated function runs.

    One is right for many small products: several threads wait for each other longer than they work, on a busy machine
    many times longer, and the last bits of a sum depend on how many there were.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(number, "blas"):
        yield


def start_child(script: Path, *arguments: object, requests: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that Ctrl-C is ours, with none of our environment but where libraries lie.

    Args:
        script: A file of ours, run by its path.
        requests: What it reads as standard input.
    """
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    environment = {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment |= {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-P", str(script), *map(str, arguments)],
        stdin=requests,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )


def give_up_rights(memory: int, *, files: int = 0, threads: bool = False) -> None:
    """From here on no file can be written, no process started, no more memory taken than the limit.

    Args:
        memory: In bytes, libraries included.
        files: The lowest descriptor that can no longer be opened.
        threads: Whether libraries start threads, which the system counts as processes.
    """
    for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, *(() if threads else (resource.RLIMIT_NPROC,))):
        resource.setrlimit(what, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if sys.platform == "linux":  # elsewhere the limit of address space is not kept, or cannot be set
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
