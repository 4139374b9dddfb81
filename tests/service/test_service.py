from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palate import Recommender, rate
from palate.entities import Answer
from palate.loop.memory import Memory
from palate.service.kept import KeptAnswers
from tests.served import Served, label, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service")) as found:
        yield found


def top(service: Served, user: str, **query: object) -> list[str]:
    answer = service.call("GET", f"/v1/users/{user}/recommendations", params={"k": 40, **query})
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_a_question_is_asked_answered_and_changes_the_list(service: Served) -> None:
    before = top(service, "bob")
    (question,) = service.call("GET", "/v1/users/bob/questions?k=1").json()["questions"]
    said = label("bob-1", user_id="bob", item_id=question["item_id"], question_id=question["question_id"])
    answer = service.call("POST", "/v1/labels", said)
    assert answer.json()["labels"] == [{"key": "bob-1", "seq": service.tenant.seq, "repeated": False}]
    after = top(service, "bob")
    assert question["item_id"] in before and question["item_id"] not in after and before != after
    kept = service.rows()[-1].content
    assert isinstance(kept, Answer)
    assert (kept.question, kept.propensity) == ("list-value", pytest.approx(question["propensity"]))
    assert kept.asked_at is not None and kept.provenance.score == pytest.approx(question["value"], rel=1e-5)
    assert (kept.provenance.channel, kept.provenance.question_id) == ("http", question["question_id"].split(".")[1])


def test_a_list_is_as_the_learner_says_and_is_kept_until_something_moves_it(service: Served) -> None:
    expected = [one.item_id for one in service.tenant.learner.recommend("eve", 40)]
    hits = service.tenant.metrics.kept._value.get
    service.call("POST", "/v1/labels", label("eve-0", user_id="eve", value=None, kind="unknown"))  # no stranger
    expected = [one.item_id for one in service.tenant.learner.recommend("eve", 40)]
    time.sleep(0.6)  # what is kept is of items that have heard of it
    before = hits()
    assert top(service, "eve") == top(service, "eve") == expected
    assert hits() == before + 1
    service.call("POST", "/v1/labels", label("eve-1", user_id="eve", item_id=expected[0]))
    assert top(service, "eve") == [one.item_id for one in service.tenant.learner.recommend("eve", 40)]
    assert expected[0] not in top(service, "eve")


def test_those_of_whom_nothing_is_known_get_one_list_with_their_own_name_on_it(service: Served) -> None:
    time.sleep(0.6)  # the items have heard what was said before
    top(service, "s0")
    first, second = (service.call("GET", f"/v1/users/{user}/recommendations?k=4").json() for user in ("s1", "s2"))
    assert (first.pop("user_id"), second.pop("user_id")) == ("s1", "s2") and first == second
    expected = [one.item_id for one in service.tenant.learner.recommend("s3", 4)]
    assert [item["item_id"] for item in first["items"]] == expected
    service.call("POST", "/v1/labels", label("s1-1", user_id="s1", item_id=expected[0]))
    assert expected[0] not in top(service, "s1") and expected[0] in top(service, "s2")


def test_a_list_that_is_kept_does_not_outlive_what_its_items_have_learnt_since(service: Served) -> None:
    """What a user says moves the items too, a little later than their own list."""
    ids = service.tenant.fitted.catalogue.ids
    top(service, "gus")
    service.call(
        "POST", "/v1/labels", [label(f"gus-{n}", user_id=f"gus-{n}", item_id=ids[9], value=5) for n in range(30)]
    )
    top(service, "gus")  # perhaps of items that have not heard of it
    time.sleep(0.6)
    assert top(service, "gus") == [one.item_id for one in service.tenant.learner.recommend("gus", 40)]
    before = top(service, "hal")
    service.call("POST", "/v1/labels", [label(f"hal-{n}", user_id="hal", item_id=ids[n], value=5) for n in range(5)])
    top(service, "hal")
    time.sleep(0.6)
    top(service, "hal")
    for n in range(5):
        service.call("DELETE", f"/v1/labels/hal-{n}")
    top(service, "hal")  # of items that still have it
    time.sleep(0.6)
    assert top(service, "hal") == before


def test_what_is_undone_is_as_if_it_had_never_been(service: Served) -> None:
    before = top(service, "dan")
    service.call("POST", "/v1/labels", label("dan-1", user_id="dan", item_id=before[0]))
    assert top(service, "dan") != before
    assert service.call("DELETE", "/v1/labels/dan-1").json() == {"key": "dan-1", "repeated": False}
    assert service.call("DELETE", "/v1/labels/dan-1").json() == {"key": "dan-1", "repeated": True}
    assert top(service, "dan") == before
    assert service.call("DELETE", "/v1/labels/nobody").status_code == 404


