"""What a model makes of one item before anybody's answer, and which part of its content says so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.model.model import Model
from palate.posteriors.statistics import augmented_moments


@dataclass(frozen=True, slots=True)
class Informs:
    """What one modality says of an item.

    Attributes:
        modality: ``text``, ``image``, ``audio`` or ``category``.
        present: Whether the item has it.
        shift: By how much it moves the expected answer, root mean square over the population's users.
        share: Of the squared shifts of all modalities; 0 where none moves anything.
    """

    modality: str
    present: bool
    shift: float
    share: float


@dataclass(frozen=True, slots=True)
class ItemReport:
    """What is known of an item.

    Attributes:
        answers: How many it has; what they say is not in ``modalities``.
        unexplained: Standard deviation of the expected answer that its content leaves open.
        left: The same after its answers.
    """

    item_id: str
    title: str
    answers: int
    modalities: tuple[Informs, ...]
    unexplained: float
    left: float


def explain_item(model: Model, item_id: str) -> ItemReport:
    """Which modality informs an item, in units of the answers (of likes and events, of their latent strength).

    Raises:
        UnknownItem: If the model does not hold it.
    """
    position = model.catalogue.position(item_id)
    here = np.array([position])
    start, items = model.taste.start, model.taste.items
    moment = augmented_moments(start.mean, start.covariance)
    encodings = model.catalogue.encodings(here)
    spread = model.prior.covariances(encodings)[0]
    return ItemReport(
        model.catalogue.ids[position],
        model.catalogue.names[position],
        int(model.catalogue.counts[position]),
        _informs(model, here, moment),
        float(np.sqrt((spread * moment).sum())),
        float(np.sqrt(items.spread.take(here).expected(moment)[0])),
    )


def _informs(model: Model, here: NDArray[np.intp], moment: Array) -> tuple[Informs, ...]:
    catalogue, encodings = model.catalogue, model.catalogue.encodings(here)
    if catalogue.content is None:
        return ()
    parts = model.prior.parts(encodings)[0]
    squares = np.einsum("ba,ac,bc->b", parts, moment, parts)
    shares = squares / max(float(squares.sum()), 1e-30)
    has = np.ones(len(parts), dtype=bool) if catalogue.has is None else catalogue.has[here[0]]
    return tuple(
        Informs(block.name, bool(there), float(np.sqrt(square)), float(share))
        for block, there, square, share in zip(catalogue.blocks, has, squares, shares, strict=True)
    )
