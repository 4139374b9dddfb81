from __future__ import annotations

import asyncio
import inspect
import json
import random
import subprocess
import sys
from typing import Any

import pytest

from palate.client import AsyncClient, Client, ServiceError
from palate.client.calls import Call
from palate.errors import OptionError
from tests.served import ENVIRONMENT

httpx = pytest.importorskip("httpx")

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str]] = [
    ("tell", ("ann", "i7", 4), {"key": "k1", "question_id": "q"}, "POST", "/v1/labels"),
    ("tell", ("ann", "i7", "unknown"), {"key": "k1"}, "POST", "/v1/labels"),
    ("tell_all", ([{"user_id": "ann", "item_id": "i7", "value": 4}],), {}, "POST", "/v1/labels"),
    ("see", ([{"user_id": "ann", "item_id": "i7", "event": "click", "key": "e1"}],), {}, "POST", "/v1/events"),
    ("undo", ("k/1",), {}, "DELETE", "/v1/labels/k%2F1"),
    ("know", ("ann", {"age": 3}), {"key": "a1"}, "PUT", "/v1/users/ann/attributes"),
    ("recommendations", ("a b", 3), {"exclude": ["i1", "i2"]}, "GET", "/v1/users/a%20b/recommendations"),
    ("questions", ("ann",), {"forms": ["rate", "pair"]}, "GET", "/v1/users/ann/questions"),
    ("search", ("star",), {}, "GET", "/v1/items/search"),
    ("profile", ("ann",), {}, "GET", "/v1/users/ann/profile"),
    ("make_campaign", ({"name": "one", "question": "How?"},), {}, "POST", "/v1/campaigns"),
    ("campaigns", (), {}, "GET", "/v1/campaigns"),
    ("campaign", ("c/1",), {}, "GET", "/v1/campaigns/c%2F1"),
    ("campaign_quality", ("c1",), {}, "GET", "/v1/campaigns/c1/quality"),
    ("calibrate", ("a/1", 0.5), {"subject": "kind"}, "POST", "/v1/sources/a%2F1/weight"),
    ("set_campaign_state", ("c1", "paused"), {}, "POST", "/v1/campaigns/c1/state"),
    ("next_questions", ("c1", 2), {"held": ["a", "b"]}, "GET", "/v1/next"),
    ("answer", ("l1", 4), {"key": "k1"}, "POST", "/v1/labels"),
    ("answer", ("l1", "skipped"), {"reason": "no"}, "POST", "/v1/labels"),
    ("release", ("l1",), {}, "POST", "/v1/leases/l1/release"),
    ("extend", ("l1",), {}, "POST", "/v1/leases/l1/extend"),
    ("note", ("l1",), {"flag": True, "comment": "odd"}, "POST", "/v1/leases/l1/notes"),
    ("user_token", ("ann",), {}, "POST", "/v1/users/ann/tokens"),
]
GOOD = {"labels": [{"key": "k1", "seq": 1, "repeated": False}], "events": [], "attributes": [], "items": []}
GOOD |= {"questions": [], "interests": [], "token": "t", "campaign": {}, "campaigns": []}


