"""All that is known of one user, as a replay needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from palate.encoders.histories.events import History
from palate.entities import Answer
from palate.posteriors.attribute_coding import Told
from palate.records import Attribute, Event

Parts = tuple[tuple[Answer, ...], tuple[Event, ...], tuple[Attribute, ...]]


class Source(NamedTuple):
    """All that is known of one user."""

    user_id: str
    row: int | None
    history: History | None
    known: Mapping[str, Told]
    answers: Sequence[Answer]
    seen: Sequence[Event] = ()
