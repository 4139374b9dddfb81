"""What a label store is, and which of its labels count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from palate.entities import Answer
from palate.records import Record


class LabelStore(Protocol):
    """Where answers are kept. Stability: Caller."""

    def append(self, answers: Sequence[Answer]) -> list[Record]: ...

    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record: ...

    def labels(self, after_seq: int = 0) -> Iterator[Record]: ...

    def close(self) -> None: ...


def active(labels: Iterable[Record]) -> list[Record]:
    """The answers that count: those not taken back, by ``seq``. The order in which ``labels`` come does not matter."""
    rows = sorted(labels, key=lambda label: label.seq)
    retracted = {label.retracts for label in rows if label.retracts}
    return [label for label in rows if not label.retracts and label.answer.key not in retracted]
