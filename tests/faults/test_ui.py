"""Faults in the browser: hostile text, a server that goes, sessions that end, clicks that come twice, other sites."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from palate.entities import AnswerKind
from palate.service.keys import KeyRing
from palate.service.settings import Settings
from tests.browser import CLICKABLE, DESKTOP, HOSTILE, PHONE, Person, answers_in, click_fast, pages_of, site
from tests.served import Process, Served, label, rows_of, served

pytestmark = pytest.mark.browser
HOST = "127.0.0.1:8000"
OURS = {"host": HOST, "origin": f"http://{HOST}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with pages_of(tmp_path_factory.mktemp("ui") / "model", wrong_keys_per_minute=10_000) as found:
        yield found


@pytest.fixture
def person(chromium: Browser, service: Process) -> Iterator[Person]:
    found = Person(chromium, service.url, **DESKTOP)
    yield found
    found.context.close()


def fired(page: Page) -> bool:
    return bool(page.evaluate("'fired' in window"))


def test_UI_01_hostile_text_is_shown_and_never_run(chromium: Browser, tmp_path: Path) -> None:
    who = "<img src=x onerror=window.fired=9>"
    with pages_of(tmp_path / "model", visitors=False) as service:
        token = KeyRing(service.folder).token(who, seconds=600.0, key="admin")[0]
        person = Person(chromium, service.url, **DESKTOP)
        page = person.hold(token)
        assert person.user == who
        seen = page.locator("body").inner_text()
        person.skip_naming()
        for way, times in (("rate", 1), ("pick", 1), ("pair", 1), ("concept", 1), ("group", 4)):
            person.ask_in(way)
            for _ in range(times):
                seen += page.locator("body").inner_text()
                person.press("u")
            assert not fired(page)
        person.press("n")
        page.keyboard.type("the")
        for word in ("Old", "Simple", "Little", "Golden", "Last", "Lost", "Northern"):
            page.locator("#name").fill(word)
            expect(page.locator("[role=option]").first).to_contain_text(word)
            seen += page.locator("body").inner_text()
        person.sent()
        page.goto(f"{service.url}/me")
        expect(page.locator("#interests .bar").first).to_be_visible()
        seen += page.locator("body").inner_text()
        assert not fired(page)
        assert [text for text in HOSTILE if text not in seen] == [], "all of it was on the screen, as text"
        assert person.errors == [], "the browser had nothing to refuse, since nothing was made of it"
        # the policy is in force, not reported alone: what would run elsewhere is refused here
        with pytest.raises(Exception, match="TrustedHTML"):
            page.evaluate("document.body.innerHTML = '<img src=x onerror=window.fired=10>'")
        assert page.evaluate("document.cookie").find("palate_session") < 0, "no script reads the session"
        held = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
        assert "palateuser" not in held and token not in page.content()
        person.context.close()
    control = chromium.new_page()
    control.set_content(f"<p>{HOSTILE[0]}</p>")
    control.wait_for_function("'fired' in window")  # the mark is seen where nothing keeps it from firing
    control.close()


def answer_some(person: Person, n: int) -> list[str]:
    """Answer n questions; gives what they asked."""
    asked = []
    for _ in range(n):
        asked.append(person.press("4"))
        expect(person.page.locator("#question")).not_to_have_text(asked[-1], timeout=20_000)
    return asked


def lost_in_the_middle(chromium: Browser, place: Path, n: tuple[int, int, int], down_seconds: float) -> None:
    """Before the server goes, while it is gone, and after: so many answers, beside one that skips the naming."""
    folder, total = place / "model", sum(n)
    with pages_of(folder) as first:
        port = first.port
        person = Person(chromium, first.url, **PHONE)
        person.start()
        person.skip_naming()
        person.ask_in("rate")
        asked = answer_some(person, n[0])
        person.sent()
        user = person.user
        first.kill()
    begun = time.monotonic()
    asked += answer_some(person, n[1])
    expect(person.page.locator("#status")).to_contain_text(f"{n[1]} kept here")
    assert "Saved" not in person.status and person.unsent == n[1]
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        person.page.reload()
    time.sleep(max(0.0, down_seconds - (time.monotonic() - begun)))
    with pages_of(folder, port=port) as again:
        assert len(answers_in(folder, user)) == n[0] + 1
        second = Person(chromium, again.url, context=person.context)  # another window; the first one was lost
        second.page.goto(again.url)
        second.ready()
        second.sent()
        assert second.unsent == 0 and len(answers_in(folder, user)) == n[0] + n[1] + 1
        person.page.close()
        asked += answer_some(second, n[2])
        second.page.reload()
        second.ready()
        second.sent()
        assert again.stop() == 0
    told = [one for one in answers_in(folder, user) if one.kind is AnswerKind.RATING]
    assert len(told) == len({one.key for one in told}) == len({one.item_id for one in told}) == len(asked) == total
    assert {one.value for one in told} == {4.0}
    person.context.close()


@pytest.mark.long
def test_UI_02_a_server_that_goes_in_the_middle_loses_and_doubles_nothing(chromium: Browser, tmp_path: Path) -> None:
    lost_in_the_middle(chromium, tmp_path, (5, 8, 6), down_seconds=1.0)


@pytest.mark.long
def test_UI_02_a_server_that_is_gone_for_two_minutes_loses_and_doubles_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    lost_in_the_middle(chromium, tmp_path, (16, 15, 18), down_seconds=120.0)


@pytest.mark.long
def test_UI_03_a_session_that_ends_in_the_middle_loses_nothing(person: Person, service: Process) -> None:
    page = person.start()
    person.skip_naming()
    person.ask_in("rate")
    person.sent()
    user = person.user
    cookies = person.context.cookies()
    person.context.clear_cookies()
    asked = person.press("3")
    expect(page.locator("#notice")).to_contain_text("Your session has ended. 1 not sent yet")
    assert "Saved" not in person.status and person.unsent == 1
    page.reload()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    assert person.unsent == 1, "it stays in the browser"
    other = Person(person.context.browser, service.url, context=person.context)  # type: ignore[arg-type]
    other.start()
    other.sent()
    assert other.user != user and person.unsent == 1, "it is sent for nobody else"
    person.context.add_cookies(cookies)
    page.goto(service.url)
    person.ready()
    person.sent()
    assert person.user == user and person.unsent == 0
    told = [one for one in answers_in(service.folder, user) if one.kind is AnswerKind.RATING]
    assert [one.value for one in told] == [3.0] and asked
    other.page.bring_to_front()
    other.skip_naming()
    other.press("u")  # of the window that still shows the other person
    expect(other.page.locator("#notice")).to_contain_text("Somebody else has signed in here. 1 not sent yet")


def test_UI_03_twenty_fast_clicks_and_keys_are_one_answer(person: Person, service: Process) -> None:
    page = person.start()
    person.skip_naming()
    person.ask_in("rate")
    person.settle()
    page.wait_for_timeout(CLICKABLE)
    click_fast(page, ".level", 2)
    person.sent()
    ratings = [one for one in answers_in(service.folder, person.user) if one.kind is AnswerKind.RATING]
    assert [one.value for one in ratings] == [3.0]
    person.settle()
    page.keyboard.down("5")
    for _ in range(20):
        page.keyboard.down("5")  # held: the browser says so
        page.wait_for_timeout(40)
    page.keyboard.up("5")
    person.sent()
    ratings = [one for one in answers_in(service.folder, person.user) if one.kind is AnswerKind.RATING]
    assert [one.value for one in ratings] == [3.0, 5.0]


def test_UI_03_of_two_windows_with_one_question_the_second_is_told(person: Person, service: Process) -> None:
    person.start()
    person.skip_naming()
    person.ask_in("rate")
    person.sent()
    other = Person(person.context.browser, service.url, context=person.context)  # type: ignore[arg-type]
    other.page.goto(service.url)
    other.ready()
    person.page.reload()
    person.ready()
    assert person.question == other.question
    asked = person.press("2")
    expect(other.page.locator("#notice")).to_have_text("You answered this in another window.")
    expect(other.page.locator("#question")).not_to_have_text(asked)
    other.press("4")
    person.sent()
    other.sent()
    told = [one for one in answers_in(service.folder, person.user) if one.kind is AnswerKind.RATING]
    assert [one.value for one in told] == [2.0, 4.0] and len({one.item_id for one in told}) == 2


def test_UI_03_an_answer_whose_reply_is_lost_is_kept_once_and_can_be_changed(person: Person, service: Process) -> None:
    page = person.start()
    person.skip_naming()
    person.ask_in("rate")
    person.sent()
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost or route.request.method != "POST":
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort("connectionreset")

    page.route("**/v1/labels*", lose)
    asked = person.press("1")
    expect(page.locator("#status")).to_contain_text("1 kept here")
    assert lost == [200] and "Saved" not in person.status
    person.press("z")
    assert person.question == asked
    person.press("5")
    person.sent()
    told = [one for one in answers_in(service.folder, person.user) if one.kind is AnswerKind.RATING]
    assert [one.value for one in told] == [5.0]
    before = [row for row in rows_of(service.folder) if row.user_id == person.user]
    assert len(before) == 4, "the skip, the first answer once, its being taken back, the second"


# ---- other sites ----


def test_AU_06_another_site_changes_nothing(person: Person, service: Process) -> None:
    page = person.start()
    user = person.user
    row = f'{{"key": "evil", "user_id": "{user}", "item_id": "i003", "value": 1}}'
    form = f"""<form method=post enctype=text/plain action="{service.url}/v1/labels">
        <input name='{row[:-1]}, "x' value='": 1}}'></form><script>document.forms[0].submit()</script>"""
    script = f"""<script>(async () => {{
        const to = "{service.url}", withSession = {{credentials: "include"}};
        for (const [path, options] of [
            ["/v1/labels", {{method: "POST", mode: "no-cors", body: '{row}'}}],
            ["/v1/labels", {{method: "POST", headers: {{"content-type": "application/json"}}, body: '{row}'}}],
            ["/v1/users/{user}", {{method: "DELETE"}}], ["/session", {{method: "DELETE"}}],
            ["/session", {{method: "POST", mode: "no-cors", body: "{{}}"}}],
        ]) await fetch(to + path, {{...withSession, ...options}}).catch(() => 0);
        document.title = "done";
    }})()</script>"""
    frame = f'<iframe src="{service.url}/"></iframe>'
    with site({"/form": form, "/script": script, "/frame": frame}) as evil:
        other = person.context.new_page()
        other.goto(f"{evil}/form")
        other.wait_for_load_state()
        other.goto(f"{evil}/script")
        other.wait_for_function("document.title === 'done'")
        other.goto(f"{evil}/frame")
        assert "facts" not in other.frames[1].content(), "nor does it show the page inside its own"
    assert [row for row in rows_of(service.folder) if row.user_id == user] == []
    page.reload()
    person.ready()
    assert person.user == user
    person.skip_naming()
    person.sent()
    assert len(answers_in(service.folder, user)) == 1, "what the page itself sends is taken"


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    with served(tmp_path_factory.mktemp("csrf"), Settings(visitors=True, wrong_keys_per_minute=10_000)) as found:
        user = found.call("POST", "/session", {}, key=None, headers=OURS).json()["user_id"]
        yield found, user


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:8001", f"https://{HOST}"])
def test_AU_06_no_unsafe_call_is_taken_from_elsewhere(signed_in: tuple[Served, str], origin: str | None) -> None:
    service, user = signed_in
    headers = {"host": HOST} | ({} if origin is None else {"origin": origin})
    unsafe = [
        ("POST", "/v1/labels", label("au-06", user_id=user)),
        ("DELETE", "/v1/labels/au-06", None),
        ("POST", "/v1/events", {"key": "au-06e", "user_id": user, "item_id": "i04", "event": "click"}),
        ("PUT", f"/v1/users/{user}/attributes", {"key": "au-06a", "attributes": {"age": 3}}),
        ("PUT", f"/v1/users/{user}/consent", {"key": "au-06c", "purposes": [], "version": "1"}),
        ("DELETE", f"/v1/users/{user}", None),
        ("DELETE", "/session", None),
        ("POST", "/session", {}),
    ]
    before = service.tenant.seq
    for method, path, body in unsafe:
        answer = service.call(method, path, body, key=None, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), (method, path)
        assert "set-cookie" not in answer.headers
    assert service.tenant.seq == before
    # a name from elsewhere that leads to this machine is none of ours
    lured = {"host": "evil.example:8000", "origin": "http://evil.example:8000"}
    assert service.call("POST", "/session", {}, key=None, headers=lured).status_code == 403


def test_AU_06_json_is_taken_only_as_json_and_only_from_our_own_pages(signed_in: tuple[Served, str]) -> None:
    service, user = signed_in
    text, body = {**OURS, "content-type": "text/plain"}, label("au-06t", user_id=user)
    assert service.call("POST", "/v1/labels", body, key=None, headers=text).status_code == 415
    assert service.call("POST", "/v1/labels", body, key=None, headers=OURS).status_code == 200
    assert service.call("DELETE", "/v1/labels/au-06t", key=None, headers=OURS).status_code == 200
