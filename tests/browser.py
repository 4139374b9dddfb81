"""A model in service whose pages tests open in a browser, and the page as a person uses it."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from palate import Recommender
from palate.datasets import planted_world
from palate.entities import Answer
from palate.service.keys import KeyRing
from tests.served import Process, rows_of

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
SETTLED = 280  # milliseconds after which a second press is meant
CLICKABLE = 400  # of a click
SERIOUS = ("serious", "critical")

HOSTILE = [
    "<img src=x onerror=window.fired=1>",
    "</script><script>window.fired=2</script>",
    '"><svg onload=window.fired=3>',
    "javascript:window.fired=4",
    "' onmouseover='window.fired=5",
    "{{constructor.constructor('window.fired=6')()}}",
    "<iframe srcdoc='<script>parent.fired=7</script>'>",
    "data:text/html,<script>opener.fired=8</script>",
]


@cache
def fitted_world() -> Path:
    """A model folder of 150 items, half of them with hostile text; fitted once a process."""
    place = Path(tempfile.mkdtemp(prefix="palate-pages-"))
    data = planted_world(users=80, items=150, rng=np.random.default_rng(0)).dataset
    items = data.items.with_row_index("row")
    bad = [HOSTILE[row % 16] if row % 16 < len(HOSTILE) else "" for row in range(items.height)]
    items = items.with_columns(pl.Series("bad", bad)).with_columns(
        title=(pl.col("title") + " " + pl.col("bad")).str.strip_chars(),
        text=pl.col("text") + pl.col("bad"),
        category=pl.when(pl.col("row") < len(HOSTILE)).then(pl.col("bad")).otherwise(pl.col("category")),
    )
    items = items.with_columns(audio=pl.when(pl.col("row") % 3 == 0).then(pl.lit("item.wav")))
    items = items.drop("row", "bad").with_columns(image=pl.lit("item.png"))
    (place / "item.png").write_bytes(PNG)
    (place / "item.wav").write_bytes(WAV)
    Recommender.create(place / "model", replace(data, items=items), encoder="none").close()
    return place / "model"


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
WAV = b"RIFF\x2c\x01\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00"
WAV += b"data\x08\x01\x00\x00" + b"\x80" * 264


@contextmanager
def pages_of(folder: Path, **settings: Any) -> Iterator[Process]:
    """A service of a copy of that model, in a process of its own."""
    import shutil

    if not folder.exists():
        shutil.copytree(fitted_world(), folder)
    images = str(fitted_world().parent)
    chosen = {"visitors": True, "images": images, "log_requests": False, "user_calls_per_second": 1e6}
    with Process(folder, **{**chosen, **settings}) as process:
        yield process


@contextmanager
def site(pages: dict[str, str]) -> Iterator[str]:
    """Another site on this machine: its name is localhost, so that to a browser it is not 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = pages.get(self.path, "").encode()
            self.send_response(200 if text else 404)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Person:
    """Somebody with a browser.

    Attributes:
        errors: What the browser complained of.
    """

    def __init__(self, browser: Browser, url: str, *, context: BrowserContext | None = None, **options: Any) -> None:
        self.url = url
        self.context = context or browser.new_context(**{"locale": "en-US", **options})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        watch(self.page, self.errors)

    def start(self) -> Page:
        """As somebody new."""
        self.page.goto(self.url)
        self.page.get_by_role("button", name="Start").click()
        self.ready()
        return self.page

    def hold(self, token: str) -> Page:
        """As the holder of a token."""
        self.page.goto(self.url)
        self.page.locator("#token").fill(token)
        self.page.keyboard.press("Enter")
        self.ready()
        return self.page

    def ready(self) -> None:
        """Once a question and a list are there."""
        expect(self.page.locator("#card[data-form]")).to_have_attribute("aria-busy", "false", timeout=30_000)
        expect(self.page.locator("#list li").first).to_be_visible(timeout=30_000)

    @property
    def user(self) -> str:
        return str(json.loads(self.page.locator("#facts").text_content() or "")["user"])

    @property
    def form(self) -> str:
        return str(self.page.locator("#card").get_attribute("data-form"))

    @property
    def question(self) -> str:
        return self.page.locator("#question").inner_text()

    @property
    def status(self) -> str:
        return self.page.locator("#status").inner_text()

    def skip_naming(self) -> None:
        """To the questions that follow."""
        if self.form == "recall":
            self.page.locator("#question").focus()
            self.settle()
            self.page.keyboard.press("s")
        expect(self.page.locator("#card:not([data-form=recall])")).to_be_visible()

    def ask_in(self, way: str) -> None:
        """Choose how to be asked."""
        self.page.locator("#form").select_option(way)
        expect(self.page.locator(f"#card[data-form={way}]")).to_be_visible(timeout=20_000)
        self.page.locator("#question").focus()

    def settle(self) -> None:
        """Wait as long as a person needs to see that there is another question."""
        self.page.wait_for_timeout(SETTLED)

    def click(self, what: Locator) -> None:
        """As soon as a second click is no double click."""
        self.page.wait_for_timeout(CLICKABLE)
        what.click()

    def press(self, key: str) -> str:
        """Answer the question that is shown; gives what it asked."""
        expect(self.page.locator("#card[data-form]")).to_be_visible(timeout=20_000)
        self.settle()
        asked = self.question
        self.page.keyboard.press(key)
        return asked

    def sent(self) -> None:
        """Once nothing waits to be sent."""
        expect(self.page.locator("#status")).to_have_attribute("data-unsent", "0", timeout=30_000)
        expect(self.page.locator("#status")).to_have_attribute("data-state", "sent", timeout=30_000)

    @property
    def unsent(self) -> int:
        """Answers in the browser's storage."""
        return int(self.page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('palate.out.')).length"))


