"""Questions of every kind at equal seconds of the user's time: MovieLens-100K, open pool, people nobody has seen.

The time is that of 10 (and of 2 and 5) single-item questions. Item questions by popularity and by the default are
beside all kinds mixed, and the share of the gap between popularity and random-among-answerable that the mix closes.
The assumed seconds of each kind are doubled and halved, in truth and in the plan alike; of groups and pages together,
and of passing over a title alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._data import load, main
from palate.acquisition import DEFAULT, get_strategy
from palate.acquisition.questions.forms import FORMS
from palate.costs import LISTS, PICKS, Seconds
from palate.entities import Form
from palate.evaluation.intervals import paired_rmse, ratio_interval, rmse_interval
from palate.evaluation.play import Played, play
from palate.evaluation.question_forms import Timed, play_kinds
from palate.evaluation.world import World, users_world
from palate.random import derive_rng

QUESTIONS = (2, 5, 10)
MAIN = 2  # of QUESTIONS: where the gap is taken
ASKED = tuple(form for form in FORMS if form is not Form.RECALL)  # which is asked only of those who want it
RUNS: dict[str, tuple[tuple[Form, ...], Seconds]] = {
    "rate": ((Form.RATE,), Seconds()),
    **{f"rate + {form.value}": ((Form.RATE, form), Seconds()) for form in ASKED if form is not Form.RATE},
    "mixed": (ASKED, Seconds()),
    "mixed without pages": (tuple(form for form in ASKED if form is not Form.PAGE), Seconds()),
    **{
        f"mixed, {'lists' if form in (*LISTS, *PICKS) else form.value} x {factor:g}": (
            ASKED,
            Seconds().scaled(form, factor),
        )
        for form in ASKED
        for factor in (0.5, 2.0)
    },
    **{f"mixed, look {look:g} s": (ASKED, Seconds(look=look)) for look in (1.5, 2.0)},
}


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """Reference plays by questions, and every run by seconds."""
    data = load(*sets)
    squares: dict[str, list[np.ndarray]] = {}
    asked: dict[str, list[np.ndarray]] = {}
    weights = []
    for seed in range(seeds):
        world = users_world(data, encoder="none", seed=seed, max_users=5_000)
        for name, played in _references(world, seed).items():
            squares.setdefault(name, []).append(played.sums["rmse"][:, list(QUESTIONS)])
        for name, (forms, seconds) in RUNS.items():
            timed = _timed(world, forms, seconds, seed)
            squares.setdefault(name, []).append(timed.at([count * seconds.rate for count in QUESTIONS])["rmse"])
            asked.setdefault(name, []).append(np.stack([timed.asked.mean(0), timed.answered.mean(0)]))
        weights.append(played.weights["rmse"])
    tables, counts = {name: np.concatenate(parts) for name, parts in squares.items()}, np.concatenate(weights)
    return {
        "questions": list(QUESTIONS),
        "seconds": {name: getattr(Seconds(), name) for name in Seconds.__slots__},
        "references": {name: _row(tables, name, counts) for name in ("popularity", DEFAULT, "answerable-random")},
        "runs": {
            name: _row(tables, name, counts) | {"kinds": _kinds(forms, asked[name])}
            for name, (forms, _) in RUNS.items()
        },
    }


def _references(world: World, seed: int) -> dict[str, Played]:
    pools = {
        "popularity": ("popularity", "open"),
        DEFAULT: (DEFAULT, "open"),
        "answerable-random": ("random", "answered"),
    }
    return {
        name: play(world, get_strategy(strategy), pool=pool, budget=QUESTIONS[-1], rng=derive_rng(seed, "kinds", name))
        for name, (strategy, pool) in pools.items()
    }


def _timed(world: World, forms: tuple[Form, ...], seconds: Seconds, seed: int) -> Timed:
    """With the same draws in every run."""
    budget = QUESTIONS[-1] * seconds.rate
    return play_kinds(world, forms, seconds=seconds, budget=budget, rng=derive_rng(seed, "kinds", "play"))


def _row(tables: dict[str, np.ndarray], name: str, counts: np.ndarray) -> dict[str, Any]:
    """RMSE, what it is below popularity and the default, and the share of the gap closed, with 95 % intervals."""
    squared = tables[name]

    def closed(own: np.ndarray, popularity: np.ndarray, ceiling: np.ndarray, n: np.ndarray) -> np.ndarray:
        high, here, low = (np.sqrt(part / n) for part in (popularity, own, ceiling))
        return (high - here) / (high - low)

    sums = [squared[:, MAIN], tables["popularity"][:, MAIN], tables["answerable-random"][:, MAIN], counts]
    return {
        "rmse": rmse_interval(squared, counts, rng=derive_rng(0, "bootstrap")).as_dict(),
        **{
            f"minus {other}": paired_rmse(squared, tables[other], counts, rng=derive_rng(0, "bootstrap")).as_dict()
            for other in ("popularity", DEFAULT)
        },
        "gap_closed": ratio_interval(sums, closed, rng=derive_rng(0, "bootstrap")).as_dict(),
    }


def _kinds(forms: tuple[Form, ...], asked: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """Questions of each kind a user gets in the time of 10, and those of them that told something of taste."""
    counts = np.mean(asked, axis=0)
    return {
        form.value: {"asked": round(float(counts[0, place]), 3), "told": round(float(counts[1, place]), 3)}
        for place, form in enumerate(forms)
    }


if __name__ == "__main__":
    main("question_kinds", run, seeds=20, sets=("movielens-100k",))
