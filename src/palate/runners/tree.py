"""A sum in a fixed order: a binary tree over the places of its terms, whatever runs them and wherever they lie.

Rounding makes the sum of floating-point numbers depend on the order of its terms. The tree splits n terms at the
largest power of two below n, so that 2^k neighbours that begin at a multiple of 2^k are one subtree: whoever holds them
may add them up first, and no bit changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from palate.errors import OptionError
from palate.errors.checks import count
from palate.runners.protocol import Handle, Runner

T = TypeVar("T")


def tree(runner: Runner, handles: Sequence[Handle], add: Callable[[Any, Any], Any]) -> Handle:
    """The sum of what the handles hold, by tasks.

    Args:
        handles: At least one, in the order of the terms. They stay the caller's; sums on the way are freed.
        add: Gives the sum of two, and leaves both as they are.
    Returns:
        A handle of the sum, to be freed by the caller; of one term a new handle of the same value.
    """
    n = len(handles)
    if n < 2:
        return runner.submit(_same, *_some(handles))  # type: ignore[no-any-return]
    return _over(runner, handles, add)


def _over(runner: Runner, handles: Sequence[Handle], add: Callable[[Any, Any], Any]) -> Handle:
    if len(handles) == 1:
        return handles[0]
    middle = 1 << (len(handles) - 1).bit_length() - 1
    left, right = _over(runner, handles[:middle], add), _over(runner, handles[middle:], add)
    total: Handle = runner.submit(add, left, right)
    runner.free([side for side, terms in ((left, middle), (right, len(handles) - middle)) if terms > 1])
    return total


def _some(handles: Sequence[Handle]) -> Sequence[Handle]:
    if not handles:
        raise OptionError("a sum of 0 handles has no value. Give at least 1.")
    return handles


def _same(value: T) -> T:
    return value


def tree_sum(parts: Iterable[T], n: int, add: Callable[[T, T], T]) -> T:
    """The sum of ``n`` parts in the order of :func:`tree`, inside one task: at most log2(n) + 1 of them alive at once.

    Args:
        parts: Taken one after another.
        add: Gives the sum of two; it may add into the first.
    """
    count(n, "n", least=1)
    sums: list[tuple[int, T]] = []  # how many parts, their sum: as the digits of a binary number
    taken = 0
    for part in parts:
        taken += 1
        terms, total = 1, part
        while sums and sums[-1][0] == terms:
            terms, total = 2 * terms, add(sums.pop()[1], total)
        sums.append((terms, total))
    if taken != n:
        raise OptionError(f"there are {taken:,} parts, not {n:,}. Give as many as n says.")
    total = sums.pop()[1]
    while sums:
        total = add(sums.pop()[1], total)
    return total
