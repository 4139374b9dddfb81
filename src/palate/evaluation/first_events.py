"""Somebody whom a model never saw arrives: their list before anything is known, and after the first things they did."""

from __future__ import annotations

from typing import Any

import polars as pl

from palate.datasets.coding import signed_weight
from palate.datasets.tables import Dataset
from palate.entities import EVENT, ITEM, RATING, TIMESTAMP, USER
from palate.learner import Learner
from palate.loop.lists import Recommendation
from palate.model.spoken import as_shown
from palate.random import derive_rng
from palate.records import events, rate

FIRST = 3  # things they do
ENOUGH = 8  # things done by those who are drawn from, where anybody did so many
LENGTH = 10  # of a list


def first_events(learner: Learner, unseen: Dataset, *, seed: int) -> dict[str, Any] | None:
    """One of the people never seen, drawn by the seed among those who took up the most, does three things.

    How well the list does has no part in the draw.

    Args:
        unseen: What people did whom the model never saw.
    Returns:
        ``user``, ``first`` (titles), ``later`` (how many of the model's items they took up afterwards), ``before`` and
        ``after``: the list of each moment, ``item_id``, ``title``, ``taken`` (whether they took it up later) and
        ``reason``. None where nobody took up more than three of the model's items.
    """
    rows = _taken_up(learner, unseen)
    counts = rows.group_by(USER).len().filter(pl.col("len") > FIRST).sort(USER)
    if not counts.height:
        return None
    least = min(ENOUGH, max(counts["len"]))
    able = counts.filter(pl.col("len") >= least)[USER].to_list()
    user = able[int(derive_rng(seed, "first events").integers(len(able)))]
    own = rows.filter(pl.col(USER) == user)
    first, later = own.head(FIRST), set(own[ITEM][FIRST:])
    before = learner.recommend(user, k=LENGTH)
    for item, word, rating in first.select(ITEM, EVENT, RATING).iter_rows():
        done = events(user, [item], kind=word or "")
        learner = learner.see(done) if rating is None else learner.tell(rate(user, item, rating))
    names = learner.model.catalogue
    return {
        "user": user,
        "first": [as_shown(names.names[names.position(item)]) for item in first[ITEM]],
        "later": len(later),
        "before": [_shown(item, later) for item in before],
        "after": [_shown(item, later) for item in learner.recommend(user, k=LENGTH)],
    }


def _taken_up(learner: Learner, unseen: Dataset) -> pl.DataFrame:
    """Rows of what was meant well, each item of the model once, in order."""
    like = learner.model.scale.like
    rows = unseen.interactions.filter(
        pl.when(pl.col(RATING).is_not_null())
        .then(pl.col(RATING) >= like)
        .otherwise(signed_weight(unseen.interactions, unseen.vocabulary) > 0.0)
    ).filter(pl.col(ITEM).is_in(learner.model.catalogue.ids))
    return rows.sort(TIMESTAMP, maintain_order=True).unique([USER, ITEM], keep="first", maintain_order=True)


def _shown(item: Recommendation, later: set[str]) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "title": as_shown(item.title),
        "taken": item.item_id in later,
        "reason": item.reason,
    }
