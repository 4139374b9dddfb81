"""The quality of labels over HTTP, and what sources count revised in the background."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np
import pytest

from palate.campaign import Campaign, Submission
from palate.records import Calibration
from palate.service.settings import Settings
from tests.served import Served, served

TEAM = ("bea", "cem", "dan", "eva", "liar")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("quality"), Settings(quality_seconds=0.2)) as found:
        yield found


def label(service: Served, campaign: Campaign) -> None:
    """Everybody votes on all 40 items, whether the number of each is even; one lies."""
    campaigns, rng = service.tenant.campaigns, np.random.default_rng(0)
    for source in TEAM:
        number = 1
        while leases := campaigns.next(campaign.id, source, k=20, rng=rng).leases:
            for lease in leases:
                value = int(lease.item_id[1:]) % 2
                value = 1 - value if source == "liar" else value
                key, at = f"{campaign.id} {source} {number}", time.time() + 3.0 * number
                campaigns.submit([Submission(key, lease.id, source, value=value, answered_at=at)])
                number += 1


def calibrations(service: Served) -> list[tuple[str, str, float]]:
    rows = [row.content for row in service.rows()]
    return [(row.source, row.subject, row.reliability) for row in rows if isinstance(row, Calibration)]


def test_whoever_is_flagged_counts_less_without_any_call_and_that_is_said(service: Served) -> None:
    ids = service.tenant.fitted.catalogue.ids
    gold = {item: int(item[1:]) % 2 for item in ids[::3]}
    asked = Campaign("even", "Is it even?", subject="even", options=["yes", "no"], overlap=5, gold=gold, gold_every=4)
    campaign = service.tenant.campaigns.make(asked)
    label(service, campaign)
    until = time.monotonic() + 30.0
    while not calibrations(service) and time.monotonic() < until:
        time.sleep(0.1)
    assert calibrations(service) == [("liar", "even", 0.0)]
    answer = service.call("GET", f"/v1/campaigns/{campaign.id}/quality")
    found = answer.json()
    assert answer.status_code == 200 and found["agreement"]["units"] > 25
    assert 0.5 < found["agreement"]["percent"] < 0.7 and found["drift"] == {"changes": []}
    assert found["agreement"]["krippendorff"] == pytest.approx(found["agreement"]["fleiss"], abs=0.02)
    by_source = {one["source"]: one for one in found["annotators"]}
    assert {name: one["flags"] for name, one in by_source.items()} == {name: [] for name in TEAM[:4]} | {
        "liar": ["gold", "agreement"]
    }
    truth = found["consensus"]
    assert truth["items"] == 40 and truth["is_calibrated"] == (truth["gold"] >= 20) and truth["expected_right"] > 0.6
    lines = service.call("GET", f"/v1/campaigns/{campaign.id}/consensus.jsonl").text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 40 and {row["votes"] for row in rows} <= set(range(1, 6))
    assert all(row["option"] == int(row["item_id"][1:]) % 2 for row in rows)
    assert all(row["label"] == ("yes", "no")[row["option"]] for row in rows)
    assert all(row["probability"] == max(row["probabilities"]) > 0.5 for row in rows)
    bea, liar = by_source["bea"], by_source["liar"]
    assert (bea["weight"], liar["weight"]) == (1.0, 0.0) and bea["labels"] > 25
    assert bea["gold"]["right"] == bea["gold"]["of"] > 5 and liar["gold"]["right"] == 0
    assert bea["basis"] == "gold" and bea["low"] < bea["reliability"] < bea["high"] <= 1.0
    assert bea["repeats"] == {"same": 0, "of": 0, "mean_difference": None}
    (line,) = [json.loads(one) for one in service.log.getvalue().splitlines() if "source calibrated" in one]
    assert line["level"] == "error" and line["flags"] == ["gold", "agreement"] and "liar" not in json.dumps(line)
    metrics = service.call("GET", "/metrics").text
    assert 'palate_flagged_sources_total{flag="gold"} 1.0' in metrics
    time.sleep(0.6)
    assert len(calibrations(service)) == 1  # the same again is no new row


def test_a_weight_that_an_admin_has_set_stays(service: Served) -> None:
    service.call("POST", "/v1/sources/liar/weight", {"key": "trust", "weight": 1.0, "subject": "even"}, key="admin")
    before = calibrations(service)
    asked = Campaign("even again", "Is it even?", subject="even", options=["yes", "no"], overlap=5)
    campaign = service.tenant.campaigns.make(asked)
    label(service, campaign)
    time.sleep(1.0)
    answer = service.call("GET", f"/v1/campaigns/{campaign.id}/quality").json()
    by_source = {one["source"]: one for one in answer["annotators"]}
    assert by_source["liar"]["flags"] == ["agreement"] and by_source["liar"]["weight"] == 1.0
    assert calibrations(service) == before


def test_of_no_campaign_and_of_no_label_nothing_is_said(service: Served) -> None:
    assert service.call("GET", "/v1/campaigns/nowhere/quality").status_code == 404
    empty = service.tenant.campaigns.make(Campaign("none", "How?", users=["ann"]))
    assert service.call("GET", f"/v1/campaigns/{empty.id}/quality").json() == {
        "agreement": {"units": 0, "percent": None, "cohen": None, "fleiss": None, "krippendorff": None},
        "annotators": [],
        "drift": {"changes": []},
        "consensus": None,
    }
