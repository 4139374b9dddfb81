"""What a user did and answered, and what each of that adds to what is believed of their taste and of what they know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import log_ndtr

from palate.arrays import Array, Positions
from palate.encoders.histories.events import History
from palate.encoders.histories.history import KINDS
from palate.entities import Answer, Form
from palate.loop.reasons.part import Evidence, Part
from palate.loop.reasons.phrases import ACTS
from palate.loop.reasons.reason import Kind
from palate.loop.state import UserState
from palate.model.model import Model

_CHOICES = {Form.GROUP: ("tap", "tap-none"), Form.SLATE: ("open", "open-none"), Form.PICK: ("best", "tap-none")}


def evidence_of(model: Model, state: UserState, history: History | None) -> list[Evidence]:
    """All that a user rated, in order, then what they did beside that, then what else they answered."""
    done, items = _done(history), zip(state.rated, state.values, strict=True)
    rated = [_rating(model, item, value, done.pop(item, "choose")) for item, value in items]
    beside = [Evidence((item,), what) for item, what in done.items()]
    return [*rated, *beside, *(_answer(model, move.answer) for move in state.moves)]


def _rating(model: Model, item: int, value: float, done: str) -> Evidence:
    likelihood = model.taste.likelihood
    if likelihood.events_only:
        return Evidence((item,), done if value > 0.0 else "turn-down", value, speaks_for=value > 0.0)
    liked = value >= model.scale.like
    if likelihood.is_binary:
        return Evidence((item,), "like" if liked else "dislike", value, speaks_for=liked)
    return Evidence((item,), "score", value, speaks_for=liked)


def _done(history: History | None) -> dict[int, str]:
    """By item what speaks for it most, of equal events the last; in the order of these."""
    strongest: dict[int, tuple[float, str]] = {}
    if history is not None:
        events = (history.items.tolist(), history.liking.tolist(), history.kinds.tolist())
        for item, liking, kind in zip(*events, strict=True):
            if liking > 0.0 and liking >= strongest.get(item, (0.0, ""))[0]:
                strongest.pop(item, None)
                strongest[item] = (liking, KINDS[kind] if KINDS[kind] in ACTS else "choose")
    return {item: what for item, (_, what) in strongest.items()}


def _answer(model: Model, answer: Answer) -> Evidence:
    """An answer that is no rating of an item."""
    yes = answer.value is not None and answer.value > 0.5
    position = model.catalogue.position
    if answer.form is Form.CONCEPT:
        return Evidence((), "yes" if yes else "no", name=answer.item_id, speaks_for=yes)
    if answer.form is Form.PAIR:
        first, second = map(position, answer.items)
        return Evidence((first, second) if yes else (second, first), "prefer")
    if answer.form is Form.PREVIEW:
        return Evidence((position(answer.item_id),), "promising" if yes else "unpromising", speaks_for=yes)
    if answer.form is Form.RECALL:
        return Evidence((position(answer.item_id),), "name")
    some, none = _CHOICES[answer.form]
    named = tuple(map(position, answer.tapped or answer.items))
    return Evidence(named, some if answer.tapped else none, speaks_for=bool(answer.tapped))


def pulls(model: Model, state: UserState) -> Array:
    """What each rating moves the taste by, in order, and then each other answer, (T, D).

    A rating ``S w_j (r_j − b_j) / σ_j²``; any other answer ``S`` times its change of the precision times the mean. With
    what the start says they sum to the taste, for likes nearly.

    Args:
        model: Under which the state was made.
    """
    rated, values = np.array(state.rated, dtype=np.intp), np.array(state.values)
    items, likelihood = model.taste.items, model.taste.likelihood
    noise = model.taste.answer_noise(rated, state.noise)
    along = likelihood.pull(values, items.level[rated], noise / likelihood.weight(values))
    along = along * state.weights if state.weights else along
    others = [move.taste for move in state.moves]
    moved = np.array(others).reshape(len(others), items.dim)
    return np.concatenate([items.factors[rated] * along[:, None], moved]) @ state.belief.covariance


def like_parts(
    model: Model, view: Model, state: UserState, shown: Positions, evidence: Sequence[Evidence]
) -> list[Part]:
    """Log P(like) to first order: what everybody says of the items, what the user's answers add, and who they are.

    Args:
        view: The model under which the state was made.
        evidence: As of :func:`evidence_of`.
    """
    items, (level, factors) = model.taste.items, model.average_item
    away, slope = items.factors[shown] - factors, _slope(model, state, shown)
    covariance, everybody = state.belief.covariance, model.taste.start.natural
    start = covariance @ (state.start.natural - everybody)
    of_answers, n, others = pulls(view, state) @ away.T * slope, len(state.rated), len(state.moves)
    shares = np.zeros((len(evidence), len(shown)))
    shares[:n], shares[len(evidence) - others :] = of_answers[:n], of_answers[n:]
    quality = items.level[shown] - level + away @ (covariance @ everybody)
    return [
        Part("quality", Kind.WELL_LIKED, slope * quality),
        Part("start", Kind.ABOUT_YOU, slope * (away @ start)),
        Part("taste", Kind.ANSWERS, shares.sum(0), shares),
    ]


def _slope(model: Model, state: UserState, shown: Positions) -> Array:
    """By how much log P(like) moves with the mean of an answer, (k,); 1 where the score is that mean itself."""
    items, belief = model.taste.items, state.belief
    if model.taste.likelihood.events_only:
        return np.ones(len(shown))
    factors = items.factors[shown]
    deviation = np.sqrt(belief.variance(factors) + items.answer_noise[shown])
    z = (model.taste.like_level(model.like_cut, shown) + belief.score(factors)) / deviation
    return np.asarray(np.exp(-0.5 * z**2 - log_ndtr(z)) / (np.sqrt(2.0 * np.pi) * deviation))
