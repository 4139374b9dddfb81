"""The items a model knows: their table, their encodings, how they were rated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array, Vectors
from palate.encoders.blocks import Block, BlockName, Content
from palate.encoders.histories.history import names_of
from palate.encoders.text.words import ItemWords
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM, Item
from palate.errors import UnknownItem, did_you_mean, some_of
from palate.errors.checks import normalise_id, shown

# Columns that say who made an item; the first of them that is there counts.
MAKERS = (
    "author",
    "authors",
    "artist",
    "artists",
    "director",
    "directors",
    "creator",
    "maker",
    "brand",
    "manufacturer",
)
_BETWEEN_MAKERS = "|;,，、"
_SEARCHED = 20_000  # ids compared with an unknown one for a hint: a fifth of a second


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """I items.

    Attributes:
        table: item_id, title, text, category and what else the data says, (I) rows.
        content: Encodings, (I, E) float32, or None where the model was fitted without an encoder. What an item lacks
            stands at its mean.
        counts: Ratings or events each has, (I,).
        levels: Share of each rating level among its ratings, (I, R).
        blocks: What the columns of the content are.
        sizes: Columns of each block.
        has: Which blocks each item has, (I, B); None: all.
        ids: In their order.
        names: What to call them: by title, or the start of the text, or id.
    """

    table: pl.DataFrame
    content: NDArray[np.float32] | None
    counts: Array
    levels: Array
    blocks: tuple[Block, ...] = ()
    sizes: tuple[int, ...] = ()
    has: NDArray[np.bool_] | None = None
    ids: list[str] = field(init=False)
    names: list[str] = field(init=False, repr=False)
    _positions: dict[str, int] = field(init=False, repr=False)
    _categories: dict[str, NDArray[np.intp]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = self.table[ITEM].to_list()
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "names", names_of(self.table))
        object.__setattr__(self, "_positions", {item: position for position, item in enumerate(ids)})
        members: dict[str, list[int]] = {}
        for position, names in enumerate(self.table[CATEGORY].to_list()):
            for name in filter(None, (names or "").split(CATEGORY_SEPARATOR)):
                members.setdefault(name, []).append(position)
        object.__setattr__(self, "_categories", {name: np.array(rows) for name, rows in sorted(members.items())})

    @classmethod
    def holding(cls, table: pl.DataFrame, content: Content | None, counts: Array, levels: Array) -> Catalogue:
        """A catalogue of items that hold this."""
        if content is None:
            return cls(table, None, counts, levels)
        has = _has(content.vectors, content.sizes)
        # whitened columns have mean 0
        return cls(table, np.nan_to_num(content.vectors), counts, levels, content.blocks, content.sizes, has)

    def extended(self, table: pl.DataFrame, content: Vectors | None) -> Catalogue:
        """With new items nobody has rated, and their content, (n, E), NaN where an item lacks something."""
        n = len(table)
        both, has = self.with_new(content), self.has
        if content is not None and has is not None:
            has = np.concatenate([has, _has(content, self.sizes)])
        return Catalogue(
            pl.concat([self.table, table], how="diagonal_relaxed"),
            None if both is None else np.concatenate(both).astype(np.float32),
            np.append(self.counts, np.zeros(n)),
            np.concatenate([self.levels, np.zeros((n, self.levels.shape[1]))]),
            tuple(
                block if block.words is None else replace(block, words=block.words.added(table))
                for block in self.blocks
            ),
            self.sizes,
            has,
        )

    def reordered(self, order: NDArray[np.intp], counted: Catalogue) -> Catalogue:
        """Those of its items that stand at ``order``, (k,), rated as in another catalogue of k."""
        blocks = (
            block if block.words is None else replace(block, words=block.words.take(order)) for block in self.blocks
        )
        content = None if self.content is None else self.content[order]
        has = None if self.has is None else self.has[order]
        return Catalogue(self.table[order], content, counted.counts, counted.levels, tuple(blocks), self.sizes, has)

    def counting(self, places: NDArray[np.intp], told: NDArray[np.int64]) -> Catalogue:
        """The same with ratings more or, where some are taken back, fewer: of some items, (k,), by level, (k, R)."""
        counts, levels = self.counts.copy(), self.levels.copy()
        by_level = np.maximum(np.rint(levels[places] * counts[places, None]) + told, 0.0)
        counts[places] = np.maximum(counts[places] + told.sum(1), 0.0)
        levels[places] = by_level / np.maximum(by_level.sum(1, keepdims=True), 1.0)
        more = copy(self)
        object.__setattr__(more, "counts", counts)
        object.__setattr__(more, "levels", levels)
        return more

    def with_new(self, content: Vectors | None) -> tuple[Array, Array] | None:
        """The content and that of new items, (I, E) and (n, E), what one lacks at its mean."""
        if self.content is None or content is None:
            return None
        old = self.content.astype(np.float64)
        mean = old.mean(0) if self.has is None else np.zeros(old.shape[1])
        return old, np.where(np.isnan(content), mean, content)

    def encodings(self, items: NDArray[np.intp] | slice = slice(None)) -> Array:
        """The content of some items as a prior takes it, (n, E), E = 0 without: NaN where an item lacks a block."""
        if self.content is None:
            return np.zeros((len(self.counts[items]), 0))
        content = self.content[items].astype(np.float64)
        if self.has is not None:
            content[~np.repeat(self.has[items], self.sizes, axis=1)] = np.nan
        return content

    def columns(self, name: BlockName) -> Vectors | None:
        """The content in one block, (I, E_b), what lacks it at 0; None where there is no such block."""
        spans = [(start, end) for block, start, end in self.spans() if block.name == name]
        return None if self.content is None or not spans else self.content[:, slice(*spans[0])]

    def placed(self, vectors: Mapping[BlockName, Array]) -> Array:
        """One item's vectors of some encoders, (E_b,) each, as content of which nothing else is known, (E,)."""
        whole = np.full(sum(self.sizes), np.nan)
        for block, start, end in self.spans():
            if block.name in vectors:
                whole[start:end] = block.whitened(vectors[block.name][None].astype(np.float32))[0]
        return whole

    def spans(self) -> list[tuple[Block, int, int]]:
        """Each block and its columns, from where to where."""
        ends = np.concatenate([[0], np.cumsum(self.sizes)]).astype(int).tolist()
        return [(block, start, end) for block, (start, end) in zip(self.blocks, pairwise(ends), strict=True)]

    def encoder(self, name: BlockName) -> tuple[str, str]:
        """Name and revision of the encoder of a block, empty where there is none."""
        block = self.block(name)
        return ("", "") if block is None else (block.encoder, block.revision)

    def block(self, name: BlockName) -> Block | None:
        """The block of that name; None where there is none."""
        return next((block for block in self.blocks if block.name == name), None)

    @property
    def words(self) -> ItemWords | None:
        """What the items say in words; None where they were not read or tell nothing apart."""
        block = self.block("words")
        return None if block is None else block.words

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item_id: object) -> bool:
        return self._find(item_id) is not None

    def _find(self, item_id: object) -> int | None:
        found = self._positions.get(item_id) if type(item_id) is str else None
        return found if found is not None else self._positions.get(normalise_id(item_id, ITEM))

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
            near = did_you_mean(item_id, self.ids, n=1) if len(self) <= _SEARCHED else ""
            hint = near or "Add it with `palate item add` or Learner.with_items, or give one of its items."
            raise UnknownItem(f"item {shown(item_id)} is not in the model ({len(self):,} items). {hint}")
        return position

    def item(self, position: int) -> Item:
        """The one that stands there, by what it is called."""
        return Item(self.ids[position], self.names[position])

    def positions(self, item_ids: Sequence[str]) -> NDArray[np.intp]:
        """Where items stand, (n,)."""
        return np.array([self.position(item_id) for item_id in item_ids], dtype=np.intp)

    def known_positions(self, item_ids: Sequence[str]) -> NDArray[np.intp]:
        """Where those of these items stand that are held, (n,): of a million ids in about a second.

        Raises:
            IdError: If one is no id at all.
        """
        found = [self._positions.get(one) if type(one) is str else None for one in item_ids]
        places = (self._find(one) if place is None else place for one, place in zip(item_ids, found, strict=True))
        return np.array([place for place in places if place is not None], dtype=np.intp)

    def categories_of(self, positions: NDArray[np.intp]) -> list[list[str]]:
        """The categories of each of some items."""
        return _split(self.table[CATEGORY], positions, CATEGORY_SEPARATOR)

    def makers_of(self, positions: NDArray[np.intp]) -> list[list[str]]:
        """Who made each of some items, by the first column of :data:`MAKERS` that the table has."""
        column = next((name for name in MAKERS if name in self.table.columns), None)
        if column is None or not len(positions):
            return [[] for _ in positions]
        return _split(self.table[column], positions, _BETWEEN_MAKERS)

    def members(self, category: str) -> NDArray[np.intp]:
        """Positions of the items of one category.

        Raises:
            UnknownItem: If no item has it.
        """
        if not isinstance(category, str) or category not in self._categories:
            near = did_you_mean(category, self._categories)
            known = f"{near} The categories are: {some_of(self._categories)}.".strip()
            raise UnknownItem(f"category {shown(category)} has no item. {known}")
        return self._categories[category]


def _split(cells: pl.Series, positions: NDArray[np.intp], between: str) -> list[list[str]]:
    """The names in some cells of text or of lists."""
    some = [cells[place] for place in positions.tolist()]  # quicker than gather for the few of a list
    if isinstance(cells.dtype, pl.List):
        return [[str(name) for name in cell if name] if cell is not None else [] for cell in some]
    parts = [re.split(f"[{re.escape(between)}]", str(cell or "")) for cell in some]
    return [list(dict.fromkeys(filter(None, map(str.strip, one)))) for one in parts]


def _has(vectors: Vectors, sizes: Sequence[int]) -> NDArray[np.bool_]:
    """Which blocks each item has, (I, B)."""
    parts = np.split(vectors, np.cumsum(sizes)[:-1], axis=1)
    return np.stack([~np.isnan(part).any(1) for part in parts], 1)
