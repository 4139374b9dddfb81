"""The things Palate speaks of, and the column names, once.

Ids are text. An id is normalised in one way everywhere (:func:`normalise_id`): NFC, no outer white space, 1 to 256
bytes of UTF-8, no control characters, no lone surrogates, nothing that does not show. Two are the same if these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from numbers import Real
from typing import Any

from palate.entities.provenance import UNKNOWN, Provenance
from palate.errors import AnswerError, OptionError
from palate.errors.checks import (
    check_text,
    instance,
    key_of,
    keys_of,
    normalise_id,
    normalise_words,
    one_of,
    positive,
    probability_of,
    rating_of,
    several,
    share,
    shown,
    time_of,
)

USER = "user_id"
ITEM = "item_id"
RATING = "rating"
EVENT = "event"
TIMESTAMP = "timestamp"  # seconds since the epoch, UTC
TITLE = "title"
TEXT = "text"
CATEGORY = "category"  # one or several, CATEGORY_SEPARATOR between
IMAGE = "image"
AUDIO = "audio"

CATEGORY_SEPARATOR = "|"

SLATE = "slate"  # of interactions: id of what was shown together
WEIGHT = "weight"  # of interactions: how much an event counts, 1 being one event


class Form(StrEnum):
    """The kinds of question."""

    RATE = "rate"  # an item, on the data's scale
    PAIR = "pair"  # this one or that one
    GROUP = "group"  # tap the ones you like
    PAGE = "page"  # rate the ones you know; answered item by item, as by "rate"
    CONCEPT = "concept"  # yes or no to a category, or to something said in words
    PREVIEW = "preview"  # would you? Of an item shown so that somebody who does not know it can tell
    RECALL = "recall"  # name one you like, out of everything; named unasked too, as in a search box
    PICK = "pick"  # the best of those shown
    SLATE = "slate"  # what was clicked in a list that was shown, or nothing; heard, and not asked


class AnswerKind(StrEnum):
    """The four answers, never merged: only a rating moves taste.

    What answers a question of another form (the first of a pair, those tapped, yes or no) counts as a rating here.
    """

    RATING = "rating"
    NO_OPINION = "no-opinion"  # knows it, has no view of it
    UNKNOWN = "unknown"  # does not know it: says something of exposure, nothing of taste
    SKIPPED = "skipped"  # did not want to say


@dataclass(frozen=True, slots=True)
class Item:
    """Something to recommend or to ask about."""

    id: str
    title: str = ""
    text: str = ""
    category: str = ""

    def __post_init__(self) -> None:
        _set(self, id=normalise_id(self.id, ITEM))
        for name in (TITLE, TEXT, CATEGORY):
            check_text(getattr(self, name), name)


@dataclass(frozen=True, slots=True)
class Question:
    """One question worth asking one user.

    Attributes:
        item_id: The item; the first of several; the name of the concept; empty where one is to be named.
        value: Acquisition score; its unit is the strategy's (nats for epig and bald, squared rating for a-optimal,
            squared rating per second where several forms are compared).
        answerable: Probability that this user can answer, in [0, 1].
        propensity: Probability with which this question was chosen, given everything before it.
        why: The reason in words.
        others: The further items of a pair, a group, a page, a pick or a slate.
        seconds: Of the user's time that it is expected to take (:mod:`palate.costs`).
        titles: What the items are called, in order; the concept's name.
        text: The whole question, as one may read it out to the user.

    Example:
        >>> question = Question("ann", "i1", "random", 0.0, 1.0, 0.5)
        >>> question.answer(4).value
        4.0
    """

    user_id: str
    item_id: str
    strategy: str
    value: float
    answerable: float
    propensity: float
    why: str = ""
    form: Form = Form.RATE
    others: tuple[str, ...] = ()
    seconds: float = 3.65
    titles: tuple[str, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        _check_items(self)
        for name in ("why", TEXT):
            check_text(getattr(self, name), name)
        _set(self, titles=several(self.titles, "titles"), seconds=positive(self.seconds, "seconds"))
        _set(self, strategy=key_of(self.strategy, "strategy"))
        if self.form is Form.RECALL and self.item_id:
            raise AnswerError(f"a question to name one is about item {shown(self.item_id)}. Leave the item empty.")
        for title in self.titles:
            check_text(title, TITLE)
        for name in ("answerable", "propensity"):
            share(getattr(self, name), name)
        value: object = self.value
        if isinstance(value, bool) or not isinstance(value, Real):
            raise OptionError(f"the value of a question is {shown(value)}. Give a number.")

    @property
    def items(self) -> tuple[str, ...]:
        """All items of it; none where it is about a concept, or one is to be named."""
        return _items(self)

    @property
    def parts(self) -> tuple[Question, ...]:
        """What is answered one by one: of a page a question to rate each item, with its share of the seconds."""
        if self.form is not Form.PAGE:
            return (self,)
        share, titles = self.seconds / len(self.items), self.titles or self.items
        return tuple(
            replace(self, item_id=item, form=Form.RATE, others=(), seconds=share, titles=(title,), text="")
            for item, title in zip(self.items, titles, strict=True)
        )

    @property
    def title(self) -> str:
        """What it is about, in a few words: the titles of its items, the concept, or what is to be named."""
        return " / ".join(self.titles or (self.item_id, *self.others)) or self.text

    def answer(
        self,
        value: float | AnswerKind | Sequence[str],
        *,
        source: str = "person",
        key: str = "",
        at: float | None = None,
    ) -> Answer:
        """The answer to it, ready to be told.

        Args:
            value: The rating; 1 for the first of a pair, 0 for the second; 1 for yes, 0 for no; the id named or picked;
                the ids tapped in a group or clicked in a slate, which may be none; or an answer that is no rating.
            source: Who answers.
            key: Made by the client: an answer told again with the same key changes nothing. Empty: one is made.
            at: When it was given, in seconds since the epoch.
        Raises:
            AnswerError: If it is no answer to this form of question.
        """
        is_other = isinstance(value, AnswerKind)
        is_list, is_name = self.form in _TAPPED and not is_other, self.form is Form.RECALL and not is_other
        return Answer(
            user_id=self.user_id,
            item_id=value if is_name else self.item_id,  # type: ignore[arg-type]  # the answer checks it
            kind=value if isinstance(value, AnswerKind) else AnswerKind.RATING,
            value=None if is_other or is_list or is_name else value,  # type: ignore[arg-type]  # counted by the answer
            source=source,
            propensity=self.propensity,
            key=key,
            question=self.strategy,
            answered_at=at,
            form=self.form,
            others=self.others,
            tapped=_ids(self.form, value) if is_list else (),
        )

    def answers(
        self,
        ratings: Mapping[str, float | AnswerKind],
        *,
        source: str = "person",
        key: str = "",
        at: float | None = None,
    ) -> tuple[Answer, ...]:
        """The answers to a page, one for each item of it, ready to be told.

        Args:
            ratings: By id, of the items that the user knows; the others are not known to them.
            key: The first answer has this key, the others this key with their number.
        Raises:
            AnswerError: If the question is no page, or an item is not on it.
        """
        if not isinstance(ratings, Mapping):
            raise AnswerError(f"the answers to a page are {shown(ratings)}. Give a mapping from item to rating.")
        given = {normalise_id(item, ITEM): rating for item, rating in ratings.items()}
        strange = [item for item in given if item not in self.items]
        if self.form is not Form.PAGE or strange:
            what = f"item {strange[0]!r} is not on the page" if strange else f"a {self.form.value} question is no page"
            raise AnswerError(f"{what}. Give ratings of the items of a page.")
        return tuple(
            part.answer(given.get(part.item_id, AnswerKind.UNKNOWN), source=source, key=own, at=at)
            for part, own in zip(self.parts, keys_of(key), strict=False)
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an oracle says to a question.

    Attributes:
        item_id: As in the question: the item, the first of several, or the name of the concept; what was named, if any.
        value: For ``kind`` rating: the rating on the data's own scale; 1 for the first of a pair and 0 for the second;
            1 for yes and 0 for no; how many were tapped, picked, clicked or named. ``None`` for the other kinds.
        source: Who answered: ``person``, ``simulated``, an annotator's name.
        propensity: Probability with which the question was asked; ``None`` where nobody asked.
        key: Client-made key; a second answer with the same key changes nothing. Empty: one is made.
        question: The strategy that asked, empty where nobody did.
        asked_at, answered_at: Seconds since the epoch, as the client claims; ``None`` if unknown.
        form: Of the question.
        others: The further items of a pair, a group, a pick or a slate.
        tapped: Those of a group that were tapped; the one that was picked; those that were clicked, first to last.
        provenance: How it came about.
    """

    user_id: str
    item_id: str
    kind: AnswerKind
    value: float | None = None
    source: str = "person"
    propensity: float | None = None
    key: str = ""
    question: str = ""
    asked_at: float | None = None
    answered_at: float | None = None
    form: Form = Form.RATE
    others: tuple[str, ...] = ()
    tapped: tuple[str, ...] = ()
    provenance: Provenance = UNKNOWN

    def __post_init__(self) -> None:
        _check_items(self)
        instance(self.provenance, Provenance, "provenance", "a palate.entities.Provenance")
        if self.form is Form.PAGE:
            raise AnswerError("a page is answered item by item. Give an answer of the form rate for each.")
        _set(
            self,
            kind=_kind(self.kind),
            value=None if self.value is None else rating_of(self.value),
            source=normalise_id(self.source, "source"),
            propensity=None if self.propensity is None else probability_of(self.propensity),
            key=key_of(self.key),
            question=key_of(self.question, "question"),
            asked_at=time_of(self.asked_at, "asked_at"),
            answered_at=time_of(self.answered_at, "answered_at"),
        )
        _check_tapped(self)
        _check_named(self)
        if (self.kind is AnswerKind.RATING) != (self.value is not None):
            raise AnswerError(
                f"an answer of kind {self.kind.value!r} has value {self.value!r}. Only a rating has a value."
            )
        if self.form in _YES_NO and self.value not in (None, 0.0, 1.0):
            raise AnswerError(f"the answer to a {self.form.value} is {self.value:g}. Give {_YES_NO[self.form]}.")

    @property
    def items(self) -> tuple[str, ...]:
        """All items it speaks of; none where it is about a concept, or none was named."""
        return _items(self)

    @property
    def subject(self) -> tuple[str, ...]:
        """What was asked, however the items were ordered: of several answers with one subject the last counts."""
        return (self.form.value, *(sorted((self.item_id, *self.others)) if self.others else (self.item_id,)))

    @property
    def is_rating(self) -> bool:
        """Whether it moves taste; what it says of it hangs on the form."""
        return self.kind is AnswerKind.RATING


