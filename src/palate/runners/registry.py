"""Runners by name."""

from __future__ import annotations

from palate.errors import OptionError
from palate.errors.checks import count, one_of
from palate.machine import cores
from palate.runners.local import InProcess, Threads
from palate.runners.protocol import Runner

RUNNERS = ("in-process", "threads")


def open_runner(name: str, *, workers: int | None = None) -> Runner:
    """The runner of a name.

    Args:
        name: ``in-process`` or ``threads``.
        workers: How many tasks run at once; ``None``: one a core of this machine.
    Raises:
        OptionError: If the name is unknown, or it does not take what was given.
    """
    one_of(name, RUNNERS, "runner")
    if workers is not None:
        count(workers, "workers", least=1, most=4096)
    if name == "in-process":
        if workers not in (None, 1):
            raise OptionError(f"the runner 'in-process' has 1 worker, not {workers}. Use threads.")
        return InProcess()
    return Threads(cores() if workers is None else workers)
