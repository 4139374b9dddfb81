"""Lists that are drawn for a user and kept in the log before they are shown."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.errors.checks import instance
from palate.learner import Learner
from palate.loop.lists import Recommendation, Wish, temperature_of
from palate.recommender.calls import NOBODY
from palate.recommender.privacy import allows
from palate.records import Slate


@dataclass(frozen=True, slots=True)
class Shown:
    """A list to show.

    Attributes:
        items: First place to last.
        slate: What is kept of it; None of a list that was not drawn.
    """

    items: list[Recommendation]
    slate: Slate | None = None

    @property
    def id(self) -> str | None:
        """By which events and answers say that they came of it."""
        return None if self.slate is None else self.slate.key


def drawn(
    learner: Learner,
    user_id: str,
    k: int = 10,
    *,
    explore: float,
    exclude: Sequence[str] = (),
    category: str | None = None,
    language: str = "en",
    model: str = "",
    rng: np.random.Generator,
) -> Shown:
    """A list that is drawn for a user; the best list of those who do not allow ``serve`` or ``research``.

    Args:
        explore: Temperature (:mod:`palate.loop.explore`); 0: none is drawn.
        exclude, category, language: As of :meth:`palate.Learner.recommend`.
        model: Version that draws.
        rng: Source of the draw: new for each list.
    Raises:
        OptionError: If explore is no finite number from 0, or k is negative.
        UnknownItem: If the category is not in the model.
    """
    temperature = temperature_of(explore, Wish())
    instance(rng, np.random.Generator, "rng", "numpy.random.default_rng()")
    consent = learner.memory.consent(user_id)
    named = user_id if allows(consent, "serve") else NOBODY
    if not temperature or named == NOBODY or not allows(consent, "research"):
        return Shown(learner.recommend(named, k, exclude=exclude, category=category, language=language))
    found = learner.recommend(
        user_id, k, exclude=exclude, category=category, language=language, explore=temperature, rng=rng
    )
    ids, chances = tuple(one.item_id for one in found), tuple(one.propensity for one in found)
    if not found or min(chances) <= 0.0:  # below what a double can hold: no estimate could use it
        return Shown(found)
    told = (model, tuple(exclude), category or "", time.time(), uuid.uuid4().hex)
    return Shown(found, Slate(user_id, ids, chances, temperature, *told))
