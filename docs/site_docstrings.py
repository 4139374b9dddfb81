"""Docstrings as the site's parser wants them (``extensions`` of mkdocstrings in mkdocs.yml).

Ours open sections without an empty line, call one example an Example, and name other objects by Sphinx roles.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"\n(?=(?:Args|Attributes|Examples?|Raises|Returns|Yields):\n)")
ROLE = re.compile(r":(?:class|meth|func|mod|attr|data):`~?(?:[\w.]+\.)?(\w+)`")


def tidied(text: str) -> str:
    """The same docstring, with empty lines before sections, and names instead of roles."""
    return ROLE.sub(r"`\1`", SECTION.sub("\n\n", text).replace("\nExample:\n", "\nExamples:\n"))


class Docstrings(Extension):
    """Tidies every docstring that is shown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = tidied(obj.docstring.value)
