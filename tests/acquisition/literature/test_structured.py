"""Trees, clusters and aspects on tables small enough to work out by hand; the contract for each strategy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.special import xlogy

from palate.acquisition import STRATEGIES, Candidates, Given, Population, Strategy
from palate.acquisition.literature import aspects as aspect_module
from palate.acquisition.literature import clusters as groups
from palate.acquisition.literature import regression_tree, trees
from palate.acquisition.literature.aspects import (
    Aspects,
    aspect_model,
    bayesian_aspect,
    fit_mixture,
    flexible_mixture,
    personalised,
)
from palate.acquisition.literature.clusters import igcn, nearest, user_partitioning
from palate.acquisition.literature.crowd import clusters, codes, opinions, sample
from palate.acquisition.literature.questionnaire import relative_questions, static_pairs
from palate.acquisition.literature.trees import decision_tree, functional_mf, multi_question_tree
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste

Array = np.ndarray
RNG = np.random.default_rng(0)
STRUCTURED = [one for one in STRATEGIES.values() if one.idea == "A structure learnt first" or one.unit == "places"]
# 6 users, 4 items, -1 is no rating. Items 0 and 1 are loved by the first three and hated by the others; item 2 is loved
# by all who know it; the last nobody knows.
TABLE = [
    [5, 5, 4, -1],
    [5, 4, -1, -1],
    [4, 5, 4, -1],
    [1, 2, -1, -1],
    [2, 1, 4, -1],
    [1, -1, -1, -1],
]


def crowd(table: list[list[float]] | Array = TABLE, factors: Array | None = None, noise: float = 1.0) -> Population:
    known = np.array(table, dtype=float)
    cells = np.nonzero(known >= 0)
    n_items = known.shape[1]
    factors = np.column_stack([np.ones(n_items), np.arange(n_items) / 4]) if factors is None else np.array(factors)
    means = np.column_stack([np.full(n_items, 3.0), factors])
    size = means.shape[1]
    items = Items.build(means, np.zeros((n_items, size, size)), np.full(n_items, noise))
    answers = sparse.csr_matrix((known[cells], cells), shape=known.shape)
    return Population(answers, np.arange(1.0, 6.0), Taste.build(items, Gaussian()))


def offered(population: Population, *given: tuple[int, float]) -> tuple[Belief, Candidates]:
    columns = np.array([column for column, _ in given], dtype=np.intp)
    told = Given(columns, np.array([value for _, value in given], dtype=float))
    n = population.n_items
    candidates = Candidates.of_all(population, np.zeros((n, 5)), targets=np.full(n, 1 / n))
    return population.taste.start, replace(candidates, given=told)


def asked(strategy, population: Population, *given: tuple[int, float]) -> Array:
    return strategy(*offered(population, *given), rng=RNG)


# ---- shared pieces --------------------------------------------------------------------------------------------------


def test_levels_and_opinions_of_ratings() -> None:
    assert codes(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0, 5.0, 6.0])).tolist() == [0, 1, 2, 2, 2]
    population = crowd()
    assert population.mean == pytest.approx(47 / 14)
    signs = opinions(population.answers, population.mean).toarray()
    assert signs[0].tolist() == [1, 1, 1, 0]
    assert signs[4].tolist() == [-1, -1, 1, 0]


def test_a_large_crowd_is_thinned_evenly_and_silent_users_stay_out() -> None:
    matrix = sparse.csr_matrix(np.array([[1.0, 2], [0, 0], [3, 4], [5, 6], [7, 8]]))
    assert sample(matrix, 100).toarray().tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert sample(matrix, 4).toarray().tolist() == [[1, 2], [5, 6]]


def test_clusters_are_the_groups_that_lie_apart() -> None:
    points = np.array([[0.0, 0], [0, 1], [10, 0], [10, 1], [30, 0], [30, 1]])
    found = clusters(points, 3)
    assert found[0] == found[1] != found[2] == found[3] != found[4] == found[5] != found[0]
    assert clusters(np.ones((4, 2)), 3).tolist() == [0, 0, 0, 0]
    assert clusters(np.zeros((0, 2)), 3).tolist() == []


def test_the_nearest_users_agree_with_the_answers() -> None:
    population = crowd()
    given = Given(np.array([0, 3]), np.array([5.0, np.nan]))
    # item 0 is rated by all: nearer is who rated it closer to 5, users 0 and 1 alike
    assert nearest(population, given, 4).tolist() == [0, 1, 2, 4]
    assert nearest(population, Given.nothing(), 2).tolist() == [0, 1, 2, 3, 4, 5]


def test_one_agreement_by_chance_weighs_less_than_two() -> None:
    population = crowd([[4, -1, 1], [4, 4, 1], [-1, -1, 5], [1, 1, 1]])
    given = Given(np.array([0, 1]), np.array([4.0, 4.0]))
    assert nearest(population, given, 3).tolist() == [1, 0, 2]


# ---- IGCN -----------------------------------------------------------------------------------------------------------


def test_information_gain_by_hand() -> None:
    """Two clusters of two. Item 0 tells the cluster: ratings (1, 1 | 5, 5). Item 1 is rated by the first cluster only.

    Item 2 gets the same answer of all: nothing. Item 3: one of each cluster rates it 3: nothing.
    """
    population = crowd([[1, 2, 3, 3], [1, 2, 3, -1], [5, -1, 3, 3], [5, -1, 3, -1]])
    found = groups.gains(population, np.array([0, 0, 1, 1]), np.arange(4))
    # item 1: weights 2 of cluster 0 under "2", 2 · ½ of cluster 1 under "not rated": H(1/3)
    entropy = -(xlogy(1 / 3, 1 / 3) + xlogy(2 / 3, 2 / 3))
    assert found.tolist() == pytest.approx([np.log(2), entropy, 0.0, 0.0], abs=1e-12)


def test_information_gain_counts_only_some_users() -> None:
    population = crowd([[1, 2, 3, 3], [1, 2, 3, -1], [5, -1, 3, 3], [5, -1, 3, -1]])
    found = groups.gains(population, np.array([0, 0, 1, 1]), np.array([0, 1]))
    assert found.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-12)
    assert groups.gains(population, np.zeros(4, dtype=np.intp), np.arange(4)).max() == pytest.approx(0.0, abs=1e-12)


def test_igcn_turns_to_the_nearest_users_after_five_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "NEIGHBOURS", 4)
    rng = np.random.default_rng(1)
    table = rng.integers(1, 6, (12, 8)).astype(float)
    population = crowd(table)
    plain = asked(igcn, population)
    four = [(item, 3.0) for item in range(4)]
    np.testing.assert_array_equal(asked(igcn, population, *four), plain)
    personal = asked(igcn, population, *four, (4, 3.0))
    labels = clusters(population.tastes, groups.CLUSTERS)
    given = Given(np.arange(5), np.full(5, 3.0))
    np.testing.assert_allclose(personal, groups.gains(population, labels, nearest(population, given, 4)))
    assert not np.allclose(personal, plain)


# ---- decision tree --------------------------------------------------------------------------------------------------


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


# ---- functional matrix factorisation --------------------------------------------------------------------------------


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


# ---- several questions a node ---------------------------------------------------------------------------------------


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


# ---- aspects --------------------------------------------------------------------------------------------------------


def two_aspects() -> Aspects:
    """Three items, two levels, two aspects: the first item tells them apart, the second a little, the last not."""
    like = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    return Aspects(np.stack([1 - like, like], 1), np.array([0.5, 0.5]), 2.0)


def entropy(*shares: float) -> float:
    return -float(sum(xlogy(share, share) for share in shares))


def test_the_fall_of_the_entropy_by_hand() -> None:
    """θ = (½, ½) from 1 answer: an answer to the first item makes γ = (.9, .1) or (.1, .9) and θ' = (θ + γ) / 2."""
    aspects = two_aspects()
    found = aspect_module.entropy_fall(aspects.table, aspects.prior, 1.0)
    expected = [entropy(0.5, 0.5) - entropy(*moved) for moved in ((0.7, 0.3), (0.55, 0.45), (0.5, 0.5))]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_fall_of_the_entropy_of_an_uneven_mixture() -> None:
    own, weight = np.array([0.8, 0.2]), 3.0
    likes = 0.8 * 0.9 + 0.2 * 0.1
    yes, no = np.array([0.72, 0.02]) / likes, np.array([0.08, 0.18]) / (1 - likes)
    after = likes * entropy(*(3 * own + yes) / 4) + (1 - likes) * entropy(*(3 * own + no) / 4)
    found = aspect_module.entropy_fall(two_aspects().table, own, weight)
    assert found[0] == pytest.approx(entropy(*own) - after)


