"""Faults of consent, export and erasure: nothing of a user comes back, and nobody else loses anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import palate
from palate import Dataset, Learner, Recommender, events, rate
from palate.datasets import planted_world
from palate.errors import ConsentError, ErasedUser
from palate.model.saved import parts_of
from palate.recommender import versions
from palate.records import Attribute
from tests.faults.test_updates import assert_same

CANARY = "canary-7f3a@example.org"
SECRET = "Straße 19, canary free text"
pytestmark = pytest.mark.filterwarnings("ignore:.* do not fit the model and were passed over")  # the free text
OPTIONS: dict[str, Any] = {"encoder": "none", "dim": 2}


def world(user: str = CANARY) -> Dataset:
    """40 users, one of whom is called so."""
    data = planted_world(users=40, items=12, rng=np.random.default_rng(0)).dataset
    rows = data.interactions.with_columns(pl.col("user_id").replace("u07", user))
    ids = rows["user_id"].unique().sort()
    users = pl.DataFrame({"user_id": ids, "age": [20.0 + n % 7 for n in range(len(ids))], "town": ["x", "y"] * 20})
    return replace(data, interactions=rows, users=users)


def without(data: Dataset) -> Dataset:
    left = {name: getattr(data, name).filter(pl.col("user_id") != CANARY) for name in ("interactions", "users")}
    return replace(data, **left)


def told(of: Recommender) -> None:
    """What the canary and others say."""
    of.tell([rate(CANARY, f"i{n:02d}", float(n % 5 + 1), key=f"mine-{CANARY}-{n}") for n in range(1, 6)])
    of.tell([rate(f"n{n}", f"i{n:02d}", 4.0, key=f"k{n}") for n in range(1, 9)])
    of.see(events(CANARY, ["i08", "i09"], kind="click"))
    of._live.log.append([Attribute(CANARY, "town", SECRET)])
    of.consent(CANARY, ["serve", "ask"], version="v1", at=1e9)
    of.undo(CANARY)


def hits(folder: Path) -> list[str]:
    """Files of a folder in which the raw bytes of the canary stand, in whatever encoding Parquet has."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += pl.read_parquet(path).write_csv().encode()
        if any(text.encode() in data for text in (CANARY, SECRET)):
            found.append(str(path.relative_to(folder)))
    return found


def folder_of(of: Recommender) -> Path:
    return of._live.folder


def test_PR_01_nothing_of_an_erased_user_is_left_on_the_disk(tmp_path: Path) -> None:
    with (
        Recommender.create(tmp_path / "model", world(), **OPTIONS) as of,
        Recommender.open(tmp_path / "model") as other,
    ):
        told(of)
        of.refit()
        of.tell(rate(CANARY, "i10", 1.0))
        others = {user: len(told) for user, told in of.learner.told.items() if user != CANARY}
        assert hits(tmp_path / "model"), "the search would find it"
        receipt = of.erase(CANARY)
        assert CANARY not in str(receipt) and receipt.model == "approximate" and receipt.rows == 11
        assert {user: len(told) for user, told in of.learner.told.items()} == others
        for recommender in (of, other):
            assert not recommender.learner.knows(CANARY) and CANARY not in recommender.learner.model.rows
            assert not recommender.export_user(CANARY)["log"]
            with pytest.raises(ErasedUser):
                recommender.tell(rate(CANARY, "i01", 5.0))
    assert hits(tmp_path / "model") == []


def test_PR_01_of_somebody_whom_the_fit_did_not_know_nothing_is_left_in_what_items_learnt(tmp_path: Path) -> None:
    with Recommender.create(tmp_path / "model", world("u07"), **OPTIONS) as of:
        told(of)
        of.recommend("n1")
        receipt = of.erase(CANARY)
        assert receipt.model == "exact"
        assert_same(of.learner, Learner.load(folder_of(of)))
        with Recommender.create(tmp_path / "never", world("u07"), **OPTIONS) as never:
            never.tell([rate(f"n{n}", f"i{n:02d}", 4.0, key=f"k{n}") for n in range(1, 9)])
            assert_same(of.learner, never.learner)
        of.consent(CANARY, ["serve"], version="v2")  # a new consent lets them come back
        of.tell(rate(CANARY, "i01", 5.0))
        assert len(of.learner.told[CANARY]) == 1


ERASE = """
import sys
from palate import Recommender
import os, signal
import palate.loop.checkpoint as checkpoint
import palate.recommender.privacy as privacy
import palate.recommender.versions as versions
folder, step = sys.argv[1], int(sys.argv[2])
count = 0
def dying(function):
    def call(*args, **kwargs):
        global count
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return function(*args, **kwargs)
    return call
recommender = Recommender.open(folder)
steps = ((privacy, "write_folder"), (privacy, "forget"), (versions, "remove_all"), (checkpoint, "save_model"))
for module, name in steps:
    setattr(module, name, dying(getattr(module, name)))
log = type(recommender._live.log)
log.erase = dying(log.erase)
recommender.erase(sys.argv[3])
"""


def killed_at(folder: Path, step: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1])}
    command = [sys.executable, "-c", ERASE, str(folder), str(step), CANARY]
    return subprocess.run(command, env=environment, check=False, capture_output=True).returncode


