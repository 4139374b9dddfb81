"""What MkDocs calls while it builds the site (``hooks`` in mkdocs.yml).

The README is the first page, and other pages lie outside docs/ too: a link that is right in the repository is turned
into one that is right in the site. Formulas become MathML, which browsers show without a script. A guide links to
itself in the other language, and a page in Chinese says so to browsers and screen readers.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def in_repository(page: str) -> str:
    """Where a page of the site lies in the repository."""
    return {to: source for source, to in PAGES.items()}.get(page, f"docs/{page}")


def in_site(path: str) -> str:
    """Where a file of the repository lies in the site; what is no page goes below files/."""
    return PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}")


def aims(text: str, page: str) -> set[str]:
    """The paths in the repository that a page links to."""
    folder = posixpath.dirname(in_repository(page))
    return {posixpath.normpath(posixpath.join(folder, link)) for link in LINK.findall(text)}


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that lie elsewhere, and every file that a page links to."""
    for source, to in PAGES.items():
        files.append(File.generated(config, to, abs_src_path=str(ROOT / source)))
    linked = {aim for file in files.documentation_pages() for aim in aims(file.content_string, file.src_uri)}
    for aim in sorted(linked):
        if (ROOT / aim).is_file() and in_site(aim).startswith("files/"):
            files.append(File.generated(config, in_site(aim), abs_src_path=str(ROOT / aim)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page with the links of the site."""
    here = page.file.src_uri
    source, folder = posixpath.dirname(in_repository(here)), posixpath.dirname(here) or "."

    def turned(link: re.Match[str]) -> str:
        aim = posixpath.normpath(posixpath.join(source, link[1]))
        return posixpath.relpath(in_site(aim), folder)

    return LINK.sub(turned, _with_other_language(markdown, here))


def _with_other_language(markdown: str, page: str) -> str:
    """A guide with a link below its title."""
    for ours, other, words in (("guides", "zh", "中文"), ("zh", "guides", "English")):
        name = posixpath.basename(page)
        if posixpath.dirname(page) == ours and (ROOT / "docs" / other / name).is_file():
            title, _, rest = markdown.partition("\n")
            return f"{title}\n\n[{words}](../{other}/{name})\n{rest}"
    return markdown


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The whole HTML of a page, with its language."""
    return output.replace('<html lang="en"', '<html lang="zh"', 1) if page.url.startswith("zh/") else output


def on_page_content(content: str, **_: Any) -> str:
    """The HTML of a page with MathML for its formulas."""
    return FORMULA.sub(
        lambda found: convert(html.unescape(found[2]), display="block" if found[1] == "div" else "inline"), content
    )
