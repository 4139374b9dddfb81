from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.entities import Answer, AnswerKind, Form, Question
from palate.errors import AnswerError, IdError, OptionError, PalateError
from palate.errors.checks import MAX_ID_BYTES, normalise_id


def rating(value: object) -> Answer:
    return Answer("ann", "x", AnswerKind.RATING, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        (10**400, "of more than 40 digits"),
        pytest.param(-(10**5000), "of more than 40 digits", id="5001 digits"),
        ("5", "'5'"),
        (b"5", "b'5'"),
        (True, "True"),
        (np.True_, "np.True_"),
        ([4], r"\[4\]"),
        ({}, r"\{\}"),
        (np.array([1.0, 2.0]), r"array\(\[1., 2.\]\)"),
        (1j, "1j"),
        (Decimal(4), r"Decimal\('4'\)"),
        (np.float64("nan"), "nan"),
        (Fraction(10**400, 3), r"Fraction\(10{30,}"),
        ("x" * 1000, "'x{30,39}"),
        pytest.param([10**5000], r"\(a list\)", id="5001 digits in a list"),
    ],
)
def test_IN_01_a_rating_that_is_no_number(value: object, shown: str) -> None:
    with pytest.raises(
        AnswerError, match=rf"^the rating {shown} is not a finite number\. Give a number on the data's scale\.$"
    ):
        rating(value)


@pytest.mark.parametrize("value", [4, 4.0, np.float32(4), np.int8(4), np.float64(4), 2**63, Fraction(8, 2)])
def test_a_rating_is_kept_as_a_float(value: object) -> None:
    kept = rating(value).value
    assert type(kept) is float and kept == float(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["liked", "", None, 3, ["rating"], True])
def test_a_kind_that_is_none(kind: object) -> None:
    message = r"^an answer has the kind .{1,20}\. Give one of rating, no-opinion, unknown, skipped\.$"
    with pytest.raises(AnswerError, match=message):
        Answer("ann", "x", kind)  # type: ignore[arg-type]


def test_a_kind_may_be_given_as_text() -> None:
    assert Answer("ann", "x", "unknown").kind is AnswerKind.UNKNOWN  # type: ignore[arg-type]


def test_only_a_rating_has_a_value() -> None:
    with pytest.raises(
        AnswerError, match=r"^an answer of kind 'skipped' has value 4\.0\. Only a rating has a value\.$"
    ):
        Answer("ann", "x", AnswerKind.SKIPPED, 4)
    with pytest.raises(AnswerError, match=r"^an answer of kind 'rating' has value None\. Only a rating has a value\.$"):
        Answer("ann", "x", AnswerKind.RATING)
    assert rating(0.0).is_rating and not Answer("ann", "x", AnswerKind.UNKNOWN).is_rating


