"""MF-07: a version on trial, on a few users or in the shadow. Whatever is wrong with it, users are served as before."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palate import Recommender
from palate.loop import checkpoint
from palate.loop.memory import Memory
from palate.recommender.versions import versions_of
from palate.service import trial as trial_module
from palate.service.settings import Settings
from tests.served import Served, copied, label, served

USERS = [f"n{number}" for number in range(150)]


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied(tmp_path_factory.mktemp("trials") / "model")
    with Recommender.open(folder) as of:
        of.refit(dim=1)
    return folder


@pytest.fixture
def service(tmp_path: Path, two_versions: Path) -> Iterator[Served]:
    import shutil

    folder = shutil.copytree(two_versions, tmp_path / "model")
    with served(tmp_path, Settings(fresh_seconds=0.1), again=folder) as found:
        yield found


def kept(service: Served) -> str:
    (place,) = (service.folder / "versions").iterdir()
    return place.name


def begin(service: Served, share: float) -> dict[str, Any]:
    answer = service.call("POST", f"/v1/models/{kept(service)}/trial", {"share": share}, key="admin")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def facts(service: Served) -> dict[str, Any]:
    return dict(service.call("GET", "/v1/models/trial").json()["trial"])


def wait_for(service: Served, what: str, least: float = 1) -> dict[str, Any]:
    until = time.monotonic() + 60.0
    while facts(service)[what] < least:
        assert time.monotonic() < until, facts(service)
        time.sleep(0.05)
    return facts(service)


def lists(service: Served, users: list[str] = USERS) -> dict[str, Any]:
    found = {}
    for user in users:
        answer = service.call("GET", f"/v1/users/{user}/recommendations?k=40")
        assert answer.status_code == 200, answer.text
        found[user] = answer.json()
    return found


def invert(folder: Path, version: str) -> str:
    """What it liked most it likes least. How its answers are marked."""
    place = folder / "versions" / version
    found = checkpoint.read_model(place)
    model, taste, items = found.memory.fitted, found.memory.fitted.taste, found.memory.fitted.taste.items
    turned = replace(items, level=model.scale.low + model.scale.high - items.level, factors=-items.factors)
    memory = Memory(replace(model, taste=replace(taste, items=turned)))
    for _ in range(2):  # not of the same number as what serves
        checkpoint.save_model(place, replace(found, memory=memory))
    return versions_of(place)[0].id


def say_what_the_live_model_expects(service: Served, name: str) -> None:
    """Everybody loves the best of their list and hates the last of it."""
    rows = []
    for user, shown in lists(service, USERS[:40]).items():
        ordered = sorted(shown["items"], key=lambda item: float(item["score"]))
        for place, value in ((-1, 5), (0, 1)):
            rows.append(label(f"{name}-{user}-{value}", user_id=user, item_id=ordered[place]["item_id"], value=value))
    assert service.call("POST", "/v1/labels", rows).status_code == 200


def test_MF_07_a_canary_with_inverted_scores_is_ended_and_all_are_served_as_before(service: Served) -> None:
    before, version = lists(service), invert(service.folder, kept(service))
    begin(service, 0.1)
    during = lists(service)
    ours = {user for user, shown in during.items() if shown["model"] == version}
    assert 5 <= len(ours) <= 30 and ours == {u for u, s in lists(service).items() if s["model"] == version}
    assert all(during[user] == before[user] for user in USERS if user not in ours)
    assert all(during[user]["items"] != before[user]["items"] for user in ours)
    user = min(ours)
    asked = service.call("GET", f"/v1/users/{user}/questions?k=2").json()
    assert asked["model"] == version

    say_what_the_live_model_expects(service, "x")
    until = time.monotonic() + 60.0
    while facts(service)["is_running"]:
        assert time.monotonic() < until, facts(service)
        time.sleep(0.05)
    found = facts(service)
    assert found["reason"].startswith("its mean error on ") and found["error"] > 1.2 * found["live_error"]
    assert found["shown"] >= len(ours)
    after = lists(service)
    with Recommender.open(service.folder) as alone:
        for user, shown in after.items():
            assert shown["model"] == before[user]["model"]
            assert [one["item_id"] for one in shown["items"]] == [one.item_id for one in alone.recommend(user, 40)]
    assert len(service.rows()) == 80  # what was told meanwhile counts
    assert service.lines and any(line["event"] == "trial ended" for line in service.lines)


def test_MF_07_a_canary_as_good_as_what_serves_goes_on_until_it_is_ended_or_promoted(service: Served) -> None:
    """The control: the guard does not trip by itself."""
    version = kept(service)
    place = service.folder / "versions" / version
    live = checkpoint.read_model(service.folder)
    checkpoint.save_model(place, live)
    begin(service, 0.5)
    say_what_the_live_model_expects(service, "x")
    found = wait_for(service, "labels", 60)
    assert found["is_running"] and found["error"] == pytest.approx(found["live_error"])
    assert service.call("DELETE", "/v1/models/trial", key="admin").json()["trial"]["reason"] == "an admin ended it"
    assert version not in {shown["model"] for shown in lists(service, USERS[:30]).values()}
    begin(service, 0.5)
    assert facts(service)["is_running"]
    assert service.call("POST", f"/v1/models/{version}/promote", key="admin").status_code == 200
    assert facts(service)["reason"] == "another model serves"
    assert service.call("POST", "/v1/models/nowhere/trial", {"share": 0.1}, key="admin").status_code == 404
    assert service.call("POST", f"/v1/models/{version}/trial", {"share": 1.1}, key="admin").status_code == 422


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["shadow", "canary"])
def test_MF_07_a_version_that_raises_reaches_no_user(
    service: Served, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lists(service, USERS[:6])
    begin(service, share)

    def fail(_call: object) -> None:
        raise RuntimeError("a canary secret")

    monkeypatch.setattr(service.tenant.trial._scoring, "answer", fail)
    service.tenant.kept.clear(service.tenant.seq)
    assert lists(service, USERS[:6]) == before
    assert wait_for(service, "faults", 3)["reason"] == "it failed 3 times, the last time with RuntimeError"
    assert facts(service)["shown"] == facts(service)["compared"] == 0
    assert "a canary secret" not in service.log.getvalue()
    assert lists(service, USERS[:6]) == before


def test_MF_07_a_shadow_is_asked_and_not_shown_and_one_that_sleeps_holds_up_nobody(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    invert(service.folder, kept(service))
    before = lists(service, USERS[:5])
    service.tenant.kept.clear(service.tenant.seq)
    begin(service, 0.0)
    assert lists(service, USERS[:5]) == before
    found = wait_for(service, "compared")
    assert found["shown"] == 0 and found["alike"] == 1.0  # of 40 items all are in both
    assert service.call("GET", f"/v1/users/{USERS[0]}/recommendations?k=3").status_code == 200
    assert wait_for(service, "compared", found["compared"] + 1)["alike"] < 1.0

    go = threading.Event()
    monkeypatch.setattr(service.tenant.trial._scoring, "answer", lambda _call: go.wait(120.0))
    try:
        for _ in range(20):
            service.tenant.kept.clear(service.tenant.seq)
            assert lists(service, USERS[:5]) == before
        assert not go.is_set() and len(service.tenant.trial._tasks) <= trial_module.ROOM + 1
    finally:
        go.set()
    assert service.call("POST", "/v1/labels", label("goes on")).status_code == 200


def test_MF_07_a_canary_that_sleeps_is_answered_for(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "LATE_SECONDS", 0.1)
    before = lists(service, USERS[:4])
    begin(service, 1.0)
    go = threading.Event()
    monkeypatch.setattr(service.tenant.trial._scoring, "answer", lambda _call: go.wait(120.0))
    try:
        assert lists(service, USERS[:4]) == before
        assert facts(service)["reason"] == "it failed 3 times, the last time with TimeoutError"
    finally:
        go.set()
