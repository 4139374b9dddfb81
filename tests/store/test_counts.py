"""Labels a day and receipts of erasures, counted alike by both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palate.entities import AnswerKind
from palate.entities.provenance import Provenance
from palate.records import events, rate
from palate.store.counts import DAY_SECONDS, labels_a_day, last_erasures
from palate.store.sql_log import SqlLog
from tests.store.conftest import Clock

MIDNIGHT = 20_000.0 * DAY_SECONDS


@pytest.fixture
def clock() -> Clock:
    found = Clock()
    found.now = MIDNIGHT
    return found


def test_labels_are_counted_by_day_way_and_kind_and_erasures_are_told_without_whom(log: SqlLog, clock: Clock) -> None:
    web, unknown = Provenance(channel="http"), AnswerKind.UNKNOWN
    for seconds, key in ((-1.0, "a"), (1.0, "b"), (DAY_SECONDS / 2.0, "c"), (DAY_SECONDS - 1.0, "d")):
        clock.now = MIDNIGHT + seconds
        log.append([replace(rate("ann", "i7", 4.0, key=key), provenance=web)])
    log.append(
        [replace(rate("bob", "i7", 4.0, key="e"), kind=unknown, value=None), *events("bob", ["i7"], kind="click")]
    )
    log.retract("b")
    found = labels_a_day(log, since=0.0)
    assert found == [
        (19_999, "http", "rating", 1),
        (20_000, "", "unknown", 1),
        (20_000, "http", "rating", 3),
    ]
    assert labels_a_day(log, since=MIDNIGHT) == found[1:]
    clock.now += 10.0
    receipt = log.erase("bob", key="gone")
    log.erase("nobody")
    assert last_erasures(log, 5)[1:] == [receipt] and receipt.rows == 2
    assert last_erasures(log, 1)[0].rows == 0
    assert labels_a_day(log, since=MIDNIGHT) == found[2:]
