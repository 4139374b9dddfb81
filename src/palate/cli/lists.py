"""palate recommend, companions, profile."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from palate.cli.console import errors, line, output, print_json, table
from palate.cli.files import load_model
from palate.cli.options import (
    Allow,
    Category,
    Exclude,
    Json,
    Model,
    UnusedSeed,
    User,
    listed,
)
from palate.errors import did_you_mean

if TYPE_CHECKING:
    from palate.learner import Learner
    from palate.loop.lists import Recommendation


NOTES = {  # why a list is not what it might be, by the code that --json gives
    "unknown-user": "Nothing is known of this user: this is what people in general like.",
    "fewer-left": "Fewer are left than were asked for.",
    "nothing-left": "Nothing is left to show: everything is seen or left out.",
    "all-asked": "Nothing is left to ask: every item has an answer.",
    "no-categories": "The items have no categories.",
    "no-history": "What a user does moves no list of this model: fit it with an encoder, or with --history factors.",
}
SEARCHED = 20_000  # users whose ids are compared with an unknown one
Count = Annotated[int, typer.Option("-k", min=0, help="How many.")]


def recommend(
    model: Model,
    user: User,
    k: Count = 10,
    exclude: Exclude = None,
    allow: Allow = None,
    category: Category = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also what the user has answered.")] = False,
    min_certainty: Annotated[float, typer.Option(metavar="0..1", help="Only items this surely known.")] = 0.0,
    diversity: Annotated[float, typer.Option(metavar="0..1", help="0 ranks by score, 1 by difference.")] = 0.0,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """The list to show a user, with scores, how sure they are, and reasons."""
    learner = load_model(model)
    items = learner.recommend(
        user,
        k=k,
        **_filters(learner, exclude, allow, category, include_seen),
        min_certainty=min_certainty,
        diversity=diversity,
    )
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += shortage(k, len(items), "nothing-left")
    if as_json:
        found = [asdict(item) for item in items]
        return print_json({"user": user, "unit": _score_unit(learner), "notes": notes, "items": found})
    if items:
        output().print(recommendation_table(items))
        output().print(f"Score: {_score_unit(learner)}, ± what more answers could still change.")
    say_notes(notes, _near(learner, user))


def _filters(
    learner: Learner, exclude: list[str] | None, allow: list[str] | None, category: str | None, include_seen: bool
) -> dict[str, Any]:
    """What may be in a list, as the learner takes it. An id to leave out that no item has is said: a typing mistake?"""
    allowed, left_out = None if allow is None else listed(allow), listed(exclude)
    for item_id in dict.fromkeys(left_out):
        if item_id not in learner.model.catalogue:
            line(errors(), f"Warning: no item has the id {item_id!r}, so leaving it out changes nothing.", "yellow")
    return {"exclude": left_out, "allow": allowed, "category": category, "include_seen": include_seen}


def companions(
    model: Model,
    user: User,
    k: Count = 10,
    exclude: Exclude = None,
    allow: Allow = None,
    category: Category = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also what the user has met.")] = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """What others met who met what a user did: the list for somebody who has done little and answered nothing.

    The model must have been fitted with --companions.
    """
    learner = load_model(model)
    items = learner.companions(user, k=k, **_filters(learner, exclude, allow, category, include_seen))
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += shortage(k, len(items), "nothing-left")
    if as_json:
        return print_json({"user": user, "notes": notes, "items": [asdict(item) for item in items]})
    if items:
        rows = [[str(n), one.item_id, one.title, f"{one.score:.2f}", one.reason] for n, one in enumerate(items, 1)]
        output().print(table([">", "Item", "Title", ">Score", "Why"], rows))
        output().print("Score: how likely it comes, in logarithms; only differences mean something.")
    say_notes(notes, _near(learner, user))


def _score_unit(learner: Learner) -> str:
    scale = learner.model.scale
    return learner.model.taste.likelihood.unit.format(low=scale.low, high=scale.high)


def recommendation_table(items: list[Recommendation]) -> Table:
    """A list to show, best first."""
    rows = [
        [str(place), item.item_id, item.title, f"{item.score:.2f} ± {item.std:.2f}", item.reason]
        for place, item in enumerate(items, start=1)
    ]
    return table([">", "Item", "Title", ">Score", "Why"], rows)


def profile(model: Model, user: User, as_json: Json = False, seed: UnusedSeed = 0) -> None:
    """A user's interest in each category, with how sure that is."""
    learner = load_model(model)
    interests = learner.profile(user)
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += [] if interests else ["no-categories"]
    if as_json:
        found = [asdict(interest) for interest in interests]
        return print_json({"user": user, "unit": "answers above the average user", "notes": notes, "categories": found})
    rows = [
        [
            interest.category,
            f"{interest.mean:+.2f}",
            f"{interest.low:+.2f} to {interest.high:+.2f}",
            "likes it" if interest.low > 0 else "dislikes it" if interest.high < 0 else "not sure yet",
            f"{interest.items:,}",
        ]
        for interest in interests
    ]
    if rows:
        output().print(table(["Category", ">Interest", "!95 % interval", "!", ">Items"], rows))
        output().print("Interest: how much more than the average user, in units of the answers.")
    say_notes(notes, _near(learner, user))


def shortage(wanted: int, found: int, nothing: str) -> list[str]:
    """The note where fewer were found than wanted, if they were."""
    if found == wanted:
        return []
    return ["fewer-left"] if found else [nothing]


def say_notes(notes: list[str], near: str = "") -> None:
    """Notes in words; where the user is unknown, who else may have been meant."""
    for note in notes:
        said = f"{NOTES[note]} {near}" if note == "unknown-user" else NOTES[note]
        line(output(), said.rstrip(), style="yellow")


def _near(learner: Learner, user: str) -> str:
    known = [*learner.model.user_ids, *learner.memory.users]
    return did_you_mean(user, known, n=1) if len(known) <= SEARCHED and not learner.knows(user) else ""
