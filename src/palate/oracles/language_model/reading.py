"""What somebody wrote, read as answers: of each concept and title whether it says that they like it.

The model chooses between yes, no and unknown for one thing at a time. It is asked about what was found in the text, and
does not say what else may be in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from palate.entities import Answer, AnswerKind, Form, Item
from palate.errors.checks import check_text, instance, normalise_words, several
from palate.oracles.language_model.language_model import LanguageModel
from palate.oracles.language_model.prompts import Choice
from palate.oracles.language_model.untrusted import TEXT_LETTERS, TITLE_LETTERS, plain

OPTIONS = ("yes", "no", "unknown")
_WORDING = (
    "Somebody wrote what stands under `text`. Does it say that they like what stands under `about`? "
    "If it does not tell, reply with unknown."
)


def reading_choice(text: str, about: str) -> Choice:
    """Whether a text says that its writer likes something."""
    return Choice(_WORDING, OPTIONS, (("about", plain(about, TITLE_LETTERS)), ("text", plain(text, TEXT_LETTERS))))


def read(
    model: LanguageModel,
    user_id: str,
    text: str,
    *,
    concepts: Sequence[str] = (),
    items: Sequence[Item] = (),
    text_id: str = "",
) -> tuple[Answer, ...]:
    """Answers of whoever wrote the text: yes or no to a concept, an item named that they like. Of the unknown none.

    They count what the reader's source was calibrated to, as all that a machine says.

    Args:
        concepts: That may be in it, such as the categories of the model.
        items: Whose titles may be in it (:meth:`palate.Learner.titles_in`).
        text_id: Of the text, where it is kept: what was read points to it.
    Raises:
        OracleError: As of :meth:`LanguageModel.answer`.
    """
    check_text(text, "text")
    named = [normalise_words(concept, "concept") for concept in several(concepts, "concepts")]
    known = [instance(item, Item, "an item", "a palate.Item") for item in several(items, "items")]
    said = model.choose([reading_choice(text, about) for about in (*named, *(item.title for item in known))])
    answers: list[Answer] = []
    for about, one in zip((*named, *known), said, strict=True):
        option, source = model.chosen(one)
        reply = None if option is None else OPTIONS[option]
        of = model.provenance(one, question_id=text_id)
        if isinstance(about, str) and reply in ("yes", "no"):
            value, form = float(reply == "yes"), Form.CONCEPT
            answers.append(Answer(user_id, about, AnswerKind.RATING, value, source, form=form, provenance=of))
        elif isinstance(about, Item) and reply == "yes":
            answers.append(Answer(user_id, about.id, AnswerKind.RATING, None, source, form=Form.RECALL, provenance=of))
    return tuple(answers)
