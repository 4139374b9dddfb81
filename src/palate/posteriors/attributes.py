"""What is known of a person says something of their taste before any answer: age, gender, personality scores.

    z_u ~ N(mean + Gᵀ x_u, Ψ (1 + x_uᵀ V x_u)),        x_u the person's attributes as numbers

the same linear prior as for a history (:mod:`palate.posteriors.history`), learned from the fitted users. Directions of
taste that the attributes do not explain are switched off, so attributes that say nothing change next to nothing.

Elahi, Braunhofer, Ricci, Tkalcic, *Personality-based active learning for collaborative filtering recommender systems*,
AI*IA 2013.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.posteriors.history import fit_history
from palate.posteriors.prior import LinearPrior
from palate.posteriors.taste import Belief, Taste

Array = NDArray[np.float64]
Columns = Mapping[str, Sequence[object]]
RARE = 0.02  # share of the users below which a category is pooled with the other rare ones


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

    def _number(self, value: object) -> float:
        if not _is_number(value):
            raise OptionError(f"the attribute {self.name} is {str(value)[:40]!r}. Give a number.")
        return float(value)  # type: ignore[arg-type]  # checked


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


@dataclass(frozen=True, slots=True)
class Coding:
    """How a table of attributes becomes numbers, H of them."""

    attributes: tuple[Number | Category, ...]

    @classmethod
    def of(cls, columns: Columns) -> Coding:
        """For a table, a column of n values each: numbers, or text and truth values as categories.

        What is the same for all says nothing and is left out, as are columns of other kinds and of mixed ones.
        """
        found = (
            _attribute(name, [value for value in values if not _missing(value)]) for name, values in columns.items()
        )
        return cls(tuple(attribute for attribute in found if attribute is not None))

    def as_dicts(self) -> list[dict[str, Any]]:
        """As JSON holds it."""
        return [asdict(attribute) for attribute in self.attributes]

    @classmethod
    def from_dicts(cls, attributes: Iterable[Mapping[str, Any]]) -> Coding:
        """From what :meth:`as_dicts` gave."""
        return cls(
            tuple(
                Category(one["name"], tuple(one["levels"]), tuple(one["shares"]), one["pooled"])
                if "levels" in one
                else Number(**one)
                for one in attributes
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def width(self) -> int:
        return sum(attribute.width for attribute in self.attributes)

    def encode(self, columns: Columns, n: int) -> Array:
        """Attributes of n users, (n, H); one without a column is missing for all, a column never fitted is ignored."""
        parts = [attribute.encode(columns.get(attribute.name, [None] * n)) for attribute in self.attributes]
        return np.concatenate([np.zeros((n, 0)), *parts], 1)


@dataclass(frozen=True, slots=True)
class Attributes:
    """The coding of the attributes and what they say of taste."""

    coding: Coding
    prior: LinearPrior

    def start(self, taste: Taste, columns: Columns, n: int) -> Belief:
        """Beliefs about n users before any answer; where all is missing, the population's."""
        encoded = self.coding.encode(columns, n)
        mean = np.tile(taste.start.mean, (n, 1))
        covariance = np.repeat(taste.start.covariance[None], n, 0)
        told = np.flatnonzero(np.abs(encoded).any(1))
        means = self.prior.predict(encoded[told], len(told))
        covariances = self.prior.covariances(encoded[told], len(told))
        for row, *moments in zip(told, means, covariances, strict=True):
            belief = taste.prior(*moments)
            mean[row], covariance[row] = belief.mean, belief.covariance
        return Belief(mean, covariance)

    def start_one(self, taste: Taste, values: Mapping[str, object]) -> Belief:
        """The belief about one user before any answer, from attributes by name.

        Raises:
            OptionError: If a name is none of the fitted ones, or a number is none.
        """
        unknown = [name for name in values if name not in self.coding.names]
        if unknown:
            known = ", ".join(self.coding.names)
            raise OptionError(f"the attribute {unknown[0]!r} was not fitted. The attributes are: {known}.")
        belief = self.start(taste, {name: [value] for name, value in values.items()}, 1)
        return Belief(belief.mean[0], belief.covariance[0])


def fit_attributes(taste: Taste, answers: sparse.csr_matrix, columns: Columns) -> Attributes | None:
    """What the attributes of the fitted users say of their taste.

    Args:
        answers: Of U users, (U, I).
        columns: A column of U values each; missing ones are None, empty or not finite.
    Returns:
        None where no attribute tells users apart, or fewer than two users have both attributes and answers.
    """
    coding = Coding.of(columns)
    prior = fit_history(taste, answers, coding.encode(columns, answers.shape[0])) if coding.width else None
    return None if prior is None else Attributes(coding, prior)


def _missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _attribute(name: str, values: Sequence[object]) -> Number | Category | None:
    """The attribute of these values, of which none is missing."""
    if values and all(map(_is_number, values)):
        numbers = np.array(values, dtype=np.float64)
        deviation = float(numbers.std())
        is_constant = deviation <= 1e-12 * float(np.abs(numbers).max())
        return None if is_constant else Number(name, float(numbers.mean()), deviation)
    if not all(isinstance(value, (str, bool, np.bool_)) for value in values):
        return None
    names, counts = np.unique([str(value) for value in values], return_counts=True)
    shares = counts / max(1, len(values))
    common = shares >= RARE
    pooled = float(shares[~common].sum())
    category = Category(name, tuple(map(str, names[common])), tuple(map(float, shares[common])), pooled)
    return category if category.width > 1 else None
