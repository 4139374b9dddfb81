"""Attributes of users as numbers: what a column of a table becomes, and what somebody tells of one user."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from palate.arrays import Array
from palate.errors import OptionError, did_you_mean, some_of
from palate.errors.checks import number, shown

Columns = Mapping[str, Sequence[object]]
Told = float | str | None  # one attribute of one user; None is missing
RARE = 0.02  # share of the users below which a category is pooled with the other rare ones
FAR = 100.0  # standard deviations from the mean beyond which a number that somebody tells is a slip
WIDEST = 1000  # numbers that encode the attributes; a square matrix of that size is decomposed
_HUGE = 1e30
_NUMERAL = re.compile(r"\s*-?(0|[1-9][0-9]*)(\.[0-9]+)?\s*")  # not 07030, which is a postal code
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Number:
    """An attribute that is a number: standardised, and 0 where it is missing."""

    name: str
    mean: float
    deviation: float

    @property
    def width(self) -> int:
        return 1

    def encode(self, values: Sequence[object]) -> Array:
        """(n, 1).

        Raises:
            OptionError: If a value is not a number.
        """
        numbers = [self.mean if _missing(value) else self._number(value) for value in values]
        return (np.array(numbers, dtype=np.float64)[:, None] - self.mean) / self.deviation

    def read(self, value: object) -> float | None:
        """The value as a number; None where it is missing or none."""
        return None if _missing(value) else _number(value)

    def check(self, value: object) -> float:
        """What somebody tells, as a number.

        Raises:
            OptionError: If it is none, or so far from everybody else's that it must be a slip.
        """
        number = self._number(value)
        if abs(number - self.mean) > FAR * self.deviation:
            others = f"{self.mean:.4g} ± {self.deviation:.2g}"
            raise OptionError(f"the attribute {self.name} is {number:g}, of the fitted users {others}. Give another.")
        return number

    def _number(self, value: object) -> float:
        number = _number(value)
        if number is None:
            raise OptionError(f"the attribute {self.name} is {shown(value)}. Give a number.")
        return number


@dataclass(frozen=True, slots=True)
class Category:
    """An attribute that is one of a few: an indicator for each, less its share, and all 0 where it is missing.

    Attributes:
        levels: The categories that are not rare, sorted.
        shares: Their shares among those who have one.
        pooled: Share of the rare ones together, which have one indicator, as a category never seen has; 0 for none.
    """

    name: str
    levels: tuple[str, ...]
    shares: tuple[float, ...]
    pooled: float

    @property
    def width(self) -> int:
        return len(self.levels) + (self.pooled > 0)

    def encode(self, values: Sequence[object]) -> Array:
        """(n, width). A category never seen counts as a rare one, or as missing where there was no rare one."""
        shares = np.array([*self.shares, self.pooled][: self.width])
        encoded = np.zeros((len(values), self.width))
        for row, value in zip(encoded, values, strict=True):
            place = self.levels.index(str(value)) if str(value) in self.levels else len(self.levels)
            if not _missing(value) and place < self.width:
                row[:] = -shares
                row[place] += 1.0
        return encoded

    def known_to(self, values: Collection[str]) -> Category:
        """The same, where categories that none of these values is have no name any more."""
        levels = (level if level in values else f"(erased {place})" for place, level in enumerate(self.levels))
        return replace(self, levels=tuple(levels))

    def read(self, value: object) -> str | None:
        """The value as text; None where it is missing."""
        return None if _missing(value) else str(value)

    def check(self, value: object) -> str:
        """What somebody tells, as text.

        Raises:
            OptionError: If it cannot name a category, or names one that nobody had, where there were no rare ones.
        """
        is_huge = isinstance(value, int) and abs(value) > _HUGE
        if is_huge or not isinstance(value, (str, bool, np.bool_, int, np.integer)):
            raise OptionError(f"the attribute {self.name} is {shown(value)}. Give text.")
        if not self.pooled and str(value) not in self.levels:
            known = ", ".join(self.levels[:12])
            raise OptionError(f"the attribute {self.name} is {shown(value)}, which no user had. Give one of {known}.")
        return str(value)


@dataclass(frozen=True, slots=True)
class Coding:
    """How a table of attributes becomes numbers, H of them."""

    attributes: tuple[Number | Category, ...]

    @classmethod
    def of(cls, columns: Columns) -> Coding:
        """For a table, a column of n values each: numbers, written out too, or text and truth values as categories.

        What is the same for all says nothing and is left out, what is different for all names the users and is too, as
        are columns of other kinds and of mixed ones, and what comes after :data:`WIDEST` numbers.
        """
        kept: list[Number | Category] = []
        for name, values in columns.items():
            attribute = _attribute(name, [value for value in values if not _missing(value)])
            if attribute is not None and sum(one.width for one in kept) + attribute.width > WIDEST:
                _log.warning("the attribute %r and those after it are left out: more than %d numbers", name, WIDEST)
                break
            kept += [] if attribute is None else [attribute]
        return cls(tuple(kept))

    def as_dicts(self) -> list[dict[str, Any]]:
        """As JSON holds it."""
        return [asdict(attribute) for attribute in self.attributes]

    @classmethod
    def from_dicts(cls, attributes: Iterable[Mapping[str, Any]]) -> Coding:
        """From what :meth:`as_dicts` gave.

        Raises:
            KeyError, TypeError, ValueError: If it is something else.
        """
        return cls(tuple(map(_from_dict, attributes)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def width(self) -> int:
        return sum(attribute.width for attribute in self.attributes)

    def check(self, values: Mapping[str, object]) -> dict[str, Told]:
        """What somebody tells of a user by name, as it is kept; None, empty text and NaN are missing.

        Where nothing was fitted every name is taken, and every text and number.

        Raises:
            OptionError: If a name is none of the fitted ones, or a value cannot be taken.
        """
        if not self.attributes:
            return {name: None if _absent(value) else _unread(name, value) for name, value in values.items()}
        self.check_names(values)
        attributes = {attribute.name: attribute for attribute in self.attributes}
        return {name: None if _absent(value) else attributes[name].check(value) for name, value in values.items()}

    def check_names(self, names: Iterable[str]) -> None:
        """Raises OptionError if one of them is none of the fitted ones."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            known = f"{did_you_mean(unknown[0], self.names)} The attributes are: {some_of(self.names)}.".strip()
            raise OptionError(f"the attribute {unknown[0][:40]!r} was not fitted. {known}")

    def encode(self, columns: Columns, n: int) -> Array:
        """Attributes of n users, (n, H); one without a column is missing for all, a column never fitted is ignored."""
        parts = [attribute.encode(columns.get(attribute.name, [None] * n)) for attribute in self.attributes]
        return np.concatenate([np.zeros((n, 0)), *parts], 1)


