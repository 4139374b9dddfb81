"""What the log keeps, the rows of one sequence; and short ways to make them."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from numbers import Real

from palate.entities import ITEM, USER, Answer, AnswerKind, Form
from palate.entities.friends import FRIENDS, friends_in, friends_text
from palate.entities.provenance import TASTE
from palate.errors import AnswerError, DataError, OptionError
from palate.errors.checks import (
    count,
    key_of,
    keys_of,
    normalise_id,
    number_of,
    one_of,
    positive,
    several,
    share,
    shown,
    time_of,
)
from palate.vocabulary import STANDARD, normal_word

MAX_KIND = 40  # letters of an event
MAX_TEXT_BYTES = 1 << 16  # of an attribute that is a text
_NOT_KEPT = re.compile("[\0\ud800-\udfff]")  # a zero byte and half a surrogate pair, which some stores refuse


@dataclass(frozen=True, slots=True)
class Event:
    """Something a user did with an item: a view, a click, a purchase. It moves the prior of their taste.

    Attributes:
        kind: A documented event (:mod:`palate.vocabulary`), one that the model's data has added, or empty where it has
            no name.
        liking: What it says of liking, in [-1, 1], to be multiplied by the strength of its kind; by default the sign of
            the kind: 1 for, -1 against, 0 where it was only shown. Of a kind that is not documented it must be given.
        at: Seconds since the epoch; ``None`` if unknown.
        key: As of an answer.
        slate: Id of the list in which the item was shown; empty where that is not known.
    """

    user_id: str
    item_id: str
    kind: str = ""
    liking: float | None = None
    at: float | None = None
    key: str = ""
    slate: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "user_id", normalise_id(self.user_id, USER))
        object.__setattr__(self, "item_id", normalise_id(self.item_id, ITEM))
        object.__setattr__(self, "kind", _kind(self.kind))
        liking = float(STANDARD.word(self.kind).sign) if self.liking is None else number_of(self.liking)
        if not abs(liking) <= 1.0:  # true for NaN too
            raise OptionError(f"liking {shown(self.liking)} is out of range. Give numbers from -1 to 1.")
        object.__setattr__(self, "liking", liking)
        object.__setattr__(self, "at", time_of(self.at, "at"))
        object.__setattr__(self, "key", key_of(self.key))
        object.__setattr__(self, "slate", key_of(self.slate, "slate"))


def _kind(kind: object) -> str:
    """The kind in its one form, and a text that any store can hold."""
    if not isinstance(kind, str) or len(kind) > MAX_KIND or not kind.isprintable() or kind != kind.strip():
        raise DataError(f"the event {shown(kind)} is unknown. Give a word, such as click or purchase.")
    return normal_word(kind)


@dataclass(frozen=True, slots=True)
class Attribute:
    """Who a user is, one attribute: a number, a text, or ``None`` for what is not known. The last one told counts.

    As ``friends`` a list of ids says whom they follow, kept as a JSON array.
    """

    user_id: str
    name: str
    value: float | str | None
    key: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "user_id", normalise_id(self.user_id, USER))
        object.__setattr__(self, "name", normalise_id(self.name, "attribute"))
        object.__setattr__(self, "key", key_of(self.key))
        given: object = self.value
        if self.name == FRIENDS and isinstance(given, (list, tuple)):
            object.__setattr__(self, "value", friends_text(self.user_id, given))
        _check_value(f"the attribute {self.name[:40]}", self.value)

    @property
    def friends(self) -> list[str] | None:
        """Whom the user follows; None of any other attribute."""
        return friends_in(self.value) if self.name == FRIENDS else None


def _check_value(attribute: str, value: object) -> None:
    """What a fit makes of it is another matter: of yes and no, or of a number that is missing."""
    if value is not None and not isinstance(value, (str, Real)):
        raise OptionError(f"{attribute} is {shown(value)}. Give a finite number, a text, or None.")
    if not isinstance(value, str):
        return
    if len(value.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise OptionError(
            f"{attribute} has {len(value):,} characters, of at most {MAX_TEXT_BYTES:,} bytes. Shorten it."
        )
    if _NOT_KEPT.search(value):
        raise OptionError(f"{attribute} is {shown(value)}: a zero byte or half a surrogate pair. Remove it.")


PURPOSES = ("serve", "ask", "research")


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user allows from now on. The last one told counts; after an erasure one with a purpose lets them return.

    Attributes:
        purposes: Of ``serve``, ``ask`` and ``research`` those that they allow; none: they allow nothing.
        version: Of the text that they were shown.
        at: Seconds since the epoch, as the client claims; ``None`` if unknown.
        key: As of an answer.
    """

    user_id: str
    purposes: tuple[str, ...]
    version: str
    at: float | None = None
    key: str = ""

    def __post_init__(self) -> None:
        given = {one_of(purpose, PURPOSES, "the purpose") for purpose in several(self.purposes, "purposes", "['ask']")}
        object.__setattr__(self, "user_id", normalise_id(self.user_id, USER))
        object.__setattr__(self, "purposes", tuple(purpose for purpose in PURPOSES if purpose in given))
        object.__setattr__(self, "version", normalise_id(self.version, "version"))
        object.__setattr__(self, "at", time_of(self.at, "at"))
        object.__setattr__(self, "key", key_of(self.key))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How reliable a source turned out to be. Labels keep who gave them, and no weight; the last calibration counts.

    Attributes:
        source: As of an answer.
        reliability: What each of its answers counts, in [0, 1]: 1 as much as one of the user's own, 0 nothing. What it
            said before counts so, too; what users say of their own taste always counts 1 (:mod:`palate.model.counted`).
        subject: Of the answers (:class:`palate.entities.provenance.Provenance`).
        at, key: As of a consent.
    """

    source: str
    reliability: float
    subject: str = TASTE
    at: float | None = None
    key: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", normalise_id(self.source, "source"))
        object.__setattr__(self, "reliability", share(self.reliability, "reliability"))
        object.__setattr__(self, "subject", normalise_id(self.subject, "subject"))
        object.__setattr__(self, "at", time_of(self.at, "at"))
        object.__setattr__(self, "key", key_of(self.key))


@dataclass(frozen=True, slots=True)
class Slate:
    """A list that was drawn and shown, with what an estimate of another policy needs (:mod:`palate.loop.explore`).

    It moves no belief. Events and answers say by its key that they came of it.

    Attributes:
        items: Ids, first place to last, each once.
        propensities: Probability with which each place was filled so, given those above it, in (0, 1].
        explore: Temperature at which it was drawn, above 0.
        model: Version that drew it.
        exclude: Ids that the caller left out.
        category: Of all items, where the caller wanted one alone; empty otherwise.
        at: When it was shown, in seconds since the epoch.
        key: Its id; made where there is none.
    """

    user_id: str
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    explore: float
    model: str = ""
    exclude: tuple[str, ...] = ()
    category: str = ""
    at: float | None = None
    key: str = ""

    def __post_init__(self) -> None:
        items = tuple(normalise_id(item, ITEM) for item in several(self.items, "items"))
        chances = tuple(number_of(one) for one in several(self.propensities, "propensities", "[0.5, 0.25]"))
        if not items or len(set(items)) < len(items) or len(chances) != len(items):
            n = f"{len(items)} items, {len(set(items))} of them different, and {len(chances)} propensities"
            raise DataError(f"a slate has {n}. Give different items, and a propensity for each.")
        for one in chances:
            if not 0.0 < one <= 1.0:  # true for NaN too
                raise DataError(f"the propensity {shown(one)} is out of range. Give numbers above 0, up to 1.")
        set_ = object.__setattr__
        set_(self, "user_id", normalise_id(self.user_id, USER))
        set_(self, "items", items)
        set_(self, "propensities", chances)
        set_(self, "explore", positive(self.explore, "explore"))
        set_(self, "model", key_of(self.model, "model"))
        set_(self, "exclude", tuple(normalise_id(item, ITEM) for item in several(self.exclude, "exclude")))
        set_(self, "category", key_of(self.category, "category"))
        set_(self, "at", time_of(self.at, "at"))
        set_(self, "key", key_of(self.key))


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a user was erased, without saying who: their rows keep their place and their digest, and nothing else.

    Attributes:
        salt: In hexadecimal digits, of this log.
        digest: SHA-256 of the salt and the user's id, in hexadecimal digits.
        rows: How many rows lost their content.
        key: As of an answer.
    """

    salt: str
    digest: str
    rows: int = 0
    key: str = ""

    def __post_init__(self) -> None:
        for name, n_bytes in (("salt", 16), ("digest", 32)):
            value = getattr(self, name)
            if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * n_bytes}}}", value):
                raise DataError(f"the {name} of an erasure is {shown(value)}. Give {2 * n_bytes} hexadecimal digits.")
        object.__setattr__(self, "rows", count(self.rows, "rows"))
        object.__setattr__(self, "key", key_of(self.key))

    def is_of(self, user_id: str) -> bool:
        """Whether this user was erased."""
        return user_digest(self.salt, user_id) == self.digest


