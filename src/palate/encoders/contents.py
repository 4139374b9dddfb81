"""From a table of items to what each modality's encoder says of them, a row of NaN where an item has nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from palate.datasets.media import media_of
from palate.encoders.fusion import Block, BlockName, Vectors, common_categories, indicators
from palate.encoders.media import OnCorrupt, encode_media
from palate.entities import CATEGORY, CATEGORY_SEPARATOR

if TYPE_CHECKING:
    import polars as pl

    from palate.encoders.cache import Cached

Progress = Callable[[str, int, int], None]
CATEGORIES = "categories"  # the name of what encodes them, for a model folder


def text_vectors(texts: Sequence[str], encoder: Cached, progress: Progress | None) -> Vectors:
    """Vectors of texts, (I, E); NaN for an empty one."""
    report = None if progress is None else lambda done, of: progress("encoding", done, of)
    vectors = encoder.encode(texts, report)
    vectors[[not text for text in texts]] = np.nan
    return vectors


def media_vectors(
    table: pl.DataFrame,
    column: str,
    encoder: Cached,
    folder: Path | None,
    on_corrupt: OnCorrupt,
    progress: Progress | None,
) -> tuple[Vectors, str]:
    """Vectors of images or sounds, (I, E), NaN for an item without one; and a line on what was skipped."""
    media = media_of(table, column, folder)
    if media is None:
        return np.full((len(table), encoder.dim), np.nan, dtype=np.float32), ""
    report = None if progress is None else lambda done, of: progress(f"encoding {column}", done, of)
    encoded = encode_media(encoder, media, on_corrupt=on_corrupt, progress=report)
    return encoded.vectors, encoded.report()


def category_block(table: pl.DataFrame) -> tuple[Block, Vectors] | None:
    """Which categories each item has, as a block; None where they tell no items apart."""
    names = category_names(table)
    known = common_categories([some for some in names if some])
    if not known:
        return None
    revision = hashlib.sha256("\x00".join(known).encode()).hexdigest()[:12]
    return Block("category", CATEGORIES, revision, categories=known), indicators(names, known)


def category_names(table: pl.DataFrame) -> list[list[str]]:
    """The categories of each item."""
    return [[name for name in (names or "").split(CATEGORY_SEPARATOR) if name] for names in table[CATEGORY]]


def new_vectors(
    block: Block,
    table: pl.DataFrame,
    texts: Sequence[str],
    encoders: Mapping[BlockName, Cached],
    folder: Path | None,
    on_corrupt: OnCorrupt,
) -> Vectors:
    """Columns of one block for new items, by the encoder the model was fitted with."""
    if block.name == "category":
        vectors = indicators(category_names(table), block.categories)
    elif block.name == "text":
        vectors = text_vectors(texts, encoders["text"], None)
    else:
        vectors, _ = media_vectors(table, block.name, encoders[block.name], folder, on_corrupt, None)
    return block.whitened(vectors)
