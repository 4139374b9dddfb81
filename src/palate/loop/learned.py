"""Items learn between fits: what each user said of items since, and what the items are like after that.

What a user says of an item hangs on the model of the fit and on what that user told and did, and on nobody else. So the
sums over users are the same in any order, and an answer that is taken back leaves no trace
(:mod:`palate.posteriors.item_evidence`). Answers that are in the fit already say nothing more; one that no longer is
what the fit was told (:attr:`palate.model.model.Model.labels`) is taken out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from immutables import Map
from numpy.typing import NDArray

from palate.arrays import Array
from palate.entities import Answer, Form
from palate.loop.company import Company
from palate.loop.fade import until
from palate.loop.guard import check_sound
from palate.loop.past import Contents
from palate.loop.replay import begun, data_of, done_since, told, walked, what_counts, with_done
from palate.loop.source import Parts, Source, weighed
from palate.loop.state import UserState
from palate.model.counted import Counted, Rows, counted, weight_in
from palate.model.model import Model
from palate.posteriors.belief import Belief
from palate.posteriors.item_evidence import Learning, Said, Sums
from palate.posteriors.items import Spread
from palate.ranking.terms import Since

_AT_ONCE = 1_000  # answers whose sums are made together


class Change(NamedTuple):
    """What a user says of an item now, and what the fit was told in its place.

    Attributes:
        belief: About the user, before the answer.
        is_apart: Whether the user or the item is newer than the fit.
        noise: ν of the user.
    """

    item: int
    now: Rows
    fitted: Rows
    belief: Belief
    is_apart: bool
    noise: float

    def said(self) -> Iterator[Said]:
        for sign, rows in ((1.0, self.now), (-1.0, self.fitted)):
            for value, weight in rows:
                yield Said(self.item, value, sign * weight, self.belief, self.is_apart, self.noise)


def learning_of(model: Model) -> Learning:
    """How the items of a fit learn."""
    return Learning(model.taste.items, model.taste.likelihood, model.level_values)


def changes(model: Model, of: Source, *, to_end: bool = True) -> tuple[list[Change], UserState | None]:
    """What a user says otherwise than the fit was told, and the state under the model of the fit after all they told.

    Args:
        to_end: Whether the state is wanted; it is None otherwise.
    Raises:
        DataError: If a belief is not finite, or of no sound size.
    """
    standing = what_counts(model, of)
    done = done_since(model, of, standing)
    rows = _differing(model, of, standing, done)
    if not rows and not to_end:
        return [], None
    state = begun(model, of, standing, done)
    start, beliefs = state.belief, dict[int | None, Belief]()
    # to the end: what cannot be taken says nothing of its item
    state = walked(model, state, standing, lambda one, belief: beliefs.update({_item(model, one): belief}))
    new = [
        Change(item, *both, beliefs.get(item, start), of.row is None or not model.catalogue.counts[item], state.noise)
        for item, both in rows.items()
    ]
    after = with_done(model, state, done)
    check_sound((*beliefs.values(), after.belief, after.exposure))
    return new, after if to_end else None


def answered_more(
    model: Model, of: Source, state: UserState, before: Sequence[Answer]
) -> tuple[list[Change], UserState] | None:
    """What the answers after the first ones change, and the state after them.

    Args:
        state: After the first ones.
        before: The first ones.
    Returns:
        None where they are not the first, or one is to a question that had an answer, in the fit too: then a replay of
        all says more.
    Raises:
        DataError: If a belief is not finite, or of no sound size.
    """
    answers, n = of.answers, len(before)
    if answers[:n] != before or (of.seen and model.taste.likelihood.events_only):
        return None
    labels, found = model.labels.get(of.user_id), list[Change]()
    for place, answer in enumerate(answers[n:], n):
        item = model.catalogue.position(answer.item_id) if answer.form is Form.RATE else None
        if _is_among(answers[:place], answer) or item in state.asked or (labels and item is not None):
            return None
        found += _changes_of(model, of, state, answer)
        state = told(model, state, answer, weight_in(answer, of.weights))
        check_sound((state.belief, state.exposure))
    return found, state


def _is_among(answers: Sequence[Answer], one: Answer) -> bool:
    """Whether one of these is to the same question."""
    if not one.others:
        answers = [answer for answer in answers if answer.item_id == one.item_id]
    return any(answer.subject == one.subject for answer in answers)


def _changes_of(model: Model, of: Source, state: UserState, answer: Answer) -> list[Change]:
    """What one more answer changes, to a question that had none so far, in the fit neither."""
    (one,) = counted([answer], lambda _item: None, of.weights)
    item, rows = _item(model, one), one.rows(model.taste.likelihood)
    if item is None or not rows:
        return []
    is_apart = of.row is None or not model.catalogue.counts[item]
    state = until(model, state, answer.answered_at)
    return [Change(item, rows, (), state.belief, is_apart, state.noise)]


def _differing(
    model: Model, of: Source, standing: Sequence[Counted], done: Mapping[int, float]
) -> dict[int, tuple[Rows, Rows]]:
    """By item, what the user says now and what the fit was told, where that is not the same."""
    of_data = {item: ((value, 1.0),) for item, value in data_of(model, of.row).items()}
    said = {_item(model, one): one.rows(model.taste.likelihood) for one in standing if one.answer.form is Form.RATE}
    labels = model.labels.get(of.user_id, {})
    did = {**of_data, **{item: ((value, 1.0),) for item, value in done.items()}}
    rows: dict[int, tuple[Rows, Rows]] = {}
    for item in said.keys() | labels.keys() | done.keys():
        if item is not None:
            rows[item] = said.get(item, did.get(item, ())), labels.get(item, of_data.get(item, ()))
    return {item: (now, fitted) for item, (now, fitted) in rows.items() if now != fitted}


def _item(model: Model, one: Counted) -> int | None:
    return model.catalogue.position(one.answer.item_id) if one.answer.form is Form.RATE else None


def sums_of(learning: Learning, changed: Iterable[tuple[Change, int]]) -> dict[int, Sums]:
    """By item, what these changes say together, each as often as its number says: 1, or -1 to take it away."""
    totals: dict[int, Sums] = {}
    left = iter(changed)
    while some := list(islice(left, _AT_ONCE)):
        said = [(one, times) for change, times in some for one in change.said()]
        for (one, times), row in zip(said, learning.sums([one for one, _ in said]), strict=True):
            _add(totals, one.item, times * row)
        answers = [
            (change.item, sum(value for value, _ in rows) / len(rows), sign)
            for change, times in some
            for sign, rows in ((times, change.now), (-times, change.fitted))
            if rows and min(weight for _, weight in rows) >= 1.0  # it counts in whole
        ]
        codes = learning.codes(np.array([value for _, value, _ in answers]))
        for (item, _, sign), code in zip(answers, codes.tolist(), strict=True):
            totals[item][code] += sign
    return totals


def _add(totals: dict[int, Sums], item: int, row: Sums) -> None:
    totals[item] = totals[item] + row if item in totals else row


class Solved(NamedTuple):
    """Items that have learnt, ascending.

    Attributes:
        places: Positions, (k,).
        means: (k, A).
        spread: (k, ...), in the form that the model keeps.
        counts: Answers more, by level, (k, R).
    """

    places: NDArray[np.intp]
    means: Array
    spread: Array
    counts: Sums


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What the items have learnt from all users together.

    Attributes:
        folded: What was told that is in it; None: nothing is, not even that labels of the fit stand as they were.
        sums: Of each item of which anything was said.
        origin: Items solved before, and which have changed since.
        company: What users have come to meet together.
    """

    folded: Contents | None = None
    sums: Map[int, Sums] = field(default_factory=Map)
    origin: tuple[Solved | None, frozenset[int]] = (None, frozenset())
    company: Company = field(default_factory=Company)
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)  # a cache: solving gives the same

    def parts(self, user_id: str) -> Parts | None:
        """What a user told, did and is, as far as it is in it; None where nobody's is."""
        if self.folded is None:
            return None
        told, seen, known, weights = self.folded
        return weighed(told.get(user_id, ()), seen.get(user_id, ()), known.get(user_id, ()), weights)

    def with_sums(self, folded: Contents, more: Mapping[int, Sums], company: Company) -> Learnt:
        """With what users said since, after which this is what was told."""
        sums = self.sums.mutate()
        for item, row in more.items():
            total = sums[item] + row if item in sums else row
            if total.any():
                sums[item] = total
            elif item in sums:
                del sums[item]
        before, changed = (self._kept["solved"], frozenset()) if "solved" in self._kept else self.origin
        return Learnt(folded, sums.finish(), (before, changed | more.keys()), company)

    def holding(self, folded: Contents) -> Learnt:
        """The same, where what was told is kept elsewhere."""
        same = replace(self, folded=folded)
        same._kept.update(self._kept)
        return same

    @property
    def since(self) -> Since:
        """What users have come to meet, as a list counts it."""
        if "since" not in self._kept:
            self._kept["since"] = self.company.since
        found: Since = self._kept["since"]
        return found

    def model(self, fitted: Model) -> Model:
        """The model of the fit, with the items as they are now."""
        if "model" not in self._kept:
            self._kept["model"] = self._model(fitted) if self.sums else fitted
        model: Model = self._kept["model"]
        return model

    def _model(self, fitted: Model) -> Model:
        learning = learning_of(fitted)
        self._kept["solved"] = solved = self._solved(learning)
        spread = Spread(learning.items.spread.form, solved.spread)
        items = learning.items.moved(solved.places, solved.means, spread)
        return fitted.learnt(items, fitted.catalogue.counting(solved.places, solved.counts))

    def _solved(self, learning: Learning) -> Solved:
        before, changed = self.origin
        now = solve(learning, {item: self.sums[item] for item in sorted(changed) if item in self.sums})
        if before is None:
            return now
        kept = ~np.isin(before.places, list(changed))
        parts = [np.concatenate([old[kept], new]) for old, new in zip(before, now, strict=True)]
        order = np.argsort(parts[0])
        return Solved(*(part[order] for part in parts))


def solve(learning: Learning, sums: Mapping[int, Sums]) -> Solved:
    """Items after what they were told, by position, ascending."""
    places = np.array(list(sums), dtype=np.intp)
    told = np.stack(list(sums.values())) if sums else np.zeros((0, learning.width), dtype=np.int64)
    means, spread = learning.posterior(places, told)
    return Solved(places, means, spread.values, told[:, : len(learning.levels)])


@contextmanager
def as_others_say(model: Model, sums: Mapping[int, Sums]) -> Iterator[Model]:
    """The model of the fit, with some items as others than a user have taught them, while the block runs."""
    learning = learning_of(model)
    solved = solve(learning, dict(sorted(sums.items())))
    spread = Spread(learning.items.spread.form, solved.spread)
    with model.moved_items.moved(solved.places, solved.means, spread) as items:
        yield model.learnt(items, model.catalogue)
