"""Annotators who go bad, and labels that drift."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.label_quality import ANNOTATORS, TURN, WITHIN, flagged, made
from palate import Learner, Recommender
from palate.campaign import Campaign, Campaigns, Submission
from palate.campaign.quality import quality, revisions, votes_of
from palate.datasets import planted_world
from palate.loop import checkpoint
from palate.loop.drift import rate_changes

TEAM = tuple(f"annotator-{number}" for number in range(5))
TURNED = TEAM[2]


def _check_flags(seed: int) -> int:
    """How many good ones were flagged in a campaign in which all bad ones were, soon enough."""
    of = made(np.random.default_rng((seed, 1)), pushes=True)
    found = flagged(of)
    for source, kind in of.bad.items():
        at, flags = found[source]
        assert at - (TURN if kind == "turned" else 0) <= WITHIN, (seed, kind, at)
        assert {"gold", "agreement"} & set(flags) or (kind == "quick" and "speed" in flags), (seed, kind, flags)
    return len(set(found) - set(of.bad))


def test_UP_06_bad_annotators_are_flagged_within_fifty_of_their_labels_and_good_ones_are_not() -> None:
    assert [_check_flags(seed) for seed in (0, 1)] == [0, 0]
    assert flagged(made(np.random.default_rng(0), bad=False)) == {}  # the control: nobody turns, colludes or hurries


@pytest.mark.long
def test_UP_06_good_annotators_are_rarely_flagged_over_many_campaigns() -> None:
    false = [_check_flags(seed) for seed in range(20)]
    none = [len(flagged(made(np.random.default_rng((seed, 2)), bad=False))) for seed in range(20)]
    assert sum(false) + sum(none) <= 0.01 * 20 * (2 * ANNOTATORS - 5)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Recommender]:
    data = planted_world(users=150, items=30, rng=np.random.default_rng(0)).dataset
    with Recommender.create(tmp_path / "model", data, encoder="none", likelihood="gaussian", dim=3) as recommender:
        yield recommender


def _labelled(one: Recommender, campaigns: Campaigns, campaign: Campaign, *, turns: bool = True) -> int:
    """A campaign about taste until somebody is flagged: after how many of the turned one's labels that was; 999: never.

    Everybody tells what the users like, and errs by a point at times; one turns it upside down from the first label on.
    """
    world = planted_world(users=150, items=30, rng=np.random.default_rng(0))
    expected, rows = world.expected(), {user: row for row, user in enumerate(sorted(one.fitted.user_ids))}
    rng, first = np.random.default_rng(5), 999
    for number in range(60):
        for source in TEAM:
            for lease in campaigns.next(campaign.id, source, rng=rng).leases:
                said = expected[rows[lease.user_id], world.item_ids.index(lease.item_id)] + 0.4 * rng.normal()
                value = float(np.clip(np.rint(6.0 - said if source == TURNED and turns else said), 1.0, 5.0))
                key = f"{source}-{number}"
                campaigns.submit([Submission(key, lease.id, source, value=value, answered_at=1e9 + number)])
        if number % 10 == 9:
            found = quality(campaigns, campaign.id, (1.0, 5.0)).annotators
            assert {judged.source for judged in found if judged.flags} <= {TURNED}
            if any(judged.flags for judged in found):
                first = min(first, number + 1)
    return first


def test_UP_06_their_weight_falls_by_recomputation_and_comes_back_and_nothing_is_deleted(
    one: Recommender, tmp_path: Path
) -> None:
    campaigns = Campaigns(one)
    users = one.fitted.user_ids[:4]
    campaign = campaigns.make(Campaign("films", "How would they rate it?", users=users, overlap=5))
    assert _labelled(one, campaigns, campaign) <= WITHIN
    rows = list(one.log.records())
    bad = one.learner
    found = quality(campaigns, campaign.id, (1.0, 5.0))
    (row,) = revisions(campaign, found.annotators, checkpoint.calibrations_in(one.log, one.log.last_seq))
    assert row.source == TURNED and row.reliability < 0.3 and row.subject == "taste"
    one.log.append([row])
    assert revisions(campaign, found.annotators, checkpoint.calibrations_in(one.log, one.log.last_seq)) == []
    assert list(one.log.records())[:-1] == rows  # nothing is deleted or changed
    one.calibrate(TURNED, 0.0)
    assert revisions(campaign, found.annotators, checkpoint.calibrations_in(one.log, one.log.last_seq)) == []
    without = Path(shutil.copytree(one.folder, tmp_path / "without"))
    with Recommender.open(without) as other:
        other.calibrate(TURNED, 1.0)
        for record in rows:
            if getattr(record.content, "source", "") == TURNED:
                other.log.retract(record.content.key)
        expected = other.learner
    for user in users:
        mine, theirs = one.learner.state(user).belief, expected.state(user).belief
        np.testing.assert_array_equal(mine.mean, theirs.mean)
        np.testing.assert_array_equal(mine.covariance, theirs.covariance)
        assert not np.allclose(mine.mean, bad.state(user).belief.mean)
    again = checkpoint.load(one.folder)
    for user in users:
        np.testing.assert_array_equal(
            Learner(again.memory).state(user).belief.mean, one.learner.state(user).belief.mean
        )
    one.calibrate(TURNED, 1.0)
    for user in users:
        np.testing.assert_array_equal(one.learner.state(user).belief.mean, bad.state(user).belief.mean)


@pytest.mark.long
def test_UP_06_without_anybody_who_turns_nobody_is_flagged(one: Recommender) -> None:
    campaigns = Campaigns(one)
    campaign = campaigns.make(Campaign("films", "How?", users=one.fitted.user_ids[:4], overlap=5, repeat_every=6))
    assert _labelled(one, campaigns, campaign, turns=False) == 999
    votes = votes_of(campaign, campaigns.labels(campaign.id))
    assert all(vote.unit.count("\x1f") == 1 for vote in votes)  # of taste a unit is one user and one item
    found = quality(campaigns, campaign.id, (1.0, 5.0))
    assert found.agreement["krippendorff"] > 0.3 and found.agreement["units"] > 20
    assert sum(judged.repeats[1] for judged in found.annotators) > 10
    assert revisions(campaign, found.annotators, []) == []


def test_UP_06_an_alarm_when_the_rates_of_labels_drift() -> None:
    def told(seed: int, *, drifts: bool) -> list[float]:
        rng = np.random.default_rng(seed)
        late = (0.2, 0.6, 0.2) if drifts else (0.6, 0.2, 0.2)
        return [float(one) for share in ((0.6, 0.2, 0.2), late) for one in rng.choice(3, 500, p=share)]

    for seed in range(3):
        found = {change.value: change for change in rate_changes(told(seed, drifts=True), are_options=True)}
        assert set(found) == {0.0, 1.0}
        assert 500 <= found[0.0].place < 700 and found[0.0].before > 0.5 > 0.35 > found[0.0].after
    assert not any(rate_changes(told(seed, drifts=False), are_options=True) for seed in range(20))
    ratings = [*np.random.default_rng(0).normal(3.5, 1.0, 400), *np.random.default_rng(1).normal(2.5, 1.0, 400)]
    (change,) = rate_changes(ratings, are_options=False)
    assert change.value is None and change.before > 3.2 > 2.8 > change.after
    assert rate_changes([], are_options=True) == [] == rate_changes([2.0] * 50, are_options=False)
