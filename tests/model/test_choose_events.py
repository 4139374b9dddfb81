"""Weights of events by what is held out of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.model import choose_events
from palate.model.choose_events import DIM, choose_weights, dimensions
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian, Implicit
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste


def groups(people: int = 300, items: int = 300, kinds: int = 30, seed: int = 0) -> tuple[np.ndarray, Answers]:
    """Many narrow kinds of people, each of whom meets four of ten items: who, (U, I), and the events."""
    rng = np.random.default_rng(seed)
    same = np.arange(people)[:, None] % kinds == np.arange(items) % kinds
    met = rng.random((people, items)) < np.where(same, 0.4, 0.01)
    rows, columns = (codes.astype(np.int32) for codes in np.nonzero(met))
    return same, Answers.build(rows, columns, np.ones(len(rows)), met.shape)


def found_by(likelihood: Implicit, dim: int) -> float:
    """Share of the ten items of their kind in the first ten of everybody."""
    same, answers = groups()
    options = FitOptions(dim=dim, sweeps=25)
    fitted = fit(answers, likelihood=likelihood, options=options, rng=np.random.default_rng(0))
    taste = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise), likelihood)
    scores = taste.items.level + taste.believe(answers.values).score(taste.items.factors)
    best = np.argsort(-scores, axis=1)[:, :10]
    return float(np.take_along_axis(same, best, 1).mean())


@pytest.mark.long
def test_narrow_tastes_that_the_default_weights_take_for_noise_are_found() -> None:
    _, answers = groups()
    chosen = choose_weights(answers, seed=0)
    assert found_by(chosen, 32) > 1.4 * found_by(Implicit(), 32)


def test_few_events_nobody_with_two_and_what_is_no_event_leave_the_defaults() -> None:
    _, answers = groups(people=60)
    assert (
        choose_weights(answers, seed=0) == Implicit()
        and dimensions(answers.values.nnz, answers.values.shape, Implicit()) == DIM
    )
    alone = Answers.build(
        np.arange(2_500, dtype=np.int32), np.arange(2_500, dtype=np.int32) % 90, np.ones(2_500), (2_500, 90)
    )
    assert choose_weights(alone, seed=0) == Implicit()
    assert dimensions(alone.values.nnz, alone.values.shape, Gaussian()) == DIM


def test_dimensions_are_as_many_as_the_data_may_have_and_memory_holds() -> None:
    def asked(people: int, items: int) -> int:
        rng = np.random.default_rng(0)
        rows, columns = rng.integers(people, size=3_000), rng.integers(items, size=3_000)
        answers = Answers.build(rows.astype(np.int32), columns.astype(np.int32), np.ones(3_000), (people, items))
        return dimensions(answers.values.nnz, answers.values.shape, Implicit())

    assert [asked(300, 300), asked(300, 130), asked(90, 300), asked(200_000, 50_000), asked(300, 200_000)] == [
        64, 32, DIM, 32, DIM,
    ]  # fmt: skip


def test_what_is_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_events, "FEWEST", 200)
    _, answers = groups(people=40)
    rows, columns = answers.values.nonzero()
    table = pl.DataFrame(
        {"user_id": [f"u{row}" for row in rows], "item_id": [f"i{column}" for column in columns], "event": "click"}
    )
    data = Dataset.from_tables(table)
    asked: list[int] = []
    monkeypatch.setattr("palate.model.fit.choose_weights", lambda *_, seed: asked.append(seed) or Implicit(30.0, 3.0))
    for given in ({"dim": 2}, {"likelihood": Implicit()}, {"likelihood": Implicit(18.0, 5.0)}):
        assert Learner.fit(data, encoder="none", **given).model.taste.likelihood == given.get("likelihood", Implicit())
    assert not asked
    assert Learner.fit(data, encoder="none", seed=3).model.taste.likelihood == Implicit(30.0, 3.0) and asked == [3]
