"""What the documents show is run, and what they show of it is what comes out."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

import palate
from palate.acquisition import DEFAULT, STRATEGIES
from palate.federated import public
from palate.scale import checkpoint
from palate.scale import manifest as shards
from palate.store import backup, old_attributes, postgres_schema, schema
from palate.store.migrations import older
from palate.store.model_folder import manifest

ROOT = Path(__file__).resolve().parents[1]
DOCS, EXAMPLES, RESULTS = ROOT / "docs", ROOT / "examples", ROOT / "benchmarks" / "results"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = (*READMES, *sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md")
GUIDES = sorted((DOCS / "guides").glob("*.md"))
UPGRADE = DOCS / "upgrade.md"

TRY_NOTEBOOK = "try python docs/run_notebooks.py"
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def script(name: str) -> ModuleType:
    """A script of the documents as a module."""
    specification = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look themselves up there
    specification.loader.exec_module(module)
    return module


pages = script("run_pages")


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to work in, a terminal of 100 columns, and a registry of strategies that is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "PALATE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    with mock.patch.dict(STRATEGIES):
        yield


def run_page(path: Path) -> dict[str, Any]:
    """Every block of a page in order; the namespace they leave."""
    text, namespace = path.read_text(encoding="utf-8"), {"__name__": "page"}
    pages.lay(path)
    for block in pages.blocks(text):
        printed = pages.run_block(block, namespace, path)
        if block.shown is not None:
            shown = text[block.shown]
            what = f"{path.name}:{block.line} shows\n{shown}\nbut it prints\n{printed}"
            assert pages.agrees(shown, printed), f"{what}\nTry: python docs/run_pages.py {path}"
    return namespace


def rules_of(contract: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test_")]


# --- pages that are run ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("_elsewhere")
def test_the_tutorial_does_what_it_shows() -> None:
    namespace = run_page(DOCS / "tutorial.md")
    contracts = [namespace["TestExtremes"], namespace["TestLetters"]]
    for contract in contracts:
        assert len(rules_of(contract)) >= 8
        for rule in rules_of(contract):
            getattr(contract(), rule)()


@pytest.mark.usefixtures("_elsewhere")
def test_the_leak_test_that_is_shown_passes() -> None:
    page = DOCS / "measuring.md"
    assert [block.language for block in pages.blocks(page.read_text(encoding="utf-8"))] == ["python"]
    run_page(page)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("log", 6),
        ("application", 5),
        ("change", 4),
        ("shop", 0),
        ("store", 6),
        ("campaigns", 5),
        ("honest-labels", 3),
        ("label-studio", 1),
        ("oracles", 3),
        ("federated-operators", 1),
        ("federated-research", 1),
        ("video", 1),
        ("social", 4),
    ],
)
@pytest.mark.usefixtures("_elsewhere")
def test_the_pages_on_keeping_do_what_they_show(name: str, least: int) -> None:
    page = DOCS / f"{name}.md"
    shown = [block for block in pages.blocks(page.read_text(encoding="utf-8")) if block.shown is not None]
    assert len(shown) >= least
    run_page(page)


@pytest.mark.filterwarnings("default:.* are in an older format")
@pytest.mark.usefixtures("_elsewhere")
def test_the_page_on_upgrades_does_what_it_shows() -> None:
    shown = [block for block in pages.blocks(UPGRADE.read_text(encoding="utf-8")) if block.shown is not None]
    assert len(shown) >= 10
    run_page(UPGRADE)


@pytest.mark.usefixtures("_elsewhere")
def test_the_softmax_page_does_what_it_shows() -> None:
    page = DOCS / "softmax.md"
    shown = [block for block in pages.blocks(page.read_text(encoding="utf-8")) if block.shown is not None]
    assert len(shown) >= 5
    run_page(page)


@pytest.mark.usefixtures("_elsewhere")
def test_the_page_on_other_tools_does_what_it_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("mlflow", "pandas"):
        pytest.importorskip(name, reason="pip install '.[mlflow]'")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes longer to make than all the rest
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    run_page(DOCS / "integrations.md")


@pytest.mark.usefixtures("_elsewhere")
def test_the_readme_does_what_it_shows() -> None:
    found = list(pages.blocks(READMES[0].read_text(encoding="utf-8")))
    assert [block.language for block in found] == ["python"]
    assert len(found[0].code.strip().splitlines()) <= 12
    run_page(READMES[0])


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: path.stem)
@pytest.mark.usefixtures("_elsewhere")
def test_a_guide_does_what_it_shows(page: Path) -> None:
    shown = [block for block in pages.blocks(page.read_text(encoding="utf-8")) if block.shown is not None]
    assert len(shown) >= 1
    run_page(page)


def test_a_guide_says_what_it_costs_how_to_tell_and_where_it_does_not_help() -> None:
    assert len(GUIDES) == 8
    for page in GUIDES:
        text = page.read_text(encoding="utf-8")
        assert "\nWhat you get: " in text, page.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert "What it costs" in headings and headings[-1] == "Where it does not help", page.name
        assert any(heading.startswith("How to tell that") for heading in headings), page.name


def test_a_page_that_shows_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n```text\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"shows\n *3\n\s*but it prints\n *2\n"):
        run_page(page)
    assert "```text\n2\n```" in pages.rewritten(page)


def test_commands_of_a_page_are_run_with_what_is_typed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ palate --version\npalate 0...\n$ palate nothing\nError: ...\n```\n", encoding="utf-8"
    )
    run_page(page)
    page.write_text("```console\n$ palate nothing\n```\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="exit code 2"):
        run_page(page)


# --- pages that are checked against the code ------------------------------------------------------


def test_the_commands_are_those_of_the_command_line() -> None:
    shown = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert shown == script("generate_commands").page(), "Try: python docs/generate_commands.py"


def test_the_strategies_are_those_of_the_registry() -> None:
    shown = (DOCS / "strategies.md").read_text(encoding="utf-8")
    assert shown == script("generate_strategies").page(), "Try: python docs/generate_strategies.py"
    assert [name for name in STRATEGIES if f"| `{name}` |" not in shown] == []
    assert f"The default is `{DEFAULT}`" in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        aim = (page.parent / name).resolve() if name else page
        if not aim.exists() or (anchor and anchor not in anchors(aim)):
            broken.append(target)
    assert broken == []


def test_the_site_has_no_broken_link_and_needs_no_other_host(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {
        path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")
    }
    assert len(built) > len(PAGES)
    loads = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    assert {name: loads.findall(text) for name, text in built.items() if loads.search(text)} == {}
    assert "$" not in re.sub(r"<(script|code|pre)\b.*?</\1>", "", built["softmax.html"], flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_interface_page_has_every_public_name() -> None:
    shown = re.findall(r"^::: palate\.(\w+)$", (DOCS / "interface.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(set(palate.__all__) - {"__version__"})


def test_the_interface_pages_have_every_name_that_the_pages_import() -> None:
    """What a page shows to a user is described, in the interface pages."""
    described = set(re.findall(r"^::: palate\.[\w.]*?(\w+)$", "\n".join(interface_pages()), re.MULTILINE))
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    imported = re.findall(r"^from (?!palate\.errors)palate[\w.]* import ([^(\n]+)$", shown, re.MULTILINE)
    names = {name.split(" as ")[0].split("#")[0].strip() for line in imported for name in line.split(",")}
    assert len(names) > 40
    assert names - described == {"POOL_STRATEGIES", "STRATEGIES"}  # registries, whose names strategies.md lists


def interface_pages() -> list[str]:
    return [page.read_text(encoding="utf-8") for page in (DOCS / "interface.md", *(DOCS / "api").glob("*.md"))]


def test_every_source_that_the_papers_page_names_stands_in_its_module() -> None:
    rows = re.findall(
        r"^\| (?!part)(.+?) \| (.+?) \| (.+?) \| `(.+?)` \|$", (DOCS / "papers.md").read_text("utf-8"), re.M
    )
    assert len(rows) > 30
    missing = []
    for _, sources, _, module in rows:
        text = folded((ROOT / "src" / "palate" / module).read_text(encoding="utf-8"))
        for source in folded(sources).split(";"):
            author = re.match(r"\s*([\w' ]+?)(?:,| et al| \d|$)", source)
            year = re.search(r"(\d{4})$", source.strip())
            assert author is not None
            missing += [(module, source) for word in (author[1], year[1] if year else "") if word not in text]
    assert missing == []


def folded(text: str) -> str:
    """Without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def test_the_versions_on_the_upgrade_page_are_those_that_are_read_and_written() -> None:
    rows = re.findall(r"^\| ([a-z][\w ]+) \| .+ \| (\d)(?: to \d)? \| (\d)? ?.*\|$", UPGRADE.read_text("utf-8"), re.M)
    written = {what: now for what, _, now in rows if now}
    assert written == {
        "model folder": str(manifest.FORMAT),
        "log in SQLite": str(schema.VERSION),
        "log in PostgreSQL": str(postgres_schema.VERSION),
        "backup of a log": str(backup.FORMAT),
        "shards of a data set": str(shards.FORMAT),
        "checkpoint of a fit of shards": str(checkpoint.FORMAT),
        "public model of a federated line": str(public.FORMAT),
    }
    read = {what: int(least) for what, least, _ in rows}
    assert read["log in SQLite"] == min(older._FROM)
    assert read["log in PostgreSQL"] == min(postgres_schema._UP)
    assert read["attributes beside the log"] == old_attributes.FORMAT


