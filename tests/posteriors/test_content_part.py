"""What answers say of other items by content alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.posteriors.belief import Belief
from palate.posteriors.content_part import MOST, ContentPart, Rows, learn_variances
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian, Probit
from palate.posteriors.taste import Taste

N, D, C = 40, 2, 12
RNG = np.random.default_rng(0)


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


WORDS = unit(np.abs(RNG.normal(size=(N, C))))
VECTORS = RNG.normal(size=(N, 5)).astype(np.float32)
ROWS = Rows.of(sparse.csr_array(WORDS.astype(np.float32)), VECTORS)


def taste(likelihood: object = Gaussian(), dim: int = D) -> Taste:
    means = RNG.normal(size=(N, dim + 1))
    return Taste.build(Items.build(means, np.tile(0.01 * np.eye(dim + 1), (N, 1, 1)), np.full(N, 0.5)), likelihood)  # type: ignore[arg-type]


def test_the_mean_is_that_of_the_joint_normal_by_hand() -> None:
    of, answered, values = taste(), np.array([3, 7, 11]), np.array([1.0, -2.0, 0.5])
    part = ContentPart(ROWS, (0.8, 0.3))
    row = sparse.csr_matrix((values, answered, [0, 3]), shape=(1, N))
    belief = of.believe(row, of_users=np.array([1.5])).of(0)
    directions = unit(VECTORS.astype(np.float64))
    w, k = of.items.factors, 0.8 * WORDS @ WORDS.T + 0.3 * directions @ directions.T
    whole = w @ w.T + k
    noise = np.diag(of.answer_noise(answered, 1.5))
    among = whole[np.ix_(answered, answered)] + noise
    expected = of.items.level + whole[:, answered] @ np.linalg.solve(among, values - of.items.level[answered])
    shift = part.shift(of, of.start, belief, answered.tolist(), values.tolist(), 1.5)
    assert of.items.level + w @ belief.mean + shift == pytest.approx(expected, abs=1e-5)


def test_without_answers_or_without_variance_nothing_moves() -> None:
    of = taste()
    assert not ContentPart(ROWS, (0.8, 0.3)).shift(of, of.start, of.start, [], []).any()
    moved = ContentPart(ROWS, (0.0, 0.0)).shift(of, of.start, of.start, [1, 2], [1.0, 2.0])
    assert moved == pytest.approx(np.zeros(N), abs=1e-12)


def test_an_item_without_content_moves_only_by_taste() -> None:
    words, vectors = WORDS.copy(), VECTORS.copy()
    words[5], vectors[5] = 0.0, 0.0
    of = taste(dim=1)
    of = Taste.build(Items.build(np.zeros((N, 2)), np.zeros((N, 2, 2)), np.full(N, 0.5)), Gaussian())
    part = ContentPart(Rows.of(sparse.csr_array(words.astype(np.float32)), vectors), (0.8, 0.3))
    shift = part.shift(of, of.start, of.start, [1, 2, 3], [1.0, 1.0, 1.0])
    assert shift[5] == 0.0 and np.isfinite(shift).all() and shift[1] > 0.1


def test_a_like_moves_items_of_like_content_up_and_a_dislike_down() -> None:
    of = Taste.build(Items.build(np.zeros((N, 2)), np.tile(1e-4 * np.eye(2), (N, 1, 1)), np.ones(N)), Probit())
    part, near = ContentPart(ROWS, (1.0, 0.0)), int(np.argsort(-WORDS[0] @ WORDS.T)[1])
    for value, sign in ((1.0, 1.0), (0.0, -1.0)):
        row = sparse.csr_matrix(([value], [0], [0, 1]), shape=(1, N))
        assert sign * part.shift(of, of.start, of.believe(row).of(0), [0], [value])[near] > 0.1


def test_of_many_answers_the_newest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST >= 500
    monkeypatch.setattr("palate.posteriors.content_part.MOST", 2)
    of, part = taste(), ContentPart(ROWS, (0.8, 0.3))
    some = part.shift(of, of.start, of.start, [2, 3], [1.0, 2.0])
    assert np.array_equal(part.shift(of, of.start, of.start, [1, 2, 3], [5.0, 1.0, 2.0]), some)


def answers(strength: float, seed: int = 0) -> sparse.csr_matrix:
    """Of 80 people, each with a function of the words of their own."""
    rng = np.random.default_rng(seed)
    own = strength * rng.normal(size=(80, C)) @ WORDS.T
    seen = rng.random((80, N)) < 0.6
    rows, columns = np.nonzero(seen)
    return sparse.csr_matrix(((own + 0.7 * rng.normal(size=own.shape))[seen], (rows, columns)), shape=(80, N))


def learnt(values: sparse.csr_matrix, rows: Rows = ROWS) -> tuple[float, float]:
    flat = Taste.build(Items.build(np.zeros((N, 2)), np.zeros((N, 2, 2)), np.full(N, 0.5)), Gaussian())
    return learn_variances(rows, flat, flat.items, values, np.ones(80), rng=np.random.default_rng(1))


def test_variances_are_found_where_people_go_by_words_and_none_where_they_do_not() -> None:
    words, vectors = learnt(answers(1.0))
    assert 0.4 <= words <= 1.6 and vectors <= 0.1  # it was 1 and 0
    assert learnt(answers(0.0))[0] <= 0.05


def test_nobody_with_answers_enough_or_no_content_gives_none() -> None:
    few = sparse.csr_matrix((np.ones(2), ([0, 1], [0, 1])), shape=(80, N))
    assert learnt(few) == (0.0, 0.0)
    assert learnt(answers(1.0), Rows.of(None, None)) == (0.0, 0.0)
    assert learnt(answers(1.0), Rows.of(sparse.csr_array((N, C), dtype=np.float32), None)) == (0.0, 0.0)


def test_the_belief_is_about_one_person() -> None:
    of = taste()
    start = Belief(np.ones(D), 0.5 * np.eye(D))
    shift = ContentPart(ROWS, (0.5, 0.0)).shift(of, start, start, [0], [1.0])
    w, k = of.items.factors, 0.5 * WORDS @ WORDS.T
    plain = 0.5 * w @ w.T
    noise, left = of.answer_noise(0), 1.0 - of.items.level[0] - w[0].sum()
    joint, alone = plain + k, plain
    expected = left * (joint[:, 0] / (joint[0, 0] + noise) - alone[:, 0] / (alone[0, 0] + noise))
    assert shift == pytest.approx(expected, abs=1e-6)
