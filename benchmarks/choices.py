"""Choices as answers: namings, picks, clicks and taps, on people nobody has seen.

- After 2, 5 and 10 namings, by each way in which something liked may come to mind, against as many questions of the
  default strategy.
- Answers of one form heard two ways: the best of up to four as a choice and as probit pairs, clicks on lists of ten as
  choices, as likes and as taps, groups as they are heard and as choices. The questions of the first round are the same,
  so the answers are; later ones are what each belief asks for.
- At 30, 60 and 120 seconds, mixtures of forms against items and pages, at assumed prices, halved and doubled.

What is named is simulated from ratings: no real naming was seen. Judged by a user's own test ratings (RMSE, NDCG@10),
and by the list out of the whole catalogue that they would be shown, their liked test items to be found on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._data import load, main
from palate.acquisition import DEFAULT, get_strategy
from palate.arrays import Array, Mask, Positions
from palate.costs import Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.evaluation.intervals import by_person, ratio_interval
from palate.evaluation.play import play
from palate.evaluation.question_forms import Timed, play_kinds, play_rounds
from palate.evaluation.shown_list import LIST
from palate.evaluation.simulate_forms import MIXED
from palate.evaluation.talk import Hear, Talk, hear_group
from palate.evaluation.world import World, users_world
from palate.oracles.naming import Naming
from palate.posteriors.answerability import known_chance
from palate.random import derive_rng

SETS = {"movielens-100k": (12, 2), "movielens-latest-small": (1, 0), "goodbooks": (1, 0), "jester": (3, 2)}
# at most so many seeds, and of mixtures, which take long: their first ones
MOST_USERS = 1_000  # of a set, a quarter of them new
METRICS = ("rmse", "ndcg@10", LIST)
OWN = METRICS[:2]  # of a user's own test ratings
NAMINGS = (2, 5, 10)
ROUNDS = {Form.PICK: 5, Form.SLATE: 5, Form.GROUP: 3}
STAGES = (30.0, 60.0, 120.0)
PAGES, NAMED = "items + pages", "items + pages + namings"
MIXTURES: dict[str, tuple[tuple[Form, ...], Naming]] = {
    "items": ((Form.RATE,), Naming.FAVOURITE),
    PAGES: ((Form.RATE, Form.PAGE), Naming.FAVOURITE),
    "all forms but namings": (MIXED, Naming.FAVOURITE),
    NAMED: ((Form.RATE, Form.PAGE, Form.RECALL), Naming.FAVOURITE),
    f"{NAMED} of what is popular": ((Form.RATE, Form.PAGE, Form.RECALL), Naming.POPULAR),
}
PRICED = {  # which mixtures are played again at which prices
    **{f"a naming x {factor:g}": (Seconds().scaled(Form.RECALL, factor), (NAMED,)) for factor in (0.5, 2.0)},
    **{f"lists x {factor:g}": (Seconds().scaled(Form.PAGE, factor), (PAGES, NAMED)) for factor in (0.5, 2.0)},
}
Sums = dict[str, Array]  # by metric, (n, stages)
Asked = dict[str, list[dict[str, list[float]]]]  # by play, of each seed, by form


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """All sets."""
    return {
        "namings": list(NAMINGS),
        "rounds": {form.value: rounds for form, rounds in ROUNDS.items()},
        "seconds": {name: getattr(Seconds(), name) for name in Seconds.__slots__},
        "stages": list(STAGES),
        "sets": {
            name: of_set(name, *(min(seeds, most) for most in both)) for name, both in SETS.items() if name in sets
        },
    }


def of_set(name: str, seeds: int, of_mixtures: int) -> dict[str, Any]:
    """One set: everything is played in the world of each seed, and compared person by person."""
    data, counted, timed = load(name), _Plays(), _Plays()
    for seed in range(seeds):
        world = users_world(data, encoder="none", seed=seed, max_users=MOST_USERS)
        counted.add(world, _namings(world, seed) | _hearings(world, seed, counted.asked))
        if seed < of_mixtures:
            timed.add(world, _mixtures(world, seed, timed.asked))
    answers, mixtures = counted.table(), timed.table()
    return {
        "seeds": seeds,
        "seeds of mixtures": of_mixtures,
        "people": counted.number,
        "start": answers.levels("start"),
        "namings": {DEFAULT: answers.levels(DEFAULT, OWN)}
        | {
            naming.value: answers.levels(naming.value) | {f"minus {DEFAULT}": answers.minus(naming.value, DEFAULT, OWN)}
            for naming in Naming
            if naming.value in counted.sums
        },
        "hearings": {
            form.value: answers.levels(form.value)
            | {f"minus {less}": answers.minus(form.value, name) for less, name in _others(form)}
            | _counts(counted.asked[form.value])
            for form in OTHERWISE
        },
        "mixtures": {
            mixture: mixtures.levels(mixture)
            | {f"minus {PAGES}": mixtures.minus(mixture, _beside(mixture))}
            | _counts(asked)
            for mixture, asked in timed.asked.items()
        },
    }


def _others(form: Form) -> list[tuple[str, str]]:
    """What one way to hear a form is compared with."""
    return [("start", "start"), *((other, f"{form.value} {other}") for other in OTHERWISE[form])]


def _namings(world: World, seed: int) -> dict[str, Sums]:
    """The default strategy's questions, and namings by each mechanism, after so many."""
    rng = derive_rng(seed, "choices", "play")
    asked = play(world, get_strategy(DEFAULT), pool="open", budget=NAMINGS[-1], rng=rng)
    found = {DEFAULT: {metric: asked.sums[metric][:, NAMINGS] for metric in OWN}}
    for naming in Naming:
        try:
            timed = _rounds(world, [Form.RECALL] * NAMINGS[-1], seed, naming=naming)
        except OptionError:  # by time, where nobody says when
            continue
        found[naming.value] = {metric: timed.sums[metric][:, NAMINGS] for metric in METRICS}
        found["start"] = {metric: timed.sums[metric][:, :1] for metric in METRICS}
    return found


