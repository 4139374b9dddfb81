"""The whole way of an annotator in a browser: on a phone and a desktop, by keyboard alone, in both languages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser import DESKTOP, PHONE, Annotator, annotator_key, labelled, made, pages_of, usable
from tests.served import Process

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with pages_of(tmp_path_factory.mktemp("annotate") / "model", visitors=False) as found:
        yield found


@pytest.fixture
def key(service: Process) -> Iterator[str]:
    yield from annotator_key(service)


@pytest.fixture
def desktop(chromium: Browser, service: Process) -> Iterator[Annotator]:
    found = Annotator(chromium, service.url, **DESKTOP)
    yield found
    found.context.close()
    assert found.errors == []


def rows(service: Process, campaign: str) -> dict[str, dict[str, Any]]:
    """What was asked and what came of it, by lease."""
    lines = service.get(f"/v1/campaigns/{campaign}/labels.jsonl")[1].decode().splitlines()
    return {one["id"]: one for one in map(json.loads, lines)}


@pytest.mark.parametrize(
    ("options", "scheme"),
    [pytest.param(PHONE, "dark", id="phone"), pytest.param(DESKTOP, "light", id="desktop", marks=pytest.mark.long)],
)
def test_an_annotator_answers_skips_flags_and_takes_back(
    chromium: Browser, service: Process, key: str, options: dict[str, Any], scheme: str
) -> None:
    campaign = made(service, users=["ann", "bob"], budget=20)
    person = Annotator(chromium, service.url, color_scheme=scheme, **options)
    page, hosts = person.page, set[str]()
    page.on("request", lambda request: hosts.add(request.url.removeprefix("blob:").split("/")[2]))
    page.goto(f"{service.url}/annotate")
    usable(page)
    person.sign_in(key)
    expect(page.locator("#card img.shown")).to_have_js_property("complete", True)
    expect(page.locator("#asked")).to_have_text("How would they rate it?")
    usable(page)
    first = person.lease
    person.click(page.locator(".level").nth(3))
    expect(page.locator("#progress")).to_contain_text("You1")
    second = person.lease
    assert second != first
    person.click(page.get_by_role("button", name="Flag"))
    person.click(page.get_by_role("button", name="Skip"))
    usable(page)
    page.get_by_role("button", name="The question is unclear").click()
    expect(page.locator(f"#card[data-lease='{second}']")).to_have_count(0)
    third = person.lease
    person.click(page.get_by_role("button", name="Don't know it"))
    person.sent()
    expect(page.locator("#progress")).to_contain_text("You2")
    person.click(page.get_by_role("button", name="Undo"))
    assert person.lease == third
    person.sent()
    expect(page.locator("#progress")).to_contain_text("You1")
    person.click(page.locator(".level").first)
    person.sent()
    usable(page)
    told = rows(service, campaign)
    assert [(told[one]["kind"], told[one]["value"]) for one in (first, second, third)] == [
        ("rating", 4.0),
        ("skipped", None),
        ("rating", 1.0),
    ]
    assert told[second]["reason"] == "unclear" and told[second]["notes"][-1]["flag"]
    kept = {one.provenance.question_id: one for one in labelled(service.folder)}
    assert kept[first].provenance.shown_at <= kept[first].answered_at  # type: ignore[operator]
    assert hosts == {service.url.removeprefix("http://")}
    assert key not in page.content() and key not in page.evaluate("JSON.stringify({...localStorage})")
    assert page.evaluate("document.cookie") == "" and person.errors == []
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#key")).to_be_visible()
    held = [one for one in rows(service, campaign).values() if one["state"] == "leased"]
    assert held == [], "what was not answered may be given to others"
    person.context.close()


def test_by_keyboard_alone_each_answer_has_its_key(desktop: Annotator, service: Process, key: str) -> None:
    options = ["for children", "for the young", "for all"]
    items = [f"i{place:03d}" for place in range(3, 13, 3)]  # some have a sound
    said = {"subject": "audience", "question": "For whom is it?", "options": options, "items": items}
    campaign = made(service, **said)
    page = desktop.page
    page.goto(f"{service.url}/annotate")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    desktop.ready()
    assert [text.split() for text in page.locator(".option").all_inner_texts()] == [
        [*option.split(), str(place)] for place, option in enumerate(options, 1)
    ]
    desktop.press("?")
    expect(page.locator("#keys")).to_be_visible()
    usable(page)
    page.keyboard.press("Escape")
    first = desktop.answer("2")
    assert page.evaluate("document.activeElement.id") == "question", "the next question is read out"
    desktop.press("f")
    desktop.press("c")
    page.keyboard.type("which edition? 2s")
    usable(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#comment")).to_have_attribute("aria-pressed", "true")
    second = desktop.answer("u")
    third = desktop.press("s")
    page.keyboard.press("Escape")
    desktop.settle()
    assert desktop.press("c") == third, "who leaves it has not skipped"
    page.keyboard.type("no")
    page.keyboard.press("Escape")
    desktop.press("s")
    page.keyboard.press("2")
    expect(page.locator(f"#card[data-lease='{third}']")).to_have_count(0)
    desktop.press("z")
    assert desktop.lease == third
    desktop.answer("3")
    desktop.sent()
    told = rows(service, campaign)
    assert [(told[one]["kind"], told[one]["value"]) for one in (first, second)] == [("rating", 1.0), ("unknown", None)]
    assert [(note["flag"], note["comment"]) for note in told[second]["notes"]][-1] == (True, "which edition? 2s")
    assert told[third]["notes"] == []
    again = [one for one in told.values() if one["item_id"] == told[third]["item_id"] and one["kind"] == "rating"]
    assert [one["value"] for one in again] == [2.0]
    desktop.answer("1")
    expect(page.locator("#question")).to_have_text("There is nothing left to ask you here. Thank you.")
    desktop.sent()
    assert len(rows(service, campaign)) <= len(items) + 1


def test_the_next_card_is_there_with_its_picture_and_its_sound_before_it_is_asked_for(
    desktop: Annotator, service: Process, key: str
) -> None:
    made(service, subject="audience", options=["no", "yes"], items=["i001", "i004", "i007", "i010"])
    page = desktop.sign_in(key)
    expect(page.locator("#card audio")).to_have_count(1)
    expect(page.locator("#card audio")).to_have_js_property("readyState", 4)
    desktop.settle()
    held: list[Route] = []
    for path in ("**/v1/next*", "**/v1/items/**", "**/v1/labels"):
        page.route(path, lambda route: held.append(route))
    desktop.answer("1")
    expect(page.locator("#card[data-lease]")).to_be_visible()
    expect(page.locator("#card img")).to_have_js_property("naturalWidth", 1)
    expect(page.locator("#card audio")).to_have_js_property("readyState", 4)
    assert [one.request.method for one in held] == ["POST"], "nothing was waited for but that the answer is kept"
    assert "saved" not in desktop.status
    page.unroute_all()  # lets them go on
    desktop.sent()
    expect(page.locator("#status")).to_have_text("All is saved.")


def test_what_is_taken_back_is_as_if_it_had_never_been(desktop: Annotator, service: Process, key: str) -> None:
    made(service, users=["cleo"])

    def shown() -> Any:
        items = json.loads(service.get("/v1/users/cleo/recommendations?k=30")[1])["items"]
        return [(one["item_id"], one["score"]) for one in items]

    time.sleep(1.0)  # until the items have learnt what was told before
    shown()
    time.sleep(1.0)
    before = shown()
    page = desktop.sign_in(key)
    expect(page.locator("#card")).to_contain_text("For cleo")
    desktop.answer("5")
    desktop.sent()
    changed = shown()
    assert changed != before
    desktop.press("z")
    desktop.sent()
    until = time.monotonic() + 20.0
    while shown() != before:
        assert time.monotonic() < until, "the answer still counts"
        time.sleep(0.2)


def test_cards_that_are_worth_less_after_an_answer_are_replaced_and_none_is_shown_twice(
    desktop: Annotator, service: Process, key: str
) -> None:
    campaign = made(service, users=["dora"])
    desktop.sign_in(key)
    seen = [desktop.answer(str(1 + place % 5)) for place in range(12)]
    desktop.sent()
    told = rows(service, campaign)
    assert len({(told[one]["user_id"], told[one]["item_id"]) for one in seen}) == 12
    assert all(told[one]["state"] == "answered" for one in seen)


def test_of_two_campaigns_one_is_chosen_and_a_closed_one_takes_no_answer(
    desktop: Annotator, service: Process, key: str
) -> None:
    first = made(service, users=["eve"], name="one")
    second = made(service, users=["flo"], name="two")
    page = desktop.sign_in(key)
    page.locator("#campaign").select_option(label="one")
    expect(page.locator("#card")).to_contain_text("For eve")
    held = [one for one in rows(service, second).values() if one["state"] == "leased"]
    assert held == [], "what was held of the other one is given back"
    service.call("POST", f"/v1/campaigns/{first}/state", {"state": "closed"})
    desktop.press("4")
    expect(page.locator("#notice")).to_contain_text("An answer was not taken")
    desktop.errors.clear()  # the browser notes each refusal
    expect(page.locator("#question")).to_contain_text("This campaign is closed", timeout=30_000)
    assert [one.item_id for one in labelled(service.folder) if one.user_id == "eve"] == []


def test_it_speaks_chinese_to_whoever_prefers_it(chromium: Browser, service: Process, key: str) -> None:
    made(service, users=["gus"])
    person = Annotator(chromium, service.url, locale="zh-CN", **PHONE)
    page = person.sign_in(key)
    expect(page.locator("#undo")).to_contain_text("撤销")
    usable(page)
    person.context.close()
