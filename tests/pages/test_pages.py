"""The pages without a browser: their headers and size, sessions, and what a frame is allowed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palate.errors import OptionError
from palate.service.keys import KeyRing
from palate.service.pages.render import static_files
from palate.service.settings import Settings
from tests.served import Served, served

HOST = "127.0.0.1:8000"
OURS = {"host": HOST, "origin": f"http://{HOST}"}
FILMS = "https://films.example"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(visitors=True, wrong_keys_per_minute=10_000, user_calls_per_second=1e6)
    with served(tmp_path_factory.mktemp("pages"), settings) as found:
        yield found


@pytest.fixture(autouse=True)
def _nobody(service: Served) -> None:
    service.client.cookies.clear()


def get(service: Served, path: str, **headers: str) -> Any:
    return service.call("GET", path, key=None, headers={"host": HOST, **headers}, follow_redirects=False)


def begin(service: Served, token: str | None = None, **headers: str) -> Any:
    body = {} if token is None else {"token": token}
    return service.call("POST", "/session", body, key=None, headers={**OURS, **headers})


def test_a_page_runs_nothing_but_our_own_files_and_is_framed_by_nobody(service: Served) -> None:
    begin(service)
    for path in ("/", "/me", "/?language=zh"):
        answer = get(service, path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "style-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy and len(answer.headers.get_list("content-security-policy")) == 1
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-frame-options"] == "DENY"
        assert not re.search(r"<script(?![^>]*(?:src=|type=\"application/json\"))", answer.text)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:", answer.text)
    assert get(service, "/livez").headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def loaded(text: str) -> set[str]:
    """Names of the files that a page loads: those that it links, and what their scripts import."""
    found, new = set[str](), {Path(one).name for one in re.findall(r'(?:src|href)="(/static/[^"]+)"', text)}
    while new:
        found |= new
        scripts = (static_files()[name].decode() for name in new if name.endswith(".js"))
        new = {name for script in scripts for name in re.findall(r'from "\./([\w.]+)"', script)} - found
    return found


@pytest.mark.parametrize("path", ["/", "/me", "/annotate", "/operate"])
def test_the_first_page_with_all_its_files_is_under_100_kb_and_names_no_other_host(service: Served, path: str) -> None:
    begin(service)
    if path in ("/annotate", "/operate"):
        role = {"/annotate": "annotator", "/operate": "admin"}[path]
        service.call("POST", "/session", {"key": service.keys[role], "page": path[1:]}, key=None, headers=OURS)
    first = get(service, path)
    assert 'id="facts"' in first.text
    files = loaded(first.text)
    assert files >= {"style.css", "icon.svg", "dom.js", "http.js"} and len(files) > 5
    assert len(first.content) + sum(len(static_files()[name]) for name in files) < 100_000
    texts = [first.text, *(content.decode() for content in static_files().values())]
    hosts = {host for text in texts for host in re.findall(r"https?://([\w.-]+)", text)}
    assert hosts <= {"www.w3.org", "recommendations.example"}  # the name of SVG; an example in a comment


def test_files_are_kept_by_browsers_until_they_are_others(service: Served) -> None:
    linked = re.findall(r'(?:src|href)="(/static/[^"]+)"', get(service, "/").text)
    kept = get(service, linked[0])
    assert kept.headers["cache-control"] == "public, max-age=31536000"
    assert get(service, "/static/older/style.css").headers["cache-control"] == "public, max-age=0"
    assert get(service, "/static/x/..%2Froutes.py").status_code == get(service, "/static/x/none.js").status_code == 404


def test_a_visitor_is_somebody_new_known_by_a_cookie_that_no_script_and_no_other_site_has(service: Served) -> None:
    welcome = get(service, "/")
    assert 'id="facts"' not in welcome.text and get(service, "/me").headers["location"] == "/"
    first = begin(service)
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    user = first.json()["user_id"]
    assert f'"user":"{user}"' in get(service, "/").text
    assert service.call("GET", f"/v1/users/{user}/recommendations", key=None).status_code == 200
    assert service.call("GET", "/v1/users/ann/recommendations", key=None).status_code == 403
    assert service.call("GET", "/session", key=None).json() == {"user_id": user, "answers": 0}
    value = service.client.cookies["palate_session"]
    assert service.call("GET", f"/v1/users/{user}/recommendations", key=value).status_code == 401, "it is no token"
    service.client.cookies.clear()
    assert begin(service).json()["user_id"] != user


def test_the_holder_of_a_token_is_that_user_until_the_token_ends(service: Served) -> None:
    made = service.call("POST", "/v1/users/ann/tokens", {"seconds": 1.5}).json()
    answer = begin(service, made["token"])
    assert answer.json() == {"user_id": "ann", "expires_at": pytest.approx(made["expires_at"], abs=0.001)}
    assert service.call("GET", "/v1/users/ann/profile", key=None).status_code == 200
    time.sleep(1.6)
    assert service.call("GET", "/v1/users/ann/profile", key=None).status_code == 401
    assert begin(service, made["token"]).status_code == 401
    for bad in ("palateuser.x.y", "x", service.keys["service"], "palateuser.😀"):
        assert begin(service, bad).status_code == 401


def test_AU_07_a_session_is_dead_within_five_seconds_of_its_key(service: Served) -> None:
    ring = KeyRing(service.folder)
    key, whole = ring.add("service", name="shop")
    time.sleep(1.1)  # until the service has read it
    token = service.call("POST", "/v1/users/dora/tokens", {}, key=whole).json()["token"]
    begin(service, token)
    assert service.call("GET", "/v1/users/dora/profile", key=None).status_code == 200
    ring.revoke(key.id)
    until = time.monotonic() + 5.0
    while service.call("GET", "/v1/users/dora/profile", key=None).status_code != 401:
        assert time.monotonic() < until, "the session still opens something"
        time.sleep(0.1)


def test_a_session_ends_where_it_is_signed_out(service: Served) -> None:
    begin(service)
    assert service.call("DELETE", "/session", key=None, headers=OURS).status_code == 200
    assert "palate_session" not in service.client.cookies
    assert 'id="facts"' not in get(service, "/").text


def test_what_is_not_signed_by_us_is_no_session(service: Served) -> None:
    begin(service)
    value = service.client.cookies["palate_session"]
    payload, _, signature = value.partition(".")
    other = KeyRing(service.folder, tenant="default").token("ann", seconds=60.0, key="admin")[0]
    for forged in (payload, f"{payload}.", f"{payload}x.{signature}", other, other.removeprefix("palateuser."), "é.é"):
        service.client.cookies.clear()
        headers = {"host": HOST, "cookie": f"palate_session={forged}".encode()}
        assert 'id="facts"' not in service.call("GET", "/", key=None, headers=headers).text, forged
        assert service.call("GET", "/session", key=None, headers=headers).status_code == 401


def test_visitors_are_for_this_machine_alone(tmp_path: Path) -> None:
    for wrong in ({"origins": (FILMS,)}, {"host": "0.0.0.0", "open_to_network": True}, {"open_to_network": True}):
        with pytest.raises(OptionError, match="visitors need no token"):
            Settings(visitors=True, **wrong)  # type: ignore[arg-type]
    for origin in ("films.example", "https://films.example/", "https://x;script-src *", "https://*.example"):
        with pytest.raises(OptionError, match="is no origin"):
            Settings(embed_in=(origin,))
    with served(tmp_path) as closed:
        assert begin(closed).status_code == 403 and 'id="token"' in get(closed, "/").text
        assert get(closed, "/embed").status_code == 404


def test_many_new_visitors_from_one_place_wait(tmp_path: Path) -> None:
    with served(tmp_path, Settings(visitors=True)) as service:
        statuses = [begin(service).status_code for _ in range(30)]
        assert statuses[:20] == [200] * 20 and statuses[-1] == 429


def test_behind_a_proxy_the_cookie_is_secure_and_a_frame_only_where_it_is_allowed(tmp_path: Path) -> None:
    settings = Settings(origins=(FILMS,), embed_in=("https://shop.example",))
    with served(tmp_path, settings) as service:
        token, theirs = service.keys["user"], {"host": "films.example", "origin": FILMS}
        assert begin(service, token).status_code == 403, "this machine's own address is not the one that was given"
        answer = begin(service, token, **theirs)
        assert answer.status_code == 200 and "; secure" in answer.headers["set-cookie"].lower()
        framed = get(service, "/embed")
        assert "frame-ancestors https://shop.example" in framed.headers["content-security-policy"]
        assert "x-frame-options" not in framed.headers and "set-cookie" not in framed.headers
        assert '["https://shop.example"]' in framed.text and '"user":""' in framed.text
        assert get(service, "/embed.js").headers["content-type"].startswith("text/javascript")


def test_items_are_described_as_people_say_them(service: Served) -> None:
    new = {"item_id": "n/1", "title": "Wizard of Oz, The (1939)", "category": "Musical|Fantasy", "text": "x" * 3_000}
    assert service.call("PUT", "/v1/items", new).status_code == 200
    (found,) = service.call("GET", "/v1/items?id=nowhere&id=n%2F1&id=n%2F1").json()["items"]
    assert (found["title"], found["year"], found["categories"]) == ("The Wizard of Oz", "1939", ["Musical", "Fantasy"])
    assert len(found["text"]) == 2_000 and found["has_image"] is False
    assert service.call("GET", "/v1/items/n%2F1/image").status_code == 404


def test_reasons_come_in_the_language_that_is_asked_for(service: Served) -> None:
    lists = {tag: service.call("GET", f"/v1/users/bob/recommendations?language={tag}").json() for tag in ("en", "zh")}
    reasons = {tag: [item["reason"] for item in found["items"]] for tag, found in lists.items()}
    assert re.search("[\u4e00-\u9fff]", reasons["zh"][0]) and not re.search("[\u4e00-\u9fff]", reasons["en"][0])
    assert service.call("GET", "/v1/users/bob/recommendations?language=fr").status_code == 422


def test_drawn_lists_are_told_in_the_language_that_is_asked_for_too(tmp_path: Path) -> None:
    with served(tmp_path, Settings(explore=0.2)) as service:
        found = service.call("GET", "/v1/users/bob/recommendations?language=zh").json()
        assert re.search("[\u4e00-\u9fff]", found["items"][0]["reason"])
