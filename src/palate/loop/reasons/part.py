"""The parts of a list's score, as reasons read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.loop.reasons.phrases import Deed
from palate.loop.reasons.reason import Kind

AGAINST = ("dislike", "turn-down", "tap-none", "no", "unpromising", "open-none")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that a user did or answered.

    Attributes:
        items: Positions of what it was about.
        what: What it was (:class:`palate.loop.reasons.phrases.Deed`).
        value: The rating.
        name: The concept, where it is about one.
        speaks_for: Whether it says that something is liked.
    """

    items: tuple[int, ...]
    what: str
    value: float = 0.0
    name: str = ""
    speaks_for: bool = True

    def deed(self, titles: Mapping[int, str]) -> Deed:
        """The same in words of titles."""
        return Deed(self.what, (self.name,) if self.name else tuple(titles[item] for item in self.items), self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of the score of the k items shown.

    Attributes:
        name: Its name in the score.
        kind: Of reason that it gives.
        lifts: What it adds to each item more than to the mean item of the catalogue, (k,).
        shares: What each of the n things that the user did adds to each item, (n, k); None where it says the same to
            everybody.
        people: How many friends of the user met each item, (k,), of the part that is about them; on how many days the
            user did it, of the part that is about that.
        level: Of a part that says the same to everybody, its values of n items, (n,): by them ranks are told. None: by
            how many liked them.
    """

    name: str
    kind: Kind
    lifts: Array
    shares: Array | None = None
    level: Callable[[Positions], NDArray[np.floating]] | None = None
    people: NDArray[np.intp] | None = None
