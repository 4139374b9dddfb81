"""The honest table of a product: lists by how much is known, what questions bring, and items that are new.

One function for the commands, the benchmarks and the documents, so that what somebody sees on their own log is what the
documents say of others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from palate.acquisition import DEFAULT
from palate.datasets.tables import Dataset
from palate.entities import ITEM, USER
from palate.errors import DataError
from palate.evaluation.new_item_lists import new_item_lists
from palate.evaluation.newcomers import SHORT, Grids, lists_by_events
from palate.evaluation.shown_list import LIST
from palate.evaluation.simulate import SimulationOptions, about, simulate
from palate.random import derive_rng

BUDGET = 10
ASKED = (0, 2, 5, 10)
Progress = Callable[[str, int, int | None], None]  # what, done, of


def product_table(
    data: Dataset,
    *,
    seed: int = 0,
    seeds: int = 1,
    grids: Grids = SHORT,
    progress: Progress = lambda what, done, of: None,
) -> dict[str, Any]:
    """All three parts on one log.

    Args:
        seeds: Of the questions, each a split and a fit.
        grids: What is tried of the rivals.
    Returns:
        ``dataset``, ``seed``; ``lists`` (:func:`palate.evaluation.newcomers.lists_by_events`), ``questions`` (the
        document of :func:`palate.evaluation.simulate.simulate`) and ``new_items``
        (:func:`palate.evaluation.new_item_lists.new_item_lists`), each None where the data cannot say, with the reason
        in ``left_out``.
    """
    left_out: dict[str, str] = {}

    def tried(part: str, reason: str, make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        try:
            found = make()
        except DataError as error:
            left_out[part] = str(error)
            return None
        if found is None:
            left_out[part] = reason
        return found

    options = SimulationOptions(
        strategies=(DEFAULT,), budget=BUDGET, seeds=tuple(range(seed, seed + seeds)), max_users=1000, encoder="none"
    )
    lists = tried(
        "lists",
        "hardly anybody is new in the last fifth of the log, or no item was met by five people before",
        lambda: lists_by_events(
            data, seed=seed, grids=grids, progress=lambda name: progress(f"lists: {name}", 0, None)
        ),
    )
    questions = tried(
        "questions",
        "nobody answered",
        lambda: simulate(data, options, progress=lambda done, of: progress("questions", done, of)),
    )
    new = tried(
        "new_items",
        "hardly any new item has words, or nobody who is known took one up",
        lambda: new_item_lists(data, seed=seed, progress=lambda name: progress("new items", 0, None)),
    )
    return {
        "dataset": about(data),
        "seed": seed,
        "lists": lists,
        "questions": questions,
        "new_items": new,
        "left_out": left_out,
    }


def cut(data: Dataset, *, users: int, items: int, seed: int = 0) -> Dataset:
    """The data of so many people, drawn, and of the items that most of them met; as it is where it is no larger."""
    names = data.interactions[USER].unique().sort()
    if len(names) > users:
        drawn = names.gather(sorted(derive_rng(seed, "cut").choice(len(names), users, replace=False).tolist()))
        data = data.filter(pl.col(USER).is_in(drawn.implode()))
    met = data.interactions.group_by(ITEM).agg(pl.col(USER).n_unique().alias("n"))
    if met.height <= items:
        return data
    kept = pl.col(ITEM).is_in(met.sort("n", ITEM, descending=[True, False])[ITEM].head(items).implode())
    return replace(data.filter(kept), items=data.items.filter(kept))


def asked(questions: Mapping[str, Any]) -> dict[int, dict[str, dict[str, float]]]:
    """By how many questions NDCG@10 of the list after Palate's, after those about popular items, and the difference."""
    ours, popular = questions["strategies"][DEFAULT], questions["strategies"]["popularity"]
    return {
        n: {
            "palate": _at(ours[LIST], n),
            "popularity": _at(popular[LIST], n),
            "palate_minus_popularity": _at(ours[f"{LIST}_minus"]["popularity"], n),
        }
        for n in ASKED
    }


def _at(figures: Mapping[str, Any], n: int) -> dict[str, float]:
    return {end: figures[end][n] for end in ("mean", "low", "high")}
