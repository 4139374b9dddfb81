"""Which pairs to ask about in the whole system."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import planted_world
from palate.errors import OptionError
from palate.loop.ask_pairs import _System, pairs_to_ask
from palate.posteriors.statistics import unpack
from tests import worlds

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def learner() -> Learner:
    data = planted_world(users=80, items=40, rng=RNG(0)).dataset
    return Learner.fit(data, encoder="none").with_items(pl.DataFrame({"item_id": ["fresh"]}))


@pytest.fixture(scope="module")
def small() -> Learner:
    return Learner.fit(planted_world(users=12, items=9, rng=RNG(1)).dataset, encoder="none")


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


def test_a_budget_larger_than_there_are_pairs_asks_all_there_are(small: Learner) -> None:
    questions = pairs_to_ask(small.memory, 10_000, rng=RNG(0))
    assert len(questions) == 12 * 9 - small.model.answers.nnz


def test_a_new_item_is_what_the_system_asks_about(learner: Learner) -> None:
    """Nothing is known of it, so everybody gains from each answer."""
    questions = pairs_to_ask(learner.memory, 40, per_user=1, rng=RNG(0))
    share = np.mean([question.item_id == "fresh" for question in questions])
    assert share > 5 / len(learner.model.catalogue)


def test_the_first_pair_is_the_best_by_brute_force(learner: Learner) -> None:
    system = _System.of(learner.memory)
    values = values_of(system)
    (first,) = pairs_to_ask(learner.memory, 1, rng=RNG(0))
    assert first.value == pytest.approx(values.max(), rel=1e-9)
    user, item = np.unravel_index(values.argmax(), values.shape)
    assert (first.user_id, first.item_id) == (learner.model.user_ids[user], learner.model.catalogue.ids[item])


@pytest.mark.parametrize(("budget", "per_user", "name"), [(0, None, "budget"), (5, 0, "per_user"), (-3, 1, "budget")])
def test_budgets_below_one_are_refused(learner: Learner, budget: int, per_user: int | None, name: str) -> None:
    with pytest.raises(OptionError, match=rf"^{name} is -?\d\. Give a whole number from 1\.$"):
        pairs_to_ask(learner.memory, budget, per_user=per_user, rng=RNG(0))


# ---- after each pair ------------------------------------------------------------------------------------------------


class Unknown:
    """What is not known of everybody's lists, by its definition: variances, user by user and item by item."""

    def __init__(self, learner: Learner) -> None:
        model = learner.model
        states = [learner.state(user) for user in model.user_ids]
        exposures = [state.exposure for state in states]
        self.known = np.stack([model.answerability.probability(exposure) for exposure in exposures])
        self.shown = np.stack([model.answerability.targets(exposure) for exposure in exposures])
        items = model.taste.items
        self.factors, self.vectors = items.factors, np.stack([np.append(1.0, state.belief.mean) for state in states])
        self.tastes, self.items = [state.belief.covariance for state in states], list(unpack(items.spread.values))
        self.item_noise = model.taste.likelihood.answer_noise(items.answer_noise)
        self.user_noise = [np.median(items.noise) + np.mean([w @ S @ w for w in items.factors]) for S in self.tastes]

    def of_user(self, user: int) -> float:
        """Of what a user thinks of the items, each counted as likely as it is shown to them."""
        S = self.tastes[user]
        return float(sum(q * (w @ S @ w) for q, w in zip(self.shown[user], self.factors, strict=True)))

    def of_item(self, item: int) -> float:
        """Of what the users think of an item, each counted as likely as it is shown to them."""
        C = self.items[item]
        return float(sum(q * (z @ C @ z) for q, z in zip(self.shown[:, item], self.vectors, strict=True)))

    def fall(self, user: int, item: int, keep: bool = False) -> tuple[float, float]:
        """How much less is not known of the user, and of the item, once asked: the answer comes with some chance."""
        sides = (
            (self.tastes, user, self.factors[item], self.item_noise[item], self.of_user),
            (self.items, item, self.vectors[user], self.user_noise[user], self.of_item),
        )
        falls = []
        for unknown, at, direction, noise, total in sides:
            before, held = total(at), unknown[at]
            answered = np.linalg.inv(np.linalg.inv(held) + np.outer(direction, direction) / noise)
            unknown[at] = self.known[user, item] * answered + (1.0 - self.known[user, item]) * held
            falls.append(before - total(at))
            unknown[at] = unknown[at] if keep else held
        return falls[0], falls[1]


@pytest.mark.parametrize("kind", ["ratings", "likes"])
def test_each_pair_is_worth_what_it_takes_from_what_those_before_it_left(kind: str) -> None:
    of = worlds.learner(kind)
    unknown, catalogue = Unknown(of), of.model.catalogue
    questions = pairs_to_ask(of.memory, 300, per_user=6, rng=RNG(0))
    asked, about = ({getattr(question, name) for question in questions} for name in ("user_id", "item_id"))
    assert len(asked) < 150 and len(about) < 60  # most are asked, or asked about, more than once
    for question in questions:
        user, item = of.model.rows[question.user_id], catalogue.position(question.item_id)
        of_user, of_item = unknown.fall(user, item, keep=True)
        assert question.value == pytest.approx(of_user + of_item, rel=1e-6)
        assert question.answerable == pytest.approx(unknown.known[user, item])
        share = of_item / (of_user + of_item)
        assert question.why.startswith(f"{1 - share:.0%} of what an answer tells is about the user, {share:.0%} about")


def uneven(system: _System) -> _System:
    """The same with much unknown along some directions of taste and little along others that matter for the list."""
    rng = RNG(2)
    n, dim, _ = system.S.shape
    turns = np.linalg.qr(rng.normal(size=(n, dim, dim)))[0]
    return replace(
        system,
        S=np.einsum("nde,ne,nfe->ndf", turns, np.exp(rng.normal(0.0, 2.0, (n, dim))), turns),
        Q=np.einsum("nde,ne,nfe->ndf", turns, np.exp(rng.normal(0.0, 2.0, (n, dim))), turns),
        M=0.01 * system.M,
        noise=0.1 * system.noise,
    )


@pytest.mark.parametrize("per_user", [40, 2])
@pytest.mark.parametrize("change", [lambda system: system, uneven], ids=["fitted", "uneven"])
def test_the_best_of_what_is_left_comes_next(learner: Learner, change, per_user: int) -> None:
    """By brute force: all pairs valued anew before each, those that rose too."""
    system, model = change(_System.of(learner.memory)), learner.model
    whole = change(_System.of(learner.memory))
    asked, values, rose = np.zeros(len(model.user_ids), dtype=int), np.full(system.known.shape, np.inf), 0
    for question in whole.ask(20, per_user, RNG(0)):
        at, about = model.rows[question.user_id], model.catalogue.position(question.item_id)
        before, values = values, values_of(system)
        rose += int((values > before * (1 + 1e-9)).sum())
        assert question.value == pytest.approx(values[asked < per_user].max(), rel=1e-9)
        assert question.value == pytest.approx(values[at, about], rel=1e-9)
        asked[at] += 1
        system._shrink(at, about)
        system.known[at, about] = 0.0  # not twice
    assert asked.sum() == 20 and rose > 0


def values_of(system: _System) -> np.ndarray:
    pairs = np.ndindex(*system.known.shape)
    values = [system.known[user, item] * sum(system._gains(user, item)) for user, item in pairs]
    return np.reshape(values, system.known.shape)
