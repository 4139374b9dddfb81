"""Every score against numbers worked out by hand or by the definition, written out."""

from __future__ import annotations

import importlib
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import entr, rel_entr, softmax

from palate.acquisition.pool.design import covariance, expected_error_reduction
from palate.acquisition.pool.learned import learning_loss
from palate.acquisition.pool.neighbours import contrastive, quire
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.pool.uncertainty import bald, epig
from tests.acquisition.pools import drawn, three

RNG = np.random.default_rng(0)
LOG2 = float(np.log(2))
H8, H9, H7 = 0.5004024235, 0.3250829734, 0.6108643021  # entropies of (.8, .2), (.9, .1), (.7, .3)
APART = H8 - (H9 + H7) / 2
ROOT2 = float(np.sqrt(2))


def test_bald_is_the_mean_divergence_from_the_consensus() -> None:
    """One number, two names: KL of each draw from the mean of all (McCallum, Nigam 1998)."""
    pool = drawn()
    expected = rel_entr(pool.samples, pool.mean).sum(2).mean(0)
    np.testing.assert_allclose(bald(pool, rng=np.random.default_rng(0)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "labelled", "expected"),
    [
        ("least-confidence", 0, [0.5, 0.5, 0.2]),
        ("margin", 0, [1.0, 1.0, 0.4]),
        ("predictive-entropy", 0, [LOG2, LOG2, H8]),
        ("vote-entropy", 0, [0.0, LOG2, 0.0]),
        ("bald", 0, [0.0, LOG2, APART]),
        ("expected-gradient-length", 0, [ROOT2 / 2, 5 * ROOT2 / 2, 2 * 0.32 * ROOT2]),
        ("expected-model-change", 0, [0.0, 2.5, 0.2]),
        ("density", 0, [LOG2 * 2.3 / 3, LOG2 * 0.9, H8 * 0.8]),  # mean of unit rows (1.6, 1.8) / 3
        ("d-optimal", 0, [0.5 * np.log(1.5), 0.5 * np.log(13.5), 0.5 * np.log(2.28)]),
        ("variance-reduction", 0, [0.5 * 5 / 3 / 1.5, 0.5 * 337.48 / 3 / 13.5, 0.32 * 37.12 / 3 / 2.28]),
        ("ranked-batch", 1, [0.5, 0.75, 0.55]),  # alpha 3/4, distances 1, 5, 2
        ("ranked-batch", 0, [1.0, 1.0, 1.0]),
        ("contrastive", 1, [0.0, 0.0, 0.5 * np.log(0.5 / 0.8) + 0.5 * np.log(0.5 / 0.2)]),
        ("contrastive", 0, [0.0, 0.0, 0.0]),
        ("learning-loss", 0, [0.0, 0.0, 0.0]),
        ("learning-loss", 2, [LOG2, LOG2, LOG2]),  # equal losses at one place: nothing else to expect anywhere
    ],
)
def test_scores_worked_out_by_hand(name: str, labelled: int, expected: list[float]) -> None:
    score = POOL_STRATEGIES[name].score
    assert score(three(labelled), rng=RNG).tolist() == pytest.approx(expected, abs=1e-9)


def test_epig_for_a_target_that_gives_the_draw_away_is_bald() -> None:
    pool = replace(three(), targets=np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    assert epig(pool, rng=RNG).tolist() == pytest.approx([0.0, LOG2, APART], abs=1e-9)


def test_epig_is_the_mean_information_about_the_targets() -> None:
    pool = drawn(n=4, labelled=0)
    expected = np.zeros(4)
    for i, j in product(range(4), repeat=2):
        joint = (pool.samples[:, i, :, None] * pool.samples[:, j, None, :]).mean(0)
        apart = np.outer(joint.sum(1), joint.sum(0))
        expected[i] += (joint * np.log(joint / apart)).sum() / 4
    np.testing.assert_allclose(epig(pool, rng=RNG), expected, rtol=1e-9)


def test_epig_draws_targets_where_there_are_many() -> None:
    pool = drawn(n=40, labelled=0)
    every, some = epig(pool, rng=RNG), epig(pool, rng=np.random.default_rng(1), n_targets=20)
    assert np.corrcoef(every, some)[0, 1] > 0.9
    assert not np.allclose(every, some)


def test_contrastive_looks_at_the_nearest_only() -> None:
    near, far = [0.5, 0.5], [0.99, 0.01]
    samples = np.array([[[0.5, 0.5]]])
    pool = Pool(samples, np.zeros((1, 1)), np.array([[1.0], [9.0]]), np.array([0, 1]), np.array([[near, far]]))
    assert contrastive(pool, rng=RNG, k=1).tolist() == pytest.approx([0.0])
    divergence = 0.99 * np.log(1.98) + 0.01 * np.log(0.02)
    assert contrastive(pool, rng=RNG, k=2).tolist() == pytest.approx([divergence / 2])


# ---- models that move -----------------------------------------------------------------------------------------------


def newton_losses(pool: Pool, precision: float = 1.0) -> np.ndarray:
    """Expected mean entropy after one Newton step of the whole softmax model, its Hessian written out."""
    classes, size = pool.n_classes, pool.features.shape[1]

    def block(p: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x))

    known = pool.labelled_samples.mean(0)
    hessian = precision * np.eye(classes * size)
    hessian = hessian + sum(block(p, x) for p, x in zip(known, pool.labelled, strict=True))
    logits, losses = np.log(pool.mean), np.zeros(len(pool))
    for i, (p, x) in enumerate(zip(pool.mean, pool.features, strict=True)):
        whole = np.linalg.inv(hessian + block(p, x))
        for label in range(classes):
            step = (whole @ np.kron(np.eye(classes)[label] - p, x)).reshape(classes, size)
            after = softmax(logits + pool.features @ step.T, axis=1)
            losses[i] += p[label] * entr(after).sum(1).mean()
    return losses


