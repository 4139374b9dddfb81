from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import palate
from palate.entities import Answer, AnswerKind, Form
from palate.errors import AnswerError, DataError, IdError, InputError, StoreBusy, StoreError
from palate.records import Attribute, Content, Event, Record
from palate.store import lock
from palate.store.migrations import older
from palate.store.protocol import active
from palate.store.sqlite_log import LabelLog

SOURCE = str(Path(palate.__file__).resolve().parents[1])


def rating(user: str, item: str, value: float, key: str = "") -> Answer:
    return Answer(user, item, AnswerKind.RATING, value, key=key)


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": SOURCE}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.sqlite"


@pytest.fixture
def log(path: Path) -> Iterator[LabelLog]:
    ticks = iter(range(1_000, 9_000))
    with LabelLog.open(path, clock=lambda: float(next(ticks))) as opened:
        yield opened


def test_append_returns_what_is_kept_in_order(log: LabelLog) -> None:
    sent = Answer(
        "ann", "film", AnswerKind.RATING, 4, "ann", 0.25, "k1", question="epig", asked_at=10, answered_at=11.5
    )
    labels = log.append([sent, Answer("bob", "film", AnswerKind.UNKNOWN, key="k2")])
    assert labels == [
        Record(1, replace(sent, value=4.0, asked_at=10.0), 1000.0),
        Record(2, Answer("bob", "film", AnswerKind.UNKNOWN, key="k2"), 1001.0),
    ]
    assert list(log.records()) == labels
    assert list(log.records(after_seq=1)) == labels[1:]


def test_an_empty_key_gets_one_of_its_own(log: LabelLog) -> None:
    first, second = log.append([rating("ann", "film", 4), rating("ann", "film", 4)])
    assert first.answer.key != second.answer.key
    assert len(first.answer.key) == 32


def test_the_same_key_again_gives_the_first_label(log: LabelLog) -> None:
    (first,) = log.append([rating("ann", "film", 4, "k")])
    stamped_anew = replace(rating("ann", "film", 4, "k"), answered_at=99.0)
    assert log.append([stamped_anew, rating("ann", "film", 4, " k ")]) == [first, first]
    assert list(log.records()) == [first]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": 5.0}, "the label key 'k' is taken: the log holds value 4.0 under it, not 5.0. "),
        ({"user_id": "bob"}, "the label key 'k' is taken: the log holds user_id 'ann' under it, not 'bob'. "),
        ({"propensity": 0.5}, "the label key 'k' is taken: the log holds propensity None under it, not 0.5. "),
    ],
)
def test_another_answer_under_a_taken_key_is_refused(log: LabelLog, change: dict[str, object], message: str) -> None:
    first = rating("ann", "film", 4, "k")
    kept = log.append([first])
    with pytest.raises(AnswerError) as caught:
        log.append([rating("cid", "film", 1), replace(first, **change)])  # type: ignore[arg-type]
    assert str(caught.value) == message + "Send a different answer under a key of its own."
    assert list(log.records()) == kept  # nor was the other answer of the batch


def test_undo_is_a_row(log: LabelLog) -> None:
    kept = log.append([rating("ann", "film", 4, "k"), rating("ann", "book", 2, "b"), rating("ann", "song", 3, "s")])
    undo = log.retract("k", source="ann")
    assert undo == Record(4, Answer("ann", "film", AnswerKind.RATING, 4.0, "ann", key=undo.answer.key), 1003.0, "k")
    assert list(log.records()) == [*kept, undo]
    assert active(log.records()) == active([undo, *kept[::-1]]) == kept[1:]


