"""What a desk was given, and what was taken of it: lines in a file that only grows.

Label Studio keeps no history of an annotation and takes the same task twice, so both have to be kept here. A line is on
the disk before anybody is told of it; half a line at the end is of a process that was killed, and is written over.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palate.errors import OracleError, StoreError
from palate.errors.checks import path_of
from palate.store.lock import exclusive
from palate.store.model_folder import strict

JOURNAL = "journal.jsonl"
WAIT_SECONDS = 60.0  # for another process on the same folder
Row = dict[str, Any]
Voice = tuple[str, str]  # key of a question, and who speaks


class Journal:
    """The lines, and what they come to.

    Args:
        folder: Made if missing.
    Attributes:
        facts: Of the project: those of the first line; empty before there is one.
        questions: By key what was kept of each, in the order in which they were put.
        tasks: By key the task that it was put as.
        taken: What came of them, in order.
        voices: By question and person the last of those lines.
        ranked: The queue that the last put has made, and its model version; empty before there is one.
        lines: How many there are.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = path_of(folder, "folder")
        self.facts: Row = {}
        self.questions: dict[str, Row] = {}
        self.tasks: dict[str, int] = {}
        self.taken: list[Row] = []
        self.voices: dict[Voice, Row] = {}
        self.ranked: Row = {}
        self.lines = 0
        self._times_said = Counter[tuple[Voice, str]]()
        self._end = 0

    @property
    def path(self) -> Path:
        return self.folder / JOURNAL

    @contextmanager
    def held(self) -> Iterator[None]:
        """No other process puts or takes meanwhile; what it has written is read first."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {self.folder}: {error.strerror}. Give a folder that can be made.") from None
        with exclusive(self.folder / "lock", wait_seconds=WAIT_SECONDS):
            self._read()
            yield

    def add(self, *rows: Row) -> None:
        """Keep lines, on the disk before this returns."""
        if not rows:
            return
        data = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, self._end)
                if os.pwrite(descriptor, data, self._end) != len(data):
                    raise OSError(None, "a part of a line was written")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}. Make space, and call again.") from None
        self._end += len(data)
        for row in rows:
            self._apply(row)

    def times_said(self, voice: Voice, said: object) -> int:
        """How often somebody has said the same to a question before."""
        return self._times_said[voice, json.dumps(said)]

    def _read(self) -> None:
        try:
            with self.path.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self._end:
                    raise OracleError(f"{self.path} is shorter than it was. Put the newest copy back, then call again.")
                stream.seek(self._end)
                data = stream.read()
        except FileNotFoundError:
            if self._end:
                raise OracleError(f"{self.path} is gone. Put it back, then call again.") from None
            return
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}.") from None
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            try:
                self._apply(strict.loads(line))
            except (ValueError, KeyError, TypeError):
                raise OracleError(f"line {self.lines + 1} of {self.path} is none of ours. Put back a copy.") from None
            self._end += len(line)

    def _apply(self, row: Row) -> None:
        what = row["what"]
        if what == "project":
            self.facts = row
        elif what == "put":
            self.questions[row["key"]] = row
        elif what == "placed":
            self.tasks[row["key"]] = row["task"]
        elif what == "taken":
            voice = (row["question"], row["who"])
            self.taken.append(row)
            self.voices[voice] = row
            if row["key"]:
                self._times_said[voice, json.dumps(row["said"])] += 1
        elif what == "ranked":
            self.ranked = row
        elif what != "version":
            raise ValueError(what)
        self.lines += 1
