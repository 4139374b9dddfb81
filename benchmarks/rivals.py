"""Our rivals beside those of kept libraries, same settings: that nobody can say they are weak.

Of MovieLens-100K, 75/25 of each item's pairs, every rating a positive. NDCG@10 of both, and how many of the first ten
items they share. Popularity, item-kNN, RP3β, EASE and SLIM stand beside skrecsys; the factors of Palate's own list, as
iALS without its frequencies, beside the library implicit, which is what ``palate evaluate`` calls iALS.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import main
from benchmarks._sequences import load_events
from benchmarks.ranking import often_met
from palate.datasets.splits import stratified
from palate.evaluation.baselines import Ease, Interactions, ItemKNN, Popularity, matrix_of
from palate.evaluation.evaluate import interactions_of
from palate.evaluation.intervals import paired_bootstrap
from palate.evaluation.item_models import Rp3Beta, Slim
from palate.evaluation.metrics import list_metrics, places
from palate.random import derive_rng
from palate.ranking.experts.factors import FactorSettings, fit_factors

PEERS = Path(__file__).resolve().parents[1] / ".venv-peers-rivals" / "bin" / "python"
K = 10
NEIGHBOURS, SHRINKAGE, L2, ALPHA, BETA = 100, 10.0, 200.0, 1.0, 0.4
L1, RIDGE = 3.0, 30.0  # of SLIM
FACTORS, WEIGHT, HELD_BACK, TURNS = 32, 10.0, 8.0, 15  # of iALS: what an interaction weighs; regularisation / weight


def run(seeds: int, sets: Sequence[str], python: str) -> dict[str, Any]:
    """One row a set, seed and rival."""
    rows, versions = [], {}
    for name in sets:
        for seed in range(seeds):
            found, versions = _rows(name, seed, python)
            rows += found
    return {"versions": versions, "rows": rows}


def _rows(name: str, seed: int, python: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    data = often_met(load_events(name))
    parts = stratified(data, by="item", rng=derive_rng(seed, "split"))
    whole = data.coded("event")
    train, test = (interactions_of(part, whole, data.vocabulary) for part in (parts.train, parts.test))
    seen, relevant = matrix_of(train), matrix_of(test)
    ask = np.flatnonzero((np.diff(seen.indptr) > 0) & (np.diff(relevant.indptr) > 0))
    theirs = _ask(python, train, ask)
    rows = []
    for rival, scores in _ours(train, ask).items():
        ranked, _ = places(scores, relevant[ask], K, seen=seen[ask])
        lists = np.array(theirs[rival]["lists"])
        ours, peers = (list_metrics(each, relevant[ask])["ndcg"] for each in (ranked, lists))
        shared = [len(np.intersect1d(a, b)) / K for a, b in zip(ranked, lists, strict=True)]
        rows.append(
            {
                "set": name,
                "seed": seed,
                "rival": rival,
                "people": len(ask),
                "library": "implicit" if rival == "ials" else "skrecsys",
                "ours": round(float(ours.mean()), 5),
                "theirs": round(float(peers.mean()), 5),
                "ours_minus_theirs": paired_bootstrap(ours, peers, rng=derive_rng(0, "bootstrap")).as_dict(),
                "shared": round(float(np.mean(shared)), 4),
            }
        )
    return rows, theirs["versions"]


def _ours(train: Interactions, ask: np.ndarray) -> Mapping[str, np.ndarray]:
    """Scores of all items, (n, I), by rival."""
    models = {
        "popularity": Popularity(),
        "item-knn": ItemKNN(NEIGHBOURS, SHRINKAGE),
        "rp3beta": Rp3Beta(ALPHA, BETA, NEIGHBOURS),
        "ease": Ease(L2),
        "slim": Slim(L1, RIDGE),
    }
    scores = {name: model.fit(train, rng=derive_rng(0, "fit")).score(ask) for name, model in models.items()}
    met = matrix_of(train)
    held_back = HELD_BACK / (met.nnz / train.n_users + train.n_items / WEIGHT)
    settings = FactorSettings(FACTORS, 1.0 / WEIGHT, held_back, frequency=False)
    scores["ials"] = fit_factors(met, settings, rng=derive_rng(0, "fit")).score(met[ask])
    return scores


def _settings(train: Interactions) -> dict[str, dict[str, Any]]:
    """Ours, as the libraries name them."""
    slim = (L1 + RIDGE) / train.n_users  # its loss is a mean over users
    return {
        "popularity": {},
        "item-knn": {"n_neighbors": NEIGHBOURS, "shrink": SHRINKAGE},
        "rp3beta": {"n_neighbors": NEIGHBOURS, "alpha": ALPHA, "beta": BETA, "normalize_similarity": False},
        "ease": {"l2_reg": L2},
        "slim": {"alpha": slim, "l1_ratio": L1 / (L1 + RIDGE), "n_neighbors": train.n_items},
        # ours holds people and items back by unlike amounts, a and b; √(a b) is the same for both
        "ials": {
            "factors": FACTORS, "alpha": WEIGHT, "iterations": TURNS,
            "regularization": HELD_BACK * WEIGHT * float(np.sqrt(train.n_users / train.n_items)),
        },
    }  # fmt: skip


def _ask(python: str, train: Interactions, ask: np.ndarray) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input.npz", Path(folder) / "output.json"
        settings = np.frombuffer(json.dumps(_settings(train)).encode(), dtype=np.uint8)
        np.savez(
            source, users=train.users, items=train.items, n_users=train.n_users, n_items=train.n_items, ask=ask, k=K,
            settings=settings,
        )  # fmt: skip
        script = Path(__file__).with_name("_peers_rivals.py")
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
        subprocess.run([python, script, source, target], check=True, env={**os.environ, **one_thread})
        return dict(json.loads(target.read_text(encoding="utf-8")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--peers", default=str(PEERS), metavar="PYTHON", help="of the environment that holds skrecsys")
    options, sys.argv[1:] = parser.parse_known_args()
    if not Path(options.peers).exists():
        sys.exit(f"The environment of the peers is missing: make {PEERS.parents[1].name}/.made")
    main("rivals", lambda seeds, sets: run(seeds, sets, options.peers), seeds=2, sets=("movielens-100k",))