def test_what_cannot_be_retracted(log: LabelLog) -> None:
    log.append([rating("ann", "film", 4, "k"), rating("ann", "film", 4, "other")])
    log.retract("k", retraction_key="u")
    before = list(log.records())
    with pytest.raises(AnswerError, match=r"^no row of the log has the key 'x'\. Give the key of one that is there\.$"):
        log.retract("x")
    with pytest.raises(AnswerError, match=r"^the row 'k' has already been retracted\. There is nothing left to undo"):
        log.retract("k")
    with pytest.raises(
        AnswerError, match=r"^the row 'u' is itself a retraction\. To undo it, append what it took back"
    ):
        log.retract("u")
    with pytest.raises(
        AnswerError, match="the label key 'u' is taken: the log holds retracts 'k' under it, not 'other'"
    ):
        log.retract("other", retraction_key="u")
    with pytest.raises(AnswerError, match="the label key 'u' is taken: the log holds retracts 'k' under it, not ''"):
        log.append([rating("ann", "film", 4, "u")])
    assert list(log.records()) == before


def test_records_pages_through_a_long_log(log: LabelLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palate.store.sql_log.PAGE_ROWS", 3)
    kept = log.append([rating("ann", str(number), number) for number in range(10)])
    reading = log.records()
    assert [next(reading) for _ in range(3)] == kept[:3]
    late = log.append([rating("ann", "late", 1)])
    assert list(reading) == [*kept[3:], *late]


@pytest.mark.parametrize("field", ["propensity", "asked_at", "answered_at"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, "soon"])
def test_numbers_that_are_none_are_refused(log: LabelLog, field: str, value: object) -> None:
    what = r"probability\. Give a number from 0 to 1" if field == "propensity" else r"finite number\. Give a finite one"
    with pytest.raises(AnswerError, match=rf"^{field} .* is not a {what}, or None\.$"):
        log.append([rating("bob", "film", 4), replace(rating("ann", "film", 4), **{field: value})])  # type: ignore[arg-type]
    assert list(log.records()) == []


def test_a_propensity_is_a_probability(log: LabelLog) -> None:
    with pytest.raises(
        AnswerError, match=r"^propensity 1\.5 is not a probability\. Give a number from 0 to 1, or None"
    ):
        log.append([replace(rating("ann", "film", 4), propensity=1.5)])


@pytest.mark.parametrize("field", ["key", "source", "question"])
@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 257])
def test_texts_no_store_can_hold_are_refused(log: LabelLog, field: str, text: str) -> None:
    with pytest.raises(IdError, match=f"^{field} "):
        log.append([replace(rating("ann", "film", 4), **{field: text})])  # type: ignore[arg-type]


def test_large_and_numpy_numbers_come_back_equal(log: LabelLog) -> None:
    values = [10**18, -(10**18), 2**63, 1e-300, np.float32(0.1), np.int64(3)]
    kept = log.append([rating("ann", str(place), value) for place, value in enumerate(values)])
    assert [label.answer.value for label in log.records()] == [float(value) for value in values]
    assert all(type(label.answer.value) is float for label in kept)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET value = 5",
        "UPDATE records SET seq = seq + 10",
        "DELETE FROM records",
        "INSERT OR REPLACE INTO records SELECT * FROM records",
        "INSERT OR REPLACE INTO records (key, content, user_id, item_id, kind, value, recorded_at) "
        "VALUES ('k', 'event', 'ann', 'film', 'click', 1, 0)",
    ],
)
def test_no_program_can_change_a_row(log: LabelLog, path: Path, statement: str) -> None:
    kept = log.append([rating("ann", "film", 4, "k")])
    other = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="the label log only grows"):
        other.execute(statement)
    other.close()
    assert list(log.records()) == kept


