"""Questions of Palate as choices, and what was chosen as an answer. Only what is listed here reaches a prompt.

Of an item that is its title and its text; of a user the titles and ratings of at most twenty items. No id, no time, no
other user, and nothing else of the question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from palate.entities import Answer, AnswerKind, Form, Item, Question
from palate.entities.item_attributes import MOST_OPTIONS, AttributeQuestion
from palate.entities.provenance import Provenance
from palate.errors import OptionError
from palate.errors.checks import instance, number, several
from palate.oracles.language_model.prompts import Choice, Fields
from palate.oracles.language_model.untrusted import TEXT_LETTERS, TITLE_LETTERS, plain
from palate.oracles.protocol import Asked

FORMS = frozenset({Form.RATE, Form.PAIR, Form.CONCEPT, Form.PREVIEW, Form.PICK})
_MOST_RATED = 20  # items of a user that a prompt tells of: the last ones
_RATED = "Somebody rated the items that are told of under `rated`."
_WORDINGS = {
    Form.RATE: f"{_RATED} How would the same person rate the item that is not rated?",
    Form.PAIR: f"{_RATED} Which of the two others would the same person rather have?",
    Form.PICK: f"{_RATED} Which of the others would the same person like best?",
    Form.CONCEPT: f"{_RATED} Does the same person like the kind of item that is told of under `kind`?",
    Form.PREVIEW: f"{_RATED} Would the same person want the item that is not rated?",
}
_YES_NO = ("yes", "no")


def item_fields(title: str, text: str) -> Fields:
    """What a prompt tells of an item."""
    return (("title", plain(title, TITLE_LETTERS)), ("text", plain(text, TEXT_LETTERS)))


def attribute_choice(asked: AttributeQuestion, shots: Sequence[tuple[AttributeQuestion, int]] = ()) -> Choice | None:
    """A question about an attribute, with examples of the same attribute; None where nothing is told of the item."""
    fields = item_fields(asked.title, asked.text)
    if not any(text for _, text in fields):
        return None
    known = [(item_fields(one.title, one.text), place) for one, place in shots if one.attribute == asked.attribute]
    return Choice(asked.attribute.question, asked.attribute.options, fields, tuple(known))


@dataclass(frozen=True, slots=True)
class InPlace:
    """What a model is told of the users in whose place it answers.

    Attributes:
        items: By id; of one without a title nothing is told.
        ratings: By user, then item, the last rated last.
        levels: Ratings that there are, 2 to 20, lowest first.
    """

    items: Mapping[str, Item] = field(repr=False)
    ratings: Mapping[str, Mapping[str, float]] = field(repr=False)
    levels: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)

    def __post_init__(self) -> None:
        levels = tuple(number(one, "a level") for one in several(self.levels, "levels", "[1, 2, 3]"))
        if not 2 <= len(levels) <= MOST_OPTIONS or list(levels) != sorted(set(levels)):
            raise OptionError(f"levels are {len(levels)}. Give 2 to {MOST_OPTIONS} different ones, lowest first.")
        object.__setattr__(self, "levels", levels)

    def choice(self, asked: Question) -> Choice | None:
        """The question as a choice; None where it cannot be asked, or nothing is known of the user or an item."""
        rated = self._rated(asked)
        are_known = all(item in self.items and self._title(item) for item in asked.items)
        if not rated or not are_known or asked.form not in FORMS or len(asked.items) > MOST_OPTIONS:
            return None
        wording = _WORDINGS[asked.form]
        if asked.form in (Form.PAIR, Form.PICK):
            titles = tuple(self._title(item) for item in asked.items)
            return Choice(wording, titles, rated, are_items=True)
        if asked.form is Form.CONCEPT:
            return Choice(wording, _YES_NO, (*rated, ("kind", plain(asked.item_id, TITLE_LETTERS))))
        item = self.items[asked.item_id]
        options = tuple(f"{level:g}" for level in self.levels) if asked.form is Form.RATE else _YES_NO
        return Choice(wording, options, (*rated, *item_fields(item.title, item.text)))

    def value(self, asked: Question, option: int) -> float | str:
        """What an option of :meth:`choice` is as an answer."""
        if asked.form is Form.PICK:
            return asked.items[option]
        return self.levels[option] if asked.form is Form.RATE else 1.0 - option

    def _rated(self, asked: Question) -> Fields:
        known = self.ratings.get(asked.user_id, {})
        told = [item for item in known if item in self.items and self._title(item) and item not in asked.items]
        return tuple((f"rated {known[item]:g}", self._title(item)) for item in told[-_MOST_RATED:])

    def _title(self, item_id: str) -> str:
        return plain(self.items[item_id].title, TITLE_LETTERS)


def answered(asked: Asked, value: float | str | AnswerKind, source: str, of: Provenance) -> Answer:
    """The answer to a question, by whom and how it came about.

    Args:
        value: The place of the option of an attribute; the answer to another question.
    """
    if isinstance(asked, AttributeQuestion):
        said = value if isinstance(value, AnswerKind) else int(float(value))
        return asked.answer(said, source=source, of=of)
    instance(asked, Question, "a question", "a palate.Question, or one about an attribute")
    return replace(asked.answer(value, source=source), provenance=of)