def _rounds(world: World, forms: Sequence[Form], seed: int, **how: Any) -> Timed:
    return play_rounds(world, forms, seconds=Seconds(), rng=derive_rng(seed, "choices", "rounds"), **how)


def _hearings(world: World, seed: int, asked: Asked) -> dict[str, Sums]:
    found = {}
    for form, others in OTHERWISE.items():
        ways = {form.value: {}} | {f"{form.value} {other}": {form: hear} for other, hear in others.items()}
        for name, how in ways.items():
            timed = _rounds(world, [form] * ROUNDS[form], seed, hear=how)
            found[name] = {metric: timed.sums[metric][:, -1:] for metric in METRICS}
            asked.setdefault(name, []).append(_asked(timed))
    return found


def _mixtures(world: World, seed: int, asked: Asked) -> dict[str, Sums]:
    jobs = [(name, name, Seconds()) for name in MIXTURES]
    jobs += [(f"{name}: {priced}", name, seconds) for priced, (seconds, names) in PRICED.items() for name in names]
    found = {}
    for title, name, seconds in jobs:
        forms, naming = MIXTURES[name]
        rng = derive_rng(seed, "choices", "mixtures")
        how = {"seconds": seconds, "budget": STAGES[-1], "naming": naming, "stages": STAGES}
        timed = play_kinds(world, forms, **how, rng=rng)
        found[title] = timed.sums
        asked.setdefault(title, []).append(_asked(timed))
    return found


def _beside(mixture: str) -> str:
    """Items and pages at the same prices; a naming's is none of theirs."""
    _, colon, priced = mixture.partition(":")
    return f"{PAGES}:{priced}" if colon and "lists" in priced else PAGES


def _asked(timed: Timed) -> dict[str, list[float]]:
    """Of each form, how many were asked of a person on average, and told something of taste."""
    rows = zip(timed.forms, timed.asked.mean(0), timed.answered.mean(0), strict=True)
    return {form.value: [float(asked), float(told)] for form, asked, told in rows}


