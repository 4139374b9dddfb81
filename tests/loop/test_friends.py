"""Friends in the loop: their choices in the list, since the fit too; consent, erasure, reasons, the model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner, Recommender, events
from palate.datasets.views import with_attributes, with_friends
from palate.errors import IdError
from palate.loop.friends import friends_of
from palate.recommender.fitting import erased_in, without_users
from palate.records import Attribute, Consent, Erasure, Record, user_digest
from tests.ranking.test_fit_list import a_world


def community() -> Dataset:
    """Four groups of people, each with its own items and its friends inside it."""
    met, rng = a_world(users=160), np.random.default_rng(3)
    rows = pl.DataFrame(
        {
            "user_id": [f"u{user:03d}" for user in met.users],
            "item_id": [f"i{item:02d}" for item in met.items],
            "event": "like",
            "timestamp": met.timestamps,
        }
    )
    pairs = [(user, 4 * int(other) + user % 4) for user in range(160) for other in rng.choice(40, 6, replace=False)]
    friends = [(f"u{user:03d}", f"u{other:03d}") for user, other in pairs if user != other]
    return Dataset.from_tables(
        rows, friends=pl.DataFrame(friends, schema=["user_id", "friend_id"], orient="row"), name="community"
    )


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner.fit(community(), encoder="none", seed=0)


def items(learner: Learner, user: str) -> list[str]:
    return [one.item_id for one in learner.recommend(user, 10)]


def of_group(found: list[str], group: int) -> int:
    return sum(12 * group <= int(item[1:]) < 12 * (group + 1) for item in found)


FOUR = ["u002", "u006", "u010", "u014"]  # of the third group


def test_whom_somebody_new_follows_makes_their_list(learner: Learner) -> None:
    after = learner.know("ann", friends=FOUR)
    assert of_group(items(after, "ann"), 2) >= 8 > of_group(items(learner, "ann"), 2)
    assert items(after.know("ann", friends=[]), "ann") == items(learner, "ann")


def test_what_friends_do_after_the_fit_counts(learner: Learner) -> None:
    after = learner.know("ann", friends=["new1", "new2"])
    assert items(after, "ann") == items(learner, "ann")
    for friend in ("new1", "new2"):
        after = after.see(events(friend, ["i13", "i14"], kind="like"))
    assert set(items(after, "ann")[:2]) == {"i13", "i14"}


def test_one_friend_alone_moves_nothing(learner: Learner) -> None:
    assert items(learner.know("ann", friends=FOUR[:1]), "ann") == items(learner, "ann")


def test_a_friend_counts_as_far_as_they_allow(learner: Learner) -> None:
    after = learner.know("ann", friends=FOUR[:2])
    assert items(after, "ann") != items(learner, "ann")
    for purposes in (("serve",), ("research",), ()):
        memory = after.memory.consented([Consent(FOUR[0], purposes, "v1")])
        assert items(Learner(memory), "ann") == items(learner, "ann")
    memory = after.memory.consented([Consent(FOUR[0], ("serve", "research"), "v1")])
    assert items(Learner(memory), "ann") == items(after, "ann")


def test_the_reason_says_how_many_and_names_nobody(learner: Learner) -> None:
    reasons = [one.reason for one in learner.know("ann", friends=FOUR).recommend("ann", 5)]
    said = [reason for reason in reasons if "friends of yours" in reason]
    assert said and all(reason.split()[0] in ("3", "4") for reason in said)
    assert not any(friend in reason for friend in FOUR for reason in reasons)
    chinese = learner.know("ann", friends=FOUR).recommend("ann", 5, language="zh")
    assert any("位好友" in one.reason for one in chinese)


def test_of_the_data_and_of_what_was_said_since_the_last_counts(learner: Learner) -> None:
    of_data = friends_of(learner.memory, "u000")
    assert len(of_data) >= 5
    assert friends_of(learner.know("u000", friends=["x", "u000", "x"]).memory, "u000") == ["x"]


def test_what_is_no_list_of_ids() -> None:
    with pytest.raises(IdError):
        Attribute("ann", "friends", ["bob", " "])  # type: ignore[arg-type]
    assert Attribute("ann", "friends", "[many").friends is None
    assert Attribute("ann", "friends", 3.0).friends is None


def test_a_folder_keeps_them_and_an_erasure_takes_them_out(tmp_path: Path, learner: Learner) -> None:
    learner.know("ann", friends=FOUR).save(tmp_path / "model")
    with Recommender.open(tmp_path / "model") as recommender:
        before = [one.item_id for one in recommender.recommend("ann", 10)]
        assert before == items(learner.know("ann", friends=FOUR), "ann")
        for friend in FOUR[:3]:
            recommender.erase(friend)
        friendships = recommender.learner.memory.fitted.friendships
        assert friendships is not None and not {*FOUR[:3]} & {*friendships.people}
        assert of_group([one.item_id for one in recommender.recommend("ann", 10)], 2) < of_group(before, 2)


def test_a_refit_takes_the_last_word_and_nobody_who_was_erased() -> None:
    rows = pl.DataFrame({"user_id": ["ann", "bob"], "item_id": ["i1", "i1"]})
    pairs = pl.DataFrame({"user_id": ["ann", "bob"], "friend_id": ["bob", "ann"]})
    data = Dataset.from_tables(rows, friends=pairs)
    told = [
        Attribute("ann", "friends", ["cy"]),
        Attribute("ann", "friends", ["cy", "dan"]),
        Attribute("ann", "age", 3.0),
    ]  # type: ignore[arg-type]
    known = with_friends(with_attributes(data, told), told)
    assert known.friends.rows() == [("bob", "ann"), ("ann", "cy"), ("ann", "dan")]
    assert known.users.columns == ["user_id", "age"]
    salt = "0" * 32
    erasure = Record(1, Erasure(salt, user_digest(salt, "dan")), 0.0)
    assert erased_in(known, [erasure]) == {"dan"}
    assert without_users(known, {"dan"}).friends.rows() == [("bob", "ann"), ("ann", "cy")]
