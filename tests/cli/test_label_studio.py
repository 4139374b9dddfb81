"""palate label-studio: put questions, take answers, and go on after anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from palate.recommender.desk_folders import ACCESS_VARIABLE
from palate.store.open_store import open_store
from palate.store.protocol import active
from tests.oracles.label_studio.fake_server import TOKENS, FakeLabelStudio, running
from tests.oracles.label_studio.members import Members, choice

TOPIC = ("--attribute", "topic", "--question", "What is it about?", "--options", "sports,food,travel")


@pytest.fixture
def fake() -> FakeLabelStudio:
    return FakeLabelStudio()


@pytest.fixture
def members(fake: FakeLabelStudio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Members]:
    monkeypatch.setenv(ACCESS_VARIABLE, TOKENS["owner"])
    with running(fake) as url:
        yield Members(url, TOKENS)


def left(model: Path) -> dict[str, float | None]:
    with open_store(model / "labels.sqlite", read_only=True) as log:
        return {row.answer.item_id: row.answer.value for row in active(log.records())}


def test_questions_go_there_and_answers_come_back(cli, members: Members, fake: FakeLabelStudio, model: Path) -> None:
    put = cli("label-studio", "put", model, members.url, *TOPIC, "-k", 5, "--desk", "topics", "--json")
    assert put.code == 0, put.err
    tasks = [row["task"] for row in put.json["tasks"]]
    items = [fake.tasks[int(task)]["data"]["palate"] for task in tasks]
    assert len(tasks) == 5 and {one["propensity"] for one in items} == {5 / 40}
    again = cli("label-studio", "put", model, members.url, *TOPIC, "-k", 5, "--desk", "topics", "--json")
    assert again.json == put.json
    members.say("ann", tasks[0], 2)
    members.say("ann", tasks[1], 1)
    assert cli("label-studio", "take", model, "--desk", "topics").out == (
        "2 answers are new or corrected, 0 were taken back.\n"
    )
    members.say("ann", tasks[0], 0)
    members.delete("ann", tasks[1])
    assert cli("label-studio", "take", model, "--desk", "topics", "--json").json == {
        "desk": "topics",
        "told": 1,
        "taken_back": 2,
        "left_out": [],
    }
    assert left(model) == {items[0]["item_id"]: 0.0}
    os.remove(model / "desks" / "topics" / "cursor")
    assert cli("label-studio", "take", model, "--desk", "topics", "--json").json["told"] == 0


def test_a_user_is_asked_about_by_the_levels_of_the_scale(cli, members: Members, fake: FakeLabelStudio, model) -> None:
    put = cli("label-studio", "put", model, members.url, "--user", "zoe", "-k", 3, "--json")
    assert put.code == 0, put.err
    (first, *_) = (row["task"] for row in put.json["tasks"])
    (config,) = (project["label_config"] for project in fake.projects.values())
    for word, said in (("4", 0), ("no such word", 2)):
        members.call("ann", "POST", f"/api/tasks/{first}/annotations/", {"result": choice(word)})
        taken = cli("label-studio", "take", model)
        assert taken.code == said, taken.err
    assert '<Choice value="4"/>' in config
    assert "which is none of the options" in taken.err
    item = fake.tasks[int(first)]["data"]["palate"]["item_id"]
    assert left(model) == {item: 4.0}


def test_what_is_missing_is_told_in_one_line(
    cli, members: Members, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = ("label-studio", "put", model, members.url)
    assert "both given, or neither" in cli(*put).err
    assert "both given, or neither" in cli(*put, "--user", "ann", *TOPIC).err
    assert cli(*put, "--attribute", "topic").code == 2  # no options
    assert "names no folder" in cli(*put, *TOPIC, "--desk", "../x").err
    assert "nothing was put there" in cli("label-studio", "take", model).err
    assert cli(*put[:3], "http://127.0.0.1:9", *TOPIC).code == 1
    monkeypatch.delenv(ACCESS_VARIABLE)
    assert f"{ACCESS_VARIABLE} is not set" in cli(*put, *TOPIC).err
