"""The page that is a device: its numbers are Python's, and no answer leaves the browser."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, BrowserContext, Page, expect

from palate.acquisition.belief.a_optimal import a_optimal
from palate.entities import Item
from palate.errors import OptionError
from palate.federated import asking
from palate.federated.device import DeviceAnswers
from palate.federated.public import PublicModel
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.taste import Taste
from palate.service.federated.device_page import Site, build_site, device_headers, device_router, write_site
from palate.service.pages.words import LANGUAGES
from tests.browser import DESKTOP, HOSTILE, PHONE, SETTLED, usable, watch
from tests.federated.worlds import public_model

SIZE, DIM = 60, 5


def described(public: PublicModel) -> dict[str, Item]:
    titles = [f"Film {place} (19{40 + place})" for place in range(len(public.item_ids))]
    titles[: len(HOSTILE)] = HOSTILE
    return {
        item_id: Item(item_id, title, category="Drama|Comedy")
        for item_id, title in zip(public.item_ids, titles, strict=True)
    }


class Files:
    """A folder on a plain file server, which notes what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        files = self

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, *_: object) -> None:
                if self.path != "/icon.svg":  # browsers fetch it when they like
                    files.asked.append(f"{self.command} {self.path} {self.headers.get('cookie', '')}".strip())

            def log_error(self, *_: object) -> None: ...

            def end_headers(self) -> None:
                self.send_header("cache-control", "no-store")  # every fetch is seen here
                super().end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def public() -> PublicModel:
    return public_model(SIZE, DIM, seed=3)


@pytest.fixture(scope="module")
def site(public: PublicModel) -> Site:
    return build_site(public, described(public))


@pytest.fixture
def files(site: Site, tmp_path: Path) -> Iterator[Files]:
    write_site(tmp_path, site)
    found = Files(tmp_path)
    yield found
    found.stop()


