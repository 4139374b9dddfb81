"""Questions in words, as one may show them to a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from palate.entities import Form, Question
from palate.model.model import Model
from palate.model.spoken import as_shown

_TEXTS = {
    Form.PAIR: "Which do you like better, {}?",
    Form.GROUP: "Which of these do you like: {}?",
    Form.PAGE: "Rate those you know: {}.",
    Form.CONCEPT: "Do you like {}?",
    Form.PREVIEW: "Would you like {}?",
    Form.PICK: "Which of these do you like best: {}?",
    Form.RECALL: "Name one you like.",
}


def worded(model: Model, question: Question) -> Question:
    """The question with the titles of its items and its text."""
    catalogue = model.catalogue
    titles = tuple(catalogue.names[catalogue.position(item)] for item in question.items)
    titles = (question.item_id,) if question.form is Form.CONCEPT else titles
    said = titles if question.form is Form.CONCEPT else tuple(map(as_shown, titles))
    return replace(question, titles=titles, text=_text(model, question.form, said))


def _text(model: Model, form: Form, titles: Sequence[str]) -> str:
    if form is not Form.RATE:
        return _TEXTS[form].format((" or " if form is Form.PAIR else ", ").join(titles))
    if model.taste.likelihood.words:
        return f"Do you like {titles[0]}?"
    return f"How do you rate {titles[0]}, from {model.scale.low:g} to {model.scale.high:g}?"
