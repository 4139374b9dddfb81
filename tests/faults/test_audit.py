"""Who did what is kept, before it is done; a line that was changed or cut off is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palate.errors import StoreError
from palate.store.audit import FILE, FOLDER, HEAD, AuditTrail
from tests.served import Served, label, served


def told(service: Served) -> list[tuple[str, str]]:
    return [(one.who, one.what) for one in AuditTrail(service.folder).actions()]


def test_PR_05_every_action_has_who_what_and_when_and_nothing_personal(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        call = service.call
        call("POST", "/v1/labels", label("a1", user_id="Jane Doe"))
        call("GET", "/v1/users/Jane%20Doe/recommendations")
        for key in ("service", "annotator", "user"):  # refused, or about somebody else
            assert call("POST", "/v1/models/rollback", key=key).status_code == 403
        assert call("GET", "/v1/users/Jane%20Doe/export", key="user").status_code == 403
        assert told(service) == []
        done: list[tuple[str, str]] = []

        def act(status: int, method: str, path: str, route: str, body: Any = None, key: str = "admin") -> Any:
            answer = call(method, path, body, key=key)
            assert answer.status_code == status, answer.text
            done.append((key, f"{method} {route}"))
            return answer.json()

        jane = "/v1/users/Jane%20Doe"
        act(200, "GET", f"{jane}/export", "/v1/users/{user_id}/export", key="service")
        act(200, "POST", "/v1/sources/bea/weight", "/v1/sources/{source}/weight", {"key": "w", "weight": 0.5})
        made = act(200, "POST", "/operate/keys", "/operate/keys", {"role": "annotator", "name": "Jane Doe"})
        act(200, "POST", f"/operate/keys/{made['id']}/revoke", "/operate/keys/{id}/revoke", {"forget": True})
        act(404, "POST", "/v1/models/rollback", "/v1/models/rollback")
        act(404, "POST", "/v1/models/none/promote", "/v1/models/{version}/promote")
        act(200, "DELETE", jane, "/v1/users/{user_id}", key="service")
        actions = list(AuditTrail(service.folder).actions())
        for one, (key, what) in zip(actions, done, strict=True):
            assert one.who.endswith(f"({key})") and one.what == what
        assert actions[0].at <= actions[-1].at < actions[0].at + 600.0
        about = [one.about for one in actions]
        assert about[0] == about[-1] == f"user_id={service.tenant.ring.pseudonym('Jane Doe')}"
        assert about[1] == "source=bea" and about[3] == f"id={made['id']}" and about[5] == "version=none"
        text = (service.folder / FOLDER / FILE).read_text()
        assert "Jane" not in text and not any(whole in text for whole in (*service.keys.values(), made["key"]))
        assert (service.folder / FOLDER).stat().st_mode & 0o077 == 0


def test_PR_05_what_cannot_be_kept_is_not_done(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        service.call("POST", "/v1/labels", label("a1", user_id="ann"))
        (service.folder / FOLDER).write_text("in the way")
        assert service.call("DELETE", "/v1/users/ann").status_code == 503
        assert [row.content.key for row in service.rows()] == ["a1"]
        assert "action not kept" not in service.log.getvalue()
        assert service.call("GET", "/v1/users/ann/export").status_code == 200  # what only reads goes on, and says so
        assert "action not kept" in service.log.getvalue()
        assert service.call("POST", "/v1/labels", label("a2", user_id="ann")).status_code == 200


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "edited": lambda lines: [*lines[:2], lines[2].replace("what 3", "what 9"), *lines[3:]],
    "edited last": lambda lines: [*lines[:-1], lines[-1].replace("what 5", "what 9")],
    "cut": lambda lines: lines[:-1],
    "all cut": lambda lines: [],
    "taken out": lambda lines: [*lines[:2], *lines[3:]],
    "turned round": lambda lines: [lines[1], lines[0], *lines[2:]],
    "added": lambda lines: [*lines, lines[-1]],
    "no JSON": lambda lines: [*lines[:2], "{", *lines[3:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_PR_05_an_edit_and_a_cut_are_found(tmp_path: Path, change: str) -> None:
    trail, file = AuditTrail(tmp_path), tmp_path / FOLDER / FILE
    for number in range(1, 6):
        trail.add("somebody", f"what {number}")
    assert trail.faults() == []  # the control
    file.write_text("".join(f"{line}\n" for line in CHANGES[change](file.read_text().splitlines())))
    assert trail.faults()
    trail.add("somebody else", "what 6")
    assert trail.faults()  # and going on does not hide it
    assert [one.what for one in trail.actions()][-1] == "what 6"


def test_PR_05_half_a_line_of_a_process_that_was_killed_is_no_fault(tmp_path: Path) -> None:
    trail, file = AuditTrail(tmp_path), tmp_path / FOLDER / FILE
    trail.add("somebody", "first")
    whole, head = file.read_bytes(), (tmp_path / FOLDER / HEAD).read_bytes()
    trail.add("somebody", "second")
    second = file.read_bytes()[len(whole) :]
    file.write_bytes(whole + second[:-10])  # killed while it was written
    (tmp_path / FOLDER / HEAD).write_bytes(head)
    assert trail.faults() == []
    file.write_bytes(whole + second)  # killed before its head was
    assert trail.faults() == [] and trail.add("somebody", "third").seq == 3
    assert trail.faults() == []
    (tmp_path / FOLDER / HEAD).unlink()
    assert len(trail.faults()) == 1
    (tmp_path / FOLDER / HEAD).write_text("no head")
    with pytest.raises(StoreError, match="damaged"):
        trail.faults()
