"""Recommenders of skrecsys and implicit at work, in an environment of their own that need not hold palate.

    PYTHON benchmarks/_peers_rivals.py INPUT.npz OUTPUT.json

reads arrays (``allow_pickle=False``): ``users``, ``items`` to fit on, ``n_users``, ``n_items``, ``ask`` (whom), ``k``,
and ``settings``, JSON in bytes; writes lists, -1 where one is short, and seconds of each.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from skrecsys.recommendation import EASE, ItemKNNRecommender, MostPopularRecommender, RP3Beta, SLIMElasticNet

warnings.filterwarnings("ignore")


def main() -> None:
    source, target = sys.argv[1:]
    with np.load(source, allow_pickle=False) as file:
        arrays = dict(file)
    settings = json.loads(bytes(arrays["settings"]).decode())
    result: dict[str, Any] = {name: found(name, options, arrays) for name, options in settings.items()}
    result["versions"] = {package: version(package) for package in ("skrecsys", "implicit", "numpy")}
    with open(target, "w", encoding="utf-8") as file:
        json.dump(result, file, allow_nan=False)


def found(name: str, options: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Lists of one recommender."""
    begun = time.perf_counter()
    lists = _by_implicit(options, arrays) if name == "ials" else _by_skrecsys(name, options, arrays)
    return {"lists": lists.tolist(), "seconds": time.perf_counter() - begun}


def _by_skrecsys(name: str, options: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    made = {
        "popularity": MostPopularRecommender,
        "item-knn": ItemKNNRecommender,
        "rp3beta": RP3Beta,
        "ease": EASE,
        "slim": SLIMElasticNet,
    }[name](**options)
    made.fit(np.column_stack([arrays["users"], arrays["items"]]))
    lists, scores = made.recommend(arrays["ask"], n_recommendations=int(arrays["k"]))
    return np.where(np.isfinite(scores), lists, -1)


def _by_implicit(options: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    shape = (int(arrays["n_users"]), int(arrays["n_items"]))
    met = sparse.csr_matrix(
        (np.ones(len(arrays["users"]), np.float32), (arrays["users"], arrays["items"])), shape=shape
    )
    model = AlternatingLeastSquares(**options, random_state=0)
    model.fit(met, show_progress=False)
    return np.asarray(model.recommend(arrays["ask"], met[arrays["ask"]], N=int(arrays["k"]))[0])


if __name__ == "__main__":
    main()
