"""What somebody answered at a desk, kept in the log: told, corrected and taken back as it was there.

A process may die anywhere in it. Whoever takes with the cursor of the last time that ended well gets the rest, and what
is there already changes nothing: every answer has its key, and every retraction one that is made of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from palate.entities import Answer
from palate.errors import AnswerError, InputError
from palate.oracles.protocol import Cursor, Desk, Taken
from palate.recommender.recommender import Recommender
from palate.records import Record

AT_ONCE = 1_000  # answers of a commit


@dataclass(slots=True)
class Kept:
    """What came of what was taken.

    Attributes:
        told: Rows of answers, those that were there before too.
        taken_back: Rows that take one back, likewise.
        left_out: Keys of answers that the model or the log does not take, and why.
        cursor: To take from the next time.
    """

    told: list[Record] = field(default_factory=list)
    taken_back: list[Record] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    cursor: Cursor = ""


def keep_answers(recommender: Recommender, desk: Desk, since: Cursor = "") -> Kept:
    """Take what is new, changed or taken back at a desk, and keep it in the log.

    Args:
        since: The ``cursor`` of the last time; empty: from the start, which doubles nothing and takes longer.
    Raises:
        OracleError: If the desk cannot be reached.
        StoreError: If the disk refuses; the same again goes on where it stopped.
    """
    taken, cursor = desk.take(since)
    kept = Kept(cursor=cursor)
    for group in _groups(taken):
        if group[0].replaces:
            _take_back(recommender, group[0].replaces, kept)
        _tell(recommender, [one.answer for one in group if one.answer is not None], kept)
    return kept


def _groups(taken: Sequence[Taken]) -> Iterator[list[Taken]]:
    """What can be kept in one commit, in order: what replaces an answer begins a group."""
    group: list[Taken] = []
    for one in taken:
        if group and (one.replaces or len(group) == AT_ONCE):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _tell(recommender: Recommender, answers: list[Answer], kept: Kept) -> None:
    """All together; one by one only where some cannot be taken, so that each of the others is."""
    try:
        kept.told += recommender.tell(answers)
    except InputError as error:
        if len(answers) == 1:
            kept.left_out[answers[0].key] = str(error)
            return
        for answer in answers:
            _tell(recommender, [answer], kept)


def _take_back(recommender: Recommender, key: str, kept: Kept) -> None:
    record = recommender.find(key)
    if record is None or not isinstance(record.content, Answer):
        return  # it was left out, or erased
    own = hashlib.sha256(f"desk:{key}".encode()).hexdigest()[:32]
    try:
        kept.taken_back.append(recommender.log.retract(key, source=record.content.source, retraction_key=own))
    except AnswerError:
        return  # somebody has taken it back already
