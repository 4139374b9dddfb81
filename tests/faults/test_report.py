"""The report, opened in a browser as people open it: from a file, on a phone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser

from palate.cli.evaluate import simulation_files
from palate.datasets import planted_world
from palate.entities import ITEM, TITLE, USER
from palate.evaluation.evaluate import evaluate
from palate.evaluation.headline import judged
from palate.evaluation.report import render_report
from palate.evaluation.simulate import SimulationOptions, simulate
from tests.browser import HOSTILE, PHONE, watch

LONG = ["W" * 200, "很长的标题" * 40, "a word " * 60]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of a simulation and of an evaluation, all names in them hostile or very long."""
    data = planted_world(users=80, items=40, rng=np.random.default_rng(0)).dataset
    bad = [*HOSTILE, *LONG]
    rows = data.interactions.with_columns(pl.lit(HOSTILE[0]).add(pl.col(USER)).alias(USER))
    titles = [f"{bad[place % len(bad)]} {item}" for place, item in enumerate(data.items[ITEM])]
    data = replace(data, interactions=rows, items=data.items.with_columns(pl.Series(TITLE, titles)), name=HOSTILE[1])
    document = simulate(data, SimulationOptions(("list-value", "epig"), 6, (0,), encoder="none"))
    found = evaluate(data, split="random", models=["popularity", "item-knn"], k=5, seed=0, encoder="none")
    quality = render_report(
        title=HOSTILE[2], headline=judged(found), proposed="popularity", evaluation=found, commands=[HOSTILE[3]]
    )
    place = tmp_path_factory.mktemp("reports")
    pages = {"simulation": simulation_files(document, "list-value")["report.html"], "evaluation": quality}
    for name, page in pages.items():
        (place / f"{name}.html").write_text(str(page), encoding="utf-8")
    return {name: place / f"{name}.html" for name in pages}


@pytest.mark.parametrize("name", ["simulation", "evaluation"])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_UI_01_the_one_file_report_makes_nothing_of_hostile_text_and_fits_a_phone(
    chromium: Browser, reports: dict[str, Path], name: str, scheme: str
) -> None:
    context = chromium.new_context(**PHONE, color_scheme=scheme)  # type: ignore[arg-type]
    page, errors, fetched = context.new_page(), [], []
    watch(page, errors)
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(reports[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    page.wait_for_timeout(200)
    seen = page.locator("body").inner_text()
    expected = HOSTILE if name == "simulation" else [HOSTILE[1], HOSTILE[2], HOSTILE[3]]
    said = [text.partition("(")[0] for text in expected]  # what stands in brackets is no part of a title as it is said
    assert [text for text in said if text not in seen] == [], "all of it is on the screen, as text"
    assert page.evaluate("'fired' in window") is False
    assert page.locator("img, script, iframe").count() == 0
    assert errors == [] and fetched == [reports[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    values = page.locator(".stacked td").evaluate_all("(all) => all.map((one) => one.clientWidth)")
    assert values and min(values) > 250, "a value has its line, with the name of its column, and no row is squeezed"
    # the policy is in force as well: what would get through is refused
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.fired=1>')")
    page.wait_for_timeout(200)
    assert page.evaluate("'fired' in window") is False and errors != []
    context.close()
    control = chromium.new_page()
    control.set_content(f"<p>{HOSTILE[0]}</p>")
    control.wait_for_function("'fired' in window")  # the mark is seen where nothing keeps it from firing
    control.close()
