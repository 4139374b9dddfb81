from __future__ import annotations

import numpy as np
import pytest

from palate.datasets import PlantedWorld, planted_world
from palate.datasets.planted import TOPICS


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_world(rng=np.random.default_rng(0))


def test_shape_and_density(world: PlantedWorld) -> None:
    assert world.tastes.shape == (400, 4)
    assert world.factors.shape == (240, 4)
    assert world.levels.shape == world.topics.shape == (240,)
    assert world.dataset.interactions.height == pytest.approx(0.25 * 400 * 240, rel=0.1)
    assert set(world.dataset.interactions["rating"]) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert world.dataset.interactions["timestamp"].is_sorted()
    assert world.dataset.rejects.total == 0


def test_the_same_state_gives_the_same_world(world: PlantedWorld) -> None:
    again = planted_world(rng=np.random.default_rng(0))
    other = planted_world(rng=np.random.default_rng(1))
    assert again.dataset.fingerprint() == world.dataset.fingerprint() != other.dataset.fingerprint()
    np.testing.assert_array_equal(again.tastes, world.tastes)


def test_ratings_follow_the_planted_tastes(world: PlantedWorld) -> None:
    coded = world.dataset.coded()
    assert (coded.user_ids, coded.item_ids) == (world.user_ids, world.item_ids)
    truth = np.clip(world.expected(), 1, 5)[coded.users, coded.items]
    assert np.sqrt(np.mean((coded.values - truth) ** 2)) < 0.7 < 0.95 < coded.values.std()


def test_exposure_is_not_at_random(world: PlantedWorld) -> None:
    coded = world.dataset.coded()
    seen = np.zeros((400, 240), dtype=bool)
    seen[coded.users, coded.items] = True
    liking = world.tastes @ world.factors.T
    assert liking[seen].mean() > liking[~seen].mean() + 0.2
    assert seen.mean(axis=0).std() > 0.1  # some items are seen far more than others


def test_the_text_tells_the_factors(world: PlantedWorld) -> None:
    texts = world.dataset.item_texts()
    assert len(set(world.dataset.items["category"])) == len(TOPICS)
    words = sorted({word for text in texts for word in text.split()})
    counts = np.array([[word in text for word in words] for text in texts], dtype=float)
    fitted = counts @ np.linalg.lstsq(counts, world.factors, rcond=0.05)[0]
    assert 1 - ((world.factors - fitted) ** 2).sum() / world.factors.var(axis=0).sum() / 240 > 0.8


def test_small_worlds(world: PlantedWorld) -> None:
    small = planted_world(users=1, items=3, dimensions=1, rng=np.random.default_rng(0))
    assert 1 <= small.dataset.interactions.height <= 3
