"""How often people click nothing in a list they are shown, learnt from the lists told of so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palate.arrays import Positions
from palate.entities import Answer, AnswerKind, Form
from palate.model.model import Model
from palate.posteriors.answerability import known_chance
from palate.posteriors.belief import Belief
from palate.posteriors.choices import none_logit

LEAST_SLATES = 20  # from which their share without a click is trusted; of fewer a list without one says nothing


def learn_none_logit(model: Model, labels: Sequence[Answer]) -> float | None:
    """The logit of clicking nothing; None where there are too few lists, or all of them or none had a click.

    What each person likes and knows is what the fit makes of their ratings; of one without any, the population's.
    """
    slates = _slates(model, labels)
    nothing = sum(not answer.tapped for answer in slates)
    if len(slates) < LEAST_SLATES or nothing in (0, len(slates)):
        return None
    shown = _positions(model, slates)
    rows = np.array([model.rows.get(answer.user_id, -1) for answer in slates])
    fitted = model.answers[np.unique(rows[rows >= 0])]
    place = np.searchsorted(np.unique(rows[rows >= 0]), rows)
    tastes = np.broadcast_to(model.taste.start.mean, (len(rows), model.taste.items.dim)).copy()
    exposures = model.answerability.start(len(rows)).mean
    tastes[rows >= 0] = model.taste.believe(fitted).mean[place[rows >= 0]]
    exposures[rows >= 0] = model.answerability.believe(fitted).mean[place[rows >= 0]]
    known = known_chance(model.answerability, Belief(exposures[:, None, :], np.zeros((0, 0))), shown)
    return none_logit(model.taste.shown_options(shown, known=known), tastes, nothing / len(slates))


def _slates(model: Model, labels: Sequence[Answer]) -> list[Answer]:
    """Lists of which it was told what was clicked, of one told several times the last."""
    told = {
        (answer.user_id, answer.subject): answer
        for answer in labels
        if answer.form is Form.SLATE and all(item in model.catalogue for item in answer.items)
    }
    return [answer for answer in told.values() if answer.kind is AnswerKind.RATING]


def _positions(model: Model, slates: Sequence[Answer]) -> Positions:
    """Of the items of each, -1 where one is shorter, (n, m)."""
    shown = np.full((len(slates), max(len(answer.items) for answer in slates)), -1)
    for row, answer in zip(shown, slates, strict=True):
        row[: len(answer.items)] = model.catalogue.positions(answer.items)
    return shown
