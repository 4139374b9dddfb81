"""Which labels count, and as what: one rule, for the replay of a user and for the batch fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from palate.acquisition.oracle_choice import Action
from palate.entities import Answer, Form
from palate.entities.provenance import TASTE
from palate.oracles.pseudo_labels import is_pseudo, weight_of
from palate.posteriors.likelihood import Likelihood

Rows = tuple[tuple[float, float], ...]  # value and weight of each
Told = Mapping[str, Mapping[int, Rows]]  # by user and position of the item


@dataclass(frozen=True, slots=True)
class Counted:
    """What stands of all the answers to one question.

    Attributes:
        answer: The last one that counts.
        values: The ratings that count together, oldest first; none where the last answer is no rating.
        weight: Of each of them: 1 of a real one, less of a pseudo-label.
    """

    answer: Answer
    values: tuple[float, ...]
    weight: float = 1.0

    @property
    def is_real(self) -> bool:
        return self.weight == 1.0

    def rows(self, likelihood: Likelihood) -> Rows:
        """The rows that a fit takes: ratings that were asked for again are one, their mean; likes are one each.

        The noise of each is its own, so the mean of n weighs as much as n.
        """
        if len(self.values) > 1 and likelihood.is_linear:
            return ((float(np.mean(self.values)), self.weight * len(self.values)),)
        return tuple((value, self.weight) for value in self.values)


def counted(answers: Iterable[Answer], rated: Callable[[str], float | None]) -> list[Counted]:
    """What counts of the answers of one user, in the order of the last answer to each question.

    - A repeat of a key says nothing.
    - Of several answers to one question the last counts, over a rating of the data too. One that is no rating takes
      back the rating before it.
    - Of a rating that was asked for again (:func:`is_repeat`) both count. No rating then says nothing, where there was
      one before.
    - A pseudo-label counts, by its weight, as long as there is no real answer, before it or after, nor a rating of the
      data.

    Args:
        answers: In the order of the log.
        rated: The rating that the data has of an item; None without.
    """
    standing: dict[tuple[str, ...], Counted] = {}
    for answer in _once(answers):
        before = standing.get(answer.subject) or _of_data(answer, rated)
        after = _after(before, answer)
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


def _after(before: Counted | None, answer: Answer) -> Counted:
    """What counts once there is this answer too; the same as before where it says nothing."""
    values = () if answer.value is None else (answer.value,)
    earlier = before if before is not None and before.is_real else None
    if is_pseudo(answer):
        return earlier or Counted(answer, values, weight_of(answer))
    if earlier is None or not is_repeat(answer):
        return Counted(answer, values)
    return Counted(answer, (*earlier.values, *values)) if values or not earlier.values else earlier
