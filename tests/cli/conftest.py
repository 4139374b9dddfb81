"""Commands run in this process, and one small model that every test gets a copy of."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from palate import Dataset, Recommender
from palate.cli.app import run
from palate.datasets import planted_world
from palate.datasets.convert import write_folder


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command as `palate` would and gives its exit code and output."""
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "PALATE_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: object, stdin: str | bytes = "") -> Result:
        with CliRunner().isolation(input=stdin) as (out, err, _both):
            code = run([str(argument) for argument in arguments])
            sys.stdout.flush()
            sys.stderr.flush()
            return Result(code, out.getvalue().decode(), err.getvalue().decode())

    return invoke


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events of 60 users and 40 items, of what users of two tastes met: ``got`` what fits them, ``return`` the rest."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((60, 40)) < 0.4)
    events = np.where(users % 2 == items % 2, "got", "return")
    folder = tmp_path_factory.mktemp("shops") / "shop"
    folder.mkdir()
    rows = zip(users.tolist(), items.tolist(), events.tolist(), strict=True)
    lines = [f"u{user:02},i{item:02},{event}" for user, item, event in rows]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,event", *lines]))
    return folder


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: 60 users, 40 items, of which i09 has no rating; tastes are known."""
    world = planted_world(users=60, items=40, rng=np.random.default_rng(0))
    return write_folder(world.dataset, tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def _fitted(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "model"
    Recommender.create(folder, Dataset.load(planted), encoder="none").close()
    return folder


@pytest.fixture
def model(_fitted: Path, tmp_path: Path) -> Path:
    """A model folder of this test alone."""
    return Path(shutil.copytree(_fitted, tmp_path / "model"))
