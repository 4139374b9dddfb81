"""scikit-activeml, small-text, modAL, iRec and crowd-kit at work, in an environment that need not hold palate.

    PYTHON benchmarks/_peers.py curves|values|crowd INPUT.npz OUTPUT.json

reads arrays (``allow_pickle=False``) and writes JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

Arrays = dict[str, np.ndarray]
Wrap = Callable[[LogisticRegression, np.ndarray, np.ndarray], Any]  # fitted, features, labels -> the peer's classifier
Pick = Callable[[Any, np.ndarray, np.ndarray, int, int], np.ndarray]  # that, features, labels or NaN, k, seed


def main() -> None:
    job, source, target = sys.argv[1:]
    with np.load(source, allow_pickle=False) as file:
        arrays = dict(file)
    result = {"curves": curves, "values": values, "crowd": crowd}[job](arrays)
    packages = ("scikit-activeml", "small-text", "modAL-python", "irec", "scikit-learn", "crowd-kit")
    result["versions"] = {package: version(package) for package in packages}
    with open(target, "w", encoding="utf-8") as file:
        json.dump(result, file, allow_nan=False)


def curves(arrays: Arrays) -> dict[str, Any]:
    """Accuracy after each batch and seconds of choosing, by strategy and seed."""
    rows = []
    for peer, made in {"scikit-activeml": _activeml, "small-text": _small_text}.items():
        wrap, strategies = made(int(arrays["classes"]))
        for name, pick in strategies.items():
            for seed in range(len(arrays["start"])):
                accuracy, seconds = _play(wrap, pick, arrays, seed)
                rows.append({"peer": peer, "strategy": name, "seed": seed, "accuracy": accuracy, "seconds": seconds})
    return {"rows": rows}


def model(arrays: Arrays) -> LogisticRegression:
    """The mode of the same model as palate's: two classes have one weight vector, the difference of theirs."""
    variance = float(arrays["prior_variance"])
    c = 2.0 * variance if int(arrays["classes"]) == 2 else variance
    return LogisticRegression(C=c, fit_intercept=False, solver="newton-cg", tol=1e-8)


def _play(wrap: Wrap, pick: Pick, arrays: Arrays, seed: int) -> tuple[list[float], list[float]]:
    pool, test = arrays["pool"][seed], arrays["test"][seed]
    features, truth = arrays["features"][pool], arrays["labels"][pool].astype(float)
    labels = np.full(len(pool), np.nan)
    labels[arrays["start"][seed]] = truth[arrays["start"][seed]]
    accuracy, seconds = [], []
    for turn in range(int(arrays["rounds"]) + 1):
        known = ~np.isnan(labels)
        fitted = model(arrays).fit(features[known], labels[known].astype(int))
        right = fitted.predict(arrays["features"][test]) == arrays["labels"][test]
        accuracy.append(float(right.mean()))
        if turn < int(arrays["rounds"]):
            classifier = wrap(fitted, features, labels)
            began = time.perf_counter()
            chosen = np.asarray(pick(classifier, features, labels, int(arrays["k"]), seed * 1000 + turn))
            seconds.append(time.perf_counter() - began)
            labels[chosen] = truth[chosen]
    return accuracy, seconds