_TAPPED = {Form.GROUP: "tapped", Form.PICK: "picked", Form.SLATE: "clicked"}
_SEVERAL = (Form.PAIR, Form.PAGE, *_TAPPED)
_ONE_ZERO = "1 for yes, 0 for no"
_YES_NO = {Form.PAIR: "1 for the first, 0 for the second", Form.CONCEPT: _ONE_ZERO, Form.PREVIEW: _ONE_ZERO}


def _items(asked: Question | Answer) -> tuple[str, ...]:
    return () if asked.form is Form.CONCEPT or not asked.item_id else (asked.item_id, *asked.others)


def _check_items(asked: Question | Answer) -> None:
    """A user and as many different items as the form has, by their normal names."""
    form = form_of(asked.form)
    normalise = normalise_words if form is Form.CONCEPT else normalise_id
    others = tuple(normalise_id(other, ITEM) for other in several(asked.others, "others"))
    is_open = form is Form.RECALL and isinstance(asked.item_id, str) and not asked.item_id
    item = "" if is_open else normalise(asked.item_id, ITEM)
    _set(asked, form=form, user_id=normalise_id(asked.user_id, USER), item_id=item, others=others)
    items = (item, *others)
    if form is Form.PAIR and len(items) != 2:
        raise AnswerError(f"a pair has {len(items)} items. Give 2 different ones.")
    if form in (Form.GROUP, Form.PAGE, Form.PICK) and len(items) == 1:
        raise AnswerError(f"a {form.value} has 1 item. Give at least 2 different ones.")
    if form not in _SEVERAL and len(items) > 1:
        raise AnswerError(f"a {form.value} question has {len(items)} items. It is about one.")
    if len(set(items)) < len(items):
        twice = next(item for item in items if items.count(item) > 1)
        raise AnswerError(f"item {shown(twice)} comes twice in a {form.value}. Give different items.")


