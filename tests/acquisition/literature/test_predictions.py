"""What is predicted for the user, against scores worked out by hand or by what an answer really does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from palate.acquisition import Given
from palate.acquisition.belief.a_optimal import a_optimal
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world
from tests.acquisition.scores import score
from tests.acquisition.tables import FOUR, NONE, offered

KINDS = ["gaussian", "probit"]


# Level 2 and factors (1, 2), (0, 0), (−1, 0), (2, 0), (0, −2); the taste is believed to be (1, −½).
FACTORS = np.array([[1.0, 2.0], [0.0, 0.0], [-1.0, 0.0], [2.0, 0.0], [0.0, -2.0]])


BELIEF = Belief(np.array([1.0, -0.5]), np.diag([0.5, 1.0]))


BY_HAND = {
    "highest-predicted": [2, 2, 1, 4, 3],
    "lowest-predicted": [-2, -2, -1, -4, -3],
    "min-rating": [-2, -2, -1, -4, -3],
    "high-low": [0.5, 0.5, 1.5, 1.5, 0.5],  # from 5/2, the middle of 1 to 4
    "min-norm": [-np.sqrt(5), 0, -1, -2, -2],
    "binary-prediction": [0.9, 0.8, 0.7, 0.6, 0.5],
}


@pytest.mark.parametrize(("name", "expected"), BY_HAND.items())
def test_scores_by_hand(name: str, expected: list[float]) -> None:
    candidates = replace(offered(factors=FACTORS), known=np.array([0.9, 0.8, 0.7, 0.6, 0.5]))
    assert score(name, candidates, BELIEF).tolist() == pytest.approx(expected)


def test_the_expected_answer_of_likes_is_a_probability() -> None:
    """Mean 0 + 1 · 1 − 2 · ½ = 0 of the first item; mean 2, variance 4 · ½ of the taste and 1 of the answer."""
    candidates = offered(levels=(0, 1), level=0.0, factors=FACTORS, kind="probit")
    expected = [0.5, 0.5, norm.cdf(-1 / np.sqrt(1.5)), norm.cdf(2 / np.sqrt(3)), norm.cdf(1 / np.sqrt(5))]
    assert score("highest-predicted", candidates, BELIEF).tolist() == pytest.approx(expected)
    assert score("high-low", candidates, BELIEF).tolist() == pytest.approx(np.abs(np.array(expected) - 0.5).tolist())


def test_mf_optimal_is_the_expected_error_after_the_answer() -> None:
    world = make_world()
    belief, candidates, taste = world.one, world.offered, world.candidates.population.taste
    found = score("mf-optimal", candidates, belief)
    for item in range(len(candidates)):
        after = taste.observe(belief, item, 3.0)
        error = (after.variance(candidates.items.factors) + candidates.items.answer_noise).mean()
        assert found[item] == pytest.approx(-error)


def test_mf_optimal_asks_as_a_optimal_where_everything_is_shown_alike() -> None:
    for kind in KINDS:
        world = make_world(kind)
        alike = replace(world.candidates, targets=np.full(12, 1 / 12))
        gain = a_optimal(world.several, alike, rng=np.random.default_rng(0))
        left = score("mf-optimal", world.candidates, world.several)
        np.testing.assert_allclose(left - left[:, :1], gain - gain[:, :1], atol=1e-12)


def test_with_the_sides_exchanged_mf_optimal_chooses_users_as_anava_et_al() -> None:
    """Candidates are users; the belief about the new item is N(0, τ² I) moved by those who have answered."""
    rng = np.random.default_rng(0)
    users, noise, prior = rng.normal(size=(15, 3)), 0.7, 2.0
    items = Items.build(np.concatenate([np.zeros((15, 1)), users], 1), np.zeros((15, 4, 4)), np.full(15, noise))
    taste, belief, asked = Taste.build(items, Gaussian()), Belief(np.zeros(3), prior * np.eye(3)), []
    candidates = replace(offered(np.full((2, 15), 1.0), factors=users, noise=noise), items=items, shown=items)
    weights, ridge = users.T @ users / 15, noise / prior * np.eye(3)
    for _ in range(4):
        traces = [
            np.trace(np.linalg.inv(users[[*asked, u]].T @ users[[*asked, u]] + ridge) @ weights) for u in range(15)
        ]
        found = score("mf-optimal", candidates, belief)
        np.testing.assert_allclose(-found, noise * np.array(traces) + noise)
        asked.append(int(np.argmin(traces)))
        belief = taste.observe(belief, asked[-1], float(rng.normal()))


# Rows are items, candidates the users A to E of the table. Row means 2, 3, 2 and 5/2, so squared gaps from them:
#   A 1 1 1 9/4: mean 21/16;   B 4 1 1 9/4: mean 33/16;   C 1 0: mean 1/2;   D 0;   E has none.
# All eleven ratings: 1 4 1 2 4 3 3 1 2 4 1, mean 26/11, variance 78/11 − (26/11)² = 182/121.
SPREAD = 182 / 121


OBJECTIVE = [SPREAD / (SPREAD + apart) for apart in (21 / 16, 33 / 16, 0.5, 0.0, SPREAD)]


def test_new_item_attributes_by_hand() -> None:
    """Expected ratings 2, 2, 1, 4, 3 as above, the scale 3 long; answers 4 and 2 are in."""
    known = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    nobody = replace(offered(factors=FACTORS), known=known)
    directions = FACTORS / np.maximum(np.linalg.norm(FACTORS, axis=1), 1e-300)[:, None]
    informative = (1 + directions @ directions.mean(0)) / 2
    first = score("new-item-attributes", nobody, BELIEF)
    np.testing.assert_allclose(first, known + OBJECTIVE + informative)
    asked = replace(nobody, given=Given(np.array([3, 1, 4]), np.array([4.0, 2.0, np.nan])))
    gaps = np.array([0, 0, 1, 0, 1]) / 3
    np.testing.assert_allclose(score("new-item-attributes", asked, BELIEF), first + gaps)


def test_the_table_is_what_the_hand_says() -> None:
    ratings = np.array(FOUR)
    assert [np.mean(row[row != NONE]) for row in ratings] == [2, 3, 2, 2.5]
    assert np.var(ratings[ratings != NONE]) == pytest.approx(SPREAD)