def test_a_users_mixture_is_where_the_answers_and_the_prior_agree() -> None:
    aspects, levels = two_aspects(), np.array([0.0, 1.0])
    own, weight = aspect_module.point(aspects, Given(np.array([0, 1]), np.array([1.0, np.nan])), levels)
    assert weight == 2.0  # one answer, and the prior's one
    responsible = own * np.array([0.9, 0.1])
    assert own == pytest.approx((responsible / responsible.sum() + aspects.prior) / 2, abs=1e-3)  # a fixed point
    nobody, weight = aspect_module.point(aspects, Given.nothing(), levels)
    assert (nobody.tolist(), weight) == ([0.5, 0.5], 1.0)


def test_the_posterior_of_a_mixture_counts_the_answers() -> None:
    aspects, levels = two_aspects(), np.array([0.0, 1.0])
    counts = aspect_module.posterior(aspects, Given(np.array([0, 0, 0]), np.array([1.0, 1.0, 0.0])), levels)
    assert counts.sum() == pytest.approx(2.0 + 3.0)
    assert counts[0] > counts[1]
    assert aspect_module.posterior(aspects, Given.nothing(), levels).tolist() == [1.0, 1.0]


def test_the_bayesian_average_has_the_closed_form_it_claims(rng: np.random.Generator) -> None:
    """The source draws models from the posterior; its average over many draws is the closed form."""
    alpha, aspects = np.array([2.0, 1.0]), two_aspects()
    total, mean = alpha.sum(), alpha / alpha.sum()
    draws = rng.dirichlet(alpha, 400_000)
    for item in range(3):
        found = 0.0
        for level in range(2):
            chance = aspects.table[item, level]
            moved = (total * mean + mean * chance / (mean @ chance)) / (total + 1)
            found += float(((draws @ chance)[:, None] * draws * np.log(moved / mean)).sum(1).mean())
        closed = aspect_module.entropy_fall(aspects.table[[item]], mean, total)[0]
        assert closed == pytest.approx(found, abs=1e-3)


