from __future__ import annotations

import builtins

import numpy as np
import pytest

from palate.errors import DataError, LimitError, MissingExtra
from palate.evaluation import baselines
from palate.evaluation.baselines import Ease, Ials, Interactions, ItemKNN, Popularity, RecentPopularity

DAY = 86_400.0


def interactions(pairs, *, n_users=None, n_items=None, days=None) -> Interactions:
    users, items = np.array(pairs).T
    times = np.full(len(users), np.nan) if days is None else np.array(days) * DAY
    n_users, n_items = n_users or users.max() + 1, n_items or items.max() + 1
    return Interactions(users, items, np.ones(len(users)), times, int(n_users), int(n_items))


def two_camps(n_users=40, n_items=20) -> Interactions:
    """Even users take even items and odd users odd ones; each lacks one item of its camp."""
    pairs = [
        (user, item)
        for user in range(n_users)
        for item in range(user % 2, n_items, 2)
        if item != missing(user, n_items)
    ]
    return interactions(pairs)


def missing(user: int, n_items: int = 20) -> int:
    return (user // 2 * 2) % n_items + user % 2


def scores(model, data, users=None):
    fitted = model.fit(data, rng=np.random.default_rng(0))
    return fitted.score(np.arange(data.n_users) if users is None else np.asarray(users))


MODELS = [Popularity(), RecentPopularity(30.0), ItemKNN(5, 1.0), Ease(5.0), Ials(4, 0.025, 4.0)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_scores_are_finite_and_one_row_a_user(model):
    data = interactions(
        [(0, 0), (0, 1), (2, 1)], n_users=4, n_items=5, days=[0, 1, 2]
    )  # user 1, 3 and items 2-4: no row
    if isinstance(model, Ials):
        pytest.importorskip("implicit")
    found = scores(model, data, users=[3, 0])
    assert found.shape == (2, 5)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("model", [ItemKNN(8), Ease(1.0), Ials(4, 1.0, 1.0)], ids=lambda model: type(model).__name__)
def test_what_the_camp_likes_comes_first(model):
    if isinstance(model, Ials):
        pytest.importorskip("implicit")
    data = two_camps()
    found = scores(model, data)
    found[baselines.matrix_of(data).toarray() > 0] = -np.inf
    best = found.argmax(axis=1)
    assert np.mean(best == [missing(user) for user in range(data.n_users)]) >= 0.95


def test_popularity_counts():
    assert scores(Popularity(), interactions([(0, 2), (1, 2), (1, 0)]), users=[1]).tolist() == [[1.0, 0.0, 2.0]]


def test_an_interaction_counts_half_after_its_half_life():
    data = interactions([(0, 0), (0, 1), (1, 1), (1, 2)], days=[0.0, 10.0, 20.0, np.nan])
    assert scores(RecentPopularity(10.0), data, users=[0])[0] == pytest.approx([0.25, 1.5, 0.0])


def test_recent_popularity_needs_times():
    message = r"^the interactions have no timestamps. Recent popularity needs a timestamp column.$"
    with pytest.raises(DataError, match=message):
        scores(RecentPopularity(10.0), interactions([(0, 0)]))


def test_item_similarity_is_the_shrunk_cosine():
    data = interactions([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (3, 2)])
    found = scores(ItemKNN(neighbours=3, shrinkage=1.0), data, users=[2])[0]
    assert found == pytest.approx([0.0, 2 / (np.sqrt(3) * np.sqrt(2) + 1.0), 0.0])


def test_only_the_nearest_neighbours_count():
    data = interactions([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2)])
    fitted = ItemKNN(neighbours=1).fit(data, rng=np.random.default_rng(0))
    assert np.diff(fitted.weights.tocsc().indptr).tolist() == [1, 1, 1]  # one neighbour for each scored item
    assert fitted.score(np.array([3]))[0].tolist() == [0.0, 0.0, 0.0]  # item 1 is nearer to 0 than to 2


def test_item_neighbours_do_not_depend_on_the_block(monkeypatch):
    whole = scores(ItemKNN(4, 2.0), two_camps())
    monkeypatch.setattr(baselines, "NEIGHBOUR_BLOCK", 3)
    assert scores(ItemKNN(4, 2.0), two_camps()) == pytest.approx(whole)


def test_ease_solves_each_items_own_ridge_regression():
    rng = np.random.default_rng(0)
    data = interactions(np.argwhere(rng.random((30, 6)) < 0.4), n_users=30, n_items=6)
    history = baselines.matrix_of(data).toarray()
    weights = Ease(3.0).fit(data, rng=rng).weights
    for item in range(6):
        others = np.delete(np.arange(6), item)
        x = history[:, others]
        ridge = np.linalg.solve(x.T @ x + 3.0 * np.eye(5), x.T @ history[:, item])
        assert weights[others, item] == pytest.approx(ridge)
        assert weights[item, item] == 0.0


def test_ease_says_where_its_limit_is():
    data = interactions([(0, 0)], n_items=20_001)
    with pytest.raises(
        LimitError, match=r"catalogue has 20,001 items; its limit is 20,000. Leave it out with --models"
    ):
        scores(Ease(), data)


def test_ials_obeys_its_seed():
    pytest.importorskip("implicit")
    model = Ials(4, 0.025, 4.0)
    assert np.array_equal(scores(model, two_camps()), scores(model, two_camps()))


def test_ials_without_the_library_names_the_line_to_install(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("implicit"):
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"the baseline ials needs .* pip install '\.\[peers\]'$"):
        scores(Ials(), two_camps())


def test_repeated_interactions_count_once():
    matrix = baselines.matrix_of(interactions([(0, 1), (0, 1), (1, 0)]))
    assert matrix.toarray().tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_some_rows_keep_the_world():
    part = two_camps().where(np.arange(len(two_camps().users)) < 3)
    assert (len(part.users), len(part.timestamps), part.n_users, part.n_items) == (3, 3, 40, 20)
