"""The list of somebody who did something: what others met who met the same, in the data and since."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import Dataset, Learner, rate
from palate.entities import Answer, AnswerKind
from palate.errors import ModelFolderError
from palate.loop.checkpoint import Checkpoint, save_model
from palate.loop.company import Company
from palate.loop.list_scores import list_scores
from palate.loop.memory import Memory
from palate.ranking.list_model import EVER, LATELY
from palate.ranking.weights import KNOWN, NEW, Weights
from palate.recommender.live import opened
from palate.records import Event, Record, events
from palate.store.model_folder.folder import load_folder, save_folder


def camps(kind: str, users: int = 60) -> Dataset:
    """Everybody meets twelve of the even items or of the odd ones, and item 0, within half a minute: nothing is old."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", 5.0, (40 * u + t) / 100)
        for u in range(users)
        for t, i in enumerate([0, *(rng.permutation(np.arange(1, 21))[:12] * 2 - u % 2)])
    ]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    table = table.with_columns(rating=pl.when(pl.int_range(pl.len()) % 7 == 3).then(4.0).otherwise(pl.col("rating")))
    if kind == "events":
        table = table.drop("rating").with_columns(event=pl.lit("click"))
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(41)],
            "title": [f"Film {i}" for i in range(41)],
            "category": ["odd" if i % 2 else "even" for i in range(41)],
        }
    )
    return Dataset.from_tables(table, items, name=kind)


@cache
def fitted(kind: str) -> Learner:
    return Learner.fit(camps(kind), encoder="none")


@cache
def counted() -> Learner:
    """Of too few people to learn weights: popularity, and as much what is met together."""
    return Learner.fit(camps("ratings", users=14), encoder="none")


def ids(of: Learner, user: str, k: int = 10) -> list[str]:
    return [one.item_id for one in of.recommend(user, k)]


def met(of: Learner, user: str) -> np.ndarray:
    """M of every item."""
    return list_scores(of.memory, user).met()


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_a_stranger_with_one_event_is_shown_what_goes_with_it(kind: str) -> None:
    shown = ids(fitted(kind).see(events("new", ["i7"])), "new", 10)
    assert "i7" not in shown
    assert sum(int(item[1:]) % 2 for item in shown) >= 9  # item 0 goes with everything


def test_without_a_history_it_is_popularity() -> None:
    of = fitted("events")
    assert ids(of, "nobody", 1) == ["i0"]
    counts = of.model.catalogue.counts[of.model.catalogue.positions(ids(of, "nobody", 41))]
    assert counts.tolist() == sorted(counts, reverse=True)


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_events_one_by_one_give_the_list_of_events_at_once(kind: str) -> None:
    of = fitted(kind)
    whole = of.see(events("new", ["i7", "i9", "i3", "i7"]))
    single = of
    for item in ("i7", "i9", "i3", "i7"):
        single = single.see(events("new", [item]))
        single.recommend("new")
    assert single.recommend("new") == whole.recommend("new")


def test_what_people_come_to_meet_is_counted_in_any_order_and_an_undo_takes_it_back() -> None:
    of = counted().see(events("w", ["i7"]))
    before = met(of, "w")
    told = [rate(f"v{user}", f"i{item}", 5.0, key=f"{user} {item}") for user in range(9) for item in (7, 8)]
    more = of.tell(told)
    other = of
    for one in reversed(told):
        other = other.tell(one)
        met(other, "w")
    np.testing.assert_array_equal(met(more, "w"), met(other, "w"))
    gain = met(more, "w") - before
    place = more.model.catalogue.position("i8")
    assert gain.argmax() == place and gain[place] > 0
    back = more
    for one in told:
        back = back.undo(one.user_id, one.key)
    np.testing.assert_array_equal(met(back, "w"), before)


