"""What every label store must keep, runnable on a store of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from palate.entities import Answer, AnswerKind, Form
from palate.entities.provenance import Provenance
from palate.errors import PalateError
from palate.records import Attribute, Calibration, Consent, Content, Erasure, Event, Record, Slate, rate
from palate.store.protocol import LabelStore, active

MANY = 2_500  # rows: more than a store reads at a time
WRITERS, ROUNDS = 4, 20
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
TEXTS = ("日本", "a\u00a0b", "\u0430nn", "'; DROP TABLE records; --", "=1+1", "😀" * 64, 'b"],\\')


def _every_field() -> list[Content]:
    """Rows of the three kinds that use every field, with values at the ends of what may be kept."""
    numbers = (LARGEST, -LARGEST, SMALLEST, 0.1 + 0.2, 2.0**63, 0.0)
    asked = Answer("ann", "film", AnswerKind.RATING, 4.5, "bob", 0.25, "full", "epig", -1.5, 1e18)
    return [
        asked,
        Attribute("ann", "age", 31.0, "of the user"),
        Event("ann", "film", "purchase", 1 / 3, 4_291_747_200.5, "of the event"),
        *(Answer("ann", "film", kind, key=kind.value, propensity=SMALLEST) for kind in AnswerKind if kind != "rating"),
        Answer("ann", "film", AnswerKind.RATING, 1.0, key="p", form=Form.PAIR, others=("book",)),
        Answer("ann", "a", AnswerKind.RATING, key="g", form=Form.GROUP, others=TEXTS, tapped=(TEXTS[-1], "a")),
        Answer("ann", "comedy", AnswerKind.RATING, 0.0, key="c", form=Form.CONCEPT),
        Answer("ann", "film", AnswerKind.UNKNOWN, key="v", form=Form.PREVIEW),
        Answer("ann", "film", AnswerKind.RATING, key="n", form=Form.RECALL),
        Answer("ann", "", AnswerKind.SKIPPED, key="no name comes", form=Form.RECALL),
        Answer("ann", "a", AnswerKind.RATING, key="best", form=Form.PICK, others=TEXTS, tapped=(TEXTS[0],)),
        Answer("ann", "a", AnswerKind.RATING, key="clicks", form=Form.SLATE, others=TEXTS, tapped=(TEXTS[2], "a")),
        Answer("ann", "a", AnswerKind.RATING, key="no click", form=Form.SLATE),
        Event("ann", "film", key="no name"),
        Event("ann", "film", "click", key="in a list", slate="list 1"),
        replace(
            asked, key="came", provenance=Provenance("gpt", "http", "plot", "m1", "q", -2.5, "s", 3.5, 0.02, 150, "v2")
        ),
        Consent("ann", ("research", "serve"), "v1", 4.0, "consent"),
        Consent("ann", (), "v1", key="no consent"),
        Calibration("ann", 0.25, "plot", 3.0, "calibrated"),
        Calibration("ann", 1.0, key="always right"),
        Slate("ann", TEXTS, tuple(0.5**place for place in range(len(TEXTS))), 0.25, "m1", ("x",), "y", 1.5, "list 1"),
        Slate("ann", ("film",), (SMALLEST,), SMALLEST, key="a short list"),
        Event("ann", "film", "report", key="disliked"),
        Attribute("ann", "town", None, "missing"),
        Attribute("ann", "town", "", "empty"),
        Attribute("ann", "town", " zürich\n\t" + "".join(TEXTS), "text"),
        *(rate("ann", "film", number, key=f"rated {number!r}") for number in numbers),
        *(Attribute("ann", "size", number, f"number {number!r}") for number in numbers),
        *(Answer(text, text, AnswerKind.UNKNOWN, source=text, key=text, question=text) for text in TEXTS),
    ]


# A row and, by field, another value under the same key.
_DIFFERENT: tuple[tuple[Content, dict[str, Any]], ...] = (
    (
        Answer("ann", "film", AnswerKind.RATING, 1.0, "ann", 0.5, "k", "epig", form=Form.PAIR, others=("book",)),
        {
            "user_id": "bob",
            "item_id": "song",
            "value": 0.0,
            "source": "bob",
            "propensity": None,
            "question": "bald",
            "others": ("song",),
        },
    ),
    (
        Answer("ann", "film", AnswerKind.RATING, key="k", form=Form.GROUP, others=("book",), tapped=("book",)),
        {"tapped": ("film",)},
    ),
    (Answer("ann", "film", AnswerKind.UNKNOWN, key="k"), {"kind": AnswerKind.SKIPPED, "form": Form.PREVIEW}),
    (Event("ann", "film", "click", key="k"), {"user_id": "bob", "item_id": "song", "kind": "save", "liking": 0.5}),
    (Attribute("ann", "age", 3.0, "k"), {"user_id": "bob", "name": "size", "value": None}),
    (Attribute("ann", "age", "3", "k"), {"value": 3.0}),
    (Consent("ann", ("ask",), "v1", key="k"), {"user_id": "bob", "purposes": ("ask", "serve"), "version": "v2"}),
    (
        Slate("ann", ("film",), (0.5,), 1.0, key="k"),
        {"user_id": "bob", "items": ("song",), "propensities": (0.25,), "explore": 2.0, "category": "c"},
    ),
    (Calibration("ann", 0.5, key="k"), {"source": "bob", "reliability": 0.6, "subject": "plot"}),
)

# What can be made, since a model may read it, and not be kept; and what is no row at all.
_NOT_KEPT: tuple[Any, ...] = (
    Attribute("ann", "age", float("nan")),
    Attribute("ann", "age", float("-inf")),
    Attribute("ann", "age", True),
    "film",
)


class LabelStoreContract(ABC):
    """Subclass it in a test file under a name that starts with ``Test`` and say how to open the store.

    Example:
        >>> class TestMine(LabelStoreContract):
        ...     def open(self, place):
        ...         return MyStore(place / "labels")
    """

    @abstractmethod
    def open(self, place: Path) -> LabelStore:
        """A handle on the store at this place, which has no rows the first time.

        Args:
            place: An empty folder, another one for each test. A store on a server can make a schema named after it.
        """

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            assert list(store.records()) == [], "a new store has rows"
            assert store.append([]) == [], "appending nothing gave records"
            assert list(store.records()) == [], "appending nothing kept a row"

    def test_rows_of_all_kinds_come_back_equal(self, tmp_path: Path) -> None:
        sent = _every_field()
        with self._opened(tmp_path) as store:
            kept = store.append(sent)
            read = list(store.records())
        assert len(kept) == len(sent), f"{len(sent)} were appended, {len(kept)} records came back"
        for content, given, found in zip(sent, kept, read, strict=True):
            assert given.content == content, f"append gave {given.content}, sent was {content}"
            assert found == given, f"{found} is read, append gave {given}"
            assert _types(found.content) == _types(content), f"{found.content} has other types than {content}"
            assert type(found.recorded_at) is float, f"recorded_at is {found.recorded_at!r}, not a float"

    def test_one_sequence_ascends_from_one(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            kept = store.append([rate("ann", "film", 1.0), Event("ann", "film"), Attribute("ann", "age", 3.0)])
            kept += [store.append([Event("bob", str(place))])[0] for place in range(3)]
            kept.append(store.retract(kept[0].content.key))
            assert list(store.records()) == kept, "rows are not read in the order in which they were appended"
        seqs = [record.seq for record in kept]
        assert seqs[0] == 1 and seqs == sorted(set(seqs)), f"the sequence is {seqs}"

    def test_records_after_a_place_are_the_rest(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            kept = store.append([rate("ann", str(item), 1.0) for item in range(5)])
            for place, record in enumerate(kept):
                rest = list(store.records(after_seq=record.seq))
                assert rest == kept[place + 1 :], f"after {record.seq} come {[found.seq for found in rest]}"

    def test_a_long_log_is_read_whole_while_it_grows(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            kept = store.append([Event("ann", str(item)) for item in range(MANY)])
            reading = store.records()
            read = [next(reading)]
            late = store.append([Event("bob", "late")])
            read += list(reading)
        assert read in ([*kept, *late], kept), f"{len(read)} rows are read of {MANY} and one appended meanwhile"

    def test_an_empty_key_gets_one_of_its_own(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            kept = store.append([rate("ann", "film", 4.0), rate("ann", "film", 4.0), Event("ann", "film")])
            keys = [record.content.key for record in kept]
            assert all(keys) and len(set(keys)) == 3, f"the keys made are {keys}"
            assert len(list(store.records())) == 3, "answers that are alike were taken for one"

    def test_a_repeat_gives_the_row_kept_before(self, tmp_path: Path) -> None:
        answer, event = rate("ann", "film", 4.0, key="k"), Event("ann", "film", at=1.0, key="e")
        sent: list[Content] = [answer, event, Attribute("ann", "age", 3.0, "a")]
        with self._opened(tmp_path) as store:
            kept = store.append([*sent, *sent])
            assert kept[3:] == kept[:3], "a repeat in one batch is not the row before"
            assert store.append(sent) == kept[:3], "a repeat is not the row before"
            stamped: list[Content] = [replace(answer, answered_at=9.0), replace(event, at=2.0)]
            assert store.append(stamped) == kept[:2], "a repeat with other times of the client is not the row before"
            undo = store.retract("k")
            assert store.append(sent) == kept[:3], "a repeat of what was taken back is not the row before"
            assert list(store.records()) == [*kept[:3], undo], "a repeat changed the rows"

    def test_other_content_under_a_key_is_refused(self, tmp_path: Path) -> None:
        for number, (content, changes) in enumerate(_DIFFERENT):
            (place := tmp_path / str(number)).mkdir()
            with self._opened(place) as store:
                kept = store.append([content])
                others = [replace(content, **{name: value}) for name, value in changes.items()]
                others += [other for other, _ in _DIFFERENT if type(other) is not type(content)]
                for other in others:
                    _expect_refused(partial(store.append, [Event("ann", "new"), other]), f"{other} after {content}")
                    assert list(store.records()) == kept, f"{other} was refused, and rows were kept or changed"

    def test_of_a_batch_all_or_none_is_kept(self, tmp_path: Path) -> None:
        good: list[Content] = [rate("ann", "film", 4.0), Event("ann", "film")]
        with self._opened(tmp_path) as store:
            kept = store.append([Attribute("ann", "age", 3.0, "a")])
            for bad in _NOT_KEPT:
                _expect_refused(partial(store.append, [*good, bad, *good]), repr(bad))
                assert list(store.records()) == kept, f"{bad!r} was refused, and others of its batch were kept"
            after = store.append(good)
            assert list(store.records()) == [*kept, *after], "after a refusal nothing more is kept"

    def test_a_retraction_hides_its_row_alone(self, tmp_path: Path) -> None:
        said = Answer("ann", "film", AnswerKind.RATING, 4.0, "bob", key="u")
        asked = replace(said, source="ann", key="k", propensity=0.25, question="epig", asked_at=1.0, answered_at=2.0)
        with self._opened(tmp_path) as store:
            kept = store.append([asked, rate("ann", "film", 2.0, key="b"), Event("ann", "film", key="e")])
            undo = store.retract("k", source="bob", retraction_key="u")
            assert undo.retracts == "k", f"retracts is {undo.retracts!r}, not 'k'"
            assert undo.content == said, f"the retraction says {undo.content}, not {said}"
            for key in ("u", " u "):
                assert store.retract("k", retraction_key=key) == undo, "the same retraction again is not the row before"
            assert list(store.records()) == [*kept, undo], "a retraction is not one more row, or changed another"
            assert active(store.records()) == kept[1:], "the rows that count are not those never taken back"

    def test_what_cannot_be_retracted_is_refused(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            store.append([rate("ann", "film", 4.0, key="k"), rate("ann", "film", 4.0, key="other")])
            store.retract("k", retraction_key="u")
            kept = list(store.records())
            _expect_refused(lambda: store.retract("x"), "retracting a key that nothing has")
            _expect_refused(lambda: store.retract("k"), "retracting a row a second time")
            _expect_refused(lambda: store.retract("u"), "retracting a retraction")
            _expect_refused(lambda: store.retract("other", retraction_key="u"), "another retraction under a taken key")
            _expect_refused(
                lambda: store.append([rate("ann", "film", 4.0, key="u")]), "a label under a retraction's key"
            )
            assert list(store.records()) == kept, "what was refused changed the rows"

    def test_reopening_keeps_everything(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            kept = store.append(_every_field())
            kept.append(store.retract("full"))
        with self._opened(tmp_path) as store:
            assert list(store.records()) == kept, "what was kept is not read after reopening"
            assert store.append([kept[0].content]) == kept[:1], "a repeat after reopening is not the row before"
            (late,) = store.append([Event("ann", "film")])
            assert late.seq > kept[-1].seq, f"the sequence goes from {kept[-1].seq} to {late.seq} by reopening"

    def test_two_handles_see_each_others_rows(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as one, self._opened(tmp_path) as two:
            kept = one.append([rate("ann", "film", 4.0, key="k")])
            assert list(two.records()) == kept, "a row of one handle is not read by the other"
            kept += two.append([Event("ann", "film", key="e")])
            kept.append(one.retract("e"))
            assert list(one.records()) == list(two.records()) == kept, "two handles read different rows"
            assert two.append([rate("ann", "film", 4.0, key="k")]) == kept[:1], "a repeat by the other handle is new"
            _expect_refused(lambda: two.retract("e"), "retracting what the other handle has retracted")

    def test_writers_at_the_same_time_make_one_sequence(self, tmp_path: Path) -> None:
        def write(name: str) -> None:
            with self._opened(tmp_path) as store:
                for number in range(ROUNDS):
                    told[name] += store.append([Event(name, "film"), Attribute(name, "age", number)])

        told: dict[str, list[Record]] = {f"writer {number}": [] for number in range(WRITERS)}
        self.open(tmp_path).close()
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, told))
        with self._opened(tmp_path) as store:
            read = list(store.records())
        for name, records in told.items():
            own = [record for record in read if record.user_id == name]
            assert own == records and len(own) == 2 * ROUNDS, f"{name} kept {len(records)} rows, {len(own)} are read"
        assert len({record.seq for record in read}) == len(read), "two rows have one place"

    def test_a_row_is_found_by_its_key(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            kept = store.append(_every_field())
            kept.append(store.retract("full", retraction_key="undo"))
            for record in kept:
                found = store.find(record.content.key)
                assert found == record, f"under the key {record.content.key!r} is found {found}, not {record}"
            assert store.find("a key that nothing has") is None, "a row is found under a key that nothing has"
            assert store.last_seq == kept[-1].seq, f"the last row is {kept[-1].seq}, last_seq says {store.last_seq}"

    def test_rows_of_one_user_are_read_alone(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            sent: list[Content] = [rate(f"u{number % 3}", "film", 1.0, key=f"k{number}") for number in range(MANY)]
            kept = [*store.append(sent), store.retract("k4"), *store.append([Calibration("u1", 0.5)])]
            own = [record for record in kept if record.user_id == "u1"]
            read = list(store.records(user_id="u1"))
            assert read == own, f"{len(read)} rows of a user are read, {len(own)} were kept"
            after = list(store.records(own[5].seq, user_id="u1"))
            assert after == own[6:], f"{len(after)} rows of a user are read after a place, {len(own) - 6} were kept"
            assert list(store.records(user_id="nobody")) == [], "rows of a user whom nothing is about are read"

    def test_calibrations_and_the_users_of_a_source_are_read_alone(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            assert store.calibrations() == [] == store.users_of("lea"), "an empty store has calibrations, or users"
            said: list[Content] = [rate(f"u{n % 4}", "film", 1.0, source=("lea", "max")[n % 2]) for n in range(8)]
            first = store.append([*said, Calibration("lea", 0.5, key="c"), Event("eve", "film")])
            undo = store.retract("c")
            last = store.append([Calibration("max", 0.25, "plot", key="d")])
            expected = [*first[8:9], undo, *last]
            assert store.calibrations() == expected, f"calibrations are read as {store.calibrations()}"
            for source, users in (("lea", ["u0", "u2"]), ("max", ["u1", "u3"]), ("person", [])):
                found = sorted(store.users_of(source))
                assert found == users, f"{source} answered about {users}, and {found} are read"

    def test_of_an_erased_user_no_row_is_read(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store:
            told: list[Content] = [rate("ann", "film", 4.0, key="k"), rate("bob", "film", 4.0), Event("ann", "song")]
            kept = store.append(told)
            store.retract("k")
            receipt = store.erase("ann", key="erasure")
            assert (receipt.key, receipt.rows) == ("erasure", 3), f"3 rows were to be erased, the receipt is {receipt}"
            assert store.erase("ann", key="erasure") == receipt, "the same erasure again is not the one before"
        with self._opened(tmp_path) as store:
            read = list(store.records())
            assert len(read) == 2, f"after an erasure of 3 rows of 4 are read {read}"
            first, second = read
            assert first == kept[1], f"of another user {first} is read, not {kept[1]}"
            content = second.content
            assert isinstance(content, Erasure) and second.seq == receipt.seq, f"after an erasure {second} is read"
            assert content.is_of("ann") and not content.is_of("bob"), "an erasure does not tell its user from another"
            assert list(store.records(user_id="ann")) == [] and store.find("k") is None, "an erased row is read"
            assert store.verify().is_whole, f"after an erasure verify says {store.verify()}"

    def test_an_erased_user_comes_back_by_a_consent_alone(self, tmp_path: Path) -> None:
        with self._opened(tmp_path) as store, self._opened(tmp_path) as other:
            store.append([rate("ann", "film", 4.0, key="k")])
            store.erase("ann")
            before = list(store.records())
            for sent in (rate("ann", "film", 4.0, key="k"), Event("ann", "new"), Consent("ann", (), "v1")):
                _expect_refused(partial(other.append, [rate("bob", "film", 4.0), sent]), f"{sent} of an erased user")
            assert list(store.records()) == before, "what was refused changed the rows"
            back: list[Content] = [Consent("ann", ("serve",), "v2", key="c"), rate("ann", "film", 1.0, key="again")]
            try:
                kept = other.append(back)
            except PalateError as error:
                raise AssertionError("a user who consents anew is refused") from error
            assert list(store.records(user_id="ann")) == kept, "of a user who came back other rows are read"
            assert store.erase("ann").rows == 2, "a user who came back cannot be erased again"
            _expect_refused(lambda: store.append([Event("ann", "new")]), "a row of a user who was erased twice")

    def test_a_closed_store_refuses(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        store.append([rate("ann", "film", 4.0, key="k")])
        store.close()
        _expect_refused(lambda: store.append([Event("ann", "film")]), "appending to a closed store")
        _expect_refused(lambda: store.retract("k"), "retracting in a closed store")
        _expect_refused(lambda: list(store.records()), "reading a closed store")

    @contextmanager
    def _opened(self, place: Path) -> Iterator[LabelStore]:
        with closing(self.open(place)) as store:
            yield store


def _types(content: Content) -> list[type]:
    return [type(content), *(type(getattr(content, name)) for name in content.__slots__)]


def _expect_refused(call: Callable[[], object], what: str) -> None:
    message = ""
    try:
        call()
    except PalateError as error:
        message = str(error)
    assert message, f"{what} was not refused"
    assert "\n" not in message, f"{what} is refused in more than a line: {message}"
