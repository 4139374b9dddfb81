"""Where scikit-activeml, small-text, modAL or iRec define a value: how far ours is from it, on pools of drawn numbers.

Scores and probabilities are compared as numbers, batches (``picks``) as positions, streams as decisions; 0 is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from benchmarks._comparison import Peers, main_with_peers
from palate import Learner
from palate.acquisition import get_strategy
from palate.acquisition.pool.coverage import probcover
from palate.acquisition.pool.neighbours import contrastive, quire
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.pool.streams import QuantileStream, UncertaintyStream
from palate.arrays import Array
from palate.datasets import planted_world
from palate.loop.offered import candidates_of
from palate.model.model import Model
from palate.random import derive_rng

NEIGHBOURS, RADIUS, BUDGET = 5, 1.5, 0.2
START = {"quantile": 1.0, "variable": 1.0, "fixed": 0.5 + BUDGET / 2}  # thresholds of scikit-activeml, two classes

WHY = {
    "scikit-activeml badge second share": "theirs counts the origin as a centre: min(‖g‖², ‖g − g₁‖²) for ‖g − g₁‖²; "
    "the paper's k-means++ does not"
}


def run(seeds: int, peers: Peers) -> dict[str, Any]:
    """A row a value: the largest difference over the seeds."""
    gaps: dict[str, list[float]] = {}
    versions: dict[str, str] = {}
    for seed in range(seeds):
        pool, stream = _pool(seed), derive_rng(seed, "stream").random(400)
        model = _rated(seed)
        theirs = peers("values", _arrays(pool, stream) | {"ratings": model.answers.toarray()})
        versions = theirs["versions"]
        for name, value in theirs["values"].items():
            ours = _of_items(name, model) if name.startswith("irec ") else None
            gap = _gap(name, np.asarray(value), pool, stream) if ours is None else np.abs(ours - value).max()
            gaps.setdefault(name, []).append(float(gap))
    return {"versions": versions, "rows": [_row(name, max(found)) for name, found in gaps.items()]}


def _row(name: str, gap: float) -> dict[str, Any]:
    peer, value = name.split(maxsplit=1)
    return {"peer": peer, "value": value, "largest_gap": gap, "why": WHY.get(name, "")}


def _pool(seed: int) -> Pool:
    """Sixty candidates, twelve labelled, three classes, eight draws of a linear softmax model."""
    rng = derive_rng(seed, "agreement")
    features = rng.normal(size=(72, 4))
    weights = rng.normal(size=(4, 3)) + 0.7 * rng.normal(size=(8, 4, 3))
    samples = softmax(features @ weights, axis=2)
    labels = np.concatenate([np.arange(3), rng.integers(3, size=9)])
    return Pool(samples[:, :60], features[:60], features[60:], labels, samples[:, 60:])


def _rated(seed: int) -> Model:
    """A small world of ratings from 1 to 5."""
    rng = derive_rng(seed, "ratings")
    return Learner.fit(planted_world(users=60, items=40, rng=rng).dataset, encoder="none", dim=2).model


def _of_items(name: str, model: Model) -> Array:
    """What iRec defines for an item, by ours; it divides log(popularity) entropy by the largest."""
    strategy = name.removeprefix("irec ").removesuffix(" over its largest")
    scores = get_strategy(strategy).score(model.taste.start, candidates_of(model), rng=np.random.default_rng(0))
    return scores / scores.max() if name.endswith(" over its largest") else scores


def _arrays(pool: Pool, stream: Array) -> dict[str, np.ndarray]:
    return {
        "samples": pool.samples,
        "candidates": pool.features,
        "labelled": pool.labelled,
        "known": pool.labels,
        "labelled_mean": pool.labelled_samples.mean(0),
        "neighbours": np.array(NEIGHBOURS),
        "radius": np.array(RADIUS),
        "stream": stream,
        "budget": np.array(BUDGET),
    }


def _gap(name: str, theirs: Array, pool: Pool, stream: Array) -> float:
    what = name.split(maxsplit=1)[1]
    if what.endswith(" share"):
        return _gap_of_shares(what.split()[0], what.split()[1] == "second", theirs, pool)
    if what == "probcover degrees":
        first = probcover(pool, 1, rng=np.random.default_rng(0), radius=RADIUS).items[0]
        return float(theirs.max() - theirs[first])
    return float(np.abs(theirs - _ours(what, len(theirs), pool, stream)).max())


def _gap_of_shares(name: str, second: bool, theirs: Array, pool: Pool) -> float:
    """Of drawn batches: the recorded probability of what ours draws against their probability of the same."""
    gaps = []
    for seed in range(50):
        batch = POOL_STRATEGIES[name].pick(pool, 2, rng=np.random.default_rng(seed))
        gaps.append(abs(batch.propensities[int(second)] - theirs[batch.items[int(second)]]))
    return float(max(gaps))


def _ours(what: str, n: int, pool: Pool, stream: Array) -> Array:
    rng = np.random.default_rng(0)
    if what.startswith("stream "):
        return _decisions(what.removeprefix("stream "), stream)
    if what == "contrastive":
        return contrastive(pool, rng=rng, k=NEIGHBOURS)
    if what == "quire":
        return quire(pool, rng=rng, gamma=0.5)
    if what.endswith(" picks"):
        return POOL_STRATEGIES[what.removesuffix(" picks")].pick(pool, n, rng=rng).items.astype(float)
    score = POOL_STRATEGIES["bald" if what == "mean-divergence" else what].score  # one number, two names
    assert score is not None
    return score(pool, rng=rng)


def _decisions(kind: str, stream: Array) -> Array:
    """Whether each of a stream is asked for; the scores are uncertainties."""
    rng, asked = np.random.default_rng(0), []
    quantile = QuantileStream(BUDGET)
    rule = UncertaintyStream(BUDGET, kind="variable" if kind == "variable" else "fixed", threshold=START[kind])
    for score in stream:
        if kind == "quantile":
            asks, quantile = quantile.decide(float(score))
        else:
            asks, rule = rule.decide(1.0 - float(score), rng=rng)
        asked.append(float(asks))
    return np.array(asked)


if __name__ == "__main__":
    main_with_peers("agreement", run, seeds=20)
