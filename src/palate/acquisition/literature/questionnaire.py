"""A static questionnaire of relative questions, "A or B"."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_everybody
from palate.arrays import TINY, Array
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population

LENGTH = 40
WELL_KNOWN = 100


def relative_questions(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask a fixed list, of the pairs "A or B" that tell most of anybody.

    The earliest place of the item in that list (:func:`static_pairs`), counted from the end, (I,) or (n, I). The list
    is the same for everybody: it is the questionnaire of the source, here asked item by item. An item of no question
    has 0. Cost O(1) per candidate once the list stands.

    References:
        Sepliarskaya, Kiseleva, Radlinski, de Rijke, Preference elicitation as an optimization problem, RecSys 2018.
    """
    places = candidates.population.once("relative questions", _places)
    return for_everybody(places[candidates.columns], belief)


def static_pairs(population: Population, *, length: int = LENGTH, items: int = WELL_KNOWN) -> list[tuple[int, int]]:
    """The questions "A or B" that one after the other lower the expected squared error of a user's taste most.

    An answer is taken for ``(w_a - w_b) · z`` with the noise of both; after a question along x the error falls by
    ``‖S x‖² / (xᵀ S x + noise)``, S the covariance so far. Greedy, O(length · items² · D²).

    Args:
        length: At most so many questions; the list ends where no pair tells anything.
        items: Pairs are of so many most rated items: a user can compare only what both are known.
    Returns:
        Columns (a, b) of the population, a < b; no pair twice.
    """
    known = np.argsort(-population.counts, kind="stable")[:items]
    first, second = np.triu_indices(len(known), 1)
    a, b = np.minimum(known[first], known[second]), np.maximum(known[first], known[second])
    of_items = population.taste.items
    along = of_items.factors[a] - of_items.factors[b]
    noise = of_items.answer_noise[a] + of_items.answer_noise[b]
    covariance, pairs = population.taste.start.covariance, []
    free = np.ones(len(a), dtype=bool)
    for _ in range(length):
        moved = along @ covariance
        falls = (moved**2).sum(1) / np.maximum((moved * along).sum(1) + noise, TINY)
        if not (falls[free] > 0).any():
            break
        best = int(np.where(free, falls, -np.inf).argmax())
        pairs.append((int(a[best]), int(b[best])))
        free[best] = False
        covariance = covariance - np.outer(moved[best], moved[best]) / (moved[best] @ along[best] + noise[best])
    return pairs


def _places(population: Population) -> Array:
    """Of each item, (I,): 0 for one in no question."""
    pairs = static_pairs(population)
    scores = np.zeros(population.n_items)
    for place, pair in reversed(list(enumerate(pairs))):
        scores[list(pair)] = len(pairs) - place
    return scores
