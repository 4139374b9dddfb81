"""Items learn between fits: for everybody, in any order of users, and without a trace of what is taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from immutables import Map

from palate import Answer, AnswerKind, Learner, Recommender, events, rate
from palate.loop.memory import Memory
from palate.model.model import Model
from palate.posteriors.items import Items, Spread
from palate.posteriors.taste import Taste
from palate.store.model_folder.folder import load_folder, save_folder
from tests.worlds import data, learner

LIKELIHOODS = ["ratings", "likes", "events"]
TOP = {"ratings": 5.0, "likes": 1.0, "events": 1.0}
LOW = {"ratings": 1.0, "likes": 0.0, "events": 1.0}


def same_items(one: Model, two: Model) -> bool:
    """To the bit, the lists' reasons included."""
    items, others = one.taste.items, two.taste.items
    pairs = [(getattr(items, name), getattr(others, name)) for name in ("level", "factors", "answer_noise")]
    pairs += [(items.spread.whole, others.spread.whole)]
    pairs += [(getattr(one.catalogue, name), getattr(two.catalogue, name)) for name in ("counts", "levels")]
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs)


def by_strangers(item: str, value: float, n: int) -> list[Answer]:
    return [rate(f"{item} {number}", item, value, key=f"{item} {number}") for number in range(n)]


def shown(of: Learner, item: str, user: str = "nobody") -> tuple[float, str]:
    (one,) = of.recommend(user, 1, allow=[item], include_seen=True)
    return one.score, one.reason


def test_a_new_item_that_is_bad_and_an_old_one_that_turns_bad_fall_for_everybody() -> None:
    of = learner().with_items(pl.DataFrame({"item_id": ["new"]}))
    best = of.recommend("nobody", 1)[0].item_id
    after = of.tell([*by_strangers("new", 1.0, 55), *by_strangers(best, 1.0, 100)])
    for user in ("nobody", of.model.user_ids[3]):
        assert shown(after, "new", user)[0] < shown(of, "new", user)[0] - 0.5
        assert shown(after, best, user)[0] < shown(of, best, user)[0] - 0.7
        liked = after.recommend(user, 10, include_seen=True, familiarity=0.0)  # who turned it down has met it, too
        assert best not in [one.item_id for one in liked]
    assert shown(after, "new")[1] == "dozens of people rated it, few liked it"


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_items_do_not_hang_on_who_came_first_and_nothing_is_left_of_what_is_undone(kind: str, tmp_path: Path) -> None:
    of, rng = learner(kind), np.random.default_rng(0)
    ids, users = of.model.catalogue.ids, [*of.model.user_ids[:4], "s1", "s2", "s3"]
    told = [rate(users[n % 7], ids[int(rng.integers(30))], rng.choice([LOW[kind], TOP[kind]])) for n in range(60)]
    told = [replace(one, key=f"k{place}") for place, one in enumerate(told)]
    forth = of.tell(told)
    back = of
    for user in reversed(users):  # each user's own order stays
        for one in told:
            if one.user_id == user:
                back = back.tell(one)
                back.model, back.state(user)  # read in between, so that it is not worked out at once
    assert same_items(forth.model, back.model) and not same_items(forth.model, of.model)
    assert forth.model.taste.items.level[of.model.catalogue.position(told[0].item_id)] not in of.model.taste.items.level
    less = back.undo("s1").undo("s2", told[5].key) if told[5].user_id == "s2" else back.undo("s1")
    never = of.tell([one for one in told if one.key not in less.memory.undone])
    assert same_items(less.model, never.model)
    for user in users:
        assert np.array_equal(less.state(user).belief.mean, never.state(user).belief.mean)
    for user in users:
        for one in less.told.get(user, ()):
            less = less.undo(user, one.key)
    assert same_items(less.model, of.model) and less.model is of.memory.fitted
    forth.save(tmp_path / "model")
    assert same_items(Learner.load(tmp_path / "model").model, forth.model)


def test_an_old_memory_keeps_its_items() -> None:
    of = learner().tell(by_strangers("i001", 5.0, 3))
    model, score = of.model, shown(of, "i001")
    after = of.tell(by_strangers("i001", 1.0, 20)[3:])
    assert shown(after, "i001") != score == shown(of, "i001") and of.model is model
    assert shown(after.tell(by_strangers("i002", 1.0, 3)), "i001") == shown(after, "i001")


