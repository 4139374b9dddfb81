"""What people type as an answer, and which key stands for which rating."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from palate.entities import Answer, AnswerKind, Form, form_of
from palate.errors import AnswerError, OptionError
from palate.errors.checks import shown
from palate.model.answer_keys import KEYS, has_halves, keys_of
from palate.records import recall

if TYPE_CHECKING:
    from palate.learner import Learner
    from palate.model.model import Model


NOT_FOR_ME = "not-for-me"  # a no, where answers are yes or no
WORDS = {"unknown": AnswerKind.UNKNOWN, "no-opinion": AnswerKind.NO_OPINION, "skip": AnswerKind.SKIPPED}


def parse_answer(text: str, model: Model) -> float | AnswerKind:
    """A rating, or one of the answers that are none.

    Args:
        text: A number on the scale, ``unknown``, ``no-opinion``, ``skip``, or, where the model knows likes or events
            and not ratings, ``like`` (1), or ``dislike`` or ``not-for-me`` (0).
    Raises:
        AnswerError: If it is none of these.
    """
    word = text.strip().lower()
    named: dict[str, float | AnswerKind] = {**WORDS, **_words(model)}
    if model.taste.likelihood.words:
        named |= keys_of(model)
    if word in named:
        return named[word]
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AnswerError(f"the answer {text[:40]!r} is unknown. Give {_expected(model)}, {', '.join(WORDS)}.")
    return model.scale.check(value)


def given_answer(
    model: Model, user: str, item: str, text: str, kind: str, others: Sequence[str], key: str = ""
) -> Answer:
    """The answer that somebody typed to a question of some kind.

    Args:
        text: As in :func:`parse_answer`; 1 or 0 to a pair, a concept or a preview; ids, or ``none``, to a group, a pick
            or a slate; nothing to what is named.
        others: The other items of a pair, a group, a pick or a slate.
    Raises:
        AnswerError: If it is no such answer.
    """
    form, word = form_of(kind), text.strip().lower()
    if not word and form is Form.RECALL:
        return Answer(user, item, AnswerKind.RATING, key=key, form=form)
    if not word:
        raise AnswerError(f"no answer is given. Give --answer: {_answers_to(form, model)}, {', '.join(WORDS)}.")
    if form is Form.RECALL and word not in WORDS:
        raise AnswerError(f"the answer {text[:40]!r} is unknown. Leave it out: what was named is the --item.")
    if form in _OF_IDS and word not in WORDS:
        tapped = () if word == "none" else tuple(filter(None, (part.strip() for part in text.split(","))))
        return Answer(user, item, AnswerKind.RATING, key=key, form=form, others=tuple(others), tapped=tapped)
    said = parse_answer(text, model) if form in (Form.RATE, Form.PAGE) or word in WORDS else _yes_or_no(word)
    answered = AnswerKind.RATING if isinstance(said, float) else said
    value = said if isinstance(said, float) else None
    return Answer(user, item, answered, value, key=key, form=form, others=tuple(others))


def named_in(learner: Learner, user: str, text: str, kind: str, item: str = "", key: str = "") -> tuple[Answer, ...]:
    """The items whose titles stand in what somebody wrote, as what they named.

    Raises:
        AnswerError: If the text is empty or holds no title.
        OptionError: If the form is not recall, or an item is given too.
    """
    form = form_of(kind)
    if form is not Form.RECALL or item:
        what = f"the item {item!r} is given too" if item else f"the form is {form.value}"
        raise OptionError(f"--text holds what somebody named, and {what}. Give --kind recall and no --item.")
    if not text.strip():
        raise AnswerError("the text is empty. Write what is liked, or name it with --item.")
    found = learner.titles_in(text)
    if not found:
        of = f"{len(learner.model.catalogue):,} items"
        raise AnswerError(f"no title of the {of} is in the text {shown(text)}. Put titles in quotes, or give --item.")
    return recall(user, [one.id for one in found], key=key)


_OF_IDS = {Form.GROUP: "the ids tapped, or none", Form.PICK: "the id picked", Form.SLATE: "the ids clicked, or none"}


def _answers_to(form: Form, model: Model) -> str:
    return _expected(model) if form in (Form.RATE, Form.PAGE) else _OF_IDS.get(form, "1 or 0")


def _yes_or_no(word: str) -> float:
    if word not in ("1", "0", "yes", "no"):
        raise AnswerError(f"the answer {word[:40]!r} is unknown. Give 1 or 0, {', '.join(WORDS)}.")
    return float(word in ("1", "yes"))


def _expected(model: Model) -> str:
    words = ", ".join(_words(model))
    return words or f"a number from {model.scale.low:g} to {model.scale.high:g}"


def _words(model: Model) -> dict[str, float]:
    """Answers that have a name."""
    words = dict(model.taste.likelihood.words)
    return {**words, NOT_FOR_ME: words["dislike"]} if "dislike" in words else words


def legend(keys: dict[str, float], model: Model) -> str:
    """What the digit keys mean, for the screen."""
    if model.taste.likelihood.words:
        return " · ".join(f"{max(value, 0.0):g} {word}" for word, value in model.taste.likelihood.words.items())
    if all(float(key) == value for key, value in keys.items()):
        return f"{' '.join(keys)} rate"
    if has_halves(keys.values()):
        return _stars(keys)
    steps = [f"{key} = {value:g}" for key, value in keys.items()]
    if len(steps) == len(KEYS):
        return f"{steps[0]}, {steps[1]} ... {steps[-1]} rate: the ten keys are spread over the scale"
    return f"{', '.join(steps)} rate"


def _stars(keys: dict[str, float]) -> str:
    """Digits that are so many stars, and those that are half a star less."""
    whole = [key for key, value in keys.items() if value.is_integer()]
    halves = [key for key, value in keys.items() if not value.is_integer()]
    said = [f"{key} is {keys[key]:g}" for key in halves]
    where = f"{', '.join(said[:2])} ... {said[-1]}" if len(said) > 3 else ", ".join(said)
    return f"{' '.join(whole)} rate · {' '.join(halves)} half a star less: {where}"


def in_words(kind: AnswerKind, value: float | None, model: Model) -> str:
    """An answer as a person would say it."""
    if value is None:
        return {"unknown": "don't know it", "no-opinion": "no opinion", "skipped": "skipped"}[kind.value]
    return model.taste.likelihood.in_words(value)
