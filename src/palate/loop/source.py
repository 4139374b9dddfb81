"""All that is known of one user, as a replay needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from palate.encoders.histories.events import History
from palate.encoders.histories.history import kind_codes
from palate.entities import Answer
from palate.model.counted import UNWEIGHED, Weights, telling
from palate.model.model import Model
from palate.posteriors.attribute_coding import Told
from palate.records import Attribute, Event

# What a user told, did and is, and what the answers of those sources among them count that were calibrated.
Parts = tuple[tuple[Answer, ...], tuple[Event, ...], tuple[Attribute, ...], tuple[tuple[str, float], ...]]


def weighed(told: tuple[Answer, ...], seen: tuple[Event, ...], known: tuple[Attribute, ...], weights: Weights) -> Parts:
    """What of it says anything, with the weights that hold for it."""
    return with_weights(telling(told, weights), seen, known, weights)


def with_weights(
    left: tuple[Answer, ...], seen: tuple[Event, ...], known: tuple[Attribute, ...], weights: Weights
) -> Parts:
    """:func:`weighed`, where these are the answers that say anything."""
    among = {(one.source, weights[one.source]) for one in left if one.source in weights} if weights else ()
    return left, seen, known, tuple(sorted(among))


class Source(NamedTuple):
    """All that is known of one user."""

    user_id: str
    row: int | None
    history: History | None
    known: Mapping[str, Told]
    answers: Sequence[Answer]
    seen: Sequence[Event] = ()
    weights: Weights = UNWEIGHED


def history_of(model: Model, row: int | None, seen: Sequence[Event]) -> History | None:
    """What a user did, in the data and since, beside answering; None if nothing.

    Args:
        row: Of the user in the data; None for somebody new.
        seen: What they did since.
    """
    before = model.events.of(row) if row is not None and model.events is not None else None
    if not seen:
        return before
    since = History(
        model.catalogue.positions([event.item_id for event in seen]),
        np.array([(event.liking or 0.0) * model.vocabulary.strength(event.kind) for event in seen], dtype=np.float64),
        np.array([np.nan if event.at is None else event.at for event in seen], dtype=np.float64),
        kind_codes([event.kind for event in seen], model.vocabulary),
    )
    return since if before is None else before + since
