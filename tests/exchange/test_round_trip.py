"""What is written to a file and read again is what was there, in every format; and a second time adds nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from palate.datasets.files.formulas import as_it_was, inert
from palate.datasets.files.rejects import Reject, inert_cells
from palate.entities import Answer, AnswerKind
from palate.entities.provenance import Provenance
from palate.exchange.dump import dump
from palate.exchange.formats import FORMATS, WHOLE
from palate.exchange.hugging_face import write_data_set
from palate.exchange.load import Loaded, load
from palate.exchange.tools import FORMS, Meaning
from palate.records import Attribute, Calibration, Consent, Event, rate
from palate.store.open_store import open_store
from palate.store.protocol import LabelStore, active, refusing
from palate.testing.label_stores import _every_field as every_content

CAME = Provenance("gpt", "http", "mood", "m-7", "q-1", -0.5, "s-1", 10.25, 0.02, 900, "2026-01")
MORE = (
    Answer("ann", "film", AnswerKind.RATING, 4.0, key="our label", provenance=CAME),
    Event("ann", "film", "click", slate="s-1", key="our event"),
    Consent("ann", ("serve", "ask"), "2026-01", 12.5, "our consent"),
    Calibration("bob", 0.75, "mood", 13.5, "our calibration"),
)


Opens = Callable[[str], LabelStore]


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """Opens a log by its name; all are closed in the end."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(open_store(tmp_path / f"{name}.sqlite"))


@pytest.fixture
def log(opens: Opens) -> LabelStore:
    log = opens("full")
    log.append([*every_content(), *MORE])
    log.retract("full", retraction_key="taken back")
    return log


def cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def loaded(path: Path, log: LabelStore, format: str, **options: object) -> Loaded:
    return load(path, log, format, rejects=path.with_name("rejects.csv"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("format", WHOLE)
def test_a_log_comes_back_whole(log: LabelStore, opens: Opens, tmp_path: Path, format: str) -> None:
    written, left_out = dump(log, tmp_path / "file", format)
    rows = [(record.content, record.retracts) for record in log.records()]
    assert (written, left_out) == (len(rows), 0)
    again = opens("again")
    assert loaded(tmp_path / "file", again, format) == Loaded(added=len(rows))
    assert [(record.content, record.retracts) for record in again.records()] == rows
    for known in (again, log):
        assert loaded(tmp_path / "file", known, format) == Loaded(repeated=len(rows))
        assert [(record.content, record.retracts) for record in known.records()] == rows


@pytest.mark.parametrize("format", [format for format in FORMATS if format not in WHOLE])
def test_what_a_tool_can_hold_comes_back_through_it(log: LabelStore, opens: Opens, tmp_path: Path, format: str) -> None:
    dump(log, tmp_path / "file", format)
    fitting = [
        record.content
        for record in active(log.records())
        if isinstance(record.content, Answer) and record.content.form in FORMS
    ]
    again = opens("again")
    assert loaded(tmp_path / "file", again, format) == Loaded(added=len(fitting))
    assert [record.content for record in again.records()] == fitting
    assert loaded(tmp_path / "file", again, format) == loaded(tmp_path / "file", log, format)
    assert loaded(tmp_path / "file", log, format) == Loaded(repeated=len(fitting))


TASK = {
    "id": 7,
    "data": {"sku": "i7", "customer": "ann"},
    "annotations": [
        {
            "id": 70,
            "completed_by": 3,
            "created_at": "1970-01-01T00:01:00Z",
            "was_cancelled": False,
            "result": [{"type": "rating", "value": {"rating": 4}}, {"type": "textarea", "value": {"text": ["good"]}}],
        },
        {"id": 71, "completed_by": {"email": "bob@here"}, "was_cancelled": True, "result": []},
        {"id": 72, "completed_by": 3, "result": [{"type": "choices", "value": {"choices": ["liked"]}}]},
        {"id": 73, "completed_by": 3, "result": [{"type": "choices", "value": {"choices": ["a", "b"]}}]},
    ],
}
RECORD = {
    "id": "r7",
    "status": "completed",
    "fields": {"text": "a film"},
    "metadata": {"sku": "i7", "customer": "ann"},
    "responses": {"mark": [{"value": "liked", "user_id": "u1"}, {"value": 2, "user_id": "u2", "status": "discarded"}]},
}
DOCUMENT = {"id": 7, "text": "a film", "label": ["liked"], "sku": "i7"}
FLAT = {  # as Argilla 2.8 flattens a record
    "id": "r7",
    "status": "completed",
    "_server_id": "s",
    "text": "a film",
    "sku": "i7",
    "customer": "ann",
    "mark.responses": ["liked", 2, 4],
    "mark.responses.users": ["u1", "u2", "u3"],
    "mark.responses.status": ["submitted", "discarded", "draft"],
    "mark.suggestion": "liked",
    "mark.suggestion.score": 0.9,
    "mark.suggestion.agent": "m",
}
INTENT = {"id": 7, "text": "a film", "cats": ["liked"], "entities": [], "sku": "i7"}
IMAGE = {"id": 7, "filename": "i7", "sku": "i7", "label": ["liked"], "Comments": ["good"]}
_TASK = {"text": "a film", "sku": "i7", "_input_hash": 1, "_task_hash": -7, "_annotator_id": "lea", "_timestamp": 60}
CHOSEN = {**_TASK, "options": [{"id": "liked"}, {"id": "disliked"}], "accept": ["liked"], "answer": "accept"}
REFUSED = {**_TASK, "options": [{"id": "liked"}], "accept": [], "answer": "reject"}
IGNORED = {**_TASK, "accept": [], "answer": "ignore"}
YES = {**_TASK, "label": "GOOD", "answer": "accept"}


@pytest.mark.parametrize(
    ("format", "element", "expected"),
    [
        (
            "label-studio",
            TASK,
            [
                ("ann", "i7", "rating", 4.0, "3", "label-studio:7:70", 60.0),
                ("ann", "i7", "skipped", None, "bob@here", "label-studio:7:71", None),
                ("ann", "i7", "rating", 5.0, "3", "label-studio:7:72", None),
            ],
        ),
        ("argilla", RECORD, [("ann", "i7", "rating", 5.0, "u1", "argilla:r7:mark:u1", None)]),
        ("doccano", DOCUMENT, [("doccano", "i7", "rating", 5.0, "doccano", "doccano:7:doccano", None)]),
        ("argilla", FLAT, [("ann", "i7", "rating", 5.0, "u1", "argilla:r7:mark:u1", None)]),
        ("doccano", INTENT, [("doccano", "i7", "rating", 5.0, "doccano", "doccano:7:doccano", None)]),
        ("doccano", IMAGE, [("doccano", "i7", "rating", 5.0, "doccano", "doccano:7:doccano", None)]),
        ("prodigy", CHOSEN, [("lea", "i7", "rating", 5.0, "lea", "prodigy:-7:lea", 60.0)]),
        ("prodigy", REFUSED, []),
        ("prodigy", IGNORED, [("lea", "i7", "skipped", None, "lea", "prodigy:-7:lea", 60.0)]),
        ("prodigy", YES, [("lea", "i7", "rating", 4.0, "lea", "prodigy:-7:lea", 60.0)]),
    ],
)
def test_the_file_of_a_tool_that_knows_nothing_of_us(
    opens: Opens, tmp_path: Path, format: str, element: object, expected: list[tuple[object, ...]]
) -> None:
    (tmp_path / "file").write_text(json.dumps([element] if format != "doccano" else element))
    log = opens("labels")
    meaning = Meaning({"liked": 5.0, "accept": 4.0}, {"item_id": "sku", "user_id": "customer"})
    found = loaded(tmp_path / "file", log, format, meaning=meaning)
    said = [record.answer for record in log.records()]
    assert [(a.user_id, a.item_id, a.kind, a.value, a.source, a.key, a.answered_at) for a in said] == expected
    assert found == Loaded(added=len(expected), rejected=int(format == "label-studio"))
    if found.rejected:
        (_, reject) = cells(tmp_path / "rejects.csv")
        assert reject == ["file", "1", "result", "has 2 choices. There must be one"]


def test_an_answer_that_a_tool_changed_is_another_answer(log: LabelStore, tmp_path: Path) -> None:
    log.append([Answer("ann", "film", AnswerKind.RATING, 4.0, propensity=0.5, question="epig", key="mine")])
    dump(log, tmp_path / "file", "label-studio")
    tasks = json.loads((tmp_path / "file").read_text())
    (task,) = [task for task in tasks if task["annotations"][0]["unique_id"] == "mine"]
    task["annotations"].append({**task["annotations"][0], "unique_id": "theirs", "completed_by": 9})
    task["annotations"][0] = {**task["annotations"][0], "was_cancelled": True}
    (tmp_path / "file").write_text(json.dumps([task]))
    assert loaded(tmp_path / "file", log, "label-studio") == Loaded(added=1, rejected=1)
    assert "the label key 'mine' is taken" in (tmp_path / "rejects.csv").read_text()
    theirs = log.find("theirs").answer
    assert (theirs.source, theirs.propensity, theirs.question) == ("9", None, "")  # which nobody asked them


def test_what_no_tool_would_write_is_told(opens: Opens, tmp_path: Path) -> None:
    crooked = {**FLAT, "mark.responses.users": ["u1"]}
    for format, element, reason in (
        ("argilla", crooked, "not as many values"),
        ("prodigy", _TASK, "none of accept, reject and ignore"),
        ("prodigy", {**CHOSEN, "accept": ["liked", "disliked"]}, "2 options"),
        ("doccano", {**INTENT, "cats": ["a", "b"]}, "2 labels"),
    ):
        (tmp_path / "file").write_text(json.dumps([element]))
        assert loaded(tmp_path / "file", opens("none"), format) == Loaded(rejected=1)
        assert reason in (tmp_path / "rejects.csv").read_text()


def test_a_folder_for_the_hub_has_the_labels_that_count_and_a_card(log: LabelStore, tmp_path: Path) -> None:
    log.append([Consent("eve", ("serve",), "v1", key="not for research"), rate("eve", "film", 2.0, key="of eve")])
    (tmp_path / "allowed").mkdir()
    (tmp_path / "out").mkdir()
    allowed, _ = write_data_set(log, tmp_path / "allowed", title="", purpose="research")
    written, left_out = write_data_set(log, tmp_path / "out", title="our | films")
    labels = [row.answer for row in active(log.records()) if isinstance(row.content, Answer)]
    refused = refusing(log.records(), "research")
    assert "eve" in refused and allowed == sum(one.user_id not in refused for one in labels) < len(labels)
    rows = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert written == len(rows) == len(labels) and written + left_out == len(active(log.records()))
    said = [(row["user_id"], row["item_id"], row["kind"], row["value"], tuple(row["others"])) for row in rows]
    assert said == [(one.user_id, one.item_id, one.kind, one.value, one.others) for one in labels]
    assert {row["subject"] for row in rows} == {"taste", "plot", "mood"}
    _, head, text = (tmp_path / "out" / "README.md").read_text().split("---\n")
    card = yaml.safe_load(head)
    assert card["configs"] == [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "data/train-00000-of-00001.parquet"}],
        }
    ]
    assert card["size_categories"] == ["n<1K"]
    assert text.startswith("\n# our   films\n") and f"{written:,} labels" in text


