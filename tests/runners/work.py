"""Pure functions for tasks: of a module, so that a task in another process finds them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from palate.machine import cores, on_threads


def terms(number: int, size: int = 1000) -> NDArray[np.float32]:
    """Numbers of very unequal size, whose sum depends on the order in which it is made."""
    return np.random.default_rng(number).lognormal(0.0, 4.0, size).astype(np.float32)


def add(left: Any, right: Any) -> Any:
    return left + right


def nest(left: object, right: object) -> tuple[object, object]:
    return left, right


def total(parts: list[float], more: float = 0.0) -> float:
    return sum(parts) + more


def both(first: object, second: object) -> tuple[object, object]:
    return first, second


def cores_seen(_: int) -> tuple[int, int]:
    import threading

    here = threading.get_ident()
    return cores(), sum(one != here for one in on_threads(lambda _: threading.get_ident(), range(8)))


def fail(reason: str) -> None:
    raise ValueError(reason)


def too_much(_: int) -> None:
    raise MemoryError("Unable to allocate 8.00 EiB for an array")


def noted(number: int, folder: str, seconds: float = 0.0, size: int = 1000) -> NDArray[np.float32]:
    """The terms of a number, and a file about each run: number, process, node."""
    import ray

    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
    (Path(folder) / f"{number}-{os.getpid()}-{node}-{time.monotonic_ns()}").touch()
    time.sleep(seconds)
    return terms(number, size)


def ended(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def seen_in_task(array: NDArray[np.float32]) -> dict[str, object]:
    """What a task finds around it."""
    info = threadpoolctl.threadpool_info()
    names = ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE")
    return {
        "threads": sorted({one["num_threads"] for one in info if one["user_api"] == "blas"}),
        "writeable": array.flags.writeable,
        **{name: os.environ.get(name) for name in names},
    }


def raised(error: Exception) -> None:
    raise error
