"""What a person waits for on the pages: the next card, the list that has moved, titles as they are typed.

Measured in Chromium on the same machine as the service: from the key to the first frame with the next question on it,
to the list that has the answer in it, and from the request of a search to its answer. The catalogue is made up; its
titles are of words and syllables, a part of those that are looked for is misspelt.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from playwright.sync_api import Page, sync_playwright

from benchmarks._data import main
from benchmarks.catalogue_scale import synthetic_learner
from benchmarks.service_load import server
from palate.client import Client
from palate.random import derive_rng
from palate.service.keys import KeyRing

ITEMS, DIM = 100_000, 32
ANSWERS, SEARCHES = 100, 200
USERS = 20  # whose taste the annotator is asked about
PACES = (1.5, 0.4)  # seconds from one question to its answer: a person's; somebody's who does not read
SERVED = """
import sys
from pathlib import Path
from palate.service.server import serve
from palate.service.settings import Settings
limits = {"port": 0, "user_calls_per_second": 1e6}
serve({"default": Path(sys.argv[1])}, Settings(visitors=True, log_requests=False, scorers=1, **limits))
"""
WORDS = "the of dark night blue river king love moon star lost dream house war red city last day girl road winter fire"
SYLLABLES = "ba be bi bo bu ka ke ki ko ku ma me mi mo mu na ne ni no nu ra re ri ro ru sa se si so su ta te ti to tu"
# The time of a key is the event's own; the question counts when a frame that has it was painted.
WATCH = """() => {
  window.times = {card: [], list: []};
  addEventListener("keydown", (event) => {
    const begun = event.timeStamp, card = document.getElementById("card"), list = document.getElementById("list");
    const shown = () => (card.dataset.lease ?? "") + document.getElementById("question").textContent;
    const before = shown();
    const seen = (place, into, isIt) => {
      const watcher = new MutationObserver(() => {
        if (!isIt()) return;
        watcher.disconnect();
        requestAnimationFrame(() => setTimeout(() => times[into].push(performance.now() - begun)));
      });
      watcher.observe(place, {childList: true, subtree: true});
    };
    const isThere = () => card.dataset.form || card.dataset.lease;
    seen(card, "card", () => isThere() && shown() !== before);
    if (list) seen(list, "list", () => list.children.length > 0);
  }, true);
}"""


def titles(n: int, rng: np.random.Generator) -> list[str]:
    """Made-up titles of one to four words, with a year."""
    words, syllables = WORDS.split(), SYLLABLES.split()

    def word() -> str:
        return rng.choice(words) if rng.random() < 0.5 else "".join(rng.choice(syllables, rng.integers(2, 4)))

    return [
        f"{' '.join(word() for _ in range(rng.integers(1, 5))).title()} ({rng.integers(1930, 2020)})" for _ in range(n)
    ]


def typed(title: str, rng: np.random.Generator) -> str:
    """The beginning of a title, every third time with a wrong letter in it."""
    text = title[: int(rng.integers(1, 13))].strip()
    at = int(rng.integers(0, len(text)))
    return f"{text[:at]}x{text[at + 1 :]}" if rng.random() < 1 / 3 else text


def answered(page: Page, seconds: float, n: int) -> dict[str, Any]:
    page.evaluate("window.times = {card: [], list: []}")
    for _ in range(n):
        page.wait_for_selector("#card[data-form]")
        page.wait_for_timeout(1_000 * seconds)
        page.keyboard.press("3" if page.locator("#card").get_attribute("data-form") == "rate" else "1")
        if page.locator("#card").get_attribute("data-form") == "group":
            page.keyboard.press("Enter")
    page.wait_for_timeout(2_000)
    return dict(page.evaluate("window.times"))


def labelled(page: Page, seconds: float, n: int) -> list[float]:
    """From the key of an annotator to the next card of the queue."""
    page.evaluate("window.times = {card: [], list: []}")
    for place in range(n):
        page.wait_for_selector("#card[data-lease]")
        page.wait_for_timeout(1_000 * seconds)
        page.keyboard.press(str(1 + place % 5))
    page.wait_for_timeout(2_000)
    return list(page.evaluate("window.times.card"))


def searched(page: Page, texts: list[str]) -> list[float]:
    script = """async (texts) => {
      const found = [];
      for (const text of texts) {
        const begun = performance.now();
        const answer = await fetch(`/v1/items/search?k=6&q=${encodeURIComponent(text)}`);
        await answer.json();
        if (answer.ok) found.push(performance.now() - begun);
      }
      return found;
    }"""
    return list(page.evaluate(script, texts))


def row(what: str, times: list[float]) -> dict[str, Any]:
    return {
        "what": what,
        "n": len(times),
        "p50_ms": float(np.median(times)),
        "p99_ms": float(np.quantile(times, 0.99)),
        "max_ms": max(times),
    }


def run(seeds: int) -> dict[str, Any]:
    machine = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    rows = [one for seed in range(seeds) for one in measure(seed)]
    return {**machine, "items": ITEMS, "dimensions": DIM, "answers": ANSWERS, "searches": SEARCHES, "rows": rows}


def measure(seed: int) -> list[dict[str, Any]]:
    rng = derive_rng(seed, "pages")
    learner = synthetic_learner(ITEMS, DIM)
    model = learner.memory.fitted
    names = titles(ITEMS, rng)
    table = model.catalogue.table.with_columns(pl.Series("title", names))
    named = replace(model, catalogue=replace(model.catalogue, table=table))
    learner = replace(learner, memory=learner.memory.under(named))
    rows = []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        learner.save(Path(place) / "model")
        del learner
        with server(SERVED, f"{place}/model") as service:
            key = (Path(place) / "model" / "keys" / "admin").read_text().strip()
            with Client(f"http://127.0.0.1:{service.port}", key) as client:
                client.make_campaign({"name": "all", "question": "How?", "users": [f"p{n}" for n in range(USERS)]})
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{service.port}")
            page.get_by_role("button", name="Start").click()
            page.wait_for_selector("#card[data-form=recall]", timeout=120_000)
            page.locator("#question").focus()
            page.wait_for_timeout(15_000)  # until the titles can be searched
            page.keyboard.press("s")
            page.wait_for_selector("#card:not([data-form=recall])")
            page.evaluate(WATCH)
            for pace in PACES:
                times = answered(page, pace, ANSWERS)
                rows.append(row(f"next card, an answer every {pace:g} s and more", times["card"]))
                if pace == PACES[0]:  # at the other pace it may be the list of an answer before
                    rows.append(row(f"moved list, an answer every {pace:g} s and more", times["list"]))
            texts = [typed(names[int(item)], rng) for item in rng.integers(0, ITEMS, SEARCHES)]
            rows.append(row("titles as they are typed", searched(page, texts)))
            page.goto(f"http://127.0.0.1:{service.port}/annotate")
            page.locator("#key").fill(KeyRing(Path(place) / "model").add("annotator")[1])
            page.keyboard.press("Enter")
            page.wait_for_selector("#card[data-lease]", timeout=120_000)
            page.evaluate(WATCH)
            for pace in PACES:
                what = f"an annotator's next card, a label every {pace:g} s and more"
                rows.append(row(what, labelled(page, pace, ANSWERS)))
            browser.close()
    return rows


if __name__ == "__main__":
    main("pages", run, seeds=1)
