from __future__ import annotations

from dataclasses import dataclass

import pytest

from palate.errors import OptionError
from palate.evaluation.tuning import Grid, tune


@dataclass(frozen=True)
class Two:
    a: float = 1.0
    b: float = 1.0

    def fit(self, train, *, rng):
        raise AssertionError("who tunes judges by the quality that is given, and fits nothing")


VALUES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)


def test_the_best_is_found_from_afar_past_a_dip_and_without_trying_all():
    def quality(model):  # the best a moves with b, and one value of a is a dip on the way
        return -((model.a - 4) ** 2) - 0.3 * (model.b - model.a) ** 2 - 50 * (model.a == 2.0)

    found = tune(Grid(Two(1.0, 1.0), {"a": VALUES, "b": VALUES}), quality)
    assert found.model == Two(4.0, 4.0) and found.at_edge == {}
    assert found.quality == 0.0 and found.tried < len(VALUES) ** 2


def test_a_choice_at_the_end_is_said_unless_there_is_nothing_beyond():
    grid = Grid(Two(), {"a": VALUES, "b": VALUES}, frozenset({("b", 0.0)}))
    found = tune(grid, lambda model: model.a - model.b)
    assert found.model == Two(5.0, 0.0) and found.at_edge == {"a": 5.0}


def test_of_equally_good_ones_the_first_stays():
    assert tune(Grid(Two(), {"a": VALUES}), lambda model: 0.0).model == Two()
    assert tune([Two(2.0), Two(3.0)], lambda model: 0.0).model == Two(2.0)


def test_a_list_of_models_has_ends_too_and_one_is_not_tuned():
    models = [Two(1.0, 7.0), Two(2.0, 7.0), Two(3.0, 7.0)]
    assert tune(models, lambda model: model.a).at_edge == {"a": 3.0}  # b is the same in all: no choice
    assert tune(models, lambda model: -abs(model.a - 2)).at_edge == {}

    def never(model):
        raise AssertionError(model)

    assert tune([Two()], never).tried == tune(Grid(Two()), never).tried == 0


def test_a_start_outside_its_range_is_refused():
    with pytest.raises(OptionError, match=r"^a of Two\(a=1.0, b=1.0\) is not in \(2.0, 3.0\), or these do not ascend"):
        Grid(Two(), {"a": (2.0, 3.0)})
    with pytest.raises(OptionError, match=r"do not ascend"):
        Grid(Two(), {"a": (1.0, 0.0)})
