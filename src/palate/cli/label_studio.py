"""palate label-studio put and take: questions to people who label in Label Studio, and their answers back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import errors, line, output, print_json, progress
from palate.cli.files import opened
from palate.cli.lists import Count
from palate.cli.options import Json, Model, Seed, UnusedSeed, listed, user_id
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.entities import Question
    from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
    from palate.recommender import Recommender

_Desk = Annotated[
    str, typer.Option(metavar="NAME", help="Of what is asked there; one project each, kept in MODEL/desks/NAME.")
]


def put(
    model: Model,
    url: Annotated[str, typer.Argument(metavar="URL", help="Of Label Studio, such as http://127.0.0.1:8080.")],
    k: Count = 50,
    user: Annotated[
        str | None, typer.Option(metavar="ID", parser=user_id, help="Ask in this user's place how items are liked.")
    ] = None,
    attribute: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask about an attribute of items instead, such as topic.")
    ] = None,
    question: Annotated[str, typer.Option(metavar="TEXT", help="About the attribute: What is it about?")] = "",
    options: Annotated[
        list[str] | None, typer.Option(metavar="TEXT,...", help="Its options: sports,food; 2 to 20.")
    ] = None,
    people: Annotated[int, typer.Option(metavar="N", min=1, help="That are to answer each question.")] = 1,
    desk: _Desk = "label-studio",
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Put the k questions most worth asking of a user, or about k items drawn at random, as tasks into Label Studio.

    The token is read from LABEL_STUDIO_TOKEN: a personal access token, or a legacy one. The same again adds nothing.
    """
    from palate.entities.item_attributes import ItemAttribute
    from palate.oracles.label_studio import LabelStudio, Server
    from palate.recommender.desk_folders import desk_folder

    if (user is None) == (attribute is None):
        raise OptionError("--user and --attribute are both given, or neither. Give one of them.")
    about = None if attribute is None else ItemAttribute(attribute, question or f"{attribute}?", tuple(listed(options)))
    with opened(model) as recommender, progress() as report:
        report("putting", 0, None)
        asks = recommender.fitted.scale.levels if about is None else about
        asked = _of_user(recommender, user, k, seed) if user is not None else _drawn(recommender, about, k, seed)
        found = LabelStudio(Server(url, _token()), desk_folder(model, desk), asks, name=desk, people=people, title=desk)
        try:
            tickets = found.put(asked)
        finally:
            found.close()
    if as_json:
        return print_json({"desk": desk, "tasks": [{"question": one.question, "task": one.place} for one in tickets]})
    line(output(), f"{len(tickets):,} questions lie in Label Studio at {url}.")


def take(model: Model, desk: _Desk = "label-studio", as_json: Json = False, seed: UnusedSeed = 0) -> int:
    """Keep what was answered, corrected and deleted in Label Studio since the last time. Interrupted, it goes on.

    Answers that cannot be kept are told, and make the exit code 2.
    """
    from palate.recommender.desk_folders import take_from

    with opened(model) as recommender, progress() as report:
        report("taking", 0, None)
        kept, left_out = take_from(recommender, desk, _token())
    new = sum(not row.is_repeat for row in kept.told)
    if as_json:
        print_json({"desk": desk, "told": new, "taken_back": len(kept.taken_back), "left_out": list(left_out)})
    else:
        line(output(), f"{new:,} answers are new or corrected, {len(kept.taken_back):,} were taken back.")
        for reason in left_out:
            line(errors(), f"Left out: {reason}", style="yellow")
    return 2 if left_out else 0


def _token() -> str:
    from palate.recommender.desk_folders import ACCESS_VARIABLE

    token = os.environ.get(ACCESS_VARIABLE, "")
    if not token:
        raise OptionError(f"{ACCESS_VARIABLE} is not set. Set it to a token, from the page Account & Settings there.")
    return token


def _of_user(recommender: Recommender, user: str, k: int, seed: int) -> Sequence[Question]:
    from palate.cli.loop import question_rng

    return recommender.ask(user, k=k, rng=question_rng(recommender.learner, user, seed))


def _drawn(recommender: Recommender, about: ItemAttribute | None, k: int, seed: int) -> list[AttributeQuestion]:
    """Questions about items that nobody has labelled yet, each as likely as any other."""
    from palate.entities.item_attributes import AttributeQuestion
    from palate.random import derive_rng

    assert about is not None
    done = {row.answer.item_id for row in recommender.log.records() if _is_about(row.content, about.name)}
    catalogue = recommender.fitted.catalogue
    left = [place for place, item in enumerate(catalogue.ids) if item not in done]
    n = min(k, len(left))
    chosen = derive_rng(seed, "label-studio", about.name).choice(left, size=n, replace=False)
    items = [catalogue.item(int(place)) for place in chosen]
    texts = {item.id: item.title for item in items}
    return [
        AttributeQuestion(about, item, title, strategy="random", propensity=n / len(left))
        for item, title in texts.items()
    ]


def _is_about(content: object, name: str) -> bool:
    from palate.entities import Answer

    return isinstance(content, Answer) and content.provenance.subject == name
