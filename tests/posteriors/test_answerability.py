from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import ArpackError

from palate.posteriors.answerability import LOWEST, Answerability, not_named
from palate.posteriors.belief import Belief

USERS, ITEMS = 300, 20


def seen(seed: int = 0) -> sparse.csr_matrix:
    """Two circles of people: the first mostly knows items 0-9, the second mostly 10-19; some know more than others."""
    rng = np.random.default_rng(seed)
    circle = rng.integers(0, 2, USERS)[:, None]
    own = (np.arange(ITEMS) >= ITEMS // 2).astype(int) == circle
    eager = rng.uniform(0.5, 1.5, (USERS, 1))
    return sparse.csr_matrix((rng.random((USERS, ITEMS)) < eager * np.where(own, 0.6, 0.1)).astype(float))


@pytest.fixture(scope="module")
def model() -> Answerability:
    return Answerability.fit(seen(), dim=4, rng=np.random.default_rng(0))


def test_without_any_answer_it_is_the_share_who_rated(model: Answerability) -> None:
    np.testing.assert_allclose(model.probability(model.start()), seen().mean(0).A1)


def test_rates_and_loadings_reproduce_the_covariance_of_who_rated_what(model: Answerability) -> None:
    whole = np.cov(seen().toarray().T, bias=True)
    found = model.loadings @ model.loadings.T
    off = ~np.eye(ITEMS, dtype=bool)
    assert np.corrcoef(found[off], whole[off])[0, 1] > 0.9
    np.testing.assert_allclose((model.loadings**2).sum(1) + model.noise, np.diag(whole))


def test_the_values_of_the_ratings_do_not_matter(model: Answerability) -> None:
    other = seen()
    other.data = np.random.default_rng(1).normal(size=other.nnz)
    found = Answerability.fit(other, dim=4, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.loadings, model.loadings, atol=1e-10)


def test_knowing_an_item_raises_it_and_its_like(model: Answerability) -> None:
    before = model.probability(model.start())
    after = model.probability(model.observe(model.start(), 0, True))
    assert (after[:10] > before[:10]).all()
    assert (after[10:] < before[10:]).all()


def test_not_knowing_an_item_lowers_it_and_its_like(model: Answerability) -> None:
    before = model.probability(model.start())
    after = model.probability(model.observe(model.start(), 0, False))
    assert (after[:10] < before[:10]).all()
    assert (after[10:] > before[10:]).all()


def test_several_users_are_moved_as_each_alone(model: Answerability) -> None:
    items, answered = np.array([3, 15, 8]), np.array([True, False, True])
    together = model.observe(model.start(3), items, answered)
    for user in range(3):
        alone = model.observe(model.start(), int(items[user]), bool(answered[user]))
        np.testing.assert_allclose(together.mean[user], alone.mean)
        np.testing.assert_allclose(model.probability(together)[user], model.probability(alone))
        np.testing.assert_allclose(model.reach(together)[user], model.reach(alone))


def test_the_log_of_a_user_equals_every_item_told_one_by_one(model: Answerability) -> None:
    log = seen()[:3]
    at_once = model.believe(log)
    for user in range(3):
        belief = model.start()
        for item in range(ITEMS):
            belief = model.observe(belief, item, bool(log[user, item]))
        np.testing.assert_allclose(at_once.mean[user], belief.mean, atol=1e-9)
        np.testing.assert_allclose(at_once.covariance[user], belief.covariance, atol=1e-9)


def test_what_one_user_can_answer_takes_little_memory_in_a_large_catalogue() -> None:
    """It is told from the rated items alone: the loadings of all items would be 8 MB here."""
    rng, n = np.random.default_rng(0), 100_000
    model = Answerability(np.full(n, 1e-3), 0.01 * rng.normal(size=(n, 10)), np.full(n, 1e-3))
    items = rng.choice(n, 100, replace=False)
    row = sparse.csr_matrix((np.ones(100), items, [0, 100]), shape=(1, n))
    tracemalloc.start()
    belief = model.believe(row)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
    precision = np.eye(10) + 1e3 * model.loadings.T @ model.loadings
    pull = 1e3 * (model.loadings[items].sum(0) - 1e-3 * model.loadings.sum(0))
    np.testing.assert_allclose(belief.mean[0], np.linalg.solve(precision, pull), rtol=1e-9)


def test_targets_are_what_the_user_is_likely_to_know(model: Answerability) -> None:
    several = model.believe(seen()[:3])
    found = model.targets(several)
    np.testing.assert_allclose(found.sum(1), 1.0)
    np.testing.assert_allclose(found, model.probability(several) / model.probability(several).sum(1, keepdims=True))
    np.testing.assert_allclose(model.targets(Belief(several.mean[1], several.covariance[1])), found[1])


def test_a_probability_stays_one(model: Answerability) -> None:
    belief = model.start()
    for _ in range(30):
        for item in range(10):
            belief = model.observe(belief, item, True)
    far = Belief(1e3 * belief.mean, belief.covariance)
    for found in (
        model.probability(belief),
        model.probability(far),
        model.probability(Belief(-far.mean, far.covariance)),
    ):
        assert ((found >= LOWEST) & (found >= model.least * model.rate) & (found <= 1.0)).all()


def test_reach_is_an_average_over_users_weighted_by_what_they_know(model: Answerability) -> None:
    """``E[P n] / E[n]`` against draws of x, without the bounds on a probability, as the formula."""
    rng = np.random.default_rng(0)
    model = replace(model, least=0.0)
    for belief in (model.start(), model.observe(model.observe(model.start(), 0, True), 12, False)):
        x = rng.multivariate_normal(belief.mean, belief.covariance, 200_000)
        chance = model.rate + x @ model.loadings.T
        n = chance.mean(1)
        np.testing.assert_allclose(model.reach(belief), (chance * n[:, None]).mean(0) / n.mean(), atol=5e-3)


def test_reach_of_somebody_who_knows_next_to_nothing_stays_finite(model: Answerability) -> None:
    direction = model.loadings.mean(0) / (model.loadings.mean(0) ** 2).sum()
    for steps in (-0.99, -1.0, -5.0, -1e6):  # mean knowledge 0.01, 0 and below 0
        belief = Belief(steps * model.rate.mean() * direction, model.start().covariance)
        found = model.reach(belief)
        assert np.isfinite(found).all() and (found >= LOWEST).all()


def test_who_seems_to_know_little_counts_as_knowing_three_tenths_of_the_average() -> None:
    """By hand: rates 0.2 and 0.4, on average 0.3; of somebody with mean x the share known is 0.3 + 0.15 x."""
    model = Answerability(np.array([0.2, 0.4]), np.array([[0.1], [0.2]]), np.array([0.15, 0.2]))
    for x, size in ((0.0, 0.3), (-1.0, 0.15), (-1.39, 0.0915), (-1.5, 0.09), (-1.9, 0.09), (-30.0, 0.09)):
        chance = np.array([0.2 + 0.1 * x, 0.4 + 0.2 * x])
        together = 4.0 * 0.15 * np.array([0.1, 0.2])  # covariances of each chance with the share known, x of variance 4
        expected = np.maximum(chance + together / size, LOWEST)
        np.testing.assert_allclose(model.reach(Belief(np.array([x]), np.array([[4.0]]))), expected)


def test_with_x_known_reach_is_the_probability(model: Answerability) -> None:
    belief = Belief(np.array([0.1, -0.2, 0.0, 0.1]), np.zeros((4, 4)))
    np.testing.assert_allclose(model.reach(belief), np.maximum(model.rate + belief.mean @ model.loadings.T, LOWEST))


def test_what_is_known_of_some_items_is_what_their_answers_one_by_one_say(model: Answerability) -> None:
    """A rating of 0 is a rating; an item that nobody was asked about says nothing."""
    draws = np.random.default_rng(0)
    asked = draws.random((3, ITEMS)) < 0.4
    known = sparse.csr_matrix(draws.random((3, ITEMS)) < 0.3)
    known.data = np.zeros(known.nnz)
    found = model.believe(known, asked)
    rated = np.zeros((3, ITEMS), dtype=bool)
    rated[np.repeat(np.arange(3), np.diff(known.indptr)), known.indices] = True
    for user in range(3):
        belief = model.start()
        for item in np.flatnonzero(asked[user]):
            belief = model.observe(belief, int(item), bool(rated[user, item]))
        np.testing.assert_allclose(found.mean[user], belief.mean, atol=1e-9)
        np.testing.assert_allclose(found.covariance[user], belief.covariance, atol=1e-9)
    everything = model.believe(known, np.ones_like(asked))
    np.testing.assert_allclose(everything.mean, model.believe(known).mean, atol=1e-9)


def test_new_items_are_known_like_the_average_one_by_those_who_know_much(model: Answerability) -> None:
    more = model.extended(2)
    np.testing.assert_allclose(more.probability(more.start())[-2:], model.rate.mean())
    knows_much = model.believe(sparse.csr_matrix(np.ones((1, ITEMS))))
    knows_little = model.believe(sparse.csr_matrix((1, ITEMS)))
    assert more.probability(knows_much)[0, -1] > model.rate.mean() > more.probability(knows_little)[0, -1]
    np.testing.assert_array_equal(more.probability(knows_much)[:, :ITEMS], model.probability(knows_much))
    np.testing.assert_array_equal(more.noise[:ITEMS], model.noise)


def test_who_knows_a_new_item_shows_in_its_content(model: Answerability) -> None:
    """Content says which circle an item belongs to: the newcomers are known like that circle's items."""
    circle = (np.arange(ITEMS) >= ITEMS // 2).astype(float)[:, None]
    rng = np.random.default_rng(1)
    old = np.concatenate([circle + 0.05 * rng.normal(size=(ITEMS, 1)), rng.normal(size=(ITEMS, 3))], 1)
    new = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    more = model.extended(2, (old, new))
    first_circle = model.believe(sparse.csr_matrix((circle[:, 0] == 0).astype(float)[None]))
    first, second = more.probability(first_circle)[0, -2:]
    assert first > 0.5 > 0.3 > second


def test_content_that_says_nothing_leaves_new_items_near_the_average(model: Answerability) -> None:
    rng = np.random.default_rng(2)
    more = model.extended(40, (rng.normal(size=(ITEMS, 3)), rng.normal(size=(40, 3))))
    assert np.abs(more.probability(more.start())[ITEMS:] - model.rate.mean()).max() < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 30)])
