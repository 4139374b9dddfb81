"""Labels of a pool of which a promised share is right, for fewer labels by people than there are items.

In rounds. A machine learns from the labels so far. People get three quarters of a round of what it is least sure of,
and a quarter drawn at random from what is left; the random ones bound how much of the rest the machine has wrong
(:mod:`palate.oracles.audit`). It ends when that is little enough, and the machine labels the rest.

A promise about the agreement with people: what they say is taken to be right, and what they skip counts as wrong. No
time is looked at, so no clock can bend it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.entities import ITEM, Answer
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.entities.provenance import Provenance
from palate.errors import AnswerError, OptionError, UnknownItem
from palate.errors.checks import count, instance, normalise_id, number_of, several, shown
from palate.oracles.audit import Look, is_shown, most_wrong
from palate.oracles.pool_pseudo_labels import Predictor
from palate.random import derive_rng

IntArray = NDArray[np.intp]
START = 20  # labels of random items before the machine is asked for the first time, at least
ROUND = 0.05  # of the pool, in a round
RANDOM = 0.25  # of a round, drawn at random
FOLDS = 5  # in which the random ones are left out of what the machine learns from, to be labelled by it
DRAWN, LEAST_SURE = "drawn at random", "least sure"  # why an item was asked about
SHOWN, ALL, SPENT = "shown", "all labelled", "budget spent"  # why it ended


class People(Protocol):
    """Who labels attributes of items. Stability: Caller."""

    def answer(self, questions: Sequence[AttributeQuestion]) -> tuple[Answer, ...]:
        """One answer a question, in the same order; skipped where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """What people were given together.

    Attributes:
        chosen: Items of which the machine was least sure.
        drawn: Random ones of those left after that.
        fallen: Random ones of earlier rounds of which the machine, without them, was less sure than of a chosen one:
            were they not labelled, they would have been chosen here.
    """

    chosen: tuple[str, ...]
    drawn: tuple[str, ...]
    fallen: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[str, ...]:
        return self.chosen + self.drawn


@dataclass(frozen=True, slots=True)
class HonestLabels:
    """What came of it.

    Attributes:
        labels: One an item, in the order of the questions; ``source`` says who gave it.
        human_share: Of the items, labelled by people.
        error: Share of all labels that is wrong at most, with the probability that was asked for.
        is_shown: Whether that is as little as was asked for.
        cost: Of what people were paid, as their answers say.
        looks: What each round has brought.
        ended: Why.
    """

    labels: tuple[Answer, ...]
    human_share: float
    error: float
    is_shown: bool
    cost: float
    looks: tuple[Look, ...]
    ended: str


