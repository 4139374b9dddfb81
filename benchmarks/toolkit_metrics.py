"""Our metrics beside those of LensKit and RecBole on the same lists.

Three kinds of lists: random ones of full length, random ones of which some are short, and those of our models on
MovieLens-100K. Of each metric the largest difference over users. Where a definition differs, the difference is taken
once more after our figure was turned into theirs by the formula in ``DIFFERENT``: that says how they differ, and that
nothing else does.

``tiny`` holds a few small lists with the libraries' figures, which a test compares with ours without the libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from benchmarks._data import load, main
from palate.datasets.splits import stratified
from palate.evaluation.baselines import Ease, ItemKNN, Popularity, matrix_of
from palate.evaluation.evaluate import interactions_of
from palate.evaluation.metrics import (
    catalogue_coverage,
    gains_at,
    graded_ndcg,
    list_metrics,
    mae,
    rmse,
    top_k,
)
from palate.evaluation.palate_ranker import Palate
from palate.random import derive_rng

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers-toolkits" / "bin" / "python"
K, USERS, ITEMS = 10, 1_000, 200  # of the random lists
Array = np.ndarray


class Lists(NamedTuple):
    """Lists of B users, (B, k), what is positive, (B, I), and ratings in rows, said and seen, (N,)."""

    ranked: Array
    relevant: sparse.csr_array
    predicted: Array | None = None
    observed: Array | None = None
    rows: Array | None = None


def _length(lists: Lists) -> Array:
    return (lists.ranked >= 0).sum(1)


def _positives(lists: Lists) -> Array:
    return np.diff(lists.relevant.indptr)


def _clipped_ndcg(ours: Array, lists: Lists) -> Array:
    """LensKit's NDCG as it comes: rank r counts 1 / log2(max(r, 2)), so the first two count alike."""
    k = lists.ranked.shape[1]
    weights = 1.0 / np.log2(np.maximum(np.arange(1, k + 1), 2))
    hits = gains_at(lists.ranked, lists.relevant) != 0
    return hits @ weights / np.cumsum(weights)[np.minimum(_positives(lists), k) - 1]


# By library and metric: what of ours it is, how it is theirs, and our figure turned into theirs.
DIFFERENT: Mapping[tuple[str, str], tuple[str, str, Callable[[Array, Lists], Array]]] = {
    ("lenskit", "ndcg, as it comes"): ("ndcg", "rank r counts 1 / log2(max(r, 2))", _clipped_ndcg),
    ("lenskit", "precision"): (
        "precision",
        "divides by the length of the list",
        lambda ours, lists: ours * lists.ranked.shape[1] / _length(lists),
    ),
    ("lenskit", "recall"): (
        "recall",
        "divides by min(k, n)",
        lambda ours, lists: ours * _positives(lists) / np.minimum(_positives(lists), lists.ranked.shape[1]),
    ),
    ("lenskit", "map"): (
        "map",
        "divides by min(n, length of the list)",
        lambda ours, lists: (
            ours * np.minimum(_positives(lists), lists.ranked.shape[1]) / np.minimum(_positives(lists), _length(lists))
        ),
    ),
    ("recbole", "coverage"): (
        "coverage",
        "divides by I + 1, its item that is none counted",
        lambda ours, lists: ours * lists.relevant.shape[1] / (lists.relevant.shape[1] + 1),
    ),
}


def run(seeds: int, sets: Sequence[str], python: str) -> dict[str, Any]:
    """One row a kind of lists, seed, library and metric."""
    tiny = _random(derive_rng(0, "tiny"), users=12, items=9, k=4, short=True, with_none=True)
    kinds = [(kind, seed, lists) for seed in range(seeds) for kind, lists in _kinds(sets, seed)]
    said = ask(python, [tiny, *(lists for _, _, lists in kinds)])
    rows = [
        {"set": kind, "seed": seed, **row}
        for (kind, seed, lists), theirs in zip(kinds, said["found"][1:], strict=True)
        for row in compared(lists, theirs)
    ]
    return {"versions": said["versions"], "rows": rows, "tiny": _kept(tiny, said["found"][0])}


# --- lists ----------------------------------------------------------------------------------------


def _kinds(sets: Sequence[str], seed: int) -> list[tuple[str, Lists]]:
    rng = derive_rng(seed, "lists")
    found = [(name, _random(rng, USERS, ITEMS, K, short=name != "random")) for name in ("random", "random, some short")]
    return found + [(f"{name}, {model}", lists) for name in sets for model, lists in _real(name, seed).items()]


