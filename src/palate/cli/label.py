"""`palate label`: a labelling campaign over people, models and pseudo-labels, told by a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from palate.cli.console import errors, line, output, print_json, sentence, short
from palate.cli.files import load_new_items, opened, replacing
from palate.cli.keys import Stopped, Typed, keys
from palate.cli.options import Json, Seed, local_path, writable
from palate.entities import AnswerKind

if TYPE_CHECKING:
    from palate.cli.label_file import AttributePart, CampaignFile, TastePart
    from palate.entities import Answer
    from palate.entities.item_attributes import AttributeQuestion
    from palate.recommender import Recommender

SKIP, UNKNOWN, UNDO, QUIT = "s", "u", "z", "q"
COMMANDS = "s skip · z the one before was wrong · q quit, and go on another time"


def label(
    campaign: Annotated[
        Path,
        typer.Argument(
            metavar="CAMPAIGN", parser=local_path, help="Campaign as TOML; docs/honest-labels.md shows one."
        ),
    ],
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Label an attribute of items so that a promised share is right, and ask about taste whoever is worth their price.

    Two budgets that are spent apart: an attribute and a taste are worth something in no common unit. Every answer is on
    the disk before the next question; stop and go on at any time, with the same command.
    """
    from palate.cli.label_file import read

    given = read(campaign)
    writable(given.out).mkdir(parents=True, exist_ok=True)
    console = errors() if as_json else output()
    found: dict[str, Any] = {"campaign": given.name, "stopped": False}
    with ExitStack() as stack:
        recommender = None if given.model is None else stack.enter_context(opened(given.model))
        typed = stack.enter_context(keys(console))
        try:
            if given.attribute is not None:
                found["attribute"] = _attribute(given, given.attribute, recommender, console, typed, seed)
            if given.taste is not None and recommender is not None:
                found["taste"] = _taste(given, given.taste, recommender, console, typed, seed)
        except Stopped:
            found["stopped"] = True
            line(console, "Stopped. Every answer is kept; the same command goes on.")
    if as_json:
        print_json(found)


def _attribute(
    given: CampaignFile,
    part: AttributePart,
    recommender: Recommender | None,
    console: Console,
    typed: Typed,
    seed: int,
) -> dict[str, Any]:
    """Labels with a promise, into ``labels.csv`` and ``labels.jsonl`` of the folder."""
    import math

    import numpy as np

    from palate.cli.label_model import told_by_model
    from palate.encoders.cache import Cached
    from palate.encoders.registry import load_encoder
    from palate.oracles.labelling_file import kept
    from palate.oracles.pool_pseudo_labels import logistic
    from palate.random import derive_rng

    questions = _questions(given, part, recommender)
    known = Cached(load_encoder(part.encoder)).encode([f"{one.title} {one.text}".strip() for one in questions])
    paid = 0.0
    if part.model is not None:
        told, paid = told_by_model(part.model, questions, given.out / "model.jsonl", part.budget)
        known = np.column_stack([known, told])
    machine = logistic(known, options=len(part.attribute.options))
    people = AtTerminal(part, console, typed) if part.people.answers is None else _from_file(part)
    budget = None if math.isinf(part.budget) else int((part.budget - paid) / part.people.cost * (1.0 + 1e-9))
    answers = people if recommender is None else Telling(people, recommender, given.name)
    found = kept(
        given.out / "labels.jsonl",
        questions,
        answers,
        machine,
        target=part.target,
        doubt=part.doubt,
        budget=budget,
        rng=derive_rng(seed, "label", given.name),
    )
    _write_labels(given.out / "labels.csv", part, found.labels)
    shown = f"at most {found.error:.1%} of all labels differ from what people would say"
    said = f"{shown}, with a doubt of {part.doubt:.0%}" if found.is_shown else f"the promise is not shown: {shown}"
    sentence(console, f"{part.attribute.name}: people labelled {found.human_share:.1%} of {len(questions):,}; {said}.")
    spent = found.cost + paid
    line(console, f"Spent {spent:g} of {part.budget:g}. The labels: {given.out / 'labels.csv'}")
    return {
        "attribute": part.attribute.name,
        "items": len(questions),
        "human_share": found.human_share,
        "error": found.error,
        "is_shown": found.is_shown,
        "ended": found.ended,
        "spent": spent,
        "spent_on_model": paid,
        "budget": part.budget,
        "path": str(given.out / "labels.csv"),
    }


def _questions(given: CampaignFile, part: AttributePart, recommender: Recommender | None) -> list[AttributeQuestion]:
    from palate.entities import ITEM, TEXT, TITLE
    from palate.entities.item_attributes import AttributeQuestion

    if recommender is None:
        assert given.items is not None, "one of the two is given"
        table = load_new_items(given.items).items
    else:
        table = recommender.fitted.catalogue.table
    rows = table.select(ITEM, TITLE, TEXT).iter_rows()
    return [AttributeQuestion(part.attribute, item, title, text) for item, title, text in rows]


