"""Faults in the browser of an annotator and of an operator: hostile text, a server that goes, sessions that end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from palate.service.keys import KeyRing
from tests.browser import (
    CLICKABLE,
    DESKTOP,
    HOSTILE,
    PHONE,
    Annotator,
    annotator_key,
    click_fast,
    labelled,
    made,
    pages_of,
    watch,
)
from tests.served import Process

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with pages_of(tmp_path_factory.mktemp("ui") / "model", visitors=False, wrong_keys_per_minute=10_000) as found:
        yield found


@pytest.fixture
def key(service: Process) -> Iterator[str]:
    yield from annotator_key(service)


@pytest.fixture
def person(chromium: Browser, service: Process) -> Iterator[Annotator]:
    found = Annotator(chromium, service.url, **DESKTOP)
    yield found
    found.context.close()


def fired(page: Page) -> bool:
    return bool(page.evaluate("'fired' in window"))


def of_user(service: Process, user: str) -> list[Any]:
    return [one for one in labelled(service.folder) if one.user_id == user]


def test_UI_01_hostile_text_is_shown_to_annotators_and_operators_and_never_run(
    person: Annotator, service: Process, key: str
) -> None:
    items = [f"i{row + 1:03d}" for row in range(len(HOSTILE))]
    said = {"name": HOSTILE[0], "question": HOSTILE[1], "subject": HOSTILE[4], "options": HOSTILE}
    made(service, **said, items=items)
    taste = made(service, name=HOSTILE[6], users=HOSTILE[:1], items=items)
    page = person.sign_in(key)
    page.locator("#campaign").select_option(taste)
    expect(page.locator("#card")).to_contain_text(f"For {HOSTILE[0]}")
    seen = page.locator("body").inner_text()
    page.locator("#campaign").select_option(label=HOSTILE[0])
    expect(page.locator("#asked")).to_have_text(HOSTILE[1])
    for place in range(len(items)):
        person.ready()
        seen += page.locator("body").inner_text()
        if place == 0:
            person.press("c")
            page.keyboard.type(HOSTILE[2])
            page.keyboard.press("Control+Enter")
        person.answer("1")
        assert not fired(page)
    person.sent()
    assert [text for text in HOSTILE if text not in seen] == [], "all of it was on the screen, as text"
    assert person.errors == [], "the browser had nothing to refuse, since nothing was made of it"
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<img src=x onerror=window.fired=10>'")
    held = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert page.evaluate("document.cookie") == "" and key not in held + page.content()

    ring, errors = KeyRing(service.folder), list[str]()
    for name in HOSTILE:
        ring.add("service", name=name)
    labels = [{"key": f"h-{n}", "user_id": name, "item_id": "i020", "value": 3} for n, name in enumerate(HOSTILE)]
    assert service.call("POST", "/v1/labels", labels)[0] == 200
    page = person.context.new_page()
    watch(page, errors)
    page.goto(f"{service.url}/operate")
    page.locator("#key").fill(service.key)
    page.keyboard.press("Enter")
    for part in ("keys-shown", "asked-shown", "campaigns-shown", "learning-shown"):
        expect(page.locator(f"#{part}")).to_have_attribute("aria-busy", "false", timeout=60_000)
    seen = page.locator("body").inner_text()
    page.locator("#keys-shown button").first.click()
    page.locator("#sure button").first.click()
    page.locator("#erase-user").fill(HOSTILE[1])
    page.locator("#erase button").click()
    seen += page.locator("#sure").inner_text()
    assert [text for text in HOSTILE if text not in seen] == []
    assert not fired(page) and errors == []


def lost_in_the_middle(chromium: Browser, place: Path, n: tuple[int, int, int], down_seconds: float) -> None:
    """Before the server goes, while it is gone, and after: so many answers."""
    folder, total = place / "model", sum(n)
    with pages_of(folder, visitors=False) as first:
        port = first.port
        key = KeyRing(folder).add("annotator")[1]
        made(first, users=["ann", "bob"])
        person = Annotator(chromium, first.url, **PHONE)
        person.sign_in(key)
        asked = [person.answer("4") for _ in range(n[0])]
        person.sent()
        first.kill()
    begun = time.monotonic()
    asked += [person.answer("4") for _ in range(n[1])]
    expect(person.page.locator("#status")).to_contain_text(f"{n[1]} kept here")
    assert "saved" not in person.status and person.unsent == n[1]
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        person.page.reload()
    time.sleep(max(0.0, down_seconds - (time.monotonic() - begun)))
    with pages_of(folder, port=port, visitors=False) as again:
        assert len(labelled(folder)) == n[0]
        second = Annotator(chromium, again.url, context=person.context)  # another window; the first one was lost
        second.page.goto(f"{again.url}/annotate")
        second.ready()
        second.sent()
        assert second.unsent == 0 and len(labelled(folder)) == n[0] + n[1]
        person.page.close()
        for _ in range(n[2]):
            asked.append(second.answer("4"))
        second.page.reload()
        second.ready()
        second.sent()
        assert again.stop() == 0
    told = labelled(folder)
    assert len(told) == len({one.provenance.question_id for one in told}) == len(set(asked)) == total
    assert len({(one.user_id, one.item_id) for one in told}) == total and {one.value for one in told} == {4.0}
    person.context.close()


@pytest.mark.long
def test_UI_02_a_server_that_goes_in_the_middle_loses_and_doubles_no_label(chromium: Browser, tmp_path: Path) -> None:
    lost_in_the_middle(chromium, tmp_path, (5, 3, 4), down_seconds=1.0)


@pytest.mark.long
def test_UI_02_a_server_that_is_gone_for_two_minutes_loses_and_doubles_no_label(
    chromium: Browser, tmp_path: Path
) -> None:
    lost_in_the_middle(chromium, tmp_path, (24, 3, 23), down_seconds=120.0)


def test_UI_03_a_session_that_ends_keeps_what_waits_until_the_annotator_is_back(
    person: Annotator, service: Process
) -> None:
    ring = KeyRing(service.folder)
    first, whole = ring.add("annotator", name="kim")
    made(service, users=["kate"])
    page = person.sign_in(whole)
    person.answer("2")
    person.sent()
    ring.revoke(first.id)
    page.wait_for_timeout(1_200)  # until the service has seen it
    person.answer("3")
    expect(page.locator("#notice")).to_contain_text("Your session has ended. 1 not sent yet")
    assert person.unsent == 1
    other = ring.add("annotator", name="lou")[1]
    page.get_by_role("link", name="Sign in again").click()
    person.sign_in(other)
    page.wait_for_timeout(500)
    assert person.unsent == 1 and len(of_user(service, "kate")) == 1, "it is sent as nobody else's"
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#key")).to_be_visible()
    person.sign_in(ring.add("annotator", name="kim")[1])
    person.sent()
    assert person.unsent == 0
    told = of_user(service, "kate")
    assert [one.value for one in told] == [2.0, 3.0] and len({one.source for one in told}) == 1
    service.call("POST", f"/v1/campaigns/{json.loads(service.get('/v1/campaigns')[1])['campaigns'][0]['id']}/state",
                 {"state": "closed"})  # fmt: skip


def test_UI_03_twenty_fast_clicks_and_keys_are_one_label(person: Annotator, service: Process, key: str) -> None:
    made(service, users=["lena"])
    page = person.sign_in(key)
    page.wait_for_timeout(CLICKABLE)
    click_fast(page, ".level", 2)
    person.sent()
    assert [one.value for one in of_user(service, "lena")] == [3.0]
    person.settle()
    page.keyboard.down("5")
    for _ in range(20):
        page.keyboard.down("5")  # held
        page.wait_for_timeout(40)
    page.keyboard.up("5")
    person.sent()
    assert [one.value for one in of_user(service, "lena")] == [3.0, 5.0]


def test_UI_03_of_two_windows_with_one_card_the_second_is_told(person: Annotator, service: Process, key: str) -> None:
    made(service, users=["mona"])
    person.sign_in(key)
    other = Annotator(person.context.browser, service.url, context=person.context)  # type: ignore[arg-type]
    other.page.goto(f"{service.url}/annotate")
    other.ready()
    assert person.lease == other.lease
    shown = person.answer("2")
    expect(other.page.locator("#notice")).to_have_text("You answered this in another window.")
    expect(other.page.locator(f"#card[data-lease='{shown}']")).to_have_count(0)
    other.answer("4")
    person.sent()
    other.sent()
    told = of_user(service, "mona")
    assert [one.value for one in told] == [2.0, 4.0] and len({one.item_id for one in told}) == 2


def test_UI_03_a_label_whose_reply_is_lost_is_kept_once_and_can_be_changed(
    person: Annotator, service: Process, key: str
) -> None:
    made(service, users=["nell"])
    page = person.sign_in(key)
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost or route.request.method != "POST":
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort("connectionreset")

    page.route("**/v1/labels*", lose)
    shown = person.answer("1")
    expect(page.locator("#status")).to_contain_text("1 kept here")
    assert lost == [200] and "saved" not in person.status
    person.press("z")
    assert person.lease == shown
    person.answer("5")
    person.sent()
    assert [one.value for one in of_user(service, "nell")] == [5.0]


def test_UI_05_a_very_long_text_and_very_many_answers_are_shown_piece_by_piece(
    person: Annotator, service: Process, key: str
) -> None:
    made(service, users=["olga"])
    whole = "A long story. " * 75_000  # 1 MB
    asked: list[str] = []

    def fill(route: Route) -> None:
        document = route.fetch().json()
        for lease in document["leases"]:
            lease["text"] = whole[:2_000]
            lease["values"] = [{"value": 1 + place % 5, "label": f"answer {place}"} for place in range(5_000)]
        route.fulfill(json=document)

    def tell(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json={"item_id": "i", "text": whole})

    person.page.route("**/v1/next*", fill)
    person.page.route("**/v1/items/*/text", tell)
    person.page.add_init_script(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach((one) => "
        "window.longest = Math.max(window.longest, one.duration))).observe({type: 'longtask', buffered: true})"
    )
    page = person.sign_in(key)
    size = "document.querySelectorAll('*').length + document.body.innerText.length"
    assert page.evaluate(size) < 5_000 and asked == []
    shown = "document.querySelector('.long p').textContent.length"
    for place in range(1, 4):
        person.click(page.get_by_role("button", name="Show more"))
        until = time.monotonic() + 10.0
        while (length := page.evaluate(shown)) != 1_500 + place * 20_000:
            assert time.monotonic() < until, f"{length} characters are shown"
            time.sleep(0.1)
    assert len(asked) == 1
    person.press("/")
    page.keyboard.type("answer 4321")
    expect(page.locator(".option")).to_have_count(1)
    lease = person.lease
    page.keyboard.press("Enter")
    expect(page.locator(f"#card[data-lease='{lease}']")).to_have_count(0)
    person.sent()
    assert [one.value for one in of_user(service, "olga")] == [1.0 + 4321 % 5]
    assert page.evaluate("window.longest") < 5_000, "milliseconds in which nothing could be pressed"
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.long
def test_UI_05_a_queue_of_ten_thousand_and_a_text_of_a_megabyte_do_not_freeze(
    chromium: Browser, tmp_path: Path
) -> None:
    with pages_of(tmp_path / "model", visitors=False) as service:
        words = "A long story. " * 7_100  # as long as an item's text may be, 100,000 characters
        new = [{"item_id": f"n{place}", "title": f"Number {place}", "text": words if place < 20 else "short"}
               for place in range(10_000)]  # fmt: skip
        for at in range(0, 10_000, 1_000):
            assert service.call("PUT", "/v1/items", new[at : at + 1_000])[0] == 200
        made(service, subject="kind", options=[f"kind {place}" for place in range(20)])
        person = Annotator(chromium, service.url, **DESKTOP)
        person.page.add_init_script(
            "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach((one) => "
            "window.longest = Math.max(window.longest, one.duration))).observe({type: 'longtask', buffered: true})"
        )
        page = person.sign_in(KeyRing(service.folder).add("annotator")[1])
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        for _ in range(10):
            shown = person.lease
            person.click(page.locator(".option").first)
            expect(page.locator(f"#card[data-lease='{shown}']")).to_have_count(0)
        person.sent()
        assert painted < 2_000 and page.evaluate("window.longest") < 1_000
        person.context.close()