def test_error_reduction_of_two_classes_is_that_of_a_newton_step() -> None:
    pool = drawn(n=8, classes=2, size=3, labelled=5)
    now = entr(pool.mean).sum(1).mean()
    np.testing.assert_allclose(expected_error_reduction(pool, rng=RNG), now - newton_losses(pool), rtol=1e-9)


def test_error_reduction_of_three_classes_has_nearly_the_same_order() -> None:
    pool = drawn(n=30, classes=3, size=4, labelled=8)
    exact = -newton_losses(pool)
    assert np.corrcoef(expected_error_reduction(pool, rng=RNG), exact)[0, 1] > 0.9


def test_outside_the_shortlist_nothing_is_above_it() -> None:
    pool = drawn(n=30)
    whole, short = (expected_error_reduction(pool, rng=RNG, shortlist=k) for k in (30, 5))
    inside = np.argsort(-entr(pool.mean).sum(1))[:5]
    np.testing.assert_allclose(short[inside], whole[inside])
    assert np.delete(short, inside).max() < short[inside].min()


def test_covariance_of_two_classes_is_the_inverse_hessian() -> None:
    pool = drawn(classes=2, size=3, labelled=5)
    p = pool.labelled_samples.mean(0)
    contrast = sum(2 * q[0] * q[1] * np.outer(x, x) for q, x in zip(p, pool.labelled, strict=True))
    np.testing.assert_allclose(covariance(pool), np.linalg.inv(np.eye(3) + contrast))


def test_quire_is_the_min_max_of_the_paper() -> None:
    """Written out for every labelling of this candidate, the others' labels relaxed to real numbers."""
    pool = drawn(n=6, classes=2, size=2, labelled=3)
    rows = np.concatenate([pool.features, pool.labelled])
    kernel = np.exp(-0.3 * ((rows[:, None] - rows) ** 2).sum(2))
    whole = np.linalg.inv(kernel + np.eye(len(rows)))
    known = np.where(pool.labels == 1, 1.0, -1.0)
    expected = []
    for i in range(6):
        others = np.delete(np.arange(6), i)
        fixed = np.array([6, 7, 8, i])
        worst = -np.inf
        for sign in (-1.0, 1.0):
            y = np.append(known, sign)
            free = -np.linalg.solve(whole[np.ix_(others, others)], whole[np.ix_(others, fixed)] @ y)
            full = np.zeros(9)
            full[fixed], full[others] = y, free
            worst = max(worst, full @ whole @ full)
        expected.append(-worst)
    np.testing.assert_allclose(quire(pool, rng=RNG, gamma=0.3), expected, rtol=1e-9)


def test_learning_loss_is_a_ridge_regression_of_the_losses() -> None:
    from sklearn.linear_model import Ridge

    pool = drawn(labelled=12)
    known = pool.labelled_samples.mean(0)
    losses = -np.log(known[np.arange(12), pool.labels])
    ridge = Ridge(alpha=1.0).fit(np.column_stack([pool.labelled, entr(known).sum(1)]), losses)
    expected = ridge.predict(np.column_stack([pool.features, entr(pool.mean).sum(1)]))
    np.testing.assert_allclose(learning_loss(pool, rng=RNG), expected)


def test_what_was_learnt_helps_more_than_chance_and_than_entropy_on_new_tasks() -> None:
    module = importlib.import_module("palate.acquisition.pool.learned")  # the package has the function by that name
    generator = np.random.default_rng(1)
    by_forest, by_entropy, by_chance = [], [], []
    for _ in range(100):
        states, gains = module._task(generator)
        by_forest.append(gains[module._forest().predict(states).argmax()])
        by_entropy.append(gains[states[:, 2].argmax()])
        by_chance.append(gains.mean())
    assert np.mean(by_forest) > 1.15 * np.mean(by_chance)
    assert np.mean(by_forest) > np.mean(by_entropy)
