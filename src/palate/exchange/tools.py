"""Files of annotation tools: Label Studio, Argilla, doccano and Prodigy.

Each holds tasks that people answered. A task is about one item, ``item_id`` among its data; whose taste it tells is
``user_id`` there, or else whoever answered. An answer is a number, one of the words of :class:`AnswerKind`, or a word
that the caller has given a number. What the tool has no place for goes with the task as ``palate``, and counts again on
the way back where the answer is still the one that was exported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from palate.datasets.times import parse_moment
from palate.entities import ITEM, USER, Answer, AnswerKind, Form
from palate.exchange.json_files import write_lines, write_list
from palate.exchange.rows import Row, RowFault, row_of
from palate.records import Record

EXTRA = "palate"
FORMS = (Form.RATE, Form.PREVIEW)  # about one item, answered with one number or word
_ELSEWHERE = ("content", "seq", "recorded_at")


@dataclass(frozen=True, slots=True)
class Meaning:
    """How the words of a tool are taken.

    Attributes:
        words: By word the rating that it is, such as ``{"like": 1.0}``.
        columns: By ``user_id`` and ``item_id`` what the tasks call them.
    """

    words: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    def value(self, said: object) -> dict[str, Any]:
        """The columns of an answer: its kind, and its number if it is a rating.

        Raises:
            RowFault: If it is neither a number nor a word that means something.
        """
        if isinstance(said, bool) or not isinstance(said, (int, float, str)):
            raise RowFault("value", f"the answer {_short(said)} is neither a number nor a word")
        if isinstance(said, str) and said in self.words:
            return {"kind": AnswerKind.RATING.value, "value": self.words[said]}
        if isinstance(said, str) and said in set(AnswerKind) - {AnswerKind.RATING}:
            return {"kind": said}
        try:
            number = float(said)
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise RowFault("value", f"the answer {_short(said)} has no number. Say what it means: --value WORD=NUMBER")
        return {"kind": AnswerKind.RATING.value, "value": number}

    def about(self, data: Mapping[str, Any], source: str) -> dict[str, Any]:
        """The columns of a task: its item, and whose taste it is about."""
        item = data.get(self.columns.get(ITEM, ITEM))
        if item is None:
            raise RowFault(ITEM, f"the task has no {self.columns.get(ITEM, ITEM)} among its data")
        return {ITEM: item, USER: data.get(self.columns.get(USER, USER), source), "source": source}


def fits(record: Record) -> bool:
    """Whether a tool can hold it: a label about one item that takes nothing back."""
    return not record.retracts and isinstance(record.content, Answer) and record.content.form in FORMS


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _extra(row: Row, *elsewhere: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in (*_ELSEWHERE, *elsewhere)}


def _said(row: Row) -> float | str:
    said: float | str = row["value"] if row["kind"] == AnswerKind.RATING else row["kind"]
    return said


def _iso(seconds: object) -> str | None:
    if not isinstance(seconds, float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _joined(taken: Row, extra: object) -> dict[str, Any]:
    """A row as the tool tells it, with what it was exported with where it is the same answer."""
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except (ValueError, RecursionError):
            extra = None
    kept = extra if isinstance(extra, dict) and extra.get("key") == taken["key"] else {}
    return {**kept, **{name: value for name, value in taken.items() if value is not None}}


def _mapping(value: object, column: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RowFault(column, f"is {_short(value)} where there should be an object")
    return value


def _list(value: object, column: str) -> list[Any]:
    if not isinstance(value, list):
        raise RowFault(column, f"is {_short(value)} where there should be a list")
    return value


# --- Label Studio: a list of tasks, each with its annotations ---------------------------------------


def label_studio_task(record: Record) -> dict[str, Any]:
    """A label as a task with one annotation."""
    row = row_of(record)
    said = _said(row)
    value = {"number": said} if isinstance(said, float) else {"choices": [said]}
    kind = "number" if isinstance(said, float) else "choices"
    return {
        "id": record.seq,
        "data": {USER: row[USER], ITEM: row[ITEM], EXTRA: _extra(row, USER, ITEM, "kind", "value", "source")},
        "annotations": [
            {
                "id": record.seq,
                "unique_id": row["key"],
                "completed_by": {"email": row["source"], "first_name": "", "last_name": ""},
                "created_at": _iso(row.get("answered_at")),
                "was_cancelled": row["kind"] == AnswerKind.SKIPPED,
                "result": [{"id": "palate", "from_name": "answer", "to_name": "item", "type": kind, "value": value}],
            }
        ],
    }


_RESULTS = {"rating": "rating", "number": "number", "choices": "choices"}


def label_studio_rows(task: Mapping[str, Any], meaning: Meaning) -> Iterator[dict[str, Any]]:
    """The answers in a task; one that was skipped there is skipped here."""
    data = _mapping(task.get("data"), "data")
    for annotation in _list(task.get("annotations", []), "annotations"):
        found = _mapping(annotation, "annotations")
        source = _who(found.get("completed_by"))
        key = found.get("unique_id") or f"label-studio:{task.get('id')}:{found.get('id')}"
        said = AnswerKind.SKIPPED.value if found.get("was_cancelled") else _result(found)
        row = {"key": key, **meaning.about(data, source), **meaning.value(said)}
        created = found.get("created_at")
        row["answered_at"] = parse_moment(created) if isinstance(created, str) else None
        yield _joined(row, data.get(EXTRA))


def _who(completed_by: object) -> str:
    if isinstance(completed_by, Mapping):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "label-studio" if completed_by in (None, "") else str(completed_by)


def _result(annotation: Mapping[str, Any]) -> object:
    results = [_mapping(one, "result") for one in _list(annotation.get("result"), "result")]
    told = [one for one in results if one.get("type") in _RESULTS]
    if len(told) != 1:
        raise RowFault("result", f"has {len(told)} ratings, numbers and choices. There must be one")
    value = _mapping(told[0].get("value"), "result").get(_RESULTS[told[0]["type"]])
    if isinstance(value, list):
        if len(value) != 1:
            raise RowFault("result", f"has {len(value)} choices. There must be one")
        return value[0]
    return value


# --- Argilla: a list of records, each with responses by question ------------------------------------


def argilla_record(record: Record) -> dict[str, Any]:
    """A label as a record with one response to the question ``answer``."""
    row = row_of(record)
    extra = json.dumps(_extra(row, USER, ITEM, "kind", "value", "source"), ensure_ascii=False)
    return {
        "id": row["key"],
        "status": "completed",
        "fields": {"item": row[ITEM]},
        "metadata": {USER: row[USER], ITEM: row[ITEM], EXTRA: extra},  # which holds texts and numbers alone
        "suggestions": {},
        "responses": {"answer": [{"value": _said(row), "user_id": row["source"]}]},
        "vectors": {},
    }


def argilla_rows(record: Mapping[str, Any], meaning: Meaning) -> Iterator[dict[str, Any]]:
    """The responses in a record, nested or flat; there may be one question."""
    record = _nested(record)
    data = {**_mapping(record.get("fields", {}), "fields"), **_mapping(record.get("metadata", {}), "metadata")}
    answered = {name: said for name, said in _mapping(record.get("responses", {}), "responses").items() if said}
    if len(answered) > 1:
        raise RowFault("responses", f"answer {len(answered)} questions. Export the one that tells taste")
    for name, said in answered.items():
        for response in _list(said, "responses"):
            found = _mapping(response, "responses")
            if found.get("status") not in (None, "submitted"):  # a draft; what was discarded
                continue
            source = str(found.get("user_id") or "argilla")
            own = _mapping(record.get("metadata", {}), "metadata").get(EXTRA)
            many = len(answered[name]) > 1 or own is None
            key = f"argilla:{record.get('id')}:{name}:{source}" if many else str(record.get("id"))
            row = {"key": key, **meaning.about(data, source), **meaning.value(found.get("value"))}
            yield _joined(row, own)


def _nested(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record in the nested form, from the flat one, which has a column for each part of a question."""
    names = [name.removesuffix(".responses") for name in record if name.endswith(".responses")]
    if not names or "responses" in record:
        return record
    said = {}
    for name in names:
        values, users, statuses = (record.get(f"{name}.responses{part}") or [] for part in ("", ".users", ".status"))
        parts = [_list(part, f"{name}.responses") for part in (values, users, statuses)]
        if len({len(part) for part in parts}) != 1:
            raise RowFault(f"{name}.responses", "has not as many values as people and states")
        said[name] = [
            {"value": value, "user_id": user, "status": status} for value, user, status in zip(*parts, strict=True)
        ]
    kept = record.get(EXTRA)
    metadata = {} if kept is None else {EXTRA: kept}
    return {"id": record.get("id"), "fields": record, "metadata": metadata, "responses": said}