def _counts(seeds: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    return {
        "asked": {
            form: dict(
                zip(("asked", "told"), np.mean([seed[form] for seed in seeds], 0).round(3).tolist(), strict=True)
            )
            for form in seeds[0]
        }
    }


def _weights(world: World) -> Sums:
    present = world.held_out.present
    has_list = (present & (world.held_out.values >= world.scale.like)).any(1).astype(np.float64)
    return {"rmse": present.sum(1).astype(np.float64), "ndcg@10": has_list, LIST: has_list}


class _Plays:
    """Plays of some seeds, by name."""

    def __init__(self) -> None:
        self.sums: dict[str, list[Sums]] = {}
        self.asked: Asked = {}
        self._weights: list[Sums] = []
        self._people: list[list[str]] = []

    @property
    def number(self) -> int:
        """Of people who took part."""
        return len({person for seed in self._people for person in seed})

    def add(self, world: World, plays: dict[str, Sums]) -> None:
        """Those of a seed more."""
        self._people.append(world.subjects)
        self._weights.append(_weights(world))
        for name, sums in plays.items():
            self.sums.setdefault(name, []).append(sums)

    def table(self) -> _Table:
        """All seeds, a row a person."""

        def gather(seeds: list[Sums]) -> Sums:
            return {
                metric: by_person([seed[metric] for seed in seeds], self._people)
                for metric in METRICS
                if seeds and metric in seeds[0]
            }

        return _Table({name: gather(seeds) for name, seeds in self.sums.items()}, gather(self._weights))


class _Table:
    """Sums of each play and weights, a row a person."""

    def __init__(self, sums: dict[str, Sums], weights: Sums) -> None:
        self._sums, self._weights = sums, weights

    def levels(self, name: str, metrics: Sequence[str] = METRICS) -> dict[str, Any]:
        """With 95 % intervals over people."""
        return {metric: self._interval(metric, name) for metric in metrics}

    def minus(self, name: str, other: str, metrics: Sequence[str] = METRICS) -> dict[str, Any]:
        """One less the other, paired by person."""
        return {metric: self._interval(metric, name, other) for metric in metrics}

    def _interval(self, metric: str, *names: str) -> dict[str, Any]:
        sums = [self._sums[name][metric] for name in names]
        level = np.sqrt if metric == "rmse" else np.asarray

        def statistic(*parts: Array) -> Array:
            own, *others = [level(part / np.maximum(parts[-1], 1e-12)[..., None]) for part in parts[:-1]]
            return own - others[0] if others else own

        interval = ratio_interval([*sums, self._weights[metric]], statistic, rng=derive_rng(0, "bootstrap"))
        return {end: np.round(value, 5).tolist() for end, value in interval._asdict().items()}


def _pick_as_pairs(talk: Talk, rows: Positions, shown: Positions, chosen: Mask) -> None:
    """The best is preferred to each of the others."""
    best = shown[chosen]
    for column in shown.T:
        here = (column >= 0) & (column != best)
        told, one, two = rows[here], best[here], column[here]
        if len(told):
            belief = talk.world.taste.observe_pair(talk.belief.of(told), one, two, np.ones(len(told)))
            talk.belief = talk.belief.replaced(told, belief)
    _expose(talk, rows, best)


def _slate_as_like(talk: Talk, rows: Positions, shown: Positions, chosen: Mask) -> None:
    """What is clicked is liked, and of the rest nothing is said."""
    items, taste = shown[chosen], talk.world.taste
    belief = taste.observe_like(talk.belief.of(rows), items, np.ones(len(items)), cut=talk.model.like_cut)
    talk.belief = talk.belief.replaced(rows, belief)
    _expose(talk, rows, items)


def _group_as_choices(talk: Talk, rows: Positions, items: Positions, tapped: Mask) -> None:
    """Each tap is a pick out of what is not tapped yet, of what may be known."""
    exposure = talk.exposure.of(np.repeat(rows, items.shape[1]))
    known = known_chance(talk.world.answerability, exposure, items.ravel()).reshape(items.shape)
    for here, place in [(np.flatnonzero(column >= 0), place) for place, column in enumerate(items.T)]:
        talk.expose_to(rows[here], items[here, place], tapped[here, place])
    left = items.copy()
    for place in range(items.shape[1]):
        here = np.flatnonzero(tapped[:, place])
        if len(here):
            options = talk.world.taste.shown_options(left[here], known=known[here])
            belief = talk.world.taste.observe_choice(talk.belief.of(rows[here]), options, items[here, place])
            talk.belief = talk.belief.replaced(rows[here], belief)
        left[here, place] = -1


def _expose(talk: Talk, rows: Positions, items: Positions) -> None:
    exposure = talk.world.answerability.observe(talk.exposure.of(rows), items, np.ones(len(items), dtype=bool))
    talk.exposure = talk.exposure.replaced(rows, exposure)


OTHERWISE: dict[Form, dict[str, Hear]] = {
    Form.PICK: {"as pairs": _pick_as_pairs},
    Form.SLATE: {"as a like": _slate_as_like, "as taps": hear_group},
    Form.GROUP: {"as choices": _group_as_choices},
}

if __name__ == "__main__":
    main("choices", run, seeds=12, sets=tuple(SETS), fixed=True)
