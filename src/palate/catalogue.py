"""The items a model knows: their table, their encodings, how they were rated."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM, TITLE, normalise_id
from palate.errors import UnknownItem

Array = NDArray[np.float64]
_SEARCHED = 20_000  # ids compared with an unknown one for a hint: a fifth of a second


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """I items.

    Attributes:
        table: item_id, title, text, category and what else the data says, (I) rows.
        content: Encodings, (I, E) float32, or None where the model was fitted without an encoder.
        counts: Ratings or events each has, (I,).
        levels: Share of each rating level among its ratings, (I, R).
    """

    table: pl.DataFrame
    content: NDArray[np.float32] | None
    counts: Array
    levels: Array
    ids: list[str] = field(init=False)
    _positions: dict[str, int] = field(init=False, repr=False)
    _categories: dict[str, NDArray[np.intp]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = self.table[ITEM].to_list()
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "_positions", {item: position for position, item in enumerate(ids)})
        members: dict[str, list[int]] = {}
        for position, names in enumerate(self.table[CATEGORY].to_list()):
            for name in filter(None, (names or "").split(CATEGORY_SEPARATOR)):
                members.setdefault(name, []).append(position)
        object.__setattr__(self, "_categories", {name: np.array(rows) for name, rows in sorted(members.items())})

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item_id: object) -> bool:
        return self._find(item_id) is not None

    def _find(self, item_id: object) -> int | None:
        return self._positions.get(normalise_id(item_id, ITEM))

    @property
    def categories(self) -> dict[str, NDArray[np.intp]]:
        """Positions of the items of each category."""
        return self._categories

    def position(self, item_id: str) -> int:
        """Where an item stands.

        Raises:
            UnknownItem: If the model does not hold it.
            IdError: If it is no id at all.
        """
        position = self._find(item_id)
        if position is None:
            near = difflib.get_close_matches(str(item_id), self.ids, n=1) if len(self) <= _SEARCHED else []
            hint = f"Did you mean {near[0]!r}?" if near else "Add it with Learner.with_items, or give one of its items."
            raise UnknownItem(f"item {item_id!r} is not in the model ({len(self):,} items). {hint}")
        return position

    def positions(self, item_ids: Sequence[str]) -> NDArray[np.intp]:
        """Where items stand, (n,)."""
        return np.array([self.position(item_id) for item_id in item_ids], dtype=np.intp)

    def members(self, category: str) -> NDArray[np.intp]:
        """Positions of the items of one category.

        Raises:
            UnknownItem: If no item has it.
        """
        if category not in self._categories:
            known = ", ".join(list(self._categories)[:12]) or "none"
            raise UnknownItem(f"category {category!r} has no item. The categories are: {known}.")
        return self._categories[category]

    def title(self, position: int) -> str:
        """What to call an item: its title, or its id where it has none."""
        return str(self.table[TITLE][position]) or self.ids[position]
