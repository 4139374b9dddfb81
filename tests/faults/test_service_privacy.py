"""What is about a person is in no log, no metric and no fault, and in their export alone; a name can be forgotten."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from palate import rate
from palate.service.faults import without_values
from palate.service.keys import KeyRing
from palate.service.traces import Traces
from tests.served import label, rows_of, served

CANARY = "Zanzibar-Quentin"


def test_PR_06_a_person_is_in_no_log_metric_or_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = InMemorySpanExporter()
    with served(tmp_path, traces=Traces(spans)) as service:
        bodies: list[str] = []

        def call(method: str, path: str, body: object = None, **options: object) -> int:
            answer = service.call(method, path, body, **options)
            if answer.status_code >= 400:
                bodies.append(answer.text)
            return int(answer.status_code)

        user = f"/v1/users/{CANARY}"
        of_label = ["key", "user_id", "item_id", "kind", "form", "text", "source", "question_id", "value", "asked_at"]
        for name in of_label:
            call("POST", "/v1/labels", label("c-1") | {name: CANARY})
            call("POST", "/v1/labels", [label("c-1"), label("c-2") | {name: CANARY}])
            call("POST", "/v1/labels", label("c-1") | {name: f"{CANARY}. It's \"{CANARY}"})
            call("POST", "/v1/labels", label("c-1") | {name: f"{CANARY}\x00"})
        for others in ([CANARY], [CANARY, CANARY]):
            for form in ("pair", "group", "pick", "slate"):
                call("POST", "/v1/labels", label("c-1", form=form, others=others, value=None, tapped=others))
        call("POST", "/v1/labels", {**label("c-1"), CANARY: CANARY})
        call("POST", "/v1/labels", label("c-3", user_id=CANARY))
        call("POST", "/v1/labels", label("c-3", user_id=CANARY + "2"))  # the key is taken
        call("POST", "/v1/labels", label("c-4", form="concept", item_id=CANARY, value=1))
        call("DELETE", f"/v1/labels/{CANARY}")
        for name in ("key", "user_id", "item_id", "event", "slate"):
            call("POST", "/v1/events", {"key": "c", "user_id": "u", "item_id": "i04", "event": "click", name: CANARY})
        for values in ({CANARY: CANARY}, {"age": CANARY}, {"age": [CANARY]}, {CANARY + "\x00": 1}):
            call("PUT", f"{user}/attributes", {"key": CANARY, "attributes": values})
        for query in (f"k={CANARY}", f"category={CANARY}", f"exclude={CANARY}", f"{CANARY}=1", f"strategy={CANARY}"):
            call("GET", f"{user}/recommendations?{query}")
            call("GET", f"{user}/questions?{query}")
            call("GET", f"/v1/items/search?q=a&{query}")
        call("GET", f"{user}/questions?strategy=zanzibar-quentin")
        call("GET", f"{user}/profile")
        call("GET", f"/{CANARY}?{CANARY}", headers={"user-agent": CANARY, "x-request-id": f"{CANARY}\r\n"[:20]})
        call("POST", f"{user}/tokens", {"seconds": CANARY})
        call("GET", f"/readyz?for={CANARY}", key=None)
        call("GET", f"{user}/profile", key=CANARY)

        def fail(*_args: object, **_options: object) -> None:
            raise RuntimeError(f"no row for {CANARY}")

        monkeypatch.setattr(type(service.tenant.scoring), "answer", fail)
        assert call("GET", f"{user}/recommendations?k=3") == 500

        service.client.app.state.traces.close()  # type: ignore[attr-defined]
        traced = [f"{span.name} {dict(span.attributes or {})}" for span in spans.get_finished_spans()]
        assert len(traced) > 60 and any(one.startswith("GET /v1/users/{user_id}/profile ") for one in traced)
        said = "\n".join([*bodies, *traced, service.log.getvalue(), service.call("GET", "/metrics").text])
        assert len(bodies) > 50
        found = [line for line in said.splitlines() if CANARY.lower() in line.lower() or "quentin" in line.lower()]
        assert found == []
        assert all(set(json.loads(body)["error"]) == {"code", "message", "field", "request_id"} for body in bodies)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("item 'x. y' is not in the model (9,742 items). Give one.", "item … is not in the model (… items). Give one."),
        (
            "the rating 7 is off the scale. Give a number from 1 to 5.",
            "the rating … is off the scale. Give a number from 1 to 5.",
        ),
        ("user_id 'it\\'s me' is odd. Remove it.", "user_id … is odd. Remove it."),
        ('user_id "it\'s me. You" is odd. Remove it.', "user_id … is odd. Remove it."),
        ("the data's item 'abc... is cut. Go on.", "a value cannot be taken."),
        ("strategy 'epik' is unknown. Did you mean 'epig'?", "strategy … is unknown."),
    ],
)
def test_PR_06_values_are_left_out_of_messages(message: str, kept: str) -> None:
    assert without_values(message) == kept


@pytest.mark.long
def test_PR_04_exports_under_load_hold_one_users_rows_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tenants have users and items of the same names; each batch is of two labels, which no export parts."""
    users, done = ("ann", "bob"), threading.Event()
    with served(tmp_path, tenants=("one", "two")) as service:
        keys = {"one": service.keys["service"], "two": KeyRing(tmp_path / "two", tenant="two").add("service")[1]}
        exports: list[tuple[str, str, Any]] = []

        def write(tenant: str, user: str) -> None:
            number = 0
            while not done.is_set():
                key, item = f"{tenant}-{user}-{number}", f"i{number % 20 + 1:02}"
                rows = [label(f"{key}-{half}", user_id=user, item_id=item, value=number % 5 + 1) for half in "ab"]
                assert service.call("POST", "/v1/labels", rows, key=keys[tenant]).status_code == 200
                number += 1

        of = service.tenant.recommender
        records = of._live.log.records

        def late(after_seq: int = 0, *, user_id: str | None = None) -> Any:
            """What comes between the moment of an export and its reading of the rows."""
            if user_id is not None:
                of.tell(rate(user_id, "i21", 1.0, key=f"one-{user_id}-{len(exports)}-late"))
            return records(after_seq, user_id=user_id)

        monkeypatch.setattr(of._live.log, "records", late)
        writers = [threading.Thread(target=write, args=(tenant, user)) for tenant in keys for user in users]
        for writer in writers:
            writer.start()
        while len(exports) < 40:
            tenant, user = list(keys)[len(exports) % 2], users[len(exports) // 2 % 2]
            answer = service.call("GET", f"/v1/users/{user}/export", key=keys[tenant])
            assert answer.status_code == 200
            exports.append((tenant, user, answer.json()))
        done.set()
        for writer in writers:
            writer.join()
        kept = {tenant: rows_of(tmp_path / tenant) for tenant in keys}
    assert len({held["seq"] for _, _, held in exports}) > 10  # it was under load
    for tenant, user, held in exports:
        rows = [row for row in kept[tenant] if row.user_id == user and row.seq <= held["seq"]]
        found = [(row["seq"], row["key"]) for row in held["log"]]
        assert found == [(row.seq, row.content.key) for row in rows]
        halves = [key.rpartition("-")[2] for _, key in found]
        assert halves.count("a") == halves.count("b"), "half a batch"
        assert all(key.startswith(f"{tenant}-{user}-") for _, key in found)
        said = {row["item_id"]: row["value"] for row in held["log"]}
        assert held.get("belief", {}).get("rated", {}) == said, "the belief is of another moment"


def test_PR_04_an_annotator_is_forgotten_and_their_labels_stay(tmp_path: Path) -> None:
    name = f"{CANARY}@example.org"
    with served(tmp_path) as service:
        ring = KeyRing(service.folder)
        (first, one), (second, two), (_, other) = (ring.add("annotator", name=whose) for whose in (name, name, "bob"))
        service.tenant.ring._looked = -1e9  # at once, and not within a second
        for number, key in enumerate((one, two, one, other)):
            assert service.call("POST", "/v1/labels", label(f"paid-{number}"), key=key).status_code == 200
        sources = [row.content.source for row in service.rows()]
        assert sources[0] == sources[1] == sources[2] != sources[3]  # one person, whatever key they use
        before = service.call("GET", "/v1/users/ann/export").json()["log"]
        assert name in (service.folder / "keys" / "keys.json").read_text()  # else it is not looking

        forgotten = ring.forget(second.id)
        assert forgotten.name == sources[0] and {one.name for one in ring.all() if one.source == sources[0]} == {
            sources[0]
        }
        files = [path for path in service.folder.rglob("*") if path.is_file()]
        assert len(files) > 10 and not [path for path in files if CANARY.encode() in path.read_bytes()]
        service.tenant.ring._looked = -1e9
        for key in (one, two):
            assert service.call("POST", "/v1/labels", label("late"), key=key).status_code == 401
        assert service.call("POST", "/v1/labels", label("late"), key=other).status_code == 200
        assert service.call("GET", "/v1/users/ann/export").json()["log"][:-1] == before
        assert [row.content.source for row in service.rows()][:-1] == sources
        assert service.tenant.recommender._live.log.verify().is_whole
    assert ring.add("annotator", name=name)[0].source != first.source  # who comes back is somebody else
