"""Takes the pictures of the pages for kinds of product: ``PYTHONPATH=. python docs/take_pictures.py``.

Of the generated log of a kind: fits it, serves it, and opens the page in Chromium as somebody new, who answers the
first few questions. It needs a font with Chinese letters too, for the name of that language.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from palate import Recommender
from tests.browser import DESKTOP, Person
from tests.served import Process

IMAGES = Path(__file__).resolve().parent / "images"
ANSWERS = "1u10u1"  # keys: likes it, does not know it, does not like it
KINDS = ("news", "shop", "video", "social")


def take(kind: str, folder: Path) -> None:
    """The picture of one kind."""
    data = getattr(import_module(f"palate.datasets.samples.{kind}"), f"{kind}_sample")(rng=np.random.default_rng(0))
    Recommender.create(folder, data, encoder="none", seed=0).close()
    with Process(folder, visitors=True) as service, sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        somebody = Person(browser, service.url, **DESKTOP)
        somebody.start()
        somebody.skip_naming()
        for key in ANSWERS:
            somebody.press(key)
            somebody.ready()
        somebody.page.wait_for_timeout(1000)  # what moves has come to rest
        somebody.page.screenshot(path=IMAGES / f"{kind}.png")
        browser.close()


if __name__ == "__main__":
    for name in sys.argv[1:] or KINDS:
        with tempfile.TemporaryDirectory() as place:
            take(name, Path(place) / "model")
