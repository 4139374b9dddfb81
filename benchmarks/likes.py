"""Likes: what is known of P(like) in a world whose tastes are planted, of held-out likes, and of new people.

Beside a Gaussian fit of the same zeros and ones, a Gibbs sampler of the same model, and the fit of an earlier commit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from scipy.special import ndtr
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks._before import COMMIT, before
from benchmarks._data import POLIS, load, main, nine_tenths
from benchmarks._gibbs import gibbs
from palate import Dataset, Learner
from palate.acquisition import DEFAULT
from palate.entities import RATING
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import bootstrap_mean
from palate.evaluation.simulate import SimulationOptions, simulate
from palate.random import derive_rng

USERS, ITEMS, TASTES, LIKES = 1_000, 500, 6, 40_000
SPLITS, QUESTIONS, PEOPLE_SEEDS = 3, 20, 4
SWEEPS, BURN = 200, 200
MOVIES = "movielens-100k (4 and more)"
_NEAREST = 1e-6  # of a chance to 0 and 1, where a Gaussian fit goes beyond


def run(seeds: int) -> dict[str, Any]:
    """Everything, what was before included."""
    return {
        "before": COMMIT,
        "planted": _of_seeds([_planted(seed) for seed in range(seeds)]),
        "held_out": [_held_out(split) for split in range(SPLITS)],
        "new_people": [_new_people(name, PEOPLE_SEEDS) for name in (f"polis/{one}" for one in POLIS[:2])],
    }


# ---- a planted world -------------------------------------------------------------------------------------------------


def planted(seed: int) -> tuple[np.ndarray, sparse.csr_matrix]:
    """True latent values, (U, I), and some likes and dislikes, as CSR of 1 and 0."""
    rng = derive_rng(seed, "likes")
    latent = rng.normal(0.0, 0.4, ITEMS) + rng.normal(size=(USERS, TASTES)) @ rng.normal(0.0, 0.55, (TASTES, ITEMS))
    cells = np.sort(rng.choice(latent.size, LIKES, replace=False))
    liked = (rng.random(LIKES) < ndtr(latent.ravel()[cells])).astype(np.float64)
    users, items = np.divmod(cells, ITEMS)
    start = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=USERS))])
    return latent, sparse.csr_matrix((liked, items, start), shape=latent.shape)


def _planted(seed: int) -> dict[str, dict[str, float]]:
    latent, answers = planted(seed)
    cells = np.divmod(np.arange(latent.size), ITEMS)
    drawn = gibbs(
        answers, cells, dim=TASTES, likelihood="probit", sweeps=SWEEPS, burn=BURN, rng=derive_rng(seed, "gibbs")
    )
    mean, std, chance = (part.reshape(latent.shape) for part in (drawn.mean, drawn.std, drawn.expected))
    levels = (answers.sum(0).A1 + 1.0) / (np.bincount(answers.indices, minlength=ITEMS) + 2.0)
    return {
        "palate": planted_fit(seed, "probit"),
        "gaussian": planted_fit(seed, "gaussian"),
        "gibbs": _scored(chance, latent) | {"cover": _cover(mean, std, latent), "std": float(std.mean())},
        "item levels": _scored(np.broadcast_to(levels, latent.shape), latent),
        "before": before("likes", "planted_fit", seed, "probit"),
    }


def planted_fit(seed: int, likelihood: str) -> dict[str, float]:
    """A fit of the world of that seed; for likes with how often 95 % intervals of the latent value hold the truth."""
    latent, answers = planted(seed)
    users, items = answers.nonzero() if answers.data.all() else answers.tocoo().coords
    table = pl.DataFrame({"user_id": users, "item_id": items, RATING: answers.data})
    names = pl.col("user_id", "item_id").cast(pl.String).str.zfill(4)
    model = Learner.fit(Dataset.from_tables(table.with_columns(names)), encoder="none", likelihood=likelihood).model
    if model.answers.shape != latent.shape:
        raise AssertionError(f"{model.answers.shape} of {latent.shape} users and items were fitted")
    mean, variance = model.taste.items.predict(model.taste.believe(model.answers))
    scored = _scored(np.clip(model.taste.likelihood.expected(mean, variance), 0.0, 1.0), latent)
    if likelihood == "gaussian":
        return scored
    std = np.sqrt(np.maximum(variance - 1.0, 0.0))
    return scored | {"cover": _cover(mean, std, latent), "std": float(std.mean())}


def _scored(chance: np.ndarray, latent: np.ndarray) -> dict[str, float]:
    top = np.argsort(-chance, axis=1, kind="stable")[:, :10]
    lists = np.zeros(chance.shape, dtype=np.float32)
    np.put_along_axis(lists, top, 1.0, 1)
    common = lists @ lists.T
    overlap = (common.sum() - common.trace()) / (len(common) * (len(common) - 1))
    return {"rmse": float(np.sqrt(np.mean((chance - ndtr(latent)) ** 2))), "overlap": float(overlap)}


def _cover(mean: np.ndarray, std: np.ndarray, latent: np.ndarray) -> float:
    return float((np.abs(mean - latent) <= 1.96 * std).mean())


def _of_seeds(runs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Mean of each number over the seeds, and of the RMSE less the others', paired by seed."""
    rows = {
        name: {key: _interval([run[name][key] for run in runs]) for key in numbers} for name, numbers in runs[0].items()
    }
    for name in rows:
        if name != "palate":
            differences = [run["palate"]["rmse"] - run[name]["rmse"] for run in runs]
            rows[name]["palate minus this"] = _interval(differences)
    return rows


