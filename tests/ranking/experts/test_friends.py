from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.ranking.experts.friends import Friends, met_by_friends
from palate.ranking.fit_list import fit_list
from palate.ranking.held_back import Met, new_people
from palate.ranking.histories import Histories, evidence
from palate.ranking.list_model import EVER, FRIENDS
from tests.ranking.test_fit_list import a_world


def friends_of_groups(users: int, groups: int, rng: np.random.Generator) -> sparse.csr_array:
    """Six friends each, of the same group."""
    graph = np.zeros((users, users))
    for user in range(users):
        own = np.arange(user % groups, users, groups)
        graph[user, rng.choice(own[own != user], 6, replace=False)] = 1.0
    return sparse.csr_array(graph)


def befriended() -> Met:
    met = a_world(users=200)
    return replace(met, friends=friends_of_groups(met.n_users, 4, np.random.default_rng(1)))


def test_what_two_friends_met_counts_by_how_many_they_are() -> None:
    met = [np.array([0, 1]), np.array([0, 2, 3, 4]), np.array([0, 2])]
    places, scores = met_by_friends(met)
    assert dict(zip(places.tolist(), scores.tolist(), strict=True)) == {0: 3.0, 2: 2.0}  # one alone met 1, 3 and 4
    histories = replace(Histories.of([np.zeros(0, np.intp)], 6), friends=sparse.csr_array(np.ones((1, 3))))
    dense = np.zeros(6)
    dense[places] = scores
    assert Friends(Histories.of(met, 6).matrix()).evidence(histories)[0] == pytest.approx(evidence(dense[None])[0])


def test_without_friends_it_says_nothing() -> None:
    histories = Histories.of([np.array([0])], 3)
    assert not Friends(histories.matrix()).evidence(histories).any()
    assert met_by_friends([])[0].tolist() == []


def test_those_held_back_are_in_nothing_that_is_counted_of_friends() -> None:
    for task in new_people(befriended(), np.random.default_rng(0)):
        friends = task.histories.friends
        assert friends is not None and friends.shape == (len(task.histories), task.counted.n_users)
        counted = np.bincount(task.counted.users, minlength=task.counted.n_users)
        own = [place for place in range(len(task.histories)) if task.histories.sizes[place] == 0]
        assert (friends[own] @ (counted > 0)).any()  # of some of whom nothing is known there are friends who count


def test_friends_make_the_list_of_people_who_have_done_nothing() -> None:
    fitted = fit_list(befriended(), rng=np.random.default_rng(0))
    nothing, friends = np.zeros(0, dtype=np.intp), [np.array([24, 25, 26]), np.array([24, 25, 30])]
    assert fitted.weight_of_friends > 0.0
    terms = fitted.terms(nothing, friends=friends)
    assert [term.name for term in terms][1:] == [FRIENDS]
    total = sum(term.dense(fitted.n_items) for term in terms)
    assert set(np.argsort(-total)[:2].tolist()) == {24, 25}
    assert [term.name for term in fitted.terms(nothing)] == [terms[0].name]  # without friends it is the level


def test_friends_who_are_drawn_hardly_count() -> None:
    """A graph that says nothing gets no weight where something else is known."""
    met = a_world(users=200)
    drawn = sparse.random_array((met.n_users, met.n_users), density=0.02, rng=np.random.default_rng(2), format="csr")
    drawn.data[:] = 1.0
    fitted = fit_list(replace(met, friends=drawn), rng=np.random.default_rng(0))
    place, level = fitted.new.names.index(FRIENDS), fitted.new.names.index(EVER)
    assert fitted.new.of(0)[place] < 0.2 * max(fitted.new.of(0)[level], 1.0)
