"""Items that come, change and go while a model serves (:class:`palate.Recommender`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from palate.errors.checks import path_of, several
from palate.learner import Learner
from palate.model.new_items import change
from palate.recommender.live import Live

OnCorrupt = Literal["raise", "skip"]


def change_items(live: Live, items: Any, folder: str | Path | None, on_corrupt: OnCorrupt) -> int:
    """Other content of items; how many."""
    where = None if folder is None else path_of(folder, "folder")
    with live.changing, live.turn:
        memory = live.now().memory
        model, n = change(memory.fitted, items, where, on_corrupt)
        live.replace(replace(live.checkpoint, memory=memory.under(model)))
        return n


def withdraw_items(live: Live, item_ids: str | Iterable[str], *, again: bool) -> int:
    """Take items out of lists, or show them again; how many are out now."""
    ids = [item_ids] if isinstance(item_ids, str) else several(item_ids, "item_ids", "['i7']")
    with live.changing, live.turn:
        memory = live.now().memory
        catalogue, before = memory.fitted.catalogue, memory.fitted.withdrawn
        names = frozenset(catalogue.ids[place] for place in catalogue.positions(ids))
        model = replace(memory.fitted, withdrawn=before - names if again else before | names)
        live.replace(replace(live.checkpoint, memory=memory.under(model)))
        return len(model.withdrawn)


def add_items(live: Live, items: Any, folder: str | Path | None, on_corrupt: OnCorrupt) -> int:
    """New items; how many."""
    with live.changing, live.turn:
        memory = live.now().memory
        more = Learner(memory).with_items(items, folder=folder, on_corrupt=on_corrupt).memory
        live.replace(replace(live.checkpoint, memory=more))
        return len(more.model.catalogue) - len(memory.model.catalogue)