def _interval(values: list[float]) -> dict[str, object]:
    return bootstrap_mean(np.array(values), rng=np.random.default_rng(0)).as_dict()


# ---- likes held out --------------------------------------------------------------------------------------------------


def as_likes(name: str) -> Dataset:
    """Films rated 4 or more, or statements agreed with, against the others."""
    data = load(name.split(" ")[0])
    cut = 4.0 if name == MOVIES else 1.0
    liked = (pl.col(RATING) >= cut).cast(pl.Float64).alias(RATING)
    return replace(data, interactions=data.interactions.with_columns(liked))


def _held_out(number: int) -> dict[str, Any]:
    model, rows, columns, observed = _fitted(number, "probit")
    drawn = gibbs(
        model.answers,
        (rows, columns),
        dim=16,
        likelihood="probit",
        sweeps=SWEEPS,
        burn=BURN,
        rng=derive_rng(number, "gibbs"),
    )
    return {
        "split": number,
        "rows": len(observed),
        "palate": _told(predict_rows(model, rows, columns)[0], observed),
        "gaussian": held_out_fit(number, "gaussian"),
        "gibbs": _told(drawn.expected, observed),
        "before": before("likes", "held_out_fit", number, "probit"),
    }


def held_out_fit(number: int, likelihood: str) -> dict[str, float]:
    """A fit of nine tenths of the likes of MovieLens-100K, and the others as it tells them."""
    model, rows, columns, observed = _fitted(number, likelihood)
    return _told(predict_rows(model, rows, columns)[0], observed)


def _fitted(number: int, likelihood: str) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    train, test = nine_tenths(as_likes(MOVIES), rng=derive_rng(number, "split"))  # as `palate evaluate --seed`
    model = Learner.fit(train, encoder="none", likelihood=likelihood, seed=number).model
    return model, *held_out_rows(model, test)


def _told(chance: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    return {
        "auc": float(roc_auc_score(observed, chance)),
        "log_loss": float(log_loss(observed, np.clip(chance, _NEAREST, 1.0 - _NEAREST))),
    }


# ---- new people ------------------------------------------------------------------------------------------------------


def _new_people(name: str, seeds: int) -> dict[str, Any]:
    return {
        "set": name,
        "questions": QUESTIONS,
        "seeds": seeds,
        "palate": new_people(name, seeds),
        "before": before("likes", "new_people", name, seeds),
    }


def new_people(name: str, seeds: int) -> dict[str, object]:
    """RMSE of P(like) on the held-out answers of new people after some questions by the default strategy."""
    options = SimulationOptions((DEFAULT,), QUESTIONS, tuple(range(seeds)), "new-users", "answered", "none")
    curve = simulate(as_likes(name), options)["strategies"][DEFAULT]["rmse"]
    return {end: values[QUESTIONS] for end, values in curve.items()}


if __name__ == "__main__":
    main("likes", run, seeds=20)
