"""Reasons in English."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from palate.loop.reasons.phrases import ONE_OF, Deed, Facts, fraction

_DID = {  # what somebody did; what was done by them
    "like": ("liked", "liked"),
    "choose": ("chose", "chosen"),
    "rate": ("rated", "rated"),
    "purchase": ("bought", "bought"),
    "play": ("played", "played"),
    "read": ("read", "read"),
    "save": ("saved", "saved"),
    "share": ("shared", "shared"),
    "view": ("viewed", "viewed"),
    "click": ("clicked", "clicked"),
    "add-to-cart": ("put in the cart", "put in the cart"),
}
_YOU = {
    "dislike": "you did not like {both}",
    "turn-down": "you turned down {both}",
    "score": "you gave {value:g} to {both}",
    "prefer": "you prefer {first} to {second}",
    "tap": "you picked {both}",
    "tap-none": "you picked none of {both}",
    "yes": "you like {plain}",
    "no": "you do not like {plain}",
    "promising": "you thought well of {both}",
    "unpromising": "you did not think well of {both}",
    "best": "of those shown you liked {both} best",
    "name": "you named {both}",
    "open": "you opened {both} in a list",
    "open-none": "you opened nothing in a list",
}
_SHARES = {
    "all": "all",
    "nearly all": "nearly all",
    "9/10": "9 in 10",
    "4/5": "4 in 5",
    "3/4": "3 in 4",
    "2/3": "2 in 3",
    "3/5": "3 in 5",
    "1/2": "half",
    "2/5": "2 in 5",
    "1/3": "1 in 3",
    "1/4": "1 in 4",
    "1/5": "1 in 5",
    "1/10": "1 in 10",
    "few": "few",
}


_ORDINALS = ("", "the", "2nd", "3rd", *(f"{n}th" for n in range(4, 11)))


def say(kind: str, facts: Facts) -> str:
    """The reason of this kind."""
    return _KINDS[kind](facts)


def people(n: int) -> str:
    """So many, as a person would say it.

    >>> people(8), people(38), people(160), people(4321)
    ('8 people', 'dozens of people', 'over a hundred people', 'thousands of people')
    """
    if n <= 20:
        return "1 person" if n == 1 else f"{n} people"
    for least, words in _MANY:
        if n >= least:
            return f"{words} people"
    raise AssertionError(n)


_MANY = (
    (2_000_000, "millions of"),
    (1_000_001, "over a million"),
    (200_000, "hundreds of thousands of"),
    (20_000, "tens of thousands of"),
    (2_000, "thousands of"),
    (1_001, "over a thousand"),
    (200, "hundreds of"),
    (101, "over a hundred"),
    (21, "dozens of"),
)


def _together(facts: Facts) -> str:
    did, done = _DID[facts.act]
    return f"{done} by {people(facts.people)} who {did} {_titles(facts, _or)}"


def _words(facts: Facts) -> str:
    words = _and([_quoted(word) for word in facts.words])
    return f"mentions {words}, as does {_titles(facts)}" if words else f"reads like {_titles(facts)}"


def _maker(facts: Facts) -> str:
    did = _DID[facts.act][0]
    if facts.own > 1:
        return f"you {did} {facts.own} by {facts.name}"
    return f"by {facts.name}, as is {_titles(facts)}, which you {did}"


def _category(facts: Facts) -> str:
    return f"{facts.name}, like {facts.own} that you {_DID[facts.act][0]}"


def _again(facts: Facts) -> str:
    return f"you {_DID[facts.act][0]} it " + ("before" if facts.own < 2 else f"on {facts.own} days")


def _known(facts: Facts) -> str:
    return f"known to people who know {_titles(facts)}"


def _answers(facts: Facts) -> str:
    return _and(_merged(facts.deeds))


def _about_you(facts: Facts) -> str:
    return "fits what is known of you"


def _friends(facts: Facts) -> str:
    return f"{facts.people} friends of yours {_DID[facts.act][0]} it"


def _well_liked(facts: Facts) -> str:
    return f"{people(facts.people)} rated it, {_SHARES[fraction(facts.share)]} liked it"


def _popular(facts: Facts, lately: str = "") -> str:
    done = _DID[facts.act][1]
    place = f" in {facts.name}" if facts.name else ""
    if facts.rank == ONE_OF:
        return f"one of the {ONE_OF} most {done}{lately}{place}"
    if facts.rank:
        return f"{_ORDINALS[facts.rank]} most {done}{lately}{place or ' of all'}"
    return f"much {done} lately" if lately else f"{done} by {people(facts.people)}"


def _lately(facts: Facts) -> str:
    return _popular(facts, " lately")


def _new(facts: Facts) -> str:
    if facts.words:
        return f"new: {_words(facts)}"
    if facts.deeds:
        return f"new: its text is like that of {_titles(facts)}"
    if facts.share:
        return "new: its text promises well"
    return "new: few have rated it yet" if facts.people else "new: nobody has rated it yet"


_KINDS: dict[str, Callable[[Facts], str]] = {
    "together": _together,
    "same-words": _words,
    "same-maker": _maker,
    "same-category": _category,
    "again": _again,
    "known": _known,
    "answers": _answers,
    "about-you": _about_you,
    "friends": _friends,
    "well-liked": _well_liked,
    "popular": _popular,
    "lately": _lately,
    "new": _new,
}


def _merged(deeds: Sequence[Deed]) -> list[str]:
    """What the user did, the same deeds in one."""
    titles: dict[tuple[str, float], tuple[str, ...]] = {}
    for deed in deeds:
        of = (deed.what, deed.value)
        titles[of] = titles.get(of, ()) + deed.titles
    said = [_you(Deed(what, named, value)) for (what, value), named in titles.items()]
    return [said[0], *(one.removeprefix("you ") for one in said[1:])]


def _you(deed: Deed) -> str:
    quoted = [_quoted(title) for title in deed.titles]
    if deed.what in _DID:
        return f"you {_DID[deed.what][0]} {_and(quoted)}"
    first, second = (*quoted, "", "")[:2]
    both = _or(quoted) if deed.what == "tap-none" else _and(quoted)
    return _YOU[deed.what].format(both=both, first=first, second=second, plain=_and(deed.titles), value=deed.value)


def _titles(facts: Facts, joined: Callable[[Sequence[str]], str] | None = None) -> str:
    return (joined or _and)([_quoted(title) for deed in facts.deeds for title in deed.titles])


def _quoted(title: str) -> str:
    return f"“{title}”"


def _and(parts: Sequence[str]) -> str:
    return _joined(parts, " and ")


def _or(parts: Sequence[str]) -> str:
    return _joined(parts, " or ")


def _joined(parts: Sequence[str], last: str) -> str:
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
