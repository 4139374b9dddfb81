"""Every batch against brute force, or against what must come out of a small case."""

from __future__ import annotations

import importlib
import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import entr

from palate.acquisition.pool import geometry
from palate.acquisition.pool.batch_bald import batch_bald
from palate.acquisition.pool.clusters import clue, drop_query, typiclust
from palate.acquisition.pool.coverage import choose_ranked_batch, core_set, max_herding, probcover, pure_radius, similar
from palate.acquisition.pool.drawn import badge, falcun, power_bald, softmax_bald, softrank_bald
from palate.acquisition.pool.hierarchical import hierarchical
from palate.acquisition.pool.neighbours import seals
from palate.acquisition.pool.pool import Pool
from tests.acquisition.pools import blobs, drawn, three

batch_bald_module = importlib.import_module("palate.acquisition.pool.batch_bald")  # named as its function


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def on_line(*places: float, labelled: tuple[float, ...] = ()) -> Pool:
    n, known = len(places), len(labelled)
    half = np.full((1, n + known, 2), 0.5)
    rows = np.array([*places, *labelled])[:, None]
    return Pool(half[:, :n], rows[:n], rows[n:], np.zeros(known, dtype=np.intp), half[:, n:])


# ---- information ----------------------------------------------------------------------------------------------------


def joint_information(pool: Pool, chosen: list[int]) -> float:
    entropy = 0.0
    for labels in product(range(pool.n_classes), repeat=len(chosen)):
        entropy += entr(np.prod([pool.samples[:, i, c] for i, c in zip(chosen, labels, strict=True)], axis=0).mean())
    return float(entropy - sum(entr(pool.samples[:, i]).sum(1).mean() for i in chosen))


