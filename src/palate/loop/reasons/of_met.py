"""What a user met, and what they know, as parts of a list's score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.loop.list_scores import AGAIN, ListScores, log_know
from palate.loop.reasons.part import Evidence, Part
from palate.loop.reasons.reason import Kind
from palate.ranking.experts.content import NEW_ITEMS
from palate.ranking.list_model import EVER, FRIENDS, LATELY, LEVELS, SHRINKAGES
from palate.ranking.terms import Since

_KINDS = {EVER: Kind.POPULAR, LATELY: Kind.LATELY}
_CONTENT = ("words", "vectors")  # how the names of experts of content begin
_AVERAGED = 10_000  # items at most, whose mean stands for that of all


def met_parts(
    scores: ListScores, since: Since, shown: Positions, evidence: Sequence[Evidence], familiarity: float
) -> list[Part]:
    """M by its terms.

    Args:
        since: What people came to meet since the fit.
        evidence: All that the user did; what of the history is not in it is not told.
    """
    row_of = {one.items[0]: row for row, one in enumerate(evidence) if len(one.items) == 1}
    rows = np.array([row_of.get(item, -1) for item in scores.history.tolist()], dtype=np.intp)
    own = np.array([[item in one.items for item in shown.tolist()] for one in evidence], dtype=bool)
    own = own.reshape(len(evidence), len(shown))
    found, n_items = [], len(scores.model.catalogue)
    for term in scores.terms:
        mean = float(term.said.sum(dtype=np.float64)) / n_items
        lifts = scores.share_of(term, familiarity) * (term.at(shown).astype(np.float64) - mean)
        if term.name in LEVELS:
            level = term.at if term.name == LATELY else None
            found.append(Part(term.name, _KINDS[term.name], lifts, level=level))
            continue
        if term.name == FRIENDS:
            people = sum(
                (np.isin(shown, items).astype(np.intp) for items in scores.friends), np.zeros(len(shown), np.intp)
            )
            found.append(Part(term.name, Kind.FRIENDS, lifts, people=people))
            continue
        if term.name == AGAIN:
            days = _days_of(scores, shown)
            found.append(Part(AGAIN, Kind.AGAIN, np.minimum(days, 1).astype(np.float64), people=days))
            continue
        shares = np.zeros((len(evidence), len(shown)))
        shares[rows[rows >= 0]] = _of_history(scores, term.name, since, shown)[rows >= 0]
        shares[own] = 0.0  # what a user did is no reason for itself
        is_content = term.name == NEW_ITEMS or term.name.startswith(_CONTENT)
        found.append(Part(term.name, Kind.SAME_WORDS if is_content else Kind.TOGETHER, lifts, shares))
    return found


def _days_of(scores: ListScores, shown: Positions) -> NDArray[np.intp]:
    """On how many days the user did what may be done again, of each item shown, (k,)."""
    assert scores.again is not None
    days = dict(zip(scores.again.items.tolist(), scores.again.days.tolist(), strict=True))
    return np.array([days.get(item, 0) for item in shown.tolist()], dtype=np.intp)


def _of_history(scores: ListScores, name: str, since: Since, shown: Positions) -> Array:
    """What each item of the history adds to a term of each item shown, at least 0, (n, k); 0 where nobody knows."""
    model, new_items = scores.model.list_model, scores.model.new_items
    if not len(scores.history):
        return np.zeros((0, len(shown)))
    if name == NEW_ITEMS and new_items is not None:
        return np.array([new_items.shares(scores.history, int(item)) for item in shown]).T
    if model is None or not (name in SHRINKAGES or name in model.experts):
        return np.zeros((len(scores.history), len(shown)))
    return np.maximum(model.shares(name, scores.history, shown, since), 0.0)


def know_parts(scores: ListScores, shown: Positions, evidence: Sequence[Evidence], familiarity: float) -> list[Part]:
    """Log P(know), if it counts: how well known the items are, and what each thing that the user knows adds to that."""
    if not scores.known:
        return []
    model, state, share = scores.model, scores.state, scores.share_of(None, familiarity)
    start, some = model.answerability.start(), _some(len(model.catalogue))
    of_shown, of_some = (log_know(model, start, items) for items in (shown, some))
    lifts = (log_know(model, state.exposure, items) - base for items, base in ((shown, of_shown), (some, of_some)))
    lift, mean = lifts
    known = Part("know", Kind.KNOWN, share * (lift - mean.mean()), _known_by(scores, shown, evidence))
    return [Part(EVER, Kind.POPULAR, share * (of_shown - of_some.mean())), known]


def _known_by(scores: ListScores, shown: Positions, evidence: Sequence[Evidence]) -> Array:
    """Of each item what each thing adds to the belief of what the user knows, (n, k); 0 of what takes from it."""
    exposure, moves = scores.model.answerability, scores.state.moves
    met = len(evidence) - len(moves)
    items = np.array([one.items[0] for one in evidence[:met]], dtype=np.intp)
    weights = (1.0 - exposure.rate[items]) / exposure.noise[items]
    others = np.array([move.exposure for move in moves]).reshape(len(moves), exposure.loadings.shape[1])
    pulls = np.concatenate([exposure.loadings[items] * weights[:, None], others])
    added = np.maximum(pulls @ scores.state.exposure.covariance @ exposure.loadings[shown].T, 0.0)
    own = [[item in one.items for item in shown.tolist()] for one in evidence]
    added[np.array(own, dtype=bool).reshape(added.shape)] = 0.0
    return added  # none of it by itself: that people who know it know it says nothing


def _some(n_items: int) -> Positions:
    """Items evenly out of all."""
    return np.arange(0, n_items, max(1, n_items // _AVERAGED), dtype=np.intp)
