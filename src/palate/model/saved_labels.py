"""What was said since the data, as tables of a model folder: the ratings that a fit took, and labels of items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from palate.entities import ITEM, USER
from palate.entities.item_attributes import ItemAttribute
from palate.errors import ModelFolderError
from palate.model.counted import Rows, Told
from palate.oracles.item_labels import ItemLabels

_LABELS = {USER: pl.String(), "item": pl.Int64(), "value": pl.Float64(), "weight": pl.Float64()}
_OF_ITEMS = {
    "attribute": pl.Int64(),
    ITEM: pl.String(),
    "votes": pl.Float64(),
    "known": pl.Boolean(),
    "probability": pl.Float64(),
    "lower": pl.Float64(),
}


def label_table(labels: Told) -> pl.DataFrame:
    """The rows that labels put in the place of those of the data; without a value where they took one back."""
    rows = [
        (user, item, *row)
        for user, by_item in labels.items()
        for item, found in by_item.items()
        for row in found or ((None, None),)
    ]
    return pl.DataFrame(rows, schema=_LABELS, orient="row")


def labels_of_users(table: pl.DataFrame, n_items: int) -> Told:
    """The same again.

    Raises:
        ModelFolderError: If the table is another.
    """
    _same(dict(table.schema), _LABELS, "types of labels")
    known = table[USER].is_not_null() & table["item"].is_between(0, n_items - 1).fill_null(False)
    sound = table["value"].is_finite().fill_null(True) & (table["weight"] > 0.0).fill_null(table["value"].is_null())
    _same(bool((known & sound).all()), True, "range of labels")
    told: dict[str, dict[int, Rows]] = {}
    for user, item, value, weight in table.iter_rows():
        row = () if value is None else ((value, weight),)
        by_item = told.setdefault(user, {})
        by_item[item] = (*by_item.get(item, ()), *row)
    return told


def item_label_config(labels: Iterable[ItemLabels]) -> list[dict[str, Any]]:
    """The attributes of items and their temperatures, as JSON holds them."""
    return [
        {
            "attribute": asdict(one.attribute),
            "temperature": one.temperature,
            "gold": one.gold,
            "is_calibrated": one.is_calibrated,
        }
        for one in labels
    ]


def item_label_table(labels: Iterable[ItemLabels]) -> pl.DataFrame:
    """Their posteriors, a row an option of an item."""
    rows = [
        (number, item, float(one.votes[row]), bool(one.known[row]), *map(float, both))
        for number, one in enumerate(labels)
        for row, item in enumerate(one.items)
        for both in zip(one.probabilities[row], one.lower[row], strict=True)
    ]
    return pl.DataFrame(rows, schema=_OF_ITEMS, orient="row")


def labels_of_items(config: Sequence[Mapping[str, Any]], tables: Mapping[str, pl.DataFrame]) -> tuple[ItemLabels, ...]:
    """Both again; models saved by older versions have none.

    Raises:
        ModelFolderError: If they do not fit each other.
    """
    if not config:
        return ()
    table = tables["item_labels"]
    _check(dict(table.schema) == _OF_ITEMS and not sum(table.null_count().row(0)), "types of attributes")
    _check(set(table["attribute"].to_list()) <= set(range(len(config))), "number of attributes")
    return tuple(_labels_of(one, table.filter(pl.col("attribute") == number)) for number, one in enumerate(config))


def _labels_of(config: Mapping[str, Any], rows: pl.DataFrame) -> ItemLabels:
    attribute = ItemAttribute(**config["attribute"])
    n_options, temperature, gold = len(attribute.options), float(config["temperature"]), int(config["gold"])
    _check(rows.height % n_options == 0, f"options of {attribute.name!r}")
    whole = rows.gather_every(n_options)
    items, votes = whole[ITEM].to_list(), whole["votes"].to_numpy()
    probabilities, lower = (rows[name].to_numpy().reshape(-1, n_options) for name in ("probability", "lower"))
    _check(rows[ITEM].to_list() == [item for item in items for _ in range(n_options)], f"rows of {attribute.name!r}")
    _check(items == sorted(set(items)), f"items of {attribute.name!r}")
    sums = np.allclose(probabilities.sum(1), 1.0, atol=1e-6) and bool((lower >= 0.0).all())
    sums = sums and bool((lower <= probabilities).all())
    _check(sums and bool((votes >= 0.0).all()), f"probabilities of {attribute.name!r}")
    _check(0.0 <= temperature <= 1.0 and gold >= 0, f"temperature of {attribute.name!r}")
    known = whole["known"].to_numpy().astype(bool)
    how = temperature, gold, bool(config["is_calibrated"])
    return ItemLabels(attribute, tuple(items), probabilities, lower, votes, known, *how)


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise ModelFolderError(f"the {what} is {found}, config.json says {expected}. Save the model again.")


def _check(is_sound: bool, what: str) -> None:
    if not is_sound:
        raise ModelFolderError(f"the {what} of the labels does not fit config.json. Save the model again.")
