"""Whom to ask about an item, and which pairs to ask about in the whole system."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import planted_world
from palate.entities import Answer, AnswerKind
from palate.errors import OptionError, UnknownItem
from palate.loop.ask_about_item import Crowd, whom_to_ask
from palate.loop.ask_pairs import pairs_to_ask

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def learner() -> Learner:
    data = planted_world(users=80, items=40, rng=RNG(0)).dataset
    return Learner.fit(data, encoder="none").with_items(pl.DataFrame({"item_id": ["fresh"]}))


def asked(learner: Learner, item: str, **options: object) -> list[str]:
    return [question.user_id for question in whom_to_ask(learner.memory, item, rng=RNG(0), **options)]  # type: ignore[arg-type]


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


def test_pairs_are_different_and_keep_to_their_budgets(learner: Learner) -> None:
    questions = pairs_to_ask(learner.memory, 60, per_user=3, rng=RNG(0))
    pairs = {(question.user_id, question.item_id) for question in questions}
    counts = np.unique([question.user_id for question in questions], return_counts=True)[1]
    assert len(questions) == len(pairs) == 60
    assert counts.max() <= 3
    rated = {
        (learner.model.user_ids[u], learner.model.catalogue.ids[i])
        for u, i in zip(*learner.model.answers.nonzero(), strict=True)
    }
    assert not pairs & rated


def test_a_budget_larger_than_there_are_pairs_asks_all_there_are() -> None:
    data = planted_world(users=12, items=9, rng=RNG(1)).dataset
    small = Learner.fit(data, encoder="none")
    questions = pairs_to_ask(small.memory, 10_000, rng=RNG(0))
    assert len(questions) == 12 * 9 - small.model.answers.nnz


def test_a_new_item_is_what_the_system_asks_about(learner: Learner) -> None:
    """Nothing is known of it, so everybody gains from each answer."""
    questions = pairs_to_ask(learner.memory, 40, per_user=1, rng=RNG(0))
    share = np.mean([question.item_id == "fresh" for question in questions])
    assert share > 5 / len(learner.model.catalogue)


def test_the_first_pair_is_the_best_by_brute_force(learner: Learner) -> None:
    from palate.loop.ask_pairs import _System

    system = _System.of(learner.memory)
    values = np.array(
        [
            [system.known[u, i] * sum(system._gains(u, i)) for i in range(len(learner.model.catalogue))]
            for u in range(len(learner.model.user_ids))
        ]
    )
    (first,) = pairs_to_ask(learner.memory, 1, rng=RNG(0))
    assert first.value == pytest.approx(values.max(), rel=1e-9)
    user, item = np.unravel_index(values.argmax(), values.shape)
    assert (first.user_id, first.item_id) == (learner.model.user_ids[user], learner.model.catalogue.ids[item])


@pytest.mark.parametrize(("budget", "per_user", "name"), [(0, None, "budget"), (5, 0, "per_user"), (-3, 1, "budget")])
def test_budgets_below_one_are_refused(learner: Learner, budget: int, per_user: int | None, name: str) -> None:
    with pytest.raises(OptionError, match=rf"^{name} is -?\d\. Give a whole number from 1\.$"):
        pairs_to_ask(learner.memory, budget, per_user=per_user, rng=RNG(0))
