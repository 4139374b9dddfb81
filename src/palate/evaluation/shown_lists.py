"""The lists that Palate showed, as another policy would have drawn them: what its own log tells of that policy.

A list is drawn (``recommend(..., explore=τ)``), shown, and told with what was clicked in it and the probability of the
whole list (``palate.slate(..., propensity=...)``). The other policy is the list of a model, drawn at a temperature: of
the same model, or of one that was fitted since. Of each list it is asked with what the user had said before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from palate.arrays import Array
from palate.entities import Answer, Form
from palate.errors import DataError
from palate.evaluation.off_policy import Logged
from palate.learner import Learner
from palate.loop.explore import place_chances
from palate.loop.list_scores import list_scores
from palate.loop.lists import Wish, on_offer, temperature_of
from palate.loop.memory import Memory


def shown_lists(learner: Learner, *, explore: float, told: Mapping[str, tuple[Answer, ...]] | None = None) -> Logged:
    """What is needed to estimate how many clicks a list of this learner's model would have had.

    Items are as the fit left them; of a user what they had answered before counts, not what they did. Lists that were
    not drawn (without a probability, or with 1) tell nothing of others and are left out. What is expected of a list is
    the mean of all other users'. Options of a list, such as ``exclude``, are not in the log: leave them out of both.

    Args:
        explore: Temperature of the other policy; 0 is the best list, which few that were drawn are.
        told: Answers by user, in order; those of the learner if None.
    Raises:
        DataError: If no list that was drawn is among them.
        OptionError: If explore is no finite number from 0.
    """
    temperature = temperature_of(explore, Wish())
    memory = Memory(learner.memory.fitted)
    rows = [
        (user, answer, chance)
        for user, answers in (learner.told if told is None else told).items()
        for answer, chance in _of_user(memory, answers, temperature)
    ]
    if not rows:
        raise DataError("0 lists were told with a probability below 1. Show lists with explore, and tell it with them.")
    users = np.array([user for user, _, _ in rows])
    clicks = np.array([float(answer.value or 0.0) for _, answer, _ in rows])
    shown = np.array([float(answer.propensity or 0.0) for _, answer, _ in rows])
    expected = _of_others(clicks, users)
    return Logged(clicks, shown, np.array([chance for _, _, chance in rows]), expected, expected, users)


def _of_user(memory: Memory, answers: tuple[Answer, ...], temperature: float) -> Iterator[tuple[Answer, float]]:
    """The lists that were drawn for a user, and how likely the other policy would have shown each."""
    for answer in answers:
        if answer.form is Form.SLATE and answer.is_rating and 0.0 < (answer.propensity or 1.0) < 1.0:
            yield answer, _chance(memory, answer, temperature)
        memory = memory.tell(answer)


def _chance(memory: Memory, shown: Answer, temperature: float) -> float:
    scores = list_scores(memory, shown.user_id)
    is_open, _ = on_offer(memory.source(shown.user_id), scores, Wish())
    items = memory.fitted.catalogue.positions(shown.items)
    if not is_open[items].all():
        return 0.0
    found = np.flatnonzero(is_open)
    return float(
        place_chances(scores.total(items=found), np.searchsorted(found, items), temperature=temperature).prod()
    )


def _of_others(clicks: Array, users: Array) -> Array:
    """The mean of the lists of all other users, (n,); 0 where there are none."""
    _, who = np.unique(users, return_inverse=True)
    own, counts = np.bincount(who, clicks), np.bincount(who)
    others = len(clicks) - counts
    return np.asarray(np.divide(clicks.sum() - own, others, out=np.zeros(len(own)), where=others > 0)[who])
