"""The path of somebody new, from a clone to their own table on a page, in minutes of reading, of typing and of waiting.

What is read and typed is what stands in README.md and docs/guides/start.md. Each command of the guide is then run as it
stands, in a clone with a new environment. Python blocks stand in for the reader's own files and are not typed.

Somebody reads 200 words a minute and types 150 characters: less than people do on average (238 words: Brysbaert,
Journal of Memory and Language 109, 2019; 52 words, 260 characters: Dhakal et al., CHI 2018), since both are commands.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks._data import main

ROOT = Path(__file__).resolve().parents[1]
READ, TYPED = 200, 150  # words and characters a minute
LAST_READ = {"README.md": "## In Python", "docs/guides/start.md": "## What it costs"}
INDENTED = re.compile(r"^    (\S.*)$", re.MULTILINE)  # the README's commands
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = "http://127.0.0.1:8000"
LONGEST_WAIT = 60.0  # seconds until the page is there


def commands(language: str, body: str) -> list[str]:
    """What somebody types of a block: all of it, or the lines behind a prompt."""
    lines = body.splitlines()
    return [line.removeprefix("$ ") for line in lines if language == "bash" or line.startswith("$ ")]


def steps(guide: str) -> list[tuple[str, str]]:
    """What is done in the order of the guide: lines for a shell, and Python that stands in for files."""
    found = []
    for language, body in FENCED.findall(guide):
        if language == "python":
            found.append((language, body))
        elif language in {"bash", "console"}:
            found += [("shell", line) for line in commands(language, body)]
    return found


def opened(line: str, folder: Path) -> float:
    """Seconds until the page of a service is there, which is stopped again."""
    start = time.monotonic()
    with subprocess.Popen(
        ["bash", "-c", f". .venv/bin/activate && exec {line}"], cwd=folder, stdout=sys.stderr
    ) as service:
        try:
            while True:
                try:
                    page = urllib.request.urlopen(PAGE, timeout=5).read()
                    break
                except OSError:
                    if service.poll() is not None or time.monotonic() - start > LONGEST_WAIT:
                        raise
                    time.sleep(0.1)
        finally:
            service.terminate()
    if b"<html" not in page:
        raise RuntimeError(f"{PAGE} answers without a page.")
    return time.monotonic() - start


def walk(guide: str) -> list[dict[str, Any]]:
    """Each command of the guide, run in a clone, with its seconds."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "palate"
        start = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        rows.append({"typed": "git clone", "seconds": time.monotonic() - start})
        for kind, text in steps(guide):
            start = time.monotonic()
            if kind == "python":
                subprocess.run([folder / ".venv" / "bin" / "python", "-c", text], cwd=folder, check=True)
                continue
            if text.startswith("palate serve"):
                seconds = opened(text, folder)
            else:
                bash = shutil.which("bash") or "bash"
                active = "" if "venv" in text else ". .venv/bin/activate && "
                subprocess.run([bash, "-c", active + text], cwd=folder, check=True, stdout=sys.stderr)
                seconds = time.monotonic() - start
            rows.append({"typed": text, "seconds": seconds})
    return rows


def run(_seeds: int) -> dict[str, Any]:
    """Words, characters, minutes, and the seconds of each command."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8").partition(end)[0] for name, end in LAST_READ.items()}
    shown = "".join(FENCED.sub(lambda block: "" if block[1] == "python" else block[0], text) for text in texts.values())
    words = len(re.findall(r"[^\W_]+(?:['’.,-][^\W_]+)*", re.sub(r"\]\([^)]*\)|<!--.*?-->", " ", shown)))
    guide = texts["docs/guides/start.md"]
    typed = [*INDENTED.findall(texts["README.md"]), *(text for kind, text in steps(guide) if kind == "shell")]
    characters = sum(len(text) for text in typed)
    rows = walk(guide)
    reading, typing, machine = words / READ, characters / TYPED, sum(row["seconds"] for row in rows) / 60
    return {
        "words": words,
        "characters": characters,
        "minutes": {"reading": reading, "typing": typing, "waiting": machine, "all": reading + typing + machine},
        "rows": rows,
    }


if __name__ == "__main__":
    main("newcomer_path", run, 1)
