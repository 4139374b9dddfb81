"""What a campaign is, and a lease of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from palate.entities import ITEM, USER
from palate.entities.provenance import TASTE
from palate.errors import OptionError
from palate.errors.checks import check_text, count, key_of, mapping, normalise_id, number, one_of, positive, several

OPEN, PAUSED, CLOSED = STATES = ("open", "paused", "closed")
ASK, GOLD, REPEAT = "ask", "gold", "repeat"  # what a lease is for
LEASED, GIVEN_ON, RELEASED, ANSWERED = "leased", "given-on", "released", "answered"
MOST_LISTED = 100_000  # users, items or truths of one campaign
MOST_TEXT = 1_000  # characters of a question, an option, a reason or a comment
_LONGEST_LEASE = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """A labelling job.

    Attributes:
        name: For people.
        question: What annotators read.
        subject: ``taste``, or the name of an attribute of items.
        users: Of taste: whose is asked about.
        items: Ids that may be asked about; none: all of the model.
        options: Of an attribute: 2 to 20 texts; the value of a label is the place of one. Of taste none: the rating
            scale of the model.
        overlap: Annotators who answer each pair.
        budget: Labels that may be bought; no limit if None. A skipped question is none.
        price: Of a label, in the currency of the budget.
        repeat_every: Of taste: about one in so many questions is one that the same annotator answered; 0: none.
        gold: Of an attribute: the right option of items of which it is known.
        gold_every: About one in so many questions is one of those; 0: none.
        lease_seconds: For which a pair is an annotator's.
        stop: Expected gain below which nothing is asked any more; None: never.
        state: ``open``; ``paused``: nothing new is given; ``closed``: nothing is taken either.
        made_at: Seconds since the epoch.
        id: Made where there is none.
    """

    name: str
    question: str
    subject: str = TASTE
    users: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    overlap: int = 1
    budget: int | None = None
    price: float = 0.0
    repeat_every: int = 0
    gold: Mapping[str, int] = field(default_factory=dict)
    gold_every: int = 0
    lease_seconds: float = 120.0
    stop: float | None = None
    state: str = OPEN
    made_at: float = 0.0
    id: str = ""

    def __post_init__(self) -> None:
        self._set(name=normalise_id(self.name, "name"), subject=normalise_id(self.subject, "subject"))
        self._set(question=text_of(self.question, "question"), id=key_of(self.id, "id"))
        self._set(users=_ids(self.users, "users", USER), items=_ids(self.items, "items", ITEM))
        self._set(options=tuple(text_of(one, "an option") for one in several(self.options, "options")))
        gold = mapping(self.gold, "gold", "a mapping from item to the place of its option, such as {'i1': 0}")
        self._set(gold={normalise_id(item, ITEM): count(one, "gold") for item, one in gold.items()})
        for name, least in {"overlap": 1, "repeat_every": 0, "gold_every": 0}.items():
            self._set(**{name: count(getattr(self, name), name, least=least, most=10_000)})
        if self.budget is not None:
            self._set(budget=count(self.budget, "budget", most=10**9))
        self._set(price=number(self.price, "price", least=0.0), made_at=number(self.made_at, "made_at", least=0.0))
        self._set(lease_seconds=positive(self.lease_seconds, "lease_seconds"))
        if self.lease_seconds > _LONGEST_LEASE:
            raise OptionError(f"lease_seconds is {self.lease_seconds:g}. Give at most {_LONGEST_LEASE:g}: a week.")
        if self.stop is not None:
            self._set(stop=number(self.stop, "stop", least=0.0))
        one_of(self.state, STATES, "state")
        if max(len(self.users), len(self.items), len(self.gold)) > MOST_LISTED:
            raise OptionError(f"a campaign lists more than {MOST_LISTED:,} users or items. Make several campaigns.")
        self._check_taste() if self.is_taste else self._check_attribute()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check_taste(self) -> None:
        if self.gold or self.gold_every or self.options:
            options, gold = len(self.options), len(self.gold)
            raise OptionError(
                f"{options} options, {gold} gold items and gold_every {self.gold_every} are given; of taste there is "
                "no truth. Leave them out, or give repeat_every."
            )

    def _check_attribute(self) -> None:
        if not 2 <= len(set(self.options)) == len(self.options) <= 20:
            raise OptionError(f"options are {len(self.options)}. Give 2 to 20 different texts for an attribute.")
        if self.users or self.repeat_every:
            n, every = len(self.users), self.repeat_every
            raise OptionError(
                f"{n} users and repeat_every {every} are given, and an attribute is nobody's taste. Leave them out."
            )
        if any(place >= len(self.options) for place in self.gold.values()):
            raise OptionError(f"gold names an option beyond the {len(self.options)} there are. Give places from 0.")
        if bool(self.gold) != bool(self.gold_every):
            n, every = len(self.gold), self.gold_every
            raise OptionError(f"{n} gold items and gold_every {every} do not go together. Give both, or neither.")

    @property
    def is_taste(self) -> bool:
        """Whether it asks about somebody's taste."""
        return self.subject == TASTE

    @property
    def specification(self) -> str:
        """What does not change, as JSON."""
        said = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("id", "state", "made_at")}
        return json.dumps(said)

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> Campaign:
        """From its id, specification, state and time, as the table has them."""
        id, specification, state, made_at = row
        return cls(**json.loads(specification), id=id, state=state, made_at=made_at)


class Lease(NamedTuple):
    """A pair that was given to an annotator, and what came of it; in the order of :data:`side_tables.LEASE`.

    Attributes:
        changed: Number of the change in its campaign that made it so.
        source: Pseudonym of the annotator.
        user_id: Whose taste is asked about; empty of an attribute, and once erased.
        purpose: ``ask``; ``gold``: whose answer is known; ``repeat``: which they answered before.
        state: ``leased`` until it is ``answered``, or ``released``; ``given-on`` once somebody else was given the pair
            after its time.
        expires_at: Seconds since the epoch.
        gain: Expected when it was given, as of its campaign's order.
        model: Version that chose it.
        label_key: Of the row of the log.
        price: Paid for the label.
        is_bought: Whether the label counts against the budget.
    """

    id: str
    campaign: str
    changed: int
    source: str
    user_id: str
    item_id: str
    purpose: str
    state: str
    leased_at: float
    expires_at: float
    gain: float
    model: str = ""
    label_key: str | None = None
    kind: str | None = None
    value: float | None = None
    answered_at: float | None = None
    reason: str | None = None
    price: float = 0.0
    is_bought: int = 0

    @property
    def pair(self) -> tuple[str, str]:
        return self.user_id, self.item_id

    def is_held(self, now: float) -> bool:
        """Whether it is somebody's now."""
        return self.state == LEASED and now < self.expires_at


def _ids(given: Any, name: str, of: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(normalise_id(one, of) for one in several(given, name)))


def words_of(given: object, name: str) -> str:
    """The same; it may be empty."""
    return "" if isinstance(given, str) and not given.strip() else text_of(given, name)


def text_of(given: object, name: str) -> str:
    """A text for people, without space around it.

    Raises:
        OptionError: If it is none, empty, longer than 1,000 characters, or holds what a store cannot keep.
    """
    if not isinstance(given, str) or not given.strip() or len(given) > MOST_TEXT or "\0" in given:
        raise OptionError(
            f"{name} is empty, longer than {MOST_TEXT:,} characters, or holds a zero byte. Give a sentence."
        )
    check_text(given, name)
    return given.strip()
