"""Trees of questions against their definitions and numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition import Given
from palate.acquisition.literature import regression_tree, trees
from palate.acquisition.literature.crowd import opinions
from palate.acquisition.literature.trees import decision_tree, functional_mf, multi_question_tree
from tests.acquisition.crowds import TABLE, Array, asked, crowd, offered


def brute_force_gain(table: Array, question: int, mean: float, means: Array) -> float:
    """The definition, user by user: squared error about the node's means less that about the groups' smoothed ones."""
    answers = table[:, question]
    groups = np.where(answers < 0, 2, np.where(answers >= mean, 0, 1))
    fall = 0.0
    for group in range(3):
        for item in range(table.shape[1]):
            ratings = table[groups == group, item]
            ratings = ratings[ratings >= 0]
            smoothed = (ratings.sum() + trees.SMOOTHING * means[item]) / (len(ratings) + trees.SMOOTHING)
            fall += ((ratings - means[item]) ** 2).sum() - ((ratings - smoothed) ** 2).sum()
    return fall


@pytest.mark.parametrize("smoothing", [0.5, 10.0])
def test_the_gain_of_a_split_is_the_fall_of_the_squared_error(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "SMOOTHING", smoothing)
    population, table = crowd(), np.array(TABLE, dtype=float)
    deviations = population.answers.copy()
    deviations.data = deviations.data - population.means[deviations.indices]
    signs = opinions(population.answers, population.mean)
    found = trees.split_gains(deviations, signs)
    expected = [brute_force_gain(table, item, population.mean, population.means) for item in range(4)]
    assert found.tolist() == pytest.approx(expected)
    assert found.argmax() == 0  # it divides the users into friends and foes of items 0 and 1


def test_the_gain_of_a_split_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """One item, ratings 5, 5, 1, 1 about a mean of 3, smoothed by one rating: groups 4 2/3 and 1 1/3.

    The error falls from 16 to 4 · (1/3)².
    """
    monkeypatch.setattr(trees, "SMOOTHING", 1.0)
    deviations = sparse.csr_matrix(np.array([[2.0], [2.0], [-2.0], [-2.0]]))
    found = trees.split_gains(deviations, sparse.csr_matrix(np.array([[1.0], [1.0], [-1.0], [-1.0]])))
    smoothed = 4 / 3  # (2 + 2) / (2 + 1)
    assert found.tolist() == pytest.approx([16 - 4 * (2 - smoothed) ** 2])


def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression_tree, "LEAST", 2)
    monkeypatch.setattr(trees, "SMOOTHING", 1.0)


def test_the_tree_asks_by_the_answers_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is asked item 0. Its lovers differ on item 1, its haters on item 2, and only there."""
    small_trees(monkeypatch)
    block = [[5, 5, 3, 5], [5, 1, 3, 1]], [[1, 3, 5, 3], [1, 3, 1, 3]]
    population = crowd([*block[0] * 4, *block[1] * 4])
    root = population.once("decision tree", trees.build_decision_tree)
    assert root.split.questions.tolist() == [0]
    assert asked(decision_tree, population).argmax() == 0
    loved, hated = asked(decision_tree, population, (0, 5.0)), asked(decision_tree, population, (0, 1.0))
    assert loved.argmax() in (1, 3)
    assert hated.argmax() == 2
    unknown = asked(decision_tree, population, (0, np.nan))
    np.testing.assert_array_equal(unknown, root.split.gains[np.argsort(root.split.columns)])  # nobody is there: a leaf


def test_a_question_that_cannot_be_put_counts_as_unknown() -> None:
    split = regression_tree.Split(np.array([0]), np.ones(1), 0.0, np.array([0, 1]), np.array([2.0, 1.0]))
    leaves = tuple(regression_tree.Node(replace(split, gains=np.array([0.0, float(group)]))) for group in range(3))
    root = regression_tree.Node(split, leaves)
    assert regression_tree.arrive(root, Given.nothing(), 3.0) is root
    assert regression_tree.arrive(root, Given(np.array([1]), np.array([5.0])), 3.0) is leaves[2]
    for value, group in ((3.0, 0), (2.9, 1), (np.nan, 2)):
        assert regression_tree.arrive(root, Given(np.array([1, 0]), np.array([5.0, value])), 3.0) is leaves[group]


def test_a_node_puts_its_question_first_and_what_it_did_not_weigh_last() -> None:
    population = crowd()
    split = regression_tree.Split(np.array([1]), np.ones(1), 0.0, np.array([0, 1]), np.array([2.0, 2.0]))
    leaf = regression_tree.Node(split)
    _, candidates = offered(population)
    found = regression_tree.scores(regression_tree.Node(split, (leaf, leaf, leaf)), candidates)
    assert found.argsort()[::-1].tolist() == [1, 0, 2, 3]  # items 2 and 3 by how many rated them, three and nobody
    assert found[2:].tolist() == [-1 / 4, -1.0]
    assert regression_tree.scores(leaf, candidates)[:2].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "build", [trees.build_decision_tree, trees.build_functional_mf, trees.build_multi_question_tree]
)
def test_a_tree_is_no_deeper_than_it_may_be_and_splits_no_few(build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression_tree, "DEPTH", 2)
    rng = np.random.default_rng(0)
    table = np.where(rng.random((200, 10)) < 0.7, rng.integers(1, 6, (200, 10)), -1).astype(float)
    root = build(crowd(table, factors=rng.normal(size=(10, 3))))
    depths = []

    def walk(node: regression_tree.Node, depth: int) -> None:
        depths.append(depth)
        for child in node.children:
            walk(child, depth + 1)

    walk(root, 0)
    assert max(depths) == 2
    monkeypatch.setattr(regression_tree, "LEAST", 201)
    assert build(crowd(table)).children == ()


