from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import ArpackError

from palate.posteriors.answerability import LOWEST, Answerability
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
        assert ((found >= LOWEST) & (found <= 1.0)).all()


def test_reach_is_an_average_over_users_weighted_by_what_they_know(model: Answerability) -> None:
    """``E[P n] / E[n]`` against draws of x, without the bounds on a probability, as the formula."""
    rng = np.random.default_rng(0)
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


def test_with_x_known_reach_is_the_probability(model: Answerability) -> None:
    belief = Belief(np.array([0.1, -0.2, 0.0, 0.1]), np.zeros((4, 4)))
    np.testing.assert_allclose(model.reach(belief), np.maximum(model.rate + belief.mean @ model.loadings.T, LOWEST))


def test_a_share_of_what_is_known(model: Answerability) -> None:
    half = model.shared(0.5)
    np.testing.assert_allclose(half.probability(half.start()), 0.5 * model.probability(model.start()))
    total = (half.loadings**2).sum(1) + half.noise
    np.testing.assert_allclose(total, half.rate * (1 - half.rate))


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
