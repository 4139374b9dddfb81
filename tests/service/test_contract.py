"""API-01: the whole contract, called as its description says and as it does not say, and as a machine of states."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.served import ENVIRONMENT, Process, Served, copied, label, served

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def fuzzed(place: Path, *, examples: int, phases: str, key: bool = True) -> int:
    """Cases that schemathesis made of the served description; none of them may fail."""
    with Process(copied(place / "model"), wrong_keys_per_minute=10**9, log_requests=False) as process:
        header = ["-H", f"Authorization: Bearer {process.key}"] if key else []
        command = [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{process.url}/openapi.json", *header]
        command += ["--phases", phases, "-n", str(examples), "--continue-on-failure", "--no-shrink", "--seed", "0"]
        done = subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True)
        said = "\n".join(line[:300] for line in done.stdout.splitlines())
        assert done.returncode == 0, said[-6_000:]
        assert process.get("/livez")[0] == 200
    counted = re.search(r"([\d,]+) generated", done.stdout)
    assert counted is not None, said
    return int(counted[1].replace(",", ""))


def test_API_01_the_description_holds(tmp_path: Path) -> None:
    assert fuzzed(tmp_path, examples=2, phases="examples,fuzzing,stateful") > 30


@pytest.mark.long
def test_API_01_the_description_holds_in_ten_thousand_cases(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with_key = fuzzed(tmp_path / "a", examples=700, phases="examples,coverage,fuzzing,stateful")
    without = fuzzed(tmp_path / "b", examples=50, phases="examples,coverage,fuzzing", key=False)
    assert with_key + without >= 10_000, (with_key, without)


ITEMS = ["i04", "i05", "i06", "i07"]
USERS = ["ann", "bob"]
KEYS = [f"k{n}" for n in range(8)]
CHOICES = {"user": st.sampled_from(USERS), "item": st.sampled_from(ITEMS), "value": st.integers(1, 5)}


class Machine(RuleBasedStateMachine):
    """The service beside a plain dict of what it holds."""

    place: Path
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.folder = self.place / f"run-{self.runs}"
        self.folder.mkdir()
        self.rows: dict[str, dict[str, Any]] = {}
        self.undone: set[str] = set()
        self._open()

    def _open(self) -> None:
        self.context = served(self.folder)
        self.service: Served = self.context.__enter__()

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)

    @rule(key=st.sampled_from(KEYS), **CHOICES)
    def tell(self, key: str, user: str, item: str, value: int) -> None:
        row = label(key, user_id=user, item_id=item, value=value)
        answer = self.service.call("POST", "/v1/labels", row)
        if key in self.rows and self.rows[key] != row:
            assert answer.status_code == 409
            return
        assert answer.status_code == 200
        assert answer.json()["labels"][0]["repeated"] == (key in self.rows)
        self.rows[key] = row

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=4, unique=True), **CHOICES)
    def tell_several(self, keys: list[str], user: str, item: str, value: int) -> None:
        rows = [label(key, user_id=user, item_id=item, value=value) for key in keys]
        answer = self.service.call("POST", "/v1/labels", rows)
        if any(row["key"] in self.rows and self.rows[row["key"]] != row for row in rows):
            assert answer.status_code == 409
            return
        assert [one["repeated"] for one in answer.json()["labels"]] == [key in self.rows for key in keys]
        self.rows |= {row["key"]: row for row in rows}

    @rule(key=st.sampled_from(KEYS))
    def undo(self, key: str) -> None:
        answer = self.service.call("DELETE", f"/v1/labels/{key}")
        if key not in self.rows:
            assert answer.status_code == 404
            return
        assert answer.json() == {"key": key, "repeated": key in self.undone}
        self.undone.add(key)

    @precondition(lambda self: self.rows)
    @rule()
    def restart(self) -> None:
        folder = self.service.folder
        self.context.__exit__(None, None, None)
        self.context = served(self.folder, again=folder)
        self.service = self.context.__enter__()

    @invariant()
    def it_holds_what_was_told(self) -> None:
        for user in USERS:
            told = {answer.key: answer.value for answer in self.service.tenant.learner.told.get(user, ())}
            active = {key: row for key, row in self.rows.items() if key not in self.undone}
            assert told == {key: row["value"] for key, row in active.items() if row["user_id"] == user}
        shown = self.service.call("GET", f"/v1/users/{USERS[0]}/recommendations?k=40").json()
        answered = {
            row["item_id"] for key, row in self.rows.items() if key not in self.undone and row["user_id"] == USERS[0]
        }
        assert answered.isdisjoint(item["item_id"] for item in shown["items"])
        assert shown["seq"] <= self.service.tenant.seq  # others' rows may be half a second away


def run(place: Path, *, examples: int, steps: int) -> None:
    machine = type("Run", (Machine,), {"place": place})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


def test_API_01_the_service_agrees_with_a_plain_dict(tmp_path: Path) -> None:
    run(tmp_path, examples=8, steps=12)


@pytest.mark.long
def test_API_01_the_service_agrees_with_a_plain_dict_in_two_thousand_runs(tmp_path: Path) -> None:
    run(tmp_path, examples=2_000, steps=20)
