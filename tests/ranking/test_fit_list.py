from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad

from palate.arrays import Array
from palate.ranking.cases import Cases
from palate.ranking.experts.company import Company, Pairs
from palate.ranking.experts.ease import fit_ease
from palate.ranking.experts.levels import Level, popularity
from palate.ranking.fit_list import WALK, fit_list, log_of
from palate.ranking.held_back import Met, new_people
from palate.ranking.histories import Histories
from palate.ranking.list_model import EVER, LATELY, ListModel
from palate.ranking.weights import NEW, basis, fit_weights, polish
from tests.ranking.test_held_back import a_log


def a_world(*, dated: bool = True, users: int = 300, groups: int = 4, seed: int = 0) -> Met:
    """People of groups, each with its own items, some of which everybody meets."""
    rng, n_items = np.random.default_rng(seed), groups * 12
    rows, items = [], []
    for user in range(users):
        own = 12 * (user % groups) + rng.choice(12, 7, replace=False)
        met = np.unique(np.concatenate([own, rng.choice(n_items, 2)]))
        rows += [user] * len(met)
        items += rng.permutation(met).tolist()
    times = np.arange(len(rows)) * 3600.0 if dated else np.full(len(rows), np.nan)
    return Met.of(np.array(rows), np.array(items), np.ones(len(rows), bool), np.ones(len(rows)), times,
                  (users, n_items))  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> ListModel:
    return fit_list(a_world(), rng=np.random.default_rng(0))


def test_of_whom_nothing_is_known_the_list_is_the_level(fitted: ListModel) -> None:
    parts = fitted.parts(np.zeros(0, dtype=np.intp))
    assert parts.names in ((EVER,), (LATELY,))
    level = fitted.levels[parts.names[0]]
    assert np.array_equal(np.argsort(-parts.total, kind="stable"), np.argsort(-level.astype(np.float32), kind="stable"))


def test_what_others_met_who_met_the_same_comes_first(fitted: ListModel) -> None:
    for group in range(4):
        own = 12 * group + np.arange(12)
        total = fitted.parts(own[:3]).total
        total[own[:3]] = -np.inf
        assert np.isin(np.argsort(-total)[:6], own).all()


def test_weights_are_finite_and_not_below_zero(fitted: ListModel) -> None:
    for weights in (fitted.new, fitted.known):
        assert np.isfinite(weights.values).all()
        assert (weights.values >= 0.0).all()


def test_one_seed_gives_one_list(fitted: ListModel) -> None:
    again = fit_list(a_world(), rng=np.random.default_rng(0))
    assert np.array_equal(again.new.values, fitted.new.values)
    assert np.array_equal(again.parts(np.array([3, 5])).values, fitted.parts(np.array([3, 5])).values)


def test_renumbering_items_changes_no_order() -> None:
    met = a_world(dated=False)
    turn = np.random.default_rng(1).permutation(met.n_items)
    parts = []
    for one in (met, replace(met, items=turn[met.items])):
        log = log_of(one)
        pairs = Pairs.of(log, one.n_users, one.n_items)
        history = Histories.of([np.array([0, 1, 2]) if one is met else turn[[0, 1, 2]]], one.n_items)
        said = [Level(popularity(log, one.n_items).astype(np.float32)), Company(pairs.cosine(10.0)),
                fit_ease(log, one.n_users, one.n_items, 100.0)]  # fmt: skip
        parts.append(np.stack([expert.evidence(history)[0] for expert in said]))
    assert parts[0] == pytest.approx(parts[1][:, turn], abs=1e-4)


@pytest.mark.parametrize(
    "met",
    [
        a_log(2, 1, 1, dated=False),
        a_log(1, 3, 2, dated=True),
        a_log(50, 1, 1, dated=True),
        a_log(60, 8, 8, dated=False),  # everybody met everything
        replace(a_log(100, 20, 5, dated=True), timestamps=np.full(500, 3.0)),  # all at once
    ],
    ids=["two people", "one", "one item", "everything", "one time"],
)
def test_a_list_of_hardly_anything(met: Met) -> None:
    fitted = fit_list(met, rng=np.random.default_rng(0))
    for history in (np.zeros(0, dtype=np.intp), met.items[:1].astype(np.intp), np.arange(met.n_items)):
        for known in (False, True):
            total = fitted.parts(history, known=known).total
            assert np.isfinite(total).all()
            chance = fitted.chance(total, len(history), known=known)
            assert ((chance >= 0.0) & (chance <= 1.0)).all()


def some_cases(extra: int = 0) -> list[Cases]:
    folds = []
    for task in new_people(a_world(users=400), np.random.default_rng(0)):
        log, rng = log_of(task.counted), np.random.default_rng(3)
        experts: list[object] = [
            Level(popularity(log, task.counted.n_items).astype(np.float32)),
            Company(Pairs.of(log, task.counted.n_users, task.counted.n_items).cosine(10.0)),
            *(_Noise(rng.integers(2**31)) for _ in range(extra)),
        ]
        folds.append(Cases.of(task, experts, None, rng))  # type: ignore[arg-type]
    return folds


