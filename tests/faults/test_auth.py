"""Faults of access: routes without a right, unsafe defaults, other tenants, fields nobody sets, secrets, guessing."""

from __future__ import annotations

import io
import json
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

import palate
from palate.errors import OptionError
from palate.service import keys as keys_module
from palate.service.access import PUBLIC, Allow
from palate.service.app import create_app
from palate.service.keys import KeyRing
from palate.service.logs import RequestLog
from palate.service.pages.routes import PUBLIC as PUBLIC_PAGES
from palate.service.settings import Settings
from tests.served import ENVIRONMENT, SERVE, Served, copied, label, rows_of, served

# What each role may do; all else is 403. A route that is not here fails the first test.
MAY: dict[str, str] = {
    "POST /v1/labels": "admin service annotator user",
    "DELETE /v1/labels/{key}": "admin service annotator user",
    "POST /v1/events": "admin service user",
    "GET /v1/users/{user_id}/recommendations": "admin service user",
    "GET /v1/users/{user_id}/questions": "admin service user",
    "GET /v1/users/{user_id}/profile": "admin service user",
    "PUT /v1/users/{user_id}/attributes": "admin service user",
    "POST /v1/users/{user_id}/tokens": "admin service",
    "PUT /v1/users/{user_id}/consent": "admin service user",
    "GET /v1/users/{user_id}/export": "admin service user",
    "DELETE /v1/users/{user_id}": "admin service user",
    "GET /session": "admin user",
    "GET /v1/items": "admin service annotator user",
    "GET /v1/items/{item_id}/text": "admin service annotator user",
    "GET /v1/items/{item_id}/attributes": "admin service",
    "GET /v1/items/{item_id}/image": "admin service annotator user",
    "PUT /v1/items": "admin service",
    "DELETE /v1/items/search": "admin service",
    "DELETE /v1/items/{item_id}": "admin service",
    "GET /v1/items/{item_id}/audio": "admin service annotator user",
    "POST /v1/campaigns": "admin service",
    "GET /v1/campaigns": "admin service annotator",
    "GET /v1/campaigns/{campaign_id}": "admin service",
    "POST /v1/campaigns/{campaign_id}/state": "admin service",
    "GET /v1/campaigns/{campaign_id}/labels.jsonl": "admin service",
    "GET /v1/next": "admin annotator",
    "POST /v1/leases/{lease_id}/release": "admin annotator",
    "POST /v1/leases/{lease_id}/extend": "admin annotator",
    "POST /v1/leases/{lease_id}/notes": "admin annotator",
    "GET /v1/models": "admin service",
    "GET /v1/models/set-aside": "admin",
    "POST /v1/models/rollback": "admin",
    "POST /v1/models/{version}/promote": "admin",
    "GET /v1/models/trial": "admin service",
    "DELETE /v1/models/trial": "admin",
    "POST /v1/models/{version}/trial": "admin",
    "GET /v1/items/search": "admin service annotator user",
    "POST /v1/sources/{source}/weight": "admin",
    "GET /v1/campaigns/{campaign_id}/quality": "admin service",
    "GET /v1/campaigns/{campaign_id}/consensus.jsonl": "admin service",
    "GET /metrics": "admin service",
    "GET /label-studio/health": "admin service",
    "POST /label-studio/setup": "admin service",
    "POST /label-studio/predict": "admin service",
    "POST /label-studio/webhook": "admin service",
    "GET /operate/answers": "admin service",
    "GET /operate/learning": "admin service",
    "GET /operate/asked": "admin service",
    "GET /operate/erasures": "admin service",
    "GET /operate/keys": "admin",
    "POST /operate/keys": "admin",
    "POST /operate/keys/{id}/revoke": "admin",
    "GET /operate/export/{format}": "admin",
}
SENT: dict[str, Any] = {
    "POST /v1/labels": lambda: label("au-1"),
    "POST /v1/events": lambda: {"key": "au-2", "user_id": "ann", "item_id": "i04", "event": "click"},
    "PUT /v1/users/{user_id}/attributes": lambda: {"key": "au-3", "attributes": {"age": 3}},
    "POST /v1/users/{user_id}/tokens": lambda: {},
    "PUT /v1/users/{user_id}/consent": lambda: {"key": "au-4", "purposes": ["serve", "ask"], "version": "1"},
    "POST /v1/models/{version}/trial": lambda: {"share": 0.1},
    "POST /v1/campaigns": lambda: {"key": "au-5", "name": "one", "question": "How?", "users": ["ann"]},
    "POST /v1/campaigns/{campaign_id}/state": lambda: {"state": "paused"},
    "POST /v1/leases/{lease_id}/notes": lambda: {"key": "au-6", "flag": True},
    "POST /v1/sources/{source}/weight": lambda: {"key": "au-7", "weight": 0.5},
    "PUT /v1/items": lambda: {"item_id": "au-item", "title": "One"},
    "POST /operate/keys": lambda: {"role": "annotator"},
    "POST /operate/keys/{id}/revoke": lambda: {},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(wrong_keys_per_minute=10_000, user_calls_per_second=1e6)
    with served(tmp_path_factory.mktemp("auth"), settings, ("first", "second")) as found:
        yield found


def routes(app: Any) -> Iterator[tuple[str, Any]]:
    for route in app.routes:
        for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
            yield f"{method} {route.path}", route


def guards(dependant: Any) -> bool:
    return any(isinstance(one.call, Allow) or guards(one) for one in dependant.dependencies)


def path_of(route: str) -> str:
    path = route.split(" ")[1].replace("{key}", "au-1").replace("{item_id}", "nowhere").replace("{version}", "none")
    path = path.replace("{campaign_id}", "none").replace("{lease_id}", "none")
    path = path.replace("{source}", "lea")
    path = path.replace("{user_id}", "gone" if route.startswith("DELETE") else "ann")
    return path + {"/v1/items/search": "?q=a", "/v1/items": "?id=i04", "/v1/next": "?campaign=none"}.get(path, "")


def test_AU_01_every_route_has_a_guard_or_is_public(service: Served) -> None:
    app = service.client.app
    found = dict(routes(app))
    described = {
        f"{method.upper()} {path}"
        for path, methods in app.openapi()["paths"].items()  # type: ignore[attr-defined]
        for method in methods
    }
    assert described <= set(found), "the walk must see what is served"
    unguarded = {name for name, route in found.items() if not (isinstance(route, APIRoute) and guards(route.dependant))}
    assert unguarded == {f"GET {path}" for path in PUBLIC} | set(PUBLIC_PAGES)
    assert set(found) - unguarded == set(MAY)


def test_AU_01_no_key_garbage_expired_revoked_and_another_tenants_key_open_nothing(service: Served) -> None:
    ring = KeyRing(service.folder, tenant="first")
    revoked, expired = ring.add("admin"), ring.add("admin", days=1e-9)
    ring.revoke(revoked[0].id)
    token = service.keys["user"]
    # a tenant's key opens that tenant alone; the signature of another's token does not fit
    forged = keys_module._packed(["first", "ann", 9e9, "admin"])
    bad = {
        "none": None,
        "garbage": "palate_0123456789ab_" + "x" * 43,
        "empty": "",
        "long": "x" * 100_000,
        "revoked": revoked[1],
        "expired": expired[1],
        "cut": service.keys["service"][:-1],
        "token": token[:-2] + "xx",
        "forged": f"palateuser.{forged}.{token.rpartition('.')[2]}",
    }
    before = service.tenant.seq
    for route in MAY:
        method, body = route.split(" ")[0], SENT.get(route, lambda: None)()
        for name, key in bad.items():
            answer = service.call(method, path_of(route), body, key=key)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorised"), (route, name)
            assert answer.headers["www-authenticate"] == "Bearer"
    assert service.tenant.seq == before


@pytest.mark.parametrize("role", ["service", "annotator", "user", "admin"])
def test_AU_01_a_role_may_do_what_is_said_and_no_more(service: Served, role: str) -> None:
    for route, roles in MAY.items():
        method, body = route.split(" ")[0], SENT.get(route, lambda: None)()
        key = role
        if role == "user" and "/gone" in path_of(route):  # a user may erase themselves, and nobody else
            assert service.call(method, path_of(route), key=role).status_code == 403
            key = service.call("POST", "/v1/users/gone/tokens", {}).json()["token"]
        status = service.call(method, path_of(route), body, key=key).status_code
        assert (status == 403) == (role not in roles.split()), (route, role, status)
        assert status not in (401, 500)


def test_AU_01_a_users_token_is_for_that_user_alone(service: Served) -> None:
    service.call("POST", "/v1/labels", label("of-bob", user_id="bob"))
    last = service.tenant.seq
    for method, path, body in (
        ("GET", "/v1/users/bob/recommendations", None),
        ("GET", "/v1/users/bob/questions", None),
        ("GET", "/v1/users/bob/profile", None),
        ("PUT", "/v1/users/bob/attributes", {"key": "x", "attributes": {"age": 3}}),
        ("PUT", "/v1/users/bob/consent", {"key": "x", "purposes": [], "version": "1"}),
        ("GET", "/v1/users/bob/export", None),
        ("POST", "/v1/labels", label("x", user_id="bob")),
        ("POST", "/v1/labels", [label("y"), label("x", user_id="bob")]),
        ("POST", "/v1/events", {"key": "x", "user_id": "bob", "item_id": "i04", "event": "click"}),
        ("POST", "/v1/labels", label("x", source="model")),
        ("GET", "/v1/users/ann/questions?strategy=random", None),
    ):
        assert service.call(method, path, body, key="user").status_code == 403, path
    gone = service.call("DELETE", "/v1/labels/of-bob", key="user")
    never = service.call("DELETE", "/v1/labels/of-nobody", key="user")
    assert gone.status_code == never.status_code == 404
    assert gone.json()["error"] | {"request_id": ""} == never.json()["error"] | {"request_id": ""}
    assert service.tenant.seq == last


def test_AU_01_an_annotators_labels_are_under_their_pseudonym_and_they_reach_no_others(service: Served) -> None:
    service.call("POST", "/v1/labels", label("by-annotator"), key="annotator")
    source = service.rows()[-1].content.source
    assert re.fullmatch("annotator-[0-9a-f]{12}", source)
    assert service.call("POST", "/v1/labels", label("z", source="annotator-1"), key="annotator").status_code == 403
    assert service.call("POST", "/v1/labels", label("z", source="person"), key="annotator").status_code == 403
    service.call("POST", "/v1/labels", label("by-person"))
    assert service.call("DELETE", "/v1/labels/by-person", key="annotator").status_code == 404
    assert service.call("DELETE", "/v1/labels/by-annotator", key="annotator").status_code == 200


def test_AU_02_it_is_safe_without_settings(tmp_path: Path) -> None:
    assert Settings().host == "127.0.0.1"
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(OptionError, match="can be reached from other machines"):
            Settings(host=host)
    folder = copied(tmp_path / "model")
    refused = subprocess.run(
        [sys.executable, "-c", SERVE, str(folder), "--host", "0.0.0.0"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert (refused.returncode, refused.stdout) == (2, "") and "--open-to-network" in refused.stderr
    assert not (folder / "keys").exists()
    assert not (folder / "keys").exists()

    first = KeyRing(folder)
    admin, signing = (folder / "keys" / name for name in ("admin", "signing"))
    assert first.made_admin and stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE(admin.stat().st_mode) == stat.S_IMODE(signing.stat().st_mode) == 0o600
    secret = admin.read_text().strip()
    assert len(secret) >= 43  # 256 bits in base64
    again = KeyRing(folder)
    assert not again.made_admin and admin.read_text().strip() == secret and again.who(secret)
    other = KeyRing(copied(tmp_path / "other"))
    assert other.who(secret) is None
    with pytest.raises(OptionError, match="has 8 characters"):
        KeyRing(folder, given="password")


def test_AU_02_the_package_ships_no_secret() -> None:
    literal = re.compile(r"""(?i)(secret|password|passwd|api_?key|token)\w*\s*[:=]\s*["'][A-Za-z0-9+/_-]{16,}["']""")
    for path in Path(palate.__file__).parent.rglob("*.py"):
        assert not literal.search(path.read_text()), path


def test_AU_03_nothing_of_another_tenant_can_be_told_from_nothing(service: Served) -> None:
    second = service.client.app.state.tenants["second"]  # type: ignore[attr-defined]
    other = (second.folder / "keys" / "admin").read_text().strip()
    assert service.call("POST", "/v1/labels", label("same-key", value=2), key=other).status_code == 200
    assert service.call("POST", "/v1/labels", label("same-key", value=5)).status_code == 200  # a key of its own
    service.call("POST", "/v1/labels", label("only-second", user_id="carl"), key=other)
    (question,) = service.call("GET", "/v1/users/carl/questions?k=1", key=other).json()["questions"]
    before = [row.seq for row in rows_of(second.folder)]

    there, nowhere = (service.call("DELETE", f"/v1/labels/{key}") for key in ("only-second", "nowhere-at-all"))
    assert there.status_code == nowhere.status_code == 404
    assert there.json()["error"] | {"request_id": ""} == nowhere.json()["error"] | {"request_id": ""}
    of = {"user_id": "carl", "item_id": question["item_id"], "question_id": question["question_id"]}
    assert service.call("POST", "/v1/labels", label("q", **of)).status_code == 422  # signed by the other tenant
    mine, theirs = (
        service.call("GET", "/v1/users/carl/recommendations?k=3", key=key).json() for key in ("service", other)
    )
    stranger = service.call("GET", "/v1/users/nobody/recommendations?k=3").json()
    assert mine["items"] == stranger["items"] and mine["items"] != theirs["items"]
    assert [row.seq for row in rows_of(second.folder)] == before
    token = service.call("POST", "/v1/users/carl/tokens", {}, key=other).json()["token"]
    assert service.tenant.ring.who(token) is None and second.ring.who(token) is not None


MAY_SET = {("price", "POST /v1/campaigns"), ("weight", "POST /v1/sources/{source}/weight")}
EXTRA = ["role", "tenant", "tenant_id", "annotator_id", "price", "created_at", "recorded_at", "seq", "is_gold", "id"]


@pytest.mark.parametrize("name", [*EXTRA, "propensity", "weight", "retracts"])
def test_AU_04_a_field_that_nobody_may_set_is_refused(service: Served, name: str) -> None:
    last = service.tenant.seq
    for route, made in SENT.items():
        if (body := made()) is not None and (name, route) not in MAY_SET:
            key = "service" if "service" in MAY[route] else "admin"
            answer = service.call(route.split(" ")[0], path_of(route), {**body, name: 1}, key=key)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid"), route
    assert service.call("POST", "/v1/labels", [label("m1"), label("m2", **{name: 1})]).status_code == 422
    assert service.tenant.seq == last


def test_AU_05_secrets_are_neither_stored_nor_said(service: Served, tmp_path: Path) -> None:
    whole = service.keys["service"]
    secrets = [whole, whole.split("_", 2)[2], service.keys["annotator"], service.keys["user"]]
    wrong = "palate_ffffffffffff_" + "w" * 43
    for key in (*secrets, wrong):
        service.call("GET", "/v1/users/ann/recommendations", key=key)
        service.call("POST", "/v1/labels", "not a label", key=key)
        assert service.call("GET", f"/v1/items/search?q=a&key={key}", key=None).json()["error"]["code"] == "key_in_url"
        assert service.call("GET", "/v1/items/search?q=a", key=key).text.find(key) == -1
    kept = b"".join(path.read_bytes() for path in service.folder.rglob("*") if path.is_file() and path.name != "admin")
    said = service.log.getvalue() + service.call("GET", "/metrics").text
    for secret in (*secrets, wrong):
        assert secret.encode() not in kept and secret not in said
    admin = service.keys["admin"]
    assert admin.encode() not in kept and admin not in said
    digests = json.loads((service.folder / "keys" / "keys.json").read_text())["keys"]
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["digest"]) for row in digests)
    source = Path(keys_module.__file__).read_text()
    assert source.count("compare_digest") >= 3 and not re.search(r"digest\s*==|==\s*\w*digest", source)


def test_AU_07_guessing_is_throttled_and_the_owner_is_not_locked_out(tmp_path: Path) -> None:
    with served(tmp_path, Settings(wrong_keys_per_minute=10)) as service:
        answers = [service.call("GET", "/v1/items/search?q=a", key=f"palate_0_{n}") for n in range(1_000)]
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {401, 429} and statuses.count(401) < 30
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert service.call("GET", "/v1/items/search?q=a").status_code == 200


def test_AU_07_who_is_cut_off_is_out_within_seconds_and_so_are_their_tokens(service: Served) -> None:
    ring = KeyRing(service.folder, tenant="first")
    assert service.call("GET", "/v1/users/ann/profile").status_code == 200  # the service has just looked at its keys
    key, whole = ring.add("service", name="shop")
    token = service.call("POST", "/v1/users/ann/tokens", {}, key=whole).json()["token"]
    assert service.call("GET", "/v1/users/ann/profile", key=token).status_code == 200
    ring.revoke(key.id)
    time.sleep(1.2)
    assert service.call("GET", "/v1/users/ann/profile", key=whole).status_code == 401
    assert service.call("GET", "/v1/users/ann/profile", key=token).status_code == 401


def test_AU_07_a_user_who_calls_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    with served(tmp_path, Settings(user_calls_per_second=2.0)) as service:
        answers = [service.call("GET", "/v1/users/ann/profile", key="user") for _ in range(8)]
        assert [answer.status_code for answer in answers[-2:]] == [429, 429]
        assert service.call("GET", "/v1/users/ann/profile").status_code == 200


def test_several_models_take_no_admin_key_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_ADMIN_KEY", "k" * 40)
    folders = {name: copied(tmp_path / name) for name in ("a", "b")}
    with pytest.raises(OptionError, match="is given for 2 models"):
        create_app(folders, log=RequestLog(io.StringIO()))
