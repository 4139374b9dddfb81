"""The questions and the list inside a page of another site, and in a notebook: in Chromium, on two origins."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from palate.service.keys import KeyRing
from tests.browser import CLICKABLE, answers_in, pages_of, site
from tests.served import Process

pytestmark = pytest.mark.browser
DOCS = Path(__file__).resolve().parents[2] / "docs"


class Host(NamedTuple):
    """A service, and a site that may show its frame; ``pages`` are what that site has."""

    service: Process
    origin: str
    pages: dict[str, str]

    @property
    def ring(self) -> KeyRing:
        return KeyRing(self.service.folder)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    pages = {"/": ""}
    folder = tmp_path_factory.mktemp("embedding") / "model"
    with site(pages) as shop, pages_of(folder, visitors=False, embed_in=[shop]) as service:
        yield Host(service, shop, pages)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    found = chromium.new_page(viewport={"width": 900, "height": 700})
    yield found
    found.close()


def asks(inside: FrameLocator, text: str) -> None:
    expect(inside.locator("#question")).to_have_text(text, timeout=20_000)


def skip(page: Page, inside: FrameLocator, word: str) -> None:
    page.wait_for_timeout(CLICKABLE)
    inside.get_by_role("button", name=word).click()


def test_the_frame_goes_on_with_a_new_token_and_a_strange_site_shows_none(page: Page, host: Host) -> None:
    key = host.ring.add("service", name="shop")[0]
    time.sleep(1.1)  # until the service has read it
    short, token = (host.ring.token("ann", seconds=600.0, key=maker)[0] for maker in (key.id, "admin"))
    tag = f'<script src="{host.service.url}/embed.js" data-token="{short}" data-language="zh"></script>'
    renew = f"""<script>document.querySelector("script").addEventListener("palate-expired",
        (event) => setTimeout(() => event.target.dataset.token = "{token}", 500));</script>"""
    host.pages["/"] = f"<!doctype html><h1>Shop</h1>{tag}{renew}"
    page.goto(host.origin)
    inside = page.frame_locator("iframe")
    asks(inside, "说一个你喜欢的")
    skip(page, inside, "跳过")
    expect(inside.locator("#card:not([data-form=recall])")).to_be_visible(timeout=20_000)
    host.ring.revoke(key.id)
    page.wait_for_timeout(1_200)  # until the service has seen that the token is good no more
    skip(page, inside, "跳过")
    expect(inside.locator("#status")).to_contain_text("已保存，目前共 2 个回答", timeout=20_000)
    assert len(answers_in(host.service.folder, "ann")) == 2
    assert page.context.cookies() == []
    with site(host.pages) as stranger:
        page.goto(stranger)
        page.wait_for_timeout(500)
        assert page.frames[1].locator("#question").count() == 0


LOOK = """() => ({
  theme: document.documentElement.dataset.theme,
  card: getComputedStyle(document.getElementById("card")).backgroundColor,
  body: document.body.offsetHeight,
  isWide: document.documentElement.scrollWidth > innerWidth,
})"""


def look(page: Page) -> dict[str, Any]:
    """How the frame looks from within, and how high it is on the page."""
    return page.frames[1].evaluate(LOOK) | {"frame": page.locator("iframe").bounding_box()["height"]}  # type: ignore[index]


def test_the_frame_has_the_language_the_theme_and_the_height_of_the_page(page: Page, host: Host) -> None:
    """Under a policy that lets the page load from the service alone, and nothing inline."""
    token = host.ring.token("bea", seconds=600.0, key="admin")[0]
    policy = (
        f"default-src 'none'; script-src {host.service.url}; frame-src {host.service.url}; style-src 'unsafe-inline'"
    )
    host.pages[
        "/"
    ] = f"""<!doctype html><html lang="zh-CN"><meta http-equiv="content-security-policy" content="{policy}">
        <meta name="color-scheme" content="dark"><h1>Shop</h1>
        <script src="{host.service.url}/embed.js" data-token="{token}"></script>"""
    page.goto(host.origin)
    asks(page.frame_locator("iframe"), "说一个你喜欢的")
    expect(page.frame_locator("iframe").locator("#list li").first).to_be_visible(timeout=20_000)
    dark = look(page)
    assert dark["theme"] == "dark"
    page.evaluate("document.querySelector('script').dataset.theme = 'light'")
    page.wait_for_timeout(1_000)
    light = look(page)
    assert light["theme"] == "light" and light["card"] == "rgb(255, 255, 255)" != dark["card"]
    assert light["frame"] == light["body"] > 640 and not light["isWide"]
    page.frames[1].evaluate("document.getElementById('list').replaceChildren()")
    page.wait_for_timeout(1_000)
    assert look(page)["frame"] == look(page)["body"] < light["frame"], "it gets lower, too"


def test_a_notebook_shows_the_frame_by_its_address_alone(
    page: Page, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell of the documents, with IPython's frame in words."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "pages.md").read_text("utf-8"), re.M | re.S)
    [cell] = [block.replace('"ann"', '"cem"') for block in blocks if "IFrame(" in block]
    shown: list[str] = []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(
        sys.modules, "IPython.display", SimpleNamespace(IFrame=lambda src, width, height: shown.append(src))
    )
    cell = cell.replace("http://127.0.0.1:8000", host.service.url).replace("my-model", str(host.service.folder))
    exec(compile(cell, "pages.md", "exec", dont_inherit=True), {"__name__": "cell"})
    host.pages["/"] = f'<!doctype html><html lang="en"><iframe src="{shown[0]}" width="100%" height="700"></iframe>'
    page.goto(host.origin)
    inside = page.frame_locator("iframe")
    asks(inside, "Name something you like")
    skip(page, inside, "Skip")
    expect(inside.locator("#status")).to_contain_text("Saved", timeout=20_000)
    assert "token" not in page.frames[1].url
    page.goto(shown[0])  # by itself: whoever follows somebody's link is not made to answer in their place
    expect(page.locator("#notice")).to_contain_text("inside another site's page")
    page.wait_for_timeout(500)
    assert page.locator("#card[data-form]").count() == 0 and page.evaluate("localStorage.length") == 0