class Device:
    """The page as somebody uses it."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**{"locale": "en-US", **options})
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        watch(self.page, self.errors)
        self.page.goto(url)
        self.ready()

    def ready(self) -> None:
        expect(self.page.locator("#card[data-item]")).to_be_visible(timeout=20_000)
        self.page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")

    @property
    def item(self) -> str:
        return str(self.page.locator("#card").get_attribute("data-item"))

    @property
    def titles(self) -> list[str]:
        return self.page.locator("#list .title .name").all_inner_texts()

    @property
    def log(self) -> list[dict[str, Any]]:
        return list(
            json.loads(self.page.evaluate("localStorage.getItem(`palate.device.${location.pathname}`)") or "[]")
        )

    def press(self, key: str) -> str:
        asked = self.item
        self.page.wait_for_timeout(SETTLED)
        self.page.keyboard.press(key)
        return asked

    def close(self) -> None:
        assert self.errors == []
        self.context.close()


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.browser
def test_belief_and_choice_are_those_of_python_over_random_beliefs(chromium: Browser, files: Files) -> None:
    page = chromium.new_page()
    page.goto(f"{files.url}style.css")  # an address of the server, and no script of the page
    job = """async ({model, belief, items, values}) => {
        const { aOptimal, expected, observe, start, targetMoment } = await import("/belief.js");
        for (const name of ["table", "noise", "rate"]) model[name] = new Float32Array(model[name]);
        const moment = targetMoment(model), after = [];
        const seen = (found) => items.map((item) => expected(found, model, item));
        const at = (found) => after.push([found, aOptimal(found, model, moment), seen(found)]);
        let found = belief ?? start(model.dim);
        at(found);
        items.forEach((item, place) => at(found = observe(found, model, item, values[place])));
        return after;
    }"""
    worst = 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        size, dim = int(rng.integers(2, 50)), int(rng.integers(1, 17))
        public = public_model(size, dim, seed)
        noise = asking.taste_of(public).items.answer_noise.astype(np.float32).astype(np.float64)
        taste = Taste.build(
            Items(public.factors[:, 0], public.factors[:, 1:], Spread("diagonal", np.zeros((size, dim + 1))), noise),
            asking.taste_of(public).likelihood,
        )
        offered = replace(asking.candidates_of(public), items=taste.items, shown=taste.items)
        root = rng.normal(size=(dim, dim))
        belief = Belief(rng.normal(size=dim), root @ root.T + 1e-3 * np.eye(dim)) if seed % 4 else taste.start
        items, values = rng.integers(size, size=8), rng.normal(size=8)
        model = {"table": public.factors.ravel(), "noise": noise, "rate": public.answer_rate}
        given = {
            "model": {"size": size, "dim": dim, **{name: part.tolist() for name, part in model.items()}},
            "belief": {"mean": belief.mean.tolist(), "covariance": belief.covariance.ravel().tolist()}
            if seed % 4
            else None,
            "items": items.tolist(),
            "values": values.tolist(),
        }
        for place, (theirs, scores, means) in enumerate(page.evaluate(job, given)):
            if place:
                belief = taste.observe(belief, int(items[place - 1]), values[place - 1])
            ours = a_optimal(belief, offered, rng=rng)
            factors = taste.items.factors[items]
            for got, wanted in (
                (theirs["mean"], belief.mean),
                (theirs["covariance"], belief.covariance.ravel()),
                (scores, ours),
                ([one["mean"] for one in means], taste.items.level[items] + belief.score(factors)),
                ([one["variance"] for one in means], belief.variance(factors)),
            ):
                worst = max(worst, float(np.abs(np.array(got) - wanted).max() / max(np.abs(wanted).max(), 1.0)))
    assert worst < 1e-12
    page.close()


def test_the_file_of_the_model_holds_what_is_public_as_float32(public: PublicModel) -> None:
    content = build_site(public)["model.bin"][1]
    length = int.from_bytes(content[:4], "little")
    facts, numbers = json.loads(content[4 : 4 + length]), np.frombuffer(content[4 + length :], "<f4")
    size, width = public.factors.shape
    assert np.array_equal(numbers[: size * width].reshape(size, width), public.factors)
    noise = asking.taste_of(public).items.answer_noise
    assert np.allclose(noise, public.noise + public.variances.sum(1), rtol=1e-12)
    assert np.array_equal(numbers[size * width : size * (width + 1)], noise.astype(np.float32))
    assert np.array_equal(numbers[size * (width + 1) :], public.answer_rate)
    assert [one["item_id"] for one in facts["items"]] == [one["title"] for one in facts["items"]] == [*public.item_ids]
    assert (facts["centre"], facts["unit"], facts["line"], facts["digest"]) == (3.5, 1.0, "test", public.digest)


@pytest.mark.parametrize("levels", [(1,), (1, 1), (2, 1), (1, np.nan), range(11)])
def test_levels_that_have_no_button_each_are_refused(public: PublicModel, levels: Any) -> None:
    with pytest.raises(OptionError, match="Give two to ten numbers, ascending"):
        build_site(public, levels=levels)


# --- what leaves the browser ----------------------------------------------------------------------


@pytest.mark.browser
def test_nothing_leaves_after_the_model_is_there_whatever_is_answered(chromium: Browser, files: Files) -> None:
    seen = []
    for keys in ("51u35", "s1155"):
        device = Device(chromium, files.url)
        loaded = sorted(files.asked)
        sent: list[str] = []
        device.context.on("request", lambda request, sent=sent: sent.append(request.url))
        for key in keys:
            device.press(key)
        expect(device.page.locator("#status")).to_have_attribute("data-answers", "5")
        device.press("z")
        with device.page.expect_download() as saved:
            device.page.locator("#save").click()
        lines = [json.loads(line) for line in Path(saved.value.path()).read_text(encoding="utf-8").splitlines()]
        assert [one["content"] for one in lines] == ["model", *["answer"] * 4, "belief"]
        assert [one.get("value") for one in lines[1:-1]] == [int(key) if key.isdigit() else None for key in keys[:4]]
        device.page.wait_for_timeout(300)
        assert [one for one in sent if not one.startswith("blob:")] == []
        assert sorted(files.asked) == loaded
        device.page.evaluate("fetch('model.bin').then(() => undefined)")  # what would leave is seen to leave
        assert sorted(files.asked) == sorted([*loaded, "GET /model.bin"])
        seen.append(loaded)
        files.asked.clear()
        device.close()
    assert seen[0] == seen[1], "every visitor asks for the same files"
    assert {one.split(" ")[0] for one in seen[0]} == {"GET"}
    assert not any("?" in one or "=" in one for one in seen[0]), "no address and no cookie says who asks"
    assert not re.search(r"\bi\d+\b", "".join(seen[0])), "no single item is fetched"


@pytest.mark.browser
def test_each_question_is_the_one_that_python_would_ask_and_the_list_moves(
    chromium: Browser, files: Files, public: PublicModel, rng: np.random.Generator
) -> None:
    device = Device(chromium, files.url, **DESKTOP)
    place, free = {item_id: at for at, item_id in enumerate(public.item_ids)}, np.ones(SIZE, dtype=bool)
    items, values, before = list[int](), list[float](), device.titles
    for key in "5u1542":
        answers = DeviceAnswers(np.array(items, dtype=np.intp), np.array(values))
        (wanted,) = asking.ask(public, answers, allowed=free, rng=rng)
        at = place[device.press(key)]
        assert at == wanted.item
        free[at] = False
        if key.isdigit():
            items.append(at)
            values.append(float(key))
        expect(device.page.locator("#card")).not_to_have_attribute("data-item", public.item_ids[at])
    belief = asking.believed(public, DeviceAnswers(np.array(items), np.array(values)))
    means = public.factors[:, 0] + public.factors[:, 1:] @ belief.mean
    means[items] = -np.inf
    best = np.argsort(-means)[:10]
    shown = [described(public)[public.item_ids[at]].title for at in best]
    assert [re.sub(r" \(\d+\)$", "", title) for title in shown] == device.titles != before
    expect(device.page.locator("#list .move").first).to_be_visible()
    assert device.page.evaluate("window.fired") is None
    device.close()


@pytest.mark.browser
def test_it_goes_on_and_opens_again_without_a_network(chromium: Browser, files: Files) -> None:
    device = Device(chromium, files.url)
    first = device.press("4")
    device.context.set_offline(True)
    files.stop()
    second = device.press("2")
    listed = device.titles
    device.page.reload()
    device.ready()
    assert [one["item_id"] for one in device.log] == [first, second] and device.titles == listed
    device.press("u")
    expect(device.page.locator("#status")).to_have_attribute("data-answers", "3")
    device.close()


@pytest.mark.browser
@pytest.mark.long
def test_two_windows_of_one_device_hold_one_log(chromium: Browser, files: Files) -> None:
    device = Device(chromium, files.url)
    other = device.context.new_page()
    other.goto(files.url)
    expect(other.locator("#card[data-item]")).to_be_visible()
    asked = device.press("5")
    expect(other.locator(f"#card[data-item={asked}]")).to_have_count(0)
    listed = device.titles
    device.page.evaluate("""() => {
        const name = `palate.device.${location.pathname}`, log = JSON.parse(localStorage.getItem(name));
        localStorage.setItem(name, JSON.stringify([{ ...log[0], value: 1 }, ...log, { item_id: 7 }]));
    }""")
    device.page.reload()
    device.ready()
    assert device.titles == listed, "of two answers to one item the last one counts"
    device.close()


@pytest.mark.browser
def test_undo_and_deletion_leave_nothing_behind(chromium: Browser, files: Files) -> None:
    device = Device(chromium, files.url)
    page, listed, asked = device.page, device.titles, device.item
    device.press("5")
    second = device.press("1")
    device.press("z")
    assert device.item == second and len(device.log) == 1
    device.press("z")
    assert (device.item, device.titles, device.log) == (asked, listed, [])
    for key in "153":
        device.press(key)
    page.get_by_role("button", name="Delete my data").click()
    page.get_by_role("button", name="Keep it").click()
    assert len(device.log) == 3
    page.get_by_role("button", name="Delete my data").click()
    page.get_by_role("button", name="Delete everything").click()
    expect(page.locator("#notice")).to_have_text("Everything about you was deleted: 3 entries.")
    assert (device.item, device.titles, device.log) == (asked, listed, [])
    assert page.evaluate("Object.values(localStorage).join().includes('item_id')") is False
    device.press("4")
    page.get_by_role("button", name="Delete my data").click()
    page.keyboard.press("Escape")
    assert len(device.log) == 1, "yes was said to the question before"
    device.close()


# --- for everybody --------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("options", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")], ids=["phone", "desktop"])
def test_it_fits_a_phone_and_a_desktop_and_axe_finds_nothing(
    chromium: Browser, files: Files, options: dict[str, Any], scheme: str
) -> None:
    device = Device(chromium, files.url, color_scheme=scheme, **options)
    usable(device.page)
    device.page.wait_for_timeout(SETTLED)
    device.page.locator(".level").last.click()
    expect(device.page.locator("#status")).to_contain_text("your first answer")
    usable(device.page)
    device.page.get_by_role("button", name="Delete my data").click()
    usable(device.page)
    device.close()


@pytest.mark.browser
@pytest.mark.long
def test_it_speaks_the_language_of_the_browser_or_the_one_that_was_chosen(chromium: Browser, files: Files) -> None:
    device = Device(chromium, files.url, locale="zh-CN", **PHONE)
    page = device.page
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#stays-title")).to_have_text("哪些内容会离开这台设备")
    device.press("3")
    page.get_by_role("link", name="English").click()
    device.ready()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#status")).to_contain_text("your first answer")
    page.goto(files.url)
    device.ready()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    device.close()


@pytest.mark.browser
@pytest.mark.long
def test_likes_have_two_answers_and_chances(chromium: Browser, public: PublicModel, tmp_path: Path) -> None:
    write_site(tmp_path, build_site(replace(public, kind="like", centre=0.5, size=0.5)))
    likes = Files(tmp_path)
    device = Device(chromium, likes.url)
    assert device.page.locator(".answers button span").all_inner_texts() == ["Like", "Do not like"]
    expect(device.page.locator("#list .reason").first).to_contain_text("with a chance of")
    device.press("1")
    assert [one["value"] for one in device.log] == [1]
    device.close()
    likes.stop()


# --- as part of a service -------------------------------------------------------------------------


def test_a_service_serves_the_same_files_with_a_policy_and_nothing_else(site: Site) -> None:
    app = FastAPI()
    app.include_router(device_router(lambda: site))
    client = TestClient(app, follow_redirects=False)
    assert client.get("/device").headers["location"] == "device/"
    assert client.get("/device/").content == client.get("/device/index.html").content == site["index.html"][1]
    for name, (kind, content) in site.items():
        found = client.get(f"/device/{name}")
        assert found.content == content and found.headers["content-type"].startswith(kind.split(";")[0])
        assert "set-cookie" not in found.headers
        assert {key.decode() for key, _ in device_headers()} <= set(found.headers)
    assert client.post("/device/model.bin").status_code == 405


def test_the_pages_run_only_their_own_files_and_the_worker_keeps_all_of_them(site: Site) -> None:
    for page in ("index.html", "zh.html"):
        text = site[page][1].decode()
        assert '<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;' in text
        assert not re.search(r"<script(?![^>]*(?:src=|type=\"application/json\"))", text)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:|https?://", text)
        linked = set(re.findall(r'(?:src|href)="(?:\./)?([\w.]+)"', text))
        assert linked <= set(site)
    kept = set(re.findall(r'"([\w.]+\.(?:html|css|svg|js|bin))"', site["worker.js"][1].decode()))
    assert kept == set(site) - {"worker.js"}
    scripts = "".join(content.decode() for name, (_, content) in site.items() if name.endswith(".js"))
    assert scripts.count("fetch(") == 2, "the model, and the worker that passes requests on"
    assert not re.search(r"XMLHttpRequest|sendBeacon|WebSocket|EventSource|\.src =", scripts)
    assert {"index.html", "zh.html"} == {name for name in site if name.endswith(".html")} and len(LANGUAGES) == 2
