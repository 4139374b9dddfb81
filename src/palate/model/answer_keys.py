"""Which key stands for which rating, on a terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palate.model.model import Model

KEYS = "1234567890"  # as on a keyboard
_STARS = 5  # at most, of which there are halves


def keys_of(model: Model) -> dict[str, float]:
    """The rating that each digit key stands for.

    A digit on the scale is itself. Of up to five stars and their halves, half a star less than a digit is on the digit
    five further on: 4 is 4, 9 is 3.5. Where the scale has other levels, up to ten of them lie on the keys 1 2 ... 9 0
    in order; more levels, or a continuous scale, are met by ten even steps.
    """
    scale = model.scale
    if model.taste.likelihood.words:
        return {f"{max(value, 0.0):g}": value for value in model.taste.likelihood.words.values()}
    levels = list(scale.levels)
    if len(levels) == 2:  # a continuous scale, of which only the ends are kept
        levels = [float(level) for level in range(math.ceil(scale.low), math.floor(scale.high) + 1)]
    if len(levels) > 2 and all(level.is_integer() and 0 <= level <= 9 for level in levels):
        return {str(int(level)): level for level in levels}
    if has_halves(levels):
        return {
            str(int(level)) if level.is_integer() else KEYS[math.ceil(level) + _STARS - 1]: level for level in levels
        }
    if len(scale.levels) > 2 and len(levels) <= len(KEYS):
        return dict(zip(KEYS, levels, strict=False))
    return {key: _step(place, scale.levels) for place, key in enumerate(KEYS)}


def has_halves(levels: Iterable[float]) -> bool:
    """Whether these are stars, five at most, and halves of them."""
    given = list(levels)
    stars = all(0 < level <= _STARS and (2 * level).is_integer() for level in given)
    return len(given) > 2 and stars and not all(level.is_integer() for level in given)


def _step(place: int, levels: tuple[float, ...]) -> float:
    even = levels[0] + (levels[-1] - levels[0]) * place / (len(KEYS) - 1)
    return min(levels, key=lambda level: abs(level - even)) if len(levels) > 2 else round(even, 2)
