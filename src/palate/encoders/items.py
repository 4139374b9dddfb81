"""What items hold, as vectors: text, words, images, sounds and categories, each by its encoder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array, Progress, Vectors
from palate.datasets.media import media_of
from palate.datasets.views import texts_of
from palate.encoders.blocks import Block, BlockName, Raw, check_vectors, common_categories, indicators
from palate.encoders.cache import Cached
from palate.encoders.media.media import OnCorrupt, encode_media
from palate.encoders.protocol import Encoder, Modality, check_encoder, not_here
from palate.encoders.registry import is_name, load_encoder
from palate.encoders.text.words import NAME as LEXICAL
from palate.encoders.text.words import ItemWords, item_words
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM
from palate.errors import OptionError

_log = logging.getLogger(__name__)
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


def words_block(table: pl.DataFrame, *, rng: np.random.Generator) -> Raw | None:
    """The words of the items, reduced, as a block; None where they tell no items apart."""
    found = ItemWords.of(table, rng=rng)
    if found is None:
        return None
    return Block("words", LEXICAL, found.words.revision, words=found), found.words.vectors(found.rows)


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
    elif block.words is not None:
        vectors = block.words.words.vectors(block.words.words.rows(item_words(table)))
    elif block.name == "text":
        vectors = text_vectors(texts, encoders["text"], None)
    else:
        vectors, _ = media_vectors(table, block.name, encoders[block.name], folder, on_corrupt, None)
    check_vectors(block, vectors, table[ITEM].to_list())
    return block.whitened(vectors)


def encode(
    table: pl.DataFrame, encoder: str, progress: Progress | None, mean: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32] | None, str]:
    """Encodings of the items, (I, E), or None where nothing has text or the encoder is ``none``; and its revision.

    An item without text gets the mean encoding, so that the prior says of it what it says of all.

    Args:
        mean: Of the encodings the model was fitted on, (E,), for new items; of these items if None.
    """
    texts = texts_of(table)
    has_text = np.array([bool(text) for text in texts])
    if encoder == "none" or not has_text.any():
        return None, ""
    cached = Cached(load_encoder(encoder))
    report = None if progress is None else lambda done, of: progress("encoding", done, of)
    content = cached.encode(texts, report)
    content[~has_text] = content[has_text].mean(0) if mean is None else mean
    return content, cached.revision


def encode_all(
    table: pl.DataFrame,
    encoder: str | Encoder,
    media: Mapping[Literal["image", "audio"], str | Encoder | None],
    *,
    categories: bool = False,
    folder: Path | None = None,
    on_corrupt: OnCorrupt = "raise",
    progress: Progress | None = None,
    rng: np.random.Generator,
) -> list[Raw]:
    """What the items hold, text, words, images and sounds, each as its encoder gives it.

    Args:
        encoder: Of text, beside which words are read too; ``lexical``: those alone; or ``none``.
        media: The encoders of images and sounds.
        categories: Whether the categories are a block of their own, beside their words in the text.
        folder: Where paths of images and sounds start.
        on_corrupt: ``raise`` at a file that cannot be read, or ``skip`` it.
        rng: Source of where the search for the directions of words begins.
    Raises:
        OptionError: If there is no item with an image or sound to encode.
        DataError: If an encoder gives an infinite number.
    """
    raw: list[Raw] = []
    if encoder not in ("none", LEXICAL):
        cached, texts = Cached(encoder_of(encoder)), texts_of(table)
        if any(texts):
            raw.append((_block("text", encoder, cached), text_vectors(texts, cached, progress)))
    for column, name in media.items():
        if name is not None:
            cached = Cached(encoder_of(name, column))
            vectors, skipped = media_vectors(table, column, cached, folder, on_corrupt, progress)
            if skipped:
                _log.warning(skipped)
            if np.isnan(vectors).any(1).all():
                given = name if isinstance(name, str) else name.name
                raise OptionError(
                    f"0 of {len(table)} items have an {column} for the encoder {given!r}. "
                    f"Give the items a column {column!r}, or leave that encoder out."
                )
            raw.append((_block(column, name, cached), vectors))
    block = category_block(table) if categories else None
    words = words_block(table, rng=rng) if encoder != "none" else None
    for encoded, vectors in raw:
        check_vectors(encoded, vectors, table[ITEM].to_list())
    return [*raw, *(one for one in (block, words) if one is not None)]


def _block(name: BlockName, encoder: str | Encoder, cached: Cached) -> Block:
    if isinstance(encoder, str):
        return Block(name, encoder, cached.revision)
    return Block(name, encoder.name, cached.revision, given=encoder)


def encoder_of(encoder: str | Encoder, modality: Modality = "text") -> Encoder:
    """The encoder of this name, or the one given.

    Raises:
        OptionError: If it is neither, or takes something else.
    """
    if isinstance(encoder, str):
        return load_encoder(encoder, None if modality == "text" else modality)
    return check_encoder(encoder, modality)


def encode_words(words: str, block: Block) -> Array:
    """The encoding of some words, (E,), by the encoder of a block.

    Raises:
        OptionError: If the encoder has another revision by now.
    """
    return np.asarray(Cached(fitted_encoder(block)).encode([words])[0], dtype=np.float64)


def fitted_encoder(block: Block) -> Encoder:
    """The encoder of a block, as the model was fitted with it.

    Raises:
        OptionError: If it has another revision by now, or was given as an object and is not here.
    """
    media: tuple[Modality, ...] = ("image", "audio")
    modality = next((one for one in media if one == block.name), None)
    try:
        found = block.given or load_encoder(block.encoder, modality, revision=block.revision, lora=block.lora)
    except OptionError as error:
        if is_name(block.encoder):
            raise
        raise not_here(block.encoder) from error
    block.check_revision(found.revision)
    return found