def _random(rng: np.random.Generator, users: int, items: int, k: int, *, short: bool, with_none: bool = False) -> Lists:
    """Lists of random scores; of the first few users more positives than places, and of the last none if wished."""
    scores = rng.random((users, items))
    if short:  # one to k items may be shown
        some = rng.random(users) < 0.5
        scores[some[:, None] & (np.argsort(np.argsort(-scores)) >= rng.integers(1, k + 1, (users, 1)))] = -np.inf
    chance = rng.random((users, 1)) * 4.0 / items
    chance[: users // 4] = 0.6
    relevant = rng.random((users, items)) < chance
    relevant[np.arange(users), rng.integers(items, size=users)] = True
    if with_none:
        relevant[-1] = False
    rows = np.repeat(np.arange(users), 5)
    ratings = rng.integers(1, 6, len(rows)).astype(np.float64)
    return Lists(
        top_k(scores, None, k),
        sparse.csr_array(relevant.astype(np.float64)),
        (ratings + rng.normal(0.0, 1.0, len(rows))).astype(np.float32).astype(np.float64),  # LensKit keeps 32 bits
        ratings,
        rows,
    )


def _real(name: str, seed: int) -> dict[str, Lists]:
    """Lists of our models of a quarter of each user's pairs."""
    data = load(name)
    parts, whole = stratified(data, rng=derive_rng(seed, "split")), data.coded("event")
    train, test = (interactions_of(part, whole, data.vocabulary) for part in (parts.train, parts.test))
    seen, relevant = matrix_of(train), matrix_of(test)
    ask = np.flatnonzero(np.diff(relevant.indptr) > 0)
    models: Mapping[str, Any] = {
        "palate": Palate(), "popularity": Popularity(), "item-knn": ItemKNN(100, 10.0), "ease": Ease(200.0),
    }  # fmt: skip
    found = {}
    for model, settings in models.items():
        scores = settings.fit(train, rng=derive_rng(seed, "fit")).score(ask)
        found[model] = Lists(top_k(scores, seen[ask], K), relevant[ask])
    return found


# --- figures --------------------------------------------------------------------------------------


def compared(lists: Lists, theirs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The largest gap of each metric over the users who have a positive, a row a library and metric."""
    ours, rows, some = _ours(lists), [], _positives(lists) > 0
    for library in ("lenskit", "recbole"):
        for name, values in theirs[library].items():
            own, how, turned = DIFFERENT.get((library, name), (name, "", None))
            mine, other = ours[own], np.array(values, dtype=np.float64)
            of = some if len(mine) == len(some) else slice(None)
            row = {"library": library, "metric": name, "values": len(mine[of]), "gap": _gap(mine[of], other[of])}
            if turned is not None:
                row |= {"how": how, "gap_by_formula": _gap(turned(mine, lists)[of], other[of])}
            rows.append(row)
    return rows


def _gap(ours: Array, theirs: Array) -> float:
    """The largest difference; infinite where one has no number."""
    return float(np.max(np.nan_to_num(np.abs(ours - theirs), nan=np.inf)))


def _ours(lists: Lists) -> dict[str, Array]:
    found = list_metrics(lists.ranked, lists.relevant)
    found |= {f"mean {name}": np.array([np.nanmean(values)]) for name, values in found.items()}
    found["coverage"] = np.array([catalogue_coverage(lists.ranked, lists.relevant.shape[1])])
    if lists.predicted is not None and lists.observed is not None and lists.rows is not None:
        found |= {"rmse": np.array([rmse(lists.predicted, lists.observed)])}
        found |= {"mae": np.array([mae(lists.predicted, lists.observed)])}
        n = lists.ranked.shape[0]
        found["graded_ndcg"] = graded_ndcg(
            lists.predicted, lists.observed, lists.rows, n_rows=n, k=lists.ranked.shape[1]
        )
    return found


def _kept(lists: Lists, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The lists and the libraries' figures, as a test reads them."""
    relevant = [items.tolist() for items in np.split(lists.relevant.indices, lists.relevant.indptr[1:-1])]
    figures = {library: theirs[library] for library in ("lenskit", "recbole")}
    ratings = {name: getattr(lists, name).tolist() for name in ("predicted", "observed", "rows")}
    return {
        "items": lists.relevant.shape[1],
        "ranked": lists.ranked.tolist(),
        "relevant": relevant,
        **ratings,
        **figures,
    }


def ask(python: str, given: Sequence[Lists]) -> dict[str, Any]:
    """What the libraries make of it, on one thread, as ours do."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input", Path(folder) / "output.json"
        source.mkdir()
        for place, lists in enumerate(given):
            np.savez(source / f"{place:03d}.npz", **_arrays(lists))
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        script = Path(__file__).with_name("_peers_toolkits.py")
        subprocess.run([python, script, source, target], check=True, env={**os.environ, **one_thread})
        return dict(json.loads(target.read_text(encoding="utf-8")))


def _arrays(lists: Lists) -> dict[str, Array]:
    ratings = {name: part for name in ("predicted", "observed", "rows") if (part := getattr(lists, name)) is not None}
    shape = {"n_items": np.array(lists.relevant.shape[1])}
    return {
        "ranked": lists.ranked, "starts": lists.relevant.indptr, "positives": lists.relevant.indices,
        **shape, **ratings,
    }  # fmt: skip


def main_with_toolkits(name: str, run: Callable[[int, Sequence[str], str], dict[str, Any]], seeds: int) -> None:
    """As :func:`benchmarks._data.main`, for a benchmark that needs the libraries."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--peers", default=str(PEERS), metavar="PYTHON", help="of the environment with the libraries")
    options, sys.argv[1:] = parser.parse_known_args()
    if not Path(options.peers).exists():
        sys.exit(f"The environment of the peers is missing: make {PEERS.parents[1].name}/.made")
    main(name, lambda n, sets: run(n, sets, options.peers), seeds=seeds, sets=("movielens-100k",))


if __name__ == "__main__":
    main_with_toolkits("toolkit_metrics", run, seeds=1)