def test_rows_without_a_key_get_one_of_what_they_say(opens: Opens, tmp_path: Path) -> None:
    rows = [{"user_id": "ann", "item_id": "i1", "value": 4}, {"user_id": "ann", "item_id": "i1", "value": 5}]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, [*rows, rows[0]])))
    log = opens("labels")
    assert loaded(tmp_path / "labels.jsonl", log, "jsonl") == Loaded(added=2, repeated=1)
    assert loaded(tmp_path / "labels.jsonl", log, "jsonl") == Loaded(repeated=3)


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "'=1", "'")
TEXTS = (*FORMULAS, "\t=1", "\r=1", "a\r\nb\\n", "")


def test_UI_04_formulas_are_text_in_csv_and_untouched_in_json(opens: Opens, tmp_path: Path) -> None:
    log = opens("labels")
    log.append([Answer(text, text, AnswerKind.UNKNOWN, source=text, key=text) for text in FORMULAS])
    log.append([Attribute("ann", "note", text, f"note {number}") for number, text in enumerate(TEXTS)])
    log.append([rate("ann", "i1", -4.0, key="below zero")])
    dump(log, tmp_path / "log.csv", "csv")
    dump(log, tmp_path / "log.jsonl", "jsonl")
    names, *rows = cells(tmp_path / "log.csv")
    assert len(rows) == len(FORMULAS) + len(TEXTS) + 1
    for row in rows:
        for name, cell in zip(names, row, strict=True):
            assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r") or (name, cell) == ("value", "-4.0")
    told = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["item_id"] for row in told[: len(FORMULAS)]] == list(FORMULAS)
    assert [row["text"] for row in told[len(FORMULAS) : -1]] == list(TEXTS)
    for text in TEXTS:
        assert inert(text)[:1] not in ("=", "+", "-", "@", "\t", "\r") and as_it_was(inert(text)) == text
    assert inert_cells(Reject("=a.csv", 1, "", "+1")) == ["'=a.csv", "1", "", "'+1"]
    again = opens("again")
    assert loaded(tmp_path / "log.csv", again, "csv").rejected == 0
    assert [record.content for record in again.records()] == [record.content for record in log.records()]
