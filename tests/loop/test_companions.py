"""``Learner.companions``: what others did who did the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.entities import Answer, AnswerKind
from palate.errors import ModelFolderError, OptionError, UnknownItem
from palate.records import events
from palate.store.model_folder.folder import load_folder, save_folder


def camps(kind: str) -> Dataset:
    """Everybody meets ten of the twenty even items or of the odd ones, and item 0 is met by all."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", 5.0 if i % 2 == u % 2 or i == 0 else 1.0, float(40 * u + t))
        for u in range(60)
        for t, i in enumerate([0, *rng.permutation(np.arange(1, 40))[:20]])
    ]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    if kind == "events":
        table = table.filter(pl.col("rating") > 1).drop("rating").with_columns(event=pl.lit("click"))
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(40)],
            "title": [f"Film {i}" for i in range(40)],
            "category": ["odd" if i % 2 else "even" for i in range(40)],
        }
    )
    return Dataset.from_tables(table, items, name=kind)


def fitted(kind: str) -> Learner:
    return Learner.fit(camps(kind), encoder="none", companions=True)


@pytest.fixture(scope="module")
def learner() -> Learner:
    return fitted("events")


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_a_stranger_with_one_event_is_shown_what_goes_with_it(kind: str) -> None:
    shown = fitted(kind).see(events("new", ["i7"])).companions("new", k=11)
    assert "i7" not in [one.item_id for one in shown]
    assert sum(int(one.item_id[1:]) % 2 for one in shown) >= 10  # item 0 goes with everything
    assert shown[0].reason == "often with Film 7"
    assert [one.score for one in shown] == sorted((one.score for one in shown), reverse=True)


def test_without_a_history_it_is_popularity(learner: Learner) -> None:
    first = learner.companions("nobody", k=1)[0]
    assert (first.item_id, first.reason) == ("i0", "chosen by 60 people")


def test_a_rating_below_liking_is_no_company() -> None:
    of = fitted("ratings")
    told, liked = (of.tell([Answer("new", "i7", AnswerKind.RATING, value)]) for value in (1.0, 5.0))
    popular = [one for one in of.companions("new", k=6) if one.item_id != "i7"][:5]
    assert told.companions("new", k=5) == popular != liked.companions("new", k=5)


def test_filters_leave_what_they_say(learner: Learner) -> None:
    seen = learner.see(events("new", ["i7"]))
    assert seen.companions("new", k=0) == []
    assert {one.item_id for one in seen.companions("new", k=3, allow=["i4", "i9"])} == {"i4", "i9"}
    assert all(int(one.item_id[1:]) % 2 == 0 for one in seen.companions("new", k=30, category="even"))
    assert "i9" not in {one.item_id for one in seen.companions("new", k=40, exclude=["i9"])}
    assert len(seen.companions("new", k=40)) == 39
    assert len(seen.companions("new", k=40, include_seen=True)) == 40
    with pytest.raises(UnknownItem):
        seen.companions("new", allow=["i99"])
    with pytest.raises(OptionError, match="k is -1"):
        seen.companions("new", k=-1)


def test_what_is_newer_than_the_fit_is_not_in_it(learner: Learner) -> None:
    wider = learner.with_items(pl.DataFrame({"item_id": ["brandnew"]})).see(events("new", ["brandnew", "i7"]))
    shown = wider.companions("new", k=100)
    assert len(shown) == 39
    assert shown == learner.see(events("new", ["i7"])).companions("new", k=100)


def test_they_survive_the_folder_and_a_damaged_one_is_refused(learner: Learner, tmp_path: Path) -> None:
    seen = learner.with_items(pl.DataFrame({"item_id": ["brandnew"]})).see(events("new", ["i7"]))
    seen.save(tmp_path)
    assert Learner.load(tmp_path).companions("new") == seen.companions("new")
    kept = load_folder(tmp_path)
    kept.arrays["companions"]["likeness.items"] = kept.arrays["companions"]["likeness.items"] + 40
    save_folder(tmp_path / "wrong", config=kept.config, arrays=kept.arrays, tables=kept.tables)
    with pytest.raises(ModelFolderError, match="does not hold what its config promises"):
        Learner.load(tmp_path / "wrong")


def test_a_model_without_says_how_to_get_them() -> None:
    with pytest.raises(OptionError, match="Fit it with companions=True"):
        Learner.fit(camps("events"), encoder="none").companions("new")
