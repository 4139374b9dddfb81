"""The bill of a strategy: what it says is what was played, for a name, an alias, an object and a function alike."""

from __future__ import annotations

import numpy as np
import pytest

from palate.acquisition import get_strategy
from palate.datasets.planted import planted_world
from palate.errors import OptionError
from palate.evaluation.bill import ITEMS, USERS, bill
from palate.evaluation.play import play
from palate.evaluation.shown_list import LIST
from palate.evaluation.world import users_world


def lines_of(strategy: object, questions: int = 3) -> list[str]:
    return bill(strategy, questions).splitlines()


def test_the_lines_are_what_was_played() -> None:
    data = planted_world(users=USERS, items=ITEMS, rng=np.random.default_rng(0)).dataset
    world = users_world(data, encoder="none", seed=0, max_users=USERS)
    played = play(world, get_strategy("variance"), pool="open", budget=3, rng=np.random.default_rng(0))
    error = np.sqrt(played.sums["rmse"].sum(0) / played.weights["rmse"].sum())
    lists = played.sums[LIST].sum(0) / played.weights[LIST].sum()
    asks, costs, list_gains, gains = lines_of("variance")
    assert costs == f"3 questions: 11 seconds, {played.answered[:, 3].sum() / 100:.1f} answers"
    assert list_gains.startswith(f"list: {lists[0]:.2f} before, {lists[3]:.2f} after, ")
    assert list_gains.endswith(lines_of("random")[2].split(", ")[1].replace(" after", " after as many at random"))
    assert gains.startswith(f"error: {error[0]:.2f} before, {error[3]:.2f} after, ")
    assert gains.endswith(lines_of("random")[3].split(", ")[1].replace(" after", " after as many at random"))
    assert world.learner is not None
    titles = world.learner.model.catalogue.names
    assert all(title in titles for title in asks.removeprefix("asks first: ").split(", "))


def test_a_strategy_is_billed_by_whatever_it_is_given_as() -> None:
    variance = get_strategy("variance")
    assert lines_of(variance) == lines_of(variance.score) == lines_of("variance")
    assert lines_of("mean-divergence") == lines_of("bald")
    assert lines_of(lambda belief, candidates, *, rng: -variance.score(belief, candidates, rng=rng)) != lines_of(
        "variance"
    )
    assert lines_of("variance", 1)[1].startswith("1 question: 4 seconds, ")


@pytest.mark.parametrize(("strategy", "questions"), [("zzz", 3), (3, 3), ("variance", 0)])
def test_what_cannot_be_billed(strategy: object, questions: int) -> None:
    with pytest.raises(OptionError):
        bill(strategy, questions)
