"""Attributes of items, such as a topic, a quality or "the same product", and questions about them.

An attribute has a truth, which several who label it see through noise. Somebody's taste has none but their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from palate.entities import ITEM, Answer, AnswerKind
from palate.entities.provenance import TASTE, Provenance
from palate.errors import AnswerError, OptionError
from palate.errors.checks import (
    check_text,
    count,
    instance,
    key_of,
    normalise_id,
    one_of,
    positive,
    several,
    share,
    shown,
)

MOST_OPTIONS = 20


@dataclass(frozen=True, slots=True)
class ItemAttribute:
    """What is asked about items.

    Attributes:
        name: The subject of its labels; not ``taste``.
        question: What whoever labels reads.
        options: 2 to 20 different texts; the value of a label is the place of one.
        only: The option that an item must have to be in lists; empty: the attribute is a feature of the items.
        at_least: Of the probability of that option, what its lower bound must reach, above 0, up to 1.

    Example:
        >>> ItemAttribute("topic", "What is it about?", ("sports", "food")).options
        ('sports', 'food')
    """

    name: str
    question: str
    options: tuple[str, ...]
    only: str = ""
    at_least: float | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "name", normalise_id(self.name, "attribute"))
        if self.name == TASTE:
            raise OptionError("the attribute has the name 'taste', of which there is no truth. Give another name.")
        for text in (self.question, *several(self.options, "options")):
            check_text(text, "a text of the attribute")
        set_(self, "options", tuple(self.options))
        if not 2 <= len(set(self.options)) == len(self.options) <= MOST_OPTIONS or not all(
            map(str.strip, self.options)
        ):
            raise OptionError(
                f"options are {len(self.options)}. Give 2 to {MOST_OPTIONS} different texts for an attribute."
            )
        self._check_filter()

    def _check_filter(self) -> None:
        check_text(self.only, "only")
        if (self.only == "") != (self.at_least is None):
            both = f"only {shown(self.only)} and at_least {shown(self.at_least)}"
            raise OptionError(f"{both} do not go together. Give both, or neither.")
        if self.at_least is not None:
            one_of(self.only, self.options, "only")
            object.__setattr__(self, "at_least", share(self.at_least, "at_least"))
            if self.at_least == 0.0:
                raise OptionError("at_least is 0, which every item reaches. Give a share above 0, or leave only out.")


@dataclass(frozen=True, slots=True)
class AttributeQuestion:
    """One question about an attribute of one item, to anybody.

    Attributes:
        title, text: Of the item, for whoever labels. Nobody vouches for them: they may hold anything.
        strategy: That chose it.
        propensity: Probability with which it was chosen, given everything before it.
        value: Acquisition score; in nats where it is information.
        seconds: Of a person's time that it is expected to take.
    """

    attribute: ItemAttribute
    item_id: str
    title: str = ""
    text: str = ""
    strategy: str = ""
    propensity: float = 1.0
    value: float = 0.0
    seconds: float = 3.65

    def __post_init__(self) -> None:
        instance(self.attribute, ItemAttribute, "attribute", "a palate.entities.item_attributes.ItemAttribute")
        set_ = object.__setattr__
        set_(self, "item_id", normalise_id(self.item_id, ITEM))
        for name in ("title", "text"):
            check_text(getattr(self, name), name)
        set_(self, "strategy", key_of(self.strategy, "strategy"))
        set_(self, "propensity", share(self.propensity, "propensity"))
        set_(self, "seconds", positive(self.seconds, "seconds"))

    def answer(
        self,
        option: int | AnswerKind,
        *,
        source: str,
        key: str = "",
        at: float | None = None,
        of: Provenance | None = None,
    ) -> Answer:
        """The answer to it, ready to be told.

        Args:
            option: The place of the option, or an answer that is none.
            source: Who says so.
            of: What else is known of the label; its subject is set here.
        Raises:
            AnswerError: If there is no such option.
        """
        is_other = isinstance(option, AnswerKind)
        place = None if is_other else count(option, "option", most=2**31)
        if place is not None and place >= len(self.attribute.options):
            raise AnswerError(
                f"option {place} is beyond the {len(self.attribute.options)} there are. Give a place from 0."
            )
        return Answer(
            source,
            self.item_id,
            option if isinstance(option, AnswerKind) else AnswerKind.RATING,
            None if place is None else float(place),
            source,
            self.propensity,
            key,
            self.strategy,
            answered_at=at,
            provenance=replace(of or Provenance(), subject=self.attribute.name),
        )
