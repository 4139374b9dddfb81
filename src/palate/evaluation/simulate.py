"""Label efficiency, offline: every strategy plays against the same known answers (strategies.md, section 9)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from palate import __version__
from palate.acquisition import DEFAULT, get_strategy
from palate.acquisition.targets import KNOWN
from palate.acquisition.targets import NAMES as TARGETS
from palate.arrays import Array
from palate.datasets.tables import Dataset
from palate.entities import USER
from palate.errors import DataError, OptionError
from palate.evaluation.cold_system import SYSTEM
from palate.evaluation.intervals import by_person, ratio_interval
from palate.evaluation.judge import PER_RATING
from palate.evaluation.play import Played
from palate.evaluation.plays import Rules, play_all
from palate.evaluation.shown_list import HITS, LIST
from palate.evaluation.three_people import QUESTIONS, three_people
from palate.evaluation.world import WORLDS, World, answered
from palate.machine import blas_threads
from palate.random import derive_rng
from palate.runners import InProcess, Runner

REFERENCES = ("random", "popularity", "answerable-random", "ceiling")
WITHOUT_RATINGS = "events say for or against, and have no rating to predict"
_TIMED_USERS = 60
_WITHOUT_END = 1e6  # times saved: in that resample no question was needed


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What to play.

    Attributes:
        strategies: Names; random, popularity, answerable-random and the ceiling always play too. Of the protocol
            ``cold-system`` also ``system``: all pairs of user and item chosen together (:mod:`palate.loop.ask_pairs`).
        budget: Questions to each subject.
        seeds: One split and fit each.
        protocol: ``new-users``, ``new-items`` or ``cold-system``.
        pool: ``answered`` or ``open``.
        encoder: Of the items' text, or ``none``.
        max_users: At most so many users, drawn anew for each seed.
        targets: What strategies aim at: ``known``, ``slate``, ``popularity`` or ``uniform``.
    """

    strategies: tuple[str, ...] = ("variance", "bald", "a-optimal", "epig", "lookahead", "list-value")
    budget: int = 20
    seeds: tuple[int, ...] = (0, 1, 2)
    protocol: str = "new-users"
    pool: str = "open"
    encoder: str = "default"
    max_users: int = 2000
    targets: str = KNOWN

    def __post_init__(self) -> None:
        for name in self.strategies:
            if name not in REFERENCES and not (name == SYSTEM and self.protocol == "cold-system"):
                get_strategy(name)
        if self.budget < 1 or not self.seeds:
            raise OptionError(f"budget {self.budget} and {len(self.seeds)} seeds: both must be at least 1.")
        if self.protocol not in (*WORLDS, "cold-system"):
            raise OptionError(f"protocol {self.protocol!r} is unknown. Use new-users, new-items or cold-system.")
        if self.targets not in TARGETS:
            raise OptionError(f"targets {self.targets!r} are unknown. Use one of {', '.join(TARGETS)}.")
        if self.targets != KNOWN and self.protocol == "cold-system":
            raise OptionError("a cold system knows nothing of what anybody knows. Leave its targets as they are.")
        if self.pool not in ("answered", "open"):
            raise OptionError(f"pool {self.pool!r} is unknown. Use answered or open.")


