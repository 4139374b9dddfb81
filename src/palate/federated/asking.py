"""The device chooses what to ask: it holds all items, so no server needs to choose or to know.

A question of the service tells whoever keeps its log what was asked, and some forms of question also tell what was
answered (docs/federated-research.md). Here the choice is made from the public model and the device's own answers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import get_strategy
from palate.acquisition.candidates import Candidates
from palate.acquisition.select import Choice, select
from palate.acquisition.strategy import Score, Strategy
from palate.arrays import Mask
from palate.federated import device
from palate.federated.device import DeviceAnswers
from palate.federated.public import PublicModel
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.population import Population
from palate.posteriors.taste import Taste


def taste_of(public: PublicModel) -> Taste:
    """The public model as the rest of Palate sees one: what privacy cost an item is part of its answers' variance."""
    noise = np.full(len(public), public.noise)
    items = Items(public.factors[:, 0], public.factors[:, 1:], Spread("diagonal", public.variances), noise)
    return Taste.build(items, Gaussian())


def believed(public: PublicModel, answers: DeviceAnswers) -> Belief:
    """The device's belief about its user (:func:`palate.federated.device.belief`), as strategies take it."""
    return Belief(*device.belief(public, answers))


def candidates_of(public: PublicModel) -> Candidates:
    """All items, known as often as the noisy counts say; of who answered what nothing is known."""
    taste, size = taste_of(public), len(public)
    population = Population(sparse.csr_matrix((0, size)), np.zeros(1), taste)
    everything = Candidates.of_all(
        population, np.zeros((size, 1)), targets=public.answer_rate / public.answer_rate.sum(), counts=public.counts
    )
    return replace(everything, known=public.answer_rate, shown_known=public.answer_rate, reach=public.answer_rate)


def ask(
    public: PublicModel,
    answers: DeviceAnswers,
    *,
    allowed: Mask | None = None,
    strategy: str | Strategy | Score = "a-optimal",
    k: int = 1,
    rng: np.random.Generator,
) -> list[Choice]:
    """Up to ``k`` questions, best first, chosen on the device.

    Args:
        answers: Of the device's user.
        allowed: Items that may be asked, (I,); None: all but those answered.
        strategy: One that looks at the belief alone; what is learnt from people's answers is not on a device.
    Raises:
        OptionError: As :func:`palate.acquisition.select.select`.
    """
    if allowed is None:
        allowed = np.ones(len(public), dtype=bool)
        allowed[answers.items] = False
    chosen = get_strategy(strategy)
    return select(chosen, believed(public, answers), candidates_of(public), k=k, allowed=allowed, rng=rng)
