"""palate ask, tell, undo, see."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli.console import line, output, print_json, table
from palate.cli.files import load_model, opened
from palate.cli.lists import Count, say_notes, shortage
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
from palate.cli.parse_answer import given_answer, named_in
from palate.cli.question_forms import Forms, about, forms_of, told
from palate.errors import OptionError
from palate.errors.checks import shown
from palate.vocabulary import normal_word

if TYPE_CHECKING:
    import numpy as np

    from palate.entities import Answer
    from palate.learner import Learner
    from palate.records import Record
MEASURE = "gain-per-second"  # of several kinds of question


def ask(
    model: Model,
    user: User,
    k: Count = 5,
    strategy: Strategy = "list-value",
    forms: Forms = None,
    targets: Targets = "known",
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """The questions worth asking a user now, each with its value and why.

    With several --forms they are compared by what an answer tells per second.
    """
    learner, wanted = load_model(model), forms_of(forms)
    rng = question_rng(learner, user, seed)
    questions = learner.ask(user, k=k, strategy=strategy, forms=wanted, targets=targets, rng=rng)
    titles = [about(learner.model.catalogue, question) for question in questions]
    if wanted != ["rate"]:
        strategy = MEASURE
    notes = [] if learner.knows(user) else ["unknown-user"]
    notes += shortage(k, len(questions), "all-asked")
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
    say_notes([note for note in notes if note != "unknown-user"])


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
    item: Annotated[str, typer.Option(metavar="ID", help="What the answer is about, or what was named.")] = "",
    answer: Annotated[
        str, typer.Option(metavar="VALUE", help="A number on the scale, like, dislike, unknown, no-opinion or skip.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--form",
            "--kind",
            metavar="FORM",
            help="Of the question: rate, pair, group, concept, preview, recall, pick, slate.",
        ),
    ] = "rate",
    others: Annotated[
        list[str] | None, typer.Option(metavar="ID,...", help="The other item of a pair, those of a list.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What somebody wrote: the titles in it are what they named.")
    ] = None,
    key: Annotated[str, typer.Option(metavar="KEY", help="Makes a repeat harmless; made up if not given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Keep one answer, which the next recommend sees.

    It is on the disk before this says so. To a pair answer 1 (the first) or 0, to a concept (its name is the
    --item) or a preview 1 (yes) or 0, to a group the ids liked with commas between, or none. To a pick answer
    the id of the best, to a slate the ids clicked, or none. What somebody likes and names unasked is
    --kind recall with its --item, or with the --text in which titles are looked for.
    """
    with opened(model) as recommender:
        learner = recommender.learner
        if text is None:
            given: tuple[Answer, ...] = (given_answer(learner.model, user, item, answer, form, listed(others), key),)
        else:
            given = named_in(learner, user, text, form, item, key)
        labels = recommender.tell(given)
    found = [_told(learner, label) for label in labels]
    if as_json:
        return print_json(found[0] if text is None else {"user": user, "labels": found})
    for label, row in zip(labels, found, strict=True):
        word = "Kept before" if row["repeated"] else "Kept"
        line(output(), f"{word}: {told(label.answer, learner.model)} ({label.answer.item_id}), key {row['key']}.")


def _told(learner: Learner, label: Record) -> dict[str, object]:
    """A label that was kept, for ``--json``."""
    kept = label.answer
    names = ("user_id", "item_id", "kind", "value", "key", "form", "others", "tapped")
    found = {name: getattr(kept, name) for name in names} | {"title": about(learner.model.catalogue, kept)}
    return found | {"seq": label.seq, "recorded_at": label.recorded_at, "repeated": label.is_repeat}


def undo(
    model: Model,
    user: User,
    key: Annotated[str, typer.Option(metavar="KEY", help="Of the answer; the last one if none is given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Take an answer back, as if it had never been given."""
    with opened(model) as recommender:
        taken = recommender.undo(user, key or None)
        learner = recommender.learner
    answer, left = taken.answer, len(learner.told.get(user, ()))
    if as_json:
        found = {name: getattr(answer, name) for name in ("user_id", "item_id", "kind", "value")}
        return print_json(found | {"key": taken.retracts, "answers_left": left})
    line(output(), f"Taken back: {told(answer, learner.model)} ({answer.item_id}).")


def see(
    model: Model,
    user: User,
    item: Annotated[list[str], typer.Option(metavar="ID,...", help="What it happened to, in order of time.")],
    event: Annotated[str, typer.Option(metavar="KIND", help="What it was, such as click, purchase or return.")] = "",
    at: Annotated[str, typer.Option(metavar="TIME", help="When: ISO 8601, or seconds since the epoch.")] = "",
    key: Annotated[str, typer.Option(metavar="KEY", help="Makes a repeat harmless; made up if not given.")] = "",
    as_json: Json = False,
    seed: UnusedSeed = 0,
) -> None:
    """Keep what a user did: views, clicks, purchases, returns. The next ask and recommend see it."""
    from palate.records import events

    items, time = listed(item), _seconds(at)
    with opened(model) as recommender:
        sign = recommender.learner.model.vocabulary.word(normal_word(event)).sign
        given = events(user, items, kind=event, liking=float(sign), at=time, key=key)
        records = recommender.see(given)
        fitted = recommender.learner.model
        is_heard = fitted.list_model is not None or fitted.taste.likelihood.events_only or bool(fitted.history_prior)
        notes = [] if is_heard else ["no-history"]
    if as_json:
        found = [
            {"item_id": one.item_id, "key": record.content.key, "seq": record.seq, "repeated": record.is_repeat}
            for one, record in zip(given, records, strict=True)
        ]
        return print_json({"user": user, "event": event, "notes": notes, "events": found})
    new = sum(not record.is_repeat for record in records)
    before = f", {len(records) - new} kept before" if new < len(records) else ""
    line(output(), f"Kept of {user}: {new} {'event' if new == 1 else 'events'}{before}.")
    say_notes(notes)


def _seconds(text: str) -> float | None:
    from palate.datasets.times import seconds_in

    seconds = seconds_in(text) if text else None
    if text and seconds is None:
        raise OptionError(f"--at {shown(text)} is no time. Give ISO 8601, such as 2026-03-01T12:00, or seconds.")
    return seconds