def answering(*answers: Any) -> tuple[list[Any], Any]:
    """The requests that are made, and a transport that gives these answers in turn, the last one for ever."""
    seen: list[Any] = []

    def handle(request: Any) -> Any:
        seen.append(request)
        answer = answers[min(len(seen), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        status, document, *headers = answer
        return httpx.Response(status, json=document, headers=headers[0] if headers else {})

    return seen, httpx.MockTransport(handle)


def both(transport: Any, name: str, *given: Any, options: dict[str, Any] | None = None, **more: Any) -> list[Any]:
    """What the sync and the async client give."""
    setting: dict[str, Any] = {"transport": transport, "rng": random.Random(0), **(options or {})}
    with Client("http://service.test", "key", **setting) as client:
        found = [getattr(client, name)(*given, **more)]

    async def run() -> Any:
        async with AsyncClient("http://service.test", "key", **setting) as client:
            return await getattr(client, name)(*given, **more)

    return [*found, asyncio.run(run())]


@pytest.mark.parametrize(("name", "given", "more", "method", "path"), CALLS, ids=[f"{c[0]} {c[4]}" for c in CALLS])
def test_both_clients_make_the_same_call(name: str, given: Any, more: Any, method: str, path: str) -> None:
    seen, transport = answering((200, GOOD))
    first, second = both(transport, name, *given, **more)
    assert first == second
    for request in seen:
        assert (request.method, request.url.raw_path.decode().partition("?")[0]) == (method, path)
        assert request.headers["authorization"] == "Bearer key"
    assert seen[0].url.query == seen[1].url.query
    keys = [
        json.loads(request.content)
        for request in seen
        if request.method in ("POST", "PUT") and not path.endswith(("/tokens", "/state", "/release", "/extend"))
    ]
    for body in keys:
        assert all(row["key"] for row in (body if isinstance(body, list) else [body]))


def test_a_call_is_made_again_under_the_same_key_until_it_is_answered() -> None:
    answers = (
        httpx.ConnectError("down"),
        (503, {}),
        httpx.ReadTimeout("slow"),
        (429, {}, {"retry-after": "0"}),
        (200, GOOD),
    )
    seen, transport = answering(*answers)
    with Client("http://service.test", "key", transport=transport, rng=random.Random(0)) as client:
        assert client.tell("ann", "i7", 4)["seq"] == 1
    bodies = [json.loads(request.content) for request in seen]
    assert len(bodies) == 5 and len({body["key"] for body in bodies}) == 1


def test_what_would_not_help_is_not_tried_again() -> None:
    fault = {
        "error": {"code": "bad_answer", "message": "the rating is off the scale.", "field": "value", "request_id": "r1"}
    }
    seen, transport = answering((422, fault))
    with pytest.raises(ServiceError, match="off the scale") as raised:
        both(transport, "tell", "ann", "i7", 99)
    error = raised.value
    assert (error.status, error.code, error.field, error.request_id) == (422, "bad_answer", "value", "r1")
    assert len(seen) == 1


@pytest.mark.parametrize("last", [(503, {}), "down"])
def test_patience_ends(last: Any) -> None:
    seen, transport = answering(httpx.ConnectError("down") if last == "down" else last)
    with pytest.raises(ServiceError) as raised:
        both(transport, "profile", "ann", options={"tries": 3})
    assert len(seen) == 3 and raised.value.status == (0 if last == "down" else 503)


def test_an_answer_that_is_no_json_is_a_fault_of_one_line() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(418, text="<html>tea</html>"))
    with pytest.raises(ServiceError, match="status 418"):
        both(transport, "profile", "ann")


@pytest.mark.parametrize(
    ("url", "key"), [("service.test", "k"), (3, "k"), ("http://x", ""), ("http://x", "k\n"), ("http://x", None)]
)
def test_an_address_or_a_key_that_cannot_be_one_is_refused(url: Any, key: Any) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(OptionError):
            kind(url, key)


def test_both_clients_have_the_same_calls_with_the_same_arguments() -> None:
    names = {name for name in vars(Client) if not name.startswith("_")}
    assert names == {name for name in vars(AsyncClient) if not name.startswith("_")}
    for name in names:
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        assert ours == theirs, name
    assert names - {"close"} == {call[0] for call in CALLS}


def test_the_key_is_in_no_representation() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(401, json={}))
    with Client("http://service.test", "palate_secret", transport=transport) as client:
        assert "palate_secret" not in repr(client) + repr(vars(client)) + repr(Call("GET", ("a",)))
        with pytest.raises(ServiceError) as raised:
            client.profile("ann")
    assert "palate_secret" not in str(raised.value)


def test_import_needs_no_library() -> None:
    code = "import sys\nsys.modules['httpx'] = None\nimport palate.client as c\n"
    code += "try: c.Client('http://x', 'k')\nexcept c.ServiceError.__mro__[1] as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert "pip install '.[serve]'" in done.stdout, done.stderr
