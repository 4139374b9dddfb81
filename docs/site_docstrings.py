"""Docstrings as the site's parser wants them (``extensions`` of mkdocstrings in mkdocs.yml).

Ours open sections without an empty line, call one example an Example or do not head it at all, describe several
arguments in one line, and name other objects by Sphinx roles.
"""

from __future__ import annotations

import re
from textwrap import indent
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"\n(?=(?:Args|Attributes|Examples?|Raises|Returns|Yields):\n)")
UNHEADED = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
SEVERAL = re.compile(r"^    ([a-z_]\w*(?:, [a-z_]\w*)+): (.*(?:\n     .*)*)", re.MULTILINE)
ROLE = re.compile(r":(?:class|meth|func|mod|attr|data):`~?(?:[\w.]+\.)?(\w+)`")


def tidied(text: str) -> str:
    """The same docstring with sections, arguments and names as the parser knows them."""
    text = SEVERAL.sub(_apart, text)
    text = UNHEADED.sub(lambda example: "Examples:\n" + indent(example[0], "    "), text)
    return ROLE.sub(r"`\1`", SECTION.sub("\n\n", text).replace("\nExample:\n", "\nExamples:\n"))


def _apart(found: re.Match[str]) -> str:
    """Each argument of a line in a line of its own; all but the first refer to it."""
    first, *others = found[1].split(", ")
    return "\n".join([f"    {first}: {found[2]}", *(f"    {name}: See ``{first}``." for name in others)])


class Docstrings(Extension):
    """Tidies every docstring that is shown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = tidied(obj.docstring.value)
