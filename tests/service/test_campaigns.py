"""Campaigns over HTTP: who may do what, one annotator's way, late answers, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from palate.client import Client
from palate.entities import Answer
from palate.service.keys import KeyRing
from tests.served import Served, served

TASTE = {"name": "films", "question": "How would they rate it?", "users": ["ann", "bob"], "price": 0.5}
VOTES = {"name": "kids", "question": "Is it for children?", "subject": "for-kids", "options": ["no", "yes"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("campaigns")) as found:
        ring = KeyRing(found.folder)
        for name in ("bea", "cem"):
            found.keys[name] = ring.add("annotator", name=name)[1]
        yield found


def made(service: Served, body: dict[str, Any], **more: Any) -> str:
    answer = service.call("POST", "/v1/campaigns", {**body, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["campaign"]["id"])


def asked(service: Served, campaign: str, key: str = "annotator", **query: Any) -> dict[str, Any]:
    answer = service.call("GET", "/v1/next", key=key, params={"campaign": campaign, **query})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def told(service: Served, lease: dict[str, Any], name: str, value: float | None = 4, **more: Any) -> Any:
    body = {"key": name, "lease_id": lease["lease_id"], "value": value, **more}
    return service.call("POST", "/v1/labels", body, key=more.pop("by", "annotator"))


def test_a_campaign_from_its_making_to_what_was_asked_and_why(service: Served) -> None:
    answer = service.call("POST", "/v1/campaigns", {**TASTE, "budget": 3}).json()["campaign"]
    assert answer["state"] == "open" and answer["options"] is None and answer["users"] == ["ann", "bob"]
    id = answer["id"]
    again = service.call("POST", "/v1/campaigns", {**TASTE, "budget": 3, "key": id})
    assert again.json()["campaign"] == answer  # the same key makes no second one
    other = service.call("POST", "/v1/campaigns", {**TASTE, "budget": 4, "key": id})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_taken")
    found = asked(service, id, k=2)
    first, second = found["leases"]
    assert found["campaign"] == {"id": id, "name": "films", "question": TASTE["question"]} | {
        "subject": "taste",
        "state": "open",
    }
    assert [value["label"] for value in first["values"]] == ["1", "2", "3", "4", "5"] and first["why"]
    assert [value["key"] for value in first["values"]] == ["1", "2", "3", "4", "5"]
    assert first["title"] and first["gain"] > 0 and first["image"] is None and "purpose" not in first
    assert asked(service, id, k=2)["leases"] == found["leases"]  # a reload loses nothing
    (third,) = asked(service, id, key="bea")["leases"]
    assert len({(one["user_id"], one["item_id"]) for one in (first, second, third)}) == 3
    assert told(service, first, "c-1", 4, answered_at=1.9e9).json()["labels"][0]["repeated"] is False
    assert told(service, first, "c-1", 4).json()["labels"][0]["repeated"] is True
    row = service.rows()[-1].content
    assert isinstance(row, Answer)
    assert (row.user_id, row.item_id, row.value) == (first["user_id"], first["item_id"], 4.0)
    assert row.source.startswith("annotator-") and row.propensity == 1.0 and row.answered_at == 1.9e9
    assert (row.provenance.cost, row.provenance.question_id) == (0.5, first["lease_id"])
    assert row.provenance.score == pytest.approx(first["gain"]) and row.asked_at is not None
    assert asked(service, id, key="cem")["done"] == "budget"
    note = {"key": "n-1", "flag": True, "comment": "which one?"}
    assert service.call("POST", f"/v1/leases/{second['lease_id']}/notes", note, key="annotator").json() == {
        "key": "n-1"
    }
    assert told(service, second, "c-2", None, kind="skipped", reason="no idea").status_code == 200
    progress = service.call("GET", f"/v1/campaigns/{id}").json()["progress"]
    mine = next(one for one in progress["annotators"] if one["source"] == row.source)
    assert (mine["labels"], mine["skipped"], mine["flagged"]) == (1, 1, 1)
    assert (progress["labels"], progress["skipped"], progress["leased"]) == (1, 1, 1)
    assert (progress["budget_left"], progress["spent"]) == (1, 0.5)
    lines = service.call("GET", f"/v1/campaigns/{id}/labels.jsonl").text.splitlines()
    rows = {one["id"]: one for one in map(json.loads, lines)}
    assert len(rows) == 3 and rows[first["lease_id"]]["value"] == 4.0
    assert rows[second["lease_id"]]["reason"] == "no idea"
    assert rows[second["lease_id"]]["notes"][0]["comment"] == "which one?"


def test_an_undone_label_is_asked_again_of_the_same_annotator(service: Served) -> None:
    for body, value in ((TASTE, 5), (VOTES, 1)):
        id = made(service, body, budget=1)
        (lease,) = asked(service, id)["leases"]
        assert told(service, lease, f"u-{value}", value).status_code == 200
        assert asked(service, id)["done"] == "budget"
        assert service.call("DELETE", f"/v1/labels/u-{value}", key="bea").status_code == 404
        assert service.call("DELETE", f"/v1/labels/u-{value}", key="annotator").json()["repeated"] is False
        again = asked(service, id)["leases"]
        assert [one["lease_id"] for one in again] == [lease["lease_id"]]
        assert told(service, lease, f"u-{value}", value).json()["labels"][0]["repeated"] is True  # the old one, undone
        assert asked(service, id)["leases"] and told(service, lease, f"v-{value}", 1).status_code == 200
        assert asked(service, id)["done"] == "budget"


def test_votes_on_a_property_of_items_move_nobody_s_taste(service: Served) -> None:
    before = service.tenant.learner
    gold = {"i01": 1}
    id = made(service, VOTES, items=["i01", "i02", "i03"], overlap=2, gold=gold, gold_every=1)
    seen = []
    for name in ("annotator", "bea", "cem"):
        while leases := asked(service, id, key=name)["leases"]:
            seen.append((name, leases[0]["item_id"]))
            assert leases[0]["user_id"] == "" and [one["label"] for one in leases[0]["values"]] == ["no", "yes"]
            body = {"key": f"{name}-{len(seen)}-{id}", "lease_id": leases[0]["lease_id"], "value": 1}
            assert service.call("POST", "/v1/labels", body, key=name).status_code == 200
    assert len(set(seen)) == len(seen) == 6  # two of i02 and of i03, and the gold one of each who was asked those
    found = service.rows()[-1].content
    assert found.provenance.subject == "for-kids" and found.user_id == found.source
    after = service.tenant.learner
    for user in ("ann", found.source):
        assert after.memory.state(user).belief.mean.tolist() == before.memory.state(user).belief.mean.tolist()
    assert found.source not in after.memory.users


def test_IN_12_what_is_refused_says_why_and_what_is_late_is_kept(service: Served) -> None:
    id = made(service, TASTE, users=["eve"])
    (lease,) = asked(service, id)["leases"]
    body = {"key": "r-1", "lease_id": lease["lease_id"], "value": 4}
    refused = service.call("POST", "/v1/labels", body, key="bea")  # nobody gave it to her
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "lease_of_another")
    assert service.call("POST", "/v1/labels", {**body, "lease_id": "none"}, key="bea").status_code == 404
    assert told(service, lease, "r-1", 6).json()["error"]["code"] == "bad_answer"
    assert service.call("POST", "/v1/labels", {**body, "user_id": "bob"}, key="annotator").status_code == 422
    service.call("POST", f"/v1/campaigns/{id}/state", {"state": "paused"})
    assert asked(service, id, key="bea")["done"] == "paused" and asked(service, id)["leases"]
    service.call("POST", f"/v1/campaigns/{id}/state", {"state": "closed"})
    closed = told(service, lease, "r-1", 4)
    assert (closed.status_code, closed.json()["error"]["code"]) == (409, "campaign_closed")
    assert all(getattr(row.content, "key", "") != "r-1" for row in service.rows())
    assert asked(service, id)["leases"] == [] and asked(service, id)["done"] == "closed"
    service.call("POST", f"/v1/campaigns/{id}/state", {"state": "open"})
    assert told(service, lease, "r-1", 4).status_code == 200
    assert told(service, lease, "r-2", 4).json()["error"]["code"] == "lease_answered"
    assert told(service, lease, "r-1", 5).json()["error"]["code"] == "key_taken"


def test_a_lease_is_given_back_held_longer_and_nobody_else_s(service: Served) -> None:
    id = made(service, TASTE, users=["fay"], budget=1)
    (lease,) = asked(service, id)["leases"]
    path = f"/v1/leases/{lease['lease_id']}"
    assert service.call("POST", f"{path}/extend", key="annotator").json()["expires_at"] > lease["expires_at"]
    for what in ("extend", "release", "notes"):
        assert service.call("POST", f"{path}/{what}", {"key": "x"}, key="bea").status_code == 409
    assert asked(service, id, key="bea")["done"] == "budget"
    assert service.call("POST", f"{path}/release", key="annotator").json()["state"] == "released"
    assert service.call("POST", f"{path}/extend", key="annotator").json()["error"]["code"] == "lease_ended"
    assert asked(service, id, key="bea")["leases"][0]["item_id"] == lease["item_id"]
    late = told(service, lease, "g-1", 2)  # of a pair that bea has now
    assert late.status_code == 200
    assert service.rows()[-1].content.provenance.cost == 0.0


def test_an_annotator_sees_of_a_campaign_what_is_asked_and_no_more(service: Served) -> None:
    made(service, VOTES, gold={"i01": 1}, gold_every=2)
    mine = service.call("GET", "/v1/campaigns", key="annotator").json()["campaigns"][0]
    assert set(mine) == {"id", "name", "question", "subject", "state"}
    assert service.call("GET", "/v1/campaigns").json()["campaigns"][0]["gold"] == {"i01": 1}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"options": ["yes", "no"]}, "bad_option"),  # taste has no options
        ({"gold": {"i01": 1}, "gold_every": 2}, "bad_option"),
        ({"subject": "kind", "users": []}, "bad_option"),  # an attribute has some
        ({"items": ["nobody"]}, "unknown_item"),
        ({"overlap": 0}, "invalid"),
        ({"lease_seconds": 0}, "invalid"),
        ({"purpose": 1}, "invalid"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused(service: Served, more: dict[str, Any], field: str) -> None:
    assert service.call("POST", "/v1/campaigns", {**TASTE, **more}).json()["error"]["code"] == field


def test_the_client_has_the_calls(service: Served) -> None:
    def client(role: str) -> Client:
        found = Client("http://testserver", service.keys[role])
        found._http.close()
        found._http = service.client  # type: ignore[assignment]
        service.client.headers["authorization"] = f"Bearer {service.keys[role]}"
        return found

    id = client("service").make_campaign({**TASTE, "users": ["gil"]})["id"]
    annotator = client("annotator")
    first, second = annotator.next_questions(id, 2)["leases"]
    assert annotator.answer(first["lease_id"], 4)["repeated"] is False
    assert annotator.note(second["lease_id"], flag=True)["key"]
    assert annotator.extend(second["lease_id"])["state"] == "leased"
    assert annotator.release(second["lease_id"])["state"] == "released"
    assert annotator.next_questions(id, held=[second["lease_id"]])["leases"]
    boss = client("service")
    assert boss.set_campaign_state(id, "closed")["state"] == "closed"
    assert boss.campaign(id)["progress"]["labels"] == 1 and boss.campaigns()[0]["id"] == id
    (only,) = boss.campaign_quality(id)["annotators"]
    assert only["labels"] == 1
    assert client("admin").calibrate(only["source"], 1.0)["repeated"] is False
    del service.client.headers["authorization"]
