"""Questions of every kind on the screen: what they say, which keys answer them, what the answer was in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import short
from palate.cli.options import listed
from palate.cli.parse_answer import in_words, legend
from palate.entities import Answer, AnswerKind, Form, Question
from palate.model.answer_keys import keys_of
from palate.model.spoken import as_shown
from palate.service.pages.words import WORDS

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
_ASKED = {  # of several items, with nothing of them in it
    Form.PAIR: WORDS["en"]["ask_pair"],
    Form.GROUP: "Which of these do you like?",
    Form.PAGE: "Rate those you know.",
    Form.PICK: WORDS["en"]["ask_pick"],
    Form.SLATE: "Which of these would you click?",
}


def forms_of(given: list[str] | None) -> list[str]:
    """The forms that were named; to rate where none was."""
    return list(listed(given)) or [Form.RATE.value]


def titles_of(catalogue: Catalogue, asked: Question | Answer) -> list[str]:
    """What it is about, short: the titles of its items, or the concept."""
    if asked.form is Form.CONCEPT:
        return [short(asked.item_id)]
    return [short(as_shown(catalogue.names[catalogue.position(item)])) for item in asked.items]


def about(catalogue: Catalogue, asked: Question | Answer) -> str:
    """What a question or an answer is about, in a line: the item to rate, or the question with all its items."""
    titles = titles_of(catalogue, asked)
    if asked.form in _ASKED:
        return f"{_ASKED[asked.form]} {' or '.join(titles) if asked.form is Form.PAIR else '; '.join(titles)}"
    return asked_aloud(asked.form, titles) if asked.form is not Form.RATE else titles[0]


def asked_aloud(form: Form, titles: Sequence[str], *, likes: bool = False, again: bool = False) -> str:
    """A question as a person would ask it; several items stand below it.

    Args:
        likes: Whether the answers are to like or not, and no ratings.
        again: Whether the user named one before.
    """
    words = WORDS["en"]
    if form in _ASKED:
        return _ASKED[form]
    if form is Form.RECALL:
        return words["ask_recall_more" if again else "ask_recall"]
    if form is Form.CONCEPT:
        return f"{words['ask_concept'].format(name=titles[0])} {words['ask_concept_hint']}"
    if form is Form.PREVIEW:
        return f"Would you like {titles[0]}?"
    return f"{'Do' if likes else 'How do'} you like {titles[0]}?"


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
    return "1 yes · 0 no" if question.form is not Form.GROUP else f"the number of each you like, then {DONE} done"


def told(answer: Answer, model: Model) -> str:
    """An answer as a person would note it down: 4 for The Matrix (1999)."""
    titles = titles_of(model.catalogue, answer)
    whole = (" or " if answer.form is Form.PAIR else ", ").join(titles)
    if answer.value is None:
        return _WITHOUT[answer.kind].format(whole) if whole else "named nothing"
    if answer.form is Form.RATE:
        return f"{in_words(answer.kind, answer.value, model)} for {whole}"
    if answer.form is Form.PAIR:
        first, second = titles if answer.value else reversed(titles)
        return f"{first} rather than {second}"
    if answer.form is Form.RECALL:
        return f"likes {whole}"
    if answer.form in (Form.GROUP, Form.PICK, Form.SLATE):
        return _chosen(answer, titles)
    return f"{'yes' if answer.value else 'no'} to {whole}"


_WITHOUT = {
    AnswerKind.UNKNOWN: "don't know {}",
    AnswerKind.NO_OPINION: "no opinion on {}",
    AnswerKind.SKIPPED: "skipped {}",
}


def _chosen(answer: Answer, titles: Sequence[str]) -> str:
    """What was taken of several."""
    taken = [title for item, title in zip(answer.items, titles, strict=True) if item in answer.tapped]
    left = [title for title in titles if title not in taken]
    if answer.form is Form.PICK:
        return f"{', '.join(taken)} best of {', '.join(titles)}"
    verb = "likes" if answer.form is Form.GROUP else "clicked"
    return f"{verb} {', '.join(taken)}" if taken else f"{verb} none of {', '.join(left)}"
