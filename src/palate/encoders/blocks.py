"""Encodings of several modalities side by side: each whitened alone, each of the same weight, any of them missing.

A block is centred, turned to its principal directions and scaled as a whole, so that an item's vector in it has length
one on average. The directions keep their unequal variances: made equal, those that hold nothing but noise would count
as much as those that tell items apart, and all that content gains is lost (docs/lab-notes.md). How much each block then
says of taste is for the prior to learn (:mod:`palate.posteriors.block_prior`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from palate.arrays import Array, Vectors
from palate.encoders.protocol import Encoder
from palate.encoders.text.lora import Lora
from palate.encoders.text.words import ItemWords
from palate.errors import DataError, OptionError

BlockName = str  # text, image, audio, category or words; or attribute:NAME, of what is said of items

DIRECTIONS = 200  # of a block: the prior inverts a square matrix of all of them
_ROUNDING = 1e-9  # of the largest direction's energy, below which a direction is rounding alone


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One modality in the content of a model.

    Attributes:
        name: ``text``, ``image``, ``audio``, ``category`` or ``words``; ``attribute:`` and the name of one of items.
        encoder: Name of its encoder.
        revision: Of its encoder.
        centre: Mean vector of the items that have one, (E_b,); None where vectors stand as the encoder gives them.
        axes: From there to the block's columns, (E_b, K); None likewise.
        categories: The names whose presence the vectors hold, of the block ``category``.
        lora: What was added to the encoder's weights; its revision names it.
        words: Weights of the words and the rows of all items, of the block ``words``.
        given: The encoder itself, where it was given as an object; a model folder keeps only its name.
    """

    name: BlockName
    encoder: str
    revision: str
    centre: Array | None = None
    axes: Array | None = None
    categories: tuple[str, ...] = ()
    lora: Lora | None = None
    words: ItemWords | None = None
    given: Encoder | None = None

    def check_revision(self, revision: str) -> None:
        """Raises OptionError unless the encoder is the one that the model was fitted with."""
        if revision != self.revision:
            raise OptionError(f"encoder {self.encoder!r} is now {revision!r}, the model has {self.revision!r}. Refit.")

    def whitened(self, vectors: Vectors) -> Vectors:
        """Vectors of the encoder, (N, E_b), as columns of the content, (N, K); a row of NaN stays one."""
        if self.centre is None or self.axes is None:
            return vectors
        return np.asarray((vectors - self.centre) @ self.axes, dtype=np.float32)


def whiten(vectors: Vectors) -> tuple[Array, Array]:
    """Centre, (E,), and axes, (E, K), of vectors, (N, E), of which a row of NaN is none.

    At most :data:`DIRECTIONS` are kept, those of most variance; one where all vectors are the same.
    """
    known = vectors[~np.isnan(vectors).any(1)].astype(np.float64)
    centre = known.mean(0)
    energy, axes = np.linalg.eigh((known - centre).T @ (known - centre))
    energy, axes = energy[::-1], axes[:, ::-1]
    kept = max(1, min(DIRECTIONS, int((energy > _ROUNDING * energy[0]).sum())))
    length = np.sqrt(energy[:kept].sum() / len(known))
    signs = np.where(axes[np.abs(axes).argmax(0), np.arange(len(axes))] < 0, -1.0, 1.0)
    return centre, axes[:, :kept] * signs[:kept] / (length if length > _ROUNDING else 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What I items hold, block beside block.

    Attributes:
        vectors: (I, E); a block that an item lacks is NaN.
        blocks: What the columns are.
        sizes: Columns of each.
    """

    vectors: Vectors
    blocks: tuple[Block, ...]
    sizes: tuple[int, ...]


def check_vectors(block: Block, vectors: Vectors, ids: Sequence[object] | None = None) -> None:
    """Whether every row of some vectors, (I, E_b), holds numbers alone, or is NaN for an item that has none.

    Args:
        ids: Of the items; their rows are named if None.
    Raises:
        DataError: If not: one infinite number would make everything NaN that is worked out from all items.
    """
    sound = np.isfinite(vectors).all(1) | np.isnan(vectors).all(1)
    if not sound.all():
        row = int(sound.argmin())
        item = f"row {row}" if ids is None else f"item {ids[row]!r}"
        raise DataError(
            f"the {block.name} vector of {item} by the encoder {block.encoder!r} holds NaN or an infinite number, "
            f"as do {np.count_nonzero(~sound) - 1} of the {len(vectors) - 1} others. "
            "Mend the encoder and give it a new revision; where there is nothing to encode, NaN alone is right."
        )


def fuse(raw: Sequence[tuple[Block, Vectors]]) -> Content | None:
    """The content of a model, from each modality's vectors, (I, E_b), a row of NaN where an item has none.

    A modality that no item has is left out. Of a block that brings axes, only what lies along them counts.

    Raises:
        DataError: If a vector holds an infinite number, or NaN beside numbers.
    """
    for block, vectors in raw:
        check_vectors(block, vectors)
    there = [(block, vectors) for block, vectors in raw if not np.isnan(vectors).any(1).all()]
    if not there:
        return None
    blocks, parts = [], []
    for block, vectors in there:
        if block.axes is None:
            centre, axes = whiten(vectors)
        else:
            _, turn = whiten(np.asarray(vectors @ block.axes, dtype=np.float32))
            centre, axes = np.nanmean(vectors, 0, dtype=np.float64), block.axes @ turn
        blocks.append(replace(block, centre=centre, axes=axes))
        parts.append(blocks[-1].whitened(vectors))
    return Content(np.concatenate(parts, 1), tuple(blocks), tuple(part.shape[1] for part in parts))


def common_categories(names: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Those of at least two items and not of all, sorted; none where fewer than two are left. At most 500."""
    counts = Counter(name for some in names for name in set(some))
    shared = [name for name, count in counts.most_common() if 2 <= count < len(names)]
    return tuple(sorted(shared[:500])) if len(shared) > 1 else ()


def indicators(names: Sequence[Sequence[str]], categories: Sequence[str]) -> Vectors:
    """Which of the categories each item has, (N, C) of 0 and 1; NaN where it has no category at all."""
    places = {name: place for place, name in enumerate(categories)}
    vectors = np.zeros((len(names), len(categories)), dtype=np.float32)
    for row, some in enumerate(names):
        vectors[row, [places[name] for name in some if name in places]] = 1.0
        if not some:
            vectors[row] = np.nan
    return vectors


Raw = tuple[Block, Vectors]  # one modality, as its encoder gives it
