"""Items that come, change and go while a model serves (:class:`palate.Recommender`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from palate.errors.checks import mapping, number, path_of, several, shown
from palate.learner import Learner
from palate.model.new_items import change
from palate.recommender.calls import HasLive
from palate.recommender.live import Live

OnCorrupt = Literal["raise", "skip"]
_COUNTS = "how many are left by item, such as {'i7': 0, 'i8': 12}"


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
    return _moved(live, *([], ids) if again else (ids, []))


def set_stock(self: HasLive, counts: Mapping[str, float]) -> int:
    """Take items of which none is left out of lists and questions, and show those again of which there are some.

    Items that are not named stay as they are. One that was withdrawn for another reason comes back if it is named here
    with a count above 0.

    Args:
        counts: How many are left, by the id of the item; 0 or less is none.
    Returns:
        How many items are out of lists now.
    Raises:
        UnknownItem: If the model does not hold one; then nothing changes.
        OptionError: If a count is no finite number.
    """
    left = {item: number(n, f"the stock of {shown(item)}") for item, n in mapping(counts, "counts", _COUNTS).items()}
    return _moved(self._live, [item for item, n in left.items() if n <= 0], [item for item, n in left.items() if n > 0])


def _moved(live: Live, out: Sequence[str], back: Sequence[str]) -> int:
    """Take items out of lists, and show others again; how many are out now."""
    with live.changing, live.turn:
        memory = live.now().memory
        catalogue, before = memory.fitted.catalogue, memory.fitted.withdrawn
        gone, here = (frozenset(catalogue.ids[place] for place in catalogue.positions(ids)) for ids in (out, back))
        after = (before | gone) - here
        if after != before:
            live.replace(replace(live.checkpoint, memory=memory.under(replace(memory.fitted, withdrawn=after))))
        return len(after)


def add_items(live: Live, items: Any, folder: str | Path | None, on_corrupt: OnCorrupt) -> int:
    """New items; how many."""
    with live.changing, live.turn:
        memory = live.now().memory
        more = Learner(memory).with_items(items, folder=folder, on_corrupt=on_corrupt).memory
        live.replace(replace(live.checkpoint, memory=more))
        return len(more.model.catalogue) - len(memory.model.catalogue)
