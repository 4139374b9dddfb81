"""Three people whom a model never saw: what they like, what they are asked and say, how their list changes and why.

They are drawn by the seed, among those who like enough of the half of the catalogue that nothing is asked about. How
well the questions do for them plays no part, so they may be people for whom the questions did nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from palate.acquisition import DEFAULT
from palate.arrays import Array, Mask
from palate.entities import Answer
from palate.learner import Learner
from palate.loop.lists import Recommendation
from palate.model.model import Model
from palate.model.scale import Scale
from palate.model.spoken import as_shown
from palate.oracles import Simulated
from palate.random import derive_rng

PEOPLE = 3
QUESTIONS = 5  # to each
LENGTH = 10  # of a list
ENOUGH = 10  # liked items that a list can find, where three people have so many
_NAMED = 5  # of what somebody likes


def three_people(
    learner: Learner, users: Sequence[str], ratings: Array, askable: Mask, *, questions: int = QUESTIONS, seed: int
) -> dict[str, Any] | None:
    """Ask three of n people, whose answers are their ratings.

    Args:
        learner: Fitted without them.
        users: Their ids, (n,).
        ratings: Theirs, or 1 and -1 for what events say, (n, I), NaN where there is none.
        askable: The half of the catalogue that each can be asked about; lists are made of the other, (n, I).
        questions: To each.
        seed: Draws the people, and breaks ties among questions.
    Returns:
        ``rule`` (``seed``, ``least``: how many likes each of those has who were drawn from, ``of``: how many those are,
        ``among``: of so many, ``questions``) and ``people``. Each has ``user``, ``likes`` (up to five titles, best
        rated first), ``likes_found`` (how many there are for the list to find), ``turns`` (``item_id``, ``question``,
        ``answer``, ``known``), ``before`` and ``after``: the ten items of the list (``item_id``, ``title``, ``liked``
        and, of the latter, ``expected`` in words, ``reason``, and ``place_before``, None if it is new). None where
        nobody likes anything.
    """
    liked = (np.nan_to_num(ratings, nan=-np.inf) >= learner.model.scale.like) & ~askable
    counts = liked.sum(1)
    least = max(1, int(min(ENOUGH, np.sort(counts)[-PEOPLE:][0])))
    enough = np.flatnonzero(counts >= least)
    if not len(enough):
        return None
    drawn = derive_rng(seed, "three people").choice(enough, min(PEOPLE, len(enough)), replace=False)
    rule = {"seed": seed, "least": least, "of": len(enough), "among": len(users), "questions": questions}
    people = [_person(learner, users[row], ratings[row], askable[row], liked[row], questions, seed) for row in drawn]
    return {"rule": rule, "people": people}


def _person(
    learner: Learner, user: str, ratings: Array, askable: Mask, liked: Mask, questions: int, seed: int
) -> dict[str, Any]:
    catalogue = learner.model.catalogue
    ids = catalogue.ids
    may_ask, may_show = ([ids[item] for item in np.flatnonzero(half)] for half in (askable, ~askable))
    known = np.flatnonzero(askable & ~np.isnan(ratings))
    oracle = Simulated({user: {ids[item]: float(ratings[item]) for item in known}})
    likes = {ids[item] for item in np.flatnonzero(liked)}
    before = learner.recommend(user, k=LENGTH, allow=may_show)
    turns = []
    for turn in range(questions):
        rng = derive_rng(seed, "ask", user, str(turn))
        asked = learner.ask(user, strategy=DEFAULT, candidates=may_ask, rng=rng)
        for answer in oracle.answer(asked):
            learner = learner.tell(answer)
            turns.append(_turn(learner, answer))
    best = sorted(np.flatnonzero(liked), key=lambda item: (-ratings[item], -catalogue.counts[item]))
    after = learner.recommend(user, k=LENGTH, allow=may_show)
    places = {item.item_id: place for place, item in enumerate(before)}
    return {
        "user": user,
        "likes": [as_shown(catalogue.names[item]) for item in best[:_NAMED]],
        "likes_found": len(best),
        "turns": turns,
        "before": [_shown(item, likes) for item in before],
        "after": [
            _shown(item, likes)
            | {"expected": _expected(learner, item), "reason": item.reason, "place_before": places.get(item.item_id)}
            for item in after
        ],
    }


def _shown(item: Recommendation, likes: set[str]) -> dict[str, Any]:
    return {"item_id": item.item_id, "title": as_shown(item.title), "liked": item.item_id in likes}


def _expected(learner: Learner, item: Recommendation) -> str:
    """What is expected of the person, in words; empty where the data has events alone, whose strength says nothing."""
    taste, scale = learner.model.taste, learner.model.scale
    if taste.likelihood.events_only:
        return ""
    if taste.likelihood.is_binary:
        return f"liked with a chance of {item.score:.0%}"
    return f"expected {_on_scale(item.score, scale, '.1f')}"


def _on_scale(value: float, scale: Scale, form: str) -> str:
    """A rating as a person would say it: 4 of 5; of a scale that goes below 0 both ends are said."""
    if scale.low < 0:
        return f"{value:{form}} on {scale.low:g} to {scale.high:g}".replace("-", "−")
    return f"{value:{form}} of {scale.high:g}"


def _said(model: Model, value: float) -> str:
    likelihood = model.taste.likelihood
    return likelihood.in_words(value) if likelihood.words else _on_scale(value, model.scale, "g")


def _turn(learner: Learner, answer: Answer) -> dict[str, Any]:
    model = learner.model
    said = "don't know it" if answer.value is None else _said(model, answer.value)
    title = model.catalogue.names[model.catalogue.position(answer.item_id)]
    return {"item_id": answer.item_id, "question": as_shown(title), "answer": said, "known": answer.is_rating}