def erased_among(users: Iterable[str], erasures: Iterable[Erasure]) -> list[str]:
    """Those of these users of whom one of the erasures is."""
    digests = defaultdict[str, set[str]](set)
    for one in erasures:
        digests[one.salt].add(one.digest)
    return [user for user in users if any(user_digest(salt, user) in given for salt, given in digests.items())]


def user_digest(salt: str, user_id: str) -> str:
    """What an erasure keeps of a user's id, in hexadecimal digits."""
    return hashlib.sha256(bytes.fromhex(salt) + user_id.encode()).hexdigest()


def rate(user_id: str, item_id: str, value: float, *, source: str = "person", key: str = "") -> Answer:
    """A rating that nobody asked for, ready to be told.

    >>> rate("ann", "i7", 4).propensity is None
    True
    """
    return Answer(user_id, item_id, AnswerKind.RATING, value, source, key=key)


def recall(user_id: str, item_ids: str | Iterable[str], *, source: str = "person", key: str = "") -> tuple[Answer, ...]:
    """What somebody named that they like, unasked: typed into a search box, or found in what they wrote.

    Args:
        item_ids: One id, or several.
        key: Of several items the first has this key, the others this key with their number.

    >>> [answer.item_id for answer in recall("ann", ["i7", "i9"])]
    ['i7', 'i9']
    """
    named = zip(_ids(item_ids), keys_of(key), strict=False)
    return tuple(
        Answer(user_id, item, AnswerKind.RATING, source=source, key=own, form=Form.RECALL) for item, own in named
    )


