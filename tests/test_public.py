from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import palate

SOURCE = Path(palate.__file__).parents[1]

PUBLIC = {
    "Answer": "palate.entities",
    "AnswerKind": "palate.entities",
    "Attribute": "palate.records",
    "Dataset": "palate.datasets.tables",
    "Event": "palate.records",
    "Item": "palate.entities",
    "Learner": "palate.learner",
    "PalateError": "palate.errors",
    "Question": "palate.entities",
    "Recommendation": "palate.loop.lists",
    "Recommender": "palate.recommender.recommender",
    "Record": "palate.records",
    "events": "palate.records",
    "rate": "palate.records",
    "recall": "palate.records",
    "slate": "palate.records",
}


def modules_after(statement: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after the statement."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_public_list_is_exactly_this() -> None:
    assert palate.__all__ == sorted([*PUBLIC, "__version__"])


@pytest.mark.parametrize(("name", "home"), PUBLIC.items())
def test_every_public_name_loads_from_its_home(name: str, home: str) -> None:
    assert getattr(palate, name).__module__ == home


def test_public_names_are_listed_by_dir_before_they_are_loaded() -> None:
    assert set(palate.__all__) <= set(dir(palate))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'palate' has no attribute 'Oracle'"):
        palate.Oracle  # noqa: B018 - the look-up is the test


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "palate" / "py.typed").is_file()


def test_import_palate_loads_nothing_but_the_standard_library() -> None:
    installed = modules_after("import palate") - modules_after("pass") - set(sys.stdlib_module_names)
    assert installed == {"palate"}


@pytest.mark.parametrize(
    "statement", ["import palate.entities, palate.errors", "from palate import Item, Answer, PalateError"]
)
def test_the_words_of_the_loop_need_no_library(statement: str) -> None:
    assert modules_after(statement) - modules_after("pass") - set(sys.stdlib_module_names) == {"palate"}
