"""The command line under wrong input, at empty edges, interrupted and killed: one clear line, nothing half done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import palate
from palate import Learner
from palate.cli import main
from palate.cli.app import run
from palate.datasets import planted_world
from palate.datasets.convert import write_folder
from palate.errors import StoreError
from palate.loop.checkpoint import open_log
from palate.store.protocol import active
from palate.store.sqlite_log import LabelLog

COMMAND = [sys.executable, "-c", "from palate.cli import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1])}


def command(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with CliRunner().isolation(input=stdin) as (out, err, _both):
        code = run([str(argument) for argument in arguments])
        sys.stdout.flush()
        sys.stderr.flush()
        return code, out.getvalue().decode(), err.getvalue().decode()


def document(*arguments: object) -> Any:
    """What a command that must succeed prints with --json."""
    code, out, err = command(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command in a process of its own, which Ctrl-C reaches even where the tests run in the background."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=ENVIRONMENT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **options,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = planted_world(users=60, items=40, rng=np.random.default_rng(0))
    return write_folder(world.dataset, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def _fitted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "model"
    assert command("fit", data, "--out", folder, "--encoder", "none")[0] == 0
    return folder


@pytest.fixture
def model(_fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_fitted, tmp_path / "model"))


def kept(model: Path) -> list[float | None]:
    with open_log(model) as log:
        return [label.answer.value for label in active(log.records())]


# MF-06: paths in names

HOSTILE = ["../", "%2e%2e/", "..\\", "/etc/passwd", "file:///etc", "http:///#/../../etc", "?../..", "a\x00b", "C:", ""]


ANN = ["--user", "ann"]
VERBS = {
    **dict.fromkeys(("recommend", "ask", "undo", "interview", "profile", "companions"), ANN),
    "tell": [*ANN, "--item", "i1", "--answer", "4"],
    "see": [*ANN, "--item", "i1"],
    "know": [*ANN, "--set", "age=3"],
    "refit": [],
    "item show": ["i1"],
    "item withdraw": ["i1"],
}


@pytest.mark.parametrize(("verb", "name"), [("recommend", name) for name in HOSTILE] + [(v, "../") for v in VERBS])
def test_MF_06_a_hostile_model_path_is_one_line_and_exit_code_2(tmp_path, monkeypatch, verb, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*verb.split(), name, *VERBS[verb])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("Error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["/etc/passwd", "/etc/passwd/below", "file:///tmp/x", "http://x/y", "a\x00b", ""])
def test_MF_06_a_hostile_output_path_is_refused_before_the_work(data, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for arguments in (("fit", data, "--out", name), ("simulate", data, "--out", name), ("data", "convert", data, name)):
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_MF_06_a_symlink_in_the_model_folder_is_refused(model):
    target = next(model.glob("taste-*.safetensors"))
    target.rename(model.parent / "elsewhere")
    target.symlink_to(model.parent / "elsewhere")
    code, _out, err = command("recommend", model, "--user", "ann")
    assert (code, err.count("\n")) == (2, 1)
    assert "is a symlink" in err


@pytest.mark.parametrize("user", ["../../etc/passwd", "%2e%2e", "file:///etc", "C:", "?"])
def test_MF_06_a_user_is_never_a_path(model, user):
    before = sorted(path.name for path in model.parent.rglob("*"))
    assert command("tell", model, "--user", user, "--item", "i15", "--answer", "4")[0] == 0
    assert document("recommend", model, "--user", user)["user"] == user
    assert {path.name for path in model.parent.rglob("*")} - set(before) <= {"labels.sqlite-wal", "labels.sqlite-shm"}


@pytest.mark.parametrize("user", ["", "   ", "a\x00b", "a\x1bb", "\udc80", "x" * 257])
def test_IN_02_a_user_that_no_store_can_keep_is_refused(model, user):
    code, out, err = command("recommend", model, "--user", user)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("Error: user_id ")


# IN-10: cold start and empty edges


def test_IN_10_a_user_that_nobody_knows(model):
    assert document("recommend", model, "--user", "nobody")["notes"] == ["unknown-user"]
    assert document("ask", model, "--user", "nobody")["notes"] == ["unknown-user"]
    assert document("profile", model, "--user", "nobody")["notes"] == ["unknown-user"]


def test_IN_10_a_user_of_the_data_without_events(tmp_path):
    rows = "".join(f"u{u},i{i},{1 + (u * i) % 5}\n" for u in range(6) for i in range(5))
    (tmp_path / "interactions.csv").write_text("user_id,item_id,rating\n" + rows)
    (tmp_path / "users.csv").write_text("user_id\nquiet\nu1\n")
    assert command("fit", tmp_path, "--out", tmp_path / "m", "--encoder", "none")[0] == 0
    assert len(document("recommend", tmp_path / "m", "--user", "quiet")["items"]) == 5


def test_IN_10_k_is_0(model):
    assert document("recommend", model, "--user", "ann", "-k", 0)["items"] == []
    code, _out, err = command("ask", model, "--user", "ann", "-k", 0)
    assert (code, err) == (2, "Error: k is 0. Give a whole number from 1.\n")


def test_IN_10_k_is_larger_than_the_catalogue(model):
    recommended = document("recommend", model, "--user", "ann", "-k", 1_000_000)
    assert (len(recommended["items"]), recommended["notes"]) == (40, ["unknown-user", "fewer-left"])
    asked = document("ask", model, "--user", "ann", "-k", 1_000)
    assert (len(asked["questions"]), asked["notes"]) == (40, ["unknown-user", "fewer-left"])


def test_IN_10_everything_is_seen_and_everything_answered(model):
    command("interview", model, "--user", "ann", stdin="4\n" * 41)
    assert document("recommend", model, "--user", "ann")["notes"] == ["nothing-left"]
    assert document("ask", model, "--user", "ann")["notes"] == ["all-asked"]
    assert len(document("recommend", model, "--user", "ann", "--include-seen")["items"]) == 10
    for verb in ("recommend", "ask"):
        code, out, err = command(verb, model, "--user", "ann")
        assert (code, err) == (0, "")
        assert out.startswith("Nothing is left")
    assert "Nothing is left to ask" in command("interview", model, "--user", "ann", stdin="4\n")[1]


def test_IN_10_filters_that_leave_nothing(model):
    everything = ",".join(Learner.load(model).model.catalogue.ids)
    assert document("recommend", model, "--user", "ann", "--exclude", everything)["items"] == []
    assert document("recommend", model, "--user", "ann", "--allow", "")["items"] == []


def test_IN_10_a_catalogue_of_one_item(tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\nu1,i1,5\nu2,i1,3\nu3,i1,4\n")
    model = tmp_path / "m"
    assert command("fit", tmp_path / "ratings.csv", "--out", model, "--encoder", "none")[0] == 0
    assert [item["item_id"] for item in document("recommend", model, "--user", "ann")["items"]] == ["i1"]
    assert [question["item_id"] for question in document("ask", model, "--user", "ann")["questions"]] == ["i1"]
    assert document("profile", model, "--user", "ann")["categories"] == []
    code, out, err = command("interview", model, "--user", "ann", stdin="4\n4\n")
    assert (code, err) == (0, "Note: no taste found in 3 answers: lists are by popularity and content.\n")
    assert "Nothing is left to ask" in out


@pytest.mark.parametrize("text", ["", "user_id,item_id,rating\n", "user_id,item_id,rating\nu1,i1,nan\n"])
def test_IN_10_a_catalogue_of_no_item(tmp_path, text):
    (tmp_path / "ratings.csv").write_text(text)
    code, out, err = command("fit", tmp_path / "ratings.csv", "--out", tmp_path / "m", "--encoder", "none")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "m").exists()


# Kept before it is said


def until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    seen, watch = "", threading.Timer(120.0, process.kill)  # a test that waits for what never comes ends
    watch.start()
    try:
        while text not in seen:
            line = process.stdout.readline()
            assert line, f"the output ended before {text!r}: {seen!r}"
            seen += line
    finally:
        watch.cancel()


def test_ST_01_what_the_interview_called_kept_outlives_a_kill(start, model):
    for given in (5, 2, 4):
        process = start("interview", model, "--user", "ann", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(f"{given}\n")
        process.stdin.flush()
        until(process, f"Kept: {given}")
        process.kill()
        process.communicate()
    assert kept(model) == [5.0, 2.0, 4.0]


def test_what_the_log_refuses_is_not_called_kept(model, monkeypatch):
    def refuse(self: LabelLog, answers: object) -> None:
        raise StoreError("the disk is full. Free some disk space.")

    monkeypatch.setattr(LabelLog, "append", refuse)
    told = command("tell", model, "--user", "ann", "--item", "i15", "--answer", "4")
    talked = command("interview", model, "--user", "ann", stdin="4\n")
    for code, out, err in (told, talked):
        assert (code, err) == (1, "Error: the disk is full. Free some disk space.\n")
        assert "Kept" not in out
    assert "0 answers of ann kept." in talked[1]


def test_two_processes_tell_at_once(start, model):
    tell = ["tell", model, "--user", "ann", "--answer", "4", "--item"]
    both = [start(*tell, item, stdout=subprocess.DEVNULL) for item in ("i15", "i03")]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(kept(model)) == 2


# Ctrl-C


def interrupted(process: subprocess.Popen[str], after_seconds: float) -> int:
    """The exit code of a command that is interrupted so long after it has begun to load what it needs."""
    while process.poll() is None and "polars" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.02)
    time.sleep(after_seconds)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    return process.returncode


def test_ctrl_c_while_the_commands_load_is_no_traceback(monkeypatch):
    class Loading(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "palate.cli.app", Loading("palate.cli.app"))
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 130


@pytest.mark.parametrize("after_seconds", [0.0, 0.5, 1.5])
def test_ctrl_c_leaves_no_half_written_file(start, data, tmp_path, after_seconds):
    out = tmp_path / "out"
    arguments = ["simulate", data, "--budget", 20, "--seeds", 40, "--encoder", "none", "--out", out]
    process = start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert interrupted(process, after_seconds) == 130
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize("write", [0, 1, 2])
def test_ctrl_c_while_results_are_written_leaves_whole_files_only(tmp_path, monkeypatch, data, write):
    from palate.cli import files

    write_bytes, count = Path.write_bytes, iter(range(100))

    def half(self: Path, content: bytes) -> int:
        if next(count) == write:
            write_bytes(self, content[: len(content) // 2])
            raise KeyboardInterrupt
        return write_bytes(self, content)

    monkeypatch.setattr(files.Path, "write_bytes", half)
    arguments = ["--budget", 1, "--seeds", 1, "--strategies", "random", "--encoder", "none"]
    code, out, err = command("simulate", data, *arguments, "--out", tmp_path / "out", "--json")
    assert (code, out, err) == (130, "", "Interrupted.\n")
    monkeypatch.undo()
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(found) == write
    assert not any(name.startswith(".") for name in found)
    if "simulate.json" in found:
        json.loads((tmp_path / "out" / "simulate.json").read_text())


def test_ctrl_c_ends_an_interview_that_waits_for_a_pipe(start, model):
    """Without care it waits on: Polars' handler of SIGINT lets a read that waits go on."""
    process = start("interview", model, "--user", "ann", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("4\n")
    process.stdin.flush()
    until(process, "Kept: 4")
    until(process, "Why: ")  # the end of the second question
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130  # its standard input is still open
    assert kept(model) == [4.0]


# Damaged models


@pytest.mark.parametrize("harm", ["truncate", "remove", "junk"])
def test_MF_02_a_damaged_model_is_one_line(model, harm):
    harms: dict[str, Callable[[Path], object]] = {
        "truncate": lambda path: path.write_bytes(path.read_bytes()[:100]),
        "remove": Path.unlink,
        "junk": lambda path: path.write_bytes(b"\x80\x04junk"),
    }
    harms[harm](next(model.glob("taste-*.safetensors")))
    code, out, err = command("recommend", model, "--user", "ann")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("Error: ")
