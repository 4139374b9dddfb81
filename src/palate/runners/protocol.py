"""What a runner is: where pure functions run, here or elsewhere, without any bit of the result depending on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

from palate.errors import OptionError
from palate.errors.checks import instance

Kind = TypeVar("Kind")


class Handle:
    """What a task will give, one value; made by :meth:`Runner.submit`, opaque to all but its runner."""

    __slots__ = ("_held",)

    def __init__(self, held: object) -> None:
        self._held = held

    def held(self, kind: type[Kind]) -> Kind:
        """What its runner keeps under it.

        Raises:
            OptionError: If it was freed, or another runner made it.
        """
        if self._held is None:
            raise OptionError("the handle was freed. Free it after the last call that needs it.")
        return instance(self._held, kind, "what the handle holds", "handles to the runner that made them")

    def drop(self) -> None:
        self._held = None


class Runner(Protocol):
    """Runs pure functions as tasks. Inside a task all work is on one core, so that bits do not depend on the machine's.

    A context manager; leaving it is :meth:`close`.

    Attributes:
        workers: How many tasks run at once.
        nodes: How many machines they run on.

    Stability: internal.
    """

    workers: int
    nodes: int

    def submit(self, function: Callable[..., Any], *arguments: Any, returns: int = 1, near: int | None = None) -> Any:
        """Starts a task.

        Args:
            function: Of a module, and pure: it may run twice, on another machine too. Arrays that it is given may be
                read-only.
            arguments: Small values, or a Handle, or a list or tuple that holds some: those arrive as their values.
            returns: How many values it gives, in a tuple where it is not 1.
            near: Tasks of one number run on one machine where that can be, so that what one gives another does not
                travel: number ``near`` of them, modulo :attr:`nodes`. None: anywhere.
        Returns:
            A Handle, or a tuple of ``returns`` of them.
        """

    def get(self, handle: Handle) -> Any:
        """The value, once it is there: small things only.

        Raises:
            PalateError: What the function raised (any other exception too), or a RunnerError where it could not run.
        """

    def wait(self, handles: Iterable[Handle]) -> None:
        """Until all are done; the first that failed is raised, as :meth:`get` would."""

    def free(self, handles: Iterable[Handle]) -> None:
        """The caller no longer needs them; tasks that were submitted with them still get their values."""

    def close(self) -> None:
        """Ends what it started; tasks that have not begun are dropped."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def replaced(arguments: Sequence[Any], kind: type[Kind], change: Callable[[Kind], Any]) -> list[Any]:
    """The arguments with each one of a kind changed, also inside a list or a tuple.

    >>> replaced([1, "a", ["b", 2]], str, str.upper)
    [1, 'A', ['B', 2]]
    """

    def one(argument: Any) -> Any:
        if isinstance(argument, kind):
            return change(argument)
        if isinstance(argument, list | tuple) and any(isinstance(part, kind) for part in argument):
            parts = [change(part) if isinstance(part, kind) else part for part in argument]
            return tuple(parts) if isinstance(argument, tuple) else parts
        return argument

    return [one(argument) for argument in arguments]


def values_of(function: Callable[..., Any], value: Any, returns: int) -> tuple[Any, ...]:
    """What a function gave, as a tuple of so many."""
    if returns == 1:
        return (value,)
    if not isinstance(value, tuple) or len(value) != returns:
        given = f"{len(value)} values" if isinstance(value, tuple) else f"a {type(value).__name__}"
        raise OptionError(
            f"{function.__name__} gave {given}, not a tuple of {returns}. Submit it with its own `returns`."
        )
    return value
