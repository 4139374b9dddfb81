"""What of a log a model can take."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from palate.entities import Answer, Form
from palate.entities.friends import FRIENDS
from palate.errors import AnswerError, DataError, InputError, MissingExtra, OptionError
from palate.errors.checks import shown
from palate.model.counted import is_of_taste
from palate.model.item_labels import check_option
from palate.model.model import Model
from palate.oracles.pseudo_labels import is_pseudo, weight_of
from palate.posteriors.attribute_coding import Coding
from palate.records import Attribute, Event, Slate

T = TypeVar("T", bound=Answer | Event | Attribute | Slate)


def check_answer(model: Model, answer: Answer) -> Answer:
    """The answer with a key, if a model can take it.

    Raises:
        UnknownItem: If the model does not hold an item, or cannot read a concept.
        AnswerError: If the rating is off the scale, or the model knows events and cannot take this kind of answer; or
            one about an attribute has another form than ``rate``, or is no option of one that the model knows.
    """
    if not isinstance(answer, Answer):
        raise strange(answer, Answer)
    model.catalogue.positions(answer.items)
    if not is_of_taste(answer):  # it moves no belief about a user, and has a scale of its own
        if answer.form is not Form.RATE:
            raise AnswerError(f"an answer about an attribute has the form {answer.form.value}. Give the form rate.")
        check_option(model.item_labels, answer.provenance.subject, answer.value)
    elif answer.form is Form.RATE and answer.value is not None:
        check_value(model, answer.value)
    elif answer.form is not Form.RATE:
        check_form(model, answer)
    if is_pseudo(answer):
        weight_of(answer)
    return with_key(answer)


def check_value(model: Model, value: float) -> None:
    """Raises AnswerError if a rating is off the scale, or one of an event says nothing."""
    model.scale.check(value)
    if model.taste.likelihood.events_only and value == 0.0:
        raise AnswerError("the answer 0 says neither for nor against. Give like (1) or dislike (-1).")


def check_events(model: Model, events: list[Event]) -> list[Event]:
    """The events, if the model can take them.

    Raises:
        UnknownItem, DataError: If it does not hold an item, or knows no such kind.
    """
    model.catalogue.positions([event.item_id for event in events])
    for event in events:
        model.vocabulary.word(event.kind)
    return events


def check_form(model: Model, answer: Answer) -> None:
    """Whether the model can take an answer to something else than "rate this".

    Raises:
        UnknownItem: If it cannot read a concept.
        AnswerError: If it knows events only, or its encoder is not there.
    """
    try:
        model.taste.likelihood.check_forms((answer.form,))
        if answer.form is Form.CONCEPT:
            model.concept(answer.item_id)
    except (OptionError, MissingExtra) as error:
        raise AnswerError(str(error)) from error


def check_attributes(model: Model, attributes: Iterable[Attribute]) -> list[Attribute]:
    """Attributes with keys and with values as they are kept, if a model can take them; one that knows none takes all.

    Raises:
        OptionError: If none is given, or a name or a value cannot be taken.
    """
    given, fitted = list(attributes), model.attributes
    if not given:
        names = "one, such as age=31" if fitted is None else f"one of {', '.join(fitted.coding.names)}"
        raise OptionError(f"0 attributes are given. Give at least {names}.")
    coding = Coding(()) if fitted is None else fitted.coding
    return [_checked(with_key(one), coding) for one in given]


def _checked(one: Attribute, coding: Coding) -> Attribute:
    if one.friends is not None:
        return one
    if one.name == FRIENDS and FRIENDS not in coding.names:
        raise OptionError(f"friends is {shown(one.value)}. Give the ids of those whom they follow, such as ['bob'].")
    return replace(one, value=coding.check({one.name: one.value})[one.name])


def with_key(content: T) -> T:
    """The same with a key; a new one where it has none."""
    return content if content.key else replace(content, key=uuid.uuid4().hex)


def several(given: T | Iterable[T], kind: type[T]) -> list[T]:
    """One or several, as a list.

    Raises:
        AnswerError, DataError: If something else is among them.
    """
    if isinstance(given, kind):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes, type)):
        raise strange(given, kind)
    found = list(given)
    for one in found:
        if not isinstance(one, kind):
            raise strange(one, kind)
    return found


def strange(one: object, kind: type) -> InputError:
    """The error that something else than this was given."""
    said = f"{shown(one)} is a {type(one).__name__}. Give what"
    if kind is Answer:
        return AnswerError(f"{said} question.answer(...) or palate.rate(...) makes.")
    made = "palate.recommender.slates.drawn(...)" if kind is Slate else "palate.events(...)"
    return DataError(f"{said} {made} makes.")