class Annotator(Person):
    """Somebody who answers the queue."""

    def sign_in(self, key: str) -> Page:
        """With a key; once a card, or that there is none, is shown."""
        self.page.goto(f"{self.url}/annotate")
        self.page.locator("#key").fill(key)
        self.page.keyboard.press("Enter")
        self.ready()
        return self.page

    def ready(self) -> None:
        expect(self.page.locator("#card[data-lease]")).to_be_visible(timeout=30_000)

    @property
    def lease(self) -> str:
        return str(self.page.locator("#card").get_attribute("data-lease"))

    def press(self, key: str) -> str:
        """Do something to the card that is shown; gives which it was."""
        self.ready()
        self.settle()
        shown = self.lease
        self.page.keyboard.press(key)
        return shown

    def answer(self, key: str) -> str:
        """Answer the card that is shown, and see the next one or the end."""
        shown = self.press(key)
        expect(self.page.locator(f"#card[data-lease='{shown}']")).to_have_count(0, timeout=20_000)
        return shown


def annotator_key(service: Process) -> Iterator[str]:
    """Of an annotator for one test; afterwards no campaign is open that it has made."""
    yield KeyRing(service.folder).add("annotator")[1]
    for one in json.loads(service.get("/v1/campaigns")[1])["campaigns"]:
        service.call("POST", f"/v1/campaigns/{one['id']}/state", {"state": "closed"})


def made(service: Process, **said: Any) -> str:
    """A campaign; its id."""
    body = {"name": "films", "question": "How would they rate it?"} | said
    status, answer = service.call("POST", "/v1/campaigns", body)
    assert status == 200, answer
    return str(json.loads(answer)["campaign"]["id"])


def labelled(folder: Path) -> list[Answer]:
    """The labels of annotators that count."""
    rows = [row for row in rows_of(folder) if isinstance(row.content, Answer)]
    rows = [row for row in rows if row.content.source.startswith("annotator-") or row.retracts]
    back = {row.retracts for row in rows if row.retracts}
    told = [row.content for row in rows if not row.retracts]
    assert len({one.key for one in told}) == len(told)
    return [one for one in told if isinstance(one, Answer) and one.key not in back]


def click_fast(page: Page, selector: str, place: int) -> None:
    """Twenty clicks, 40 ms apart, on what is there then, also of a next question; timed in the page itself."""
    page.evaluate(
        """([selector, place]) => new Promise((done) => {
            let left = 20;
            const timer = setInterval(() => {
                const one = new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1 });
                document.querySelectorAll(selector)[place]?.dispatchEvent(one);
                if (--left === 0) { clearInterval(timer); done(); }
            }, 40);
        })""",
        [selector, place],
    )


def usable(page: Page) -> None:
    """axe finds nothing serious, and nothing is wider than the screen."""
    page.evaluate("Promise.all(document.getAnimations().map(one => one.finished))")  # what fades in is there
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def watch(page: Page, into: list[str]) -> None:
    """Note what the browser complains of, but for a server that is gone or busy."""

    def note(text: str) -> None:
        if not any(word in text for word in ("ERR_CONNECTION", "ERR_FAILED", "ERR_EMPTY", " 503 ", " 401 ")):
            into.append(text)

    page.on("console", lambda message: note(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: into.append(f"uncaught: {error}"))


def answers_in(folder: Path, user: str) -> list[Answer]:
    """The answers of a user that count: in the log, and not taken back."""
    rows = [row for row in rows_of(folder) if isinstance(row.content, Answer) and row.user_id == user]
    back = {row.retracts for row in rows if row.retracts}
    assert len({row.content.key for row in rows if not row.retracts}) == sum(not row.retracts for row in rows)
    return [row.content for row in rows if not row.retracts and row.content.key not in back]
