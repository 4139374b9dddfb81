"""palate ask, tell, undo."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import line, output, print_json, table
from palate.cli.files import load_model
from palate.cli.options import (
    Json,
    Model,
    Seed,
    Strategy,
    Targets,
    UnusedSeed,
    User,
    listed,
)
from palate.cli.parse_answer import given_answer
from palate.cli.question_forms import Kinds, about, kinds_of, said_in_words
from palate.entities import normalise_id

if TYPE_CHECKING:
    import numpy as np

    from palate.learner import Learner
from palate.cli.lists import Count, _say, _shortage

MEASURE = "gain-per-second"  # of several kinds of question


def ask(
    model: Model,
    user: User,
    k: Count = 5,
    strategy: Strategy = "lookahead",
    kinds: Kinds = None,
    targets: Targets = "known",
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """The questions worth asking a user now, each with its value and why.

    With several --kinds they are compared by what an answer tells per second.
    """
    learner, forms = load_model(model), kinds_of(kinds)
    rng = question_rng(learner, user, seed)
    questions = learner.ask(user, k=k, strategy=strategy, kinds=forms, targets=targets, rng=rng)
    titles = [about(learner.model.catalogue, question) for question in questions]
    if forms != ["rate"]:
        strategy = MEASURE
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += _shortage(k, len(questions), "all-asked")
    if as_json:
        found = [asdict(question) | {"title": title} for question, title in zip(questions, titles, strict=True)]
        head = {"user": user, "strategy": strategy, "unit": _value_unit(strategy), "notes": notes}
        return print_json(head | {"questions": found})
    rows = [
        [str(place), question.item_id, title, f"{question.value:.3g}", question.why]
        for place, (question, title) in enumerate(zip(questions, titles, strict=True), start=1)
    ]
    if rows:
        output().print(table([">", "Item", "Title", ">Value", "Why"], rows))
        output().print(f"Value: by {strategy}{', ' + _value_unit(strategy) if _value_unit(strategy) else ''}.")
    _say([note for note in notes if note != "unknown-user"])


def question_rng(learner: Learner, user: str, seed: int) -> np.random.Generator:
    """New draws for each question of a user, the same whether they come in one session or in several."""
    from palate.random import derive_rng

    return derive_rng(seed, "ask", user, str(len(learner.told.get(user, ()))))


def _value_unit(strategy: str) -> str:
    from palate.acquisition import get_strategy

    return "squared rating per second" if strategy == MEASURE else get_strategy(strategy).unit


def tell(
    model: Model,
    user: User,
    item: Annotated[str, typer.Option(metavar="ID", help="What the answer is about.")],
    answer: Annotated[
        str, typer.Option(metavar="VALUE", help="A number on the scale, like, dislike, unknown, no-opinion or skip.")
    ],
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="Of the question: rate, pair, group, concept, preview.")
    ] = "rate",
    others: Annotated[
        list[str] | None, typer.Option(metavar="ID,...", help="The other item of a pair, those of a group.")
    ] = None,
    key: Annotated[str, typer.Option(metavar="KEY", help="Makes a repeat harmless; made up if not given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Keep one answer, which the next recommend sees.

    It is on the disk before this says so. To a pair answer 1 (the first) or 0, to a concept (its name is the
    --item) or a preview 1 (yes) or 0, to a group the ids liked with commas between, or none.
    """
    from palate.loop.checkpoint import log_path
    from palate.store.sqlite_log import LabelLog

    learner = load_model(model)
    given = learner.check(given_answer(learner.model, user, item, answer, kind, listed(others), key))
    with LabelLog.open(log_path(model)) as log:
        repeated = bool(key) and any(label.answer.key == normalise_id(key) for label in log.labels())
        (label,) = log.append([given])
    kept = label.answer
    title = about(learner.model.catalogue, kept)
    if as_json:
        found = {name: getattr(kept, name) for name in ("user_id", "item_id", "kind", "value", "key")}
        found |= {name: getattr(kept, name) for name in ("form", "others", "tapped")}
        found |= {"title": title, "seq": label.seq, "recorded_at": label.recorded_at, "repeated": repeated}
        return print_json(found)
    word = "Kept before" if repeated else "Kept"
    said_so = said_in_words(kept, learner.model)
    line(output(), f"{word}: {said_so} for {title} ({kept.item_id}), key {kept.key}.")


def undo(
    model: Model,
    user: User,
    key: Annotated[str, typer.Option(metavar="KEY", help="Of the answer; the last one if none is given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Take an answer back, as if it had never been given."""
    from palate.loop.checkpoint import log_path
    from palate.store.sqlite_log import LabelLog

    learner = load_model(model)
    before = learner.told.get(user, ())
    learner.undo(user, key or None)  # says what is wrong before anything is written
    with LabelLog.open(log_path(model)) as log:
        taken = log.retract(key or before[-1].key).answer
    if as_json:
        found = {name: getattr(taken, name) for name in ("user_id", "item_id", "kind", "value")}
        return print_json(found | {"key": key or before[-1].key, "answers_left": len(before) - 1})
    title = about(learner.model.catalogue, taken)
    line(output(), f"Taken back: {said_in_words(taken, learner.model)} for {title} ({taken.item_id}).")
