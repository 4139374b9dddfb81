"""A state under the items as others taught them goes on from the one before, and is what a replay of all gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate import Answer, AnswerKind, rate
from palate.entities import Form
from palate.loop import others
from palate.loop.memory import Memory
from palate.loop.state import UserState
from palate.records import Calibration, events
from tests.worlds import learner

VALUES = {"ratings": (1.0, 2.5, 5.0), "likes": (0.0, 1.0), "events": (1.0,)}
NEW = ("ann", "bob", "cid")


def same(one: UserState, two: UserState) -> bool:
    """But for the rounding of sums over one item, and over several at once."""
    pairs = [(getattr(a, name), getattr(b, name)) for a, b in ((one.belief, two.belief), (one.exposure, two.exposure))
             for name in ("mean", "covariance")]  # fmt: skip
    rest = ("rated", "values", "asked", "posed", "concepts", "named", "noise", "weights", "at")
    return all(np.allclose(a, b, rtol=0.0, atol=1e-12) for a, b in pairs) and all(
        getattr(one, k) == getattr(two, k) for k in rest
    )


def drawn(rng: np.random.Generator, kind: str, ids: list[str], users: list[str], key: str) -> Answer:
    """An answer of any form about any user."""
    user, (item, other, third) = str(rng.choice(users)), map(str, rng.choice(ids, 3, replace=False))
    forms = ["group", "recall", "unknown", "source", *(["pair"] if kind != "events" else [])]
    form = rng.choice(["rate"] * 12 + forms)
    value = float(rng.choice(VALUES[kind]))
    if form == "pair":
        return Answer(user, item, AnswerKind.RATING, 1.0, key=key, form=Form.PAIR, others=(other,))
    if form == "group":
        return Answer(
            user, item, AnswerKind.RATING, None, key=key, form=Form.GROUP, others=(other, third), tapped=(item,)
        )
    if form == "recall":
        return Answer(user, item, AnswerKind.RATING, None, key=key, form=Form.RECALL)
    if form == "unknown":
        return Answer(user, item, AnswerKind.UNKNOWN, None, key=key)
    return replace(rate(user, item, value, key=key), source="robot" if form == "source" else "annotator")


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which answers say anything is remembered of everybody, as of those with many."""
    monkeypatch.setattr("palate.loop.states.MANY", 0)


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("kind", sorted(VALUES))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), lags=st.booleans())
def test_a_state_is_what_a_replay_gives_whatever_was_asked_for_before(kind: str, seed: int, lags: bool) -> None:
    rng, of = np.random.default_rng(seed), learner(kind)
    ids, users = list(of.model.catalogue.ids[:15]), [*of.model.user_ids[:2], *NEW]
    memory = of.memory.tell([drawn(rng, kind, ids, users, f"first {n}") for n in range(int(rng.integers(15)))])
    items = memory.learnt  # where it lags, what the items had learnt by now
    for n in range(25):
        what = rng.random()
        if what < 0.8:
            memory = memory.tell(drawn(rng, kind, ids, users, f"k{n}"))
        elif what < 0.9 and any(memory.told.get(user) for user in users):
            user = str(rng.choice([user for user in users if memory.told.get(user)]))
            memory = memory.undo(user, str(rng.choice([one.key for one in memory.told[user]])))
        elif what < 0.95:
            memory = memory.see(events(str(rng.choice(users)), [str(rng.choice(ids))], key=f"e{n}"))
        else:
            memory = memory.calibrated([Calibration("robot", float(rng.choice([0.0, 0.5, 1.0])), key=f"c{n}")])
        asked = memory.with_items_of(items) if lags else memory
        for user in users:
            if rng.random() < 0.4:
                asked.state(user)
    asked = memory.with_items_of(items) if lags else memory
    fresh = Memory(of.memory.fitted, told=memory.told, seen=memory.seen, weights=memory.weights)
    fresh = fresh.with_items_of(items) if lags else fresh
    assert all(same(asked.state(user), fresh.state(user)) for user in users)


def test_it_goes_on_only_where_nobody_else_has_taught_the_items_before(monkeypatch: pytest.MonkeyPatch) -> None:
    of, replays = learner(), list[str]()
    ids = of.model.catalogue.ids
    whole = others.replay
    monkeypatch.setattr(others, "replay", lambda model, of: replays.append(of.user_id) or whole(model, of))
    memory = of.memory.tell([rate(user, item, 4.0) for user in ("bob", "cid") for item in ids[:10]])
    lagging = memory.learnt
    for n in range(6):
        memory = memory.tell(rate("ann", ids[n], 2.0))
        memory.state("ann")
    assert replays == ["ann"]  # once, at the first
    memory = memory.tell(rate("bob", ids[2], 1.0))
    memory.state("ann")
    assert replays == ["ann", "ann"]  # an item that she had answered about is another now
    memory.with_items_of(lagging).state("ann")
    for n in range(6, 9):
        memory = memory.tell([rate("ann", ids[n], 2.0), rate("bob", ids[n - 6], 3.0)])
        memory.with_items_of(lagging).state("ann")
    assert replays == ["ann"] * 3  # where the items stay as they were it goes on all the same
