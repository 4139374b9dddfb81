"""The log as JSON lines, and the elements of any JSON file one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from palate.datasets.files.limits import Limits
from palate.datasets.files.lines import decode, open_lines
from palate.datasets.files.rejects import Reject
from palate.exchange.rows import Row
from palate.store.model_folder import strict

Element = tuple[int, dict[str, Any] | Reject]  # a line, or the place in a list, and what stands there


def write_lines(rows: Iterable[Row], path: Path) -> None:
    """Write one object a line."""
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def write_list(elements: Iterable[Row], path: Path) -> None:
    """Write one list, one element at a time."""
    with path.open("w", encoding="utf-8") as stream:
        between = "[\n"
        for element in elements:
            stream.write(between + json.dumps(element, ensure_ascii=False, allow_nan=False))
            between = ",\n"
        stream.write("[]\n" if between == "[\n" else "\n]\n")


def read_lines(path: Path, limits: Limits) -> Iterator[Element]:
    """The objects of a file of JSON lines, and what in it is none; an empty line is nothing."""
    with open_lines(path, limits) as reader:
        for line in reader.lines():
            if line.data is None:
                yield line.number, _longer(reader.name, line.number, limits)
            elif line.data.strip():
                yield line.number, _object(line.data, reader.name, line.number)


def read_elements(path: Path, limits: Limits) -> Iterator[Element]:
    """The objects of a list, each with its place from 1, or of JSON lines, whichever the file is.

    An element may have as many bytes as a line.
    """
    with open_lines(path, limits) as reader:
        if not next(reader.chunks(), b"").lstrip().startswith(b"["):
            yield from read_lines(path, limits)
            return
    with open_lines(path, limits) as reader:
        for place, text in enumerate(_elements(reader.chunks(), limits.line_bytes), start=1):
            if text is None:
                yield place, _longer(reader.name, place, limits)
            else:
                yield place, _object(text, reader.name, place)


def _longer(name: str, place: int, limits: Limits) -> Reject:
    return Reject(name, place, "", f"longer than {limits.line_bytes:,} bytes (limit line_bytes)")


def _object(text: bytes, name: str, place: int) -> dict[str, Any] | Reject:
    try:
        decode(text)  # says of bytes that are no text where they are
        found = strict.loads(text)
    except ValueError as error:
        return Reject(name, place, "", f"not JSON ({str(error).splitlines()[0]})")
    if not isinstance(found, dict):
        return Reject(name, place, "", f"a JSON {type(found).__name__} instead of an object")
    return found


_OUTSIDE, _INSIDE = re.compile(rb'[][{}",]'), re.compile(rb'["\\]')


def _elements(chunks: Iterable[bytes], longest: int) -> Iterator[bytes | None]:
    """The elements of a list as text, cut out where each ends; None for one that is longer than the limit.

    Only brackets and quotes are looked at: whether an element is JSON is asked of it alone, so that a bad one costs
    none of the others.
    """
    depth, quoted, skip = 0, False, 0
    element, size = bytearray(), 0
    for chunk in chunks:
        start, place = 0, skip
        skip = 0
        while found := (_INSIDE if quoted else _OUTSIDE).search(chunk, place):
            letter, place = found[0], found.end()
            if letter == b"\\":
                place += 1
                if place > len(chunk):
                    skip, place = 1, len(chunk)
            elif letter == b'"':
                quoted = not quoted
            elif letter in b"[{":
                depth += 1
                start = place if depth == 1 else start
            elif (letter == b"," and depth == 1) or (letter in b"]}" and depth <= 1):
                size += found.start() - start
                element += chunk[start : found.start()] if size <= longest else b""
                if element.strip() or size > longest:
                    yield bytes(element.strip()) if size <= longest else None
                element.clear()
                start, size = place, 0
                if letter != b",":
                    return
            elif letter in b"]}":
                depth -= 1
        size += len(chunk) - start
        element += chunk[start:] if size <= longest else b""
    if element.strip():
        yield bytes(element)  # the list ends in the midst of one
