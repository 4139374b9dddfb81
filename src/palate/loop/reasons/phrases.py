"""What a reason says, before it is put into the words of a language."""

from __future__ import annotations

from dataclasses import dataclass

# What people do with items, and a user too: words of events, and of answers to a question to rate.
ACTS = ("like", "choose", "rate", "purchase", "play", "read", "save", "share", "view", "click", "add-to-cart")
ONE_OF = 100  # the rank of an item that is one of so many
FRACTIONS = (  # shares of people that are said in words: nearest counts
    (1.0, "all"),
    (0.9, "9/10"),
    (0.8, "4/5"),
    (0.75, "3/4"),
    (2 / 3, "2/3"),
    (0.6, "3/5"),
    (0.5, "1/2"),
    (0.4, "2/5"),
    (1 / 3, "1/3"),
    (0.25, "1/4"),
    (0.2, "1/5"),
    (0.1, "1/10"),
    (0.0, "few"),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """What a user did or answered.

    Attributes:
        what: One of :data:`ACTS`, ``dislike``, ``turn-down``, or what was answered: ``score`` (a rating), ``prefer``
            (the first to the second), ``tap``, ``tap-none``, ``yes`` and ``no`` (to a category or other words),
            ``promising`` and ``unpromising`` (a preview), ``best`` (of a few), ``name`` (from memory), ``open`` (of a
            slate), ``open-none``.
        titles: What it was about.
        value: The rating.
    """

    what: str
    titles: tuple[str, ...]
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said; what a kind of reason does not need is left empty.

    Attributes:
        deeds: What the user did, most telling first.
        act: What people do with items, one of :data:`ACTS`.
        people: How many did it.
        share: Of those who rated an item, who liked it.
        name: Of a category or a maker.
        own: How many items of that name the user met.
        words: That two texts share.
        rank: Place by popularity, from 1 to 10; 100: one of the first hundred; 0: not said.
    """

    deeds: tuple[Deed, ...] = ()
    act: str = "like"
    people: int = 0
    share: float = 0.0
    name: str = ""
    own: int = 0
    words: tuple[str, ...] = ()
    rank: int = 0


def fraction(share: float) -> str:
    """The share that is said for one: of :data:`FRACTIONS` the nearest, but never "all" where one did not."""
    near = min(FRACTIONS, key=lambda named: abs(named[0] - share))[1]
    if near == "all":
        return "all" if share >= 1.0 else "nearly all"
    return near
