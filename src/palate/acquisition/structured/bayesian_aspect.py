"""Expected entropy of a user's aspects, averaged over what is believed of them."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.structured.aspects import entropy_fall, fit_aspects, posterior
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief


def bayesian_aspect(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Expected fall of the cross-entropy between the true and the believed mixture of aspects, nats.

    The user's mixture θ has a Dirichlet posterior of parameters α, sum A, mean m. Averaged over it,
    ``Σ_r E[P(r | i, θ) Σ_z θ_z log (m'_rz / m_z)]``, m'_r the mean once the answer is r. The source draws models from
    the posterior; the average has a closed form: by the Dirichlet's second moments ``E[θ_z P(r | i, θ)] = P(r | i, m)
    m'_rz`` with ``m'_r = (A m + γ_r) / (A + 1)``, so this is ``Σ_r P(r | i, m) KL(m'_r ‖ m)``, which equals the
    expected fall of the entropy of the mean. A hesitant posterior (small A) thus moves, a firm one stays. Cost O(R K)
    per candidate; the aspects are fitted once.

    Jin, Si, *A Bayesian approach toward active learning for collaborative filtering*, UAI 2004.
    """
    aspects = candidates.population.once("aspects", fit_aspects)

    def score(one: Candidates) -> Array:
        counts = posterior(aspects, one.given, one.population.level_values)
        total = float(counts.sum())
        return entropy_fall(aspects.table[one.columns], counts / total, total)

    return for_each(belief, candidates, lambda _, one: score(one))
