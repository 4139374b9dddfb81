"""Where an answer comes from: what the log keeps of a label beside what it says."""

from __future__ import annotations

from dataclasses import dataclass

from palate.errors import AnswerError
from palate.errors.checks import key_of, normalise_id, number_of, shown, time_of

TASTE = "taste"
MACHINE = "lm:"  # how the source of every label of a language model begins


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an answer came about. What is not known is left out.

    Attributes:
        family: Of the source: those of one family share their errors, as two sizes of one language model do.
        channel: The way it came, such as ``http`` or ``import``.
        subject: What it is about: ``taste``, or the name of an attribute of the item.
        model: Version of the model that asked.
        question_id: Of the question, where it had an id.
        score: Of the question when it was asked, in the unit of its strategy.
        slate: Id of the list in which the item was shown.
        shown_at: When the item was shown, in seconds since the epoch, as the client claims.
        cost: What the answer cost, in the currency of the budget, at least 0.
        tokens: Of a language model, read and written.
        consent: Version of the text under which the user agreed that it is kept.

    Example:
        >>> Provenance(channel="http", cost=0.02).subject
        'taste'
    """

    family: str = ""
    channel: str = ""
    subject: str = TASTE
    model: str = ""
    question_id: str = ""
    score: float | None = None
    slate: str = ""
    shown_at: float | None = None
    cost: float | None = None
    tokens: int | None = None
    consent: str = ""

    def __post_init__(self) -> None:
        for name in ("family", "channel", "model", "question_id", "slate", "consent"):
            object.__setattr__(self, name, key_of(getattr(self, name), name))
        object.__setattr__(self, "subject", normalise_id(self.subject, "subject"))
        object.__setattr__(self, "score", time_of(self.score, "score"))
        object.__setattr__(self, "shown_at", time_of(self.shown_at, "shown_at"))
        cost, tokens = time_of(self.cost, "cost"), self.tokens
        if cost is not None and cost < 0:
            raise AnswerError(f"cost {shown(cost)} is below 0. Give what the answer cost, or None.")
        if tokens is not None and (isinstance(tokens, bool) or not 0 <= number_of(tokens) < 2**63 or tokens % 1):
            raise AnswerError(f"tokens {shown(tokens)} is no number of tokens. Give a whole number from 0, or None.")
        object.__setattr__(self, "cost", cost)
        object.__setattr__(self, "tokens", None if tokens is None else int(tokens))


UNKNOWN = Provenance()
