from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import palate
from palate.cli import app as tree
from palate.errors import DataError, StoreError

GROUPS = {"": tree.app, "data ": tree.data_app, "item ": tree.item_app, "keys ": tree.keys_app}
COMMANDS = [f"{prefix}{command.name}" for prefix, group in GROUPS.items() for command in group.registered_commands]
CONTRACT = {
    *("demo", "fit", "refit", "recommend", "ask", "tell", "see", "undo", "know", "interview", "profile", "simulate"),
    *(
        "evaluate",
        "strategies",
        "encoders",
        "data fetch",
        "data inspect",
        "data convert",
        "item add",
        "item show",
        "item withdraw",
    ),
    *("serve", "keys add", "keys list", "keys revoke"),
}


def child(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1]), **variables}
    command = [sys.executable, "-c", "from palate.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_every_command_of_the_contract_is_there():
    assert set(COMMANDS) >= CONTRACT


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_json_and_takes_a_seed(cli, command):
    result = cli(*command.split(), "--help")
    assert result.code == 0
    example = re.search(r"Example: palate (.+)", result.out)
    assert example and example[1].startswith(command)
    assert "--json" in result.out
    assert "--seed" in _options(command)


def _options(command: str) -> set[str]:
    from typer.main import get_command

    found = get_command(tree.app)
    for name in command.split():
        found = found.commands[name]
    return {option for parameter in found.params for option in parameter.opts}


def test_without_a_command_the_help_is_printed(cli):
    result = cli()
    assert result.code == 0
    assert "Usage: palate" in result.out


def test_version(cli):
    assert cli("--version").out == f"palate {palate.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fid"], "No such command 'fid'. Did you mean 'fit'? Try: palate --help"),
        (["data"], "Missing command. Try: palate data --help"),
        (["fit", "--out", "m"], "there is no data to fit. Give PATH, or shards by --shards DIR."),
        (["recommend", "m"], "whom the list is for is said 0 times: nobody. Give --user, --users or --all."),
        (["recommend", "m", "--usr", "x"], "No such option: --usr"),
        (["ask", "m", "--user", "x", "-k", "many"], "Invalid value for '-k'"),
        (["strategies", "--seed", "-1"], "Invalid value for '--seed'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(cli, arguments, message):
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith(f"Error: {message}")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("the data is empty."), 2, "Error: the data is empty.\n"),
        (StoreError("the disk is full.\nFree some."), 1, "Error: the disk is full. Free some.\n"),
        (
            KeyError("x\x1b[2J"),
            1,
            "Error: unexpected KeyError: 'x\\x1b[2J'. Run it again with PALATE_DEBUG=1 and report what it prints.\n",
        ),
        (MemoryError(), 1, "Error: the memory is used up. Give a smaller data set, or a machine with more.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(cli, monkeypatch, error, code, message):
    def fail() -> None:
        raise error

    monkeypatch.setattr("palate.cli.registries.print_json", lambda document: fail())
    result = cli("encoders", "--json")
    assert (result.code, result.out, result.err) == (code, "", message)


def test_the_traceback_is_shown_when_asked_for(cli, monkeypatch):
    monkeypatch.setenv("PALATE_DEBUG", "1")
    result = cli("recommend", "nowhere", "--user", "ann")
    assert result.code == 2
    assert "Traceback (most recent call last)" in result.err
    assert result.err.splitlines()[-1].startswith("Error: the model folder nowhere cannot be read")


def test_a_warning_is_one_line_on_standard_error(cli, model):
    config = model / "config.json"
    (model / "previous.json").write_bytes(config.read_bytes())
    config.write_bytes(config.read_bytes()[:-20])
    result = child("recommend", str(model), "--user", "ann", "--json")
    assert result.returncode == 0
    assert result.stderr.startswith("Warning: ")
    assert result.stderr.count("\n") == 1


def test_help_loads_nothing_heavy():
    loads = "from palate.cli.app import run; run(['--help'])"
    code = f"import sys; before = {{*sys.modules}}; {loads}; print(*{{*sys.modules}} - before, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    heavy = {"numpy", "polars", "scipy", "sklearn", "numba", "matplotlib", "seaborn", "pyarrow", "torch", "sqlite3"}
    assert "typer" in loaded
    assert loaded & heavy == set()


def test_a_reader_that_goes_away_ends_the_command_quietly():
    command = f"{sys.executable} -c 'from palate.cli import main; main()' data inspect --help | true"
    environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).parents[1])}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_terminal_without_unicode_gets_what_it_can_show(model):
    done = child("recommend", str(model), "--user", "ann", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "| Item | Title " in done.stdout and "Nothing is known of this user" in done.stdout