@dataclass(frozen=True, slots=True)
class Labelling:
    """A pool on the way. A value: :meth:`tell` gives the next one.

    Made by :meth:`start`; the attributes are what it goes on from (:mod:`palate.oracles.labelling_file`).

    Attributes:
        questions: One an item, all about one attribute.
        machine: From rows of labelled items and their options to the options and certainties of all.
        target: Share of labels to be right.
        doubt: Probability with which it may be missed.
        budget: Labels that people may be asked for; None: no limit.
        seed: Of all draws.
        answers: By item, the last one.
    """

    questions: tuple[AttributeQuestion, ...]
    machine: Predictor = field(repr=False)
    target: float = 0.9
    doubt: float = 0.1
    budget: int | None = None
    seed: int = 0
    rounds: tuple[Round, ...] = ()
    looks: tuple[Look, ...] = ()
    answers: Mapping[str, Answer] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    ended: str = ""

    @classmethod
    def start(
        cls,
        questions: Iterable[AttributeQuestion],
        machine: Predictor,
        *,
        target: float = 0.9,
        doubt: float = 0.1,
        budget: int | None = None,
        rng: np.random.Generator,
    ) -> Labelling:
        """Nothing labelled yet; the first round is drawn.

        Raises:
            OptionError: If there is no question, two are about one item or about two attributes, or a share is out of
                range.
        """
        given = tuple(several(questions, "questions", "[AttributeQuestion(...)]"))
        for one in given:
            instance(one, AttributeQuestion, "a question", "an AttributeQuestion(...)")
        items, attributes = [one.item_id for one in given], list(dict.fromkeys(one.attribute for one in given))
        if len(attributes) != 1:
            raise OptionError(f"the questions are about {len(attributes)} attributes. Give some about one.")
        if len(set(items)) < len(items):
            twice, n = Counter(items).most_common(1)[0]
            raise OptionError(f"{n} questions are about item {twice!r}. Ask about each once.")
        for name, share in (("target", target), ("doubt", doubt)):
            if not 0.0 < number_of(share) < 1.0:
                raise OptionError(f"{name} is {shown(share)}. Give a share between 0 and 1.")
        if budget is not None:
            budget = count(budget, "budget")
        if not callable(machine):
            raise OptionError(f"machine is {shown(machine)}. Give a function of rows and their options.")
        seed = int(instance(rng, np.random.Generator, "rng", "numpy.random.default_rng(seed)").integers(2**32))
        made = cls(given, machine, float(target), float(doubt), budget, seed)
        return made._planned()

    @property
    def attribute(self) -> ItemAttribute:
        return self.questions[0].attribute

    @property
    def open(self) -> tuple[AttributeQuestion, ...]:
        """Questions of this round that have no answer; none once it has ended."""
        if self.ended or not self.rounds:
            return ()
        *before, this = self.rounds
        place, rest = self._places(), len(self.questions) - sum(len(one.items) for one in before) - len(this.chosen)
        of = dict.fromkeys(this.chosen, (LEAST_SURE, 1.0))
        of |= {item: (DRAWN, len(this.drawn) / rest) for item in this.drawn}
        return tuple(
            replace(self.questions[place[item]], strategy=of[item][0], propensity=of[item][1])
            for item in this.items
            if item not in self.answers
        )

    def tell(self, answers: Answer | Iterable[Answer]) -> Labelling:
        """With answers to what was asked. A further one about an item corrects the one before, from here on.

        Raises:
            UnknownItem: If one is about an item that is not in the pool.
            AnswerError: If one is about another attribute, none of its options, or not about what was asked.
        """
        given = (answers,) if isinstance(answers, Answer) else several(answers, "answers", "[question.answer(...)]")
        self.check(given)
        after = replace(self, answers=MappingProxyType({**self.answers, **{one.item_id: one for one in given}}))
        return after if after.ended or after.open else after._advanced()

    def check(self, answers: Sequence[Answer]) -> None:
        """Whether these can be told; it raises what :meth:`tell` does."""
        asked, pool = {item for one in self.rounds for item in one.items}, self._places()
        for one in answers:
            self._check(one, asked, pool)

    def extended(self, budget: int | None) -> Labelling:
        """With another budget; one that had ended for want of it goes on.

        Raises:
            OptionError: If people were asked more often already.
        """
        asked = sum(len(one.items) for one in self.rounds)
        after = replace(self, budget=None if budget is None else count(budget, "budget"))
        if after.budget is not None and after.budget < asked:
            raise OptionError(f"the budget is {after.budget}, and people were asked {asked} times. Give that at least.")
        return after._planned() if self.ended == SPENT else after

    def result(self) -> HonestLabels:
        """The labels as they are now, and the bound by what is shown so far."""
        said, _ = self._said()
        place, n = self._places(), len(self.questions)
        by_people = {item: one for item, one in self.answers.items() if one.is_rating}
        labels = tuple(
            by_people.get(one.item_id)
            or one.answer(int(said[place[one.item_id]]), source="machine", of=Provenance("machine"))
            for one in self.questions
        )
        most = most_wrong(self.looks, of=n, doubt=self.doubt)
        error = min((most + self._skipped()) / n, 1.0)
        cost = sum(one.provenance.cost or 0.0 for one in self.answers.values())
        is_shown = error <= 1.0 - self.target + 1e-12
        return HonestLabels(labels, len(by_people) / n, error, is_shown, cost, self.looks, self.ended)

    # ---- one round after the other ----

    def _advanced(self) -> Labelling:
        """After a whole round: looked at, and ended or with a further round."""
        if not self.rounds:
            return self._planned()
        audited = self._without(self.standing)
        found = self._look([said == self._options()[item] for item, (said, _) in audited.items()])
        after = replace(self, looks=(*self.looks, found))
        if not found.left:
            return replace(after, ended=ALL)
        if is_shown(self._tolerated, after.looks, of=len(self.questions), doubt=self.doubt):
            return replace(after, ended=SHOWN)
        return after._planned({item: sure for item, (_, sure) in audited.items()})

    def _planned(self, sure: Mapping[str, float] | None = None) -> Labelling:
        """With a further round, or ended where there is nothing left to ask or to spend.

        Args:
            sure: How sure the machine is, without them, of the random ones that would still be left.
        """
        n = self._affordable()
        if not n:
            return replace(self, ended=ALL if len(self.answers) == len(self.questions) else SPENT)
        if not self.rounds:
            return replace(self, rounds=(self._first(n),))
        if sure is None:
            sure = {item: one for item, (_, one) in self._without(self.standing).items()}
        return replace(self, rounds=(*self.rounds, self._next(n, sure)), ended="")

    def _look(self, right: Sequence[bool]) -> Look:
        """What is shown now.

        Args:
            right: Of the random ones that would still be left, whether the machine, without them, labels them right.
        """
        this, n, people = self.rounds[-1], len(self.questions), len(self.answers)
        drawn = sum(self.answers[item].is_rating for item in this.drawn)
        among = n - (people - len(this.drawn))  # what was left after the least sure ones
        return Look(people, drawn, among, len(right) - sum(right), n - people)

    def _first(self, n: int) -> Round:
        drawn = self._rng("start").permutation(len(self.questions))[:n]
        return Round((), tuple(self.questions[place].item_id for place in drawn))

    def _next(self, n: int, sure: Mapping[str, float]) -> Round:
        """The least sure ones, then random ones of what is left."""
        rng = self._rng("round", str(len(self.rounds)))
        _, certainty = self._said()
        place = self._places()
        open_ = np.array([place[one.item_id] for one in self.questions if one.item_id not in self.answers])
        mixed = open_[rng.permutation(len(open_))]  # so that equal ones come by chance
        order = mixed[np.argsort(certainty[mixed], kind="stable")]
        n_drawn = max(round(RANDOM * n), 1)
        chosen, rest = order[: n - n_drawn], order[n - n_drawn :]
        drawn = rng.choice(rest, n_drawn, replace=False)
        limit = certainty[chosen[-1]] if len(chosen) else -math.inf
        fallen = tuple(item for item, one in sure.items() if one < limit)
        ids = [one.item_id for one in self.questions]
        return Round(tuple(ids[row] for row in chosen), tuple(ids[row] for row in drawn), fallen)

    # ---- what the machine says ----

    def _said(self, without: Iterable[str] = ()) -> tuple[IntArray, Array]:
        """Options and certainties of all items, by the machine that learnt from what people said."""
        left_out, place = set(without), self._places()
        rows, options = [], []
        for item, option in sorted(self._options().items(), key=lambda pair: place[pair[0]]):
            if item not in left_out:
                rows.append(place[item])
                options.append(option)
        if not rows:  # nobody has said anything: any option, and sure of none
            return np.zeros(len(self.questions), np.intp), np.full(len(self.questions), -np.inf)
        said, certainty = self.machine(np.array(rows, dtype=np.intp), np.array(options, dtype=np.intp))
        return np.asarray(said), np.asarray(certainty, dtype=np.float64)

    def _without(self, items: Sequence[str]) -> dict[str, tuple[int, float]]:
        """What the machine says of each of these, and how surely, having learnt nothing from it; in the same order."""
        place, found = self._places(), dict[str, tuple[int, float]]()
        order = self._rng("folds").permutation(len(items))
        for part in np.array_split(order, min(FOLDS, len(items))) if len(items) else ():
            few = [items[row] for row in part]
            options, certainty = self._said(few)
            found |= {item: (int(options[place[item]]), float(certainty[place[item]])) for item in few}
        return {item: found[item] for item in items}

    # ---- what is what ----

    @property
    def standing(self) -> list[str]:
        """Random ones with an answer that would still be left, in the order in which they were drawn."""
        fallen = {item for one in self.rounds for item in one.fallen}
        told = self._options()
        return [item for one in self.rounds for item in one.drawn if item in told and item not in fallen]

    def _options(self) -> dict[str, int]:
        """By item, the option that people gave it."""
        return {item: int(one.value) for item, one in self.answers.items() if one.value is not None}

    def _skipped(self) -> int:
        return sum(not one.is_rating for one in self.answers.values())

    @property
    def _tolerated(self) -> int:
        """Of those left so many may be wrong."""
        return math.floor((1.0 - self.target) * len(self.questions) + 1e-9) - self._skipped()

    def _affordable(self) -> int:
        """Of the next round, as many labels as the pool and the budget have left."""
        n, people = len(self.questions), len(self.answers)
        size = max(math.ceil(ROUND * n), START if not self.rounds else 1)
        return min(size, n - people, max((n if self.budget is None else self.budget) - people, 0))

    def _places(self) -> dict[str, int]:
        return {one.item_id: place for place, one in enumerate(self.questions)}

    def _rng(self, *names: str) -> np.random.Generator:
        return derive_rng(self.seed, "honest labels", *names)

    def _check(self, one: object, asked: Collection[str], pool: Collection[str]) -> None:
        answer = instance(one, Answer, "an answer", "question.answer(...)")
        if normalise_id(answer.item_id, ITEM) not in pool:
            raise UnknownItem(f"item {answer.item_id!r} is not among the {len(self.questions):,} to label.")
        if answer.item_id not in asked:
            raise AnswerError(f"nobody was asked about item {answer.item_id!r}. Answer what is open.")
        if answer.provenance.subject != self.attribute.name:
            subject = answer.provenance.subject
            raise AnswerError(f"the answer is about {subject!r}. Give some about {self.attribute.name!r}.")
        places = range(len(self.attribute.options))
        if answer.is_rating != (answer.value in places):
            raise AnswerError(f"the value {answer.value!r} is no option. Give a place from 0 to {places[-1]}.")


