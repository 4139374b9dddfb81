"""Pseudo-labels: predictions that stand for answers, marked, few, light, and as right as they claim to be.

A view predicts one user's answers from the real ones there are. What it is sure of becomes an answer whose source
begins with ``pseudo:``. It counts for less than a real one: in the Gaussian model an answer of weight w has noise σ²/w.

The model's own prediction is the view that teaches nothing. An answer equal to the predicted mean moves no mean and
lowers every variance: the same list with false certainty (docs/lab-notes.md has the figures). What can help is
another view: content (:mod:`palate.oracles.label_propagation`), views that agree
(:mod:`palate.oracles.view_agreement`), or a :class:`Believed` of a model that knows more.

References:
    Lee, Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks, ICML 2013
    workshop; Yarowsky, Unsupervised word sense disambiguation rivaling supervised methods, ACL 1995.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.entities import Answer, AnswerKind, Form, Question
from palate.errors import AnswerError, DataError, OptionError
from palate.oracles.calibration import certain_from
from palate.posteriors.taste import Taste

IntArray = NDArray[np.intp]
MARK = "pseudo:"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a view says of one user's answers.

    Attributes:
        values: On the scale of the answers; for likes 0 or 1, (I,).
        certainty: How sure it is; only the order counts, -inf where it says nothing, (I,).
    """

    values: Array
    certainty: Array


class View(Protocol):
    """Predicts a user's answers from the real ones. Stability: Caller."""

    @property
    def name(self) -> str:
        """What the pseudo-labels are marked with."""
        ...

    def predict(self, items: IntArray, answers: Array) -> Prediction:
        """From the answered items, positions (n,), and the answers, (n,): all I items."""
        ...


@dataclass(frozen=True, slots=True)
class Believed:
    """What a Gaussian belief predicts, as sure as its predictive interval is narrow.

    With the learner's own taste it is the model's own prediction; with that of another model it is a teacher.
    """

    taste: Taste
    name: str = "confidence"

    def predict(self, items: IntArray, answers: Array) -> Prediction:
        """Predictive mean of every rating, or the likelier of like and dislike."""
        likelihood = self.taste.likelihood
        if likelihood.events_only:
            raise OptionError("pseudo-labels stand for ratings or likes, and this model was fitted on events alone.")
        row = sparse.csr_matrix((answers, items, [0, len(items)]), shape=(1, len(self.taste.items)))
        mean, variance = self.taste.items.predict(self.taste.believe(row).of(0))
        expected = likelihood.expected(mean, variance, self.taste.items.noise)
        sure = -np.sqrt(likelihood.answer_variance(mean, variance))
        return Prediction((expected >= 0.5).astype(np.float64) if likelihood.is_binary else expected, sure)


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """A view with the certainty from which it may speak, and how much it may say.

    Attributes:
        view: Predicts.
        threshold: Least certainty, from :meth:`fit`.
        scale: Lowest and highest answer; a pseudo-label lies between.
        error: Share of pseudo-labels that may be wrong, as shown on held-out answers.
        share: At most so many pseudo-labels to one real answer of the user.
        weight: Of a pseudo-label, in (0, 1), a real answer being 1.
    """

    view: View
    threshold: float
    scale: tuple[float, float]
    error: float
    share: float = 1.0
    weight: float = 0.25

    def __post_init__(self) -> None:
        if not self.share >= 0.0:
            raise OptionError(f"the share of pseudo-labels is {self.share!r}. Give 0 or more to one real answer.")
        if not 0.0 < self.weight < 1.0:
            raise OptionError(
                f"the weight {self.weight!r} is out of range: below that of a real answer, between 0 and 1."
            )

    @classmethod
    def fit(
        cls,
        view: View,
        answers: sparse.csr_matrix,
        *,
        tolerance: float,
        given: int = 5,
        error: float = 0.1,
        doubt: float = 0.1,
        share: float = 1.0,
        weight: float = 0.25,
        rng: np.random.Generator,
    ) -> PseudoLabels:
        """The threshold at which the stated error holds on held-out real answers.

        Of each user, ``given`` answers drawn at random are shown to the view; the others tell how often it is wrong.

        Args:
            answers: Real answers of users that the view was not fitted on, (U, I), zeros among them stored.
            tolerance: A prediction is right if it is at most so far from the answer, in units of the answers.
            error: Share of wrong predictions allowed among those made; ``doubt``: see :func:`certain_from`.
        Raises:
            DataError: If no user has more than ``given`` answers.
        """
        if given < 1 or not tolerance >= 0.0:
            raise OptionError(f"given is {given} and tolerance {tolerance!r}. Give at least 1 answer, and 0 or more.")
        certainty, right = [], []
        for items, values, left, truth in held_out(answers, given, rng):
            said = view.predict(items, values)
            certainty.append(said.certainty[left])
            right.append(np.abs(said.values[left] - truth) <= tolerance)
        threshold = certain_from(np.concatenate(certainty), np.concatenate(right), error=error, doubt=doubt)
        scale = (float(answers.data.min()), float(answers.data.max()))
        return cls(view, threshold, scale, error, share, weight)

    @property
    def source(self) -> str:
        """How every pseudo-label of this one is marked: its view and its weight, so that replay needs nothing else."""
        return f"{MARK}{self.view.name}@{self.weight:g}"

    @property
    def reliability(self) -> float:
        """Chance that a pseudo-label is right, at least."""
        return 1.0 - self.error

    def propose(
        self, user_id: str, item_ids: Sequence[str], items: IntArray, answers: Array, *, held: Collection[int] = ()
    ) -> tuple[Answer, ...]:
        """The pseudo-labels of one user, the surest first.

        Args:
            item_ids: Of all I items, in the order of the view.
            items: Positions of the items with a real answer of any kind, (n,); never proposed.
            answers: The ratings, (n,), NaN where the answer is no rating.
            held: Positions of pseudo-labels this user has already: not proposed again, and counted in the ceiling.
        """
        positions, answers = np.asarray(items, dtype=np.intp), np.asarray(answers, dtype=np.float64)
        rated = ~np.isnan(answers)
        room = int(self.share * rated.sum()) - len(held)
        if room <= 0:
            return ()
        said = self.view.predict(positions[rated], answers[rated])
        certainty = said.certainty.copy()
        certainty[positions] = certainty[list(held)] = -np.inf
        order = np.argsort(-certainty, kind="stable")[:room]
        values = np.clip(said.values, *self.scale)
        return tuple(
            Answer(user_id, item_ids[item], AnswerKind.RATING, float(values[item]), source=self.source)
            for item in order
            if certainty[item] >= self.threshold and certainty[item] > -np.inf
        )