def test_the_moments_of_mixtures_give_their_dirichlet(rng: np.random.Generator) -> None:
    mean, strength = aspect_module.concentration(rng.dirichlet([2.0, 4.0, 2.0], 50_000))
    assert mean == pytest.approx([0.25, 0.5, 0.25], abs=0.01)
    assert strength == pytest.approx(8.0, abs=0.2)
    assert aspect_module.concentration(np.full((3, 2), 0.5))[1] == 100.0


def two_crowds() -> Population:
    """Half the users love items 0 to 3 and hate 4 to 7, half the other way round; item 8 is rated at random, 9 never.

    Item 10 has one rating.
    """
    rng = np.random.default_rng(0)
    side = np.repeat([[5, 5, 5, 5, 1, 1, 1, 1], [1, 1, 1, 1, 5, 5, 5, 5]], 20, 0).astype(float)
    side[rng.random(side.shape) < 0.2] = -1
    noise = rng.integers(1, 6, (40, 1))
    once = np.where(np.arange(40) == 0, 5, -1)[:, None]
    factors = np.column_stack([np.array([1.0] * 4 + [-1.0] * 4 + [0.0] * 3), np.full(11, 0.01)])
    return crowd(np.hstack([side, noise, np.full((40, 1), -1), once]), factors=factors)


@pytest.mark.parametrize("strategy", [aspect_model, bayesian_aspect, flexible_mixture])
def test_aspects_ask_for_what_tells_two_crowds_apart(strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aspect_module, "ASPECTS", 2)  # more would tell apart whatever is left, such as item 8
    found = asked(strategy, two_crowds())
    assert found[:8].min() > max(found[8], found[9])
    assert (found >= 0).all()


@pytest.mark.parametrize("strategy", [aspect_model, bayesian_aspect])
def test_an_item_that_nobody_rated_tells_nothing_of_aspects(strategy) -> None:
    found = asked(strategy, two_crowds())
    assert found[9] == pytest.approx(0.0, abs=1e-12)
    assert 0 < found[10] < found[:8].min()


@pytest.mark.parametrize("fit", [aspect_module.fit_aspects, fit_mixture])
def test_fitted_aspects_are_probabilities_and_find_the_crowds(fit) -> None:
    population = two_crowds()
    aspects = fit(population)
    np.testing.assert_allclose(aspects.table.sum(1), 1.0)
    assert aspects.table.min() > 0
    assert aspects.prior.sum() == pytest.approx(1.0)
    told = (Given(np.array([0]), np.array([value])) for value in (5.0, 1.0))
    fan, foe = (aspect_module.point(aspects, given, population.level_values)[0] for given in told)
    likes_next, likes_other = aspects.table[1, 4], aspects.table[4, 4]
    assert likes_next @ fan > likes_next @ foe + 0.1
    assert likes_other @ foe > likes_other @ fan + 0.1


