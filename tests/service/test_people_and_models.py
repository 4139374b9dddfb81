"""Consent, export, erasure; items that come, change and go; versions: over HTTP, for one tenant and no other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.records import Slate
from palate.service.settings import Settings
from tests.served import Served, label, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("people")) as found:
        yield found


def listed(service: Served, user: str) -> list[str]:
    found = service.call("GET", f"/v1/users/{user}/recommendations?k=60").json()
    return [item["item_id"] for item in found["items"]]


def test_a_user_who_does_not_allow_it_gets_a_strangers_list_and_no_question(service: Served) -> None:
    stranger = listed(service, "nobody")
    service.call("POST", "/v1/labels", label("cy-1", user_id="cy", item_id=stranger[0]))
    assert stranger[0] not in listed(service, "cy")
    said = {"key": "cy-c", "purposes": ["research"], "version": "2026-01"}
    assert service.call("PUT", "/v1/users/cy/consent", said).json()["repeated"] is False
    assert service.call("PUT", "/v1/users/cy/consent", said).json()["repeated"] is True
    assert listed(service, "cy") == stranger
    refused = service.call("GET", "/v1/users/cy/questions")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "no_consent")
    service.call("PUT", "/v1/users/cy/consent", said | {"key": "cy-d", "purposes": ["serve", "ask"]})
    assert stranger[0] not in listed(service, "cy")
    assert service.call("GET", "/v1/users/cy/questions").status_code == 200


def test_a_user_who_is_erased_is_gone_and_stays_gone(service: Served) -> None:
    service.call("POST", "/v1/labels", [label("eli-1", user_id="eli"), label("eli-2", user_id="eli", item_id="i05")])
    exported = service.call("GET", "/v1/users/eli/export").text
    assert "eli-1" in exported and "eli-2" in exported and '"ann"' not in exported
    receipt = service.call("DELETE", "/v1/users/eli")
    assert receipt.status_code == 200 and receipt.json()["rows"] == 2 and "eli" not in receipt.text
    assert "eli-1" not in service.call("GET", "/v1/users/eli/export").text
    assert listed(service, "eli") == listed(service, "nobody")
    back = service.call("POST", "/v1/labels", label("eli-3", user_id="eli"))
    assert (back.status_code, back.json()["error"]["code"]) == (409, "erased_user")
    assert service.call("DELETE", "/v1/labels/eli-1").status_code == 404
    others = service.call("POST", "/v1/labels", [label("other-1", user_id="flo"), label("eli-4", user_id="eli")])
    assert others.status_code == 409 and not any(row.user_id == "flo" for row in service.rows())


def test_items_come_change_and_go(service: Served) -> None:
    new = {"item_id": "n1", "title": "Brand New Thing", "category": "jazz"}
    assert service.call("PUT", "/v1/items", new).json() == {"added": 1, "changed": 0}
    assert "n1" in listed(service, "gil")
    assert service.call("PUT", "/v1/items", [new | {"title": "Renamed Thing"}]).json() == {"added": 0, "changed": 1}
    found = service.call("GET", "/v1/items/search?q=Renamed").json()["items"]
    assert {"item_id": "n1", "title": "Renamed Thing"} in found
    assert service.call("PUT", "/v1/items", [new, new]).status_code == 422
    assert service.call("DELETE", "/v1/items/n1").json() == {"item_id": "n1"}
    assert "n1" not in listed(service, "gil")
    assert service.call("DELETE", "/v1/items/nowhere").status_code == 404
    assert service.call("DELETE", "/v1/items/search").status_code == 405


def test_the_version_that_serves_is_in_every_list(service: Served) -> None:
    models = service.call("GET", "/v1/models").json()["models"]
    (live,) = [one["id"] for one in models if one["is_live"]]
    assert service.call("GET", "/v1/users/hal/recommendations").json()["model"] == live
    assert service.call("POST", "/v1/models/nowhere/promote", key="admin").status_code == 404
    assert service.call("POST", "/v1/models/rollback", key="admin").status_code == 404


def test_a_refit_in_the_background_is_rolled_back_and_promoted(tmp_path: Path) -> None:
    with served(tmp_path, Settings(fresh_seconds=0.1, refit_rows=3)) as service:
        first = service.call("GET", "/v1/users/hal/recommendations").json()["model"]
        items = listed(service, "hal")[:5]
        labels = [{"key": f"k {item}", "user_id": "ivy", "item_id": item, "value": 4} for item in items]
        assert service.call("POST", "/v1/labels", labels).status_code == 200
        until = time.monotonic() + 200.0
        while (second := service.call("GET", "/v1/users/hal/recommendations").json())["model"] == first:
            assert time.monotonic() < until, "no refit came"
            time.sleep(0.2)
        while 'palate_refits_total{outcome="promoted"} 1.0' not in service.call("GET", "/metrics").text:
            assert time.monotonic() < until, "the refit is not counted"
            time.sleep(0.2)
        back = service.call("POST", "/v1/models/rollback", key="admin")
        rolled = service.call("GET", "/v1/users/hal/recommendations").json()
        assert back.status_code == 200 and back.json()["id"] == rolled["model"]
        assert rolled["items"] != second["items"]
        again = service.call("POST", f"/v1/models/{second['model']}/promote", key="admin")
        assert again.status_code == 200
        assert service.call("GET", "/v1/users/hal/recommendations").json()["items"] == second["items"]


@pytest.mark.parametrize("scorers", [0, 1])
def test_lists_are_drawn_and_kept_before_they_are_shown(tmp_path: Path, scorers: int) -> None:
    with served(tmp_path, Settings(explore=1.0, scorers=scorers)) as service:
        found = [service.call("GET", "/v1/users/ann/recommendations?k=5&exclude=i03").json() for _ in range(3)]
        assert len({one["slate"] for one in found}) == 3 and len({str(one["items"]) for one in found}) > 1
        kept = [row.content for row in service.rows() if isinstance(row.content, Slate)]
        assert [one.key for one in kept] == [one["slate"] for one in found]
        for one, shown in zip(kept, found, strict=True):
            assert [item["item_id"] for item in shown["items"]] == list(one.items) and "i03" not in one.items
            assert (one.user_id, one.explore, one.model, one.exclude) == ("ann", 1.0, shown["model"], ("i03",))
        item = kept[0].items[0]
        event = {"key": "e1", "user_id": "ann", "item_id": item, "event": "click", "slate": kept[0].key}
        assert service.call("POST", "/v1/events", event).status_code == 200
        said = label("l1", user_id="ann", item_id=kept[0].items[1]) | {"slate": kept[0].key}
        assert service.call("POST", "/v1/labels", said).status_code == 200
        assert service.rows()[-1].content.provenance.slate == kept[0].key
        service.call("PUT", "/v1/users/bob/consent", {"key": "c", "purposes": ["serve"], "version": "v1"})
        plain = [service.call("GET", "/v1/users/bob/recommendations?k=5").json() for _ in range(2)]
        assert plain[0]["items"] == plain[1]["items"] and plain[0]["slate"] is None
        assert len([row for row in service.rows() if isinstance(row.content, Slate)]) == 3
        exported = service.call("GET", "/v1/users/ann/export").json()
        assert [row["content"] for row in exported["log"]].count("slate") == 3
        service.call("DELETE", "/v1/users/ann")
        assert not any(isinstance(row.content, Slate) for row in service.rows())


def test_what_labels_say_of_an_item_is_what_the_model_was_fitted_with(service: Served) -> None:
    topic = ItemAttribute("topic", "Which?", ("sports", "food"))
    recommender = service.tenant.recommender
    first, second = recommender.fitted.catalogue.ids[:2]
    recommender.tell([AttributeQuestion(topic, first).answer(1, source=f"w{n}") for n in range(3)])
    assert service.call("GET", f"/v1/items/{first}/attributes").json() == {"item_id": first, "attributes": []}
    recommender.refit(item_attributes=[topic])
    (found,) = service.call("GET", f"/v1/items/{first}/attributes").json()["attributes"]
    assert (found["name"], found["options"], found["votes"]) == ("topic", ["sports", "food"], 3.0)
    assert found["at_least"][1] < found["probabilities"][1] < 1.0 and not found["calibrated"] and not found["known"]
    (none,) = service.call("GET", f"/v1/items/{second}/attributes").json()["attributes"]
    assert (none["probabilities"], none["at_least"], none["votes"]) == (None, None, 0.0)
    assert service.call("GET", "/v1/items/nowhere/attributes").status_code == 404
    assert service.call("GET", f"/v1/items/{first}/attributes", key="annotator").status_code == 403
