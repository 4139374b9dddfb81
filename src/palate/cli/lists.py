"""palate recommend, companions, profile."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from palate.cli.console import errors, line, output, print_json, progress, table
from palate.cli.files import load_model, opened
from palate.cli.lists_file import one_way, read_ids, write_lists
from palate.cli.options import (
    Allow,
    Category,
    Exclude,
    Json,
    Model,
    UnusedSeed,
    User,
    listed,
    local_path,
    user_id,
)
from palate.errors import OptionError, did_you_mean
from palate.model.spoken import as_shown

if TYPE_CHECKING:
    from palate.learner import Learner
    from palate.loop.lists import ListArguments, Recommendation


NOTES = {  # why a list is not what it might be, by the code that --json gives
    "unknown-user": "Nothing is known of this user: this is what people in general like.",
    "fewer-left": "Fewer are left than were asked for.",
    "nothing-left": "Nothing is left to show: everything is seen or left out.",
    "without-lists": "For some users nothing is left to show: they have no row.",
    "all-asked": "Nothing is left to ask: every item has an answer.",
    "no-categories": "The items have no categories.",
    "no-history": "What a user does moves no list of this model, which an older version fitted: call palate refit.",
}
SEARCHED = 20_000  # users whose ids are compared with an unknown one
Count = Annotated[int, typer.Option("-k", min=0, help="How many.")]
Who = Annotated[
    str | None, typer.Option("--user", metavar="ID", parser=user_id, help="Whom it is for; somebody new is welcome.")
]
IncludeSeen = Annotated[bool, typer.Option("--include-seen", help="Also what the user has answered or done.")]
Familiarity = Annotated[
    float,
    typer.Option(metavar="0..1", help="1 predicts what is taken up and liked; 0 is what is liked, however unknown."),
]
MinCertainty = Annotated[float, typer.Option(metavar="0..1", help="Only items this surely known.")]
Language = Annotated[str, typer.Option(metavar="en|zh", help="Of the reasons: English or Chinese.")]
Diversity = Annotated[float, typer.Option(metavar="0..1", help="0 ranks by score, 1 by difference.")]


def recommend(
    model: Model,
    user: Who = None,
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", parser=local_path, help="For all of these: an id a line.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="For everybody the model knows.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=local_path, help="For the lists of many: FILE.parquet, or FILE.arrow."),
    ] = None,
    k: Count = 10,
    exclude: Exclude = None,
    allow: Allow = None,
    category: Category = None,
    include_seen: IncludeSeen = False,
    familiarity: Familiarity = 1.0,
    min_certainty: MinCertainty = 0.0,
    diversity: Diversity = 0.0,
    language: Language = "en",
    explore: Annotated[
        float, typer.Option(metavar="T", min=0, help="Draw the list at this temperature, and keep it in the log.")
    ] = 0.0,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """The list to show a user, with scores, how sure they are, and reasons; or the lists of many users, in a file.

    The file has a row an item: user_id, rank, item_id, score, std, chance, reason. It is written whole or not at all.
    """
    one_way(user, users, everybody, out)
    if explore:
        given = {"allow": allow, "--include-seen": include_seen, "--min-certainty": min_certainty}
        given |= {"--diversity": diversity, "--familiarity": familiarity != 1.0, "--language": language != "en"}
        return _drawn(model, user, k, exclude, category, explore, as_json, [name for name, is_ in given.items() if is_])
    learner = load_model(model)
    options = _options(learner, exclude, allow, category, include_seen) | {
        "familiarity": familiarity,
        "min_certainty": min_certainty,
        "diversity": diversity,
        "language": language,
    }
    if user is not None:
        return _for_one(learner, user, k, options, as_json)
    assert out is not None  # checked
    with progress() as report:
        written = write_lists(learner, None if users is None else read_ids(users), out, report, k=k, **options)
    if as_json:
        return print_json(written)
    line(output(), f"{written['rows']:,} rows for {written['users']:,} users in {out}.")
    say_notes(written["notes"])


def _drawn(
    model: Path,
    user: str | None,
    k: int,
    exclude: list[str] | None,
    category: str | None,
    explore: float,
    as_json: bool,
    beside: list[str],
) -> None:
    """A list that is drawn anew with each call, and its id."""
    import numpy as np

    if user is None or beside:
        said = beside[0] if beside else "many users"
        raise OptionError(f"--explore draws the list of one user, not with {said}. Leave one of them out.")
    with opened(model) as recommender:
        learner = recommender.learner
        options = _options(learner, exclude, None, category, False)
        found = recommender.show(
            user, k, explore=explore, exclude=options["exclude"], category=category, rng=np.random.default_rng()
        )
    if as_json:
        head = {"user": user, "unit": _score_unit(learner), "slate": found.id}
        return print_json(head | {"items": [asdict(item) for item in found.items]})
    if found.items:
        output().print(recommendation_table(found.items))
    if found.id is not None:
        line(output(), f"Kept as the slate {found.id}, with the probability of each place.")


def companions(
    model: Model,
    user: User,
    k: Count = 10,
    exclude: Exclude = None,
    allow: Allow = None,
    category: Category = None,
    include_seen: IncludeSeen = False,
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """The same list as `palate recommend`, under the name of one that was its own."""
    learner = load_model(model)
    _for_one(learner, user, k, _options(learner, exclude, allow, category, include_seen), as_json)
    line(errors(), "Note: there is one list now, so companions shows what recommend does. Call palate recommend.")


def _for_one(learner: Learner, user: str, k: int, options: ListArguments, as_json: bool) -> None:
    items = learner.recommend(user, k, **options)
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += shortage(k, len(items), "nothing-left")
    if as_json:
        # no item is drawn, so none has a propensity
        found = [{name: of for name, of in asdict(item).items() if name != "propensity"} for item in items]
        return print_json({"user": user, "unit": _score_unit(learner), "notes": notes, "items": found})
    if items:
        output().print(recommendation_table(items))
        output().print(f"Score: {_score_unit(learner)}, ± what more answers could still change.")
        output().print("Chance: that the next thing taken up and liked is this one.")
    say_notes(notes, _near(learner, user))


def _options(
    learner: Learner, exclude: list[str] | None, allow: list[str] | None, category: str | None, include_seen: bool
) -> ListArguments:
    """What may be in a list, as the learner takes it. An id to leave out that no item has is said: a typing mistake?"""
    allowed, left_out = None if allow is None else listed(allow), listed(exclude)
    for item_id in dict.fromkeys(left_out):
        if item_id not in learner.model.catalogue:
            line(errors(), f"Warning: no item has the id {item_id!r}, so leaving it out changes nothing.", "yellow")
    return {"exclude": left_out, "allow": allowed, "category": category, "include_seen": include_seen}


def _score_unit(learner: Learner) -> str:
    scale = learner.model.scale
    return learner.model.taste.likelihood.unit.format(low=scale.low, high=scale.high)


def recommendation_table(items: list[Recommendation]) -> Table:
    """A list to show, best first."""
    rows = [
        [
            str(place),
            item.item_id,
            as_shown(item.title),
            f"{item.score:.2f} ± {item.std:.2f}",
            f"{item.chance:.1%}",
            item.reason,
        ]
        for place, item in enumerate(items, start=1)
    ]
    return table([">", "Item", "Title", ">Score", ">Chance", "Why"], rows)


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
