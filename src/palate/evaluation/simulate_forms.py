"""Questions of several forms by the user's time, offline: what is known of new users after so many seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from palate import __version__
from palate.acquisition.questions.forms import FORMS
from palate.arrays import Array
from palate.costs import Seconds
from palate.datasets.tables import Dataset
from palate.entities import Form
from palate.errors import DataError
from palate.errors.checks import one_of, positive
from palate.evaluation.intervals import by_person, ratio_interval
from palate.evaluation.question_forms import Timed, play_kinds
from palate.evaluation.shown_list import LIST
from palate.evaluation.simulate import about
from palate.evaluation.world import World, users_world
from palate.oracles.naming import Naming
from palate.random import derive_rng

REFERENCE = "rate"
MIXED = tuple(form for form in FORMS if form is not Form.RECALL)
PLAYS: Mapping[str, tuple[Form, ...]] = {
    REFERENCE: (Form.RATE,),  # items one by one
    "mixed": MIXED,  # what is worth most per second
    "recall": (*MIXED, Form.RECALL),  # the same, once some are named
}
METRICS = ("rmse", "ndcg@10", LIST)
_STAGES = 4  # equal parts of the time


@dataclass(frozen=True, slots=True)
class FormsOptions:
    """What to play.

    Attributes:
        forms: Of ``PLAYS``; to rate items one by one always plays too.
        seconds: Of each user's time.
        naming: What comes to the mind of somebody who is asked to name one (:mod:`palate.oracles.naming`).
        seeds: One split and fit each.
        encoder: Of the items' text, or ``none``.
        max_users: At most so many users, drawn anew for each seed.
        prices: Seconds that a question of each form takes.
    """

    forms: tuple[str, ...] = tuple(PLAYS)
    seconds: float = 60.0
    naming: str = Naming.FAVOURITE
    seeds: tuple[int, ...] = (0, 1, 2)
    encoder: str = "default"
    max_users: int = 2000
    prices: Seconds = field(default_factory=Seconds)

    def __post_init__(self) -> None:
        for name in self.forms:
            one_of(name, PLAYS, "the mixture")
        positive(self.seconds, "the time of each user in seconds")
        one_of(self.naming, Naming, "the naming")


def simulate_forms(
    data: Dataset,
    options: FormsOptions,
    *,
    build: Callable[..., World] = users_world,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Play every mixture of forms on every seed.

    Args:
        build: Makes the world of a seed, with the arguments of :func:`palate.evaluation.world.users_world`.
    Returns:
        The document of ``simulate.json``: by play and metric the levels at some times with 95 % intervals (bootstrap
        over people), what they are less the reference (paired), and how many questions of each form were asked.
    Raises:
        DataError: If the data has no ratings.
        OptionError: If the naming goes by time and the data has none.
    """
    if data.coded().values.size == 0:
        raise DataError(f"data set {data.name!r} has no ratings to simulate answers from. Leave --forms out.")
    names = tuple(dict.fromkeys((REFERENCE, *options.forms)))
    runs: dict[str, list[Timed]] = {name: [] for name in names}
    people, fitted = [], 0
    for seed in options.seeds:
        world = build(data, encoder=options.encoder, seed=seed, max_users=options.max_users)
        people.append(world.subjects)
        fitted = fitted or world.fitted_users
        for name in names:
            runs[name].append(_play(world, PLAYS[name], options, seed))
            progress(sum(map(len, runs.values())), len(names) * len(options.seeds))
    stages = _stages(options)
    tables = {name: Table.of(played, people, stages) for name, played in runs.items()}
    protocol = asdict(options) | {"name": "new-users", "fit_users": fitted, "test_users": len(people[0])}
    return {
        "palate": __version__,
        "command": _command(data, options),
        "dataset": about(data),
        "protocol": protocol,
        "seconds": stages,
        "forms": {name: _summary(name, tables) for name in names},
    }


def _play(world: World, forms: tuple[Form, ...], options: FormsOptions, seed: int) -> Timed:
    """With the same draws in every play."""
    return play_kinds(
        world,
        forms,
        seconds=options.prices,
        budget=options.seconds,
        naming=Naming(options.naming),
        stages=_stages(options),
        rng=derive_rng(seed, "forms"),
    )


def _stages(options: FormsOptions) -> list[float]:
    return [options.seconds * part / _STAGES for part in range(_STAGES + 1)]


@dataclass(frozen=True, slots=True)
class Table:
    """One play over all seeds, a row a person.

    Attributes:
        sums: By metric, at each stage, (people, stages).
        weights: By metric, what to divide by, (people,).
        asked, told: Questions of each form a person gets in a seed, and those that told something of taste, on average.
    """

    sums: Mapping[str, Array]
    weights: Mapping[str, Array]
    asked: Mapping[str, float]
    told: Mapping[str, float]

    @classmethod
    def of(cls, runs: Sequence[Timed], people: Sequence[Sequence[str]], stages: Sequence[float]) -> Table:
        """At so many seconds."""
        at, forms = [run.at(stages) for run in runs], runs[0].forms
        means = [np.concatenate(parts).mean(0) for parts in ([r.asked for r in runs], [r.answered for r in runs])]
        counts = [{form.value: float(mean[i]) for i, form in enumerate(forms)} for mean in means]
        return cls(
            {metric: by_person([part[metric] for part in at], people) for metric in METRICS},
            {metric: by_person([run.weights[metric] for run in runs], people) for metric in METRICS},
            *counts,
        )

    def level(self, metric: str) -> dict[str, object]:
        """At each stage, with its interval."""
        parts = [self.sums[metric], self.weights[metric]]
        return ratio_interval(parts, lambda s, w: _level(metric, s, w), rng=derive_rng(0, "bootstrap")).as_dict()

    def minus(self, other: Table, metric: str) -> dict[str, object]:
        """This less another, paired by person."""
        parts = [self.sums[metric], other.sums[metric], self.weights[metric]]
        return ratio_interval(
            parts, lambda s, t, w: _level(metric, s, w) - _level(metric, t, w), rng=derive_rng(0, "bootstrap")
        ).as_dict()


def _level(metric: str, total: Array, weight: Array) -> Array:
    mean = total / np.maximum(weight, 1e-12)[..., None]
    return np.sqrt(mean) if metric == "rmse" else mean


def _summary(name: str, tables: Mapping[str, Table]) -> dict[str, Any]:
    table = tables[name]
    levels: dict[str, Any] = {metric: table.level(metric) for metric in METRICS}
    if name != REFERENCE:
        levels["minus"] = {REFERENCE: {metric: table.minus(tables[REFERENCE], metric) for metric in METRICS}}
    return levels | {"asked": table.asked, "told": table.told}


def _command(data: Dataset, options: FormsOptions) -> str:
    return (
        f"palate simulate {data.name} --forms {','.join(options.forms)} --seconds {options.seconds:g} "
        f"--naming {options.naming} --seeds {len(options.seeds)} --encoder {options.encoder}"
    )
