"""Whether what people say has come to be told worse: of one user, and of all together.

Before each rating is told, the model says how likely it is; what it lacks to certainty is the loss, ``−log P`` in nats.
Of all together ADWIN reads them in order and tells when their mean has changed (Bifet, Gavaldà, *Learning from
time-changing data with adaptive windowing*, SDM 2007). One user says little: there it is the test of Page (*Continuous
inspection schemes*, Biometrika 41, 1954) and Hinkley, which notices a rise within a few answers. A rise is reported, a
fall is not: then the model has learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from palate.arrays import Array
from palate.entities import Answer, Form
from palate.errors import MissingExtra
from palate.loop.fade import until
from palate.loop.memory import Memory
from palate.loop.replay import begun, done_since, moved, what_counts
from palate.loop.state import UserState
from palate.model.model import Model

CONFIDENCE = 0.002  # δ of ADWIN: the chance of an alarm where nothing changes, about
_LEAST_CHANCE = 1e-6  # of an answer, so that one does not outweigh all others
FEWEST = 15  # answers of one user before anything is said of them
TOLERANCE = 0.1  # by how much the loss of one user may rise, in nats an answer
ALARM = 10.0  # nats beyond that, summed over answers, at which it is said


@dataclass(frozen=True, slots=True)
class Change:
    """Where the losses rose.

    Attributes:
        key: Of the answer at which it was noticed.
        at: When that was given, in seconds since the epoch; None where unknown.
        before, after: Mean loss before the rise, as far as it was looked back, and since, in nats.
        answers: How many were read.
    """

    key: str
    at: float | None
    before: float
    after: float
    answers: int


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed for the worse last.

    Attributes:
        overall: Of all users together; None where nothing did.
        users: Of those who drifted alone, by id.
        answers: Ratings that were read.
        loss: Their mean loss, in nats; NaN without any.
    """

    overall: Change | None
    users: Mapping[str, Change]
    answers: int
    loss: float


def drift(memory: Memory, answers: Sequence[Answer], *, confidence: float = CONFIDENCE) -> Drift:
    """What the losses of these answers say, the model being as the fit left it.

    Args:
        answers: In the order of the log; those that no longer count, and what is no rating, say nothing.
        confidence: δ of ADWIN, which reads all users together.
    Raises:
        MissingExtra: Without river.
    """
    order = {answer.key: place for place, answer in enumerate(answers)}
    read: list[tuple[int, Answer, float]] = []
    for user in dict.fromkeys(answer.user_id for answer in answers):
        read += [(order[one.key], one, loss) for one, loss in losses(memory, user) if one.key in order]
    read.sort(key=lambda row: row[0])
    all_of = [(answer, loss) for _, answer, loss in read]
    by_user: dict[str, list[tuple[Answer, float]]] = {}
    for answer, loss in all_of:
        by_user.setdefault(answer.user_id, []).append((answer, loss))
    found = {user: _of_one(rows) for user, rows in by_user.items()}
    users = {user: change for user, change in found.items() if change is not None}
    mean = float(np.mean([loss for _, loss in all_of])) if all_of else float("nan")
    return Drift(_of_all(all_of, confidence), users, len(all_of), mean)


class Foretold(NamedTuple):
    """A rating, and how well the model told it from what it knew before.

    Attributes:
        loss: ``−log P`` of the answer, in nats.
        error: Between the rating and what was expected, absolute, in the unit of the ratings.
        error_at_start: The same, had the user said nothing since the fit.
    """

    answer: Answer
    loss: float
    error: float
    error_at_start: float


def losses(memory: Memory, user_id: str) -> list[tuple[Answer, float]]:
    """The ratings that a user gave since the fit, in order, and the loss of each before it was told."""
    return [(one.answer, one.loss) for one in foretold(memory, user_id)]


def foretold(memory: Memory, user_id: str) -> list[Foretold]:
    """The ratings that a user gave since the fit, in order, each as the model told it before it was told."""
    model, of = memory.fitted, memory.source(user_id)
    standing = what_counts(model, of)
    state = start = begun(model, of, standing, done_since(model, of, standing))
    found = []
    for one in standing:
        state = until(model, state, one.answer.answered_at)
        if one.answer.form is Form.RATE and one.answer.value is not None and one.is_real:
            (chance, error), (_, at_start) = (_chance_and_error(model, known, one.answer) for known in (state, start))
            found.append(Foretold(one.answer, float(-np.log(max(chance, _LEAST_CHANCE))), error, at_start))
        state = moved(model, state, one)
    return found