def test_a_source_that_counts_less_moves_everybodys_lists_at_once(service: Served) -> None:
    users, ids = ("ida", "ines"), service.tenant.fitted.catalogue.ids
    before = {user: top(service, user) for user in users}
    said = [label(f"lea-{n}", user_id=users[n % 2], item_id=ids[n], value=5, source="lea") for n in range(12)]
    service.call("POST", "/v1/labels", said)
    after = {user: top(service, user) for user in users}
    assert all(before[user] != after[user] for user in users)
    rows, sent = len(service.rows()), {"key": "w-1", "weight": 0.0}
    answer = service.call("POST", "/v1/sources/lea/weight", sent, key="admin").json()
    assert answer == {"key": "w-1", "seq": service.tenant.seq, "repeated": False} and len(service.rows()) == rows + 1
    assert {user: top(service, user) for user in users} == before
    assert service.call("POST", "/v1/sources/lea/weight", sent, key="admin").json()["repeated"]
    assert service.call("POST", "/v1/sources/lea/weight", {**sent, "weight": 0.5}, key="admin").status_code == 409
    assert (
        service.call("POST", "/v1/sources/person/weight", {"key": "w-2", "weight": 0.5}, key="admin").status_code == 422
    )
    service.call("POST", "/v1/sources/lea/weight", {"key": "w-3", "weight": 1.0}, key="admin")
    assert {user: top(service, user) for user in users} == after


def test_an_id_with_a_slash_is_one_part_of_the_path(service: Served) -> None:
    service.call("POST", "/v1/labels", label("a/b%2F", user_id="x/y"))
    assert service.call("GET", "/v1/users/x%2Fy/recommendations?k=1").json()["user_id"] == "x/y"
    assert service.call("DELETE", "/v1/labels/a%2Fb%252F").json()["key"] == "a/b%2F"
    assert service.call("GET", "/v1/users/x/y/recommendations").status_code == 404


def test_forms_events_attributes_words_and_search(service: Served) -> None:
    ids, titles = service.tenant.learner.model.catalogue.ids, service.tenant.learner.model.catalogue.names
    rows = [
        label("f1", item_id=ids[0], others=[ids[1]], value=1, form="pair"),
        label("f2", item_id=ids[2], others=[ids[3], ids[4]], tapped=[ids[3]], value=None, form="group"),
        label("f3", item_id=ids[5], value=None, kind="unknown"),
        {"key": "f4", "user_id": "ann", "form": "words", "text": f'I liked "{titles[6]}" and "{titles[7]}".'},
    ]
    kept = service.call("POST", "/v1/labels", rows).json()["labels"]
    assert [row["key"] for row in kept] == ["f1", "f2", "f3", "f4", "f4:1"]
    assert [row.content.form.value for row in service.rows()[-5:]] == ["pair", "group", "rate", "recall", "recall"]
    event = {"key": "e1", "user_id": "ann", "item_id": ids[8], "event": "hide", "at": 1.7e9}
    service.call("POST", "/v1/events", [event])
    assert service.rows()[-1].content.liking == -1.0
    told = service.call("PUT", "/v1/users/ann/attributes", {"key": "a1", "attributes": {"age": 31, "city": "Bern"}})
    assert [row["key"] for row in told.json()["attributes"]] == ["a1:age", "a1:city"]
    again = service.call("PUT", "/v1/users/ann/attributes", {"key": "a1", "attributes": {"age": 31, "city": "Bern"}})
    assert [row["repeated"] for row in again.json()["attributes"]] == [True, True]
    service.call("PUT", "/v1/users/ann/attributes", {"key": "a2", "attributes": {"friends": ["bob", "ann", "cy"]}})
    assert service.rows()[-1].content.friends == ["bob", "cy"]
    found = service.call("GET", "/v1/items/search", params={"q": titles[9][:6]}).json()["items"]
    assert ids[9] in [item["item_id"] for item in found]
    assert {"category", "mean", "low", "high", "items"} == set(
        service.call("GET", "/v1/users/ann/profile").json()["interests"][0]
    )


def test_a_label_that_another_process_keeps_is_in_the_next_list_within_a_second(service: Served) -> None:
    first = top(service, "fay")[0]
    with Recommender.open(service.folder) as other:
        other.tell(rate("fay", first, 5, key="fay-1"))
    time.sleep(1.0)
    assert first not in top(service, "fay")


def test_a_batch_is_kept_whole_or_not_at_all(service: Served) -> None:
    last = service.tenant.seq
    rows = [label(f"whole-{n}", user_id=f"w{n}") for n in range(20)]
    answer = service.call("POST", "/v1/labels", [*rows, label("whole-x", value=99)])
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_answer")
    assert service.tenant.seq == last == service.rows()[-1].seq
    assert [row["seq"] for row in service.call("POST", "/v1/labels", rows).json()["labels"]] == list(
        range(last + 1, last + 21)
    )


