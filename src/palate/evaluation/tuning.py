"""Settings of a model, chosen on rows that are held back, and whether wider ones should have been tried.

One field is walked along at a time, the others as they are best so far: up and down from where it stands, two steps on
past the last gain, until a pass over the fields changes nothing. So a range may be wide without costing more, and a
choice that still ends at the end of its range is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from palate.errors import OptionError
from palate.evaluation.baselines import Model

PATIENCE = 2  # steps past the last gain: quality on few rows wobbles
MOST_PASSES = 3
Quality = Callable[[Model], float]


@dataclass(frozen=True)
class Grid:
    """What to try of one model.

    Attributes:
        start: Where to begin; each of its fields named below has one of the values there.
        values: By field what it may be, ascending.
        natural: Values beyond which there is nothing, such as no shrinkage, or all items as neighbours.
    """

    start: Model
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    natural: frozenset[tuple[str, float]] = frozenset()

    def __post_init__(self) -> None:
        for name, values in self.values.items():
            if getattr(self.start, name) not in values or list(values) != sorted(set(values)):
                raise OptionError(
                    f"{name} of {self.start!r} is not in {tuple(values)}, or these do not ascend. Start at one of them."
                )


@dataclass(frozen=True)
class Tuned:
    """A choice.

    Attributes:
        model: The model.
        quality: On the rows held back; NaN where there was nothing to choose.
        at_edge: By field the value that is the least or the largest of those that could be tried.
        tried: How many settings were fitted.
    """

    model: Model
    quality: float
    at_edge: Mapping[str, float]
    tried: int


def tune(grid: Grid | Sequence[Model], quality: Quality) -> Tuned:
    """The setting of the best quality, the earliest of equally good ones.

    Args:
        grid: A range for each field, or all models to try.
        quality: Of a model, larger is better.
    """
    return _walked(grid, quality) if isinstance(grid, Grid) else _best_of(grid, quality)


def _best_of(models: Sequence[Model], quality: Quality) -> Tuned:
    if len(models) == 1:
        return Tuned(models[0], float("nan"), {}, 0)
    reached = [quality(model) for model in models]
    best = models[max(range(len(models)), key=reached.__getitem__)]
    edges = {}
    for name in _numbers(best):
        values = sorted({getattr(model, name) for model in models if name in _numbers(model)})
        if len(values) > 1 and getattr(best, name) in (values[0], values[-1]):
            edges[name] = getattr(best, name)
    return Tuned(best, max(reached), edges, len(models))


def _walked(grid: Grid, quality: Quality) -> Tuned:
    if not any(len(values) > 1 for values in grid.values.values()):
        return Tuned(grid.start, float("nan"), {}, 0)
    known: dict[Model, float] = {}

    def of(model: Model) -> float:
        if model not in known:
            known[model] = quality(model)
        return known[model]

    best = grid.start
    for _ in range(MOST_PASSES):
        before = best
        for name, values in grid.values.items():
            best = _along(best, name, values, of)
        if best == before:
            break
    edges = {
        name: getattr(best, name)
        for name, values in grid.values.items()
        if len(values) > 1
        and getattr(best, name) in (values[0], values[-1])
        and (name, getattr(best, name)) not in grid.natural
    }
    return Tuned(best, of(best), edges, len(known))


def _along(best: Model, name: str, values: Sequence[float], of: Quality) -> Model:
    """The best in one field, walked along in both directions."""
    start = list(values).index(getattr(best, name))
    for step in (1, -1):
        place, since = start + step, 0
        while 0 <= place < len(values) and since < PATIENCE:
            tried: Any = replace(best, **{name: values[place]})  # type: ignore[type-var]
            if of(tried) > of(best):
                best, since = tried, 0
            else:
                since += 1
            place += step
    return best


def _numbers(model: Any) -> list[str]:
    """Fields that are numbers, if the model is made of fields."""
    named = fields(model) if is_dataclass(model) else ()
    return [each.name for each in named if isinstance(getattr(model, each.name), int | float)]