SEAL = {"salt": b"s", "digest": b"d", "chain": b"c"}
LABEL = {
    **SEAL,
    **{"key": "k", "user_id": "ann", "recorded_at": 0.0, "content": "label", "item_id": "film", "kind": "rating"},
    **{"value": 4.0, "source": "x", "question": "", "form": "rate", "others": "[]", "tapped": "[]"},
}
EVENT = {
    **SEAL,
    "key": "e",
    "user_id": "ann",
    "recorded_at": 0.0,
    "content": "event",
    "item_id": "film",
    "kind": "",
    "value": 1.0,
}
ATTRIBUTE = {
    **SEAL,
    **{"key": "a", "user_id": "ann", "recorded_at": 0.0, "content": "attribute", "name": "age", "value": 3.0},
}
CONSENT = {
    **SEAL,
    **{"key": "c", "user_id": "ann", "recorded_at": 0.0, "content": "consent", "name": "v1", "others": '["ask"]'},
}
CALIBRATION = {
    **SEAL,
    **{"key": "r", "recorded_at": 0.0, "content": "calibration", "source": "ann", "value": 0.5},
}
ERASURE = {
    **SEAL,
    **{"key": "x", "recorded_at": 0.0, "content": "erasure", "value": 0.0, "text": f"{'0' * 32}:{'0' * 64}"},
}


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (LABEL, [{"value": None}, {"value": float("nan")}, {"kind": "unknown"}, {"kind": "liked", "value": None}]),
        (
            LABEL,
            [{"form": "essay"}, {"form": None}, {"propensity": 2.0}, {"item_id": None}, {"name": "age"}, {"at": 1.0}],
        ),
        (LABEL, [{"content": "note"}, {"content": "event"}, {"content": "attribute"}, {"key": ""}]),
        (EVENT, [{"value": None}, {"value": 1.5}, {"item_id": None}, {"kind": None}, {"form": "rate"}, {"text": "x"}]),
        (ATTRIBUTE, [{"name": None}, {"text": "three"}, {"item_id": "film"}, {"at": 1.0}, {"salt": None}]),
        (CONSENT, [{"name": None}, {"others": None}, {"user_id": None}, {"value": 1.0}]),
        (CALIBRATION, [{"value": 1.5}, {"source": None}, {"user_id": "ann"}]),
        (ERASURE, [{"text": None}, {"user_id": "ann"}, {"erased_by": 1}, {"content": "erased"}]),
    ],
)
def test_the_table_checks_what_another_program_writes(
    log: LabelLog, path: Path, row: dict[str, object], changes: list[dict[str, object]]
) -> None:
    def write(row: dict[str, object]) -> None:
        other.execute(f"INSERT INTO records ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})", [*row.values()])

    other = sqlite3.connect(path, isolation_level=None)
    for change in changes:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
            write({**row, **change})
    write(row)  # the control: what was wrong with the others is the change alone
    other.close()
    assert [record.content.key for record in log.records()] == [row["key"]]


def test_a_row_that_the_rules_of_today_refuse_is_read_as_it_was_kept(log: LabelLog, path: Path) -> None:
    other = sqlite3.connect(path)
    for row in (LABEL, EVENT, ATTRIBUTE):
        row = {**row, "user_id": "x" * 300}
        other.execute(f"INSERT INTO records ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})", [*row.values()])
    other.commit()
    other.close()
    assert [record.content.user_id for record in log.records()] == ["x" * 300] * 3
    assert [record.content.key for record in log.append([rating("ann", "film", 4.0, "new")])] == ["new"]


def test_settings_that_durability_rests_on(log: LabelLog) -> None:
    def setting(name: str) -> object:
        return log._writer().execute(f"PRAGMA {name}").fetchone()[0]

    assert setting("journal_mode") == "wal"
    assert setting("synchronous") == 2  # FULL
    assert setting("mmap_size") == 0


