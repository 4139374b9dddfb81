"""The first items of a list, out of all or, of a large catalogue, out of those that can be among them."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from palate.arrays import Array, Mask, Positions
from palate.loop.list_scores import ListScores
from palate.ranking.shortlist import Layout, Terms

LARGE = 50_000  # items from which not all are scored in double precision


def best_items(
    scores: ListScores, k: int, *, familiarity: float, is_open: Mask, is_new: Mask
) -> tuple[Positions, Array, float]:
    """Positions of the k best open items, best first, equal ones in the order of the catalogue; and their S.

    Args:
        is_open: Which may be in the list, (I,).
        is_new: Which are new to the user, (I,).
    Returns:
        Also the logarithm of the sum of exp S over all that is new, at familiarity 1: of a large catalogue from upper
        bounds, some percent too much at most where a taste is hardly known.
    """
    if k == 0 or not is_open.any():
        return np.zeros(0, dtype=np.intp), np.zeros(0), 0.0
    if len(is_open) >= LARGE and not scores.shift.any():  # the bounds know no content
        return _of_large(scores, k, familiarity, is_open, is_new)
    total = scores.total(familiarity)
    natural = total if familiarity == 1.0 else scores.total()
    items = np.flatnonzero(is_open)
    first = items[top(total[items], min(k, len(items)))]
    return first, total[first], float(logsumexp(natural[is_new])) if is_new.any() else 0.0


def top(score: Array, k: int) -> Positions:
    """Positions of the k largest, largest first, equal ones in their order."""
    if k == 0:
        return np.zeros(0, dtype=np.intp)
    edge = np.partition(score, len(score) - k)[len(score) - k]
    candidates = np.flatnonzero(score >= edge)
    return np.asarray(candidates[np.argsort(-score[candidates], kind="stable")][:k])


def _of_large(
    scores: ListScores, k: int, familiarity: float, is_open: Mask, is_new: Mask
) -> tuple[Positions, Array, float]:
    layout = scores.model.list_layout
    is_either = is_open if is_open is is_new else is_open | is_new
    bounds = layout.bounds(_terms(scores, familiarity, layout), is_either)
    moved = scores.model.taste.items.spread.places if scores.model.fitted is not None else None
    of_fit = is_open
    if moved is not None:  # the layout has them as the fit left them
        of_fit = is_open.copy()
        of_fit[moved] = False

    def exact(items: Positions) -> Array:
        return scores.total(familiarity, items)

    items, values = (bounds if of_fit is is_either else bounds.of(of_fit)).best(k, exact)
    if moved is not None:
        more = moved[is_open[moved]]
        items, values = np.concatenate([items, more]), np.concatenate([values, exact(more)])
        order = np.argsort(items)
        items, values = items[order], values[order]
    first = top(values, min(k, len(items)))
    natural = bounds if familiarity == 1.0 else layout.bounds(_terms(scores, 1.0, layout), is_new)
    natural = natural if is_new is is_either or familiarity != 1.0 else natural.of(is_new)
    return items[first], values[first], natural.log_total


def _terms(scores: ListScores, familiarity: float, layout: Layout) -> Terms:
    """What the scores are made of, as the pass reads it."""
    model, linear, evidence = scores.model, [], []
    few = np.zeros(len(model.catalogue), np.float32)
    for term in scores.terms:
        share = scores.share_of(term, familiarity)
        if term.places is not None:
            few[term.places] += np.float32(share) * term.said
        elif term.over_mean is None:
            linear.append((share * term.weight, term.values))
        else:
            evidence.append((share * term.weight, term.over_mean, term.values))
    share = scores.share_of(None, familiarity)
    if any(term.places is not None for term in scores.terms):
        linear.append((1.0, few))
    if scores.lifts:
        linear.append((-share, layout.columns["known"]))
    known = (share, scores.state.exposure) if scores.known else None
    if not model.taste.likelihood.events_only:
        return Terms(linear, evidence, known, scores.state.belief)
    if model.list_model is None:
        items = model.taste.items
        linear.append((1.0, (items.level + scores.state.belief.score(items.factors)).astype(np.float32)))
    return Terms(linear, evidence, known, None)
