"""The whole way of a user in a browser: on a phone and a desktop, by keyboard alone, in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import DESKTOP, PHONE, Person, answers_in, pages_of, usable
from tests.served import Process

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with pages_of(tmp_path_factory.mktemp("user-page") / "model") as found:
        yield found


@pytest.fixture
def desktop(chromium: Browser, service: Process) -> Iterator[Person]:
    person = Person(chromium, service.url, **DESKTOP)
    yield person
    person.context.close()
    assert person.errors == []


@pytest.mark.parametrize(
    ("options", "scheme"),
    [pytest.param(PHONE, "dark", id="phone"), pytest.param(DESKTOP, "light", id="desktop", marks=pytest.mark.long)],
)
def test_a_newcomer_names_one_answers_every_form_and_sees_the_list_move(
    chromium: Browser, service: Process, options: dict[str, Any], scheme: str
) -> None:
    person = Person(chromium, service.url, color_scheme=scheme, **options)
    page, hosts = person.page, set()
    page.on("request", lambda request: hosts.add(re.sub(r"^blob:", "", request.url).split("/")[2]))
    page.goto(service.url)
    usable(page)
    person.start()
    titles = page.locator("#list .title").all_inner_texts()
    assert len(titles) == 10 and all(page.locator("#list .reason").all_inner_texts())
    usable(page)
    word = titles[0].split()[0]
    page.locator("#name").fill(word[:-2] + "zz" if len(word) > 4 else word)  # misspelt
    person.click(page.locator("[role=option]").first)
    expect(page.locator("#status")).to_contain_text("Saved. Your first answer.", timeout=20_000)
    person.settle()
    person.skip_naming()
    for way in ("rate", "group", "pick", "pair", "concept"):
        person.ask_in(way)
        usable(page)
        asked = person.question
        person.click(page.locator(".level, .choice, .like").first)
        if way == "group":
            expect(page.locator(".choice").first).to_have_attribute("aria-pressed", "true")
            page.locator("#card button.main").click()
        person.sent()
        assert way not in ("rate", "concept") or person.question != asked
    person.settle()
    expect(page.locator("#list .move").first).to_be_visible()
    told = answers_in(service.folder, person.user)
    forms = [one.form.value for one in told if one.kind.value == "rating"]
    assert forms == ["recall", "rate", "group", "pick", "pair", "concept"]
    assert all(one.answered_at and one.provenance.question_id for one in told)
    assert [len(one.tapped) for one in told if one.form.value == "group"] == [1]
    assert hosts == {service.url.removeprefix("http://")}, "no other host is asked for anything"
    assert person.errors == []
    person.context.close()


def test_by_keyboard_alone_and_what_is_undone_is_as_if_it_had_never_been(desktop: Person, service: Process) -> None:
    page = desktop.page
    page.goto(service.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    desktop.ready()
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type(page.locator("#list .name").first.inner_text()[:3])
    expect(page.locator("[role=option]").nth(1)).to_be_visible()
    page.keyboard.press("ArrowDown")
    chosen = page.locator("[aria-selected=true] .name").inner_text()
    assert page.evaluate("document.getElementById('name').getAttribute('aria-activedescendant')") == "title-1"
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_have_text("Name another one you like")
    page.keyboard.press("Escape")  # out of the field, whose letters are no answers
    desktop.press("s")
    expect(page.locator("#card:not([data-form=recall])")).to_be_visible()
    desktop.sent()
    desktop.ready()  # the focus is on the new question
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "form":
            break
    page.keyboard.type("one")  # by one
    expect(page.locator("#card[data-form=rate]")).to_be_visible(timeout=20_000)
    page.keyboard.press("Escape")
    desktop.sent()
    before = page.locator("#list .title").all_inner_texts()
    asked = desktop.press("5")
    desktop.sent()
    expect(page.locator("#list .title")).not_to_have_text(before)
    assert page.evaluate("document.activeElement.id") == "question", "the next question is read out"
    desktop.press("z")
    expect(page.locator("#status")).to_contain_text("Saved. 2 answers", timeout=20_000)
    assert desktop.question == asked
    expect(page.locator("#list .title").first).to_contain_text(before[0].split(" ", 1)[0])
    desktop.press("u")
    desktop.press("1")
    desktop.press("?")
    expect(page.locator("#keys")).to_be_visible()
    usable(page)
    page.keyboard.press("Space")  # single keys off
    page.keyboard.press("Escape")
    asked = desktop.press("1")
    desktop.settle()
    assert desktop.question == asked
    desktop.sent()
    told = answers_in(service.folder, desktop.user)
    assert [(one.form.value, one.kind.value) for one in told] == [
        ("recall", "rating"),
        ("recall", "skipped"),
        ("rate", "unknown"),
        ("rate", "rating"),
    ]
    (named,) = json.loads(service.get(f"/v1/items?id={told[0].item_id}")[1])["items"]
    assert " ".join(named["title"].split()) == chosen


def test_own_words_that_name_nothing_are_given_back_and_those_that_do_are_one_answer(
    desktop: Person, service: Process
) -> None:
    page = desktop.start()
    page.locator(".own-words summary").click()
    page.locator("#own-words").fill("nothing that anybody knows")
    desktop.click(page.get_by_role("button", name="Send"))
    expect(page.locator("#notice")).to_contain_text("No title from here")
    expect(page.locator("#own-words")).to_have_value("nothing that anybody knows")
    assert [" 422 " in error for error in desktop.errors] == [True]
    desktop.errors.clear()
    names = json.loads(service.get("/v1/items?id=i004&id=i008")[1])["items"]
    page.locator("#own-words").fill(f'"{names[0]["title"]}"; "{names[1]["title"]}"')
    desktop.click(page.get_by_role("button", name="Send"))
    expect(page.locator("#status")).to_contain_text("Saved")
    desktop.sent()
    assert {one.item_id for one in answers_in(service.folder, desktop.user)} >= {"i004"}
    page.locator("#question").focus()
    desktop.press("z")
    desktop.sent()
    assert answers_in(service.folder, desktop.user) == [], "all that the words named is taken back"


def test_about_me_shows_what_is_known_saves_it_and_deletes_it(desktop: Person, service: Process) -> None:
    page = desktop.start()
    desktop.skip_naming()
    desktop.ask_in("rate")
    for key in ("5", "1", "4"):
        desktop.press(key)
    desktop.sent()
    user = desktop.user
    page.get_by_role("link", name="About me").click()
    expect(page.locator("#interests .bar").first).to_be_visible()
    assert page.locator("#interests .bar").count() > 3
    usable(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save my data").click()
    document = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert len(document["log"]) == 4 and document["user_id"] == user
    page.get_by_role("button", name="Delete my data").click()
    usable(page)
    page.get_by_role("button", name="Keep it").click()
    assert len(answers_in(service.folder, user)) == 4
    page.get_by_role("button", name="Delete my data").click()
    page.get_by_role("button", name="Delete everything").click()
    expect(page.locator("#notice")).to_contain_text("Everything about you was deleted: 4 entries", timeout=60_000)
    assert answers_in(service.folder, user) == []
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('visitor')).length") == 0
    page.get_by_role("link", name="Start again").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def test_it_speaks_chinese_to_whoever_prefers_it_and_can_be_switched(chromium: Browser, service: Process) -> None:
    person = Person(chromium, service.url, locale="zh-CN", **PHONE)
    page = person.page
    page.goto(service.url)
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    page.get_by_role("button", name="开始").click()
    person.ready()
    expect(page.locator("#question")).to_have_text("说一个你喜欢的")
    assert re.search("[\u4e00-\u9fff]", page.locator("#list .reason").first.inner_text())
    usable(page)
    page.get_by_role("link", name="English").click()
    person.ready()
    expect(page.locator("#question")).to_have_text("Name something you like")
    page.goto(f"{service.url}/me")
    assert page.locator("html").get_attribute("lang") == "en", "the choice is remembered"
    person.context.close()