def _activeml(classes: int) -> tuple[Wrap, dict[str, Pick]]:
    from skactiveml import pool
    from skactiveml.classifier import SklearnClassifier

    def wrap(fitted: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> Any:
        return SklearnClassifier(fitted, classes=list(range(classes))).fit(features, labels)

    def with_model(make: Callable[[int], Any]) -> Pick:
        return lambda clf, x, y, k, seed: make(seed).query(x, y, clf=clf, fit_clf=False, batch_size=k)

    def without(make: Callable[[int], Any]) -> Pick:
        return lambda clf, x, y, k, seed: make(seed).query(x, y, batch_size=k)

    return wrap, {
        "margin": with_model(lambda seed: pool.UncertaintySampling("margin_sampling", random_state=seed)),
        "badge": with_model(lambda seed: pool.Badge(random_state=seed)),
        "typiclust": without(lambda seed: pool.TypiClust(random_state=seed)),
        "probcover": without(lambda seed: pool.ProbCover(n_classes=classes, random_state=seed)),
        "core-set": without(lambda seed: pool.CoreSet(random_state=seed)),
    }


def _small_text(classes: int) -> tuple[Wrap, dict[str, Pick]]:
    from scipy.sparse import csr_matrix
    from small_text import BreakingTies, EmbeddingKMeans, GreedyCoreset, SklearnDataset
    from small_text import SklearnClassifier as Classifier

    def wrap(fitted: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> Any:
        classifier = Classifier(fitted, classes)
        data = SklearnDataset(csr_matrix(features), np.nan_to_num(labels).astype(int), np.arange(classes))
        return classifier, data

    def pick_by(strategy: Any, embeds: bool) -> Pick:
        def pick(prepared: Any, features: np.ndarray, labels: np.ndarray, k: int, seed: int) -> np.ndarray:
            np.random.seed(seed)  # noqa: NPY002 - it draws from the global generator
            open_, known = np.flatnonzero(np.isnan(labels)), np.flatnonzero(~np.isnan(labels))
            more = {"embeddings": features[np.r_[open_, known]], "pbar": None} if embeds else {}
            return strategy.query(*prepared, open_, known, labels[known].astype(int), n=k, **more)

        return pick

    return wrap, {
        "margin": pick_by(BreakingTies(), False),
        "core-set": pick_by(GreedyCoreset(), True),
        "embedding-k-means": pick_by(EmbeddingKMeans(), True),
    }


# ---- values ---------------------------------------------------------------------------------------------------------


def values(arrays: Arrays) -> dict[str, Any]:
    """What the peers say of one pool of given draws, features and labels, by peer and strategy."""
    samples, candidates = arrays["samples"], arrays["candidates"]
    rows = {**_of_samples(samples), **_of_features(arrays), **_of_streams(arrays)}
    rows.update(_of_small_text(samples))
    rows["modAL ranked-batch picks"] = _ranked(arrays, candidates)
    rows.update(_of_ratings(arrays["ratings"]))
    return {"values": {name: np.asarray(value, dtype=float).tolist() for name, value in rows.items()}}


def _of_samples(samples: np.ndarray) -> Arrays:
    from skactiveml.pool import average_kl_divergence, batch_bald, uncertainty_scores, vote_entropy

    mean, least = samples.mean(0), 1e-12
    whole = batch_bald(samples.copy(), 3, n_MC_samples=10_000, eps=least)  # exact while classes ** 2 is below that
    methods = {"least-confidence": "least_confident", "margin": "margin_sampling", "predictive-entropy": "entropy"}
    return {
        **{f"scikit-activeml {ours}": uncertainty_scores(mean, method=name) for ours, name in methods.items()},
        "scikit-activeml vote-entropy": vote_entropy(samples.argmax(2).T, np.arange(samples.shape[2])),
        "scikit-activeml mean-divergence": average_kl_divergence(samples.copy(), eps=least),
        "scikit-activeml bald": whole[0],
        "scikit-activeml batch-bald picks": np.nanargmax(whole, axis=1),
    }


def _of_features(arrays: Arrays) -> Arrays:
    """Candidates first, then the labelled, and a classifier that looks its probabilities up by row."""
    from skactiveml import pool

    n = len(arrays["candidates"])
    features = np.concatenate([arrays["candidates"], arrays["labelled"]])
    labels = np.r_[np.full(n, np.nan), arrays["known"].astype(float)]
    clf = _lookup(features, np.concatenate([arrays["samples"].mean(0), arrays["labelled_mean"]]))
    shared = {"return_utilities": True}
    with_clf = {"clf": clf, "fit_clf": False, **shared}
    near = {"n_neighbors": int(arrays["neighbours"])}
    badge, falcun = pool.Badge(random_state=0), pool.Falcun(random_state=0)
    _, badge_shares = badge.query(features, labels, batch_size=2, **with_clf)
    radius, kernel = float(arrays["radius"]), {"gamma": 1.0}
    cover = pool.ProbCover(deltas=[radius], random_state=0)
    herding = pool.MaxHerding(metric_dict=kernel, random_state=0).query(features, labels, batch_size=3, **shared)
    quire = pool.Quire(classes=np.unique(arrays["known"]), metric_dict={"gamma": 0.5}, random_state=0)
    return {
        "scikit-activeml core-set picks": pool.CoreSet(random_state=0).query(features, labels, batch_size=5),
        "scikit-activeml contrastive": pool.ContrastiveAL(nearest_neighbors_dict=near).query(
            features, labels, **with_clf
        )[1][0][:n],
        "scikit-activeml badge second share": np.nan_to_num(badge_shares[1][:n]),
        "scikit-activeml falcun first share": falcun.query(features, labels, **with_clf)[1][0][:n],
        "scikit-activeml probcover degrees": cover.query(features, labels, **shared)[1][0][:n],
        "scikit-activeml max-herding picks": herding[0],
        "scikit-activeml quire": quire.query(features, labels, **shared)[1][0][:n],
    }


def _lookup(features: np.ndarray, probabilities: np.ndarray) -> Any:
    from skactiveml.base import SkactivemlClassifier

    table = {row.tobytes(): p for row, p in zip(features, probabilities, strict=True)}

    class Lookup(SkactivemlClassifier):
        def fit(self, X: np.ndarray, y: np.ndarray) -> Lookup:
            return self

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return np.array([table[row.tobytes()] for row in X])

    return Lookup(classes=list(range(probabilities.shape[1])))


def _of_streams(arrays: Arrays) -> Arrays:
    from skactiveml.stream import budgetmanager as managers

    scores, budget = arrays["stream"], float(arrays["budget"])
    quantile = managers.BalancedIncrementalQuantileFilter(w=100, w_tol=50, budget=budget)
    found: dict[str, list[bool]] = {"quantile": [], "fixed": [], "variable": []}
    zliobaite = {
        "fixed": managers.FixedUncertaintyBudgetManager(classes=[0, 1], budget=budget),
        "variable": managers.VariableUncertaintyBudgetManager(budget=budget),
    }
    for score in scores:
        row, one = np.zeros((1, 1)), np.array([score])
        asked = quantile.query_by_utility(one)
        quantile.update(row, asked, one)
        found["quantile"].append(len(asked) > 0)
        for name, manager in zliobaite.items():
            asked = manager.query_by_utility(one)
            manager.update(row, asked)
            found[name].append(len(asked) > 0)
    return {f"scikit-activeml stream {name}": np.array(asked, dtype=float) for name, asked in found.items()}


def _of_small_text(samples: np.ndarray) -> Arrays:
    from small_text.query_strategies.bayesian import _bald
    from small_text.query_strategies.strategies import BreakingTies

    ties = np.array([BreakingTies._best_versus_second_best(row) for row in samples.mean(0)])
    bits = _bald(samples.swapaxes(0, 1))
    return {"small-text margin": 1.0 - ties, "small-text bald": bits * np.log(2.0)}


def _of_ratings(ratings: np.ndarray) -> Arrays:
    """Of users by items, 0 where there is no rating. Its HELF and popularity plus entropy fail on import."""
    from irec.value_functions.Entropy import Entropy
    from irec.value_functions.LogPopEnt import LogPopEnt
    from irec.value_functions.MostPopular import MostPopular

    entropy = Entropy.get_items_entropy(ratings)
    popularity = MostPopular.get_items_popularity(ratings, normalize=False)
    return {
        "irec entropy": entropy,
        "irec popularity": popularity,
        "irec log-popularity-entropy over its largest": LogPopEnt.get_items_logpopent(popularity, entropy),
    }


def _ranked(arrays: Arrays, candidates: np.ndarray) -> np.ndarray:
    from modAL.batch import ranked_batch

    class Learner:
        on_transformed, X_training = False, arrays["labelled"]

    unsure = 1.0 - arrays["samples"].mean(0).max(1)
    picks = ranked_batch(Learner(), candidates, unsure, n_instances=5, metric="euclidean", n_jobs=None)
    return np.asarray(picks[0] if isinstance(picks, tuple) else picks)


# ---- crowds ---------------------------------------------------------------------------------------------------------


def crowd(arrays: Arrays) -> dict[str, Any]:
    """What the votes come to, a label an item."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    votes = pd.DataFrame({"task": arrays["items"], "worker": arrays["workers"], "label": arrays["labels"]})
    begun = time.perf_counter()
    found = DawidSkene(n_iter=100).fit_predict(votes)
    seconds = time.perf_counter() - begun
    return {"labels": found.reindex(range(int(arrays["items"].max()) + 1)).astype(int).tolist(), "seconds": seconds}


if __name__ == "__main__":
    main()
