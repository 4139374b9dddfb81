"""Sessions of those who hold keys, and what the operator's page reads and changes, without a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from palate.records import rate
from palate.service.keys import KeyRing
from palate.service.pages.learning import FEWEST, curve
from palate.service.pages.operate_routes import by_channel
from palate.service.settings import Settings
from palate.store.counts import Labels
from tests.served import Served, label, served

HOST = "127.0.0.1:8000"
OURS = {"host": HOST, "origin": f"http://{HOST}"}
COOKIE = "palate_session"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(visitors=True, wrong_keys_per_minute=10_000, user_calls_per_second=1e6)
    with served(tmp_path_factory.mktemp("staff"), settings) as found:
        yield found


@pytest.fixture(autouse=True)
def _nobody(service: Served) -> None:
    service.client.cookies.clear()


def sign_in(service: Served, key: str, page: str = "operate", **headers: str) -> Any:
    body = {"key": service.keys.get(key, key), "page": page}
    return service.call("POST", "/session", body, key=None, headers={**OURS, **headers})


def get(service: Served, path: str) -> Any:
    return service.call("GET", path, key=None, headers={"host": HOST})


def test_a_key_is_asked_for_once_and_becomes_a_cookie_that_no_script_and_no_other_site_has(service: Served) -> None:
    for page in ("operate", "annotate"):
        asked = get(service, f"/{page}")
        assert asked.status_code == 200 and 'id="key"' in asked.text and 'id="facts"' not in asked.text
    answer = sign_in(service, "admin")
    assert answer.json()["role"] == "admin" and service.keys["admin"] not in answer.text
    cookie = answer.headers["set-cookie"]
    assert service.keys["admin"] not in cookie
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.lower().split("; "))
    shown = get(service, "/operate")
    assert 'id="facts"' in shown.text and service.keys["admin"] not in shown.text
    assert "script-src 'self';" in shown.headers["content-security-policy"]
    assert service.call("GET", "/operate/keys", key=None).status_code == 200
    assert 'id="facts"' not in get(service, "/").text, "it is no user's session"
    assert service.call("DELETE", "/session", key=None, headers=OURS).status_code == 200
    assert COOKIE not in service.client.cookies and 'id="key"' in get(service, "/operate").text


@pytest.mark.parametrize(
    ("key", "page", "opens"),
    [
        ("admin", "operate", True),
        ("service", "operate", True),
        ("annotator", "operate", False),
        ("user", "operate", None),
        ("annotator", "annotate", True),
        ("service", "annotate", False),
        ("admin", "annotate", False),
        ("palate_000000000000_x", "annotate", None),
    ],
)
def test_AU_02_a_page_opens_for_its_roles_alone(service: Served, key: str, page: str, opens: bool | None) -> None:
    answer = sign_in(service, key, page)
    assert answer.status_code == {True: 200, False: 403, None: 401}[opens]
    assert (COOKIE in service.client.cookies) == bool(opens)
    if opens:
        other = {"annotate": "operate", "operate": "annotate"}[page]
        assert 'id="key"' in get(service, f"/{other}").text, "the other page asks for another key"


def test_AU_02_a_session_may_do_what_its_key_may_and_no_more(service: Served) -> None:
    sign_in(service, "service")
    for path in ("/operate/answers", "/operate/learning", "/operate/asked", "/operate/erasures", "/v1/models"):
        assert get(service, path).status_code == 200, path
    for path in ("/operate/keys", "/operate/export/jsonl", "/v1/models/set-aside"):
        assert get(service, path).status_code == 403, path
    assert 'id="add-key"' not in get(service, "/operate").text
    made = service.call("POST", "/operate/keys", {"role": "admin"}, key=None, headers=OURS)
    assert made.status_code == 403
    sign_in(service, "annotator", "annotate")
    for path in ("/operate/answers", "/operate/asked", "/operate/keys", "/v1/models"):
        assert get(service, path).status_code == 403, path


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:8001", f"https://{HOST}"])
def test_AU_06_nobody_is_signed_in_and_nothing_changed_from_elsewhere(service: Served, origin: str | None) -> None:
    headers = {"host": HOST} | ({} if origin is None else {"origin": origin})
    body = {"key": service.keys["admin"], "page": "operate"}
    refused = service.call("POST", "/session", body, key=None, headers=headers)
    assert refused.status_code == 403 and "set-cookie" not in refused.headers
    sign_in(service, "admin")
    before = KeyRing(service.folder).all()
    for method, path, sent in (
        ("POST", "/operate/keys", {"role": "admin"}),
        ("POST", f"/operate/keys/{before[0].id}/revoke", {}),
        ("POST", "/v1/models/rollback", None),
        ("DELETE", "/v1/users/ann", None),
        ("DELETE", "/session", None),
    ):
        answer = service.call(method, path, sent, key=None, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), path
    assert KeyRing(service.folder).all() == before
    text = service.call(
        "POST", "/operate/keys", {"role": "admin"}, key=None, headers={**OURS, "content-type": "text/plain"}
    )
    assert text.status_code == 415


def test_AU_07_a_session_is_dead_with_its_key_and_signed_for_that_key_alone(service: Served) -> None:
    ring = KeyRing(service.folder)
    key, whole = ring.add("admin", name="zoe")
    sign_in(service, whole)
    value = service.client.cookies[COOKIE]
    assert get(service, "/operate/keys").json()["mine"] == key.id
    kind, _, payload, signature = value.split(".")
    token = service.keys["user"].removeprefix("palateuser.")
    for forged in (
        f"{kind}.admin.{payload}.{signature}",
        f"{kind}.{key.id}.{payload}.{signature[:-2]}",
        f"{kind}.{key.id}.{payload}",
        f"{payload}.{signature}",
        f"{kind}.{key.id}.{token}",
        f"{kind}.{key.id}.é.é",
        ".".join([kind] * 4),
    ):
        headers = {"host": HOST, "cookie": f"{COOKIE}={forged}".encode()}
        service.client.cookies.clear()
        assert service.call("GET", "/operate/keys", key=None, headers=headers).status_code == 401, forged
    service.client.cookies.clear()
    assert service.call("GET", "/operate/keys", key=value).status_code == 401, "it is no key"
    headers = {"host": HOST, "cookie": f"{COOKIE}={value}"}
    assert service.call("GET", "/operate/keys", key=None, headers=headers).status_code == 200
    ring.revoke(key.id)
    until = time.monotonic() + 5.0
    while service.call("GET", "/operate/keys", key=None, headers=headers).status_code != 401:
        assert time.monotonic() < until, "the session still opens something"
        time.sleep(0.1)


def test_AU_07_a_session_of_the_admin_key_ends_with_that_key(tmp_path: Path) -> None:
    with served(tmp_path) as first:
        sign_in(first, "admin")
        headers = {"host": HOST, "cookie": f"{COOKIE}={first.client.cookies[COOKIE]}"}
        folder = first.folder
    with served(tmp_path, again=folder) as same:
        assert same.call("GET", "/operate/keys", key=None, headers=headers).status_code == 200
    (folder / "keys" / "admin").write_text("another-key-of-many-characters\n")
    with served(tmp_path, again=folder) as other:
        assert other.call("GET", "/operate/keys", key=None, headers=headers).status_code == 401


def test_AU_07_a_session_ends_when_it_says(tmp_path: Path) -> None:
    now = [1_000.0]
    (tmp_path / "model").mkdir()
    ring = KeyRing(tmp_path / "model", clock=lambda: now[0])
    key = ring.add("annotator", name="kim", days=1.0)[0]
    session = ring.staff_session(key.id, ends=1_100.0)
    found = ring.staff_until(session)
    assert found is not None and found[1] == 1_100.0
    assert (found[0].role, found[0].source, found[0].key) == ("annotator", key.source, key.id)
    now[0] = 1_100.0
    assert ring.staff_until(session) is None
    long = ring.staff_session(key.id, ends=1e9)
    assert ring.staff_until(long) is not None
    now[0] += 86_400.0
    assert ring.staff_until(long) is None, "nor does it outlive its key"
    assert KeyRing(tmp_path / "model", tenant="other", clock=lambda: 1_000.0).staff_until(session) is None


def test_keys_are_made_shown_once_and_revoked(service: Served) -> None:
    sign_in(service, "admin")
    made = service.call(
        "POST", "/operate/keys", {"role": "annotator", "name": "Kim", "days": 2.0}, key=None, headers=OURS
    )
    key = made.json()
    assert key["role"] == "annotator" and key["source"].startswith("annotator-") and key["is_good"]
    assert key["expires_at"] - key["made_at"] == pytest.approx(2 * 86_400)
    listed = get(service, "/operate/keys")
    assert key["key"] not in listed.text and "digest" not in listed.text
    assert service.call("GET", "/v1/items?id=i04", key=key["key"]).status_code == 200
    done = service.call("POST", f"/operate/keys/{key['id']}/revoke", {"forget": True}, key=None, headers=OURS).json()
    assert done["revoked_at"] and done["name"] == key["source"] and not done["is_good"]
    assert service.call("POST", "/operate/keys/none/revoke", {}, key=None, headers=OURS).status_code == 404
    for wrong in ({"role": "user"}, {"role": "admin", "days": 0.0}, {"role": "admin", "name": "x\x00"}, {}):
        assert service.call("POST", "/operate/keys", wrong, key=None, headers=OURS).status_code == 422, wrong


def test_what_was_answered_and_why_is_told_and_everything_can_be_had_as_a_file(service: Served) -> None:
    (question,) = service.call("GET", "/v1/users/uma/questions?k=1").json()["questions"]
    said = {"user_id": "uma", "item_id": question["item_id"], "question_id": question["question_id"]}
    service.call("POST", "/v1/labels", label("op-1", **said))
    service.call("POST", "/v1/labels", label("op-2", user_id="=uma", value=None, kind="unknown"))
    service.call("DELETE", "/v1/labels/op-2")
    sign_in(service, "admin")
    second, first = get(service, "/operate/asked").json()["asked"][:2]
    assert (first["user_id"], first["reason"], first["channel"]) == ("uma", "list-value", "http")
    assert first["gain"] == pytest.approx(question["value"], rel=1e-5) and 0 < first["propensity"] <= 1
    assert (second["kind"], second["is_taken_back"], second["reason"], second["gain"]) == ("unknown", True, "", None)
    answers = get(service, "/operate/answers?dark=1").json()
    assert sum(row["rating"] + row["unknown"] for row in answers["rows"]) >= 2 and answers["plot"].startswith("<?xml")
    lines = get(service, "/operate/export/jsonl")
    assert [json.loads(line)["key"] for line in lines.text.splitlines()][:2] == ["op-1", "op-2"]
    assert 'filename="palate-default-jsonl.jsonl"' in lines.headers["content-disposition"]
    assert "'=uma" in get(service, "/operate/export/csv").text, "a spreadsheet takes it for no formula (UI-04)"
    assert get(service, "/operate/export/parquet").content[:4] == b"PAR1"
    assert "op-2" not in get(service, "/operate/export/label-studio").text
    assert get(service, "/operate/export/exe").status_code == 404
    receipt = service.call("DELETE", "/v1/users/uma", key=None, headers=OURS).json()
    told = get(service, "/operate/erasures").json()["erasures"][0]
    assert told == {name: receipt[name] for name in ("seq", "key", "rows", "erased_at")}


def test_the_learning_curve_is_of_what_was_known_before_each_answer(service: Served) -> None:
    sign_in(service, "admin")
    before = get(service, "/operate/learning").json()
    items = [f"i{place:02d}" for place in range(1, 7)]
    for user in range(FEWEST):
        for item in items:
            service.call("POST", "/v1/labels", label(f"lc-{user}-{item}", user_id=f"lc{user}", item_id=item, value=5))
    found = get(service, "/operate/learning").json()
    assert found["people"] - before["people"] == FEWEST and found["answers"] - before["answers"] == 6 * FEWEST
    points = {one["told"]: one for one in found["points"]}
    assert points["0"]["error"] == points["0"]["at_start"], "before anybody said anything there is one expectation"
    assert points["4–7"]["error"] < points["4–7"]["at_start"], "who likes everything is known to"
    assert points["4–7"]["answers"] == 2 * points["4–7"]["people"]
    for one in found["points"]:
        assert one["low"] <= one["error"] <= one["high"]
    assert found["drift"]["answers"] == found["answers"] and found["plot"].startswith("<?xml")


def test_each_person_counts_once_in_a_point_and_its_interval_is_over_people() -> None:
    from palate.loop.drift import Foretold

    answer = rate("ann", "i1", 4.0)

    def person(*errors: float) -> list[Foretold]:
        return [Foretold(answer, 0.0, error, 2.0) for error in errors]

    people = [person(1.0, 1.0, 1.0, 9.0), person(2.0, 1.0, 4.0), person(3.0), person(2.0), person(2.0)]
    (point,) = curve(people)
    assert (point.first, point.last, point.people, point.answers) == (0, 0, 5, 5)
    assert (point.error, point.at_start) == (2.0, 2.0)
    half = 2.7764 * (0.5 / 5) ** 0.5
    assert (point.low, point.high) == (pytest.approx(2.0 - half, abs=1e-3), pytest.approx(2.0 + half, abs=1e-3))
    assert point.at_start_low == point.at_start_high == 2.0
    third = curve([person(*[1.0] * 2, *errors) for errors in ((1.0, 9.0), (4.0,), (4.0,), (4.0,), (4.0,))])[-1]
    assert (third.first, third.last, third.answers, third.error) == (2, 3, 6, pytest.approx((5.0 + 16.0) / 5))


def test_ways_beyond_the_colours_are_counted_together() -> None:
    days = [date(1970, 1, 2), date(1970, 1, 3)]
    rows = [Labels(1 + place % 2, f"way{place}", "rating", 10 - place) for place in range(8)]
    found = by_channel(rows, days)
    assert list(found) == ["way0", "way1", "way2", "way3", "way4", "*"]
    assert found["way1"] == [0, 9] and found["*"] == [4, 5 + 3]
    assert list(by_channel(rows[:6], days)) == [f"way{place}" for place in range(6)]
