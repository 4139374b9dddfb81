"""Who users are, from the data's table to the belief: the fit, the learner, the folder, the simulation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.acquisition import STRATEGIES
from palate.datasets import Dataset
from palate.entities import Answer, AnswerKind
from palate.errors import ModelFolderError, OptionError
from palate.evaluation.play import play
from palate.evaluation.world import users_world
from palate.loop.checkpoint import open_log
from palate.loop.memory import Memory
from palate.posteriors.attributes import combined
from palate.records import Attribute, events
from palate.store.model_folder.folder import load_folder, save_folder
from tests.worlds import data, learner, without_lists, words, world

NUMBER = {"ratings": 5.0, "likes": 1.0, "both": 5.0}


@cache
def described(kind: str = "ratings") -> Dataset:
    """The world with ages and towns that say much of a taste, names that say nothing, and somebody without answers."""
    tastes, users = world().tastes, world().user_ids
    table = pl.DataFrame(
        {
            "user_id": [*users, "reader"],
            "age": [*map(str, np.round(40 + 10 * tastes[:, 0] + np.arange(300) % 3).astype(int)), "60"],
            "town": [*np.where(tastes[:, 1] > 0, "north", "south"), "north"],
            "name": [*(f"name of {user}" for user in users), "a reader"],
        }
    )
    return replace(data(kind), users=table)


@cache
def fitted(kind: str = "ratings") -> Learner:
    with words():
        likelihood = "gaussian" if kind in ("ratings", "both") else "auto"  # as of the learner without attributes
        return without_lists(described(kind), encoder="words", dim=6, likelihood=likelihood)


def rating(item: str, value: float, user: str = "newcomer") -> Answer:
    return Answer(user, item, AnswerKind.RATING, value, key=f"{user} {item}")


def known(of: Learner) -> dict[str, dict[str, float | str | None]]:
    """What was told of users since the fit, the last of each attribute."""
    return {user: {one.name: one.value for one in told} for user, told in of.memory.known.items()}


def differ(one: Learner, two: Learner, user: str) -> bool:
    return not np.array_equal(one.state(user).belief.mean, two.state(user).belief.mean)


# ---- the fit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["ratings", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("likes", "both"))]
)
def test_the_fit_learns_what_attributes_say_and_leaves_the_items_as_they_are(kind: str) -> None:
    model = fitted(kind).model
    assert model.attributes is not None and model.users is not None
    assert model.attributes.coding.names == ("age", "town")
    assert model.users.schema == {"user_id": pl.String, "age": pl.Float64, "town": pl.String}
    assert model.described("reader") == {"age": 60.0, "town": "north"}
    assert np.array_equal(model.taste.items.factors, learner(kind).model.taste.items.factors)


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_without_a_table_or_with_events_alone_there_are_none(kind: str) -> None:
    model = (fitted("events") if kind == "events" else learner()).model
    assert model.attributes is None and model.users is None and model.described("u001") == {}


@pytest.mark.long
def test_the_fit_sees_the_attributes_of_users_with_answers_only() -> None:
    """Somebody else's may be anything: what is fitted is the same."""
    with words():
        some = described().filter(~pl.col("user_id").is_in(["u001", "u002"]))
        tables = [
            replace(some, users=some.users.with_columns(pl.when(other).then(pl.lit(said)).otherwise(name).alias(name)))
            for other in [pl.col("user_id").is_in(["u001", "u002", "reader"])]
            for name, said in (("age", "1000000"), ("age", "unknown"), ("town", "elsewhere"))
        ]
        one, *others = [without_lists(table, encoder="none", dim=3).model for table in [some, *tables]]
    for other in others:
        assert one.attributes is not None and other.attributes is not None
        assert one.attributes.coding == other.attributes.coding
        assert np.array_equal(one.attributes.prior.coefficients, other.attributes.prior.coefficients)
    assert others[1].described("u001") == {"town": one.described("u001")["town"]}
    state = Learner(Memory(others[2])).state("u001")
    assert np.isfinite(state.belief.mean).all()  # a town that nobody fitted had is no error in the data