def honest_labels(
    questions: Iterable[AttributeQuestion],
    people: People,
    machine: Predictor,
    *,
    target: float = 0.9,
    doubt: float = 0.1,
    budget: int | None = None,
    rng: np.random.Generator,
) -> HonestLabels:
    """Labels for all items, of which with probability ``1 - doubt`` at least ``target`` are as people would say.

    Each question is put to people on its own, so none is paid for in vain;
    :func:`palate.oracles.labelling_file.kept` is the same with every answer on the disk at once, which goes on where it
    was ended.

    Args:
        questions: One an item, all about one attribute.
        people: Who answers.
        machine: :func:`palate.oracles.pool_pseudo_labels.logistic` on frozen features, or any other
            :data:`palate.oracles.pool_pseudo_labels.Predictor`.
        target: Share of labels to be right, in (0, 1).
        doubt: Probability with which that may be missed, in (0, 1).
        budget: Answers that people may be asked for; None: no limit. The result says what is shown where it ends first.
    Example:
        >>> from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
        >>> from palate.oracles.honest_labels import honest_labels
        >>> from palate.oracles.pool_pseudo_labels import logistic
        >>> from palate.oracles.recorded import Recorded
        >>> topic = ItemAttribute("topic", "What is it about?", ("sports", "food"))
        >>> features = np.random.default_rng(0).normal(size=(200, 4))
        >>> truth = {f"i{row}": int(one[0] > 0) for row, one in enumerate(features)}
        >>> pool = [AttributeQuestion(topic, item) for item in truth]
        >>> rng = np.random.default_rng(1)
        >>> found = honest_labels(pool, Recorded(truth), logistic(features, options=2), target=0.9, rng=rng)
        >>> found.is_shown, found.human_share < 0.5
        (True, True)
    """
    labelling = Labelling.start(questions, machine, target=target, doubt=doubt, budget=budget, rng=rng)
    while labelling.open:
        labelling = labelling.tell([one for asked in labelling.open for one in people.answer((asked,))])
    return labelling.result()
