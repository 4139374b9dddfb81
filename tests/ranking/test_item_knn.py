import numpy as np
import pytest
import scipy.sparse as sparse

from palate.encoders.histories.history import Log
from palate.errors import DataError, OptionError
from palate.ranking import item_knn as companions
from palate.ranking.item_knn import Companions, fit_companions

DAY = 86_400.0


# people who like items of one half only, one after the other
def camps(n_people: int = 60, n_items: int = 20, *, times: bool = True) -> Log:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(n_people), 6)
    items = np.concatenate([rng.permutation(n_items // 2)[:6] + n_items // 2 * (one % 2) for one in range(n_people)])
    when = DAY * np.arange(len(users)) if times else np.full(len(users), np.nan)
    return Log.of(users, items, np.ones(len(users)), when)


def met(*rows: list[int], n_items: int = 20) -> sparse.csr_array:
    dense = np.zeros((len(rows), n_items))
    for row, items in enumerate(rows):
        dense[row, items] = 1.0
    return sparse.csr_array(dense)


def test_a_score_is_the_level_and_the_logarithm_of_the_likeness_over_a_tenth_of_the_mean() -> None:
    likeness = sparse.csr_array(np.array([[0.0, 0.6, 0.0], [0.6, 0.0, 0.3], [0.0, 0.3, 0.0]]))
    fitted = Companions(np.array([0.1, 0.2, 0.3]), likeness)
    expected = np.array([0.1, 0.2, 0.3]) + np.log1p(np.array([0.6, 0.0, 0.3]) / (0.1 * 0.3))
    np.testing.assert_allclose(fitted.score(met([1], n_items=3))[0], expected)


def test_likeness_is_the_shrunk_cosine_without_the_item_itself() -> None:
    log = Log.of([0, 0, 1, 1, 2], [0, 1, 0, 1, 1], np.ones(5), np.arange(5.0))
    found = companions._likeness(log, 3, 2, 10.0, 1000).toarray()
    np.testing.assert_allclose(found, 2.0 / (np.sqrt(6.0) + 10.0) * (1.0 - np.eye(2)))


def test_only_the_nearest_of_each_item_are_kept() -> None:
    log = camps()
    kept = companions._likeness(log, 60, 20, 10.0, 3)
    assert np.diff(sparse.csc_array(kept).indptr).max() <= 3 + 2  # equal ones are kept together
    assert kept.nnz < companions._likeness(log, 60, 20, 10.0, 1000).nnz


@pytest.mark.parametrize("times", [True, False])
def test_what_comes_with_the_history_is_ranked_first(times: bool) -> None:
    fitted = fit_companions(camps(times=times), 60, 20, rng=np.random.default_rng(0))
    first, second = fitted.score(met([0, 1, 2], [10, 11, 12]))
    assert first[3:10].min() > first[10:].max()
    assert second[13:].min() > second[:10].max()


def test_without_a_history_popularity_ranks() -> None:
    log = Log.of([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 2, 0, 2], np.ones(8), np.full(8, np.nan))
    scores = fit_companions(log, 4, 3, rng=np.random.default_rng(0)).score(sparse.csr_array((1, 3)))[0]
    assert scores[0] > scores[1] == scores[2]


def test_what_is_disliked_does_not_count() -> None:
    log = camps()
    users, items = np.r_[log.users, [0] * 5], np.r_[log.items, 10:15]
    liking, when = np.r_[log.liking, [-1.0] * 5], np.r_[log.timestamps, [0.0] * 5]
    with_ill = fit_companions(Log.of(users, items, liking, when), 60, 20, rng=np.random.default_rng(0))
    without = fit_companions(log, 60, 20, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(with_ill.score(met([0, 1])), without.score(met([0, 1])))


def test_the_settings_come_from_people_who_came_late_judged_by_counts_from_before() -> None:
    log = camps()
    tasks = companions._tasks(log, 60, 20, np.random.default_rng(0))
    cuts = np.quantile(log.timestamps, companions.CUTS)
    assert [task.counted.timestamps.max() <= cut for task, cut in zip(tasks, cuts, strict=True)] == [True, True]
    for task in tasks:
        assert task.seen.multiply(task.later).nnz == 0
        assert np.diff(task.later.indptr).min() > 0


def test_a_permutation_of_the_rows_changes_nothing() -> None:
    log = camps()
    shuffled = log.take(np.random.default_rng(1).permutation(len(log)))
    first, second = (fit_companions(one, 60, 20, rng=np.random.default_rng(0)) for one in (log, shuffled))
    np.testing.assert_allclose(first.score(met([4, 7])), second.score(met([4, 7])))


def test_the_best_list_has_an_ndcg_of_one_and_the_second_place_less() -> None:
    relevant = met([3], n_items=20)
    scores = np.zeros((1, 20))
    scores[0, [3, 5]] = [2.0, 1.0]
    assert companions._ndcg(scores, relevant) == 1.0
    scores[0, 5] = 3.0
    assert companions._ndcg(scores, relevant) == pytest.approx(1 / np.log2(3))


def test_a_log_that_teaches_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="1 people of the log like two events or more"):
        fit_companions(Log.of([0, 0, 1], [0, 1, 1], np.ones(3), np.arange(3.0)), 2, 2, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="names item 20, and there are 20"):
        fit_companions(Log.of([0, 0, 1], [0, 1, 20], np.ones(3), np.arange(3.0)), 2, 20, rng=np.random.default_rng(0))
    with pytest.raises(OptionError, match="neighbours is 0"):
        fit_companions(camps(), 60, 20, neighbours=0, rng=np.random.default_rng(0))