def greedily(pool: Pool, k: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(k):
        gains = [-np.inf if i in chosen else joint_information(pool, [*chosen, i]) for i in range(len(pool))]
        chosen.append(int(np.argmax(gains)))
    return chosen


def test_batch_bald_is_the_greedy_joint_information() -> None:
    pool = drawn(draws=6, n=9, classes=3, labelled=0)
    assert batch_bald(pool, 4, rng=rng()).items.tolist() == greedily(pool, 4)


def test_batch_bald_does_not_ask_the_same_thing_twice() -> None:
    """B tells all, a copy of it nothing more; C tells little, but something."""
    pool = three()
    twice = pool.take(np.array([1, 1, 2]))
    assert set(batch_bald(twice, 3, rng=rng()).items[:1].tolist()) <= {0, 1}
    samples = np.repeat(pool.samples, 2, axis=0)  # two bits: B gives one away, the copies of C a little of the other
    samples[:, 2, 0] = [0.9, 0.3, 0.9, 0.3]
    samples[:, 2, 1] = 1.0 - samples[:, 2, 0]
    batch = batch_bald(Pool.unlabelled(samples[:, [1, 1, 2]], np.zeros((3, 1))), 2, rng=rng())
    assert 2 in batch.items


def test_batch_bald_by_drawn_configurations_is_close(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = drawn(draws=5, n=12, classes=2, labelled=0)
    exact = joint_information(pool, batch_bald(pool, 6, rng=rng()).items.tolist())
    drawn_ones = pool.samples[:, [0, 1, 2]]
    joint = batch_bald_module._drawn(drawn_ones, rng())
    estimate = batch_bald_module._conditional_entropy(pool, joint, exact=False)
    for i in (3, 4, 5):
        information = [joint_information(pool, c) for c in ([0, 1, 2], [0, 1, 2, i])]
        true = information[1] - information[0] + entr(pool.samples[:, i]).sum(1).mean()
        assert estimate[i] == pytest.approx(true, abs=0.02)
    monkeypatch.setattr(batch_bald_module, "CONFIGURATIONS", 3)
    monkeypatch.setattr(batch_bald_module, "_drawn", lambda s, r: _many(s, r))
    assert joint_information(pool, batch_bald(pool, 6, rng=rng()).items.tolist()) == pytest.approx(exact, rel=0.02)


def _many(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Two thousand drawn configurations, written out one by one."""
    draws, chosen, classes = samples.shape
    rows = []
    for _ in range(2000):
        t = generator.integers(draws)
        labels = [generator.choice(classes, p=samples[t, i]) for i in range(chosen)]
        rows.append(np.prod([samples[:, i, c] for i, c in enumerate(labels)], axis=0))
    return np.array(rows)


def test_power_draws_by_information_and_records_the_chance() -> None:
    first = [power_bald(three(), 2, rng=rng(seed)) for seed in range(400)]
    information = np.array([0.0, np.log(2), 0.0324287865])
    shares = information / information.sum()
    counts = np.bincount([batch.items[0] for batch in first], minlength=3) / 400
    assert counts == pytest.approx(shares, abs=0.04)
    for batch in first:
        assert batch.propensities[0] == pytest.approx(shares[batch.items[0]])
        assert batch.propensities[1] == pytest.approx(1.0)  # of the rest only one has any


def test_softmax_and_softrank_prefer_what_tells_more() -> None:
    for choose in (softmax_bald, softrank_bald):
        counts = np.bincount([choose(three(), 1, rng=rng(seed)).items[0] for seed in range(300)], minlength=3)
        assert counts[1] > counts[2] > 0 or counts[1] == 300


# ---- geometry -------------------------------------------------------------------------------------------------------


def test_core_set_takes_the_farthest() -> None:
    batch = core_set(on_line(1.0, 5.0, 10.0, labelled=(0.0,)), 3, rng=rng())
    assert batch.items.tolist() == [2, 1, 0]
    assert batch.propensities.tolist() == [1.0, 1.0, 1.0]


def test_core_set_without_labels_starts_anywhere() -> None:
    starts = {int(core_set(on_line(1.0, 5.0, 10.0), 1, rng=rng(seed)).items[0]) for seed in range(30)}
    assert starts == {0, 1, 2}
    assert core_set(on_line(1.0, 5.0, 10.0), 1, rng=rng()).propensities[0] == pytest.approx(1 / 3)


def test_distances_are_those_of_all_pairs_whatever_the_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, others = rng().normal(size=(37, 5)), rng(1).normal(size=(11, 5))
    pairs = np.linalg.norm(rows[:, None] - others, axis=2)
    for cells in (1, 20, 1 << 17):
        monkeypatch.setattr(geometry, "CACHED", cells)
        np.testing.assert_allclose(geometry.nearest(rows, others), pairs.min(1), rtol=1e-12)
        np.testing.assert_allclose(geometry.distance(rows, others[3]), pairs[:, 3], rtol=1e-12)
    assert geometry.nearest(rows, others[:0]).tolist() == [np.inf] * 37


def test_distances_keep_single_precision_and_do_not_cancel() -> None:
    rows = np.array([[1000.0, 0.0], [1000.0, 0.25]], dtype=np.float32)
    assert geometry.distance(rows, rows[0]).tolist() == [0.0, 0.25]
    assert geometry.distance(rows, rows[0]).dtype == geometry.nearest(rows, rows[:1]).dtype == np.float32
    assert geometry.nearest(np.array([[3], [0]]), np.array([[0], [10]])).tolist() == [3.0, 0.0]  # whole numbers too


def test_the_nearest_takes_memory_for_rows_and_not_for_pairs() -> None:
    rows, others = rng().normal(size=(20_000, 4)), rng(1).normal(size=(3000, 4))
    tracemalloc.start()
    geometry.nearest(rows, others)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20, "all pairs are 458 MiB"


def test_badge_is_k_means_plus_plus_on_the_gradients_written_out() -> None:
    pool = drawn(n=12)
    mean = pool.mean
    errors = mean - np.eye(3)[mean.argmax(1)]
    gradients = (errors[:, :, None] * pool.features[:, None, :]).reshape(12, -1)
    for seed in range(5):
        batch = badge(pool, 4, rng=rng(seed))
        assert batch.items[0] == np.linalg.norm(gradients, axis=1).argmax()
        for step in range(1, 4):
            before = gradients[batch.items[:step]]
            squared = ((gradients[:, None] - before) ** 2).sum(2).min(1)
            assert batch.propensities[step] == pytest.approx((squared / squared.sum())[batch.items[step]])


def test_max_herding_is_greedy_coverage_written_out() -> None:
    pool = drawn(n=15, labelled=2)
    rows, known = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (pool.features, pool.labelled))
    kernel = np.exp(-((rows[:, None] - rows) ** 2).sum(2))
    covered = np.exp(-((rows[:, None] - known) ** 2).sum(2)).max(1)
    expected: list[int] = []
    for _ in range(5):
        gains = np.maximum(kernel - covered, 0.0).mean(1)
        expected.append(int(gains.argmax()))
        covered = np.maximum(covered, kernel[expected[-1]])
    assert max_herding(pool, 5, rng=rng()).items.tolist() == expected


def test_probcover_is_the_greedy_cover_written_out() -> None:
    pool = drawn(n=40, size=2, labelled=3)
    radius = 0.6
    edges = np.linalg.norm(pool.features[:, None] - pool.features, axis=2) <= radius
    covered = (np.linalg.norm(pool.features[:, None] - pool.labelled, axis=2) <= radius).any(1)
    for item in probcover(pool, 8, rng=rng(), radius=radius).items:
        degrees = edges[:, ~covered].sum(1)
        assert degrees[item] == degrees.max()
        covered |= edges[item]


def test_probcover_by_hand() -> None:
    pool = on_line(0.0, 1.0, 2.0, 10.0, 11.0, 30.0)
    assert probcover(pool, 2, rng=rng(), radius=1.0).items[0] == 1  # three within one
    assert set(probcover(pool, 2, rng=rng(), radius=1.0).items[1:].tolist()) <= {3, 4}
    near = on_line(0.0, 1.0, 2.0, 10.0, 11.0, 30.0, labelled=(1.0,))
    assert probcover(near, 1, rng=rng(), radius=1.0).items[0] in {3, 4}


def test_the_radius_is_pure() -> None:
    features = blobs().features
    radius = pure_radius(features, 2, rng=rng())
    assert 10.0 < radius < 15.0  # reaches nearly to the other group and not into it
    apart = np.linalg.norm(features[:20, None] - features[20:], axis=2)
    both = np.concatenate([apart.min(1), apart.min(0)])
    assert (both > radius).mean() >= 0.95
    assert pure_radius(np.ones((5, 2)), 2, rng=rng()) == np.inf


def test_typiclust_goes_where_no_label_is_and_takes_the_most_typical() -> None:
    pool = blobs(labelled=1)
    item = int(typiclust(pool, 1, rng=rng()).items[0])
    far = pool.features[20:]
    mean_distance = np.linalg.norm(far[:, None] - far, axis=2).sum(1)  # all 19 others are its neighbours
    assert item == 20 + mean_distance.argmin()


def test_typiclust_has_one_of_each_group_at_first() -> None:
    assert {int(item) // 20 for item in typiclust(blobs(), 2, rng=rng()).items} == {0, 1}


def test_clue_weighs_by_uncertainty() -> None:
    pool = on_line(0.0, 1.0, 10.0, 11.0)
    samples = pool.samples.copy()
    samples[0, [0, 3]] = [0.999, 0.001]  # of each group one is certain: the centre lies at the other
    assert set(clue(replace(pool, samples=samples), 2, rng=rng()).items.tolist()) == {1, 2}


def test_drop_query_asks_only_what_the_draws_disagree_on() -> None:
    pool = on_line(0.0, 1.0, 10.0, 11.0)
    samples = np.tile([0.9, 0.1], (5, 4, 1))
    samples[:, [1, 2]] = [0.45, 0.55]
    samples[0, [1, 2]] = [1.0, 0.0]  # the mean says the first class, four of five draws the second
    disagreeing = Pool.unlabelled(samples, pool.features)
    assert set(drop_query(disagreeing, 2, rng=rng()).items.tolist()) == {1, 2}


def test_ranked_batch_counts_what_it_has_chosen_as_labelled() -> None:
    pool = on_line(10.0, 10.1, -4.0, labelled=(0.0,))
    assert choose_ranked_batch(pool, 2, rng=rng()).items.tolist() == [1, 2]


def test_falcun_draws_by_uncertainty_and_distance() -> None:
    """Scores 2, 2 and 0.8 at first; then the L1 distances from A, of which C's is the larger, are scaled to 0 … 1."""
    shares = np.array([2.0, 2.0, 0.8]) ** 10
    shares /= shares.sum()
    for seed in range(20):
        batch = falcun(three(), 2, rng=rng(seed))
        assert batch.propensities[0] == pytest.approx(shares[batch.items[0]])
        if batch.items[0] == 0:
            # distances 0, 0 and .6, but never above u: 0, 0, .4, scaled 0, 0, 1
            after = np.array([0.0, 1.0, 1.4]) ** 10
            assert batch.propensities[1] == pytest.approx((after / after.sum())[batch.items[1]])


def test_similar_finds_what_is_like_the_rare_class() -> None:
    samples = np.full((1, 3, 2), 0.5)
    features = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    known = np.array([[0.9, 0.1], [0.1, 2.0], [0.0, 1.0]])
    pool = Pool(samples, features, known, np.array([1, 0, 0]), np.full((1, 3, 2), 0.5))
    assert similar(pool, 1, rng=rng()).items[0] == 0  # class 1 has one label, near the first
    assert similar(pool, 1, rng=rng(), examples=np.array([[-2.0, 0.1]])).items[0] == 2


def test_similar_covers_the_examples() -> None:
    features = np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0]])
    pool = Pool.unlabelled(np.full((1, 3, 2), 0.5), features)
    assert 2 in similar(pool, 2, rng=rng(), examples=np.eye(2), eta=0.0).items