def test_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    LabelLog.open(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 8")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        LabelLog.open(path)
    assert str(caught.value) == (
        f"{path} is a label log of version 8; this Palate reads version 7. "
        "Install a newer Palate, in its checkout: git pull && pip install ."
    )
    assert path.read_bytes() == before


OF_VERSION_1 = """
    CREATE TABLE labels (
        seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE CHECK (key <> ''), user_id TEXT NOT NULL,
        item_id TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('rating', 'no-opinion', 'unknown', 'skipped')),
        value REAL CHECK ((value IS NOT NULL) = (kind = 'rating')), source TEXT NOT NULL,
        propensity REAL CHECK (propensity BETWEEN 0 AND 1), question TEXT NOT NULL, asked_at REAL, answered_at REAL,
        recorded_at REAL NOT NULL, retracts TEXT UNIQUE
    ) STRICT;
    CREATE TRIGGER labels_no_update BEFORE UPDATE ON labels BEGIN SELECT RAISE(ABORT, 'the label log only grows'); END;
    PRAGMA application_id = 1346456660;
    PRAGMA user_version = 1;
"""
WRITTEN_BY_1 = (
    "INSERT INTO labels (key, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at, "
    "recorded_at, retracts) VALUES (?, 'ann', 'film', 'rating', 4.0, 'person', 0.5, 'epig', NULL, NULL, 7.0, NULL)"
)


COLUMNS_OF_VERSION_2 = """
    ALTER TABLE labels ADD COLUMN form TEXT NOT NULL DEFAULT 'rate' CHECK (form IN ('rate', 'pair', 'group'));
    ALTER TABLE labels ADD COLUMN others TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE labels ADD COLUMN tapped TEXT NOT NULL DEFAULT '[]';
    PRAGMA user_version = 2;
"""
PAIR_WRITTEN_BY_2 = (
    "INSERT INTO labels VALUES (7, 'p', 'ann', 'film', 'rating', 1.0, 'person', NULL, '', 3.0, 4.0, 5.0, NULL, 'pair', "
    "'[\"b\\u00fc\"]', '[]'), "
    "(9, 'u', 'ann', 'film', 'rating', 4.0, 'ann', NULL, '', NULL, NULL, 6.0, 'k', 'rate', '[]', '[]')"
)
KEPT_BY_1 = [Record(1, Answer("ann", "film", AnswerKind.RATING, 4.0, propensity=0.5, key="k", question="epig"), 7.0)]
KEPT_BY_2 = [
    *KEPT_BY_1,
    Record(
        7, Answer("ann", "film", AnswerKind.RATING, 1.0, "person", None, "p", "", 3.0, 4.0, Form.PAIR, ("bü",)), 5.0
    ),
    Record(9, Answer("ann", "film", AnswerKind.RATING, 4.0, "ann", key="u"), 6.0, "k"),
]


def old_log(path: Path, version: int) -> sqlite3.Connection:
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(OF_VERSION_1)
    old.execute(WRITTEN_BY_1, ("k",))
    if version == 2:
        old.executescript(COLUMNS_OF_VERSION_2)
        old.execute(PAIR_WRITTEN_BY_2)
    return old


@pytest.mark.parametrize(("version", "kept"), [(1, KEPT_BY_1), (2, KEPT_BY_2)])
def test_a_log_of_an_older_version_keeps_its_rows_and_their_places(
    path: Path, version: int, kept: list[Record]
) -> None:
    old = old_log(path, version)
    with LabelLog.open(path) as log:
        assert list(log.records()) == kept
        (event,) = log.append([Event("ann", "film", "click", key="e")])
        assert event.seq == kept[-1].seq + 1
        assert log.append([kept[0].answer])[0] == kept[0]  # a repeat is one still
        for statement in ("SELECT * FROM labels", WRITTEN_BY_1.replace("?", "'still'")):
            with pytest.raises(sqlite3.OperationalError, match="no such table: labels"):  # opened before the move
                old.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match="the label log only grows"):
            old.execute("UPDATE records SET value = 1")
        assert old.execute("PRAGMA user_version").fetchone() == (7,)
    old.close()
    with LabelLog.open(path) as log:
        assert list(log.records()) == [*kept, event]


def log_of_version_3(path: Path) -> sqlite3.Connection:
    """As it was before an item could be named, picked or clicked."""
    old = sqlite3.connect(path, isolation_level=None)
    for statement in older.VERSION_4:
        old.execute(statement.replace(", 'recall', 'pick', 'slate'", ""))
    old.execute("PRAGMA user_version = 3")
    return old


