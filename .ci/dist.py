"""The files of a release, built, checked, installed and tried: `make dist`.

Builds the sdist, the wheel from it, and the wheel from the checkout, which has to be the same. Then, on each supported
Python of this machine, outside the checkout: an environment with the wheel alone, an import of every module, the demo;
and with the extra `serve`, the page of a model. Ends with SHA256SUMS beside the files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"palate-{PROJECT['version']}"
KINDS = {".py", ".typed", ".html", ".css", ".js", ".svg"}  # of files in the package
LARGEST, IN_ALL = 100_000, 8_000_000  # bytes
NOT_IN_SDIST = {".gitignore", ".gitattributes", ".dockerignore"}  # hatch adds the first by itself

# Imports every module with the light install alone, and names the libraries that are missing: those of extras.
IMPORT_ALL = """
import importlib, pkgutil, sys, palate.errors
missing = set()
for module in pkgutil.walk_packages(palate.__path__, "palate.", onerror=lambda name: None):
    if module.name.endswith("migrations.env"):
        continue  # is run by Alembic, which gives it a connection
    try:
        importlib.import_module(module.name)
    except palate.errors.MissingExtra:
        continue  # it says which
    except ModuleNotFoundError as error:
        missing.add(error.name.partition(".")[0])
print(*sorted(missing))
"""
EXTRAS = {
    re.split(r"[<>=~;\[ ]", line)[0].lower() for lines in PROJECT["optional-dependencies"].values() for line in lines
}
CALLED = {"PIL": "pillow", "opentelemetry": "opentelemetry-sdk"}  # modules that are not called as what brings them


class Wrong(Exception):
    """Why this is no release."""


def faults_of_wheel(files: Mapping[str, int], name: str = NAME) -> list[str]:
    """What is in a wheel and should not be, or is missing: files with their bytes."""
    of_package = {path: size for path, size in files.items() if path.startswith("palate/")}
    faults = [
        f"{path} is beside the package" for path in files if not path.startswith(("palate/", f"{name}.dist-info/"))
    ]
    faults += [f"{path} is no code and no page" for path in of_package if Path(path).suffix not in KINDS]
    faults += [f"{path} has {size:,} bytes" for path, size in of_package.items() if size > LARGEST]
    faults += [f"{path} is a test" for path in of_package if re.search(r"(^|/)(tests?/|test_|conftest)", path)]
    if sum(files.values()) > IN_ALL:
        faults.append(f"all have {sum(files.values()):,} bytes")
    needed = {
        "palate/__init__.py",
        "palate/py.typed",
        f"{name}.dist-info/licenses/LICENSE",
        f"{name}.dist-info/METADATA",
    }
    return faults + [f"{path} is missing" for path in sorted(needed - files.keys())]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints, on a machine that knows nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{' '.join(map(str, command))}\n{done.stdout[-2_000:]}{done.stderr[-4_000:]}")
    return done.stdout


def built(out: Path) -> tuple[Path, Path]:
    """The wheel and the sdist, looked at."""
    uv = Path(sys.executable).with_name("uv")
    shutil.rmtree(out, ignore_errors=True)
    run(uv, "build", "--quiet", "--out-dir", out)  # the sdist, and the wheel of it
    wheel, sdist = out / f"{NAME}-py3-none-any.whl", out / f"{NAME}.tar.gz"
    with tempfile.TemporaryDirectory() as place:
        run(uv, "build", "--quiet", "--wheel", "--out-dir", place)
        if contents(Path(place) / wheel.name) != contents(wheel):
            raise Wrong(
                "the wheel of the checkout is not that of the sdist: is a file missing in [tool.hatch...sdist]?"
            )
    faults = faults_of_wheel({name: len(data) for name, data in contents(wheel).items()})
    faults += faults_of_sdist(sdist)
    if faults:
        raise Wrong("\n".join(faults))
    print(run(uv, "tool", "run", "--from", "twine>=6,<7", "twine", "check", "--strict", wheel, sdist).strip())
    return wheel, sdist


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {one.filename: archive.read(one) for one in archive.infolist()}


def faults_of_sdist(sdist: Path) -> list[str]:
    """Where it is not what git tracks."""
    with tarfile.open(sdist) as archive:
        found = {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}
    tracked = set(run("git", "ls-files").split("\n")) - {""}
    beside = found - tracked - {"PKG-INFO"}
    return [f"{name} is in the sdist, and git does not track it" for name in sorted(beside)] + [
        f"{name} is not in the sdist" for name in sorted(tracked - found - NOT_IN_SDIST)
    ]


def pythons(given: Sequence[str]) -> dict[str, str]:
    """Interpreters by version: those that are given, which have to be there, or those that are on the path."""
    supported = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    say = "import sys; print('%d.%d' % sys.version_info[:2])"
    if given:
        return {run(one, "-c", say).strip(): one for one in given}
    found = {}
    for version in supported:
        try:
            found[run(f"python{version}", "-c", say).strip()] = f"python{version}"
        except (Wrong, FileNotFoundError):
            print(f"Python {version}: not on this machine, not tried")
    return found


def try_out(wheel: Path, python: str, place: Path) -> str:
    """Install the wheel in an environment of its own, and use it; what that took."""
    bin, begun = place / "env" / "bin", time.monotonic()
    run(python, "-m", "venv", place / "env", cwd=place)
    install = (bin / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*install, wheel, cwd=place)
    run(bin / "python", "-m", "pip", "check", cwd=place)
    installed = time.monotonic()
    if run(bin / "palate", "--version", cwd=place).split()[-1] != PROJECT["version"]:
        raise Wrong("palate --version gives another version")
    missing = run(bin / "python", "-I", "-c", IMPORT_ALL, cwd=place).split()
    unknown = {name for name in missing if CALLED.get(name, name).replace("_", "-").lower() not in EXTRAS}
    if unknown:
        raise Wrong(f"the light install lacks {', '.join(sorted(unknown))}, which no extra brings")
    run(bin / "palate", "demo", "--sample", "--quick", "--out", place / "demo", cwd=place)
    if not (place / "demo" / "report.html").stat().st_size:
        raise Wrong("the demo wrote no report")
    tried = time.monotonic()
    run(*install, f"{wheel}[serve]", cwd=place)
    look_at_page(bin / "palate", place)
    return f"installed in {installed - begun:.0f} s, demo in {tried - installed:.0f} s, page seen"


def look_at_page(palate: Path, place: Path) -> None:
    """Serve the demo's model, and load its page with what it links."""
    command = [palate, "serve", place / "demo" / "model", "--visitors", "--port", "0", "--json", "--no-log-requests"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            said = "".join(takewhile(lambda line: line != "}\n", service.stdout))  # a document of several lines
            address = json.loads(said + "}")["address"]
            page = urllib.request.urlopen(address, timeout=60).read().decode()
            for link in {"/embed.js", *re.findall(r'(?:src|href)="(/static/[^"]+)"', page)}:
                urllib.request.urlopen(address + link, timeout=60).read()
        finally:
            service.terminate()


def main() -> int:
    """0 if it is a release, 1 if not."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "dist")
    options.add_argument(
        "pythons", nargs="*", help="Interpreters, all of which have to be there; else those on the path."
    )
    given = options.parse_args()
    try:
        wheel, sdist = built(given.out)
        found = pythons(given.pythons)
        if not found:
            raise Wrong("no Python that is supported is on the path")
        for version, python in found.items():
            with tempfile.TemporaryDirectory(prefix="palate-dist-") as place:
                print(f"Python {version}: {try_out(wheel, python, Path(place))}", flush=True)
    except Wrong as why:
        print(f"No release: {why}", file=sys.stderr)
        return 1
    sums = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in (wheel, sdist)]
    (given.out / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    print("".join(sums).strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