def test_every_answer_says_that_it_is_not_to_be_kept_framed_or_guessed_at(service: Served) -> None:
    headers = service.call("GET", "/livez", key=None).headers
    assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    given = service.call("GET", "/livez", key=None, headers={"x-request-id": "client-made-1"})
    assert given.headers["x-request-id"] == "client-made-1"


def test_a_write_never_works_out_what_the_items_have_learnt(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """That may take seconds where much was told: it is the readers' work, and no label waits for it."""

    def fail(*_arguments: object) -> None:
        raise AssertionError("a write has read the model of the items as they are now")

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "learnt", property(fail))
        rows = [label(f"light-{n}", user_id=f"l{n}") for n in range(3)]
        assert service.call("POST", "/v1/labels", rows).status_code == 200
        assert service.call("DELETE", "/v1/labels/light-1").status_code == 200
        title = service.tenant.fitted.catalogue.names[3]
        words = {"key": "light-w", "user_id": "l0", "form": "words", "text": f'"{title}"'}
        assert service.call("POST", "/v1/labels", words).status_code == 200
        event = {"key": "light-e", "user_id": "l0", "item_id": "i04", "event": "click"}
        assert service.call("POST", "/v1/events", event).status_code == 200
        told = {"key": "light-a", "attributes": {"age": 3}}
        assert service.call("PUT", "/v1/users/l0/attributes", told).status_code == 200
        time.sleep(0.6)  # the service has looked for what others told
        assert service.tenant.scoring_fault == ""
        assert service.call("GET", "/readyz", key=None).status_code == 200


def test_metrics_count_what_was_done(service: Served) -> None:
    text = service.call("GET", "/metrics").text
    assert 'palate_requests_total{method="POST",route="/v1/labels",status="200"}' in text
    assert "palate_ready" in text and "ann" not in text.replace("annotator", "")


def test_what_is_kept_is_dropped_when_it_is_too_large_and_never_outlives_its_user(tmp_path: Path) -> None:
    kept = KeptAnswers(most_bytes=100, seconds=60.0)
    kept.put("ann", "list", b"x" * 60, 0)
    kept.put("bob", "list", b"x" * 60, 0)
    assert kept.get("ann", "list") is None and kept.get("bob", "list") is not None
    kept.moved(["bob"], 5)
    assert kept.get("bob", "list") is None
    kept.put("bob", "list", b"old", 4)  # worked out before the row was there
    assert kept.get("bob", "list") is None
    kept.put("bob", "list", b"new", 5)
    assert kept.get("bob", "list") == b"new"
    kept.moved(["ann"], 6)  # somebody else: as fresh as has been said
    assert kept.get("bob", "list") == b"new"
    stale = KeptAnswers(most_bytes=100, seconds=1e-9)
    stale.put("bob", "list", b"old", 1)
    assert stale.get("bob", "list") == b"old"
    stale.moved(["ann"], 2)
    assert stale.get("bob", "list") is None


def test_the_description_names_every_body_and_every_fault(service: Served) -> None:
    document = service.call("GET", "/openapi.json", key=None).json()
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"200", "422"} <= set(operation["responses"]) or path == "/livez", (path, method)


def test_an_answer_without_a_time_gets_the_servers_and_a_claim_counts_no_later_than_its_row(service: Served) -> None:
    begun = time.time()
    service.call("POST", "/v1/labels", label("at-1", user_id="ivy"))
    service.call("POST", "/v1/events", {"key": "at-2", "user_id": "ivy", "item_id": "i05", "event": "click"})
    claimed = [label("at-3", user_id="ivy", item_id="i06") | {"answered_at": at} for at in (7.0,)]
    claimed += [label("at-4", user_id="ivy", item_id="i07") | {"answered_at": 4e9}]
    service.call("POST", "/v1/labels", claimed)
    assert service.call("POST", "/v1/labels", label("at-1", user_id="ivy")).json()["labels"][0]["repeated"] is True
    rows = {row.content.key: row for row in service.rows() if row.user_id == "ivy"}
    assert begun <= rows["at-1"].content.answered_at <= time.time()
    assert begun <= rows["at-2"].content.at <= time.time()
    assert [rows[key].content.answered_at for key in ("at-3", "at-4")] == [7.0, 4e9]  # kept as claimed
    told = Recommender.open(service.folder).learner.told["ivy"]
    assert [one.answered_at for one in told][1:] == [7.0, rows["at-4"].recorded_at]
