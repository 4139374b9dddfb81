import numpy as np
import pytest

from palate.errors import DataError, OptionError
from palate.oracles.label_propagation import content_graph
from palate.oracles.pool_pseudo_labels import pool_labels, spreading

CLASSES = np.repeat([0, 1], [150, 50])


def informed(rows, classes):
    """Right on everything, the surer the lower the row."""
    return CLASSES.copy(), np.linspace(1.0, 0.6, 200)


def blind(rows, classes):
    """Certain of the first class, always."""
    return np.zeros(200, dtype=int), np.full(200, 0.99)


ROWS = np.concatenate([np.arange(0, 150, 5), np.arange(150, 200, 5)])  # 30 and 10 labels


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 2.0])
def test_classes_come_in_the_proportions_of_the_real_labels(share, rng):
    made = pool_labels(informed, ROWS, CLASSES[ROWS], share=share, rng=rng)
    assert np.bincount(made.classes, minlength=2).tolist() == [int(share * 30), int(share * 10)]
    assert not np.isin(made.rows, ROWS).any() and len(set(made.rows)) == len(made.rows)
    assert (made.classes == CLASSES[made.rows]).all()


def test_the_surest_of_each_class_come_first(rng):
    made = pool_labels(informed, ROWS, CLASSES[ROWS], share=0.2, rng=rng)
    assert sorted(made.rows[made.classes == 0]) == [1, 2, 3, 4, 6, 7] and sorted(made.rows[made.classes == 1]) == [
        151,
        152,
    ]


def test_one_who_is_wrong_too_often_is_not_believed_however_certain(rng):
    """A quarter of the labels contradicts it."""
    assert len(pool_labels(blind, ROWS, CLASSES[ROWS], error=0.1, rng=rng).rows) == 0
    assert len(pool_labels(blind, ROWS, CLASSES[ROWS], error=0.4, rng=rng).rows) == 120
    assert len(pool_labels(blind, ROWS, CLASSES[ROWS], error=1.0, rng=rng).rows) == 120


def test_the_estimate_counts_on_the_whole(rng):
    made = pool_labels(informed, ROWS, CLASSES[ROWS], error=0.1, rng=rng)
    assert made.right.mean() >= 0.9 and made.weight == 0.5


def test_no_label_without_a_word(rng):
    def silent(rows, classes):
        said, _ = informed(rows, classes)
        return said, np.where(np.arange(200) % 2, -np.inf, 1.0)

    made = pool_labels(silent, ROWS, CLASSES[ROWS], share=100.0, error=1.0, rng=rng)
    assert (made.rows % 2 == 0).all() and len(made.rows) == 100 - (ROWS % 2 == 0).sum()


def test_two_clusters_need_two_labels_each():
    rng = np.random.default_rng(0)
    content = np.eye(2)[CLASSES] + 0.1 * rng.normal(size=(200, 2))
    rows = np.array([0, 1, 2, 3, 4, 5, 150, 151, 152, 153])
    made = pool_labels(spreading(content_graph(content), 2), rows, CLASSES[rows], rng=rng)
    assert len(made.rows) == 40 and (made.classes == CLASSES[made.rows]).all()


def test_the_same_seed_gives_the_same():
    once, again = (
        pool_labels(informed, ROWS, CLASSES[ROWS], rng=np.random.default_rng(3)).rows.tolist() for _ in range(2)
    )
    assert once == again


@pytest.mark.parametrize(
    ("predict", "rows", "options", "error", "message"),
    [
        (
            informed,
            ROWS[:3],
            {},
            DataError,
            "3 labels cannot be checked in 5 folds. Give at least 2 folds, a label each.",
        ),
        (
            informed,
            ROWS,
            {"weight": 1.0},
            OptionError,
            "error 0.1, share 4.0, weight 1.0: give a share of 1, 0 or more, a weight from 0 to 1.",
        ),
        (
            lambda rows, classes: (CLASSES, np.full(200, -np.inf)),
            ROWS,
            {},
            DataError,
            "of 40 labels none can be predicted from the others. Label more of the pool.",
        ),
    ],
)
def test_bad_input(predict, rows, options, error, message, rng):
    with pytest.raises(error) as caught:
        pool_labels(predict, rows, CLASSES[rows], rng=rng, **options)
    assert str(caught.value) == message