def ridge_error(table: Array, users: Array, factors: Array, means: Array, above: Array, ridge: float) -> float:
    """Least of the squared error of one taste for these users, by solving the normal equations rating by rating."""
    design, target = [], []
    for row in table[users]:
        for item in np.flatnonzero(row >= 0):
            design.append(factors[item])
            target.append(row[item] - means[item])
    design, target = np.array(design).reshape(-1, len(above)), np.array(target)
    taste = np.linalg.solve(design.T @ design + ridge * np.eye(len(above)), design.T @ target + ridge * above)
    return float(((target - design @ taste) ** 2).sum() + ridge * ((taste - above) ** 2).sum())


def test_the_gain_of_a_taste_split_is_the_fall_of_the_ridge_error() -> None:
    factors = np.array([[1.0, 0.2], [0.9, -0.1], [0.1, 0.7], [0.3, 0.3]])
    population, table = crowd(factors=factors), np.array(TABLE, dtype=float)
    residuals = population.answers.copy()
    residuals.data = residuals.data - population.means[residuals.indices]
    signs = opinions(population.answers, population.mean)
    grower = trees.Tastes(residuals, signs, factors)
    above = np.array([0.3, -0.2])
    found = grower.gains(np.arange(6), above, signs)
    stays = sum(
        (row[item] - population.means[item] - factors[item] @ above) ** 2
        for row in table
        for item in np.flatnonzero(row >= 0)
    )
    for question in range(4):
        answers = table[:, question]
        groups = np.where(answers < 0, 2, np.where(answers >= population.mean, 0, 1))
        after = sum(
            ridge_error(table, groups == group, factors, population.means, above, grower.ridge) for group in range(3)
        )
        assert found[question] == pytest.approx(stays - after)
    assert grower.ridge == pytest.approx((residuals.data**2).mean())


def test_the_taste_of_a_node_lies_between_its_users_and_its_parent() -> None:
    """One item of factor 1 with residuals 2 and 2, ridge 4 (their mean square), parent 1: (4 + 4 · 1) / (2 + 4)."""
    residuals = sparse.csr_matrix(np.array([[2.0], [2.0]]))
    grower = trees.Tastes(residuals, residuals, np.ones((1, 1)))
    assert grower.fit(np.arange(2), np.array([1.0])).tolist() == pytest.approx([8 / 6])
    assert grower.tastes.tolist() == pytest.approx(np.full((2, 1), 8 / 6))


def test_factors_are_a_ridge_regression_on_the_nodes_tastes() -> None:
    """Users of tastes 1 and 2 rate an item 3 and 5 off its mean: (1·3 + 2·5) / (1 + 4 + ridge)."""
    residuals = sparse.csr_matrix(np.array([[3.0, 0.0], [5.0, 0.0]]))
    residuals.eliminate_zeros()
    found = trees.fit_factors(residuals, np.array([[1.0], [2.0]]), 0.5)
    assert found.tolist() == pytest.approx(np.array([[13 / 5.5], [0.0]]))


def test_functional_mf_asks_what_divides_tastes(monkeypatch: pytest.MonkeyPatch) -> None:
    small_trees(monkeypatch)
    found = asked(functional_mf, crowd(factors=[[1.0], [0.9], [0.1], [0.0]]))
    assert found.argmax() == 0


def test_matching_pursuit_takes_what_is_left_to_explain() -> None:
    columns = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [-1, 0, -1], [-1, -1, 0], [-1, -1, 1]], dtype=float)
    along = 3 * columns[:, 0] + columns[:, 2]
    matrix = sparse.csc_matrix(columns)
    assert trees.explained(matrix, along)[0] == pytest.approx((columns[:, 0] @ along) ** 2 / 7)
    chosen, weights = trees.matching_pursuit(matrix, along, 2)
    assert chosen.tolist() == [0, 2]
    both = columns[:, [0, 2]]
    np.testing.assert_allclose(weights, np.linalg.solve(both.T @ both + np.eye(2), both.T @ along))
    assert trees.matching_pursuit(matrix, np.zeros(6), 2)[0].tolist() == []


def test_several_answers_are_weighed_against_the_cut() -> None:
    split = regression_tree.Split(np.array([0, 1]), np.array([2.0, -1.0]), 1.0, np.array([0, 1]), np.array([1.0, 0.5]))
    answers = np.array([[1, 1], [1, -1], [0, -1], [0, 1], [-1, -1], [0, 0]], dtype=float)  # sums 1, 3, 1, -1, -1
    assert split.groups(answers).tolist() == [0, 0, 0, 1, 1, 2]


def test_the_questions_of_a_node_are_asked_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    small_trees(monkeypatch)
    rng = np.random.default_rng(0)
    factors, tastes = rng.normal(size=(10, 2)), rng.normal(size=(80, 2))
    table = np.clip(np.rint(3 + tastes @ factors.T + 0.3 * rng.normal(size=(80, 10))), 1, 5)
    table[rng.random(table.shape) < 0.3] = -1
    population = crowd(table, factors=factors)
    root = population.once("multi-question tree", trees.build_multi_question_tree)
    questions = root.split.questions.tolist()
    assert len(set(questions)) == trees.QUESTIONS
    given: list[tuple[int, float]] = []
    for question in questions:
        scores = asked(multi_question_tree, population, *given)
        scores[[column for column, _ in given]] = -np.inf
        assert scores.argmax() == question
        given.append((question, 5.0))
    child = root.children[int(root.split.groups(np.ones((1, 3)))[0])]
    assert asked(multi_question_tree, population, *given).argmax() == child.split.questions[0]
