from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.posteriors.history_prior import fit_history
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste

USERS, ITEMS, DIM, HISTORY = 400, 40, 3, 5


def world(
    seed: int = 0, *, signal: float = 1.0, rated: float = 0.3
) -> tuple[Taste, sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Items, ratings of users, their histories, and the part of the tastes that the histories tell."""
    rng = np.random.default_rng(seed)
    factors = np.concatenate([rng.normal(3, 0.3, (ITEMS, 1)), rng.normal(size=(ITEMS, DIM))], 1)
    items = Items.build(factors, np.tile(0.01 * np.eye(DIM + 1), (ITEMS, 1, 1)), np.full(ITEMS, 0.5))
    histories = rng.normal(size=(USERS, HISTORY))
    told = signal * histories @ rng.normal(size=(HISTORY, DIM)) * 0.35
    tastes = told + 0.6 * rng.normal(size=(USERS, DIM))
    ratings = factors[:, 0] + tastes @ factors[:, 1:].T + np.sqrt(0.5) * rng.normal(size=(USERS, ITEMS))
    labels = sparse.csr_matrix(np.where(rng.random((USERS, ITEMS)) < rated, ratings, 0.0))
    return Taste.build(items, Gaussian()), labels, histories, told


def test_a_planted_map_is_recovered() -> None:
    taste, ratings, histories, told = world()
    prior = fit_history(taste, ratings, histories)
    assert prior is not None
    found = prior.predict(histories)
    assert np.corrcoef(found.ravel(), told.ravel())[0, 1] > 0.97
    # what histories leave open is less than all of a taste: 0.6² of it
    np.testing.assert_allclose(np.diag(prior.covariance), 0.36, rtol=0.35)


def test_few_labels_do_not_pull_the_map_towards_the_population() -> None:
    """What N(0, I) says of a taste must not count beside what the history says: about three ratings each."""
    slopes = []
    for seed in range(4):
        taste, ratings, histories, told = world(seed, rated=0.07)
        prior = fit_history(taste, ratings, histories)
        assert prior is not None
        found = prior.predict(histories)
        slopes.append(float((found * told).sum() / (told**2).sum()))
    assert np.mean(slopes) > 0.93, slopes


def test_a_planted_map_makes_newcomers_predictable() -> None:
    taste, ratings, histories, told = world()
    prior = fit_history(taste, ratings[:300], histories[:300])
    assert prior is not None
    error = np.mean((prior.predict(histories[300:]) - told[300:]) ** 2)
    assert error < 0.1 * np.mean(told[300:] ** 2)


def test_a_history_of_noise_is_switched_off() -> None:
    taste, ratings, histories, _ = world(signal=0.0)
    prior = fit_history(taste, ratings, histories)
    assert prior is not None
    assert np.mean((prior.predict(histories) - prior.mean) ** 2) < 0.01
    doubt = prior.covariances(histories) - prior.covariance
    assert np.linalg.eigvalsh(doubt).max() < 0.1 * np.linalg.eigvalsh(prior.covariance).max()


def test_too_few_to_learn_from() -> None:
    taste, ratings, histories, _ = world()
    nothing = np.zeros_like(histories)
    assert fit_history(taste, ratings, nothing) is None
    one = nothing.copy()
    one[7] = histories[7]
    assert fit_history(taste, ratings, one) is None
    labels_of_one = sparse.csr_matrix(np.where(np.arange(USERS)[:, None] == 7, ratings.toarray(), 0.0))
    assert fit_history(taste, labels_of_one, histories) is None


def test_only_users_with_both_history_and_labels_count() -> None:
    taste, ratings, histories, _ = world()
    some = histories.copy()
    some[200:] = 0.0
    with_others = fit_history(taste, ratings, some)
    alone = fit_history(taste, ratings[:200], histories[:200])
    assert with_others is not None and alone is not None
    np.testing.assert_allclose(with_others.coefficients, alone.coefficients, atol=1e-12)
