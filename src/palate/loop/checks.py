"""Arguments of the public calls, checked: of the wrong type or out of range they are one line, not a traceback."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np

from palate.entities import number_of, shown
from palate.errors import OptionError
from palate.random import derive_rng


def count(value: object, name: str, *, least: int = 0) -> int:
    """A whole number.

    Raises:
        OptionError: If it is none, or below ``least``.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the question is whether it is one
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise OptionError(f"{name} is {shown(value)}. Give a whole number from {least}.")
    return number


def share(value: object, name: str) -> float:
    """A number in [0, 1].

    Raises:
        OptionError: If it is none.
    """
    number = number_of(value)
    if not 0.0 <= number <= 1.0:  # false for NaN too
        raise OptionError(f"{name} is {shown(value)}. Give a number from 0 to 1.")
    return number


def names(value: object, name: str) -> tuple[str, ...]:
    """Several ids or names; one alone is not several.

    Raises:
        OptionError: If they are not.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise OptionError(f"{name} is {shown(value)}. Give several in a list, such as {name}=['a', 'b'].")
    return tuple(value)


def generator(rng: object, seed: int, *names: str) -> np.random.Generator:
    """The source of randomness that was given; without one, that of the seed and the names.

    Raises:
        OptionError: If it is something else.
    """
    if rng is None:
        return derive_rng(seed, *names)
    if not isinstance(rng, np.random.Generator):
        raise OptionError(f"rng is {shown(rng)}. Give numpy.random.default_rng(seed), or leave it out.")
    return rng
