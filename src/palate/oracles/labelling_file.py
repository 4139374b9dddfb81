"""A labelling whose every answer is on the disk before the next question: it goes on wherever it was ended.

One line what it is, then a line a round, before it is asked, and a line an answer, when it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from palate.entities import Answer, AnswerKind
from palate.entities.item_attributes import AttributeQuestion
from palate.entities.provenance import Provenance
from palate.errors import DataError, PalateError
from palate.oracles.audit import Look
from palate.oracles.honest_labels import HonestLabels, Labelling, People, Round
from palate.oracles.journal import Journal, opened
from palate.oracles.pool_pseudo_labels import Predictor


def kept(
    path: Path,
    questions: Iterable[AttributeQuestion],
    people: People,
    machine: Predictor,
    *,
    target: float = 0.9,
    doubt: float = 0.1,
    budget: int | None = None,
    rng: np.random.Generator,
) -> HonestLabels:
    """:func:`palate.oracles.honest_labels.honest_labels` with a file, from which it goes on where it is there already.

    Args:
        path: Of the file; one of another labelling is refused.
        budget: May be another than before.
        rng: Seeds a new labelling; one that goes on has its seed in the file.
    Raises:
        DataError: If the file is damaged before its last line, or of another labelling.
        StoreBusy: If another process has it.
    """
    with opened(path) as journal:
        start = Labelling.start(questions, machine, target=target, doubt=doubt, budget=budget, rng=rng)
        labelling = resumed(start, journal)
        while labelling.open:
            for question in labelling.open:
                for answer in people.answer((question,)):
                    labelling = told(labelling, answer, journal)
        return labelling.result()


def resumed(start: Labelling, journal: Journal) -> Labelling:
    """Where the file left off; of an empty one the start, which is then in it.

    Raises:
        DataError: If the file is of another labelling.
    """
    what = _what(start)
    if not journal.rows:
        journal.append(what | {"seed": start.seed})
        _write_progress(journal, start, replace(start, rounds=(), ended=""))
        return start
    head, *rows = journal.rows
    if other := [name for name in what if head.get(name) != what[name]]:
        raise DataError(
            f"the file is of another labelling: its {other[0]} is {str(head.get(other[0]))[:40]}, not "
            f"{str(what[other[0]])[:40]}. Go on with what it was begun with, or give another file."
        )
    try:
        found = _replayed(replace(start, seed=int(head["seed"])), rows)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the file holds a row of no labelling ({error}). Put it back as it was written.") from error
    except PalateError as error:
        raise DataError(f"the file holds an answer that cannot be: {error}") from error
    return _on(found, start.budget, journal)


def told(labelling: Labelling, answer: Answer, journal: Journal) -> Labelling:
    """With one more answer, which is on the disk before anything comes of it.

    Raises:
        UnknownItem, AnswerError: If it is none to what was asked; nothing is written then.
    """
    labelling.check([answer])
    journal.append({"answer": _row_of(answer)})
    after = labelling.tell(answer)
    _write_progress(journal, after, labelling)
    return after


def _on(labelling: Labelling, budget: int | None, journal: Journal) -> Labelling:
    """After a last round that is whole and was not looked at yet; with a budget that was spent and is no more."""
    after = labelling.extended(budget).tell(())
    _write_progress(journal, after, labelling)
    return after


def _what(labelling: Labelling) -> dict[str, Any]:
    """What makes it this labelling."""
    attribute = labelling.attribute
    items = "\n".join(one.item_id for one in labelling.questions)
    return {
        "attribute": attribute.name,
        "options": list(attribute.options),
        "items": hashlib.sha256(items.encode()).hexdigest(),
        "target": labelling.target,
        "doubt": labelling.doubt,
    }


def _write_progress(journal: Journal, after: Labelling, before: Labelling) -> None:
    """What came of the last answer: a look, and a further round or the end."""
    looks = [_fields(one) for one in after.looks[len(before.looks) :]]
    if after.ended and after.ended != before.ended:
        journal.append({"end": after.ended, "looks": looks})
    for one in after.rounds[len(before.rounds) :]:
        row = {"chosen": list(one.chosen), "drawn": list(one.drawn), "fallen": list(one.fallen)}
        journal.append({"round": row, "looks": looks})


def _replayed(labelling: Labelling, rows: Iterable[Mapping[str, Any]]) -> Labelling:
    place = {one.item_id: one for one in labelling.questions}
    rounds, looks, answers, ended = list[Round](), list[Look](), dict[str, Answer](), ""
    for row in rows:
        looks += [Look(**one) for one in row.get("looks", ())]
        if "round" in row:
            one, ended = row["round"], ""
            rounds.append(Round(tuple(one["chosen"]), tuple(one["drawn"]), tuple(one["fallen"])))
        elif "end" in row:
            ended = str(row["end"])
        else:
            said = row["answer"]
            answers[said["item"]] = _answer_of(place[said["item"]], said)
    return replace(labelling, rounds=tuple(rounds), looks=tuple(looks), answers=MappingProxyType(answers), ended=ended)


def _row_of(answer: Answer) -> dict[str, Any]:
    of = answer.provenance
    return {
        "item": answer.item_id,
        "kind": answer.kind.value,
        "option": None if answer.value is None else int(answer.value),
        "source": answer.source,
        "key": answer.key,
        "question": answer.question,
        "propensity": answer.propensity,
        "at": answer.answered_at,
        "family": of.family,
        "cost": of.cost,
        "tokens": of.tokens,
    }


def _answer_of(question: AttributeQuestion, row: Mapping[str, Any]) -> Answer:
    asked = replace(question, strategy=row["question"], propensity=row["propensity"])
    option = AnswerKind(row["kind"]) if row["option"] is None else int(row["option"])
    of = Provenance(row["family"], cost=row["cost"], tokens=row["tokens"])
    return asked.answer(option, source=row["source"], key=row["key"], at=row["at"], of=of)


def _fields(found: Look) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Look.__dataclass_fields__}