def test_pairs_and_people_are_those_that_a_fit_would_count() -> None:
    of = counted()
    told = [rate(f"v{user}", f"i{item}", 4.0) for user in range(9) for item in (7, 8)]
    more = of.tell(told).tell(rate("u0", "i1", 5.0)).see(events("v0", ["i30", "i7"]))
    table = pl.concat(
        [
            camps("ratings", users=14).interactions.select("user_id", "item_id"),
            pl.DataFrame(
                [(one.user_id, one.item_id) for one in told] + [("u0", "i1"), ("v0", "i30")],
                schema=["user_id", "item_id"],
                orient="row",
            ),
        ]
    ).unique()
    matrix = np.zeros((23, 41))
    users = {user: row for row, user in enumerate(sorted(table["user_id"].unique()))}
    for user, item in table.iter_rows():
        matrix[users[user], of.model.catalogue.position(item)] = 1.0
    together, people = matrix.T @ matrix, matrix.sum(0)
    since, fit = more.memory.learnt.since, of.memory.fitted.list_model
    assert fit is not None and fit.pairs is not None
    every = np.arange(41)
    np.testing.assert_array_equal(fit.pairs.count + since.more(every), people)
    shared = fit.pairs.together.toarray()
    for item, others in since.pairs.items():
        shared[item, others.items] += others.people
    np.testing.assert_array_equal(shared * (1 - np.eye(41)), together * (1 - np.eye(41)))


@given(st.integers(0, 10**6))
def test_pairs_of_many_people_at_once_are_those_that_each_met(seed: int) -> None:
    rng, found, n = np.random.default_rng(seed), Company(), 9
    people = [(frozenset(rng.choice(n, 2).tolist()), dict[int, int]()) for _ in range(4)]
    for _ in range(4):
        moves = []
        for one in rng.choice(4, int(rng.integers(1, 5)), replace=False).tolist():
            base, before = people[one]
            after = {int(item): int(rng.integers(3)) for item in rng.choice(n, int(rng.integers(6)), replace=False)}
            moves.append((base, before, after))
            people[one] = base, after
        found = found.moved_all(moves)
    counted, expected = np.zeros((n, n), int), np.zeros((n, n), int)
    for base, after in people:
        for sign, items in ((-1, [*base]), (1, [*(base | after.keys())])):
            expected[np.ix_(items, items)] += sign
    for item, others in found.pairs.items():
        assert (np.diff(others.items) > 0).all() and others.people.all()
        counted[item, others.items] = others.people
    np.testing.assert_array_equal(counted, expected * (1 - np.eye(n, dtype=int)))


def test_a_new_item_comes_with_what_it_was_met_with() -> None:
    of = fitted("events").with_items(pl.DataFrame({"item_id": ["new"]}))
    liking = of.see(event for user in range(20) for event in events(f"v{user}", ["new", "i7"]))
    assert ids(liking.see(events("w", ["new"])), "w", 1) == ["i7"]
    assert "new" in ids(liking.see(events("w", ["i7"])), "w", 20)


def test_items_that_came_after_the_fit_stand_where_the_unseen_do() -> None:
    of = fitted("ratings").with_items(pl.DataFrame({"item_id": [f"new{n}" for n in range(3)]}))
    for user in ("nobody", "u7"):
        whole = ids(of, user, 60)
        assert {"new0", "new1", "new2"} <= set(whole)
        assert [item for item in whole if not item.startswith("new")] == ids(fitted("ratings"), user, 60)
        assert np.isfinite(met(of, user)).all()


def test_answers_and_events_together_are_one_history() -> None:
    of = fitted("ratings").tell([Answer("new", "i7", AnswerKind.RATING, 5.0)])
    assert len(list_scores(of.memory, "new").history) == 0
    both = of.see(events("new", ["i9"])).tell([Answer("new", "i3", AnswerKind.RATING, 5.0)])
    names = [of.model.catalogue.ids[item] for item in list_scores(both.memory, "new").history]
    assert names == ["i7", "i3", "i9"]
    again = both.see(events("u7", ["i7"]))
    history = list_scores(again.memory, "u7").history
    assert again.model.catalogue.ids[history[-1]] == "i7" and len(set(history.tolist())) == len(history)


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_they_survive_the_folder_and_a_damaged_one_is_refused(kind: str, tmp_path: Path) -> None:
    seen = fitted(kind).with_items(pl.DataFrame({"item_id": ["brandnew"]})).see(events("new", ["i7"]))
    seen.save(tmp_path)
    loaded = Learner.load(tmp_path)
    for user in ("new", "u7", "nobody"):
        assert loaded.recommend(user, 40) == seen.recommend(user, 40)
    kept = load_folder(tmp_path)
    for name, wrong in (
        ("pairs.columns", lambda found: found + 40),
        ("new", lambda found: -found - 1.0),
        ("met.items", lambda found: found + 41),
        ("met.start", lambda found: found[:-1]),
        ("level.0", lambda found: found[:-1]),
        ("known.chances", lambda found: found[:-1]),
    ):
        arrays = {**kept.arrays, "list": {**kept.arrays["list"], name: wrong(kept.arrays["list"][name])}}
        save_folder(tmp_path / "wrong", config=kept.config, arrays=arrays, tables=kept.tables)
        with pytest.raises(ModelFolderError):
            Learner.load(tmp_path / "wrong")