class _Noise:
    """An expert that knows nothing."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def evidence(self, histories: Histories) -> Array:
        rng = np.random.default_rng([self._seed, len(histories), *histories.items[:3].tolist()])
        return rng.exponential(size=(len(histories), histories.n_items)).astype(np.float32)


def test_the_gradient_is_that_of_the_loss() -> None:
    cases = some_cases()[0]
    based = basis(cases.sizes, NEW)

    def loss(flat: Array) -> float:
        return cases.loss(based, flat.reshape(len(NEW), -1))[0]

    def gradient(flat: Array) -> Array:
        return np.asarray(cases.loss(based, flat.reshape(len(NEW), -1))[1]).ravel()

    start = np.random.default_rng(0).uniform(0.1, 1.0, 2 * len(NEW))
    assert check_grad(loss, gradient, start, epsilon=1e-6) < 1e-5
    assert np.abs(gradient(start)).max() > 1e-3


def test_experts_that_know_nothing_cost_little() -> None:
    plain, noisy = some_cases(), some_cases(3)
    free = np.ones((len(NEW), 5), bool)
    free[0] = False
    without = polish(plain, NEW, fit_weights(plain, NEW), free[:, :2])
    weights = polish(noisy, NEW, fit_weights(noisy, NEW), free)
    sound = weights.copy()
    sound[:, 2:] = 0.0
    assert weights[1:, 2:].max() < 0.5 * weights[1:, :2].max()
    assert quality(noisy, sound) > 0.95 * quality(plain, without)


def quality(folds: list[Cases], values: Array) -> float:
    """What :func:`polish` maximises, all lists worked out anew."""
    return float(
        np.mean([one.weights @ one.quality(basis(one.sizes, NEW), values, np.arange(len(one))) for one in folds])
    )


def test_polish_ends_no_lower_and_changes_nothing_where_no_change_helps() -> None:
    folds = some_cases(3)
    likeliest, free = fit_weights(folds, NEW), np.ones((len(NEW), 5), bool)
    free[0] = False
    polished = polish(folds, NEW, likeliest, free)
    assert quality(folds, polished) > quality(folds, likeliest)
    assert (polished[0] == likeliest[0]).all()  # that knot is not free
    again = polish(folds, NEW, polished, free)
    assert quality(folds, again) >= quality(folds, polished)


def test_chances_are_those_of_what_happens(fitted: ListModel) -> None:
    """Of people nobody counted: how often what comes next is in the ten, and how often that was said."""
    world, said, happened = a_world(users=700, seed=5), [], []
    starts = world.starts
    for user in range(700):
        own = world.items[starts[user] : starts[user + 1]].astype(np.intp)
        history, following = own[:3], own[3]
        total = fitted.parts(history).total
        total[history] = -np.inf
        shown = np.argsort(-total)[:10]
        said.append(fitted.chance(total, 3)[shown].sum())
        happened.append(following in shown)
    assert np.mean(said) == pytest.approx(np.mean(happened), abs=0.12)


def test_the_share_of_an_item_met_is_what_the_score_loses_without_it() -> None:
    met = a_world(dated=False)
    log = log_of(met)
    history = np.array([0, 1, 14, 25])
    for expert in (
        Company(Pairs.of(log, met.n_users, met.n_items).cosine(10.0)),
        fit_ease(log, met.n_users, met.n_items, 100.0),
    ):
        whole = expert.scores(Histories.of([history], met.n_items))[0, 5]
        shares = expert.shares(history, 5)
        for place in range(len(history)):
            left = expert.scores(Histories.of([np.delete(history, place)], met.n_items))[0, 5]
            assert whole - left == pytest.approx(shares[place], abs=1e-5)


def test_what_only_a_walk_to_the_nearest_sees_is_seen() -> None:
    """Tight groups of items among items that everybody meets: the nearest few of each say what comes next."""
    rng = np.random.default_rng(0)
    users, items = [], []
    for user in range(500):
        group = rng.integers(30)
        met = [*(30 + 4 * group + rng.permutation(4)), *rng.choice(30, 6, replace=False)]
        users += [user] * len(met)
        items += rng.permutation(met).tolist()
    rows = np.array(users), np.array(items)
    met = Met.of(*rows, np.ones(len(users), dtype=bool), np.ones(len(users)), np.full(len(users), np.nan), (500, 150))
    fitted = fit_list(met, rng=rng)
    assert WALK in {*fitted.new.counting, *fitted.known.counting}
    assert set(np.argsort(-fitted.parts(np.array([30, 31])).total)[:4]) >= {32, 33}
