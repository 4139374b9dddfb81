"""The federated, private fit on generated worlds and real ratings, beside the central fit and other mechanisms.

Worlds are those of :mod:`benchmarks._federated_worlds`. Settings were chosen by RMSE on worlds of 10,000 users of the
seeds 1,000 to 1,002, and looked at on that of seed 0; they are the same for all rows, and no real rating chose one.
Every ε is user-level, over all rounds, at δ = 1e-5.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmarks import _dpals
from benchmarks._data import load, main
from benchmarks._federated_worlds import World, movielens, world
from palate.evaluation.federated import Parts, judge, judge_central, parts_of, scored
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.metrics import list_metrics, top_k
from palate.federated.accounting import Budget
from palate.federated.device import DeviceAnswers, upload
from palate.federated.devices import Devices
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.rounds import private_fit
from palate.federated.server import advance, begin
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import named
from palate.posteriors.taste import Taste
from palate.random import derive_rng

SIZES = {"worlds of 100,000": 100_000, "worlds of 10,000": 10_000}
OTHERS = {f"{name}, other ways": users for name, users in SIZES.items()}
LARGE = 50_000  # users from which on there are fewer seeds
LIKES = "likes of 10,000"
REAL = ("jester", "movielens-100k", "movielens-latest-small")
FEW, FEWER = 5, 3  # seeds: of real sets, likes and other ways; of large worlds
SETS = (*SIZES, *REAL, *OTHERS, LIKES, "a round")
EPSILONS = (10.0, 3.0, 1.0)
DELTA = 1e-5
LISTS = "list ndcg@10"
LISTED = 5_000  # users whose lists of the whole catalogue are made
DPALS = {  # of 16 settings at ε = 3 on a world of seed 1,001 the one of least RMSE; as strong a ridge as its noise asks
    10.0: _dpals.Settings(rounds=3, items=50, strength=400.0, length=1.0),
    3.0: _dpals.Settings(rounds=3, items=50, strength=800.0, length=1.0),
    1.0: _dpals.Settings(rounds=3, items=50, strength=2_400.0, length=1.0),
}
ROUND_ITEMS, ROUND_ANSWERS, ROUND_TIMES = 3_706, (165, 2_314), 50  # MovieLens-1M: items, mean and most of a user

Scores = dict[str, float]
base = cache(movielens)


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set."""
    return {"settings": settings(), "rows": [row(name, seeds) for name in sets]}


def settings() -> dict[str, Any]:
    """Those of all rows."""
    options = FederatedOptions()
    names = ("delta", "rounds", "clip", "keep", "growth", "floor", "dim", "noise")
    return {name: getattr(options, name) for name in names}


def row(name: str, seeds: int) -> dict[str, Any]:
    if name == "a round":
        return {"set": name, **a_round()}
    return summary(name, [of_seed(name, seed) for seed in range(min(seeds, most_seeds(name)))])


def most_seeds(name: str) -> int:
    """What time allows."""
    if {**SIZES, **OTHERS}.get(name, 0) > LARGE:
        return FEWER
    return 10**9 if name in SIZES else FEW


def of_seed(name: str, seed: int) -> dict[str, Scores]:
    """Every way of one set, on one draw or split of it."""
    if name in REAL:
        return few_ways(parts_of(load(name), clients=None, encoder="default", seed=seed), seed)
    if name == LIKES:
        return few_ways(as_likes(world(base(), 10_000, seed).parts), seed)
    return ratings(world(base(), SIZES[name], seed), seed) if name in SIZES else others(OTHERS[name], seed)


