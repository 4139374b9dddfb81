"""The first part of a report: people, as somebody would tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from palate.evaluation.headline import in_letters
from palate.evaluation.html import Markup, tag

LIKED = "♥ likes it"


def people(met: Mapping[str, Any], what: str) -> Iterator[Markup]:
    """What each likes, what they were asked and said, how their list changed and why.

    Args:
        met: As :func:`palate.evaluation.three_people.three_people` gives it.
        what: What the items are called: films, books, items.
    """
    rule = met["rule"]
    yield tag(
        "p",
        "Palate has never seen these people. It may ask about one half of the "
        f"{what}, drawn by chance for each person; the list is made of the other half, of which it is told nothing.",
    )
    for person in met["people"]:
        yield tag("article", *_person(person, rule["questions"], what), cls="person")
    yield tag(
        "p",
        f"Who they are was drawn with the seed {rule['seed']}, from the {rule['of']:,} of {rule['among']:,} people who "
        f"like at least {in_letters(rule['least'])} of the {what} kept back. How well it went had no part in the draw. "
        f"“{LIKED}” stands where the person's own rating says so; what they never rated has no mark. The reasons are "
        "what the person would read.",
        cls="soft",
    )


def _person(person: Mapping[str, Any], questions: int, what: str) -> Iterator[Markup]:
    more = person["likes_found"] - len(person["likes"])
    rest = f", and {more:,} more of the {what} kept back" if more else ""
    asked = f"{in_letters(questions)} {'question' if questions == 1 else 'questions'}"
    yield tag("h3", f"Person {person['user']}")
    yield tag(
        "div",
        tag("p", tag("strong", "Likes "), "; ".join(person["likes"]), rest, "."),
        tag("p", tag("strong", "Was asked, and said")),
        tag("ol", *(_turn(turn) for turn in person["turns"]), cls="talk"),
        tag("p", verdict(person), cls="verdict"),
    )
    yield tag(
        "div",
        tag("p", tag("strong", f"The list after {asked}")),
        tag("ol", *(_item(place, item) for place, item in enumerate(person["after"])), cls="list"),
        *_gone(person),
    )


def verdict(person: Mapping[str, Any]) -> str:
    """Whether the questions helped this person, in a sentence."""
    before, after = (sum(item["liked"] for item in person[when]) for when in ("before", "after"))
    size = in_letters(len(person["after"]))
    counts = f"{before} of the {size} were ones they like before any question, {after} are now"
    if after == before:
        return f"The questions changed nothing for the better: {before} of the {size} are ones they like, as before."
    return f"The questions {'helped' if after > before else 'did harm'}: {counts}."


def _turn(turn: Mapping[str, Any]) -> Markup:
    return tag("li", turn["question"], ": ", tag("em", turn["answer"], cls="" if turn["known"] else "unknown"))


def _item(place: int, item: Mapping[str, Any]) -> Markup:
    why = ", ".join(filter(None, (item["expected"], item["reason"])))
    marks = [_moved(place, item["place_before"]), *([tag("span", LIKED, cls="liked")] if item["liked"] else [])]
    return tag("li", tag("span", item["title"], cls="title"), *marks, tag("span", why, cls="why"))


def _moved(place: int, before: int | None) -> Markup:
    """How an entry moved, in words and not by colour alone."""
    if before is None:
        return tag("span", "new", cls="moved up")
    if before > place:
        return tag("span", f"up {before - place}", cls="moved up")
    if before < place:
        return tag("span", f"down {place - before}", cls="moved down")
    return Markup("")


def _gone(person: Mapping[str, Any]) -> Iterator[Markup]:
    stayed = {item["item_id"] for item in person["after"]}
    gone = [item for item in person["before"] if item["item_id"] not in stayed]
    if gone:
        said = "; ".join(item["title"] + (f" ({LIKED})" if item["liked"] else "") for item in gone)
        yield tag("p", f"No longer among them: {said}.", cls="soft")
