"""The bill of a strategy: what it asks new people first, what that costs them, and what it gains."""

from __future__ import annotations

from functools import cache

import numpy as np

from palate.acquisition import Strategy, get_strategy
from palate.acquisition.strategy import Score
from palate.costs import Seconds
from palate.datasets.planted import planted_world
from palate.errors.checks import count
from palate.evaluation.play import play
from palate.evaluation.shown_list import LIST
from palate.evaluation.world import World, users_world
from palate.learner import Learner

USERS, ITEMS = 400, 100  # a quarter of the users is new
FIRST = 2  # questions that are shown


def bill(strategy: str | Strategy | Score, questions: int = 5) -> str:
    """A few lines on what a strategy asks the 100 new people of a small planted world, and what comes of it.

    The same at each call. Anything may be asked, and what somebody does not know is asked in vain. A question takes the
    seconds of :class:`palate.costs.Seconds`; the list is judged by its NDCG@10 out of the half of the catalogue that
    nothing is asked about, the error by the RMSE of the ratings there.

    Args:
        strategy: A name, a strategy, or a function that scores.
        questions: To each person.
    Raises:
        OptionError: If the strategy is unknown, or there is no question.
    Example:
        >>> print(bill("popularity"))
        asks first: Quiet Love Letter, Last Croissant
        5 questions: 18 seconds, 3.5 answers
        list: 0.52 before, 0.60 after, 0.57 after as many at random
        error: 1.06 before, 0.89 after, 0.96 after as many at random
    """
    count(questions, "questions", least=1)
    world, learner = _world()
    chosen, rate = get_strategy(strategy), Seconds().rate
    first = learner.ask("somebody", k=FIRST, strategy=chosen, random_share=0.0, rng=np.random.default_rng(0))
    (answers, lists, errors), (_, random_lists, random_errors) = (
        _played(world, one, questions) for one in (chosen, get_strategy("random"))
    )
    return (
        f"asks first: {', '.join(question.title for question in first)}\n"
        f"{questions} question{'s' * (questions > 1)}: {questions * rate:.0f} seconds, {answers:.1f} answers\n"
        f"list: {lists[0]:.2f} before, {lists[1]:.2f} after, {random_lists[1]:.2f} after as many at random\n"
        f"error: {errors[0]:.2f} before, {errors[1]:.2f} after, {random_errors[1]:.2f} after as many at random"
    )


@cache
def _world() -> tuple[World, Learner]:
    data = planted_world(users=USERS, items=ITEMS, rng=np.random.default_rng(0)).dataset
    world = users_world(data, encoder="none", seed=0, max_users=USERS)
    assert world.learner is not None  # of new users there is one
    return world, world.learner


def _played(world: World, strategy: Strategy, questions: int) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Answers a person, NDCG@10 of the list before and after, and the error."""
    played = play(world, strategy, pool="open", budget=questions, rng=np.random.default_rng(0))
    lists, squares = (played.sums[name].sum(0) / played.weights[name].sum() for name in (LIST, "rmse"))
    errors = np.sqrt(squares)
    ends = (float(lists[0]), float(lists[-1])), (float(errors[0]), float(errors[-1]))
    return float(played.answered[:, -1].mean()), *ends