def summary(name: str, found: list[dict[str, Scores]]) -> dict[str, Any]:
    """Means over seeds with intervals, each way beside the central fit of the same seed."""
    ways: dict[str, Any] = {}
    first_way = next(way for way in found[0] if way.startswith("central"))
    for way, first in found[0].items():
        ways[way] = {}
        for metric in first:
            values = np.array([one[way][metric] for one in found])
            ways[way][metric] = _mean(values)
            central = np.array([one[first_way].get(metric, np.nan) for one in found])
            if way != first_way and len(found) > 1 and not np.isnan(central).any():
                minus = paired_bootstrap(values, central, rng=derive_rng(0, "bootstrap"))
                ways[way][f"{metric} minus central"] = minus.as_dict()
    return {"set": name, "seeds": len(found), "ways": ways}


def _mean(values: np.ndarray) -> dict[str, Any]:
    if len(values) == 1:
        return {"mean": float(values[0]), "low": float(values[0]), "high": float(values[0])}
    return bootstrap_mean(values, rng=derive_rng(0, "bootstrap")).as_dict()


# ---- worlds ----------------------------------------------------------------------------------------------------------


def ratings(drawn: World, seed: int) -> dict[str, Scores]:
    """With text: the truth, the central fit, the federated fit and private means; lists of the whole catalogue."""
    parts = drawn.parts
    found = {"true factors": _true(drawn), "central, text": judge_central(parts, seed=seed)}
    lists = {"popularity": list_quality(np.log1p(_counts(parts)), parts)}
    for epsilon in (np.inf, *EPSILONS):
        public = fitted(parts, epsilon, seed)
        way = f"federated, {_named(epsilon)}, text"
        found[way], lists[way] = judge(public, parts), list_quality(own_list(public, parts), parts)
        if epsilon != np.inf:
            found[f"private means, {_named(epsilon)}, text"] = judge(fitted(parts, epsilon, seed, "means"), parts)
    return {way: found.get(way, {}) | ({LISTS: lists[way]} if way in lists else {}) for way in {**found, **lists}}


def others(users: int, seed: int) -> dict[str, Scores]:
    """The same worlds without text, and a mechanism in the way of DPALS with and without."""
    parts = world(base(), users, seed).parts
    bare = replace(parts, content=None)
    found = {"central, no text": judge_central(bare, seed=seed)}
    for epsilon in (np.inf, *EPSILONS):
        found[f"federated, {_named(epsilon)}, no text"] = judge(fitted(bare, epsilon, seed), bare)
    for epsilon in EPSILONS:
        for own, text in ((parts, "text"), (bare, "no text")):
            factors = dpals(own, epsilon, seed)
            tastes = _dpals.beliefs(parts.train, factors, base().noise, 3.5)
            found[f"DPALS-like, {_named(epsilon)}, {text}"] = scored(own, factors, tastes, centre=3.5)
    return found


def fitted(parts: Parts, epsilon: float, seed: int, form: str = "factors") -> PublicModel:
    """The last public model of a simulated line."""
    ends: Any = {"kind": parts.kind, "low": parts.low, "high": parts.high, "form": form}
    options = FederatedOptions(epsilon=epsilon, delta=DELTA, **ends)
    return private_fit(parts.train, parts.content, options, rng=derive_rng(seed, f"noise at {epsilon:g}"))


def dpals(parts: Parts, epsilon: float, seed: int, chosen: _dpals.Settings | None = None) -> np.ndarray:
    """Level and factors of the mechanism that stands beside, ratings less 3.5."""
    return _dpals.fit(
        parts.train,
        parts.content,
        chosen or DPALS[epsilon],
        budget=Budget(epsilon, DELTA),
        dim=FederatedOptions().dim,
        noise=base().noise,
        centre=3.5,
        rng=derive_rng(seed, f"dpals at {epsilon:g}"),
    )


def _true(drawn: World) -> Scores:
    """Tastes from the training ratings given the factors that the ratings came from."""
    size = drawn.factors.shape[1]
    items = Items.build(
        drawn.factors, np.zeros((len(drawn.factors), size, size)), np.full(len(drawn.factors), base().noise)
    )
    return scored(drawn.parts, drawn.factors, Taste.build(items, named("gaussian")).believe(drawn.parts.train).mean)