def _from_file(part: AttributePart) -> Any:
    from palate.cli.label_file import answers_of_items
    from palate.oracles.recorded import Recorded

    who = part.people
    return Recorded(answers_of_items(who, part.attribute), who.source, who.cost, who.family)


def _write_labels(path: Path, part: AttributePart, labels: tuple[Answer, ...]) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item_id", "option", "source"])
    writer.writerows((one.item_id, part.attribute.options[int(one.value or 0)], one.source) for one in labels)
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _taste(
    given: CampaignFile, part: TastePart, recommender: Recommender, console: Console, typed: Typed, seed: int
) -> dict[str, Any]:
    from palate.cli.label_file import answers_of_users
    from palate.cli.label_taste import TasteCampaign

    whom = {"user": part.user, **part.others}
    said = {kind: None if who.answers is None else answers_of_users(who) for kind, who in whom.items()}
    campaign = TasteCampaign(given.name, part, recommender, console, typed, said, seed)
    try:
        campaign.run()
    finally:
        found = campaign.document()
        line(console, f"taste: {found['answers']} answers kept, spent {found['spent']:g} of {part.budget:g}.")
    return found


class AtTerminal:
    """Somebody who labels at the terminal: a digit an option, or its number where there are more than nine."""

    def __init__(self, part: AttributePart, console: Console, typed: Typed) -> None:
        self._part, self._console = part, console
        options = part.attribute.options
        self._read: Callable[[], str] = typed.key if len(options) < 10 else typed.line
        self._last: AttributeQuestion | None = None
        sentence(console, part.attribute.question, style="bold")
        sentence(console, " · ".join(f"{place} {text}" for place, text in enumerate(options, 1)), style="cyan")
        sentence(console, COMMANDS, style="cyan")

    def answer(self, questions: Any) -> tuple[Answer, ...]:
        """One answer a question, before it one that corrects the last.

        Raises:
            Stopped: If they have had enough.
        """
        return tuple(answer for question in questions for answer in self._one(question))

    def _one(self, question: AttributeQuestion) -> list[Answer]:
        given: list[Answer] = []
        self._show(question)
        while True:
            said = self._next()
            if said == UNDO and self._last is not None:
                self._show(self._last)
                given.append(self._last.answer(self._option(self._last), **self._by()))
                self._show(question)
            elif said == UNDO:
                self._say("There is nothing before.")
            else:
                given.append(question.answer(self._meant(said), **self._by()))
                self._last = question
                return given

    def _option(self, question: AttributeQuestion) -> int | AnswerKind:
        while (said := self._next()) == UNDO:
            self._say("That is the one before.")
        return self._meant(said)

    def _next(self) -> str:
        """The next that means something.

        Raises:
            Stopped: At the end of the input, and where it is to be.
        """
        options = self._part.attribute.options
        while True:
            try:
                said = self._read().strip().lower()
            except EOFError:
                raise Stopped from None
            if said == QUIT:
                raise Stopped
            if said in (SKIP, UNKNOWN, UNDO) or (said.isdecimal() and 0 < int(said[:3]) <= len(options)):
                return said
            if said:
                self._say(f"{short(said, 20)!r} is no answer: a number from 1 to {len(options)} · {COMMANDS}")

    def _meant(self, said: str) -> int | AnswerKind:
        kinds = {SKIP: AnswerKind.SKIPPED, UNKNOWN: AnswerKind.UNKNOWN}
        return kinds[said] if said in kinds else int(said) - 1

    def _by(self) -> dict[str, Any]:
        import time

        from palate.entities.provenance import Provenance

        who = self._part.people
        return {"source": who.source, "at": time.time(), "of": Provenance(who.family, cost=who.cost)}

    def _show(self, question: AttributeQuestion) -> None:
        self._console.print()
        line(self._console, short(question.title or question.item_id), style="bold")
        if question.text:
            line(self._console, short(question.text, 1_000))

    def _say(self, text: str) -> None:
        line(self._console, text, style="yellow")


class Telling:
    """People whose answers the log of a model keeps, too; what it has of this campaign is not asked again."""

    def __init__(self, people: Any, recommender: Recommender, name: str) -> None:
        self._people, self._recommender, self._name = people, recommender, name

    def answer(self, questions: Any) -> tuple[Answer, ...]:
        """What they say, once the log has it."""
        return tuple(answer for question in questions for answer in self._one(question))

    def _one(self, question: AttributeQuestion) -> tuple[Answer, ...]:
        from dataclasses import replace
        from hashlib import sha256

        from palate.oracles.protocol import question_key

        key = sha256(f"{self._name}\n{question_key(question)}".encode()).hexdigest()[:32]
        kept = self._recommender.find(key)
        if kept is not None:  # a process died between the log and the file
            return (kept.answer,)
        given = []
        for one in self._people.answer((question,)):
            of = replace(one.provenance, channel=f"label:{self._name}")
            own = key if one.item_id == question.item_id else ""  # another one corrects the one before
            given.append(replace(one, provenance=of, key=own))
        return tuple(row.answer for row in self._recommender.tell(given))
