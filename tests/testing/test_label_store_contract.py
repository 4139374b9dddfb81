"""The contract passes on a good store, and each of its rules is broken by the store that breaks it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from palate.entities import Answer
from palate.errors import AnswerError, ErasedUser, InputError, StoreError
from palate.records import Attribute, Calibration, Content, Erasure, Event, Record, user_digest
from palate.store import rows
from palate.store.protocol import Quarantined, Receipt, Report
from palate.testing import LabelStoreContract

PLACES: dict[Path, list[Record]] = {}
TURN = threading.Lock()


class Listed:
    """Rows in a list that all handles on a place share: a whole store in a few lines."""

    def __init__(self, place: Path) -> None:
        self.rows = PLACES.setdefault(place, [])
        self.closed = False

    def append(self, contents: Sequence[Content]) -> list[Record]:
        self.check_open()
        with TURN:
            before = len(self.rows)
            try:
                return [self.keep(content) for content in rows.checked(contents)]
            except InputError:
                del self.rows[before:]
                raise

    def keep(self, content: Content, retracts: str = "") -> Record:
        for known in self.rows:
            if known.content.key == content.key:
                rows.check_same(known, content, retracts)
                return known
        if self.is_erased(getattr(content, "user_id", "")) and not getattr(content, "purposes", ()):
            raise ErasedUser("the user was erased. Append a consent of theirs first.")
        self.rows.append(Record(self.next_seq(), content, 0.0, retracts))
        return self.rows[-1]

    def next_seq(self) -> int:
        return 1 + max((row.seq for row in self.rows), default=0)

    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        self.check_open()
        retraction_key = retraction_key.strip()
        known = [record for record in self.rows if record.content.key == retraction_key and record.retracts == key]
        if known:
            return known[0]
        kept = [record for record in self.rows if record.content.key == key and not record.retracts]
        if not kept or any(record.retracts == key for record in self.rows):
            raise AnswerError("there is nothing to retract. Give another key.")
        return self.keep(rows.retraction(kept[0].content, source, retraction_key), key)

    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        self.check_open()
        return (row for row in self.rows if row.seq > after_seq and user_id in (None, row.user_id))

    def check_writable(self) -> None:
        self.check_open()

    def find(self, key: str) -> Record | None:
        return next((row for row in self.rows if row.content.key == key), None)

    def calibrations(self) -> list[Record]:
        return [row for row in self.rows if isinstance(row.content, Calibration)]

    def users_of(self, source: str) -> list[str]:
        labels = [row.content for row in self.rows if isinstance(row.content, Answer)]
        return list(dict.fromkeys(label.user_id for label in labels if label.source == source))

    @property
    def last_seq(self) -> int:
        return self.next_seq() - 1

    def erase(self, user_id: str, *, key: str = "") -> Receipt:
        known = self.find(key)
        if known is None:
            rows = [row for row in self.rows if row.user_id == user_id]
            known = self.keep(
                Erasure("0" * 32, user_digest("0" * 32, user_id), len(rows), key or f"made {self.last_seq}")
            )
            self.rows[:] = [row for row in self.rows if row not in rows]
        assert isinstance(known.content, Erasure)
        return Receipt(known.seq, known.content.key, known.content.rows, known.recorded_at)

    def is_erased(self, user_id: str) -> bool:
        """Whether they were, and nothing has been kept of them since."""
        erased = any(isinstance(row.content, Erasure) and row.content.is_of(user_id) for row in self.rows)
        return erased and not any(row.user_id == user_id for row in self.rows)

    def verify(self) -> Report:
        return Report(len(self.rows), self.last_seq, 0)

    def quarantined(self) -> list[Quarantined]:
        return []

    def close(self) -> None:
        self.closed = True

    def check_open(self) -> None:
        if self.closed:
            raise StoreError("the store is closed. Open it again.")


class TestListed(LabelStoreContract):
    def open(self, place: Path) -> Listed:
        return Listed(place)


class Haunted(Listed):
    def __init__(self, place: Path) -> None:
        super().__init__(place)
        if not self.rows:
            self.append([Event("ghost", "film")])


class AnswersOnly(Listed):
    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        return (record for record in super().records(after_seq, user_id=user_id) if isinstance(record.content, Answer))


class Rounding(Listed):
    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        return map(self.rounded, super().records(after_seq, user_id=user_id))

    def rounded(self, record: Record) -> Record:
        if not isinstance(record.content, Attribute) or not isinstance(record.content.value, float):
            return record
        return replace(record, content=replace(record.content, value=float(f"{record.content.value:.12g}")))


class EmptyIsMissing(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        if isinstance(content, Attribute) and content.value == "":
            content = replace(content, value=None)
        return super().keep(content, retracts)


class WholeNumbers(Listed):
    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        return map(self.whole, super().records(after_seq, user_id=user_id))

    def whole(self, record: Record) -> Record:
        """A database that gives 31 back where 31.0 was kept: equal, and another type."""
        value = getattr(record.content, "value", None)
        if not isinstance(record.content, Attribute) or not isinstance(value, float) or value % 1:
            return record
        return replace(record, content=replace(record.content, value=int(value)))


class FromZero(Listed):
    def next_seq(self) -> int:
        return len(self.rows)


class ThreeSequences(Listed):
    kind: type = object

    def keep(self, content: Content, retracts: str = "") -> Record:
        self.kind = type(content)
        return super().keep(content, retracts)

    def next_seq(self) -> int:
        return 1 + sum(type(record.content) is self.kind for record in self.rows)


class Including(Listed):
    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        return super().records(after_seq - 1, user_id=user_id)


class OnePage(Listed):
    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        return iter(list(super().records(after_seq, user_id=user_id))[:1_000])


class OneKey(Listed):
    def append(self, contents: Sequence[Content]) -> list[Record]:
        return super().append([replace(content, key=content.key or type(content).__name__) for content in contents])


class EachARow(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        self.rows.append(Record(self.next_seq(), content, 0.0, retracts))
        return self.rows[-1]


class SameTimes(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        known = [record.content for record in self.rows if record.content.key == content.key]
        if isinstance(content, Event) and known and known[0] != content:
            content = replace(content, key=f"{content.key} again")
        return super().keep(content, retracts)


class LastWins(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        for place, known in enumerate(self.rows):
            if known.content.key == content.key and known.content != content:
                self.rows[place] = replace(known, content=content)
        return super().keep(content, retracts)


class FirstWins(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        known = [record for record in self.rows if record.content.key == content.key]
        return known[0] if known else super().keep(content, retracts)


class OneByOne(Listed):
    def append(self, contents: Sequence[Content]) -> list[Record]:
        return [record for content in contents for record in super(OneByOne, self).append([content])]


class Trusting(Listed):
    def append(self, contents: Sequence[Content]) -> list[Record]:
        self.check_open()
        return [self.keep(replace(content, key=content.key or str(len(self.rows)))) for content in contents]


class Erasing(Listed):
    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        record = super().retract(key, source=source, retraction_key=retraction_key)
        self.rows[:] = [known for known in self.rows if known.content.key != key]
        return record


class Untold(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        return super().keep(content)


class TakesBackAgain(Listed):
    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        known = [record for record in self.rows if record.content.key == key]
        if not known:
            raise AnswerError("there is nothing to retract. Give another key.")
        return self.keep(rows.retraction(known[0].content, source, retraction_key), key)


class Fleeting(Listed):
    def close(self) -> None:
        super().close()
        self.rows.clear()


class Restarting(Listed):
    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.first = len(self.rows)

    def next_seq(self) -> int:
        return super().next_seq() - self.first


class Snapshot(Listed):
    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.rows = list(self.rows)


class Unordered(Listed):
    """Two writers that read the length of the list before either has written."""

    def append(self, contents: Sequence[Content]) -> list[Record]:
        seq = 1 + len(self.rows)
        threading.Event().wait(0.001)
        added = [Record(seq + place, content, 0.0) for place, content in enumerate(rows.checked(contents))]
        self.rows.extend(added)
        return added


class FindsLabelsOnly(Listed):
    def find(self, key: str) -> Record | None:
        return next((row for row in self.rows if row.content.key == key and isinstance(row.content, Answer)), None)


class OfEverybody(Listed):
    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        return super().records(after_seq)


class CalibrationsForEver(Listed):
    def calibrations(self) -> list[Record]:
        return [row for row in super().calibrations() if not row.retracts]


class OfEverySource(Listed):
    def users_of(self, source: str) -> list[str]:
        return list(dict.fromkeys(row.user_id for row in self.rows if row.user_id))


class LeavesLabels(Listed):
    """It takes the user's name and leaves what they said."""

    def erase(self, user_id: str, *, key: str = "") -> Receipt:
        labels = [row for row in self.rows if row.user_id == user_id and isinstance(row.content, Answer)]
        receipt = super().erase(user_id, key=key)
        self.rows += [replace(row, content=replace(row.answer, user_id="somebody")) for row in labels]
        return receipt


