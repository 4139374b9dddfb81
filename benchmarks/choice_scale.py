"""Naming one out of a large catalogue: what the draw of options loses, and what it saves."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from benchmarks._data import main
from palate.evaluation.intervals import bootstrap_mean
from palate.posteriors.belief import Belief
from palate.posteriors.choices import DRAWN, EXACT, Choice, Options, drawn, heard
from palate.random import derive_rng

SIZES, DIM, NAMINGS = (100_000, 1_000_000), 32, (1, 5)
SPREAD, LEVELS, COUNTS = 0.25, 0.4, (2.0, 1.8)  # of slopes, of levels, and of the logarithms of counts: mean and sd


def run(seeds: int) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "exact": EXACT,
        "drawn": DRAWN,
        "rows": [_row(items, namings, seeds) for items in SIZES for namings in NAMINGS],
    }


def _row(items: int, namings: int, seeds: int) -> dict[str, Any]:
    """Error of the mean in posterior standard deviations, root mean square over the dimensions, and seconds."""
    found = np.array([_once(items, namings, seed) for seed in range(seeds)])
    error = bootstrap_mean(found[:, 0], rng=derive_rng(0, "intervals"))
    names = ("draw", "with the draw", "with all")
    seconds = {name: float(np.median(column)) for name, column in zip(names, found.T[1:], strict=True)}
    return {
        "items": items,
        "namings": namings,
        "error": {"mean": float(error.mean), "low": float(error.low), "high": float(error.high)},
        "seconds": seconds,
        "times_faster": seconds["with all"] / seconds["with the draw"],
    }


def _once(items: int, namings: int, seed: int) -> list[float]:
    """Somebody of the population names a few; the error, and the seconds of each part."""
    rng = derive_rng(seed, "choice scale", str(items))
    slopes = SPREAD * rng.normal(size=(items, DIM))
    level = LEVELS * rng.normal(size=items)
    everything = Options(slopes, np.log(np.exp(rng.normal(*COUNTS, items)) + 0.5) + level)
    scores = everything.scores(rng.normal(size=DIM))
    named = np.argpartition(-(scores + rng.gumbel(size=items)), namings)[:namings]
    times = [time.perf_counter()]
    draw = drawn(everything.logits, rng=rng)
    assert draw is not None
    few, start = draw.of(everything), Belief(np.zeros(DIM), np.eye(DIM))
    times.append(time.perf_counter())
    beliefs = []
    for options in (few, everything):
        beliefs.append(heard(start, [Choice(options, slopes[item]) for item in named]))
        times.append(time.perf_counter())
    about, exact = beliefs
    off = (about.mean - exact.mean) / np.sqrt(np.diag(exact.covariance))
    return [float(np.sqrt((off**2).mean())), *np.diff(times).tolist()]


if __name__ == "__main__":
    main("choice_scale", run, seeds=10)