def test_of_very_many_users_some_teach_what_attributes_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palate.model.fit_users.TAUGHT_BY", 50)
    model = without_lists(described(), encoder="none", dim=3).model
    assert model.attributes is not None and model.users is not None
    shares = 50 * np.array(model.attributes.coding.attributes[1].shares)
    np.testing.assert_allclose(shares, np.rint(shares))
    assert model.users.height == 301


# ---- the learner ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_users_of_the_data_start_from_their_attributes(kind: str) -> None:
    model = fitted(kind).model
    assert model.attributes is not None
    for user in ("u007", "reader"):
        expected = model.attributes.start_one(model.taste, model.described(user))
        state = fitted(kind).state(user)
        assert np.array_equal(state.start.mean, expected.mean)
        assert not np.array_equal(state.start.mean, model.taste.start.mean)
    row = model.user_ids.index("u007")
    believed = model.taste.believe(model.answers[row], fitted(kind).state("u007").start, of_users=model.user_noise[row])
    np.testing.assert_allclose(fitted(kind).state("u007").belief.mean, believed.mean[0])
    assert fitted(kind).knows("reader") and not fitted(kind).knows("nobody")


def test_a_new_user_told_of_starts_like_one_of_the_data() -> None:
    told = fitted().know("newcomer", age=60, town="north")
    assert np.array_equal(told.state("newcomer").belief.mean, fitted().state("reader").belief.mean)
    assert known(told) == {"newcomer": {"age": 60.0, "town": "north"}}
    assert told.knows("newcomer") and not fitted().knows("newcomer")
    assert told.recommend("newcomer") != fitted().recommend("newcomer")


def test_knowing_leaves_the_old_learner_as_it_was_and_the_answers_stay() -> None:
    before = fitted().tell(rating("i001", 5.0))
    held = before.state("newcomer").belief.mean.copy()
    after = before.know(" newcomer ", age=20)
    assert np.array_equal(before.state("newcomer").belief.mean, held) and known(before) == {}
    assert after.told == before.told
    other_order = fitted().know("newcomer", age=20).tell(rating("i001", 5.0))
    np.testing.assert_allclose(after.state("newcomer").belief.mean, other_order.state("newcomer").belief.mean)


def test_what_is_told_last_counts_over_what_was_told_and_over_the_data() -> None:
    twice = fitted().know("u007", age=20).know("u007", town="south", age=70)
    assert known(twice) == {"u007": {"age": 70.0, "town": "south"}}
    assert not differ(twice, fitted().know("u007", age=70, town="south"), "u007")
    assert differ(twice, fitted(), "u007")
    nobody = fitted().know("u007", age=None, town=None)
    assert nobody.state("u007").start is nobody.model.taste.start


def test_undo_and_new_items_leave_who_somebody_is() -> None:
    told = fitted().know("newcomer", age=60)
    undone = told.tell(rating("i001", 5.0)).undo("newcomer")
    assert known(undone) == known(told)
    assert np.array_equal(undone.state("newcomer").belief.mean, told.state("newcomer").belief.mean)
    with words():
        more = told.with_items(pl.DataFrame({"item_id": ["new"], "text": ["a jazz album"]}))
    assert np.array_equal(more.state("newcomer").belief.mean, told.state("newcomer").belief.mean)