def slate(
    user_id: str,
    shown: str | Iterable[str],
    clicked: str | Iterable[str] = (),
    *,
    source: str = "person",
    key: str = "",
    propensity: float | None = None,
    at: float | None = None,
) -> Answer:
    """A list that was shown and what was clicked in it, first to last, or nothing.

    Args:
        propensity: Probability with which this list was shown: the product of those of its places, where it was drawn
            (:meth:`palate.Learner.recommend`).
        at: When it was clicked, in seconds since the epoch.

    >>> slate("ann", ["i7", "i8", "i9"], "i8").tapped
    ('i8',)
    """
    items = _ids(shown)
    if not items:
        raise AnswerError("a slate has 0 items. Give those that were shown.")
    first, *others = items
    tapped, form = tuple(_ids(clicked)), Form.SLATE
    return Answer(
        user_id,
        first,
        AnswerKind.RATING,
        source=source,
        propensity=propensity,
        key=key,
        answered_at=at,
        form=form,
        others=tuple(others),
        tapped=tapped,
    )


def _ids(item_ids: str | Iterable[str]) -> tuple[str, ...]:
    return (item_ids,) if isinstance(item_ids, str) else several(item_ids, "item_ids")


def events(
    user_id: str,
    item_ids: str | Iterable[str],
    *,
    kind: str = "",
    liking: float | None = None,
    at: float | None = None,
    key: str = "",
    slate: str = "",
) -> tuple[Event, ...]:
    """Events of one user, in order of time, ready to be seen.

    Args:
        item_ids: One id, or several.
        key: Of several events the first has this key, the others this key with their number.
        slate: Id of the list in which the items were shown.

    >>> [event.item_id for event in events("ann", ["i1", "i2"], kind="click")]
    ['i1', 'i2']
    """
    items = zip(_ids(item_ids), keys_of(key), strict=False)
    return tuple(Event(user_id, item, kind, liking, at, own, slate) for item, own in items)


Content = Answer | Event | Attribute | Consent | Calibration | Slate | Erasure


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the log: a label (an answer that is kept), an event, an attribute, or one of the rarer contents.

    Attributes:
        seq: Position in the log, from 1; the order of all rows, which replay obeys.
        recorded_at: Seconds since the epoch when it was kept.
        retracts: Key of the row that this one takes back, empty otherwise.
        is_repeat: Of what ``append`` gives: whether the row was in the log before.
    """

    seq: int
    content: Content
    recorded_at: float
    retracts: str = ""
    is_repeat: bool = field(default=False, compare=False, repr=False)

    @property
    def user_id(self) -> str:
        """Whom it is about; empty of a calibration or an erasure."""
        return getattr(self.content, "user_id", "")

    @property
    def timed(self) -> Content:
        """The content with its time: what the client claims, but no later than it was kept."""
        one, last = self.content, self.recorded_at
        if isinstance(one, Answer) and one.answered_at is not None and one.answered_at > last:
            return replace(one, answered_at=last)
        if isinstance(one, Event) and one.at is not None and one.at > last:
            return replace(one, at=last)
        return one

    @property
    def answer(self) -> Answer:
        """The content of a label."""
        assert isinstance(self.content, Answer), "only a label has an answer"
        return self.content
