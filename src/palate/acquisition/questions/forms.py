"""Questions of every form under one measure: what an answer is worth, per second of the user's time.

    value = chance of an answer × expected fall of Σ_j q_j Var(w_j · z) / seconds

An answer that sees ``f · z`` lowers that variance by ``fᵀ S Q S f × curvature``: the factors of an item, the difference
of two, the direction of a concept; the curvature is 1 / v for a rating and the Fisher information for a yes or no
(:func:`palate.posteriors.probit.expected_curvature`). Everything is for n users at once.

A-optimal design: Chaloner, Verdinelli, *Bayesian experimental design*, Statistical Science 10(3), 1995. Absolute and
relative questions side by side: Christakopoulou, Radlinski, Hofmann, KDD 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from palate.acquisition.questions.choices import pick, recall
from palate.acquisition.questions.context import Offers, QuestionContext, nothing, quadratic, the_best
from palate.acquisition.questions.groups import group, page
from palate.acquisition.questions.pairs import pair
from palate.arrays import Array, Mask, Positions
from palate.entities import Form
from palate.posteriors.concepts import Concepts
from palate.posteriors.probit import expected_curvature

MEASURE = "gain-per-second"  # what a question chosen here names as its strategy


def rate(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The item worth most when it is rated."""
    gain = setting.fall * setting.of_rating * setting.candidates.reach
    return _single(setting, Form.RATE, gain, setting.of_rating, setting.candidates.known, rng)


def preview(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The item worth most when the user says whether they would, having been shown what it is."""
    items, noise = setting.candidates.items, setting.candidates.noise + setting.preview_noise
    mean = items.level - setting.cut + setting.belief.score(items.factors)
    curvature = expected_curvature(mean, setting.variance, noise)
    gain = setting.fall * curvature * setting.preview_reach
    return _single(setting, Form.PREVIEW, gain, curvature, np.minimum(setting.preview_reach, 1.0), rng)


def concept(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The category worth most. Whoever has rated two items in it has a view of it."""
    concepts, belief = setting.concepts, setting.belief
    if not len(concepts):
        return nothing(setting, Form.CONCEPT)
    mean = concepts.level + belief.score(concepts.directions)
    variance = quadratic(concepts.directions, belief.covariance)
    curvature = expected_curvature(mean, variance, concepts.noise)
    chance = view_chance(concepts, setting.candidates.known)
    gain = quadratic(concepts.directions, setting.moved) * curvature * chance
    may, along = setting.open_concepts, concepts.directions.__getitem__
    picks, offer = the_best(setting, Form.CONCEPT, gain, may, chance, curvature, along, rng=rng)
    return replace(offer, concept=picks)


def view_chance(concepts: Concepts, known: Array) -> Array:
    """P(a user knows at least two items of a category), their number being Poisson, (n, C)."""
    expected = (concepts.inside.T @ known.T).T
    return np.asarray(1.0 - np.exp(-expected) * (1.0 + expected))


def _single(
    setting: QuestionContext, form: Form, gain: Array, curvature: Array, chance: Array, rng: np.random.Generator
) -> Offers:
    """The best single item of each user, from what each is worth, (n, I)."""
    if not gain.shape[1]:
        return nothing(setting, form)
    along = setting.candidates.items.factors.__getitem__
    picks, offer = the_best(setting, form, gain, setting.allowed, chance, curvature, along, rng=rng)
    return replace(offer, items=picks[:, None])


class Offer(Protocol):
    """Finds the best question of one form for each of n users."""

    def __call__(self, setting: QuestionContext, *, rng: np.random.Generator) -> Offers: ...


FORMS: dict[Form, Offer] = {
    Form.RATE: rate,
    Form.PAIR: pair,
    Form.GROUP: group,
    Form.PAGE: page,
    Form.CONCEPT: concept,
    Form.PREVIEW: preview,
    Form.RECALL: recall,
    Form.PICK: pick,
}


def offers(setting: QuestionContext, forms: Sequence[Form], *, rng: np.random.Generator) -> list[Offers]:
    """The best question of each form, for each user."""
    setting.candidates.likelihood.check_forms(forms)
    return [FORMS[form](setting, rng=rng) for form in forms]


def best_offer(found: Sequence[Offers], *, open_to: Mask | None = None) -> Positions:
    """Which of them is worth most per second, -1 where nothing can be asked, (n,).

    Args:
        open_to: Which offer may be made to whom, (n, forms); all if None.
    """
    value = np.stack([offer.value for offer in found], 1)
    value = value if open_to is None else np.where(open_to, value, -np.inf)
    return np.where(np.isfinite(value).any(1), value.argmax(1), -1)
