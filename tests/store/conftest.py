"""A log on each of both databases, with a clock that a test sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from palate.store.postgres_log import PostgresLog
from palate.store.sql_log import SqlLog
from palate.store.sqlite_log import LabelLog


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[SqlLog]:
    if request.param == "sqlite":
        opened: SqlLog = LabelLog.open(tmp_path / "labels.sqlite", clock=clock)
    else:
        opened = PostgresLog(request.getfixturevalue("postgres").schema(), clock=clock)
    with opened:
        yield opened
