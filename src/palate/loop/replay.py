"""How an answer moves what is believed of a user: one function a form, and the replay of all.

Only what answers the question moves taste. "Don't know it" moves what the user is thought to know: of a pair, that one
of the two is not known; of a group, that none is. A preview and a concept say nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from palate.entities import Answer, AnswerKind, Form
from palate.loop.fade import until
from palate.loop.hear_choices import clicked, named, picked
from palate.loop.source import Source
from palate.loop.state import Move, UserState, fresh_state
from palate.model.counted import Counted, counted
from palate.model.model import Model
from palate.posteriors.answerability import compared, like_chance, not_named
from palate.posteriors.belief import Belief
from palate.posteriors.forgetting import faded
from palate.posteriors.taps import observe_taps


def told(model: Model, state: UserState, answer: Answer, weight: float = 1.0) -> UserState:
    """The state after one more answer, to a question that had none so far.

    One of less weight than 1 moves the belief as much less, and leaves its question open.
    """
    state = until(model, state, answer.answered_at)
    if answer.form is Form.RATE:
        return _rate(model, state, answer, weight)
    after = _HEAR[answer.form](model, state, answer)
    if weight < 1.0:
        after = replace(state, belief=faded(after.belief, state.belief, weight))
    if after.belief is state.belief and after.exposure is state.exposure:
        return after
    taste, exposure = (
        new.natural - old.natural for new, old in ((after.belief, state.belief), (after.exposure, state.exposure))
    )
    return replace(after, moves=(*after.moves, Move(answer, taste, exposure)))


def replay(model: Model, of: Source) -> UserState:
    """The state from the data and all answers told since, as far as they count (:func:`palate.model.counted.counted`),
    in the order of the last one to each question; and, where answers are events, from what the user did since.
    """
    standing = what_counts(model, of)
    done = done_since(model, of, standing)
    return with_done(model, walked(model, begun(model, of, standing, done), standing), done)


def walked(
    model: Model,
    state: UserState,
    standing: Sequence[Counted],
    before: Callable[[Counted, Belief], None] = lambda one, belief: None,
) -> UserState:
    """The state after what counts of each question, in their order.

    Args:
        before: Told what was believed of the taste before each.
    """
    for is_run, group in groupby(standing, lambda one: model.forgetting is None and _is_plain(one)):
        if is_run:
            state = _rate_each(model, state, list(group), before)
            continue
        for one in group:
            state = until(model, state, one.answer.answered_at)
            before(one, state.belief)
            state = moved(model, state, one)
    return state


def _is_plain(one: Counted) -> bool:
    """Whether it is one answer about an item that counts in whole."""
    return one.answer.form is Form.RATE and len(one.values) < 2 and one.is_real


def _rate_each(
    model: Model, state: UserState, some: Sequence[Counted], before: Callable[[Counted, Belief], None]
) -> UserState:
    """The state after answers about an item each: what :func:`_rate` makes of them one by one."""
    places = model.catalogue.positions([one.answer.item_id for one in some])
    told = [one.answer.kind is not AnswerKind.SKIPPED for one in some]
    known = [one.answer.kind is not AnswerKind.UNKNOWN for one in some]
    rated = [one.answer.value is not None for one in some]
    values = [model.scale.check(one.answer.value) for one in some if one.answer.value is not None]
    exposure = model.answerability.observe_each(state.exposure, places[told], np.array(known)[told])
    belief, items = state.belief, places[rated]
    after = model.taste.observe_each(belief, items, np.array(values), np.ones(len(values)), of_user=state.noise)
    for one, is_rated in zip(some, rated, strict=True):
        before(one, belief)
        belief = next(after) if is_rated else belief
    return replace(
        state,
        asked=state.asked.union(places.tolist()),
        exposure=exposure,
        belief=belief,
        rated=(*state.rated, *items.tolist()),
        values=(*state.values, *values),
    )


def begun(model: Model, of: Source, standing: Sequence[Counted], done: Mapping[int, float]) -> UserState:
    """The state before these answers and events: without what the data says in their place."""
    given = {model.catalogue.position(one.answer.item_id) for one in standing if one.answer.form is Form.RATE}
    return fresh_state(model, of.row, of.history, of.known, frozenset(given | done.keys()))


def done_since(model: Model, of: Source, standing: Sequence[Counted]) -> dict[int, float]:
    """The events since that a fit would take as answers, by item: the strongest, of equal ones the last.

    None where answers are ratings, and none of an item that the user gave an answer about.
    """
    if not model.taste.likelihood.events_only or not of.seen:
        return {}
    given = {one.answer.item_id for one in standing if one.answer.form is Form.RATE}
    strongest, done = data_of(model, of.row), dict[int, float]()
    for event in of.seen:
        item = model.catalogue.position(event.item_id)
        value = (event.liking or 0.0) * model.vocabulary.strength(event.kind)
        if value and event.item_id not in given and abs(value) >= abs(strongest.get(item, 0.0)):
            strongest[item] = done[item] = value
    return done


def data_of(model: Model, row: int | None) -> dict[int, float]:
    """What a user of the data said there, by item."""
    if row is None:
        return {}
    entries = slice(*model.answers.indptr[row : row + 2])
    return dict(zip(model.answers.indices[entries].tolist(), model.answers.data[entries].tolist(), strict=True))


def with_done(model: Model, state: UserState, done: Mapping[int, float]) -> UserState:
    """The state after events that are answers; who did something need not be asked about it, nor shown it."""
    belief = state.belief
    for item, value in done.items():
        belief = model.taste.observe(belief, item, value)
    rated, values = (*state.rated, *done), (*state.values, *done.values())
    return replace(state, belief=belief, rated=rated, values=values, asked=state.asked | done.keys())


def moved(model: Model, state: UserState, one: Counted) -> UserState:
    """The state after what counts of one question."""
    return told(model, state, one.answer, one.weight) if len(one.values) < 2 else _several(model, state, one)


def what_counts(model: Model, of: Source) -> list[Counted]:
    """What counts of the answers that a user told since the fit."""
    of_data = data_of(model, of.row)
    return counted(
        of.answers, lambda item: of_data.get(model.catalogue.position(item)) if of_data else None, of.weights
    )


def _several(model: Model, state: UserState, one: Counted) -> UserState:
    """Ratings of one item, as one."""
    state = until(model, state, one.answer.answered_at)
    belief = model.taste.observe_again(
        state.belief, model.catalogue.position(one.answer.item_id), one.values, of_user=state.noise
    )
    state = replace(_rate(model, state, one.answer), belief=belief)
    return replace(state, values=(*state.values[:-1], float(np.mean(one.values))))


def _rate(model: Model, state: UserState, answer: Answer, weight: float = 1.0) -> UserState:
    item = model.catalogue.position(answer.item_id)
    if weight < 1.0:
        if answer.value is None:
            return state
        value = model.scale.check(answer.value)
        return replace(state, belief=model.taste.observe(state.belief, item, value, weight, of_user=state.noise))
    asked = state.asked | {item}
    if answer.kind is AnswerKind.SKIPPED:  # says nothing, not even that the item is unknown
        return replace(state, asked=asked)
    exposure = model.answerability.observe(state.exposure, item, answer.kind is not AnswerKind.UNKNOWN)
    if answer.value is None:
        return replace(state, asked=asked, exposure=exposure)
    belief = model.taste.observe(state.belief, item, model.scale.check(answer.value), of_user=state.noise)
    weights = state.weights if model.forgetting is None else (*state.weights, 1.0)
    rated, values = (*state.rated, item), (*state.values, answer.value)
    return replace(state, asked=asked, exposure=exposure, belief=belief, rated=rated, values=values, weights=weights)


def _preview(model: Model, state: UserState, answer: Answer) -> UserState:
    item = model.catalogue.position(answer.item_id)
    state = replace(state, posed=state.posed | {item})
    if answer.value is None:
        return state
    noise = model.preview_noise
    return replace(
        state,
        belief=model.taste.observe_like(state.belief, item, answer.value, cut=model.like_cut, noise=noise),
    )


def _concept(model: Model, state: UserState, answer: Answer) -> UserState:
    state = replace(state, concepts=state.concepts | {answer.item_id})
    if answer.value is None:
        return state
    concept = model.concept(answer.item_id)
    belief = state.belief.update_probit(concept.direction, concept.level, np.asarray(answer.value), concept.noise)
    return replace(state, belief=belief)


def _pair(model: Model, state: UserState, answer: Answer) -> UserState:
    first, second = map(model.catalogue.position, answer.items)
    state = replace(state, posed=state.posed | {first, second})
    if answer.kind is AnswerKind.SKIPPED:
        return state
    known = answer.kind is not AnswerKind.UNKNOWN
    state = replace(state, exposure=compared(model.answerability, state.exposure, first, second, known))
    if answer.value is None:
        return state
    return replace(state, belief=model.taste.observe_pair(state.belief, first, second, answer.value))


def _group(model: Model, state: UserState, answer: Answer) -> UserState:
    items = [model.catalogue.position(item) for item in answer.items]
    tapped = {model.catalogue.position(item) for item in answer.tapped}
    state = replace(state, posed=state.posed | set(items), asked=state.asked | tapped)
    if answer.kind is AnswerKind.UNKNOWN:
        exposure = state.exposure
        for item in items:
            exposure = model.answerability.observe(exposure, item, False)
        return replace(state, exposure=exposure)
    if answer.value is None:
        return state
    if model.taste.likelihood.events_only:
        return _chosen(model, state, items, tapped)
    belief = observe_taps(
        model.taste,
        model.answerability,
        state.belief,
        state.exposure,
        np.array(items),
        np.array([item in tapped for item in items]),
        cut=model.like_cut,
    )
    return replace(state, exposure=_named(model, state, items, tapped), belief=belief)


def _named(model: Model, state: UserState, items: list[int], tapped: set[int]) -> Belief:
    exposure = state.exposure
    for item in items:
        if item in tapped:
            exposure = model.answerability.observe(exposure, item, True)
        else:
            liked = like_chance(model.taste, state.belief, item, model.like_cut)
            exposure = not_named(model.answerability, exposure, item, liked)
    return exposure


def _chosen(model: Model, state: UserState, items: list[int], tapped: set[int]) -> UserState:
    """Where the model knows events, a tap is one; what is not tapped stays the weak zero that it was."""
    for item in items:
        state = replace(state, exposure=model.answerability.observe(state.exposure, item, item in tapped))
        if item in tapped:
            belief = model.taste.observe(state.belief, item, model.scale.high)
            state = replace(state, belief=belief)
    return state


_HEAR: dict[Form, Callable[[Model, UserState, Answer], UserState]] = {
    Form.PREVIEW: _preview,
    Form.CONCEPT: _concept,
    Form.PAIR: _pair,
    Form.GROUP: _group,
    Form.RECALL: named,
    Form.PICK: picked,
    Form.SLATE: clicked,
}
