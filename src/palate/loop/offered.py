"""A model's catalogue as it is on offer to one user: what strategies and questions of all forms are given."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.questions.context import QuestionContext
from palate.arrays import Array, Mask
from palate.costs import Seconds
from palate.model.model import Model
from palate.posteriors.belief import Belief
from palate.posteriors.concepts import Concepts
from palate.posteriors.population import Given


def candidates_of(model: Model, exposure: Belief | None = None, given: Given | None = None) -> Candidates:
    """Everything in the catalogue, as a strategy sees it for a user of whom this exposure is believed.

    Args:
        exposure: What the user is believed to know; the population's if None.
        given: What they were asked so far; nothing if None.
    """
    exposure = exposure or model.answerability.start()
    everything = Candidates.of_all(
        model.population,
        model.catalogue.levels,
        targets=np.full(len(model.catalogue), 1.0 / max(len(model.catalogue), 1)),
        counts=model.catalogue.counts,
        like_cut=model.like_cut,
    )
    return everything.aimed(model.answerability, exposure, given or Given.nothing())


def context_of(
    model: Model,
    candidates: Candidates,
    belief: Belief,
    allowed: Mask,
    *,
    seconds: Seconds,
    concepts: Concepts,
    open_concepts: Mask,
    preview_reach: Array,
    recall: bool = False,
) -> QuestionContext:
    """What questions of all forms to n users are made of.

    Args:
        recall: Whether they may be asked to name one they like.
    """
    return QuestionContext(
        candidates=candidates,
        belief=belief,
        allowed=allowed,
        seconds=seconds,
        cut=model.like_cut,
        step=model.level_step,
        concepts=concepts,
        open_concepts=open_concepts,
        preview_noise=model.preview_noise,
        preview_reach=preview_reach,
        recall=model.recall_options if recall else None,
    )
