"""``Learner.fit(history=...)``: what a history says before any answer, kept with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.errors import DataError, OptionError
from palate.records import events


def _data(kind: str) -> Dataset:
    """Everybody likes the even items or the odd ones, and meets ten of twenty."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", 5.0 if i % 2 == u % 2 else 1.0, float(t))
        for u in range(80)
        for t, i in enumerate(rng.permutation(20)[:10])
    ]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    if kind == "events":
        table = table.filter(pl.col("rating") > 1).drop("rating").with_columns(event=pl.lit("click"))
    texts = [f"{'brass band march' if i % 2 else 'deep sea diving'} {i}" for i in range(20)]
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(20)], "text": texts})
    return Dataset.from_tables(table, items, name=kind)


@pytest.mark.parametrize("kind", ["ratings", "events"])
@pytest.mark.parametrize("history", ["mean", "factors", "text", pytest.param("behaviour", marks=pytest.mark.hf)])
def test_two_likes_tell_taste_and_survive_the_folder(kind: str, history: str, tmp_path: Path) -> None:
    learner = Learner.fit(_data(kind), history=history, seed=1).see(events("new", ["i1", "i3"], kind="click"))
    belief = learner.state("new").belief
    expected = learner.model.taste.items.level + learner.model.taste.items.factors @ belief.mean
    assert expected[5::2].min() > expected[4::2].max()
    learner.save(tmp_path)
    np.testing.assert_array_equal(Learner.load(tmp_path).state("new").belief.mean, belief.mean)


@pytest.mark.hf
def test_a_new_item_in_a_history_needs_no_training() -> None:
    learner = Learner.fit(_data("ratings"), history="behaviour", seed=1)
    items = pl.DataFrame({"item_id": ["brass"], "text": ["brass band march 99"]})
    belief = learner.with_items(items).see(events("new", ["brass"])).state("new").belief
    assert np.abs(belief.mean - learner.model.taste.start.mean).max() > 0


def test_bad_options_and_events_are_refused() -> None:
    with pytest.raises(OptionError, match="history 'guess' is unknown"):
        Learner.fit(_data("ratings"), history="guess")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="history 'text' is read by the encoder of text, and that is 'none'"):
        Learner.fit(_data("ratings"), history="text", encoder="none")
    learner = Learner.fit(_data("ratings"))
    with pytest.raises(DataError, match="the event 'stare' is unknown"):
        learner.see(events("new", ["i1"], kind="stare"))


def test_texts_of_histories_of_items_without_text_are_no_prior() -> None:
    rows = pl.DataFrame(
        {"user_id": list("aabbcc"), "item_id": list("xyxzyz"), "rating": [1.0, 5.0, 2.0, 4.0, 5.0, 3.0]}
    )
    learner = Learner.fit(Dataset.from_tables(rows, pl.DataFrame({"item_id": list("xyz")})), history="text")
    assert learner.model.history_prior is None