# --- doccano: JSON lines, one document each ---------------------------------------------------------


def doccano_document(record: Record) -> dict[str, Any]:
    """A label as a document with one label."""
    row = row_of(record)
    said = _said(row)
    return {
        "id": record.seq,
        "text": row[ITEM],
        "label": [said if isinstance(said, str) else repr(said)],
        USER: row[USER],
        ITEM: row[ITEM],
        "source": row["source"],
        EXTRA: _extra(row, USER, ITEM, "kind", "value", "source"),
    }


def doccano_rows(document: Mapping[str, Any], meaning: Meaning) -> Iterator[dict[str, Any]]:
    """The label of a document; one without any is not annotated yet."""
    named = next((name for name in ("label", "labels", "cats") if name in document), "label")  # cats: of intents
    labels = _list(document.get(named, []), named)
    if not labels:
        return
    if len(labels) != 1:
        raise RowFault(named, f"has {len(labels)} labels. There must be one")
    source, extra = str(document.get("source") or "doccano"), document.get(EXTRA)
    kept = extra.get("key") if isinstance(extra, Mapping) else None
    about = meaning.about(document, source)
    key = kept or f"doccano:{document.get('id')}:{source}"
    yield _joined({"key": key, **about, **meaning.value(labels[0])}, extra)