def test_a_log_without_choices_takes_them(path: Path) -> None:
    old = log_of_version_3(path)
    old.execute(
        "INSERT INTO records (key, content, user_id, item_id, kind, value, recorded_at) "
        "VALUES ('e', 'event', 'ann', 'film', 'click', 1.0, 5.0)"
    )
    old.close()
    named = Answer("ann", "film", AnswerKind.RATING, key="n", form=Form.RECALL)
    with LabelLog.open(path) as log:
        assert list(log.records()) == [Record(1, Event("ann", "film", "click", key="e"), 5.0)]
        assert log.append([named])[0].seq == 2
        assert log.verify().is_whole
    again = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="the label log only grows"):
        again.execute("DELETE FROM records")
    assert again.execute("SELECT count(*) FROM sqlite_master WHERE name = 'older'").fetchone() == (0,)
    again.close()


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            Event("ann", "film", "save", key="e"),
            "the event key 'e' is taken: the log holds kind 'click' under it, not 's",
        ),
        (
            Event("ann", "film", key="a"),
            "the event key 'a' is taken: the log holds content 'attribute' under it, not 'ev",
        ),
        (
            Attribute("ann", "age", 4, key="a"),
            "the attribute key 'a' is taken: the log holds value 3.0 under it, not 4",
        ),
        (
            Attribute("ann", "age", "3", key="a"),
            "the attribute key 'a' is taken: the log holds value 3.0 under it, not",
        ),
    ],
)
def test_another_event_or_attribute_under_a_taken_key_is_refused(log: LabelLog, sent: Content, message: str) -> None:
    kept = log.append([Event("ann", "film", "click", at=1.0, key="e"), Attribute("ann", "age", 3.0, key="a")])
    assert log.append([Event("ann", "film", "click", at=2.0, key="e")]) == kept[:1]  # stamped anew
    with pytest.raises(AnswerError, match=f"^{message}"):
        log.append([rating("bob", "film", 1.0), sent])
    assert list(log.records()) == kept


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (lambda: Event("ann", "film", at=math.nan), "at nan is not a finite number. Give a finite one, or None."),
        (lambda: Event("ann", "film", key="x" * 257), "key 'xxx"),
        (lambda: Attribute("ann", "age", math.inf), "the attribute age is inf. Give a finite number, a text, or None."),
        (lambda: Attribute("ann", "age", True), "the attribute age is True. Give a finite number, a text, or None."),
        (lambda: Attribute("ann", "age", [3]), "the attribute age is [3]. Give a finite number, a text, or None."),  # type: ignore[arg-type]
        (
            lambda: Attribute("ann", "age", "a\0"),
            "the attribute age is 'a\\x00': a zero byte or half a surrogate pair. Remove it.",
        ),
        (lambda: Attribute("ann", "age", "\ud800"), "the attribute age is '\\ud800': a zero byte or half a surrogate"),
        (lambda: Attribute("ann", "age", "ü" * 40_000), "the attribute age has 40,000 characters, of at most 65,536"),
        (lambda: "film", "what is to be kept holds 'film'. Give answers, events and attributes."),
    ],
)
def test_what_is_no_row_is_refused(log: LabelLog, sent: Callable[[], Content], message: str) -> None:
    with pytest.raises(InputError) as caught:
        log.append([rating("bob", "film", 1.0), sent()])
    assert str(caught.value).startswith(message)
    assert list(log.records()) == []


def test_something_that_is_no_list_is_refused(log: LabelLog) -> None:
    with pytest.raises(DataError, match=r"Give a list of answers, events and attributes\.$"):
        log.append(rating("ann", "film", 4.0))  # type: ignore[arg-type]