def test_personalised_is_the_aspects_value_times_the_chance_of_an_answer() -> None:
    belief, candidates = offered(two_crowds())
    candidates = replace(candidates, known=np.linspace(0.1, 1.0, 11))
    plain = bayesian_aspect(belief, candidates, rng=RNG)
    np.testing.assert_allclose(personalised(belief, candidates, rng=RNG), candidates.known * plain)


# ---- user partitioning ----------------------------------------------------------------------------------------------


def test_a_split_of_users_by_hand() -> None:
    """Tastes come of one item alone, so that the parts can be summed by hand."""
    population = crowd([[5, 1, -1], [5, 5, -1], [1, 1, 3], [1, 5, 3]], factors=[[1.0], [0.0], [0.0]])
    z = population.tastes[:, 0]  # (5 - 3) / 2 and (1 - 3) / 2 with unit noise and prior
    assert z.tolist() == pytest.approx([1, 1, -1, -1])
    found = groups.splits(population, np.arange(4))
    # item 0: parts (1, 1) and (-1, -1), item 1: parts that sum to 0, item 2: those with a 3 and those without
    assert found.tolist() == pytest.approx([2 * 4 / 7, 0.0, 2 * 4 / 7])


def test_user_partitioning_splits_the_users_like_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "NEIGHBOURS", 2)
    population = crowd([[5, 1, -1], [5, 5, -1], [1, 1, 3], [1, 5, 3]], factors=[[1.0], [0.5], [0.0]])
    found = asked(user_partitioning, population, (0, 5.0))
    np.testing.assert_allclose(found, groups.splits(population, np.array([0, 1])))
    assert found.argmax() == 1


# ---- relative questions ---------------------------------------------------------------------------------------------


def test_relative_questions_by_hand() -> None:
    """Unit noise each. Items 0 and 1 lie furthest apart: (4, 0) lowers the error by 16 / 18; then items 2 and 3."""
    factors = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    pairs = static_pairs(crowd(factors=factors))
    assert pairs[:2] == [(0, 1), (2, 3)]
    assert len(pairs) == len(set(pairs)) == 6
    assert static_pairs(crowd(factors=factors), length=1) == [(0, 1)]


def test_relative_questions_are_of_well_known_items() -> None:
    assert static_pairs(crowd(), items=2) == [(0, 1)]  # item 3 differs most, but nobody knows it
    assert static_pairs(crowd(), items=1) == []


def test_pairs_that_are_alike_are_not_asked() -> None:
    assert static_pairs(crowd(factors=np.ones((4, 2)))) == []


def test_each_relative_question_lowers_the_error_most() -> None:
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(4, 2))
    population = crowd(factors=factors, noise=0.7)
    covariance = np.eye(2)
    for pair in static_pairs(population, length=3):
        errors = {}
        for a in range(4):
            for b in range(a + 1, 4):
                x = factors[a] - factors[b]
                errors[a, b] = np.trace(np.linalg.inv(np.linalg.inv(covariance) + np.outer(x, x) / 1.4))
        assert min(errors, key=errors.__getitem__) == pair or errors[pair] == pytest.approx(min(errors.values()))
        x = factors[pair[0]] - factors[pair[1]]
        covariance = np.linalg.inv(np.linalg.inv(covariance) + np.outer(x, x) / 1.4)


def test_items_are_scored_by_their_place_in_the_list() -> None:
    factors = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    population = crowd(factors=factors)
    assert asked(relative_questions, population).tolist() == [6, 6, 5, 5]
    _, candidates = offered(population)
    assert relative_questions(population.taste.start, candidates.take(np.array([3, 0])), rng=RNG).tolist() == [5, 6]


# ---- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", STRUCTURED, ids=lambda entry: entry.name)
@pytest.mark.parametrize("table", [[[4.0]], [[3, 3], [3, 3], [3, 3]], [[-1, -1]]], ids=["one", "alike", "nobody"])
def test_tiny_crowds_have_finite_scores(entry: Strategy, table: list[list[float]]) -> None:
    population = crowd(table, factors=np.zeros((len(table[0]), 2)))
    assert np.isfinite(asked(entry.score, population)).all()
    assert np.isfinite(asked(entry.score, population, (0, 3.0))).all()