# --- Prodigy: JSON lines, one task each, with what somebody made of it -------------------------------


def prodigy_task(record: Record) -> dict[str, Any]:
    """A label as a task of which one option was accepted, or none if it was skipped."""
    row = row_of(record)
    said = _said(row)
    skipped = row["kind"] == AnswerKind.SKIPPED
    return {
        "text": row[ITEM],
        USER: row[USER],
        ITEM: row[ITEM],
        "accept": [] if skipped else [said if isinstance(said, str) else repr(said)],
        "answer": "ignore" if skipped else "accept",
        "_annotator_id": row["source"],
        **({"_timestamp": row["answered_at"]} if "answered_at" in row else {}),
        EXTRA: _extra(row, USER, ITEM, "kind", "value", "source"),
    }


def prodigy_rows(task: Mapping[str, Any], meaning: Meaning) -> Iterator[dict[str, Any]]:
    """The answer to a task: the option that was accepted, or the word accept or reject where there are no options."""
    answer = task.get("answer")
    if answer not in ("accept", "reject", "ignore"):
        raise RowFault("answer", f"is {_short(answer)}, none of accept, reject and ignore")
    said: object = answer
    if answer == "ignore":
        said = AnswerKind.SKIPPED.value
    elif "accept" in task:
        if answer == "reject":  # of the task, not of an option
            return
        chosen = _list(task["accept"], "accept")
        if len(chosen) != 1:
            raise RowFault("accept", f"has {len(chosen)} options. There must be one")
        said = chosen[0]
    source = str(task.get("_annotator_id") or task.get("_session_id") or "prodigy")
    extra, at = task.get(EXTRA), task.get("_timestamp")
    kept = extra.get("key") if isinstance(extra, Mapping) else None
    about = meaning.about(task, source)
    key = kept or f"prodigy:{task.get('_task_hash', about[ITEM])}:{source}"
    row = {"key": key, **about, **meaning.value(said), "answered_at": at if isinstance(at, (int, float)) else None}
    yield _joined(row, extra)


Reads = Callable[[Mapping[str, Any], Meaning], Iterator[dict[str, Any]]]
Writes = Callable[[Record], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Tool:
    """How the files of a tool are read and written."""

    rows: Reads
    element: Writes
    write: Callable[[Any, Path], None]


TOOLS = {
    "label-studio": Tool(label_studio_rows, label_studio_task, write_list),
    "argilla": Tool(argilla_rows, argilla_record, write_list),
    "doccano": Tool(doccano_rows, doccano_document, write_lines),
    "prodigy": Tool(prodigy_rows, prodigy_task, write_lines),
}
