"""All that annotators, a clock and two services on one log can do, in any order, beside a plain dict of what is so."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from palate import Recommender
from palate.campaign import Campaign, Campaigns, Lease, Submission
from palate.errors import CampaignError
from tests.campaign.teams import copied

SECONDS, PRICE = 10.0, 0.25


@dataclass
class Known:
    """A lease as the test knows it. ``key`` is that of its label; empty without one."""

    lease: Lease
    ends: float
    key: str = ""
    is_over: bool = False  # given back, given on, or taken back
    is_given_on: bool = False  # somebody else was given the pair after its time
    is_counted: bool = False  # its label is an answer, and no skip
    is_bought: bool = False


class Team(RuleBasedStateMachine):
    """Two to twenty annotators on two services; the clock is the test's."""

    runs = 0
    clock = 1_000.0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        Team.clock = 1_000.0
        self.place = tempfile.TemporaryDirectory(prefix="palate-machine-")
        folder = copied(Path(self.place.name) / "model")
        self.recommenders = [Recommender.open(folder) for _ in range(2)]
        for one in self.recommenders:
            one.log._clock = lambda: Team.clock  # type: ignore[attr-defined]
        self.services = [Campaigns(one) for one in self.recommenders]
        self.leases: dict[str, Known] = {}
        self.keys = 0
        self.rng = np.random.default_rng(0)

    @initialize(
        annotators=st.integers(2, 20), overlap=st.sampled_from([1, 1, 2]), budget=st.sampled_from([2, 3, 4, 5, 30])
    )
    def make(self, annotators: int, overlap: int, budget: int) -> None:
        users = ["ann", "bob"]
        items = self.recommenders[0].fitted.catalogue.ids[:8]
        made = Campaign("c", "How?", users=users, items=items, overlap=overlap, budget=budget, price=PRICE)
        made = self.services[0].make(Campaign(**{**_plain(made), "lease_seconds": SECONDS}))
        self.id, self.annotators, self.overlap, self.budget = made.id, annotators, overlap, budget
        self.state = "open"

    @rule(who=st.integers(0, 19), at=st.integers(0, 1), k=st.integers(1, 3), unseen=st.booleans())
    def ask(self, who: int, at: int, k: int, unseen: bool) -> None:
        source = f"a-{who % self.annotators}"
        mine = {id for id, one in self.leases.items() if one.lease.source == source and self.is_held(one)}
        held = sorted(mine) if unseen else []
        found = self.services[at].next(self.id, source, k, held=held, rng=self.rng)
        for id in found.stale:
            assert id in held
            self.leases[id].is_over = True
        new = [lease for lease in found.leases if lease.id not in self.leases]
        assert self.state == "open" or not new
        assert len(found.leases) <= k and (len(mine - set(found.stale)) >= k) <= (not new)
        for lease in new:
            assert lease.source == source and lease.expires_at == Team.clock + SECONDS
            others = [one for one in self.leases.values() if one.lease.pair == lease.pair]
            assert all(one.lease.source != source or not (one.key or self.is_held(one)) for one in others)
            for one in others:
                one.is_given_on |= not (one.key or one.is_over or self.is_held(one))
                one.is_over |= one.is_given_on
            self.leases[lease.id] = Known(lease, lease.expires_at)
        assert found.leases or found.done

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), at=st.integers(0, 1), kind=st.sampled_from(["rating", "rating", "unknown", "skipped"]))
    def answer(self, data: st.DataObject, at: int, kind: str) -> None:
        one = self.drawn(data, list(self.leases.values()))
        self.keys += 1
        key = f"{self.id}-{self.keys}"
        label = Submission(key, one.lease.id, one.lease.source, kind, 4 if kind == "rating" else None)
        if one.key or self.state == "closed":
            with pytest.raises(CampaignError):
                self.services[at].submit([label])
            return
        is_bought = kind != "skipped" and (self.is_held(one) or self.may_be_bought_late(one))
        self.services[at].submit([label])
        assert self.row(one.lease.id) == ("answered", is_bought)
        one.is_bought, one.is_counted = is_bought, kind != "skipped"
        assert [row.content.key for row in self.services[1 - at].submit([label])] == [key]  # and again
        one.key = key
        with pytest.raises(CampaignError, match="not given to"):
            self.services[at].submit([Submission(f"{key}-x", one.lease.id, "somebody")])

    @precondition(lambda self: any(one.key for one in self.leases.values()))
    @rule(data=st.data(), at=st.integers(0, 1))
    def undo(self, data: st.DataObject, at: int) -> None:
        one = self.drawn(data, [one for one in self.leases.values() if one.key])
        self.recommenders[at].log.retract(one.key)
        one.key, one.ends = "", Team.clock + SECONDS
        one.is_over, one.is_given_on = not one.is_bought or self.state == "closed", False
        one.is_bought = one.is_counted = False

    @precondition(lambda self: any(self.is_held(one) for one in self.leases.values()))
    @rule(data=st.data(), at=st.integers(0, 1), what=st.sampled_from(["release", "extend"]))
    def give_back_or_hold(self, data: st.DataObject, at: int, what: str) -> None:
        one = self.drawn(data, [one for one in self.leases.values() if self.is_held(one)])
        if what == "release":
            self.services[at].release(one.lease.id, one.lease.source)
            one.is_over = True
        elif self.state != "closed":
            one.ends = self.services[at].extend(one.lease.id, one.lease.source).expires_at

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        Team.clock += seconds

    @rule(state=st.sampled_from(["open", "open", "paused", "closed"]), at=st.integers(0, 1))
    def change(self, state: str, at: int) -> None:
        self.services[at].set_state(self.id, state)
        self.state = state

    @invariant()
    def nothing_is_given_twice_spent_twice_or_lost(self) -> None:
        if not hasattr(self, "id"):
            return
        rows = self.recommenders[0].log.select(  # type: ignore[attr-defined]
            "SELECT id, is_bought, state, label_key, price, expires_at FROM leases WHERE campaign = {0}", (self.id,)
        )
        bought = sum(row[1] for row in rows)
        assert {row[0] for row in rows if row[1]} == {id for id, one in self.leases.items() if one.is_bought}
        live = {row[0] for row in rows if row[2] == "leased" and row[5] > Team.clock}
        assert live == {id for id, one in self.leases.items() if self.is_held(one)}
        held = [one for one in self.leases.values() if self.is_held(one)]
        ((counted,),) = self.recommenders[0].log.select(  # type: ignore[attr-defined]
            "SELECT bought FROM campaigns WHERE id = {0}", (self.id,)
        )
        assert bought == counted and 0 <= bought <= self.budget and bought + len(held) <= self.budget
        assert sum(row[4] for row in rows) == PRICE * bought
        assert {row[0] for row in rows} == set(self.leases)
        assert {row[0]: row[3] or "" for row in rows} == {id: one.key for id, one in self.leases.items()}
        pairs = Counter(one.lease.pair for one in held)
        paid = Counter(one.lease.pair for one in self.leases.values() if one.is_bought)
        assert all(n + paid[pair] <= self.overlap for pair, n in pairs.items())
        assert all(n <= self.overlap for n in paid.values())

    def may_be_bought_late(self, late: Known) -> bool:
        """Nobody else was given the pair in the meantime, and the budget is not needed for what others hold."""
        others = [one for one in self.leases.values() if one.lease.pair == late.lease.pair]
        taken = sum(one.is_counted or self.is_held(one) for one in others)
        spoken_for = sum(one.is_bought or self.is_held(one) for one in self.leases.values())
        return not late.is_given_on and taken < self.overlap and spoken_for < self.budget

    def row(self, id: str) -> tuple[str, int]:
        rows = self.recommenders[0].log.select("SELECT state, is_bought FROM leases WHERE id = {0}", (id,))  # type: ignore[attr-defined]
        return rows[0][0], rows[0][1]

    def drawn(self, data: st.DataObject, among: list[Known]) -> Known:
        """By its place in the order in which they were given: ids are other ones each time."""
        return among[data.draw(st.integers(0, len(among) - 1))]

    def is_held(self, one: Known) -> bool:
        return not (one.key or one.is_over) and Team.clock < one.ends

    def teardown(self) -> None:
        if hasattr(self, "id"):
            log = self.recommenders[0].log
            kept = Counter(row.content.key for row in log.records() if not row.retracts)
            assert all(kept[one.key] == 1 for one in self.leases.values() if one.key)
            assert self.services[0].progress(self.id).labels == self.services[1].progress(self.id).labels
        for recommender in self.recommenders:
            recommender.close()
        self.place.cleanup()


def _plain(campaign: Campaign) -> dict[str, object]:
    names = ("name", "question", "users", "items", "overlap", "budget", "price")
    return {name: getattr(campaign, name) for name in names}


def played(examples: int, steps: int) -> None:
    Team.runs = 0
    quick = {"deadline": None, "derandomize": True, "phases": [Phase.generate]}  # to make one small takes minutes
    run_state_machine_as_test(Team, settings=settings(max_examples=examples, stateful_step_count=steps, **quick))
    assert Team.runs >= examples


def test_UP_07_whatever_annotators_and_a_clock_do() -> None:
    played(20, 50)


@pytest.mark.long
def test_UP_07_whatever_annotators_and_a_clock_do_at_length() -> None:
    played(200, 60)
