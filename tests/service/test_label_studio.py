"""What Label Studio calls of the service: as its ML backend, and with its webhooks."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from palate import Recommender
from palate.entities.item_attributes import AttributeQuestion
from palate.errors import ModelFolderError
from palate.oracles.label_studio.questions import Choices
from palate.oracles.protocol import question_key
from palate.recommender import refitting
from palate.recommender.desk_folders import ACCESS_VARIABLE, desk_folder
from palate.service import desk_watch
from palate.service.settings import Settings
from palate.store.protocol import active
from palate.testing.desks import TOPIC
from tests.oracles.label_studio.fake_server import TOKENS, FakeLabelStudio, running
from tests.oracles.label_studio.members import Members
from tests.served import Served, copied, rows_of, served

ROUTES = {"GET /health": None, "POST /setup": {}, "POST /predict": {"tasks": []}, "POST /webhook": {"action": "other"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), Settings(wrong_keys_per_minute=10_000)) as found:
        yield found


def call(service: Served, route: str, body: Any = None, *, password: str = "", scheme: str = "Basic") -> Any:
    method, _, path = route.partition(" ")
    given = password or service.keys["service"]
    sent = base64.b64encode(f"any name:{given}".encode()).decode() if scheme == "Basic" else given
    headers = {"authorization": f"{scheme} {sent}"}
    return service.call(method, f"/label-studio{path}", body, key=None, headers=headers)


@pytest.mark.parametrize(("route", "body"), ROUTES.items())
def test_a_key_opens_as_password_or_alone_and_nothing_else_does(service: Served, route: str, body: Any) -> None:
    assert call(service, route, body).status_code == 200
    assert call(service, route, body, scheme="Bearer").status_code == 200
    assert call(service, route, body, password="wrong").status_code == 401
    assert call(service, route, body, password=service.keys["annotator"]).status_code == 403
    for header in ("Basic", "Basic !!", "Basic bm9uZQ==", f"Basic {service.keys['service']}"):
        method, _, path = route.partition(" ")
        answer = service.call(method, f"/label-studio{path}", body, key=None, headers={"authorization": header})
        assert answer.status_code == 401


def test_a_password_opens_nothing_else(service: Served) -> None:
    sent = base64.b64encode(f"x:{service.keys['service']}".encode()).decode()
    answer = service.call("GET", "/v1/models", key=None, headers={"authorization": f"Basic {sent}"})
    assert answer.status_code == 401


def test_the_access_token_that_is_sent_at_set_up_is_nowhere(service: Served) -> None:
    canary = "canary-access-token-of-a-user"
    body = {"project": "1.1", "schema": "<View/>", "hostname": "http://127.0.0.1:8080", "access_token": canary}
    answer = call(service, "POST /setup", body)
    assert answer.json() == {"model_version": service.tenant.recommender.versions()[0].id}
    assert canary not in service.log.getvalue()
    assert not [path for path in service.folder.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]


def test_tasks_are_scored_as_their_questions_are_worth(service: Served) -> None:
    recommender = service.tenant.recommender
    asked = recommender.ask("zoe", k=6)
    scale = Choices.of(recommender.fitted.scale.levels)
    tasks: list[Any] = [{"id": n, "data": scale.task(one, question_key(one))} for n, one in enumerate(reversed(asked))]
    about = AttributeQuestion(TOPIC, asked[0].item_id)
    none = [
        {"id": 7, "data": Choices.of(TOPIC).task(about, "k")},
        {"id": 8, "data": {"palate": {"user_id": "zoe", "item_id": "no such item"}}},
        {"id": 9, "data": {"palate": {"user_id": ["zoe"], "item_id": 3}}},
        {"id": 10, "data": {"text": "of somebody else"}},
        "no task",
    ]
    rows = call(service, "POST /predict", {"tasks": [*tasks, *none]}).json()["results"]
    assert all(row["result"] == [] and row["model_version"] for row in rows)
    scores = [row["score"] for row in rows]
    worth = [one.value for one in reversed(asked)]
    assert scores[:6] == pytest.approx([1 / (1 + max(value, 0.0)) for value in worth])
    assert scores[:6] == sorted(scores[:6], reverse=True) and scores[6:] == [1.0] * 5


@pytest.mark.parametrize("body", [[], {}, {"tasks": 3}, {"tasks": [{}] * 1_001}, "text", None])
def test_what_is_no_call_of_label_studio_is_refused(service: Served, body: Any) -> None:
    assert call(service, "POST /predict", body).status_code in (415, 422)


def test_start_training_refits_in_the_background(service: Served) -> None:
    asked_for = threading.Event()

    def fit(*_given: object) -> None:
        asked_for.set()
        raise ModelFolderError("not in this test")

    with mock.patch.object(refitting, "refit_apart", fit):
        assert call(service, "POST /webhook", {"action": "START_TRAINING", "project": {"id": 1}}).status_code == 200
        assert asked_for.wait(30.0)


def test_a_hint_brings_what_was_annotated_and_one_with_a_wrong_key_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ACCESS_VARIABLE, TOKENS["owner"])
    monkeypatch.setattr(desk_watch, "POLL_SECONDS", 3_600.0)
    monkeypatch.setattr(desk_watch, "SETTLE_SECONDS", 0.0)
    fake, model = FakeLabelStudio(), copied(tmp_path / "model")
    with running(fake) as url:
        members = Members(url, TOKENS)
        desk = members.desk(desk_folder(model, "topics"), name="topics")
        with Recommender.open(model) as recommender:
            item = recommender.fitted.catalogue.ids[0]
        (ticket,) = desk.put([AttributeQuestion(TOPIC, item)])
        with served(tmp_path, again=model) as service:
            members.say("ann", ticket.place, 1)
            exports = len([path for _, path in fake.calls if path.endswith("/export")])
            body = {"action": "ANNOTATION_CREATED", "project": {"id": 1}}
            assert call(service, "POST /webhook", body, password="wrong", scheme="Bearer").status_code == 401
            assert call(service, "POST /webhook", {"action": "TASKS_CREATED"}, scheme="Bearer").status_code == 200
            assert call(service, "GET /health").status_code == 200
            assert len([path for _, path in fake.calls if path.endswith("/export")]) == exports
            assert call(service, "POST /webhook", body, scheme="Bearer").status_code == 200
            until = time.monotonic() + 30.0
            while not (kept := rows_of(model)) and time.monotonic() < until:
                threading.Event().wait(0.01)
            assert [(row.answer.item_id, row.answer.source, row.answer.value) for row in kept] == [
                (item, f"topics:{members.id_of('ann')}", 1.0)
            ]
            monkeypatch.setattr(desk_watch, "POLL_SECONDS", 0.01)
            members.say("ann", ticket.place, 2)
            call(service, "POST /webhook", body, scheme="Bearer")  # the last hint: what follows is noticed without
            members.delete("ann", ticket.place)
            while active(rows_of(model)) and time.monotonic() < until:
                threading.Event().wait(0.01)
            assert active(rows_of(model)) == []
            lines = service.log.getvalue()
        members.close()
    assert TOKENS["owner"] not in lines and service.keys["service"] not in lines
