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
from palate.exchange.dump import dump
from palate.exchange.load import load
from palate.model.saved import parts_of
from palate.recommender import versions
from palate.records import Attribute
from palate.store.open_store import open_store
from tests.faults.test_updates import assert_same

CANARY = "canary-7f3a@example.org"
SECRET = "Straße 19, canary free text"
pytestmark = pytest.mark.filterwarnings("ignore:.* do not fit the model and were passed over")  # the free text
OPTIONS: dict[str, Any] = {"encoder": "none", "dim": 2}


def world(user: str = CANARY) -> Dataset:
    """99 users, one of whom is called so."""
    data = planted_world(users=99, items=30, rng=np.random.default_rng(0)).dataset
    rows = data.interactions.with_columns(pl.col("user_id").replace("u07", user))
    ids = rows["user_id"].unique().sort()
    users = pl.DataFrame({"user_id": ids, "age": [20.0 + n % 7 for n in range(len(ids))], "town": ["x", "y", "z"] * 33})
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


# Erases in children, each of which dies at another point: before a statement, a sync, or a change of a folder. A
# point of -1 is never reached; how many there are is printed then.
ERASE = """
import os, signal, sys
import psycopg
from palate import Recommender
from palate.store import sqlite_connection
from palate.store.model_folder import files
user, *jobs = sys.argv[1:]
left = None
seen = 0
def point(*_args, **_options):
    global left, seen
    if left is None:
        return
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left, seen = left - 1, seen + 1
def before(function):
    def call(*args, **options):
        point()
        return function(*args, **options)
    return call
def audit(event, args):
    if event in ("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"):
        point()
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        point()
def erase(folder, store, at):
    global left
    os.fsync = before(os.fsync)
    connect = sqlite_connection.sqlite3.connect
    def traced(*args, **options):
        connection = connect(*args, **options)
        connection.set_trace_callback(point)
        return connection
    sqlite_connection.sqlite3.connect = traced
    psycopg.Connection.execute = before(psycopg.Connection.execute)
    psycopg.Cursor.executemany = before(psycopg.Cursor.executemany)
    sys.addaudithook(audit)
    recommender = Recommender.open(folder, store=store or None)
    left = int(at)
    recommender.erase(user, key="the erasure")
    left = None
    print(seen)
    sys.stdout.flush()
for folder, store, at in zip(jobs[::3], jobs[1::3], jobs[2::3]):
    child = os.fork()
    if child == 0:
        try:
            erase(folder, store, at)
            os._exit(0)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def erased_in_children(jobs: list[tuple[Path, str, int]]) -> list[int]:
    """Exit codes; the number of points comes before that of a child that lives."""
    environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1])}
    command = [sys.executable, "-c", ERASE, CANARY, *(str(part) for job in jobs for part in job)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=600)
    assert not done.returncode and "Traceback" not in done.stderr, done.stderr
    return [int(line) for line in done.stdout.split()]


def check_that_they_stay_away(of: Recommender, old: Path, tmp_path: Path) -> None:
    """Not by a late event, a replay, an import of what was exported, or a fit of the data from before."""
    assert not of.learner.knows(CANARY)
    assert_same(of.learner, Learner.load(folder_of(of)) if of._live.place is None else of.learner)
    for late in (rate(CANARY, "i01", 5.0), *events(CANARY, ["i08"], kind="click", key="late")):
        with pytest.raises(ErasedUser):
            of._live.append([late])
    before = of._live.log.last_seq
    loaded = load(old, of._live.log, "jsonl", rejects=tmp_path / "rejects.csv")
    assert (loaded.added, of._live.log.last_seq) == (0, before) and loaded.rejected >= 9
    with pytest.warns(UserWarning, match=r"^1 users of the data were erased and are left out"):
        of.refit(world())
    assert not of.learner.knows(CANARY) and of.erase(CANARY, key="the erasure").rows == 10
    for path in (old, tmp_path / "rejects.csv"):
        path.unlink()  # of the test, and of whoever keeps old files


@pytest.mark.parametrize("where", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.long)])
def test_PR_02_an_erasure_that_is_killed_anywhere_is_finished(
    tmp_path: Path, request: pytest.FixtureRequest, where: str, kills: int
) -> None:
    """By the next start: before the row is written nothing has happened, after it, all."""
    server = request.getfixturevalue("postgres") if where == "postgres" else None
    kills = kills if server is None else min(kills, 10)

    def make(name: str) -> tuple[Path, str]:
        store = "" if server is None else server.schema()
        if not name:
            return tmp_path / "made", store
        folder = Path(shutil.copytree(tmp_path / "made", tmp_path / name))
        if server is not None:
            (folder / "labels-head").unlink()
            with open_store(store) as log:
                load(tmp_path / "old.jsonl", log, "jsonl", rejects=tmp_path / "rejects.csv")
        return folder, store

    with Recommender.create(tmp_path / "made", world(), store=make("")[1] or None, **OPTIONS) as of:
        told(of)
        dump(of._live.log, tmp_path / "old.jsonl", "jsonl")
    points, code = erased_in_children([(*make("control"), -1)])
    assert code == 0 and points > 50
    steps = sorted({round(points * (number + 0.5) / kills) for number in range(kills)})
    jobs = [(*make(f"step-{step}"), step) for step in steps]
    assert erased_in_children(jobs) == [-signal.SIGKILL] * len(jobs)
    begun = 0
    for folder, store, step in jobs:
        with Recommender.open(folder, store=store or None) as of:
            known = of.learner.knows(CANARY)
            assert known == (of.find("the erasure") is None), step
            if known:
                assert len(of.export_user(CANARY)["log"]) == 10, step
                of.erase(CANARY, key="the erasure")
            begun += not known
            assert hits(folder) == [], step
            assert server is None or not held_by(server, of._live.log), step
            old = Path(shutil.copy(tmp_path / "old.jsonl", folder / "old.jsonl"))
            check_that_they_stay_away(of, old, folder)
        assert hits(folder) == [], step
    assert begun >= kills // 3  # else it kills before anything happens


def held_by(server: Any, log: Any) -> bool:
    """Whether the raw bytes of the canary stand in the file of the log's table."""
    server.execute("CHECKPOINT")
    (found,) = log.select("SELECT pg_relation_filepath('records')", ())[0]
    return CANARY.encode() in (server.data / found).read_bytes()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    with Recommender.create(tmp_path / "made", world(), **OPTIONS) as of:
        told(of)
    return tmp_path / "made"


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
