"""Questions of every kind on the screen: what they say, which keys answer them, what the answer was in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import short
from palate.cli.options import listed
from palate.cli.parse_answer import in_words, legend
from palate.entities import Answer, Form, Question
from palate.model.answer_keys import keys_of

if TYPE_CHECKING:
    from palate.model.catalogue import Catalogue
    from palate.model.model import Model


Forms = Annotated[
    list[str] | None,
    typer.Option(
        "--forms",
        metavar="FORM,...",
        help="Forms of question: rate, pair, group, page, concept, preview, pick, recall.",
    ),
]
DONE = "d"
GROUP_KEYS = "1234567890"  # an item each, in order


_LISTS = {
    Form.GROUP: "which of these do you like",
    Form.PAGE: "rate those you know",
    Form.PICK: "which of these do you like best",
    Form.SLATE: "which of these would you click",
}


def forms_of(given: list[str] | None) -> list[str]:
    """The forms that were named; to rate where none was."""
    return list(listed(given)) or [Form.RATE.value]


def titles_of(catalogue: Catalogue, asked: Question | Answer) -> list[str]:
    """What it is about, short: the titles of its items, or the concept."""
    if asked.form is Form.CONCEPT:
        return [short(asked.item_id)]
    return [short(catalogue.names[catalogue.position(item)]) for item in asked.items]


def about(catalogue: Catalogue, asked: Question | Answer) -> str:
    """The question itself, or what an answer is about."""
    titles = titles_of(catalogue, asked)
    if asked.form is Form.PAIR:
        return " or ".join(titles)
    if asked.form in _LISTS:
        return f"{_LISTS[asked.form]}: {', '.join(titles)}"
    if not titles:
        return "name one you like"
    ask = {Form.CONCEPT: "do you like {}?", Form.PREVIEW: "would you: {}?"}.get(asked.form, "{}")
    return ask.format(titles[0])


def keys_for(question: Question, model: Model) -> dict[str, float]:
    """The value that each key stands for; of a group or a pick, the place of the item that it taps."""
    if question.form in (Form.GROUP, Form.PICK):
        return {key: float(place) for place, key in enumerate(GROUP_KEYS[: len(question.items)])}
    if question.form is Form.PAIR:
        return {"1": 1.0, "2": 0.0}
    return keys_of(model) if question.form is Form.RATE else {"1": 1.0, "0": 0.0}


def legend_for(question: Question, model: Model) -> str:
    """What the keys mean, for the screen."""
    if question.form is Form.RATE:
        return legend(keys_of(model), model)
    if question.form is Form.PAIR:
        return "1 the first · 2 the second"
    if question.form is Form.PICK:
        return "the number of the best"
    if question.form is Form.RECALL:
        return "a title, or its first letters"
    return "1 yes · 0 no" if question.form is not Form.GROUP else f"the number of each you like · {DONE} done"


def said_and_about(answer: Answer, model: Model) -> str:
    """An answer as a person would say it, what it is about, and the id; what was named is not named twice."""
    said, is_named = said_in_words(answer, model), answer.form is Form.RECALL and answer.value is not None
    about_it = "" if is_named else f" for {about(model.catalogue, answer)}"
    return f"{said}{about_it} ({answer.item_id})"


def said_in_words(answer: Answer, model: Model) -> str:
    """An answer as a person would say it."""
    if answer.value is None or answer.form is Form.RATE:
        return in_words(answer.kind, answer.value, model)
    titles = titles_of(model.catalogue, answer)
    if answer.form is Form.PAIR:
        return f"rather {titles[0] if answer.value else titles[1]}"
    if answer.form is Form.RECALL:
        return f"likes {titles[0]}"
    if answer.form in (Form.PICK, Form.SLATE):
        chosen = [titles[answer.items.index(item)] for item in answer.tapped]
        return f"{'rather' if answer.form is Form.PICK else 'clicked'} {', '.join(chosen) or 'none of them'}"
    if answer.form is Form.GROUP:
        liked = [title for item, title in zip(answer.items, titles, strict=True) if item in answer.tapped]
        return f"likes {', '.join(liked)}" if liked else "likes none of them"
    return "yes" if answer.value else "no"