def test_a_folder_of_an_older_version_ranks_by_what_is_known_and_liked(tmp_path: Path) -> None:
    fitted("ratings").save(tmp_path)
    kept = load_folder(tmp_path)
    del kept.arrays["list"], kept.config["list"]
    save_folder(tmp_path / "old", config=kept.config, arrays=kept.arrays, tables=kept.tables)
    old = Learner.load(tmp_path / "old").see(events("new", ["i7"]))
    scores = list_scores(old.memory, "new")
    know = old.model.answerability.probability(old.state("new").exposure)
    np.testing.assert_allclose(scores.met(), np.log(know))
    assert old.recommend("new") and old.recommend("u7")


NOW = float(int(time.time()))
DAY = 86_400.0


@cache
def by_the_day() -> Learner:
    """A list by popularity of late alone, whose half-life is a day, of a fit that ended ten days ago."""
    model = counted().memory.fitted
    assert model.list_model is not None
    ever = model.list_model.levels[EVER]
    new, known = (Weights((LATELY,), at, np.ones((len(at), 1))) for at in (NEW, KNOWN))
    levels = {EVER: ever, LATELY: ever + np.log(0.1)}
    parts = {"levels": levels, "new": new, "known": known, "half_life": 1.0, "last": NOW - 10 * DAY}
    return Learner(Memory(replace(model, list_model=replace(model.list_model, **parts))))


def test_what_many_do_since_the_fit_comes_up_in_everybodys_list_and_fades() -> None:
    of, shown = by_the_day(), ids(by_the_day(), "nobody")

    def told(item: str, day: float) -> list[Event]:
        at = NOW + day * DAY
        return [one for user in range(20) for one in events(f"v{user}", [item], at=at, key=f"{item} {user} {day}")]

    assert shown[0] == "i0"
    fashion = of.see(told("i8", -9.0))
    assert ids(fashion, "nobody")[0] == "i8" and ids(fashion, "u3", 41)[0] == "i8"
    after = fashion.see(told("i9", -1.0))
    assert ids(after, "nobody")[0] == "i9"  # the fashion of last week counts 1/256 by now
    met_by = fashion.see(told("i9", -60.0))
    assert ids(met_by, "nobody")[0] == "i8"  # long before the fit: no fashion
    back = after.memory.retracted([Record(1, one, NOW, retracts=one.key) for one in told("i9", -1.0)])
    np.testing.assert_array_equal(met(Learner(back), "nobody"), met(fashion, "nobody"))


def test_popularity_of_late_is_the_same_after_a_start_from_kept_beliefs(tmp_path: Path) -> None:
    save_model(tmp_path, Checkpoint(by_the_day().memory))
    live = opened(tmp_path, None, ())
    live.append([Event(f"v{user}", f"i{user % 7}", "click", at=NOW - user * DAY / 4) for user in range(30)])
    live.append([Event("cheat", "i5", "click", at=NOW + 10_000 * DAY)])  # a claim: no later than it was kept
    before = live.now()
    live.keep_beliefs(live.checkpoint)
    live.close()
    again = opened(tmp_path, None, ())
    assert again.checkpoint.started_seq == 31
    assert again.now().memory.learnt.company.since.now == before.memory.learnt.company.since.now
    assert 79 <= before.memory.learnt.company.since.now.step <= 81  # ten days, of eight steps each
    np.testing.assert_array_equal(met(again.now(), "nobody"), met(before, "nobody"))
    again.close()
