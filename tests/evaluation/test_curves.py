from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

from palate.evaluation import curves
from palate.evaluation.curves import draw_curves

BUDGETS = [0, 1, 2, 5, 10]


def figures(values, width=0.01):
    return {
        "mean": list(values),
        "low": [None if value is None else value - width for value in values],
        "high": [None if value is None else value + width for value in values],
    }


def simulation(*, name="A world", metrics=("list-ndcg@10", "list-recall@20", "rmse"), more=(), budgets=BUDGETS):
    starts = {
        "random": 0.99,
        "popularity": 0.98,
        "epig": 0.95,
        "a-optimal": 0.96,
        "ceiling": 0.9,
        **dict.fromkeys(more, 0.97),
    }
    strategies = {
        strategy: {metric: figures([0.9] * len(budgets) if end == 0.9 else np.linspace(1, end, len(budgets)).tolist())
                   for metric in metrics}
        for strategy, end in starts.items()
    }  # fmt: skip
    return {
        "dataset": {"name": name, "users": 10, "items": 5, "interactions": 50, "sha256": "0" * 64},
        "protocol": {"name": "new-users", "pool": "open", "fit_users": 8, "test_users": 2, "budget": 10, "seeds": [0]},
        "budgets": list(budgets),
        "strategies": strategies,
    }


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return imread(io.BytesIO(png), format="png")


def has_colour(png: bytes, colour: str) -> bool:
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return bool((np.abs(pixels(png)[:, :, :3] - wanted).max(axis=2) < 0.01).any())


def test_the_pictures_of_the_stated_size():
    drawn = draw_curves(simulation(), proposed="epig")
    assert list(drawn) == ["list.png", "found.png", "rmse.png", "share-of-gain.png"]
    assert all(pixels(png).shape[:2] == (810, 1350) for png in drawn.values())


@pytest.mark.long
def test_the_proposed_strategy_has_its_own_colour():
    assert has_colour(draw_curves(simulation(), proposed="epig")["rmse.png"], curves.PROPOSED_COLOUR)
    assert not has_colour(draw_curves(simulation(), proposed="another")["rmse.png"], curves.PROPOSED_COLOUR)


def test_what_was_not_measured_is_not_drawn():
    without_lists = simulation(metrics=("rmse",))
    assert list(draw_curves(without_lists, proposed="epig")) == ["rmse.png", "share-of-gain.png"]
    del without_lists["strategies"]["ceiling"]
    assert list(draw_curves(without_lists, proposed="epig")) == ["rmse.png"]


def test_share_of_gain_is_zero_at_the_start_and_hundred_at_the_ceiling():
    shares = {curve.strategy: curve for curve in curves._share_of_gain(curves._curves(simulation(), "rmse"))}
    assert "ceiling" not in shares
    assert shares["epig"].mean[[0, -1]] == pytest.approx([0.0, 50.0])
    assert np.all(shares["epig"].low <= shares["epig"].mean)
    assert np.all(shares["epig"].mean <= shares["epig"].high)


@pytest.mark.parametrize("heights", [[0.5] * 9, [0.0, 0.01, 0.9, 0.91], [1.0, 1.0], [0.3], []])
def test_names_never_touch_and_keep_their_order(heights):
    places = curves.spread(np.array(heights), curves.LABEL_HEIGHT, 1.0)
    assert np.all(np.diff(np.sort(places)) >= curves.LABEL_HEIGHT - 1e-9)
    assert np.all(places <= 1.0 + 1e-9)
    assert np.array_equal(np.argsort(places, kind="stable"), np.argsort(heights, kind="stable"))


def test_names_far_apart_stay_where_they_are():
    assert curves.spread(np.array([0.2, 0.8, 0.5]), curves.LABEL_HEIGHT, 1.0) == pytest.approx([0.2, 0.8, 0.5])


def test_free_text_is_no_formula_and_a_strange_script_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_curves(simulation(name="$\\frac{ 電影 \u200f"), proposed="epig")


def test_gaps_single_budgets_and_many_strategies_are_drawn():
    gaps = simulation(more=[f"strategy-{number}" for number in range(30)])
    gaps["strategies"]["a-optimal"]["rmse"] = figures([None] * 5)
    gaps["strategies"]["epig"]["rmse"] = figures([1.0, 0.9, None, None, None])
    assert "rmse.png" in draw_curves(gaps, proposed="epig")
    assert "rmse.png" in draw_curves(simulation(budgets=[0]), proposed="epig")


def test_drawing_leaves_no_trace_in_matplotlib():
    import matplotlib as mpl
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    draw_curves(simulation(), proposed="epig")
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == []


def test_each_lead_starts_where_its_line_ends():
    drawn = curves._curves(simulation(), "rmse")
    axes = curves._figure(simulation(), drawn, "epig", "title", "unit").axes[0]
    to_axes = axes.transData + axes.transAxes.inverted()
    starts = [line.get_xydata()[0] for line in axes.lines if line.get_transform() == axes.transAxes]
    ends = [to_axes.transform((BUDGETS[-1], curve.mean[-1])) for curve in drawn]
    assert np.array(starts) == pytest.approx(np.array(ends), abs=1e-6)
