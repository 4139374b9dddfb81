"""PR-06: what is about a person is in no log, no metric and no fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from palate.service.faults import without_values
from palate.service.traces import Traces
from tests.served import label, served

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

        monkeypatch.setattr(type(service.tenant), "list_of", fail)
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