@dataclass(frozen=True, slots=True)
class PseudoOracle:
    """Answers with pseudo-labels where they are sure enough, and skips the others: an :class:`Oracle` at no price.

    Attributes:
        labels: What may be said.
        item_ids: Of all I items.
        ratings: The real ones, by user, then item.
    """

    labels: PseudoLabels
    item_ids: Sequence[str]
    ratings: Mapping[str, Mapping[str, float]] = field(repr=False)

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """One answer a question, in the same order, to a page one an item of it; within the ceiling of each user.

        Only items are rated; questions of other forms are skipped.
        """
        place = {item: position for position, item in enumerate(self.item_ids)}
        proposed: dict[str, dict[str, Answer]] = {}
        for user in {question.user_id for question in questions}:
            real = self.ratings.get(user, {})
            items = np.array([place[item] for item in real], dtype=np.intp)
            said = self.labels.propose(user, self.item_ids, items, np.array(list(real.values()), dtype=np.float64))
            proposed[user] = {answer.item_id: answer for answer in said}
        parts = (part for question in questions for part in question.parts)
        return tuple(self._one(part, proposed[part.user_id]) for part in parts)

    def _one(self, question: Question, proposed: Mapping[str, Answer]) -> Answer:
        if question.form is Form.RATE and question.item_id in proposed:
            said = proposed[question.item_id]
            return replace(said, propensity=question.propensity, question=question.strategy)
        return Answer(
            question.user_id,
            question.item_id,
            AnswerKind.SKIPPED,
            source=self.labels.source,
            propensity=question.propensity,
            question=question.strategy,
            form=question.form,
            others=question.others,
        )


def is_pseudo(answer: Answer) -> bool:
    """Whether nobody gave this answer."""
    return answer.source.startswith(MARK)


def weight_of(answer: Answer) -> float:
    """How much of a real answer an answer counts, in (0, 1]: 1 if it is one.

    Raises:
        AnswerError: If it is marked as a pseudo-label of no weight, or of a weight that only a real answer may have.
    """
    if not is_pseudo(answer):
        return 1.0
    _, _, text = answer.source.rpartition("@")
    try:
        weight = float(text)
    except ValueError:
        weight = np.nan
    if not 0.0 < weight < 1.0:
        raise AnswerError(
            f"the source {answer.source!r} names no weight between 0 and 1. Mark pseudo-labels as in pseudo:name@0.25."
        )
    return weight


def counts(answers: Iterable[Answer]) -> tuple[int, int]:
    """How many real answers and how many pseudo-labels there are: never one number."""
    marked = [is_pseudo(answer) for answer in answers]
    return len(marked) - sum(marked), sum(marked)


def held_out(
    answers: sparse.csr_matrix, given: int, rng: np.random.Generator
) -> list[tuple[IntArray, Array, IntArray, Array]]:
    """Of each user with more than ``given`` answers: that many drawn, items and values, and the others.

    Raises:
        DataError: If there is no such user.
    """
    parts = []
    for start, end in zip(answers.indptr[:-1], answers.indptr[1:], strict=True):
        if end - start > given:
            order = start + rng.permutation(end - start)
            shown, left = order[:given], order[given:]
            parts.append((answers.indices[shown], answers.data[shown], answers.indices[left], answers.data[left]))
    if not parts:
        raise DataError(f"no user has more than {given} answers to check predictions on. Give fewer, or more answers.")
    return parts
