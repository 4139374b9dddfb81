"""The whole way of an operator in a browser: signed in with a key, on a phone and a desktop, by keyboard alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from palate.service.keys import KeyRing
from tests.browser import DESKTOP, PHONE, pages_of, usable, watch
from tests.served import Process

pytestmark = pytest.mark.browser
PARTS = (
    "versions",
    "campaigns-shown",
    "answers-shown",
    "learning-shown",
    "drift-shown",
    "asked-shown",
    "keys-shown",
    "erasures-shown",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with pages_of(tmp_path_factory.mktemp("operate") / "model", visitors=False, wrong_keys_per_minute=10_000) as found:
        for user in range(8):
            questions = json.loads(found.get(f"/v1/users/p{user}/questions?k=6")[1])["questions"]
            labels = [
                {
                    "key": f"{user}-{place}",
                    "user_id": f"p{user}",
                    "item_id": one["item_id"],
                    "value": 1 + (user + place) % 5,
                }
                | {"question_id": one["question_id"]}
                for place, one in enumerate(questions)
            ]
            assert found.call("POST", "/v1/labels", labels)[0] == 200
        yield found


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    found = chromium.new_context(locale="en-US", **DESKTOP)
    yield found
    found.close()


def shown(page: Page) -> None:
    """Once every part is there."""
    for part in PARTS:
        expect(page.locator(f"#{part}")).to_have_attribute("aria-busy", "false", timeout=60_000)
    assert page.locator("main .bad").count() == 0


def signed_in(page: Page, service: Process, key: str = "") -> None:
    page.goto(f"{service.url}/operate")
    page.locator("#key").fill(key or service.key)
    page.keyboard.press("Enter")
    expect(page.locator("#versions")).to_be_visible()


@pytest.mark.parametrize(
    ("options", "scheme"),
    [pytest.param(PHONE, "dark", id="phone", marks=pytest.mark.long), pytest.param(DESKTOP, "light", id="desktop")],
)
def test_an_operator_sees_what_is_going_on(
    chromium: Browser, service: Process, options: dict[str, Any], scheme: str
) -> None:
    context = chromium.new_context(locale="en-US", color_scheme=scheme, **options)
    page, errors, hosts = context.new_page(), list[str](), set[str]()
    watch(page, errors)
    page.on("request", lambda request: hosts.add(request.url.removeprefix("blob:").split("/")[2]))
    page.goto(f"{service.url}/operate")
    usable(page)
    page.locator("#key").fill("palate_of_nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("This key opens nothing here")
    signed_in(page, service)
    shown(page)
    usable(page)
    assert service.key not in page.content() and service.key not in page.evaluate("JSON.stringify({...localStorage})")
    assert page.evaluate("document.cookie") == ""
    for plot in page.locator(".plot").all():
        assert plot.evaluate("async (image) => (await image.decode(), image.naturalWidth)") > 100
    assert page.locator(".plot").count() == 2
    if not page.locator("#learning-shown details").evaluate("(one) => one.open"):
        page.locator("#learning-shown summary").click()
    told = page.locator("#learning-shown tbody th").all_inner_texts()
    assert told == ["0", "1", "2–3", "4–7"]
    asked = page.locator("#asked-shown tbody tr").first.inner_text()
    assert "p7" in asked and "list-value" in asked
    usable(page)
    assert hosts == {service.url.removeprefix("http://")}
    assert errors == []
    context.close()


def test_by_keyboard_alone_a_key_is_made_used_and_revoked_and_somebody_is_erased(
    context: BrowserContext, service: Process
) -> None:
    page, errors = context.new_page(), list[str]()
    watch(page, errors)
    page.goto(f"{service.url}/operate")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(service.key)
    page.keyboard.press("Enter")
    shown(page)

    def tab_to(selector: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached")

    tab_to("#key-role")
    page.keyboard.type("annotator")
    tab_to("#key-name")
    page.keyboard.type("Kim <b>")
    page.keyboard.press("Enter")
    expect(page.locator("#new-key code")).to_be_visible()
    key = page.locator("#new-key code").inner_text()
    usable(page)
    assert service.call("GET", "/operate/keys")[0] == 200
    row = page.locator("#keys-shown tr", has_text="Kim <b>")
    expect(row).to_contain_text("annotator-")
    page.reload()
    shown(page)
    assert key not in page.content(), "it is shown once"
    tab_to("#keys-shown button")
    page.keyboard.press("Enter")
    expect(page.locator("#sure")).to_be_visible()
    usable(page)
    page.keyboard.press("Enter")  # the way back is what is chosen first
    assert [one.revoked_at for one in KeyRing(service.folder).all()] == [None]
    page.keyboard.press("Enter")  # the button that asked has the focus again
    tab_to("#sure-yes")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("revoked")
    tab_to("#erase-user")
    page.keyboard.type("p3")
    page.keyboard.press("Enter")
    tab_to("#sure-yes")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("Done: 6 rows", timeout=60_000)
    expect(page.locator("#erasures-shown tbody tr")).to_have_count(1)
    with page.expect_download() as saved:
        page.locator("#files a", has_text="jsonl").click()
    lines = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 7 * 6 + 1 and '"user_id": "p3"' not in "".join(lines)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#key")).to_be_visible()
    assert errors == []


@pytest.mark.long
def test_of_two_versions_another_serves_when_it_is_told_to(context: BrowserContext, tmp_path: Path) -> None:
    from palate import Recommender

    with pages_of(tmp_path / "model", visitors=False) as first:
        first.stop()
    with Recommender.open(tmp_path / "model") as recommender:
        recommender.refit()
    with pages_of(tmp_path / "model", visitors=False) as service:
        page = context.new_page()
        signed_in(page, service)
        shown(page)
        live = page.locator("#versions tbody tr", has_text="serves").locator("th").inner_text()
        page.locator("#rollback").click()
        page.locator("#sure-yes").click()
        expect(page.locator("#notice")).to_contain_text("serves now", timeout=60_000)
        expect(page.locator("#versions tbody tr", has_text="serves").locator("th")).not_to_have_text(live)
        page.locator("#versions tbody tr", has_text="Let it serve").first.locator("button").click()
        page.locator("#sure-yes").click()
        expect(page.locator("#notice")).to_contain_text("serves now", timeout=60_000)


def test_it_speaks_chinese_to_whoever_prefers_it(chromium: Browser, service: Process) -> None:
    context = chromium.new_context(locale="zh-CN", **PHONE)
    page = context.new_page()
    signed_in(page, service)
    shown(page)
    expect(page.locator("#learning-title")).to_have_text("学到了什么")
    usable(page)
    context.close()


def test_an_application_sees_the_page_without_keys_and_files(context: BrowserContext, service: Process) -> None:
    page = context.new_page()
    signed_in(page, service, KeyRing(service.folder).add("service", name="shop")[1])
    expect(page.locator("#asked-shown")).to_have_attribute("aria-busy", "false", timeout=60_000)
    for part in ("keys", "files", "rollback"):
        assert page.locator(f"#{part}").count() == 0
    assert page.locator("main .bad").count() == 0


def test_a_campaign_is_made_looked_at_paused_and_closed(context: BrowserContext, service: Process) -> None:
    page, errors = context.new_page(), list[str]()
    watch(page, errors)
    signed_in(page, service)
    shown(page)
    page.locator("#make summary").click()
    page.locator("#make-name").fill("Kids")
    page.locator("#make-question").fill("Is it for children?")
    page.locator("#make-about").select_option("attribute")
    assert page.locator("#make-users").is_hidden()
    page.locator("#make-subject").fill("for-children")
    page.locator("#make-options").fill("no\nyes\n")
    page.locator("#make-gold").fill("i004 = yes")
    page.locator("#make-gold_every").fill("3")
    page.locator("#make-items").fill("i004\ni005\ni006")
    page.locator("#make-overlap").fill("2")
    page.locator("#make-budget").fill("10")
    page.locator("#make-price").fill("0.5")
    usable(page)
    page.locator("#make-form button").click()
    expect(page.locator("#notice")).to_have_text("Kids is made, and open.")
    (campaign,) = json.loads(service.get("/v1/campaigns")[1])["campaigns"]
    assert campaign["gold"] == {"i004": 1} and campaign["options"] == ["no", "yes"]
    assert (campaign["overlap"], campaign["budget"], campaign["price"]) == (2, 10, 0.5)
    for name in ("bea", "cem"):
        key = KeyRing(service.folder).add("annotator", name=name)[1]
        for _ in range(2):
            leases = as_(service, key, "GET", f"/v1/next?campaign={campaign['id']}")["leases"]
            said = {"key": f"{name}-{leases[0]['lease_id']}", "lease_id": leases[0]["lease_id"], "value": 1}
            as_(service, key, "POST", "/v1/labels", said)
    page.reload()
    shown(page)
    card = page.locator(".campaign")
    expect(card.locator(".progress").first).to_contain_text("Labels4")
    card.locator("summary").click()
    expect(card.locator("tbody tr")).to_have_count(2)
    heads = card.locator("thead").inner_text()
    assert "Known ones right" in heads and "Reliability" in heads and "Weight" in heads
    expect(card).to_contain_text("Agreement on")
    usable(page)
    with page.expect_download() as saved:
        card.get_by_role("link", name="What was asked, as a file").click()
    assert len(Path(saved.value.path()).read_text(encoding="utf-8").splitlines()) == 4
    card.get_by_role("button", name="Pause").click()
    expect(card.locator("h3")).to_contain_text("paused")
    card.get_by_role("button", name="Close").click()
    page.locator("#sure-yes").click()
    expect(card.locator("h3")).to_contain_text("closed")
    page.locator("#make summary").click()
    page.locator("#make-question").fill("How?")
    page.locator("#make-form button").click()
    expect(page.locator("#notice")).to_contain_text("That was not done")
    assert [" 422 " in one for one in errors] == [True]


def as_(service: Process, key: str, method: str, path: str, body: Any = None) -> Any:
    """A call with another key than the admin's."""
    mine, service.key = service.key, key
    try:
        status, answer = service.call(method, path, body)
    finally:
        service.key = mine
    assert status == 200, answer
    return json.loads(answer)
