"""Whom to ask about an item."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import planted_world
from palate.entities import Answer, AnswerKind
from palate.errors import OptionError, UnknownItem
from palate.loop.ask_about_item import Crowd, users_as_items, whom_to_ask
from palate.posteriors.belief import Belief

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def learner() -> Learner:
    data = planted_world(users=80, items=40, rng=RNG(0)).dataset
    return Learner.fit(data, encoder="none").with_items(pl.DataFrame({"item_id": ["fresh"]}))


def asked(learner: Learner, item: str, **options: object) -> list[str]:
    return [question.user_id for question in whom_to_ask(learner.memory, item, rng=RNG(0), **options)]  # type: ignore[arg-type]


def test_what_is_not_known_of_a_taste_is_noise_of_an_answer(learner: Learner) -> None:
    """By hand, for two users: an answer varies as one to the median item does, and by ``wᵀ S w`` of the average one."""
    items = learner.model.taste.items
    known, guess = np.zeros((items.dim, items.dim)), 0.3 * np.eye(items.dim) + 0.1
    belief = Belief(RNG(1).normal(size=(2, items.dim)), np.stack([known, guess]))
    found = users_as_items(learner.model, belief)
    median = sorted(items.noise)[len(items) // 2]
    assert len(items) % 2 and median != items.noise.mean()
    unsure = sum(w @ guess @ w for w in items.factors) / len(items)
    np.testing.assert_allclose(found.noise, [median, median + unsure])
    np.testing.assert_allclose(
        found.answer_noise, found.noise
    )  # a user's own place is no item's: nothing else is unsure
    np.testing.assert_array_equal(found.factors, np.concatenate([np.ones((2, 1)), belief.mean], 1))
    np.testing.assert_array_equal(found.level, [0.0, 0.0])


def test_nobody_is_asked_twice_and_all_can_be(learner: Learner) -> None:
    users = asked(learner, "fresh", k=500)
    assert len(users) == len(set(users)) == len(learner.model.user_ids)


def test_who_has_rated_an_item_is_not_asked_about_it(learner: Learner) -> None:
    model = learner.model
    item = int(np.argmax(model.catalogue.counts))
    raters = {model.user_ids[row] for row in model.population.by_item[item].indices}
    users = asked(learner, model.catalogue.ids[item], k=500)
    assert raters and not raters & set(users)
    assert len(users) + len(raters) == len(model.user_ids)


def test_who_was_asked_since_is_not_asked_again(learner: Learner) -> None:
    (first,) = asked(learner, "fresh")
    (second,) = asked(learner.tell(Answer(first, "fresh", AnswerKind.UNKNOWN)), "fresh")
    (third,) = asked(learner.tell(Answer(first, "fresh", AnswerKind.RATING, 4.0)), "fresh")
    assert first not in (second, third)


def test_an_answer_makes_the_next_one_worth_less(learner: Learner) -> None:
    (before,) = whom_to_ask(learner.memory, "fresh", rng=RNG(0))
    after = learner.tell(Answer(before.user_id, "fresh", AnswerKind.RATING, 4.0))
    (later,) = whom_to_ask(after.memory, "fresh", rng=RNG(0))
    assert 0 < later.value / later.answerable < before.value / before.answerable


def test_the_item_is_believed_to_be_what_its_ratings_say(learner: Learner) -> None:
    """By brute force: the ridge regression of the ratings on (1, taste) with the prior's mean and covariance."""
    model = learner.model
    item = int(np.argmax(model.catalogue.counts))
    crowd = Crowd.of(learner.memory)
    ratings = crowd.ratings(model, item)
    by_hand = model.answers[:, [item]].tocoo()
    assert dict(zip(ratings.indices, ratings.data, strict=True)) == dict(zip(by_hand.row, by_hand.data, strict=True))
    told = learner.tell(Answer(model.user_ids[0], model.catalogue.ids[item], AnswerKind.RATING, 1.0))
    assert Crowd.of(told.memory).ratings(model, item)[0, 0] == 1.0


def test_a_newcomer_can_be_asked_too(learner: Learner) -> None:
    told = learner.tell(Answer("newcomer", learner.model.catalogue.ids[3], AnswerKind.RATING, 5.0))
    assert "newcomer" in asked(told, "fresh", k=500)
    assert asked(told, "fresh", users=["newcomer"]) == ["newcomer"]


def test_unknown_items_and_users_are_refused(learner: Learner) -> None:
    with pytest.raises(UnknownItem):
        asked(learner, "nothing-like-it")
    with pytest.raises(OptionError, match=r"^user 'stranger' is unknown\. Ask users of the data, or tell something"):
        asked(learner, "fresh", users=["stranger"])


def test_two_calls_agree(learner: Learner) -> None:
    assert whom_to_ask(learner.memory, "fresh", k=5, strategy="random", rng=RNG(3)) == whom_to_ask(
        learner.memory, "fresh", k=5, strategy="random", rng=RNG(3)
    )