def _check_tapped(answer: Answer) -> None:
    """Only some forms have tapped items, all of them were offered, and their number is the value."""
    form = answer.form
    tapped = tuple(dict.fromkeys(normalise_id(item, ITEM) for item in several(answer.tapped, "tapped")))
    _set(answer, tapped=tapped)
    said = form in _TAPPED and answer.kind is AnswerKind.RATING
    if tapped and not said:
        raise AnswerError(
            f"item {shown(tapped[0])} was tapped in no group, pick or slate. Only answers to them have such."
        )
    strange = [item for item in tapped if item not in answer.items]
    if strange:
        raise AnswerError(
            f"item {shown(strange[0])} was {_TAPPED[form]} and not offered. Give items of the {form.value}."
        )
    if said:
        n = len(tapped)
        if answer.value not in (None, float(n)):
            raise AnswerError(
                f"the value of a {form.value} is {answer.value:g}, {n} are {_TAPPED[form]}. Leave it out."
            )
        if form is Form.PICK and n != 1:
            raise AnswerError(f"of a pick {n} items are picked. Give the one that was picked.")
        _set(answer, value=float(n))


def _check_named(answer: Answer) -> None:
    """What was named is an item, and counts as one."""
    if answer.form is not Form.RECALL or (answer.kind is not AnswerKind.RATING and not answer.item_id):
        return
    if answer.kind is not AnswerKind.RATING:
        raise AnswerError(f"item {shown(answer.item_id)} is in an answer that names none. Leave it empty.")
    if not answer.item_id:
        raise AnswerError("a naming has 0 items. Give the id of the one that was named, or the kind skipped.")
    if answer.value not in (None, 1.0):
        raise AnswerError(f"the value of a naming is {answer.value:g}. Leave it out.")
    _set(answer, value=1.0)


def form_of(value: object) -> Form:
    """The form of that name.

    Raises:
        OptionError: If there is none.
    """
    return value if isinstance(value, Form) else Form(one_of(value, Form, "the form of question"))


def _kind(value: object) -> AnswerKind:
    if isinstance(value, AnswerKind):
        return value
    if not isinstance(value, str) or value not in set(AnswerKind):
        raise AnswerError(f"an answer has the kind {shown(value)}. Give one of {', '.join(AnswerKind)}.")
    return AnswerKind(value)


def _set(of: object, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(of, name, value)


def _ids(form: Form, tapped: object) -> tuple[str, ...]:
    """The items tapped in a list; a number says how many, and not which. One id alone is what was picked or clicked."""
    is_one = isinstance(tapped, (str, bytes)) or not isinstance(tapped, Sequence)
    if is_one and form is Form.GROUP:
        raise AnswerError(f"the answer to a group is {shown(tapped)}. Give the ids that were tapped, in a list.")
    return (tapped,) if is_one else tuple(tapped)  # type: ignore[return-value,arg-type]  # the answer checks them