def _from_dict(one: Mapping[str, Any]) -> Number | Category:
    found: Number | Category
    if "levels" in one:
        found = Category(one["name"], tuple(one["levels"]), tuple(one["shares"]), one["pooled"])
        sound = all(isinstance(level, str) for level in found.levels) and len(found.levels) == len(found.shares)
        numbers: tuple[object, ...] = (*found.shares, found.pooled)
    else:
        found = Number(**one)
        numbers = (found.mean, found.deviation)
        sound = found.deviation > 0.0
    if not (sound and isinstance(found.name, str) and all(isinstance(number, (int, float)) for number in numbers)):
        raise ValueError(f"{one!r:.80} is no attribute")
    return found


def _missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def _absent(value: object) -> bool:
    """As told: an infinite number is a slip, and not missing."""
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and math.isnan(value))


def _unread(name: str, value: object) -> Told:
    """As told, of an attribute that no fit has seen yet."""
    return str(value) if isinstance(value, (str, bool, np.bool_)) else number(value, f"the attribute {name}")


def _number(value: object) -> float | None:
    """A number, or text that writes one out; None for anything else."""
    if isinstance(value, str):
        return _number(float(value)) if _NUMERAL.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    return float(value) if -_HUGE < value < _HUGE else None


def _attribute(name: str, values: Sequence[object]) -> Number | Category | None:
    """The attribute of these values, of which none is missing."""
    found = [_number(value) for value in values]
    if found and None not in found:
        return _as_number(name, np.array(found, dtype=np.float64))
    if not all(isinstance(value, (str, bool, np.bool_)) for value in values):
        return None
    return _as_category(name, [str(value) for value in values])


def _as_number(name: str, numbers: Array) -> Number | None:
    deviation = float(numbers.std())
    is_constant = deviation <= 1e-12 * float(np.abs(numbers).max())
    # of so many whole numbers two would be equal, were they not names
    is_name = len(numbers) >= 1 / RARE and len(np.unique(numbers)) == len(numbers) and not (numbers % 1.0).any()
    return None if is_constant or is_name else Number(name, float(numbers.mean()), deviation)


def _as_category(name: str, values: Sequence[str]) -> Category | None:
    names, counts = np.unique(values, return_counts=True)
    if len(names) == len(values):
        return None
    shares = counts / len(values)
    common = shares >= RARE
    pooled = float(shares[~common].sum())
    category = Category(name, tuple(map(str, names[common])), tuple(map(float, shares[common])), pooled)
    return category if category.width > 1 else None
