import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import OptionError
from palate.oracles.pseudo_labels import Prediction
from palate.oracles.view_agreement import Agreement, agreed, half_texts


class Says:
    name = "says"

    def __init__(self, values, certainty):
        self.prediction = Prediction(np.array(values), np.array(certainty))

    def predict(self, items, answers):
        return self.prediction


def test_what_both_say_as_sure_as_the_less_sure():
    view = Agreement(Says([1.0, 2.0, 5.0], [3.0, 1.0, 9.0]), Says([1.0, 2.5, 2.0], [2.0, 4.0, 9.0]), tolerance=0.5)
    made = view.predict(np.array([0]), np.array([1.0]))
    assert made.values.tolist() == [1.0, 2.25, 3.5]
    assert made.certainty.tolist() == [2.0, 1.0, -np.inf]
    assert view.name == "consistency"


def test_a_negative_tolerance_is_refused():
    with pytest.raises(OptionError) as caught:
        Agreement(Says([], []), Says([], []), tolerance=-0.1)
    assert str(caught.value) == "the tolerance is -0.1. Give a distance between answers of 0 or more."


def test_classes_must_be_the_same():
    first = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    second = np.array([[0.7, 0.3], [0.1, 0.9], [0.4, 0.6]])
    classes, certainty = agreed(first, second)
    assert classes.tolist() == [0, 0, 1] and certainty.tolist() == [0.7, -np.inf, 0.6]


def test_probabilities_of_other_texts_are_refused():
    with pytest.raises(OptionError) as caught:
        agreed(np.ones((2, 2)), np.ones((3, 2)))
    assert str(caught.value) == "shapes (2, 2) and (3, 2): give both views' probabilities, a row each text."


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join), max_size=5))
def test_every_word_is_in_one_half_in_its_order(texts):
    first, second = half_texts(texts, rng=np.random.default_rng(0))
    for text, one, other in zip(texts, first, second, strict=True):
        words = text.split()
        if len(words) < 2:
            assert one == other == text
        else:
            assert sorted(one.split() + other.split()) == sorted(words)
            assert len(one.split()) == len(words) // 2
            rest = iter(words)
            assert all(word in rest for word in one.split())


def test_halves_are_drawn_from_the_generator_alone():
    texts = ["one two three four five six seven eight"] * 3
    once, again = (half_texts(texts, rng=np.random.default_rng(7)) for _ in range(2))
    assert once == again and once != half_texts(texts, rng=np.random.default_rng(8))