class TakesThemBack(Listed):
    def is_erased(self, user_id: str) -> bool:
        return False


class NeverForgives(Listed):
    def keep(self, content: Content, retracts: str = "") -> Record:
        if self.is_erased(getattr(content, "user_id", "")):
            raise ErasedUser("the user was erased.")
        return super().keep(content, retracts)


class NeverClosed(Listed):
    def close(self) -> None:
        pass


BROKEN = [
    (Haunted, "test_a_new_store_is_empty"),
    (AnswersOnly, "test_rows_of_all_kinds_come_back_equal"),
    (Rounding, "test_rows_of_all_kinds_come_back_equal"),
    (EmptyIsMissing, "test_rows_of_all_kinds_come_back_equal"),
    (WholeNumbers, "test_rows_of_all_kinds_come_back_equal"),
    (FromZero, "test_one_sequence_ascends_from_one"),
    (ThreeSequences, "test_one_sequence_ascends_from_one"),
    (Including, "test_records_after_a_place_are_the_rest"),
    (OnePage, "test_a_long_log_is_read_whole_while_it_grows"),
    (OneKey, "test_an_empty_key_gets_one_of_its_own"),
    (EachARow, "test_a_repeat_gives_the_row_kept_before"),
    (SameTimes, "test_a_repeat_gives_the_row_kept_before"),
    (LastWins, "test_other_content_under_a_key_is_refused"),
    (FirstWins, "test_other_content_under_a_key_is_refused"),
    (OneByOne, "test_of_a_batch_all_or_none_is_kept"),
    (Trusting, "test_of_a_batch_all_or_none_is_kept"),
    (Erasing, "test_a_retraction_hides_its_row_alone"),
    (Untold, "test_a_retraction_hides_its_row_alone"),
    (TakesBackAgain, "test_what_cannot_be_retracted_is_refused"),
    (Fleeting, "test_reopening_keeps_everything"),
    (Restarting, "test_reopening_keeps_everything"),
    (Snapshot, "test_two_handles_see_each_others_rows"),
    (Unordered, "test_writers_at_the_same_time_make_one_sequence"),
    (FindsLabelsOnly, "test_a_row_is_found_by_its_key"),
    (OfEverybody, "test_rows_of_one_user_are_read_alone"),
    (CalibrationsForEver, "test_calibrations_and_the_users_of_a_source_are_read_alone"),
    (OfEverySource, "test_calibrations_and_the_users_of_a_source_are_read_alone"),
    (LeavesLabels, "test_of_an_erased_user_no_row_is_read"),
    (TakesThemBack, "test_an_erased_user_comes_back_by_a_consent_alone"),
    (NeverForgives, "test_an_erased_user_comes_back_by_a_consent_alone"),
    (NeverClosed, "test_a_closed_store_refuses"),
]


@pytest.mark.parametrize(("broken", "rule"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_broken_store_fails(broken: type[Listed], rule: str, tmp_path: Path) -> None:
    class Contract(LabelStoreContract):
        def open(self, place: Path) -> Listed:
            return broken(place)

    with pytest.raises(AssertionError):
        getattr(Contract(), rule)(tmp_path)


def test_every_rule_has_a_store_that_breaks_it() -> None:
    assert {rule for _, rule in BROKEN} == {name for name in dir(LabelStoreContract) if name.startswith("test_")}
