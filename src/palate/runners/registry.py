"""Runners by name."""

from __future__ import annotations

from palate.errors import OptionError
from palate.errors.checks import count, one_of
from palate.machine import cores
from palate.runners.local import InProcess, Threads
from palate.runners.protocol import Runner

RUNNERS = ("in-process", "threads", "ray")


def open_runner(name: str, *, workers: int | None = None, address: str | None = None) -> Runner:
    """The runner of a name.

    Args:
        name: ``in-process``, ``threads`` or ``ray``.
        workers: How many tasks run at once; ``None``: one a core of this machine.
        address: Of a Ray cluster that runs, whose nodes are the workers; ``None``: Ray is started here, and ended
            with the runner.
    Raises:
        OptionError: If the name is unknown, or it does not take what was given.
        MissingExtra: If Ray is not installed.
        RunnerError: If Ray does not start, the cluster does not answer, or its nodes differ in what they run.
    """
    one_of(name, RUNNERS, "runner")
    if address is not None and name != "ray":
        raise OptionError(f"the runner {name!r} takes no address. Use ray, or leave the address out.")
    if workers is not None:
        count(workers, "workers", least=1, most=4096)
    if name == "in-process":
        if workers not in (None, 1):
            raise OptionError(f"the runner 'in-process' has 1 worker, not {workers}. Use threads or ray.")
        return InProcess()
    if name == "threads":
        return Threads(cores() if workers is None else workers)
    from palate.runners.ray_runner import Ray

    return Ray(workers=workers, address=address)
