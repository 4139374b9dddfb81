import sys

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.errors import DataError, MissingExtra, OptionError
from palate.oracles.label_propagation import ALPHA, Propagation, content_graph, spread

CHAIN = sparse.csr_matrix(np.eye(5, k=1) + np.eye(5, k=-1))


def test_neighbours_are_joined_both_ways_and_nothing_to_itself():
    angles = np.radians([0.0, 10.0, 25.0, 90.0])
    graph = content_graph(np.stack([np.cos(angles), np.sin(angles)], 1), k=1).toarray()
    assert graph.tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_an_item_without_content_has_no_neighbour():
    graph = content_graph(np.array([[1.0, 0], [0, 0], [1.0, 0.1], [0, 1]]), k=5).toarray()
    assert graph[1].tolist() == [0, 0, 0, 0] and graph[:, 1].tolist() == [0, 0, 0, 0]
    assert graph[0].tolist() == [0, 0, 1, 1]  # k is more than there are
    assert content_graph(np.zeros((3, 4))).nnz == 0


@pytest.mark.parametrize(
    ("content", "k", "error", "message"),
    [
        (
            np.zeros((1, 3)),
            3,
            DataError,
            "content of shape (1, 3) makes no graph. Give finite encodings of two items or more.",
        ),
        (
            np.full((4, 3), np.nan),
            3,
            DataError,
            "content of shape (4, 3) makes no graph. Give finite encodings of two items or more.",
        ),
        (np.ones((4, 3)), 0, OptionError, "k is 0. Join each item to at least 1 other."),
    ],
)
def test_bad_content(content, k, error, message):
    with pytest.raises(error) as caught:
        content_graph(content, k=k)
    assert str(caught.value) == message


def test_two_labels_meet_in_the_middle():
    shares = spread(CHAIN, np.array([0, 4]), np.array([0, 1]), n_classes=2)
    np.testing.assert_allclose(shares[2], [0.5, 0.5])
    assert shares[0, 0] > shares[1, 0] > 0.5 > shares[3, 0] > shares[4, 0]


def test_it_rests_where_the_closed_form_does():
    """F = (1 - α) (I - αS)⁻¹ Y, by row."""
    rng = np.random.default_rng(1)
    graph = content_graph(rng.normal(size=(30, 4)), k=4)
    root = 1.0 / np.sqrt(np.asarray(graph.sum(1)).ravel())
    labels = np.zeros((30, 2))
    labels[[0, 5], [1, 0]] = 1.0
    rest = np.linalg.solve(np.eye(30) - ALPHA * root[:, None] * graph.toarray() * root, labels)
    shares = spread(graph, np.array([0, 5]), np.array([1, 0]), n_classes=2)
    np.testing.assert_allclose(shares, rest / rest.sum(1, keepdims=True), atol=0.01)


def test_no_label_and_no_way_to_one_leave_nothing():
    assert not spread(CHAIN, np.array([], dtype=int), np.array([], dtype=int), n_classes=3).any()
    apart = sparse.block_diag([CHAIN, CHAIN]).tocsr()
    shares = spread(apart, np.array([0]), np.array([2]), n_classes=3)
    assert not shares[5:].any()
    np.testing.assert_allclose(shares[:5], np.tile([0, 0, 1.0], (5, 1)))


# --- as a view ------------------------------------------------------------------------------------


def clusters(rng, binary=False, users=40):
    """Two groups of items of like content; a user likes one of them better, by 2."""
    side = np.repeat([0, 1], 20)
    content = np.eye(2)[side] + 0.05 * rng.normal(size=(40, 2))
    level = np.full(40, 0.5 if binary else 3.0)
    prefers = rng.integers(2, size=users)
    above = side[None, :] == prefers[:, None]
    answers = above.astype(float) if binary else 3.0 + np.where(above, 1.0, -1.0) + 0.1 * rng.normal(size=above.shape)
    rows, columns = np.indices(answers.shape).reshape(2, -1)  # so that dislikes are kept as zeros
    return content_graph(content, k=5), level, sparse.csr_matrix((answers.ravel(), (rows, columns))), side


def test_ratings_are_told_by_neighbours(rng):
    graph, level, answers, side = clusters(rng)
    view = Propagation.fit(graph, level, np.full(40, 1.0), answers, rng=rng)
    made = view.predict(np.array([0, 25]), np.array([4.0, 2.0]))
    assert view.slope == pytest.approx(1.0, abs=0.2)
    np.testing.assert_allclose(made.values, np.where(side == 0, 4.0, 2.0), atol=0.4)


def test_where_labels_contradict_each_other_it_is_less_sure(rng):
    graph, level, answers, _ = clusters(rng)
    view = Propagation.fit(graph, level, np.full(40, 1.0), answers, rng=rng)
    agree = view.predict(np.array([0, 1]), np.array([4.0, 4.0]))
    contradict = view.predict(np.array([0, 1]), np.array([4.0, 2.0]))
    assert agree.certainty[5] > contradict.certainty[5]


def test_content_that_says_nothing_is_not_listened_to():
    rng = np.random.default_rng(3)
    graph = content_graph(rng.normal(size=(40, 8)))
    answers = sparse.csr_matrix(3.0 + rng.normal(size=(200, 40)))
    view = Propagation.fit(graph, np.full(40, 3.0), np.ones(40), answers, rng=rng)
    assert 0.0 <= view.slope < 0.1


def test_nothing_is_said_where_no_label_arrives():
    apart = sparse.block_diag([CHAIN, CHAIN]).tocsr()
    made = Propagation(apart, np.full(10, 3.0), np.ones(10), slope=1.0).predict(np.array([0]), np.array([5.0]))
    assert np.isfinite(made.certainty[:5]).all() and (made.certainty[5:] == -np.inf).all()


def test_likes_have_calibrated_probabilities(rng):
    graph, level, answers, side = clusters(rng, binary=True)
    view = Propagation.fit(graph, level, np.full(40, 0.25), answers, rng=rng)
    one_of_each = np.array([0, 25]), np.array([1.0, 0.0])
    chance = view.probability(*one_of_each)
    assert ((chance >= 0.0) & (chance <= 1.0)).all() and chance[side == 0].min() > chance[side == 1].max()
    assert view.predict(*one_of_each).values.tolist() == (side == 0).astype(float).tolist()


def test_ratings_have_no_probability_of_a_like():
    with pytest.raises(OptionError) as caught:
        Propagation(CHAIN, np.zeros(5), np.ones(5)).probability(np.array([0]), np.array([1.0]))
    assert str(caught.value) == ("the answers are ratings, of which there is no probability of a like. Predict values.")


def test_without_scikit_learn_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.neighbors", None)
    with pytest.raises(MissingExtra) as caught:
        content_graph(np.eye(3))
    assert str(caught.value).startswith("label propagation needs the library 'scikit-learn', which is not installed.")
