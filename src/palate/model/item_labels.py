"""What those who label items say, in a model: a block of the items' content, or a filter of lists.

An attribute that is no filter is a block of its own: the probabilities of its options, by which a fit learns how much
they say of taste (:mod:`palate.posteriors.block_prior`). Of a filter, lists hold only the items whose option is sure.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from palate.encoders.blocks import Block, Raw
from palate.entities.item_attributes import ItemAttribute
from palate.errors import AnswerError, OptionError
from palate.errors.checks import instance, several
from palate.model.catalogue import Catalogue
from palate.oracles.item_labels import ItemLabels

BLOCK = "attribute:"  # begins the name of a block that holds one
LABELS = "labels"  # the name of what encodes it, for a model folder


def check_item_attributes(given: object, name: str) -> tuple[ItemAttribute, ...]:
    """Attributes of items, each of another name.

    Raises:
        OptionError: If not.
    """
    way = "a palate.entities.item_attributes.ItemAttribute"
    found = tuple(instance(one, ItemAttribute, name, way) for one in several(given, name, "[ItemAttribute(...)]"))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise OptionError(f"{name} has {twice!r} {names.count(twice)} times. Give each attribute once.")
    return found


def check_option(labels: Iterable[ItemLabels], subject: str, value: float | None) -> None:
    """Raises AnswerError if a label about an attribute of the model is none of its options."""
    for one in labels:
        places = range(len(one.attribute.options))
        if one.attribute.name == subject and value is not None and value not in places:
            raise AnswerError(
                f"the value {value:g} is no option of {subject!r}. Give a whole number from 0 to {places[-1]}."
            )


def label_blocks(labels: Iterable[ItemLabels], ids: Sequence[str]) -> list[Raw]:
    """The attributes that are no filters, as content of items, (I, K) each; NaN where an item has no label."""
    return [_block(one, ids) for one in labels if one.attribute.at_least is None]


def _block(labels: ItemLabels, ids: Sequence[str]) -> Raw:
    attribute, rows = labels.attribute, {item: row for row, item in enumerate(labels.items)}
    vectors = np.full((len(ids), len(attribute.options)), np.nan, dtype=np.float32)
    for place, item in enumerate(ids):
        if item in rows:
            vectors[place] = labels.probabilities[rows[item]]
    revision = hashlib.sha256("\x00".join(attribute.options).encode()).hexdigest()[:12]
    return Block(BLOCK + attribute.name, LABELS, revision), vectors


def kept_columns(catalogue: Catalogue, block: Block, ids: Sequence[str]) -> NDArray[np.float32]:
    """Columns of such a block, as the fit made them, (n, K); NaN of an item that came since."""
    start, end = next((start, end) for one, start, end in catalogue.spans() if one is block)
    found = np.full((len(ids), end - start), np.nan, dtype=np.float32)
    held = np.array([item in catalogue for item in ids], dtype=bool)
    places = catalogue.positions([item for item, is_held in zip(ids, held, strict=True) if is_held])
    found[held] = catalogue.encodings(places)[:, start:end]
    return found


def not_kept(labels: Iterable[ItemLabels], catalogue: Catalogue) -> NDArray[np.bool_]:
    """Which items a filter leaves out, those that came since the labels were read among them, (I,)."""
    out = np.zeros(len(catalogue), dtype=bool)
    for one in labels:
        if one.attribute.at_least is not None:
            kept = np.zeros(len(catalogue), dtype=bool)
            kept[catalogue.known_positions(one.kept)] = True
            out |= ~kept
    return out


def warn_of_empty(labels: Sequence[ItemLabels], catalogue: Catalogue) -> None:
    """Say that filters leave nothing to show."""
    if not_kept(labels, catalogue).all():
        names = " and ".join(
            f"{one.attribute.only!r} of {one.attribute.name!r} at {one.attribute.at_least:g}"
            for one in labels
            if one.attribute.at_least is not None
        )
        said = f"0 of {len(catalogue)} items are surely {names}: lists are empty"
        warnings.warn(f"{said}. Have more items labelled, then refit.", stacklevel=3)
