"""`palate know`: who a user is."""

from __future__ import annotations

from typing import Annotated

import typer

from palate.cli.console import line, output, print_json
from palate.cli.files import opened
from palate.cli.options import Json, Model, UnusedSeed, User
from palate.errors import OptionError
from palate.records import Attribute


def know(
    model: Model,
    user: User,
    given: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="An attribute; without a value: not known.")
    ],
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Keep who a user is, such as their age, which the next ask and recommend see.

    The attributes are those in the data's table of users. It is on the disk before this says so, and stays
    when a fit writes into the folder.
    """
    with opened(model) as recommender:
        records = recommender.know(user, **dict(map(named, given)))
        counts = recommender.learner.model.attributes is not None
    kept = {one.content.name: one.content.value for one in records if isinstance(one.content, Attribute)}
    if as_json:
        return print_json({"user": user, "attributes": kept})
    said = ", ".join(f"{name} {_in_words(value)}" for name, value in kept.items())
    later = "" if counts else " The model knows no attributes yet: the next refit may learn from it."
    line(output(), f"Kept of {user}: {said}.{later}")


def _in_words(value: float | str | None) -> str:
    return "not known" if value is None else f"{value:g}" if isinstance(value, float) else value


def named(text: str) -> tuple[str, str]:
    """Name and value out of ``age=23``.

    Raises:
        OptionError: If there is no ``=``, or no name before it.
    """
    name, sign, value = (part.strip() for part in text.partition("="))
    if not name or not sign:
        raise OptionError(f"--set {text[:40]!r} has no name and value. Give NAME=VALUE, such as age=23.")
    return name, value