def test_seals_looks_only_near_the_labels() -> None:
    pool = blobs(labelled=1)
    samples = pool.samples.copy()
    samples[:, :20] = [0.8, 0.2]  # the group without a label is less certain, and out of sight
    near = seals(replace(pool, samples=samples), 5, rng=rng(), n_neighbours=20)
    assert near.items.max() < 20
    assert seals(replace(pool, samples=samples), 5, rng=rng(), n_neighbours=40).items.min() >= 20


def test_hierarchical_leaves_a_group_that_is_known() -> None:
    """Thirty labels of one class in the first group, of both in the second: most draws go to the second."""
    pool = blobs(labelled=60)
    known = pool.labelled.copy()
    known[30:] += 10.0
    mixed = replace(pool, labelled=known, labels=np.r_[np.zeros(30), np.arange(30) % 2].astype(np.intp))
    first = np.array([hierarchical(mixed, 1, rng=rng(seed)).items[0] for seed in range(100)])
    assert (first >= 20).mean() > 0.8


def test_hierarchical_weighs_a_node_by_its_size_and_doubt() -> None:
    """Without labels, or with two that agree, there is one node, and all 40 candidates are as likely."""
    for labelled in (0, 2):
        batch = hierarchical(blobs(labelled), 1, rng=rng())
        assert batch.propensities[0] == pytest.approx(1 / 40)
