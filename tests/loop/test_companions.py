"""``Learner.companions``: what others did who did the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner, rate
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


def test_what_is_newer_than_the_fit_and_liked_by_nobody_else_comes_with_nothing(learner: Learner) -> None:
    wider = learner.with_items(pl.DataFrame({"item_id": ["brandnew"]})).see(events("new", ["brandnew", "i7"]))
    shown, without = wider.companions("new", k=100), learner.see(events("new", ["i7"])).companions("new", k=100)
    assert [one.item_id for one in shown] == [one.item_id for one in without]
    assert {one.reason for one in shown} == {one.reason for one in without}


def test_they_survive_the_folder_and_a_damaged_one_is_refused(learner: Learner, tmp_path: Path) -> None:
    seen = learner.with_items(pl.DataFrame({"item_id": ["brandnew"]})).see(events("new", ["i7"]))
    seen.save(tmp_path)
    assert Learner.load(tmp_path).companions("new") == seen.companions("new")
    kept = load_folder(tmp_path)
    kept.arrays["companions"]["likeness.items"] = kept.arrays["companions"]["likeness.items"] + 40
    save_folder(tmp_path / "wrong", config=kept.config, arrays=kept.arrays, tables=kept.tables)
    with pytest.raises(ModelFolderError, match="does not hold what its config promises"):
        Learner.load(tmp_path / "wrong")
    kept = load_folder(tmp_path)
    of_others = learner.see(events("other", ["i7", "i9"]))
    for name in ("liked", "setting"):  # as older versions saved them: what people come to like is not counted
        del kept.arrays["companions"][name]
    save_folder(tmp_path / "old", config=kept.config, arrays=kept.arrays, tables=kept.tables)
    old = Learner.load(tmp_path / "old").see(events("other", ["i7", "i9"]))
    assert old.companions("nobody", k=40)[0].score == learner.companions("nobody", k=40)[0].score
    assert of_others.companions("nobody", k=40) != learner.companions("nobody", k=40)


def test_a_model_without_says_how_to_get_them() -> None:
    with pytest.raises(OptionError, match="Fit it with companions=True"):
        Learner.fit(camps("events"), encoder="none").companions("new")


def counts(of: Learner, met: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Levels, and likeness of some items to all, as the list of somebody who met those is made of them."""
    fitted, company = of.memory.fitted.companions, of.memory.learnt.company
    assert fitted is not None
    now = fitted.since(met, company.people, company.pairs, len(of.model.catalogue))
    return now.level, now.likeness[met].toarray()


def test_what_people_come_to_like_is_counted_as_a_fit_would_and_an_undo_takes_it_back() -> None:
    of = fitted("ratings")
    told = [rate(f"v{user}", f"i{item}", 5.0, key=f"{user} {item}") for user in range(9) for item in (7, 8)]
    more = of.tell(told).tell(rate("v0", "i9", 1.0)).tell(rate("u0", "i2", 5.0))
    fit = of.memory.fitted.companions
    assert fit is not None and fit.liked is not None
    liked = np.zeros((69, 40))
    for user, item, rating in camps("ratings").interactions.select("user_id", "item_id", "rating").iter_rows():
        liked[int(user[1:]), int(item[1:])] = rating > 1
    places = of.model.catalogue.positions([f"i{item}" for item in range(40)])
    np.testing.assert_array_equal(fit.liked[places], liked.sum(0))
    for one in told:
        liked[60 + int(one.user_id[1:]), int(one.item_id[1:])] = 1.0
    liked[0, 2] = 1.0
    together, n = liked.T @ liked, liked.sum(0)
    expected = together / (np.sqrt(np.outer(n, n)) + fit.shrinkage) * (1.0 - np.eye(40))
    level, likeness = counts(more, [int(places[7])])
    np.testing.assert_allclose(likeness[0][places], expected[7], atol=1e-12)
    assert (level[places[[7, 8]]] > fit.level[places[[7, 8]]]).all() and level[places[11]] == pytest.approx(
        fit.level[places[11]]
    )
    back = more
    for user in {one.user_id for one in told}:
        for one in more.told[user]:
            back = back.undo(user, one.key)
    assert not any(back.undo("u0").memory.learnt.company.people.values())


def test_a_new_item_comes_with_what_it_was_liked_with() -> None:
    of = fitted("events").with_items(pl.DataFrame({"item_id": ["new"]}))
    liking = of.see(event for user in range(20) for event in events(f"v{user}", ["new", "i7"]))
    first = liking.see(events("w", ["new"])).companions("w", k=1)
    assert [one.item_id for one in first] == ["i7"] and first[0].reason == "often with new"
    assert "new" in [one.item_id for one in liking.see(events("w", ["i7"])).companions("w", k=20)]