def test_who_somebody_is_and_what_they_did_are_combined() -> None:
    are, did = fitted().know("newcomer", age=60), fitted().see(events("newcomer", ["i003", "i004"]))
    both = are.see(events("newcomer", ["i003", "i004"])).state("newcomer").start
    expected = combined(are.state("newcomer").start, did.state("newcomer").start)
    np.testing.assert_allclose(both.mean, expected.mean)
    np.testing.assert_allclose(both.covariance, expected.covariance)
    assert np.trace(both.covariance) < np.trace(are.state("newcomer").start.covariance)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "0 attributes are given. Give at least one of age, town."),
        ({"height": 3}, "the attribute 'height' was not fitted. The attributes are: age, town."),
        ({"age": "old"}, "the attribute age is 'old'. Give a number."),
        ({"town": "paris"}, "the attribute town is 'paris', which no user had. Give one of north, south."),
    ],
)
def test_what_cannot_be_taken_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as error:
        fitted().know("newcomer", **given)
    assert str(error.value) == message


def test_a_model_without_attributes_keeps_them_for_the_next_fit() -> None:
    told = learner().know("newcomer", age=23, keen=True, town="")
    assert [(one.name, one.value) for one in told.memory.known["newcomer"]] == [
        ("age", 23.0),
        ("keen", "True"),
        ("town", None),
    ]
    assert np.array_equal(told.state("newcomer").belief.mean, learner().state("newcomer").belief.mean)
    with pytest.raises(OptionError, match=r"^the attribute age is inf\. Give a finite number\.$"):
        learner().know("newcomer", age=float("inf"))
    with pytest.raises(OptionError, match=r"^0 attributes are given\. Give at least one, such as age=31\.$"):
        learner().know("newcomer")


def test_somebody_of_whom_only_attributes_are_known_can_be_asked_and_is_told_why() -> None:
    told = fitted().know("newcomer", age=60)
    rng = np.random.default_rng(0)
    (question,) = told.ask_about("i001", users=["newcomer"], random_share=0.0, rng=rng)
    assert question.user_id == "newcomer"
    assert told.recommend("newcomer", k=1)[0].reason == "fits what is known of you"


# ---- the folder -----------------------------------------------------------------------------------------------------


def same(one: Learner, two: Learner) -> None:
    for user in ("newcomer", "u007", "reader", "nobody"):
        first, second = one.state(user), two.state(user)
        for name in ("start", "belief", "exposure"):
            assert np.array_equal(getattr(first, name).mean, getattr(second, name).mean), (user, name)
            assert np.array_equal(getattr(first, name).covariance, getattr(second, name).covariance), (user, name)


@pytest.mark.parametrize("kind", ["ratings", "likes", "both"])
def test_all_comes_back_to_the_bit(kind: str, tmp_path: Path) -> None:
    told = fitted(kind).know("newcomer", age=60.5, town="north").know("u007", age=None)
    told = told.tell(rating("i001", NUMBER[kind]))
    told.save(tmp_path)
    back = Learner.load(tmp_path)
    assert known(back) == known(told)
    assert back.model.users is not None and told.model.users is not None
    assert back.model.users.equals(told.model.users)
    same(told, back)


def test_a_save_of_a_learner_that_was_told_nothing_keeps_what_was_told_before(tmp_path: Path) -> None:
    fitted().know("newcomer", age=60).save(tmp_path)
    fitted().know("u007", town="south").save(tmp_path)
    assert known(Learner.load(tmp_path)) == {"newcomer": {"age": 60.0}, "u007": {"town": "south"}}


def test_attributes_that_the_model_does_not_know_are_passed_over_and_stay(tmp_path: Path) -> None:
    fitted().know("newcomer", age=60).save(tmp_path)
    with open_log(tmp_path) as log:
        log.append([Attribute("newcomer", "height", 1.8), Attribute("other", "town", "paris")])
    message = r"^2 of 3 rows of the log of .* do not fit the model and were passed over; the first: the attribute 'h"
    with pytest.warns(UserWarning, match=message) as caught:
        back = Learner.load(tmp_path)
    assert caught[0].filename == __file__
    assert known(back) == {"newcomer": {"age": 60.0}}
    back.save(tmp_path)
    with open_log(tmp_path) as log:
        assert [row.content.value for row in log.records()] == [60.0, 1.8, "paris"]


