"""``Learner.fit(history=...)``: what a history says before any answer, kept with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.errors import DataError, OptionError
from palate.records import events, rate
from tests.worlds import learner


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


@pytest.mark.parametrize("kind", ["events", pytest.param("ratings", marks=pytest.mark.long)])
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


# ---- models of events -----------------------------------------------------------------------------------------------


def test_what_is_done_since_is_an_answer_where_answers_are_events() -> None:
    of = learner("events", "none")
    catalogue, strength = of.model.catalogue, of.model.vocabulary.strength
    bought, returned = catalogue.ids[3], catalogue.ids[8]
    after = of.see([*events("ann", bought, kind="purchase"), *events("ann", returned, kind="refund")])
    expected = of.model.taste.start
    for item, value in ((3, strength("purchase")), (8, -strength("refund"))):
        expected = of.model.taste.observe(expected, item, value)
    np.testing.assert_allclose(after.state("ann").belief.mean, expected.mean)
    np.testing.assert_allclose(after.state("ann").belief.covariance, expected.covariance)
    shown = {one.item_id: one.score for one in after.recommend("ann", 120)}
    assert not {bought, returned} & shown.keys()
    assert shown != {one.item_id: one.score for one in of.recommend("ann", 120) if one.item_id in shown}
    # an answer counts over what was done, and one more event of the same kind changes nothing
    told = after.tell(rate("ann", bought, -1.0))
    assert dict(zip(told.state("ann").rated, told.state("ann").values, strict=True))[3] == -1.0
    assert told.state("ann").rated.count(3) == 1
    again = after.see(events("ann", bought, kind="purchase"))
    np.testing.assert_allclose(again.state("ann").belief.mean, after.state("ann").belief.mean)


def test_what_a_user_of_the_data_does_since_takes_the_place_of_what_they_did() -> None:
    of = learner("events", "none")
    user = of.model.user_ids[0]
    item = of.state(user).rated[0]
    after = of.see(events(user, of.model.catalogue.ids[item], kind="refund")).state(user)
    strongest = max(of.model.vocabulary.strength("refund"), abs(of.state(user).values[0]))
    value = dict(zip(after.rated, after.values, strict=True))[item]
    assert after.rated.count(item) == 1 and abs(value) == strongest
