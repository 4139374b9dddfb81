"""What item factors still tell of people who were erased: an attack that asks who was in the fit.

MovieLens-100K in random halves. The attacker has the levels and factors of the items, knows what each person rated, and
has fitted models of other halves: how likely are these ratings under the items, compared with models that knew the
person and with models that did not (LiRA: Carlini et al., *Membership inference attacks from first principles*, IEEE
S&P 2022). AUC of people who were in a fit and were then erased, against people who never were; .5 is chance.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import load, main
from benchmarks._membership import auc, random_half, rated, ratios
from palate import Dataset
from palate.evaluation.intervals import bootstrap_mean
from palate.model.fit import fit_model
from palate.model.forget import forget
from palate.model.model import Model
from palate.random import derive_rng

SHADOWS, ERASED = 11, 60
STEPS = {"subtracted": 1, "four sweeps": 4}


def run(seeds: int) -> dict[str, Any]:
    """AUC of the attack for each target half, and the seconds that forgetting took."""
    data = replace(load("movielens-100k"), items=pl.DataFrame({"item_id": []}, schema={"item_id": pl.String}))
    users = sorted(data.interactions["user_id"].unique())
    shadows = [random_half(users, "shadow", number) for number in range(SHADOWS)]
    known = np.array([[user in half for user in users] for half in shadows])
    told = rated(data)
    losses = np.array(
        [[_evidence(model, told[user]) for user in users] for model in (_fit(data, half) for half in shadows)]
    )
    rows = [_row(data, users, told, known, losses, seed) for seed in range(seeds)]
    names = rows[0]["auc"]
    rng = np.random.default_rng(0)
    summary = {name: bootstrap_mean([row["auc"][name] for row in rows], rng=rng).as_dict() for name in names}
    return {"shadows": SHADOWS, "erased": ERASED, "auc": summary, "rows": rows}


def _row(
    data: Dataset, users: list[str], told: dict[str, Any], known: np.ndarray, losses: np.ndarray, seed: int
) -> dict[str, Any]:
    half = random_half(users, "target", seed)
    erased = set(derive_rng(seed, "erased").permutation(sorted(half))[:ERASED].tolist())
    strangers = [place for place, user in enumerate(users) if user not in half]
    members = [place for place, user in enumerate(users) if user in erased]
    model = _fit(data, half)
    found, seconds = {"known": model}, {}
    for name, sweeps in STEPS.items():
        begun = time.perf_counter()
        found[name] = forget(model, erased, sweeps=sweeps)
        seconds[name] = time.perf_counter() - begun
    begun = time.perf_counter()
    found["refitted"] = _fit(data, half - erased)
    seconds["refitted"] = time.perf_counter() - begun
    aucs = {}
    for name, one in found.items():
        evidence = np.array([_evidence(one, told[user]) for user in users])
        score = ratios(evidence, known, losses)
        aucs[name] = auc(score[members], score[strangers])
    return {"seed": seed, "auc": aucs, "seconds": seconds}


def _fit(data: Dataset, users: set[str]) -> Model:
    rows = data.interactions.filter(pl.col("user_id").is_in(list(users)))
    part = replace(data, interactions=rows)
    return fit_model(part, encoder="none", likelihood="gaussian", dim=16, seed=0, lists=False)


def _evidence(model: Model, told: tuple[list[str], np.ndarray]) -> float:
    """Log density of somebody's ratings under the items, a rating."""
    there = np.array([item in model.catalogue for item in told[0]])
    places = model.catalogue.positions([item for item, known in zip(told[0], there, strict=True) if known])
    items, values = model.taste.items, told[1][there]
    factors, noise = items.factors[places], items.noise[places]
    error = (values - items.level[places]) / np.sqrt(noise)
    scaled = factors / np.sqrt(noise)[:, None]
    inner = np.eye(scaled.shape[1]) + scaled.T @ scaled
    pull = scaled.T @ error
    square = error @ error - pull @ np.linalg.solve(inner, pull)
    log = np.log(noise).sum() + np.linalg.slogdet(inner)[1]
    return float(-0.5 * (square + log) / max(len(values), 1))


if __name__ == "__main__":
    main("forgetting", run, seeds=4)