def test_a_folder_from_before_there_were_attributes_loads(tmp_path: Path) -> None:
    learner().save(tmp_path)
    assert {"coding", "attributes"}.isdisjoint(load_folder(tmp_path).tables)
    back = Learner.load(tmp_path)
    assert back.model.attributes is None and known(back) == {}


Change = Callable[[Any], None]


def in_table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    return lambda parts: parts.tables.update({name: change(parts.tables[name])})


def in_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda parts: parts.arrays["taste"].update({name: change(parts.arrays["taste"][name])})


PROMISE = r"the model folder .* does not hold what its config promises: {}.*\. Fit its data into it again"
WRONG: list[tuple[str, Change, str]] = [
    ("no coding of one", in_table("coding", lambda t: t[:1]), r"the length of attributes\.centre is 3, .* says 1\."),
    ("no JSON", in_table("coding", lambda t: t.with_columns(attribute=pl.lit("{"))), PROMISE.format("JSONDecodeError")),
    ("another JSON", in_table("coding", lambda t: t.with_columns(attribute=pl.lit("[]"))), PROMISE.format("TypeError")),
    ("no column", in_table("coding", lambda t: t.rename({"attribute": "x"})), PROMISE.format("ColumnNotFoundError")),
    ("no users", lambda parts: parts.tables.pop("attributes"), PROMISE.format(r"KeyError\('attributes'\)")),
    (
        "users without an attribute",
        in_table("attributes", lambda t: t.drop("age")),
        r"the types of attributes is \{.*\}, config\.json says \{.*'age': Float64.*\}\. Save the model again\.",
    ),
    (
        "numbers as text",
        in_table("attributes", lambda t: t.with_columns(pl.col("age").cast(pl.String))),
        "the types of attributes is",
    ),
    (
        "another map",
        in_array("attributes.coefficients", lambda a: a[:, :1]),
        r"the shape of attributes\.coefficients is \(3, 1\)",
    ),
    ("no map", lambda parts: parts.arrays["taste"].pop("attributes.mean"), PROMISE.format("KeyError")),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_MF_02_MF_05_parts_that_disagree_are_refused(change: Change, message: str, tmp_path: Path) -> None:
    fitted().save(tmp_path / "good")
    parts = copy.deepcopy(load_folder(tmp_path / "good"))
    change(parts)
    save_folder(tmp_path / "model", config=parts.config, arrays=parts.arrays, tables=parts.tables)
    with pytest.raises(ModelFolderError, match=f"^{message}") as caught:
        Learner.load(tmp_path / "model")
    assert "\n" not in str(caught.value)


# ---- the simulation -------------------------------------------------------------------------------------------------


def test_who_new_users_are_lowers_the_error_and_nothing_else_changes() -> None:
    worlds = [users_world(of, encoder="none", seed=0, max_users=300) for of in (described(), data())]
    with_attributes, without = worlds
    assert with_attributes.subjects == without.subjects
    assert np.array_equal(with_attributes.taste.items.factors, without.taste.items.factors)
    assert not without.start.mean.any()
    played = [
        play(one, STRATEGIES["a-optimal"], pool="answered", budget=3, rng=np.random.default_rng(0)).sums["rmse"].sum(0)
        for one in worlds
    ]
    assert played[0][0] < 0.85 * played[1][0]
    assert (played[0] < played[1]).all()


def test_no_answer_of_a_new_user_leaks_into_where_they_start() -> None:
    """Whatever the new users answered, they start from who they are."""
    one = users_world(described(), encoder="none", seed=0, max_users=300)
    of_new = pl.col("user_id").is_in(one.subjects)
    turned = described().interactions.with_columns(
        rating=pl.when(of_new).then(6 - pl.col("rating")).otherwise("rating")
    )
    other = users_world(replace(described(), interactions=turned), encoder="none", seed=0, max_users=300)
    assert other.subjects == one.subjects
    assert np.array_equal(other.start.mean, one.start.mean) and one.start.mean.any()