def test_answers_of_every_form_come_back_equal_and_can_be_taken_back(log: LabelLog) -> None:
    sent = [
        Answer("ann", "film", AnswerKind.RATING, 1.0, key="p", form=Form.PAIR, others=("book",)),
        Answer("ann", "a", AnswerKind.RATING, key="g", form=Form.GROUP, others=('b"],', "ü"), tapped=("ü", "a")),
        Answer("ann", "comedy", AnswerKind.RATING, 0.0, key="c", form=Form.CONCEPT),
        Answer("ann", "film", AnswerKind.UNKNOWN, key="v", form=Form.PREVIEW),
    ]
    assert [label.answer for label in log.append(sent)] == sent
    assert [label.answer for label in log.records()] == sent
    undo = log.retract("g")
    assert (undo.answer.form, undo.answer.others, undo.answer.tapped) == (Form.GROUP, ('b"],', "ü"), ("ü", "a"))
    assert [label.answer.key for label in active(log.records())] == ["p", "c", "v"]
    with pytest.raises(AnswerError, match="the label key 'p' is taken: the log holds others \\('book',\\) under it"):
        log.append([Answer("ann", "film", AnswerKind.RATING, 1.0, key="p", form=Form.PAIR, others=("tune",))])


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE labels (mine TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        LabelLog.open(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("user_id,item_id,rating\n" * 100)
    with pytest.raises(StoreError) as caught:
        LabelLog.open(path)
    assert str(caught.value) == (
        f"the label log {path} cannot be used: file is not a database. "
        "Give the path of a label log, or of a file that does not exist yet."
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"No such file or directory. Give a folder that is there and writable\.$"):
        LabelLog.open(tmp_path / "none" / "labels.sqlite")


def test_a_damaged_log_is_an_error_of_ours(path: Path) -> None:
    with LabelLog.open(path) as log:
        log.append([rating("ann", str(number), number) for number in range(500)])
    damaged = bytearray(path.read_bytes())
    half = len(damaged) // 2
    damaged[half:] = b"\xff" * (len(damaged) - half)
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"malformed\. Restore it from a backup\.$"), LabelLog.open(path) as log:
        list(log.records())


def test_a_full_disk_keeps_nothing_of_the_batch(log: LabelLog) -> None:
    kept = log.append([rating("ann", "film", 4, "k")])
    (pages,) = log._connection.execute("PRAGMA page_count").fetchone()
    log._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"disk is full\. Free some disk space, then send the same again\.$"):
        log.append([rating("ann", str(number), number) for number in range(1_000)])
    assert list(log.records()) == kept
    log._connection.execute("PRAGMA max_page_count = 1000000")
    assert len(log.append([rating("ann", str(number), number) for number in range(100)])) == 100


def test_a_file_that_cannot_be_written(log: LabelLog) -> None:
    log._writer().execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match=r"readonly database\. Make the file and its folder writable\.$"):
        log.append([rating("ann", "film", 4)])


def test_a_closed_log_says_so(path: Path) -> None:
    log = LabelLog.open(path)
    log.close()
    for use in (lambda: log.append([rating("ann", "film", 4)]), lambda: list(log.records()), lambda: log.retract("k")):
        with pytest.raises(StoreError, match=r"is closed\. Open it again\.$"):
            use()


def test_a_log_from_before_a_fork_is_refused(path: Path) -> None:
    code = """
import os, sys
from palate.entities import Answer, AnswerKind
from palate.errors import StoreError
from palate.store.sqlite_log import LabelLog
log = LabelLog.open(sys.argv[1])
if os.fork() == 0:
    try:
        log.append([Answer("ann", "film", AnswerKind.UNKNOWN)])
    except StoreError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
log.append([Answer("ann", "film", AnswerKind.UNKNOWN, key="parent")])
"""
    out, err = child(code, path).communicate(timeout=60)
    assert (out.strip(), err) == (f"the label log {path} was opened before a fork. Open it after.", "")
    with LabelLog.open(path) as log:
        assert [label.answer.key for label in log.records()] == ["parent"]


def test_threads_share_a_log(log: LabelLog) -> None:
    def work(name: str) -> None:
        for number in range(20):
            log.append([rating(name, str(number), part, f"{name}-{number}-{part}") for part in range(3)])
            assert sum(label.answer.user_id == name for label in log.records()) == 3 * (number + 1)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [label.seq for label in log.records()] == list(range(1, 241))


