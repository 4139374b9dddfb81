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
    model, layout = scores.model, scores.model.list_layout
    # the layout has what has learnt since as the fit left it: those few are scored at once
    places = model.taste.items.spread.places if model.fitted is not None else None
    moved = np.zeros(0, dtype=np.intp) if places is None else places[(is_open | is_new)[places]]
    is_same = is_open is is_new
    allowed = is_open if is_same else is_open | is_new
    if len(moved):
        allowed = allowed.copy()
        allowed[moved] = False

    def exact(items: Positions) -> Array:
        return scores.total(familiarity, items)

    bounds = layout.bounds(_terms(scores, familiarity, layout), allowed)
    items, values = (bounds if is_same else bounds.of(is_open & allowed)).best(k, exact)
    natural = bounds if familiarity == 1.0 else layout.bounds(_terms(scores, 1.0, layout), allowed)
    total = (natural if is_same else natural.of(is_new & allowed)).log_total
    if len(moved):
        more, new = moved[is_open[moved]], moved[is_new[moved]]
        items, values = np.concatenate([items, more]), np.concatenate([values, exact(more)])
        order = np.argsort(items)
        items, values = items[order], values[order]
        total = float(logsumexp([total, *scores.total(items=new)]))
    first = top(values, min(k, len(items)))
    return items[first], values[first], total


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
    known = (share, scores.state.exposure) if scores.known else None
    if not model.taste.likelihood.events_only:
        return Terms(linear, evidence, known, scores.state.belief, scores.shift if scores.shift.any() else None)
    if model.list_model is None:
        items = model.taste.items
        linear.append((1.0, (items.level + scores.state.belief.score(items.factors)).astype(np.float32)))
    return Terms(linear, evidence, known, None)
