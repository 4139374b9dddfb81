"""Lists and questions worked out in a process of their own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palate import Recommender, rate
from palate.service.faults import HTTPFault
from palate.service.scorers import Scorers
from palate.service.scoring import Call
from palate.service.settings import Settings
from tests.served import Process, Served, copied, label, served

WAIT = 60.0  # seconds, of a busy machine


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("scorers"), Settings(scorers=1, wait_seconds=WAIT)) as found:
        ready(found)
        yield found


def ready(service: Served) -> None:
    until = time.monotonic() + WAIT
    while service.call("GET", "/readyz?for=scoring", key=None).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


def pids(service: Served) -> list[int]:
    return [child._process.pid for child in service.tenant.scoring._all if child._process is not None]


def test_a_process_says_what_the_learner_says_and_hears_an_answer_at_once(service: Served) -> None:
    def shown(user: str) -> list[tuple[str, str]]:
        items = service.call("GET", f"/v1/users/{user}/recommendations?k=10").json()["items"]
        return [(item["item_id"], item["reason"]) for item in items]

    expected = [(one.item_id, one.reason) for one in service.tenant.learner.recommend("pat", 10)]
    assert shown("pat") == expected
    for n, (item, _) in enumerate(expected[:3]):
        service.call("POST", "/v1/labels", label(f"pat-{n}", user_id="pat", item_id=item, value=5 - n))
        assert item not in [one for one, _ in shown("pat")]
    (question,) = service.call("GET", "/v1/users/pat/questions?k=1").json()["questions"]
    said = label("pat-9", user_id="pat", item_id=question["item_id"], question_id=question["question_id"])
    assert service.call("POST", "/v1/labels", said).status_code == 200  # its signature is good in the service
    interests = service.call("GET", "/v1/users/pat/profile").json()["interests"]
    assert [one["category"] for one in interests] == [one.category for one in service.tenant.learner.profile("pat")]
    refused = service.call("GET", "/v1/users/pat/recommendations?category=none-such").json()["error"]
    assert (refused["code"], refused["field"]) == ("unknown_item", "category") or refused["code"] == "bad_option"


def test_UP_01_a_scoring_process_that_dies_holds_up_no_label_and_is_started_again(service: Served) -> None:
    for turn in range(3):
        (before,) = pids(service)
        os.kill(before, signal.SIGKILL)
        rows = service.call("POST", "/v1/labels", [label(f"die-{turn}-{n}", user_id="die") for n in range(20)])
        assert rows.status_code == 200
        until = time.monotonic() + WAIT
        path = f"/v1/users/die-{turn}/recommendations?k=3"
        while (status := service.call("GET", path).status_code) != 200:
            assert status == 503 and time.monotonic() < until
            time.sleep(0.05)
        assert pids(service) != [before]
    ends = [line for line in service.lines if line["event"] == "scoring process ended"]
    assert [(line["code"], line["kind"]) for line in ends] == [(-9, "")] * 3
    ready(service)


def test_API_09_an_unforeseen_fault_in_the_process_says_where_and_nothing_else(service: Served) -> None:
    with pytest.raises(HTTPFault) as found:
        service.tenant.scoring.answer(Call("no such work", "Jane Doe"))
    assert (found.value.status, found.value.code) == (500, "internal")
    line = next(line for line in reversed(service.lines) if line["event"] == "scoring error")
    assert line["kind"] == "KeyError" and line["places"][-1].startswith("palate/service/scoring.py:")
    assert "Jane" not in service.log.getvalue()


def test_a_process_is_started_again_no_more_than_once_a_second_where_the_model_cannot_be_read(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    given = {"folder": str(tmp_path / "none"), "store": "", "tenant": "t", "fresh_seconds": 0.5}
    scorers = Scorers(1, given, lambda event, **facts: said.append(facts))
    try:
        begun = time.monotonic()
        while len(said) < 2:
            scorers.refresh()
            time.sleep(0.01)
            assert time.monotonic() - begun < WAIT
        assert time.monotonic() - begun >= 1.0 and "ModelFolderError" in scorers.fault
        assert [facts["kind"] for facts in said] == ["ModelFolderError"] * 2
    finally:
        scorers.close()


@pytest.mark.long
def test_a_service_stops_though_a_scoring_process_works_and_does_not_end(tmp_path: Path) -> None:
    with Process(copied(tmp_path / "model")) as service:
        assert service.get("/v1/users/ann/recommendations?k=3")[0] == 200
        (child,) = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGSTOP)  # it answers nobody any more
        with service.connect() as asked:
            head = f"authorization: Bearer {service.key}\r\nhost: x\r\n\r\n"
            asked.sendall(f"GET /v1/users/ann/recommendations?k=7 HTTP/1.1\r\n{head}".encode())
            time.sleep(0.5)
            assert service.stop(30.0) == 0


@pytest.mark.parametrize("how", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_a_scoring_process_ends_with_its_service(tmp_path: Path, how: signal.Signals) -> None:
    with Process(copied(tmp_path / "model")) as service:
        children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        assert children
        service.process.send_signal(how)
        service.process.wait(WAIT)
    until = time.monotonic() + WAIT
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_items_are_behind_others_by_a_little_and_what_a_user_said_is_taken_from_them_exactly(tmp_path: Path) -> None:
    """A user's own words must not come back as what is known of the items, whichever of them the items have heard."""
    with Recommender.open(copied(tmp_path / "model")) as of:
        items = of.learner.model.catalogue.ids[:6]
        for n, item in enumerate(items[:3]):
            of.tell([rate("ann", item, 5 - n), rate("bob", item, 1 + n)])
        learnt = of.learner.memory.learnt
        for item, value in ((items[3], 2), (items[0], 1), (items[4], 5)):  # one of them again
            of.tell(rate("ann", item, value))
            behind = of.learner.memory.with_items_of(learnt)
            alone = of.learner.memory.learnt
            assert behind.learnt is learnt and alone is not learnt
            # under items that have learnt from bob alone, the state is what bob's answers make of it, at once or later
            assert behind.state("ann").belief.mean == pytest.approx(of.learner.state("ann").belief.mean, abs=1e-9)
