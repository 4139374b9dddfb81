"""Which labels count, and as what: one rule, for the replay of a user and for the batch fit.

Whose answers count how much is a matter of calibrations (:class:`palate.records.Calibration`): of a source the last one
holds, for what it said before, too. Without one an answer has weight 1, and so has what a user says of their own taste;
but that of a language model counts nothing until it is calibrated, and never in whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeGuard

import numpy as np

from palate.acquisition.oracle_choice import Action
from palate.entities import Answer, Form
from palate.entities.provenance import MACHINE, TASTE
from palate.oracles.pseudo_labels import weight_of
from palate.posteriors.likelihood import Likelihood
from palate.records import Calibration

Rows = tuple[tuple[float, float], ...]  # value and weight of each
Told = Mapping[str, Mapping[int, Rows]]  # by user and position of the item
Weights = Mapping[str, float]  # by source, where it was calibrated
PERSON = "person"  # the source of what users say themselves
UNWEIGHED: Weights = MappingProxyType({})
_MOST_OF_MACHINE = 0.99  # so that it never takes the place of the user's own word


def weights_of(calibrations: Iterable[Calibration]) -> dict[str, float]:
    """What answers about taste count by their sources: the last calibration of each."""
    return {one.source: one.reliability for one in calibrations if one.subject == TASTE}


def weight_in(answer: Answer, weights: Weights) -> float:
    """How much of an answer of their own an answer about a user counts, in [0, 1].

    0 of what is said of another subject than taste: an attribute of an item is nobody's taste.
    """
    if not is_of_taste(answer):
        return 0.0
    if answer.source in (PERSON, answer.user_id):
        return 1.0
    if answer.source.startswith(MACHINE):
        return min(weights.get(answer.source, 0.0), _MOST_OF_MACHINE)
    return weight_of(answer) * weights.get(answer.source, 1.0)


def telling(answers: tuple[Answer, ...], weights: Weights) -> tuple[Answer, ...]:
    """Those that say anything, by their weight; the same object where all do."""
    left = [answer for answer in answers if weight_in(answer, weights)]
    return answers if len(left) == len(answers) else tuple(left)


@dataclass(frozen=True, slots=True)
class Counted:
    """What stands of all the answers to one question.

    Attributes:
        answer: The last one that counts.
        values: The ratings that count together, oldest first; none where the last answer is no rating.
        weight: Of each of them, in (0, 1]: below 1 of a pseudo-label, and of a source that is not always right.
    """

    answer: Answer
    values: tuple[float, ...]
    weight: float = 1.0

    @property
    def is_real(self) -> bool:
        """Whether it counts in whole: among the answers about an item, and as something that the user met."""
        return self.weight == 1.0

    def rows(self, likelihood: Likelihood) -> Rows:
        """The rows that a fit takes: ratings that were asked for again are one, their mean; likes are one each.

        The noise of each is its own, so the mean of n weighs as much as n.
        """
        if len(self.values) > 1 and likelihood.is_linear:
            return ((float(np.mean(self.values)), self.weight * len(self.values)),)
        return tuple((value, self.weight) for value in self.values)


def counted(
    answers: Iterable[Answer], rated: Callable[[str], float | None], weights: Weights = UNWEIGHED
) -> list[Counted]:
    """What counts of the answers of one user, in the order of the last answer to each question.

    - A repeat of a key says nothing, and neither does an answer of weight 0 (:func:`weight_in`).
    - Of several answers to one question the last counts, but none takes the place of one that weighs more. A rating of
      the data weighs 1. One that is no rating takes back the rating before it.
    - Of a rating of weight 1 that was asked for again (:func:`is_repeat`) both count. No rating then says nothing,
      where there was one before.
    - So a pseudo-label counts, by its weight, as long as there is no real answer, before it or after, nor a rating of
      the data.

    Args:
        answers: In the order of the log.
        rated: The rating that the data has of an item; None without.
        weights: By source.
    """
    standing: dict[tuple[str, ...], Counted] = {}
    for answer in _once(answers):
        weight = weight_in(answer, weights)
        if not weight:
            continue
        before = standing.get(answer.subject) or _of_data(answer, rated)
        after = _after(before, answer, weight)
        if after is not before:
            standing.pop(answer.subject, None)
            standing[answer.subject] = after
    return list(standing.values())


def is_of_taste(content: object) -> TypeGuard[Answer]:
    """Whether this is an answer about somebody's taste, and not about a property of the item, which moves no belief."""
    return isinstance(content, Answer) and content.provenance.subject == TASTE


def is_repeat(answer: Answer) -> bool:
    """Whether a question that had a rating was asked again for a second one, not to correct the first."""
    return answer.form is Form.RATE and answer.question == Action.AGAIN


def _once(answers: Iterable[Answer]) -> Iterator[Answer]:
    keys: set[str] = set()
    for answer in answers:
        if not answer.key or answer.key not in keys:
            keys.add(answer.key)
            yield answer


def _of_data(answer: Answer, rated: Callable[[str], float | None]) -> Counted | None:
    value = rated(answer.item_id) if answer.form is Form.RATE else None
    return None if value is None else Counted(answer, (value,))


def _after(before: Counted | None, answer: Answer, weight: float) -> Counted:
    """What counts once there is this answer too; the same as before where it says nothing."""
    values = () if answer.value is None else (answer.value,)
    if before is not None and before.weight > weight:
        return before
    if before is None or not before.is_real or not is_repeat(answer):
        return Counted(answer, values, weight)
    return Counted(answer, (*before.values, *values)) if values or not before.values else before