def _counts(parts: Parts) -> np.ndarray:
    return np.bincount(parts.train.indices, minlength=parts.train.shape[1]).astype(float)


def own_list(public: PublicModel, parts: Parts) -> np.ndarray:
    """Scores of the whole catalogue on the first devices: log of P(answers) · P(likes), (n, I)."""
    some = parts.train[:LISTED]
    means, _ = Devices.of(some).beliefs(public)
    predicted = public.factors[:, 0] + means @ public.factors[:, 1:].T
    over = (predicted - (parts.like - public.centre) / public.size) / np.sqrt(public.noise)
    return np.asarray(np.log(np.maximum(public.answer_rate, 1e-9)) + np.log(np.maximum(ndtr(over), 1e-9)))


def list_quality(scores: np.ndarray, parts: Parts) -> float:
    """NDCG@10 of lists out of the whole catalogue, less what was rated, by what is liked of the test.

    Args:
        scores: (I,) or (n, I).
    """
    train, test = parts.train[:LISTED].copy(), parts.test[:LISTED].copy()
    train.data[:] = 1.0
    test.data = (test.data >= parts.like).astype(float)
    test.eliminate_zeros()
    whole = np.broadcast_to(scores, test.shape)
    return float(np.nanmean(list_metrics(top_k(whole, train, 10), test)["ndcg"]))


# ---- few ways --------------------------------------------------------------------------------------------------------


def as_likes(parts: Parts) -> Parts:
    """Ratings as likes and dislikes, by whether they are at least the mean; RMSE is of P(like) then."""
    train, test = parts.train.copy(), parts.test.copy()
    train.data, test.data = ((part.data >= parts.like).astype(float) for part in (train, test))
    return Parts(train, test, parts.content, 0.0, 1.0, "like")


def few_ways(parts: Parts, seed: int) -> dict[str, Scores]:
    """The central fit, and both forms of the federated one; which of them a line publishes is told by its counts."""
    found = {"central, text": judge_central(parts, seed=seed)}
    for epsilon in (np.inf, *EPSILONS):
        chosen = fitted(parts, epsilon, seed, "auto").form
        for form, way in (("factors", "federated"), ("means", "private means")):
            scores = judge(fitted(parts, epsilon, seed, form), parts)
            found[f"{way}, {_named(epsilon)}, text"] = scores | {"published": float(form == chosen)}
    return found


def _named(epsilon: float) -> str:
    return "no noise" if epsilon == np.inf else f"ε = {epsilon:g}"


# ---- a round of one device -------------------------------------------------------------------------------------------


def a_round() -> dict[str, Any]:
    """Bytes that a device sends and reads, and processor milliseconds of working out what it sends."""
    rng = derive_rng(0, "a round")
    ids = [str(item) for item in range(ROUND_ITEMS)]
    state = begin(ids, FederatedOptions(form="factors"), line="a round")
    state = advance(state, np.zeros(2 * ROUND_ITEMS, dtype=np.uint64), 10_000, rng=rng)
    rows = []
    for answers in ROUND_ANSWERS:
        own = DeviceAnswers(rng.choice(ROUND_ITEMS, answers, replace=False), rng.integers(1, 6, answers).astype(float))
        taken = []
        for _ in range(ROUND_TIMES):
            started = time.process_time()
            sent = upload(state.public, own)
            taken.append(1e3 * (time.process_time() - started))
        rows.append(
            {"answers": answers, "median_ms": float(np.median(taken)), "p99_ms": float(np.quantile(taken, 0.99))}
        )
    return {
        "items": ROUND_ITEMS,
        "dimensions": state.public.dim,
        "numbers": len(sent),
        "bytes_of_32_bits": 4 * len(sent),
        "bytes_of_64_bits": sent.nbytes,
        "model_bytes": len(state.public.to_buffers()),
        "devices": rows,
    }


if __name__ == "__main__":
    main("federated", run, seeds=20, sets=SETS, fixed=True)
