"""How a choice moves what is believed of a user: an item named from memory, the best of a few, clicks on a list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.entities import Answer, AnswerKind
from palate.loop.state import UserState
from palate.model.model import Model
from palate.posteriors.answerability import known_chance
from palate.posteriors.belief import Belief

MOST_NAMINGS = 3  # asked of one user: names cannot tell how kind somebody is, and the level drifts as they add up


def named(model: Model, state: UserState, answer: Answer) -> UserState:
    """What somebody names that they like is picked out of everything, and known to them.

    Whoever names nothing when asked is not asked again.
    """
    if not answer.is_rating:
        return replace(state, namings=MOST_NAMINGS)
    item = model.catalogue.position(answer.item_id)
    return replace(
        state,
        belief=model.taste.observe_choice(state.belief, model.recall_options, item),
        exposure=model.answerability.observe(state.exposure, item, True),
        asked=state.asked | {item},
        named=(*state.named, item),
        namings=state.namings + 1,
    )


def picked(model: Model, state: UserState, answer: Answer) -> UserState:
    """The best of those shown is known to the user; of the others nothing is said but that they are liked less.

    The best is not asked about again; without one, none of those shown is.
    """
    items = model.catalogue.positions(answer.items)
    if not answer.is_rating:
        exposure = state.exposure
        for item in items if answer.kind is AnswerKind.UNKNOWN else ():
            exposure = model.answerability.observe(exposure, item, False)
        return replace(state, posed=state.posed | set(items.tolist()), exposure=exposure)
    best = model.catalogue.position(answer.tapped[0])
    return replace(
        state,
        belief=model.taste.observe_choice(state.belief, model.taste.shown_options(items), best),
        exposure=model.answerability.observe(state.exposure, best, True),
        posed=state.posed | {best},
    )


def clicked(model: Model, state: UserState, answer: Answer) -> UserState:
    """Each click is a choice out of what was left of the list, of what the user may know.

    That nothing was clicked tells of taste where the model knows how often people click nothing.
    """
    if not answer.is_rating:
        return state
    left = model.catalogue.positions(answer.items)
    belief, exposure, none = state.belief, state.exposure, model.none_logit
    clicks = model.catalogue.positions(answer.tapped)
    for item in clicks:
        belief = _out_of(model, belief, exposure, left, int(item), none)
        left = left[left != item]
    if not len(clicks) and none is not None:
        belief = _out_of(model, belief, exposure, left, -1, none)
    for item in clicks:
        exposure = model.answerability.observe(exposure, item, True)
    return replace(state, belief=belief, exposure=exposure, posed=state.posed | set(clicks.tolist()))


def _out_of(model: Model, belief: Belief, exposure: Belief, left: np.ndarray, item: int, none: float | None) -> Belief:
    known = known_chance(model.answerability, exposure, left)
    return model.taste.observe_choice(belief, model.taste.shown_options(left, known=known, none=none), item)