def test_IN_01_ids_of_an_answer_are_normalised_and_checked() -> None:
    answer = Answer(" ann ", 7, AnswerKind.UNKNOWN)  # type: ignore[arg-type]
    assert (answer.user_id, answer.item_id) == ("ann", "7")
    with pytest.raises(IdError, match=r"^user_id is a number of more than 256 digits\. Ids have at most 256 bytes\.$"):
        Answer(10**5000, "x", AnswerKind.UNKNOWN)  # type: ignore[arg-type]
    with pytest.raises(IdError, match=r"^item_id True is a bool\. Ids are text or whole numbers\.$"):
        Answer("ann", True, AnswerKind.UNKNOWN)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (1.5, r"1\.5 is a float"),
        (float("nan"), "nan is a float"),
        (2.0**60, "is a float"),
        (None, "None is a NoneType"),
        (b"x", r"b'x' is a bytes"),
        ("a\x00b", "holds a control character"),
        ("\ud800", "half a surrogate pair"),
        ("x" * 257, "has 257 bytes"),
        ("é" * 129, "has 258 bytes"),
        (10**256, "more than 256 digits"),
        (-(10**256), "more than 256 digits"),
        (-(10**255), "has 257 bytes"),
    ],
)
def test_ids_that_cannot_be_kept(value: object, message: str) -> None:
    with pytest.raises(IdError, match=rf"^id.*{message}.*\. [A-Z].*\.$"):
        normalise_id(value)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (" a\t", "a"),
        (7, "7"),
        (7.0, "7"),
        (-3, "-3"),
        ("e\u0301", "é"),
        (10**255, "1" + "0" * 255),
        ("x" * 256, "x" * 256),
    ],
)
def test_ids_in_their_normal_form(value: object, kept: str) -> None:
    assert normalise_id(value) == kept
    assert normalise_id(kept) == kept


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary(), st.booleans()))
def test_an_id_is_kept_or_refused_and_then_stays_the_same(value: object) -> None:
    try:
        kept = normalise_id(value)
    except PalateError as error:
        kept = str(error)
        assert "\n" not in kept
    else:
        assert 1 <= len(kept.encode()) <= MAX_ID_BYTES and normalise_id(kept) == kept


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.complex_numbers(), st.decimals(), st.fractions()))
def test_a_rating_is_kept_as_a_finite_float_or_refused(value: object) -> None:
    try:
        kept = rating(value).value
    except AnswerError as error:
        assert len(str(error)) < 140  # noqa: PT017 - either way is right, so pytest.raises does not fit
    else:
        assert isinstance(kept, float) and np.isfinite(kept)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"form": "pair"}, AnswerError, r"^a pair has 1 items\. Give 2 different ones\.$"),
        ({"form": "pair", "others": ("b", "c")}, AnswerError, r"^a pair has 3 items\. Give 2 different ones\.$"),
        (
            {"form": "pair", "others": (" a ",)},
            AnswerError,
            r"^item 'a' comes twice in a pair\. Give different items\.$",
        ),
        ({"form": "group", "value": None}, AnswerError, r"^a group has 1 item\. Give at least 2 different ones\.$"),
        ({"form": "page", "value": None}, AnswerError, r"^a page has 1 item\. Give at least 2 different ones\.$"),
        (
            {"form": "page", "others": ("b",)},
            AnswerError,
            r"^a page is answered item by item\. Give an answer of the form",
        ),
        ({"form": "group", "others": ("b", "b")}, AnswerError, r"^item 'b' comes twice in a group\."),
        (
            {"form": "group", "others": ("b",), "tapped": ("c",), "value": None},
            AnswerError,
            r"^item 'c' was tapped and not offered\. Give items of the group\.$",
        ),
        (
            {"form": "group", "others": ("b",), "tapped": ("b",), "value": 2.0},
            AnswerError,
            r"^the value of a group is 2, 1 are tapped\. Leave it out\.$",
        ),
        (
            {"tapped": ("a",)},
            AnswerError,
            r"^item 'a' was tapped in no group, pick or slate\. Only answers to them have such\.$",
        ),
        (
            {"form": "group", "others": ("b",), "tapped": ("b",), "kind": "unknown", "value": None},
            AnswerError,
            r"^item 'b' was tapped in no group, pick or slate\.",
        ),
        ({"form": "pick", "value": None}, AnswerError, r"^a pick has 1 item\. Give at least 2 different ones\.$"),
        (
            {"form": "pick", "others": ("b",), "value": None},
            AnswerError,
            r"^of a pick 0 items are picked\. Give the one that was picked\.$",
        ),
        (
            {"form": "pick", "others": ("b",), "tapped": ("a", "b"), "value": None},
            AnswerError,
            r"^of a pick 2 items are picked\. Give the one that was picked\.$",
        ),
        (
            {"form": "pick", "others": ("b",), "tapped": ("c",), "value": None},
            AnswerError,
            r"^item 'c' was picked and not offered\. Give items of the pick\.$",
        ),
        (
            {"form": "slate", "others": ("b",), "tapped": ("c",), "value": None},
            AnswerError,
            r"^item 'c' was clicked and not offered\. Give items of the slate\.$",
        ),
        (
            {"form": "slate", "others": ("b",), "tapped": ("b",), "value": 0.0},
            AnswerError,
            r"^the value of a slate is 0, 1 are clicked\. Leave it out\.$",
        ),
        (
            {"form": "slate", "others": ("a",)},
            AnswerError,
            r"^item 'a' comes twice in a slate\. Give different items\.$",
        ),
        (
            {"form": "recall", "item_id": ""},
            AnswerError,
            r"^a naming has 0 items\. Give the id of the one that was named, or the kind skipped\.$",
        ),
        ({"form": "recall", "item_id": " "}, IdError, r"^item_id is empty"),
        ({"form": "recall", "value": 4.0}, AnswerError, r"^the value of a naming is 4\. Leave it out\.$"),
        (
            {"form": "recall", "kind": "skipped", "value": None},
            AnswerError,
            r"^item 'a' is in an answer that names none\. Leave it empty\.$",
        ),
        ({"form": "recall", "others": ("b",)}, AnswerError, r"^a recall question has 2 items\. It is about one\.$"),
        ({"others": ("b",)}, AnswerError, r"^a rate question has 2 items\. It is about one\.$"),
        ({"form": "concept", "others": ("b",)}, AnswerError, r"^a concept question has 2 items\. It is about one\.$"),
        (
            {"form": "pair", "others": ("b",), "value": 0.5},
            AnswerError,
            r"^the answer to a pair is 0\.5\. Give 1 for the first, 0 for the second\.$",
        ),
        (
            {"form": "preview", "value": 4.0},
            AnswerError,
            r"^the answer to a preview is 4\. Give 1 for yes, 0 for no\.$",
        ),
        ({"form": "essay"}, OptionError, r"^the form of question 'essay' is unknown\. Use rate, pair, group,"),
        ({"form": "pair", "others": ("",)}, IdError, r"^item_id is empty"),
    ],
)
def test_an_answer_fits_its_form(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Answer(**{"user_id": "ann", "item_id": "a", "kind": AnswerKind.RATING, "value": 1.0} | changes)  # type: ignore[arg-type]


def test_a_group_counts_its_taps() -> None:
    answer = Answer("ann", "a", AnswerKind.RATING, form=Form.GROUP, others=("b", "c"), tapped=(" c ", "c", "a"))
    assert (answer.value, answer.tapped, answer.items) == (2.0, ("c", "a"), ("a", "b", "c"))
    assert Answer("ann", "a", AnswerKind.RATING, form=Form.GROUP, others=("b",)).value == 0.0


def test_a_naming_a_pick_and_a_slate_count_what_was_chosen() -> None:
    named = Answer("ann", " a ", "rating", form="recall")  # type: ignore[arg-type]
    assert (named.value, named.items, named.subject) == (1.0, ("a",), ("recall", "a"))
    nothing = Answer("ann", "", "skipped", form="recall")  # type: ignore[arg-type]
    assert (nothing.value, nothing.items) == (None, ())
    recall = Question("ann", "", "s", 0.0, 1.0, 1.0, form=Form.RECALL, text="Name one you like.")
    assert (recall.items, recall.title, recall.answer("a").item_id) == ((), "Name one you like.", "a")
    assert recall.answer(AnswerKind.SKIPPED).items == ()
    with pytest.raises(AnswerError, match=r"^a question to name one is about item 'a'\. Leave the item empty\.$"):
        Question("ann", "a", "s", 0.0, 1.0, 1.0, form=Form.RECALL)
    pick = Question("ann", "a", "s", 0.0, 1.0, 1.0, form=Form.PICK, others=("b", "c"))
    assert pick.answer("b") == pick.answer(["b"])
    assert (pick.answer("b").tapped, pick.answer("b").value) == (("b",), 1.0)
    assert pick.answer(AnswerKind.UNKNOWN).value is None
    slate = Question("ann", "a", "s", 0.0, 1.0, 1.0, form=Form.SLATE, others=("b", "c"))
    assert [slate.answer(clicked).value for clicked in ([], "c", ["c", "a"])] == [0.0, 1.0, 2.0]
    assert slate.answer(["c", "a"]).tapped == ("c", "a")  # in the order of the clicks
    one = Question("ann", "a", "s", 0.0, 1.0, 1.0, form=Form.SLATE)
    assert (one.answer([]).value, one.answer("a").value) == (0.0, 1.0)  # a list of one was clicked, or not
    for choice, wrong in ((pick, 3.5), (slate, None), (recall, 2.5)):
        with pytest.raises(PalateError):
            choice.answer(wrong)  # type: ignore[arg-type]


def test_a_concept_is_about_no_item() -> None:
    assert Answer("ann", "comedy", AnswerKind.RATING, 1, form=Form.CONCEPT).items == ()


def test_the_subject_does_not_hang_on_the_order() -> None:
    one = Answer("ann", "a", AnswerKind.RATING, 1, form=Form.PAIR, others=("b",))
    two = Answer("ann", "b", AnswerKind.RATING, 1, form=Form.PAIR, others=("a",))
    group = Answer("ann", "a", AnswerKind.RATING, form=Form.GROUP, others=("b",))
    assert one.subject == two.subject != group.subject


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_question_takes_time(seconds: float) -> None:
    with pytest.raises(OptionError, match=rf"^seconds is {seconds:g}\. Give a finite number above 0\.$"):
        Question("ann", "a", "random", 0.0, 1.0, 1.0, seconds=seconds)
