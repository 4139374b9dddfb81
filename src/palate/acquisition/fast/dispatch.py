"""Which strategies a large catalogue is scored with in one pass (:mod:`palate.acquisition.fast.scorer`), and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.candidates import Candidates
from palate.acquisition.fast.moments import is_large, scorer_of
from palate.acquisition.fast.scorer import Aim, Kind, Scorer, Top
from palate.arrays import Array
from palate.posteriors.belief import Belief

_KINDS: dict[str, Kind] = {
    "variance": "variance",
    "bald": "bald",
    "a-optimal": "a-optimal",
    "a-optimal-relative": "a-optimal",
}


def fast_values(name: str, belief: Belief, candidates: Candidates) -> Array | None:
    """What :func:`palate.acquisition.select.values` gives, in one pass, (I,); None where a pass does not serve.

    It serves the strategies above, one belief, from FROM_ITEMS candidates on if they are all there are, and answers
    other than likes: of those, what is learnt depends on the mean as well. Values are right to 1e-4 of the largest.
    """
    request = _request(name, belief, candidates)
    if request is None:
        return None
    scores = request.scorer.score(request.kind, belief.covariance, aim=request.aim, weight=candidates.reach)
    return scores.astype(np.float64)


def fast_top(
    name: str,
    belief: Belief,
    candidates: Candidates,
    *,
    k: int = 1,
    allowed: NDArray[np.bool_] | None = None,
    rng: np.random.Generator,
) -> Top | None:
    """The ``k`` allowed candidates of the largest value, each as if it were the only one; None as above."""
    request = _request(name, belief, candidates)
    if request is None:
        return None
    return request.scorer.top(
        request.kind, belief.covariance, k=k, aim=request.aim, weight=candidates.reach, allowed=allowed, rng=rng
    )


@dataclass(frozen=True, slots=True)
class _Request:
    scorer: Scorer
    kind: Kind
    aim: Aim | None


def _request(name: str, belief: Belief, candidates: Candidates) -> _Request | None:
    if name not in _KINDS or belief.mean.ndim > 1 or not candidates.likelihood.is_linear:
        return None
    if not _is_large(candidates):
        return None
    scorer = scorer_of(candidates.population, candidates.likelihood)
    if name == "a-optimal":  # kept by the candidates, who are asked for it again
        return _Request(scorer, "a-optimal", Aim(candidates.target_moment()))
    if name == "a-optimal-relative":
        return _Request(scorer, "a-optimal", Aim(candidates.relative_moment(belief)))
    return _Request(scorer, _KINDS[name], None)


def _is_large(candidates: Candidates) -> bool:
    return candidates.items is candidates.population.taste.items and is_large(candidates.population, candidates.shown)