def test_every_module_that_the_model_page_names_exists() -> None:
    text = (DOCS / "model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text))
    assert len(named) >= 12
    assert [name for name in sorted(named) if not (ROOT / "src" / "palate" / name).is_file()] == []


# --- figures --------------------------------------------------------------------------------------


def test_the_tables_of_the_products_are_what_was_measured() -> None:
    shown = script("generate_products").pages()
    assert [page.stem for page in shown] == ["news", "shop", "video", "social"]
    for page, text in shown.items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name}: python docs/generate_products.py"


def test_every_figure_between_marks_is_the_measured_one() -> None:
    figures = script("generate_figures")
    shown = figures.pages()
    assert set(READMES) < set(shown)
    for page in shown:
        text = page.read_text(encoding="utf-8")
        assert text == figures.filled(text, figures.words_of(page)), f"{page.name}: python docs/generate_figures.py"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_start_page_has_three_measured_figures(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    asked, known, fresh = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"][0]
        for name in ("list_questions", "history", "cold_items")
    )
    gains = [
        {
            end: asked["ways"][DEFAULT]["minus popularity"][end][asked["stages"].index(2)]
            for end in ("mean", "low", "high")
        },
        known["stages"]["10"]["ndcg@10"]["palate_minus_best"],
        fresh["palate_minus"]["profile"]["list ndcg@10"],
    ]
    for gain in gains:
        for end in ("mean", "low", "high"):
            assert f"{gain[end]:+.3f}".replace("-", "−") in text


