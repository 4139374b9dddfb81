"""The desk on a real Label Studio, in an environment of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from palate import Recommender
from palate.datasets import planted_world
from palate.entities import AnswerKind
from palate.entities.item_attributes import AttributeQuestion
from palate.errors import OracleError
from palate.recommender.desk_answers import keep_answers
from palate.store.protocol import active
from palate.testing.desks import TOPIC
from tests.oracles.label_studio.members import LabelStudioDesks, Members
from tests.oracles.label_studio.real_server import TOKEN, CannotInstall, LabelStudioServer
from tests.served import Process, copied

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    try:
        found = LabelStudioServer(tmp_path_factory.mktemp("label-studio"))
    except CannotInstall as error:
        pytest.skip(str(error))
    yield found
    found.kill()


@pytest.fixture(scope="module")
def members(server: LabelStudioServer) -> Iterator[Members]:
    found = server.members()
    yield found
    found.close()


class TestLabelStudio(LabelStudioDesks):
    @pytest.fixture(autouse=True)
    def _server(self, members: Members, tmp_path: Path) -> None:
        self.members, self.folder = members, tmp_path


def next_task(members: Members, who: str, project: int) -> dict[str, object]:
    return dict(members.call(who, "GET", f"/api/projects/{project}/next"))


def project_of(folder: Path) -> int:
    return int(json.loads((folder / "journal.jsonl").read_text().splitlines()[0])["id"])


def test_fifty_tasks_answered_by_two_members_through_a_kill(
    server: LabelStudioServer, members: Members, tmp_path: Path
) -> None:
    data = planted_world(users=60, items=60, rng=np.random.default_rng(0)).dataset
    folder = tmp_path / "desk"
    with Recommender.create(tmp_path / "model", data, encoder="none") as recommender:
        ids = recommender.fitted.catalogue.ids[:50]
        asked = [
            AttributeQuestion(TOPIC, item, f"Title {n}", strategy=f"by {n}", propensity=(1 + n) / 64)
            for n, item in enumerate(ids)
        ]
        desk = members.desk(folder)
        tickets = desk.put(asked)
        assert len({ticket.place for ticket in tickets}) == 50
        place = {ticket.place: n for n, ticket in enumerate(tickets)}
        project = project_of(folder)

        said: dict[str, tuple[str, int]] = {}

        def answer(turns: int) -> list[int]:
            """Two members by turns take what they are given; the place in the queue of each task."""
            order = []
            for turn in range(turns):
                who = ("ann", "bob")[turn % 2]
                task = str(next_task(members, who, project)["id"])
                assert task not in said, "a task was given out twice"
                said[task] = who, place[task] % 3
                members.say(who, task, place[task] % 3)
                order.append(place[task])
            return order

        assert answer(14) == list(range(14))
        kept = keep_answers(recommender, desk)
        assert len(kept.told) == 14

        server.kill()
        with pytest.raises(OracleError, match="could not be reached"):
            keep_answers(recommender, desk, kept.cursor)
        with pytest.raises(OracleError, match="could not be reached"):
            desk.put(asked)
        server.start()

        tickets_again = members.desk(folder).put([*reversed(asked[40:]), *asked[:40]])  # the last ten are wanted first
        assert set(tickets_again) == set(tickets), "a question was put twice"
        assert answer(10) == list(range(49, 39, -1))
        assert answer(26) == list(range(14, 40))

        first, second, third = (ticket.place for ticket in tickets[:3])
        members.say(said[first][0], first, 2)  # corrected
        said[first] = said[first][0], 2
        members.delete(said[second][0], second)  # deleted
        del said[second]
        members.delete(said[third][0], third)  # deleted, and said again by the other
        other = "bob" if said[third][0] == "ann" else "ann"
        members.say(other, third, 1)
        said[third] = other, 1

        again = members.desk(folder)
        done = keep_answers(recommender, again, kept.cursor)
        assert again.left_out == () and done.left_out == {}
        rows = [row.answer for row in active(recommender.log.records())]
        names = {f"label-studio:{members.id_of(who)}": who for who in ("ann", "bob")}
        found = {row.item_id: (names[row.source], row.value) for row in rows}
        assert len(found) == len(rows) == 49, "an answer is doubled or lost"
        assert found == {ids[place[task]]: (who, float(option)) for task, (who, option) in said.items()}
        assert {(row.question, row.propensity) for row in rows} <= {(one.strategy, one.propensity) for one in asked}
        n = recommender.log.last_seq
        keep_answers(recommender, again)
        assert recommender.log.last_seq == n, "from the start again, something is doubled"


def test_a_kill_while_tasks_are_put_doubles_and_loses_none(
    server: LabelStudioServer, members: Members, tmp_path: Path
) -> None:
    asked = [AttributeQuestion(TOPIC, f"i{n}", strategy="s", propensity=0.5) for n in range(2_500)]  # three calls
    desk, folder = members.desk(tmp_path / "desk"), tmp_path / "desk"
    desk.put(asked[:1])
    begun = threading.Event()
    failed: list[OracleError] = []

    def put() -> None:
        try:
            begun.set()
            desk.put(asked)
        except OracleError as error:
            failed.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    assert begun.wait(60.0)
    while len((folder / "journal.jsonl").read_bytes().splitlines()) < 2_500:  # the questions are kept: now they are put
        thread.join(0.01)
    thread.join(0.5)
    server.kill()
    thread.join()
    server.start()
    assert failed, "the put ended before the kill: raise the number of tasks"
    again = members.desk(folder)
    tickets = again.put(asked)
    assert again.put(asked) == tickets and len({ticket.place for ticket in tickets}) == 2_500
    query = {"exportType": "JSON", "download_all_tasks": "true"}
    there = members.call("owner", "GET", f"/api/projects/{project_of(folder)}/export", **query)
    assert sorted(task["id"] for task in there) == sorted(int(ticket.place) for ticket in tickets)


def test_a_personal_token_is_refreshed(server: LabelStudioServer, members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk", token=server.personal_token())
    (ticket,) = desk.put([AttributeQuestion(TOPIC, "i1")])
    members.open_desks[-1]._access = "ended.access.token"
    members.say("ann", ticket.place, 1)
    ((taken,), _) = desk.take()
    assert taken.answer is not None and taken.answer.value == 1.0


def test_a_skip_comes_alone(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put([AttributeQuestion(TOPIC, "i1")])
    members.say("ann", ticket.place, AnswerKind.SKIPPED)
    ((taken,), _) = desk.take()
    assert taken.answer is not None and taken.answer.kind is AnswerKind.SKIPPED


def test_a_webhook_brings_its_key_and_nothing_that_was_said(members: Members, tmp_path: Path) -> None:
    got: list[tuple[str, dict[str, object]]] = []
    arrived = threading.Event()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append((self.headers["authorization"], body))
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, *_given: object) -> None:
            return

    listener = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        desk = members.desk(tmp_path / "desk")
        (ticket,) = desk.put([AttributeQuestion(TOPIC, "i1")])
        desk.listen(f"http://127.0.0.1:{listener.server_port}/label-studio/webhook", "the-key")
        members.say("ann", ticket.place, 1)
        assert arrived.wait(60.0)
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
    ((key, body), *_) = got
    assert key == "Bearer the-key"
    assert body["action"] == "ANNOTATION_CREATED" and "annotation" not in body


def test_palate_is_its_ml_backend(members: Members, tmp_path: Path) -> None:
    with Process(copied(tmp_path / "model")) as service:
        with Recommender.open(tmp_path / "model") as recommender:
            asked = recommender.ask("zoe", k=6)
            levels = recommender.fitted.scale.levels
        folder = tmp_path / "desk"
        tickets = members.desk(folder, levels).put(asked)
        project = project_of(folder)
        backend = {"project": project, "url": f"{service.url}/label-studio", "title": "palate"}
        backend |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "anybody", "basic_auth_pass": "wrong"}
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            members.call("owner", "POST", "/api/ml", backend)
        made = members.call("owner", "POST", "/api/ml", backend | {"basic_auth_pass": service.key})
        query = {"id": "retrieve_tasks_predictions", "project": project}
        members.call("owner", "POST", "/api/dm/actions", {"selectedItems": {"all": True, "excluded": []}}, **query)
        scores = []
        for ticket in tickets:
            found = members.call("owner", "GET", f"/api/tasks/{ticket.place}/")["predictions"]
            (score,) = (one["score"] for one in found if not one["model_version"].startswith("palate-"))
            scores.append(score)
        assert scores == pytest.approx([1 / (1 + max(one.value, 0.0)) for one in asked])
        members.call("owner", "POST", f"/api/ml/{made['id']}/train", {})
        lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
        routes = {(line["route"].removeprefix("/label-studio"), line["status"]) for line in lines if "route" in line}
        assert {("/health", 401), ("/health", 200), ("/setup", 200), ("/predict", 200), ("/webhook", 200)} <= routes
        assert {status for _, status in routes} == {200, 401}
        assert TOKEN not in service.log.read_text()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
