"""Holds the Chinese pages to the English ones: ``python docs/translations.py`` copies code and outputs into them.

A Chinese page has the same headings, paragraphs, lists, tables, pictures, links and code, and in its last line the
digest of the English prose that it says. Where that prose has changed, ``python docs/translations.py`` names the page:
read it again, mend it, and say so with ``python docs/translations.py docs/zh/start.md``, which writes the new digest.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
GROUP = re.compile(rf"{FENCE.pattern}(?:\n{FENCE.pattern})*", re.MULTILINE | re.DOTALL)  # code and its output
FIGURES = re.compile(r"(<!-- figures [a-z-]+ -->\n).*?(<!-- /figures -->)", re.DOTALL)
SAID = re.compile(r"\n<!-- says (\S+) ([0-9a-f]{12}) -->\n$")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]+`")
DECIMAL = re.compile(r"\d[\d,]*\.\d+")


def pairs() -> dict[Path, Path]:
    """The English page of each Chinese one; both start pages, and the guides."""
    guides = sorted((ROOT / "docs" / "guides").glob("*.md"))
    found = {ROOT / "README.zh-CN.md": ROOT / "README.md"}
    return found | {ROOT / "docs" / "zh" / guide.name: guide for guide in guides}


def bare(text: str) -> str:
    """A page without its last line, and with nothing in its code and its figures."""
    return FIGURES.sub(r"\1\2", FENCE.sub("```\n```", SAID.sub("\n", text)))


def digest(english: str) -> str:
    """Of the prose of an English page."""
    return hashlib.sha256(" ".join(bare(english).split()).encode()).hexdigest()[:12]


def shape(text: str) -> list[str]:
    """What a page is made of, in its order: kinds of block, each with what no language changes."""
    found = [""]
    for line in bare(text).splitlines():
        kind = _kind(line)
        if kind != "words" or found[-1] not in ("words", "item"):  # else a line more of the same
            found.append(kind)
    return [kind for kind in found if kind]


def _kind(line: str) -> str:
    if heading := re.match(r"#+ ", line):
        return heading[0]
    if re.match(r"\s*(- |\d+\. )", line):
        return "item"
    if line.startswith("|"):
        return f"row of {line.count('|') - line.count(chr(92) + '|')}"
    if line.startswith(("![", "<!--", "```")):
        return line.split("](")[-1] if line.startswith("![") else line
    return "words" if line.strip() else ""


def aims(text: str, page: Path, languages: dict[Path, Path]) -> set[str]:
    """Where the links of a page lead, pages in Chinese taken as the English ones and headings left out."""
    folder, known = (
        page.parent.relative_to(ROOT).as_posix(),
        {str(a.relative_to(ROOT)): b for a, b in languages.items()},
    )
    found = set()
    for link in LINK.findall(FENCE.sub("", text)):
        path = link.split("#")[0]
        aim = link if "://" in link else posixpath.normpath(posixpath.join(folder, path)) if path else ""
        found.add(str(known[aim].relative_to(ROOT)) if aim in known else aim)
    return found - {"", "README.md", "README.zh-CN.md"}  # a page's link to its own other language


def differences(chinese: Path, english: Path) -> list[str]:
    """In what a Chinese page is not as the English one, but for the words."""
    theirs, ours = chinese.read_text(encoding="utf-8"), english.read_text(encoding="utf-8")
    languages = pairs()
    compared = {
        "blocks": (shape(theirs), shape(ours)),
        "code": (FENCE.findall(theirs), FENCE.findall(ours)),
        "code in the text": (set(CODE.findall(bare(theirs))), set(CODE.findall(bare(ours)))),
        "decimals": (sorted(DECIMAL.findall(bare(theirs))), sorted(DECIMAL.findall(bare(ours)))),
        "links": (aims(theirs, chinese, languages), aims(ours, english, languages)),
    }
    found = [f"{what}: {a} is not {b}" for what, (a, b) in compared.items() if a != b]
    said = SAID.search(theirs)
    if said is None or said[2] != digest(ours):
        found.append(f"the prose of {english.relative_to(ROOT)} is another than the one that was translated")
    return found


def with_code(chinese: str, english: str) -> str:
    """A Chinese page with the code and the outputs of the English one.

    Raises:
        ValueError: If one has more of them.
    """
    groups = GROUP.findall(english)
    if len(GROUP.findall(chinese)) != len(groups):
        raise ValueError(f"{len(GROUP.findall(chinese))} blocks of code are not {len(groups)}.")
    given = iter(groups)
    return GROUP.sub(lambda _: next(given), chinese)


def main(read: list[str]) -> None:
    """Copy code, write digests of the pages that were read, and name what is left to do."""
    wanted = {Path(name).resolve() for name in read}
    for chinese, english in pairs().items():
        text, theirs = chinese.read_text(encoding="utf-8"), english.read_text(encoding="utf-8")
        text = with_code(text, theirs)
        if chinese in wanted:
            text = f"{SAID.sub('', text).rstrip()}\n\n<!-- says {english.name} {digest(theirs)} -->\n"
        chinese.write_text(text, encoding="utf-8")
        for difference in differences(chinese, english):
            sys.stdout.write(f"{chinese.relative_to(ROOT)}: {difference}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