@blas_threads(1)
def simulate(
    data: Dataset,
    options: SimulationOptions,
    *,
    build: Callable[..., World] | None = None,
    runner: Runner | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Play every strategy on every seed.

    Args:
        build: Makes the world of a seed, with the arguments of :func:`palate.evaluation.world.users_world`; that of the
            protocol if None.
        runner: Where the world of each seed and each play is worked out; None: here, one after another. The figures are
            the same to the bit. The times to ask are taken at the end, in this process, when nothing else runs.
    Returns:
        The document of ``simulate.json``: curves by metric with 95 % intervals (bootstrap over people, paired), the
        difference to random and popularity, the answers saved, the time to ask; ``people``: three of the new users of
        the first seed (:mod:`palate.evaluation.three_people`), None of other protocols. All goes by the list that would
        be shown, out of the whole catalogue (``list-ndcg@10``), of a cold system by the RMSE. Of events the answers are
        what was done later, and ``left_out`` says which figures they cannot have.
    Raises:
        DataError: If the data has no ratings and no events, or too few people.
        OptionError: If it has events alone, and the protocol needs ratings.
    """
    coded = answered(data)
    if coded.values.size == 0:
        raise DataError(
            f"data set {data.name!r} has no ratings and no events to simulate answers from. Give data with a rating or "
            "an event column."
        )
    of_events = coded.words is not None
    if of_events and options.protocol == "cold-system":
        raise OptionError(f"cold-system plays ratings, and {data.name!r} has 0. Use new-users or new-items.")
    names = (*REFERENCES[:2], *(name for name in options.strategies if name not in REFERENCES), *REFERENCES[2:])
    make = None if options.protocol == "cold-system" else build or WORLDS[options.protocol]
    timings: dict[str, Any] = {}
    met: dict[str, Any] | None = None
    with InProcess(all_cores=True) if runner is None else nullcontext(runner) as chosen:
        rules = Rules(options.budget, options.pool, options.targets, options.encoder, options.max_users)
        played, people, facts, whole = play_all(
            data, names, rules, make, seeds=options.seeds, runner=chosen, progress=progress
        )
        for number, seed in enumerate(() if make is None else options.seeds):
            world = whole(number)
            timings = timings or _ask_times(world, names, options.targets)
            met = _three_of(world, options, seed)
            if met is not None or world.learner is None:
                break
    totals = {name: _by_person(played[name], people) for name in names}
    protocol = asdict(options) | {"name": options.protocol, "seeds": list(options.seeds), **facts}
    del protocol["strategies"], protocol["protocol"]
    return {
        "palate": __version__,
        "command": _command(data, options),
        "dataset": about(data),
        "protocol": protocol,
        "metric": metric_of(totals[names[0]]),
        "left_out": dict.fromkeys(PER_RATING, WITHOUT_RATINGS) if of_events else {},
        "budgets": list(range(options.budget + 1)),
        "people": met,
        "strategies": {name: _summary(name, totals, timings.get(name)) for name in names},
    }


def about(data: Dataset) -> dict[str, Any]:
    """What a document says of the data."""
    return {
        "name": data.name,
        "users": data.interactions[USER].n_unique(),
        "items": len(data.coded().item_ids),
        "interactions": data.interactions.height,
        "sha256": data.fingerprint(),
    }


def _three_of(world: World, options: SimulationOptions, seed: int) -> dict[str, Any] | None:
    """Three of the people of a world; None where it has none, or none of them has anything to find."""
    if world.learner is None:
        return None
    asked = min(QUESTIONS, options.budget)
    return three_people(world.learner, world.subjects, world.ratings, world.askable, questions=asked, seed=seed)


def _ask_times(world: World, names: Sequence[str], targets: str) -> dict[str, dict[str, float]]:
    """Milliseconds of :meth:`Learner.ask` for one user, by strategy: median and 99th percentile over some users."""
    learner = world.learner
    if learner is None:
        return {}
    timings = {}
    for name in names:
        if name in REFERENCES[2:]:
            continue
        taken = []
        for user in [f"timed-{number}" for number in range(_TIMED_USERS)]:
            begun = time.perf_counter()
            learner.ask(user, strategy=name, targets=targets, rng=np.random.default_rng(0))
            taken.append(1000.0 * (time.perf_counter() - begun))
        timings[name] = {"median": float(np.median(taken)), "p99": float(np.quantile(taken, 0.99))}
    return timings


def _by_person(runs: Sequence[Played], people: Sequence[Sequence[str]]) -> Played:
    """Sums over the seeds of everything a person took part in, so that the bootstrap draws people."""

    def gather(parts: Sequence[Array]) -> Array:
        return by_person(parts, people)

    sums = {name: gather([run.sums[name] for run in runs]) for name in runs[0].sums}
    weights = {name: gather([run.weights[name] for run in runs]) for name in runs[0].weights}
    return Played(sums, weights, gather([run.answered for run in runs]), gather([run.plays for run in runs]))


def _level(name: str, total: Array, weight: Array) -> Array:
    """The metric from sums (..., budgets) and weights (...)."""
    mean = total / np.maximum(weight, 1e-12)[..., None]
    return np.sqrt(mean) if name == "rmse" else mean


def metric_of(played: Played) -> str:
    """What strategies are compared by: the list that is shown; the RMSE where no list was made."""
    return LIST if LIST in played.sums else "rmse"


def _compared_by(played: Played) -> list[str]:
    """Metrics with differences in the document: that one, hits, and the error or, of events, the list by strength."""
    hits = [HITS] if HITS in played.sums else []
    return list(dict.fromkeys([metric_of(played), *hits, "rmse" if "rmse" in played.sums else "ndcg@10"]))


def _loss(name: str, total: Array, weight: Array) -> Array:
    """The metric, or less it where more is better."""
    level = _level(name, total, weight)
    return level if name == "rmse" else -level


def _summary(name: str, totals: dict[str, Played], timing: dict[str, float] | None) -> dict[str, Any]:
    own = totals[name]
    summary: dict[str, Any] = {}
    for metric, total in own.sums.items():
        interval = ratio_interval(
            [total, own.weights[metric]], lambda t, w, m=metric: _level(m, t, w), rng=derive_rng(0, "bootstrap")
        )
        summary[metric] = interval.as_dict()
    asked = np.maximum(np.arange(own.answered.shape[1]), 1) * own.plays.sum()
    summary["answered"] = (own.answered.sum(0) / asked).tolist()
    others = [other for other in (*REFERENCES[:2], DEFAULT) if other != name and other in totals]
    for metric in _compared_by(own):
        summary[f"{metric}_minus"] = {other: _difference(metric, own, totals[other]) for other in others}
    summary["share_of_gain"] = _share_of_gain(own, totals["random"], totals["ceiling"])
    summary["by_activity"] = _by_activity(own, totals["ceiling"])
    if name != "ceiling":
        summary["labels_saved"] = labels_saved(totals["random"], own)
    if timing is not None:
        summary["ask_milliseconds"] = timing
    return summary


def _difference(metric: str, own: Played, other: Played) -> dict[str, object]:
    """The metric of a strategy less that of a reference, paired by person: of the RMSE below 0 is better."""
    return ratio_interval(
        [own.sums[metric], other.sums[metric], own.weights[metric]],
        lambda a, b, w: _level(metric, a, w) - _level(metric, b, w),
        rng=derive_rng(0, "bootstrap"),
    ).as_dict()


def _share_of_gain(own: Played, start: Played, best: Played) -> list[float]:
    """Of what all answers together bring, the share had so far."""
    metric = metric_of(own)
    weight = own.weights[metric].sum()
    curve = _loss(metric, own.sums[metric].sum(0), weight)
    lowest = _loss(metric, best.sums[metric].sum(0), weight)
    highest = _loss(metric, start.sums[metric].sum(0), weight)[0]
    share: list[float] = ((highest - curve) / max(highest - lowest[-1], 1e-12)).tolist()
    return share


def _by_activity(own: Played, everything: Played) -> dict[str, list[float]]:
    """The metric of the least, the middling and the most active third, by how much each person can answer."""
    metric = metric_of(own)
    order = np.argsort(everything.answered[:, -1] / np.maximum(everything.plays, 1), kind="stable")
    thirds = zip(("least", "middle", "most"), np.array_split(order, 3), strict=True)
    return {
        name: _level(metric, own.sums[metric][rows].sum(0), own.weights[metric][rows].sum()).tolist()
        for name, rows in thirds
    }


def questions_needed(curves: Array, target: Array) -> Array:
    """Questions until a curve first is at or below its target, linear between budgets, infinite if never.

    Args:
        curves: (draws, budgets).
        target: (draws,).
    """
    reached = curves <= target[:, None] + 1e-12
    first = np.where(reached.any(1), reached.argmax(1), -1)
    rows, before = np.arange(len(curves)), np.maximum(first - 1, 0)
    above, below = curves[rows, before], curves[rows, np.maximum(first, 0)]
    share = np.where(first > 0, (above - target) / np.where(above > below, above - below, 1.0), 0.0)
    return np.where(first < 0, np.inf, before + np.where(first > 0, np.clip(share, 0.0, 1.0), 0.0))


def labels_saved(random: Played, own: Played, budget: int | None = None) -> dict[str, object]:
    """How many times fewer questions than random for what random has at ``budget`` (the last one).

    Every figure is None where random is no better by then than before its first question: nothing can be saved. So is
    the ratio where that quality is never reached, or was there before the first question.
    """
    metric = metric_of(own)

    def ratio(a: Array, b: Array, weight: Array) -> Array:
        reference, curve = _loss(metric, a, weight), _loss(metric, b, weight)
        target = reference[:, -1 if budget is None else budget]
        needed = questions_needed(curve, target)
        return questions_needed(reference, target) / np.maximum(needed, 1e-9)

    def needed(a: Array, b: Array, weight: Array) -> Array:
        return questions_needed(_loss(metric, b, weight), _loss(metric, a, weight)[:, -1 if budget is None else budget])

    tables = [random.sums[metric], own.sums[metric], own.weights[metric]]
    asked = _loss(metric, random.sums[metric].sum(0), random.weights[metric].sum())
    if not asked[-1 if budget is None else budget] < asked[0] - 1e-12:
        return {"metric": metric, "ratio": None, "low": None, "high": None, "questions": None}
    saved = ratio_interval(tables, ratio, rng=derive_rng(0, "bootstrap"))
    questions = ratio_interval(tables, needed, rng=derive_rng(0, "bootstrap"))
    needs = float(questions.mean)
    if not np.isfinite(needs) or needs == 0.0:
        return {"metric": metric, "ratio": None, "low": None, "high": None, "questions": None if needs else needs}
    most = float(saved.high)
    return {
        "metric": metric,
        "ratio": float(saved.mean),
        "low": float(saved.low),
        "high": most if most < _WITHOUT_END else None,
        "questions": needs,
    }


def _command(data: Dataset, options: SimulationOptions) -> str:
    seeds = f"--seeds {len(options.seeds)}"
    return (
        f"palate simulate {data.name} --strategies {','.join(options.strategies)} --budget {options.budget} {seeds} "
        f"--protocol {options.protocol} --pool {options.pool} --encoder {options.encoder}"
        + (f" --targets {options.targets}" if options.targets != KNOWN else "")
    )
