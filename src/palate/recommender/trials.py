"""A kept version of the model beside the one that serves: it follows the same log, and both are judged on it.

Nothing here decides who sees what; the service does (``palate.service.trial``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from palate.arrays import Array
from palate.errors import ModelFolderError
from palate.model.counted import is_of_taste, weight_in
from palate.recommender import versions
from palate.recommender.recommender import Recommender
from palate.records import Record
from palate.store.open_store import LOG
from palate.store.protocol import active

MOST_ROWS = 500  # that are judged at once


@dataclass(frozen=True, slots=True)
class Judged:
    """How far both models were from what users said next.

    Attributes:
        seq: Row of the log up to which was read.
        errors, live_errors: Absolute errors on the same ratings, shape (L,), of the version and of the model that
            serves, each with all that was told but those ratings.
    """

    seq: int
    errors: Array
    live_errors: Array


def beside(live: Recommender, version: str) -> Recommender:
    """A recommender on a kept version and the log of another one; to be closed like any other.

    Raises:
        OptionError: If the version is not kept.
        ModelFolderError: If it is damaged, sick, or does not fit the labels of this folder.
    """
    of = live._live
    place = versions.place_of(of.folder, version)
    found = Recommender.open(place, encoders=of.encoders.values(), store=of.place or of.folder / LOG)
    try:
        memory, before = found.learner.memory, live.learner.memory
        versions.check_alike(memory.fitted, before.fitted)
        faults = versions.check_health(memory, before).faults
        if faults:
            raise ModelFolderError(f"version {version} is not tried: {'; '.join(faults)}. Refit.")
    except BaseException:
        found.close()
        raise
    return found


def judged(live: Recommender, other: Recommender, after_seq: int) -> Judged:
    """Both models on what users rated since a row of the log, as if they had not been told."""
    rows = list(islice(live._live.log.records(after_seq), MOST_ROWS))
    weights = live.learner.memory.weights if rows else {}
    labels = [row.content for row in active(rows) if is_of_taste(row.content)]
    labels = [label for label in labels if weight_in(label, weights) == 1.0]
    taken = [Record(0, label, 0.0, retracts=label.key) for label in labels if label.value is not None]
    memories = [of.learner.memory.retracted(taken) for of in (other, live)] if taken else []
    both = [label for label in labels if all(versions.is_rating(label, memory.fitted) for memory in memories)]
    errors = [np.array([versions.error_on(memory, label) for label in both]) for memory in memories]
    return Judged(rows[-1].seq if rows else after_seq, *(errors or (np.empty(0), np.empty(0))))