def check_that_it_is_finished(made: Path, tmp_path: Path, steps: range) -> None:
    for step in steps:
        folder = Path(shutil.copytree(made, tmp_path / f"step-{step}"))
        assert killed_at(folder, step) == -signal.SIGKILL
        with Recommender.open(folder) as again:
            known = again.learner.knows(CANARY)
            assert known == (step == 0), step  # before the row is written nothing has happened; after it, all
            if not known:
                assert_same(again.learner, Learner.load(folder))
        assert bool(hits(folder)) == (step == 0), hits(folder)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    with Recommender.create(tmp_path / "made", world(), **OPTIONS) as of:
        told(of)
    return tmp_path / "made"


def test_PR_02_an_erasure_that_is_killed_is_finished_by_the_next_start(made: Path, tmp_path: Path) -> None:
    check_that_it_is_finished(made, tmp_path, range(0, 6, 2))


@pytest.mark.long
def test_PR_02_an_erasure_that_is_killed_anywhere_is_finished(made: Path, tmp_path: Path) -> None:
    check_that_it_is_finished(made, tmp_path, range(6))


def test_PR_02_neither_a_version_nor_an_older_folder_brings_them_back(made: Path, tmp_path: Path) -> None:
    older = shutil.copytree(made, tmp_path / "older")
    with Recommender.open(made) as of:
        of.refit()
        assert len(of.versions()) == 2
        of.erase(CANARY)
        assert len(of.versions()) == 1
    with Recommender.open(older, store=made / "labels.sqlite") as restored:  # the model of a backup, and the log
        assert not restored.learner.knows(CANARY)
    assert not [hit for hit in hits(Path(older)) if not hit.startswith("labels.sqlite")]


def test_PR_03_the_next_refit_is_that_of_a_log_that_never_had_the_user(made: Path, tmp_path: Path) -> None:
    with Recommender.open(made) as of:
        before = of.learner.memory.fitted.taste.items.level
        of.erase(CANARY)
        nearly = of.learner.memory.fitted.taste.items
        assert not np.array_equal(nearly.level, before)
        of.refit()
        after = of.learner.memory.fitted
    with Recommender.create(tmp_path / "never", without(world()), **OPTIONS) as never:
        never.tell([rate(f"n{n}", f"i{n:02d}", 4.0, key=f"k{n}") for n in range(1, 9)])
        never.refit()
        same = never.learner.memory.fitted
    one, two = parts_of(after), parts_of(same)
    assert one[0] == two[0]
    for name, arrays in one[1].items():
        for part, array in arrays.items():
            assert np.array_equal(array, two[1][name][part]), (name, part)
    assert all(table.equals(two[2][name]) for name, table in one[2].items())
    near = np.abs(np.sort(nearly.level) - np.sort(same.taste.items.level)).max()
    assert near < 0.1  # and what was at hand at once was close to it


def test_PR_04_an_export_is_all_that_is_held_on_one_user_and_nothing_else(made: Path) -> None:
    with Recommender.open(made) as of:
        held = json.loads(json.dumps(of.export_user(CANARY)))
        assert [row["content"] for row in held["log"]] == [
            *["answer"] * 5,
            *["event"] * 2,
            "attribute",
            "consent",
            "answer",
        ]
        assert held["log"][-1]["retracts"] and held["consent"]["purposes"] == ["serve", "ask"]
        assert SECRET in str(held["log"]) and held["data"]["users"][0]["user_id"] == CANARY
        assert len(held["data"]["interactions"]) == world().interactions.filter(pl.col("user_id") == CANARY).height
        assert {row.get("user_id", CANARY) for row in held["log"]} == {CANARY}
        assert len(held["belief"]["mean"]) == of.learner.model.taste.items.dim
        nothing = of.export_user("nobody")
        assert not nothing["log"] and "belief" not in nothing and not nothing["data"]["interactions"]


def test_a_user_is_asked_and_served_as_far_as_they_allow(made: Path) -> None:
    with Recommender.open(made) as of, Recommender.open(made) as other:
        assert other.ask(CANARY)
        of.consent(CANARY, [], version="v2")
        for recommender in (of, other):
            with pytest.raises(ConsentError, match=r"^a user who allows nothing is not asked\. Record"):
                recommender.ask(CANARY)
            strange = [item.item_id for item in recommender.recommend("nobody at all", 5)]
            assert [item.item_id for item in recommender.recommend(CANARY, 5)] == strange
        of.consent(CANARY, ["ask", "serve"], version="v2")
        assert other.ask(CANARY) and other.recommend(CANARY, 5) != other.recommend("nobody at all", 5)
    with Recommender.open(made) as again:
        assert again.learner.memory.consent(CANARY).version == "v2"  # type: ignore[union-attr]


def test_versions_are_kept_three_deep(made: Path) -> None:
    with Recommender.open(made) as of:
        for dim in (1, 2, 1, 2):
            of.refit(dim=dim)
            time.sleep(0.01)
        assert len(of.versions()) == versions.KEPT + 1 and of.versions()[0].is_live
