"""Which strategies a large catalogue is scored with in one pass (:mod:`palate.acquisition.fast.scorer`), and how."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.fast.moments import is_large, scorer_of
from palate.acquisition.fast.scorer import Aim, Kind
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
    is_whole = candidates.items is candidates.population.taste.items
    if name not in _KINDS or belief.mean.ndim > 1 or not candidates.likelihood.is_linear or not is_whole:
        return None
    if not is_large(candidates.population, candidates.shown):
        return None
    aim = None
    if name == "a-optimal":  # kept by the candidates, who are asked for it again
        aim = Aim(candidates.target_moment())
    elif name == "a-optimal-relative":
        aim = Aim(candidates.relative_moment(belief))
    scorer = scorer_of(candidates.population, candidates.likelihood)
    return scorer.score(_KINDS[name], belief.covariance, aim=aim, weight=candidates.reach).astype(np.float64)