def test_the_leak_that_users_are_told_of_is_the_measured_one() -> None:
    known = json.loads((RESULTS / "forgetting.json").read_text(encoding="utf-8"))["auc"]["known"]["mean"]
    lines = json.loads((RESULTS / "federated_attack.json").read_text(encoding="utf-8"))["lines"]
    attacks = ("likelihood ratio", "shift")
    none, ten, three, one = (
        max(lines[name][attack]["mean"] for attack in attacks)
        for name in ("no privacy", "epsilon 10", "epsilon 3", "epsilon 1")
    )
    page = " ".join((DOCS / "federated.md").read_text(encoding="utf-8").split())
    for said in (
        f"an AUC of {known:.2f} on MovieLens-100K",
        f"an AUC of {none:.2f} without noise and clip, {ten:.2f} at ε = 10, {three:.2f} at 3 and {one:.2f} at 1",
    ):
        assert said.replace("0.", ".") in page


def test_what_lists_tell_is_said_as_it_was_measured() -> None:
    lines = json.loads((RESULTS / "list_membership.json").read_text(encoding="utf-8"))["lines"]
    central, none, three, one = (
        f"{lines[name]['told all']['all features']['mean']:.2f}".removeprefix("0")
        for name in ("central", "devices, no privacy", "devices, epsilon 3", "devices, epsilon 1")
    )
    for name, said in (
        ("privacy.md", (f"an AUC of {central} on MovieLens-100K", f"an AUC of {three} at ε = 3")),
        (
            "federated-research.md",
            (f"{none} without noise and clip, {three} at ε = 3 and {one} at ε = 1", f"data, {central} ("),
        ),
    ):
        page = " ".join((DOCS / name).read_text(encoding="utf-8").split())
        assert all(part in page for part in said), name


