"""Popularity of late between fits: what people do after the fit counts at once, and what the fit counted fades.

    v_i = log(k w_i + r_i + s (c_i + n_i) + ε)        k = max(2^−g, 1 − Σ r / Σ w)

``w`` and ``c`` are the people of the fit, by age and altogether, ``r`` and ``n`` those since, ``g`` the half-lives from
the last of the fit to the last since; ``s`` and ``ε`` are those of the fit (:mod:`.experts.levels`). Where as much
happens as before the fit, k is 2^−g, and v is what a refit would find. Where less is heard, what the fit counted
fades no faster than it is replaced: one click after a year of silence is no new fashion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import floor

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.ranking.experts.levels import DAY, EVER_SHARE, LEAST

STEPS = 8  # of a half-life: a time is known as finely as that, so that sums are of whole numbers
_OLDEST, _NEWEST = -20 * STEPS, 800 * STEPS  # older counts as nothing, and nobody waits so long for a refit
_UNITS: list[int] = [round(2.0**30 * 2.0 ** (step / STEPS)) for step in range(STEPS)]
_SCALE = 30 - _OLDEST // STEPS  # binary digits of a person who came at the end of the fit
_KEPT_STEPS = 256  # in which k moves, so that the logarithms of all items are seldom worked out


def units(step: int) -> int:
    """How much somebody counts who came so many steps after the fit: a whole number, which adds up in any order."""
    return int(_UNITS[step % STEPS] << ((step - _OLDEST) // STEPS))


@dataclass(frozen=True, slots=True)
class Now:
    """What came since the fit, as of the last of it.

    Attributes:
        step: The last, counted from the end of the fit, 0 at least.
        people: Σ r.
    """

    step: int = 0
    people: float = 0.0

    @classmethod
    def of(cls, times: Iterable[tuple[int, int]]) -> Now:
        """Of steps, and how many came in each."""
        found = sorted((step, n) for step, n in times if n)
        last = max(found[-1][0], 0) if found else 0
        return cls(last, sum(n * 2.0 ** ((step - last) / STEPS) for step, n in found))

    def people_of(self, total: int) -> float:
        """``r_i`` of a sum of :func:`units`."""
        return float(total / (1 << (_SCALE + self.step // STEPS)) * 2.0 ** -(self.step % STEPS / STEPS))


START = Now()


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """Popularity of late, of a fit.

    Attributes:
        half_life: In days.
        last: When the last of the fit was met, seconds since the epoch.
        people: ``w``, (I,).
        count: ``c``, (I,).
    """

    half_life: float
    last: float
    people: Array
    count: Array
    _levels: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False)  # a cache

    @classmethod
    def of(cls, ever: Array, lately: Array, half_life: float, last: float) -> Recent:
        """From the two levels of a fit, (I,) each."""
        count, of_late = np.exp(ever) - 1.0, np.maximum(np.exp(lately) - LEAST, 0.0)
        share = EVER_SHARE * of_late.sum() / (1.0 + EVER_SHARE) / max(float(count.sum()), 1.0)
        return cls(half_life, last, np.maximum(of_late - share * count, 0.0), count)

    def step(self, at: float | None) -> int:
        """The step of a time, seconds since the epoch; without one somebody is as old as the fit."""
        since = 0.0 if at is None else (at - self.last) / (self.half_life * DAY)
        return min(max(floor(STEPS * since), _OLDEST), _NEWEST)

    def level(
        self, fitted: NDArray[np.float32], items: NDArray[np.intp], people: Array, late: Array, now: Now, n_items: int
    ) -> NDArray[np.float32]:
        """``v``, (I,), of the items that came after the fit too.

        Args:
            fitted: The level of the fit.
            items: Those that people came to meet since, ascending, (m,).
            people, late: ``n`` and ``r`` of these, (m,).
        """
        total = max(float(self.people.sum()), LEAST)
        kept = round(_KEPT_STEPS * max(2.0 ** -(now.step / STEPS), 1.0 - now.people / total))
        share = EVER_SHARE * total / max(float(self.count.sum()), 1.0)
        values = np.full(n_items, np.log(LEAST), np.float32)
        values[: len(fitted)] = fitted if kept == _KEPT_STEPS else self._faded(kept, share)
        of_fit = items < len(fitted)
        mass, count = np.zeros(len(items)), np.zeros(len(items))
        mass[of_fit], count[of_fit] = self.people[items[of_fit]], self.count[items[of_fit]]
        values[items] = np.log(kept / _KEPT_STEPS * mass + late + share * np.maximum(count + people, 0.0) + LEAST)
        return values

    def _faded(self, kept: int, share: float) -> NDArray[np.float32]:
        found = self._levels.get(kept)
        if found is None:
            found = np.log(kept / _KEPT_STEPS * self.people + share * self.count + LEAST).astype(np.float32)
            self._levels.clear()
            self._levels[kept] = found
        return found