@pytest.mark.parametrize("fill", ["nothing but one", "everything", "same items for all", "half at random"])
def test_small_and_even_tables(shape: tuple[int, int], fill: str) -> None:
    table = np.zeros(shape)
    if fill == "everything":
        table[:] = 1.0
    elif fill == "same items for all":
        table[:, : max(1, shape[1] // 2)] = 1.0
    elif fill == "half at random":
        table = (np.random.default_rng(0).random(shape) < 0.5).astype(float)
    table[0, 0] = 1.0
    model = Answerability.fit(sparse.csr_matrix(table), rng=np.random.default_rng(0))
    known = model.believe(sparse.csr_matrix(table[:1]))
    belief = Belief(known.mean[0], known.covariance[0])
    for found in (model.probability(belief), model.reach(belief), model.probability(model.observe(belief, 0, False))):
        assert np.isfinite(found).all() and (found >= LOWEST).all()


def test_where_many_axes_are_equally_strong_the_loadings_come_from_the_whole_covariance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = sparse.random(30, 12, density=0.3, random_state=0, format="csr")
    usual = Answerability.fit(seen, dim=3, rng=np.random.default_rng(0))

    def fails(*args: object, **options: object) -> None:
        raise ArpackError(3)

    monkeypatch.setattr("palate.posteriors.answerability.svds", fails)
    found = Answerability.fit(seen, dim=3, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.loadings @ found.loadings.T, usual.loadings @ usual.loadings.T, atol=1e-12)
    np.testing.assert_allclose(found.noise, usual.noise, atol=1e-12)


@pytest.mark.parametrize("chance", [0.05, 0.5, 1.0])
def test_what_is_not_named_says_what_its_share_of_answers_explains(chance: float) -> None:
    """By hand, with a second item after the first: the best linear guess of x ~ N(0, I) from "named", 1 or 0.

    It is 1 with probability π(r + l·x): on average πr, so it varies by πr (1 − πr), and with x by πl.
    """
    rate, loadings = np.array([0.4, 0.3]), np.array([[0.3, 0.1], [-0.2, 0.1]])
    answerability = Answerability(rate, loadings, np.ones(2))  # of "has rated", which is not asked here
    first = not_named(answerability, answerability.start(), 0, chance)
    spread = chance * 0.4 * (1 - chance * 0.4)
    np.testing.assert_allclose(first.mean, -chance * loadings[0] * chance * 0.4 / spread)
    np.testing.assert_allclose(first.covariance, np.eye(2) - chance**2 * np.outer(loadings[0], loadings[0]) / spread)

    both = not_named(answerability, first, 1, chance)
    slopes, mean = chance * loadings, chance * rate
    whole = slopes @ slopes.T
    np.fill_diagonal(whole, mean * (1 - mean))
    np.testing.assert_allclose(both.mean, -slopes.T @ np.linalg.solve(whole, mean))
    np.testing.assert_allclose(both.covariance, np.eye(2) - slopes.T @ np.linalg.solve(whole, slopes))


def test_silence_of_several_users_is_that_of_each(model: Answerability) -> None:
    items, chances = np.array([3, 15]), np.array([0.2, 0.9])
    together = not_named(model, model.start(2), items, chances)
    for user in range(2):
        alone = not_named(model, model.start(), int(items[user]), float(chances[user]))
        np.testing.assert_allclose(together.mean[user], alone.mean)
        np.testing.assert_allclose(together.covariance[user], alone.covariance)


# ---- how many are known of those whose score is below 0 --------------------------------------------------------------


def uneven(rng: np.random.Generator) -> sparse.csr_matrix:
    """Few items are known to many; people know their own circle's, others' now and then; some know ten times more."""
    circles, popularity = rng.integers(0, 4, 1_500), rng.lognormal(-2.5, 1.2, 240)
    own = circles[:, None] == np.arange(240) % 4
    chance = rng.lognormal(0.0, 0.7, (1_500, 1)) * popularity * np.where(own, 2.0, 0.15)
    return sparse.csr_matrix((rng.random((1_500, 240)) < np.minimum(chance, 0.95)).astype(float))


@pytest.mark.parametrize("seed", range(4))
def test_of_those_that_seem_to_know_nothing_as_many_answer_as_is_said(seed: int) -> None:
    """People who were not fitted on, after 15 questions: P(can answer) at its floor, and the share that can."""
    rng = np.random.default_rng(seed)
    whole = uneven(rng)
    model, known = Answerability.fit(whole[:1_200], rng=rng), whole[1_200:].toarray() > 0
    belief, asked = model.start(len(known)), np.argsort(-model.rate)[np.arange(0, 60, 4)]
    for item in asked:
        belief = model.observe(belief, np.full(len(known), item), known[:, item])
    chance = np.delete(model.probability(belief), asked, 1)
    lowest = chance <= np.delete(model.floor, asked)
    answered = np.delete(known, asked, 1)[lowest]
    assert lowest.mean() > 0.1 and answered.sum() > 50
    assert 0.7 < chance[lowest].sum() / answered.sum() < 1.4


def test_the_floor_goes_along_to_new_items_and_is_none_of_few_people() -> None:
    model = Answerability.fit(uneven(np.random.default_rng(0)), rng=np.random.default_rng(0))
    assert 0.02 < model.least < 0.9
    assert model.extended(2).floor[-1] == pytest.approx(max(model.least * model.extended(2).rate[-1], LOWEST))
    assert Answerability.fit(seen()[:4], rng=np.random.default_rng(0)).least == 0.0
