"""The rivals of ``palate evaluate``, with the settings that are tried of each."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np

from palate.errors import install_line
from palate.evaluation.baselines import (
    EASE_MAX_ITEMS,
    Ease,
    Ials,
    Interactions,
    ItemKNN,
    Popularity,
    RecentPopularity,
)
from palate.evaluation.item_models import SLIM_MAX_ITEMS, Rp3Beta, Slim
from palate.evaluation.text_profile import TfIdfProfile, has_words
from palate.evaluation.tuning import Grid

DAYS = (0.5, 1.0, 3.0, 7.0, 14.0, 30.0, 90.0, 365.0, 1500.0)  # the last is nearly popularity altogether
NEIGHBOURS = (10, 20, 50, 100, 200, 400, 800, 1600)
SHRINKAGES = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
L2 = (5.0, 15.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 5000.0, 15000.0, 50000.0, 150000.0)


def default_grids(train: Interactions, texts: Sequence[str] = ()) -> tuple[dict[str, Grid], dict[str, str]]:
    """The settings to try for each rival, and what this data or installation rules out, with the reason.

    Args:
        texts: Of the items, (I,); none if empty.
    """
    neighbours = (*(n for n in NEIGHBOURS if n < train.n_items), train.n_items)
    all_of_them = ("neighbours", train.n_items)
    start = min(100, train.n_items)
    grids = {
        "popularity": Grid(Popularity()),
        "recent-popularity": Grid(RecentPopularity(30.0), {"half_life": DAYS}, frozenset({("half_life", DAYS[-1])})),
        "item-knn": Grid(
            ItemKNN(start, 10.0),
            {"shrinkage": SHRINKAGES, "neighbours": neighbours},
            frozenset({all_of_them, ("shrinkage", 0.0)}),
        ),
        "rp3beta": Grid(
            Rp3Beta(1.0, 0.4, start),
            {
                "beta": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
                "alpha": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
                "neighbours": neighbours,
                "normalized": (False, True),
            },
            frozenset({all_of_them, ("beta", 0.0), ("normalized", False), ("normalized", True)}),
        ),
        "ease": Grid(Ease(200.0), {"l2": L2}),
        "slim": Grid(
            Slim(3.0, 30.0),
            {"l1": (0.0, 0.3, 1.0, 3.0, 10.0, 30.0), "l2": (0.3, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)},
            frozenset({("l1", 0.0)}),
        ),
        "ials": Grid(
            Ials(32, 8.0, 4.0),
            {
                "shrinkage": (0.3, 1.0, 3.0, 8.0, 20.0, 60.0, 200.0),
                "alpha": (0.3, 1.0, 4.0, 10.0, 40.0, 100.0),
                "factors": (8, 16, 32, 64, 128, 256),
            },
        ),
        "tf-idf": Grid(TfIdfProfile(texts), {"longest": (1, 2)}, frozenset({("longest", 1), ("longest", 2)})),
    }
    left_out: dict[str, str] = {}
    if np.isnan(train.timestamps).all():
        left_out["recent-popularity"] = "the interactions have no timestamps"
    for name, limit in (("ease", EASE_MAX_ITEMS), ("slim", SLIM_MAX_ITEMS)):
        if train.n_items > limit:
            left_out[name] = f"the catalogue has {train.n_items:,} items; its limit is {limit:,}"
    if importlib.util.find_spec("implicit") is None:
        left_out["ials"] = f"the library 'implicit' is not installed: {install_line('peers')}"
    if not has_words(texts):
        left_out["tf-idf"] = "the items have no titles and no texts"
    return {name: grid for name, grid in grids.items() if name not in left_out}, left_out
