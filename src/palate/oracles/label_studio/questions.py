"""A question as a task of Label Studio, and an annotation of one as what somebody says to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from xml.sax.saxutils import quoteattr

from palate.datasets.times import parse_moment
from palate.entities import ITEM, USER, Answer, AnswerKind, Question
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.entities.provenance import TASTE, Provenance
from palate.errors import OptionError
from palate.errors.checks import check_text, number, several
from palate.oracles.protocol import Asked

CHANNEL = "label-studio"
CONTROL = "answer"  # of the label config
EXTRA = "palate"  # in a task's data; it comes back in every export
DONT_KNOW = "Don't know"
_HOW = "How do you like it?"
MOST_LEVELS = 20

Said = int | str  # the place of an option, or an answer that is none


class NoAnswer(Exception):
    """Why an annotation is no answer to a question of ours."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a project asks: an attribute of items, or how they are liked.

    Attributes:
        options: The texts to choose from, beside that for who does not know it.
        values: What a choice is worth: the place of an attribute's option, or a rating.
        attribute: None: of taste.
        dont_know: The text for who does not know it.
    """

    options: tuple[str, ...]
    values: tuple[float, ...]
    attribute: ItemAttribute | None = None
    dont_know: str = DONT_KNOW

    @classmethod
    def of(cls, asks: ItemAttribute | Iterable[float], dont_know: str = DONT_KNOW) -> Self:
        """Of an attribute, or of the levels of a scale, such as ``(1, 2, 3, 4, 5)``.

        Raises:
            OptionError: If there are too few or too many levels, one comes twice, or an option is the text for who does
                not know it.
        """
        check_text(dont_know, "dont_know")
        if isinstance(asks, ItemAttribute):
            options, values = asks.options, tuple(map(float, range(len(asks.options))))
        else:
            values = tuple(number(one, "a level") for one in several(asks, "asks", "[1, 2, 3, 4, 5]"))
            options = tuple(f"{value:g}" for value in values)
            if not 2 <= len(set(options)) == len(options) <= MOST_LEVELS:
                raise OptionError(f"asks has {len(options)} levels. Give 2 to {MOST_LEVELS} different ones.")
        if not dont_know.strip() or dont_know in options:
            raise OptionError(f"dont_know is {dont_know[:40]!r}, which is empty or an option. Give another text.")
        return cls(options, values, asks if isinstance(asks, ItemAttribute) else None, dont_know)

    @property
    def subject(self) -> str:
        return TASTE if self.attribute is None else self.attribute.name

    @property
    def label_config(self) -> str:
        """The XML of the project. What is asked comes with each task, so that nothing of an item is in it."""
        choices = "".join(f"<Choice value={quoteattr(text)}/>" for text in (*self.options, self.dont_know))
        return (
            '<View><Header value="$question"/><Text name="title" value="$title"/><Text name="text" value="$text"/>'
            f'<Choices name="{CONTROL}" toName="title" choice="single" showInLine="true">{choices}</Choices></View>'
        )

    def task(self, asked: Asked, key: str) -> dict[str, Any]:
        """The data of a question's task."""
        if isinstance(asked, AttributeQuestion):
            shown = {"question": asked.attribute.question, "title": asked.title or asked.item_id, "text": asked.text}
        else:
            shown = {"question": asked.text or _HOW, "title": asked.title, "text": ""}
        return {**shown, EXTRA: {"key": key, **kept(asked)}}

    def said(self, annotation: Mapping[str, Any]) -> Said:
        """What an annotation says.

        Raises:
            NoAnswer: If it is none of what the project offers; Label Studio itself takes anything.
        """
        if annotation.get("was_cancelled"):
            return AnswerKind.SKIPPED.value
        results = annotation.get("result")
        found = [one for one in results if _is_ours(one)] if isinstance(results, list) else []
        if len(found) != 1:
            raise NoAnswer(f"has {len(found)} choices where one is asked for")
        chosen = found[0]["value"].get("choices")
        if not isinstance(chosen, list) or len(chosen) != 1:
            raise NoAnswer(f"has {len(chosen) if isinstance(chosen, list) else 0} options where one is to be chosen")
        if chosen[0] == self.dont_know:
            return AnswerKind.UNKNOWN.value
        if chosen[0] not in self.options:
            raise NoAnswer(f"chooses {str(chosen[0])[:40]!r}, which is none of the options")
        return self.options.index(chosen[0])

    def answer(self, asked: Mapping[str, Any], said: Said, source: str, key: str, at: float | None) -> Answer:
        """The answer to a question, from what was kept of it."""
        option: int | AnswerKind = said if isinstance(said, int) else AnswerKind(said)
        about = Provenance(channel=CHANNEL, question_id=str(asked["key"]), score=_finite(asked.get("value")))
        if self.attribute is not None:
            question = AttributeQuestion(
                self.attribute, asked[ITEM], strategy=asked["strategy"], propensity=asked["propensity"]
            )
            return question.answer(option, source=source, key=key, at=at, of=about)
        rating = option if isinstance(option, AnswerKind) else self.values[option]
        of_taste = Question(asked[USER], asked[ITEM], asked["strategy"], 0.0, 1.0, asked["propensity"])
        return replace(of_taste.answer(rating, source=source, key=key, at=at), provenance=about)


def kept(asked: Asked) -> dict[str, Any]:
    """What of a question its answer needs."""
    user = {} if isinstance(asked, AttributeQuestion) else {USER: asked.user_id}
    of = {"strategy": asked.strategy, "propensity": float(asked.propensity), "value": _finite(asked.value)}
    return {**user, ITEM: asked.item_id, **of}


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _is_ours(result: object) -> bool:
    return isinstance(result, Mapping) and result.get("from_name") == CONTROL and isinstance(result.get("value"), dict)


def newest(annotations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Annotations, the one that was changed or made last at the end."""
    return sorted(annotations, key=lambda one: (said_at(one) or 0.0, one["id"]))


def said_at(annotation: Mapping[str, Any]) -> float | None:
    """When it was changed or made last, in seconds since the epoch, by the clock there."""
    at = annotation.get("updated_at") or annotation.get("created_at")
    return parse_moment(at) if isinstance(at, str) else None