def test_what_others_say_moves_a_belief_and_what_one_says_oneself_does_not_come_back() -> None:
    of = learner().with_items(pl.DataFrame({"item_id": ["new"]}))
    alone = of.tell(rate("ann", "new", 5.0))
    item, fitted = of.model.catalogue.position("new"), of.memory.fitted
    by_hand = fitted.taste.observe(fitted.taste.start, item, 5.0)
    assert np.array_equal(alone.state("ann").belief.mean, by_hand.mean)
    assert alone.model.taste.items.level[item] > fitted.taste.items.level[item]
    others = of.tell(by_strangers("new", 1.0, 10))
    both = alone.tell(by_strangers("new", 1.0, 10))
    under = Taste(others.model.taste.items, fitted.taste.likelihood, fitted.taste.start)
    expected = under.observe(under.start, item, 5.0)
    np.testing.assert_allclose(both.state("ann").belief.mean, expected.mean, atol=1e-12)
    fresh = Memory(fitted, told=both.memory.told)
    assert np.array_equal(fresh.state("ann").belief.mean, both.state("ann").belief.mean)
    assert both.state("bob") is not None and same_items(fresh.model, both.model)


@pytest.mark.parametrize("form", ["full", "diagonal", "isotropic"])
def test_a_posterior_is_the_regression_on_what_was_believed_of_the_users(form: str) -> None:
    whole = learner().model
    items = whole.taste.items
    spread = Spread.build(items.spread.covariances(items.dim + 1), form)  # type: ignore[arg-type]
    items = Items(items.level, items.factors, spread, items.noise)
    of = Learner(Memory(replace(whole, taste=Taste.build(items, whole.taste.likelihood))))
    users, item = of.model.user_ids, 5
    raters = [row for row in range(40) if item not in of.model.answers[row].indices][:6]
    of_users = [of.state(users[row]).belief for row in raters]
    after = of.tell(rate(users[row], of.model.catalogue.ids[item], 1.0 + n % 5) for n, row in enumerate(raters))
    covariance, sigma = spread.covariances(items.dim + 1)[item], items.noise[item]
    precision = np.linalg.inv(covariance)
    start = np.array([items.level[item], *items.factors[item]])
    pull = precision @ start
    for n, belief in enumerate(of_users):
        t = np.array([1.0, *belief.mean])
        unsure = start[1:] @ belief.covariance @ start[1:] + np.trace(covariance[1:, 1:] @ belief.covariance)
        own = sigma * of.model.user_noise[raters[n]]
        precision = precision + np.outer(t, t) / (own + unsure)
        pull = pull + t * (1.0 + n % 5) / (own + unsure)
    found = after.model.taste.items
    expected = np.linalg.solve(precision, pull)
    np.testing.assert_allclose([found.level[item], *found.factors[item]], expected, atol=1e-7)
    kept = Spread.build(np.linalg.inv(precision)[None], form).covariances(items.dim + 1)[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(found.spread.take(np.array([item])).covariances(items.dim + 1)[0], kept, atol=1e-7)
    np.testing.assert_allclose(found.answer_noise[item], sigma + np.trace(kept), atol=1e-7)


@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_a_corrected_or_withdrawn_rating_of_the_data_leaves_its_item(kind: str) -> None:
    of = learner(kind)
    user, item = of.model.user_ids[7], int(of.model.answers[7].indices[of.model.answers[7].data.argmax()])
    name = of.model.catalogue.ids[item]
    lower = of.tell(rate(user, name, LOW[kind])).model
    gone = of.tell(Answer(user, name, AnswerKind.UNKNOWN)).model
    level = of.model.taste.items.level[item] + of.model.taste.items.factors[item] @ of.state(user).belief.mean
    for model in (lower, gone):
        now = model.taste.items.level[item] + model.taste.items.factors[item] @ of.state(user).belief.mean
        assert now < level
    assert lower.catalogue.counts[item] == of.model.catalogue.counts[item] == gone.catalogue.counts[item] + 1
    assert lower.catalogue.levels[item][0] > of.model.catalogue.levels[item][0]
    assert np.trace(gone.taste.items.spread.covariances(of.model.taste.items.dim + 1)[item]) > np.trace(
        of.model.taste.items.spread.covariances(of.model.taste.items.dim + 1)[item]
    )


@pytest.mark.parametrize(
    "kind", [pytest.param(one, marks=() if one == "ratings" else pytest.mark.long) for one in LIKELIHOODS]
)
def test_a_refit_takes_over_what_items_learnt_and_what_is_retracted_later_leaves_it(kind: str, tmp_path: Path) -> None:
    with Recommender.create(tmp_path / "model", data(kind), encoder="none", dim=3) as of:
        item = of.learner.model.catalogue.ids[4]
        of.tell(by_strangers(item, LOW[kind] if kind != "events" else 1.0, 12))
        of.tell(rate("x", item, TOP[kind], source="pseudo:model@0.5"))
        learnt = of.learner.model
        of.refit()
        refitted = of.learner
        assert refitted.model is refitted.memory.fitted, "nothing is counted twice"
        np.testing.assert_array_equal(refitted.model.catalogue.counts, learnt.catalogue.counts)
        np.testing.assert_allclose(refitted.model.catalogue.levels, learnt.catalogue.levels, atol=1e-12)
        before = of.learner.model.taste.items.level[4]
        with Recommender.open(tmp_path / "model") as other:
            assert other.learner.model is other.learner.memory.fitted
            for number in range(12):
                other.undo(f"{item} {number}")
            moved = other.learner.model
        sign = -1.0 if kind == "events" else 1.0
        assert sign * (moved.taste.items.level[4] - before) > 0.0
        assert moved.catalogue.counts[4] == refitted.model.catalogue.counts[4] - 12
        assert same_items(of.learner.model, moved)


def test_labels_of_the_fit_say_nothing_more(tmp_path: Path) -> None:
    labels = by_strangers("i001", 4.0, 3)
    of = Learner.fit(data(), encoder="none", dim=2, labels=labels)
    of.save(tmp_path / "model")
    assert Learner.load(tmp_path / "model").memory.learnt.sums == Map()
    assert set(of.undo(labels[0].user_id).memory.learnt.sums) == {of.model.catalogue.position("i001")}


@pytest.mark.long
def test_a_folder_of_an_older_version_does_not_count_its_labels_twice(tmp_path: Path) -> None:
    with Recommender.create(tmp_path / "model", data(), encoder="none", dim=2) as of:
        of.tell(by_strangers("i001", 2.0, 3))
        of.refit()
        of.tell(by_strangers("i002", 2.0, 3))
    found = load_folder(tmp_path / "model")
    tables = {name: table for name, table in found.tables.items() if name != "labels"}
    save_folder(tmp_path / "model", config=found.config, arrays=found.arrays, tables=tables)
    with Recommender.open(tmp_path / "model") as again:
        places = map(again.learner.model.catalogue.position, ["i001", "i002"])
        assert list(places)[1:] == list(again.learner.memory.learnt.sums)


def test_events_teach_a_model_of_events_as_a_refit_would_take_them(tmp_path: Path) -> None:
    with Recommender.create(tmp_path / "model", data("events"), encoder="none", dim=3) as of:
        catalogue = of.learner.model.catalogue
        more, less = catalogue.ids[int(np.argmin(catalogue.counts))], catalogue.ids[int(np.argmax(catalogue.counts))]
        places = catalogue.positions([more, less])
        before = of.learner.model.taste.items.level[places]
        for number in range(40):
            of.see(events(f"s{number}", [more, more], kind="view"))
            of.see(events(f"t{number}", [more], kind="impression"))
            of.see(events(f"s{number}", [less], kind="dislike"))
        learnt, since = of.learner.model, of.learner.memory.seen
        of.refit()
        refitted = of.learner.model
        assert refitted is of.learner.memory.fitted
        np.testing.assert_array_equal(refitted.catalogue.counts, learnt.catalogue.counts)
        np.testing.assert_allclose(refitted.catalogue.levels, learnt.catalogue.levels, atol=1e-12)
        for model in (learnt, refitted):
            assert (np.sign(model.taste.items.level[places] - before) == [1.0, -1.0]).all()
        assert learnt.catalogue.counts[places[0]] == catalogue.counts[places[0]] + 40
        ratings = learner("both").see(events("s0", [more], kind="like"))  # a history there, and no answer
        assert since and not ratings.memory.learnt.sums
