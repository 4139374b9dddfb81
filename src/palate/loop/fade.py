"""What a user said fades as time passes (:mod:`palate.posteriors.forgetting`), so they are asked again."""

from __future__ import annotations

from dataclasses import replace

from palate.loop.state import UserState
from palate.model.model import Model
from palate.posteriors.forgetting import faded


def until(model: Model, state: UserState, at: float | None) -> UserState:
    """The state at a time; the same where that is unknown or not later, or the model forgets nothing.

    What somebody knows does not fade: who has met an item stays so.
    """
    if model.forgetting is None or at is None or (state.at is not None and at <= state.at):
        return state
    if state.at is None or state.belief is state.start:
        return replace(state, at=at)
    share = float(model.forgetting.share(at - state.at))
    return replace(
        state,
        belief=faded(state.belief, state.start, share),
        weights=tuple(share * weight for weight in state.weights),
        moves=tuple(replace(move, taste=share * move.taste) for move in state.moves),
        at=at,
    )
