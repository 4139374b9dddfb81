"""New items in a model, without a refit: their factors come from their content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import scipy.sparse as sparse

from palate.arrays import Vectors
from palate.datasets.tables import Dataset, take_items
from palate.datasets.views import item_table, without_media
from palate.encoders.blocks import BlockName
from palate.encoders.cache import Cached
from palate.encoders.histories.events import Events
from palate.encoders.items import fitted_encoder, new_vectors
from palate.encoders.media.media import OnCorrupt
from palate.entities import (
    AUDIO,
    IMAGE,
    ITEM,
)
from palate.errors import DataError
from palate.errors.checks import one_of
from palate.model.item_labels import LABELS, kept_columns
from palate.model.item_prior import promised
from palate.model.model import Model
from palate.posteriors.items import Items, Spread


def extend(model: Model, items: Any, folder: Path | None = None, on_corrupt: OnCorrupt = "raise") -> Model:
    """The model with new items (:meth:`palate.learner.Learner.with_items`)."""
    one_of(on_corrupt, get_args(OnCorrupt), "on_corrupt")
    new = take_items(items, folder)
    table = item_table(new, new.items[ITEM].to_list())
    known = [item for item in table[ITEM].to_list() if item in model.catalogue]
    if known:
        raise DataError(f"item {known[0]!r} is in the model already. Leave it out, or refit with its new text.")
    return _appended(model, without_media(table), _encode_new(model, table, new.folder, on_corrupt))


def change(model: Model, items: Any, folder: Path | None = None, on_corrupt: OnCorrupt = "raise") -> tuple[Model, int]:
    """The model with other content of items that it holds, and how many.

    Of one that nobody has answered about, what is expected comes from the new content; of the others answers say more,
    and the next fit weighs both.

    Raises:
        DataError: If the model does not hold one, one comes twice, or a row cannot be read.
    """
    one_of(on_corrupt, get_args(OnCorrupt), "on_corrupt")
    new = take_items(items, folder)
    table = item_table(new, new.items[ITEM].to_list())
    strange = [item for item in table[ITEM].to_list() if item not in model.catalogue]
    if strange:
        raise DataError(f"item {strange[0]!r} is not in the model. Add it first.")
    places, n = model.catalogue.positions(table[ITEM].to_list()), len(model.catalogue)
    both = _appended(model, without_media(table), _encode_new(model, table, new.folder, on_corrupt))
    order = np.arange(n)
    order[places] = n + np.arange(len(places))
    old, more = model.taste.items, both.taste.items
    found = np.where(model.catalogue.counts > 0.0, np.arange(n), order)
    moved = Items(more.level[found], more.factors[found], more.spread.take(found), more.noise[found])
    taste = replace(model.taste, items=moved if (found != np.arange(n)).any() else old)
    return replace(model, catalogue=both.catalogue.reordered(order, model.catalogue), taste=taste), len(places)


def _encode_new(model: Model, table: pl.DataFrame, folder: Path | None, on_corrupt: OnCorrupt) -> Vectors | None:
    """The content of new items, (n, E), block by block as the model was fitted; NaN where an item has nothing."""
    texts = Dataset(pl.DataFrame(), table, pl.DataFrame()).item_texts()
    has: dict[BlockName, bool] = {"text": any(texts), "image": IMAGE in table.columns, "audio": AUDIO in table.columns}
    parts = []
    for block, size in zip(model.catalogue.blocks, model.catalogue.sizes, strict=True):
        if block.encoder == LABELS:
            parts.append(kept_columns(model.catalogue, block, table[ITEM].to_list()))
            continue
        encoders: dict[BlockName, Cached] = {}
        if not has.get(block.name, True):
            parts.append(np.full((len(table), size), np.nan, dtype=np.float32))
            continue
        if block.name not in ("category", "words"):
            encoders[block.name] = Cached(fitted_encoder(block))
        parts.append(new_vectors(block, table, texts, encoders, folder, on_corrupt))
    return np.concatenate(parts, 1) if parts else None


def _appended(model: Model, table: pl.DataFrame, content: Vectors | None) -> Model:
    old, n = model.taste.items, len(table)
    encodings = np.zeros((n, 0)) if content is None else content.astype(np.float64)
    means, covariances = promised(model.prior, encodings, model.catalogue.encodings)
    added = Items.build(means, covariances, np.full(n, float(np.median(old.noise))), old.spread.form)
    joined = Items(
        np.append(old.level, added.level),
        np.concatenate([old.factors, added.factors]),
        Spread(old.spread.form, np.concatenate([old.spread.values, added.spread.values])),
        np.append(old.noise, added.noise),
    )
    catalogue = model.catalogue
    shape = (model.answers.shape[0], len(joined))
    return replace(
        model,
        catalogue=catalogue.extended(table, content),
        taste=replace(model.taste, items=joined),
        answerability=model.answerability.extended(n, catalogue.with_new(content)),
        answers=_wider(model.answers, shape),
        events=model.events
        and Events(
            *(_wider(part, shape) for part in (model.events.liking, model.events.timestamps, model.events.kinds))
        ),
    )


def _wider(matrix: sparse.csr_matrix, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=shape)