def test_what_is_said_of_fresh_news_and_odd_logs_is_what_was_measured() -> None:
    def plain(number: float) -> str:
        return f"{number:.3f}".replace("-", "−").replace("0.", ".")

    fresh = {row["set"]: row for row in json.loads((RESULTS / "freshness.json").read_text(encoding="utf-8"))["rows"]}
    moving, cut = fresh["mind-cut"]["moving"], fresh["mind-cut"]["fitted"]["stages"]["0"]
    now, before, ever = (moving["ndcg@10"][kind] for kind in ("now", "before", "ever"))
    more, age = moving["now_minus_before"], moving["age_minus_now"]
    (odd,) = json.loads((RESULTS / "odd_logs.json").read_text(encoding="utf-8"))["rows"]
    bots = [stage["bots_minus"] for stage in odd["stages"].values()]
    clock = [odd["stages"][n]["clock_as_claimed_minus"] for n in ("0", "10")]
    for name, said in (
        ("news.md", f"is {plain(now['mean'])} ({plain(now['low'])} to {plain(now['high'])}) with it"),
        ("news.md", f"{plain(before['mean'])} with a day"),
        ("news.md", f"and {plain(ever['mean'])} by clicks ever"),
        ("news.md", f"{plain(more['mean'])} more than with a day ({plain(more['low'])} to {plain(more['high'])})"),
        ("news.md", f"over {moving['people']} readers"),
        ("news.md", f"it is {plain(cut['ndcg@10']['now']['mean'])} against {plain(cut['ndcg@10']['before']['mean'])}"),
        ("news.md", f"({plain(age['low'])} to {plain(age['high'])})"),
        ("events.md", f"+{plain(min(one['mean'] for one in bots))} to +{plain(max(one['mean'] for one in bots))}"),
        ("events.md", f"lowest bound is {plain(min(one['low'] for one in bots))}"),
        *(("events.md", f"{plain(-one['mean'])} ({plain(-one['high'])} to {plain(-one['low'])})") for one in clock),
    ):
        assert said in " ".join((DOCS / name).read_text(encoding="utf-8").split()), said
    assert all(row["fitted"]["same_list"] for name, row in fresh.items() if name != "mind-cut")


# --- examples -------------------------------------------------------------------------------------


OF_NETWORKS = "textbook_loop.py"


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.name, marks=pytest.mark.long if path.stem in ("news", "video", "social") else ())
        for path in sorted(set(EXAMPLES.glob("*.py")) - {EXAMPLES / OF_NETWORKS})
    ],
)
def test_an_example_runs_and_says_what_it_did(example: Path, tmp_path: Path) -> None:
    check_example(example, tmp_path)


@pytest.mark.slow
@pytest.mark.hf
@pytest.mark.long
def test_the_example_with_networks_runs_where_they_are_installed(tmp_path: Path) -> None:
    for library in ("keras", "torch"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed: pip install '.[keras]'")
    check_example(EXAMPLES / OF_NETWORKS, tmp_path)


def test_the_example_with_networks_says_what_is_missing(tmp_path: Path) -> None:
    done = run_example(EXAMPLES / OF_NETWORKS, tmp_path, KERAS_BACKEND="not_here")
    assert done.returncode == 1
    assert re.fullmatch(
        r"(keras|not_here) is not installed, so there is no network to train: pip install '\.\[keras\]'\n",
        done.stderr,
    )


def run_example(example: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error", **environment}
    command = [sys.executable, str(example)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def check_example(example: Path, tmp_path: Path) -> None:
    done = run_example(example, tmp_path, KERAS_BACKEND="torch")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 5
    assert list(tmp_path.iterdir()) == [], "an example leaves nothing behind"


NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
@pytest.mark.usefixtures("_elsewhere")
def test_a_notebook_shows_what_comes_out(path: Path) -> None:
    notebooks, kept = script("run_notebooks"), json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    made = notebooks.outputs_of(kept, path.name)
    for number, (cell, outputs) in enumerate(zip(code, made, strict=True), 1):
        assert notebooks.said(cell["outputs"]) == notebooks.said(outputs), f"cell {number}: {TRY_NOTEBOOK} {path}"
        assert cell["execution_count"] == number
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])
    assert list(Path.cwd().iterdir()) == [], "a notebook leaves nothing behind"


def test_a_notebook_that_shows_something_else_is_noticed_and_filled() -> None:
    notebooks = script("run_notebooks")
    stale = [{"output_type": "stream", "name": "stdout", "text": ["3\n"]}]
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "source": ["print(1)\n", "1 + 1"], "outputs": stale}]
    (outputs,) = notebooks.outputs_of({"cells": cells}, "x")
    assert notebooks.said(outputs) == ["1", "2"]
    filled = notebooks.filled({"cells": cells}, [outputs])["cells"]
    assert filled[0] == cells[0] and filled[1]["outputs"] == outputs and filled[1]["execution_count"] == 1
    kept = notebooks.filled({"cells": filled}, [[{**outputs[0], "text": ["1   "]}, outputs[1]]])
    assert kept["cells"] == filled  # what says the same stays as it is


def test_there_are_three_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["active_learning", "cold_start", "compare_strategies"]


def test_there_are_these_examples() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == [
        "compare_strategies.py",
        "news.py",
        "own_data.py",
        "quickstart.py",
        "shop.py",
        "social.py",
        "textbook_loop.py",
        "video.py",
    ]


def test_the_results_page_is_what_was_measured() -> None:
    shown = (DOCS / "results.md").read_text(encoding="utf-8")
    assert shown == script("generate_results").page(), "Try: python docs/generate_results.py"