def _chance_and_error(model: Model, state: UserState, answer: Answer) -> tuple[float, float]:
    item, value = np.array([model.catalogue.position(answer.item_id)]), float(answer.value or 0.0)
    items, levels = model.taste.items, model.level_values
    mean = items.level[item] + state.belief.score(items.factors[item])
    variance = state.belief.variance(items.factors[item]) + model.taste.answer_noise(item, state.noise)
    chances = model.taste.likelihood.level_chances(levels, mean, variance)[0]
    level = min(int(np.searchsorted(levels, value)), len(levels) - 1)
    return float(chances[level]), abs(float(chances @ levels) - value)


def _of_all(rows: Sequence[tuple[Answer, float]], confidence: float) -> Change | None:
    """The last rise in the losses of all together, by ADWIN."""
    window, risen, values = _detector("ADWIN", delta=confidence), None, np.array([loss for _, loss in rows])
    for place, (answer, loss) in enumerate(rows):
        start = place - int(window.width)
        window.update(loss)
        if window.drift_detected:
            before, after = _halves(values[start : place + 1])
            risen = Change(answer.key, answer.answered_at, before, after, len(rows)) if after > before else risen
    return risen


def _halves(values: Array) -> tuple[float, float]:
    """The means before and after the cut of a window at which they differ most for their number.

    ADWIN drops what is oldest until nothing differs any more, so its own window is no measure of either.
    """
    n, total = np.arange(1, len(values)), np.cumsum(values)
    before, after = total[:-1] / n, (total[-1] - total[:-1]) / n[::-1]
    cut = int((np.abs(after - before) * np.sqrt(n * n[::-1])).argmax())
    return float(before[cut]), float(after[cut])


class RateChange(NamedTuple):
    """That the share of a value has changed.

    Attributes:
        value: An option; None where values are numbers, of which it is the mean.
        place: Label at which it was noticed.
        before, after: Share, or mean, before the change, as far as it was looked back, and since.
    """

    value: float | None
    place: int
    before: float
    after: float


def rate_changes(values: Sequence[float], *, are_options: bool, confidence: float = CONFIDENCE) -> list[RateChange]:
    """Where the shares of values that come one by one, or their mean, have changed last, by ADWIN.

    Args:
        values: In order; of numbers those of one scale.
        are_options: Whether each value has a share of its own; otherwise their mean is read.
        confidence: δ of all together: the chance of an alarm where nothing changes, about.
    Raises:
        MissingExtra: Without river.
    """
    read, found = np.asarray(values, dtype=np.float64), list[RateChange]()
    options = np.unique(read).tolist() if are_options else [None]
    width = float(np.ptp(read)) if len(read) else 0.0
    for value in options if width else []:
        shares = (read == value).astype(np.float64) if value is not None else (read - read.min()) / width
        window, last = _detector("ADWIN", delta=confidence / len(options)), None
        for place, share in enumerate(shares.tolist()):
            start = place - int(window.width)
            window.update(share)
            if window.drift_detected:
                last = RateChange(value, place, *_halves((shares if value is not None else read)[start : place + 1]))
        found += [] if last is None else [last]
    return found


def _of_one(rows: Sequence[tuple[Answer, float]]) -> Change | None:
    """The last rise in the losses of one user, by the test of Page and Hinkley."""
    test = _detector("PageHinkley", delta=TOLERANCE, threshold=ALARM, min_instances=FEWEST, alpha=1.0, mode="up")
    risen, values, start = None, np.array([loss for _, loss in rows]), 0
    for place, (answer, loss) in enumerate(rows):
        test.update(loss)
        if test.drift_detected:
            read = values[start : place + 1]
            above = np.cumsum(read - np.cumsum(read) / np.arange(1, len(read) + 1) - TOLERANCE)
            cut = 1 + int(above[:-1].argmin())  # from where they have risen
            before, after = float(read[:cut].mean()), float(read[cut:].mean())
            risen, start = Change(answer.key, answer.answered_at, before, after, len(rows)), place + 1
    return risen


def _detector(name: str, **settings: Any) -> Any:
    try:
        from river import drift as detectors
    except ImportError as error:
        raise MissingExtra("river", "serve", "noticing drift") from error
    return getattr(detectors, name)(**settings)