def test_two_processes_append_at_the_same_time(path: Path) -> None:
    code = """
import pathlib, sys, time
from palate.entities import Answer, AnswerKind
from palate.store.sqlite_log import LabelLog
with LabelLog.open(sys.argv[1]) as log:
    print("ready", flush=True)
    while not pathlib.Path(sys.argv[3]).exists():
        time.sleep(0.001)
    for number in range(150):
        log.append([Answer(sys.argv[2], str(number), AnswerKind.UNKNOWN, key=f"{sys.argv[2]}-{number}")])
"""
    start = path.with_name("start")
    children = [child(code, path, name, start) for name in ("a", "b")]
    for process in children:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    start.touch()
    results = [process.communicate(timeout=60) for process in children]
    assert [(process.returncode, err) for process, (_, err) in zip(children, results, strict=True)] == [(0, "")] * 2
    with LabelLog.open(path) as log:
        rows = list(log.records())
    assert {label.answer.key for label in rows} == {f"{name}-{number}" for name in "ab" for number in range(150)}
    assert [label.seq for label in rows] == list(range(1, 301))
    names = [label.answer.user_id for label in rows]
    assert names != sorted(names)  # they did overlap


def test_a_lock_that_is_held_too_long_is_an_error(path: Path, log: LabelLog) -> None:
    with (
        LabelLog.open(path, wait_seconds=0.05) as hasty,
        lock.exclusive(path.with_name("labels.sqlite-lock"), wait_seconds=1),
        pytest.raises(StoreBusy, match=r"labels.sqlite-lock has been held by process \d+ for 0\.05 s\. Let that"),
    ):
        hasty.append([rating("ann", "film", 4)])
    assert log.append([rating("ann", "film", 4)])[0].seq == 1


def test_the_log_needs_sqlalchemy_only() -> None:
    code = (
        "import sys, palate.store.sqlite_log; "
        "print({'polars', 'pyarrow', 'safetensors', 'numba', 'alembic', 'numpy'} & set(sys.modules))"
    )
    out, err = child(code).communicate(timeout=60)
    assert (out.strip(), err) == ("set()", "")


KEYS = ("a", "b", "c", "d")
USERS, KEY = st.sampled_from(["ann", "bob"]), st.sampled_from(KEYS)
CONTENTS = st.one_of(
    st.builds(rating, USERS, st.just("film"), st.sampled_from([1.0, 2.0]), KEY),
    st.builds(Event, USERS, st.just("film"), st.sampled_from(["click", "skip"]), key=KEY),
    st.builds(Attribute, USERS, st.just("age"), st.sampled_from([1.0, "1", None]), KEY),
)


class LogMachine(RuleBasedStateMachine):
    """The log beside a list of rows: (what it says, key it retracts)."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.log = LabelLog.open(Path(self.folder.name) / "labels.sqlite")
        self.rows: list[tuple[Content, str]] = []

    @rule(contents=st.lists(CONTENTS, max_size=3))
    def append(self, contents: list[Content]) -> None:
        rows = list(self.rows)
        seqs = []
        for content in contents:
            row = (content, "")
            known = {kept.key: (kept, retracts) for kept, retracts in rows}
            if known.setdefault(content.key, row) != row:
                with pytest.raises(AnswerError):
                    self.log.append(contents)
                return
            if row not in rows:
                rows.append(row)
            seqs.append(rows.index(row) + 1)
        assert [record.seq for record in self.log.append(contents)] == seqs
        self.rows = rows

    @rule(key=KEY)
    def retract(self, key: str) -> None:
        known = {content.key: content for content, _ in self.rows}
        if key not in known or any(retracts == key for _, retracts in self.rows):
            with pytest.raises(AnswerError):
                self.log.retract(key)
            return
        record = self.log.retract(key)
        self.rows.append((replace(known[key], key=record.content.key), key))

    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = LabelLog.open(Path(self.folder.name) / "labels.sqlite")

    @invariant()
    def same_rows(self) -> None:
        records = list(self.log.records())
        assert [(record.content, record.retracts) for record in records] == self.rows
        gone = {retracts for _, retracts in self.rows}
        kept = [content for content, retracts in self.rows if not retracts and content.key not in gone]
        assert [record.content for record in active(records)] == kept

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
