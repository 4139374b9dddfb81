"""`palate interview`: one question after the other in the terminal, every answer kept, the list moving."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from palate.cli.console import errors, facts, output, print_json, sentence, short
from palate.cli.files import opened
from palate.cli.keys import keys
from palate.cli.loop import question_rng
from palate.cli.options import Json, Model, Seed, Strategy, Targets, User
from palate.cli.parse_answer import legend
from palate.cli.question_forms import DONE, Forms, asked_aloud, forms_of, keys_for, legend_for, titles_of, told
from palate.entities import AnswerKind, Form
from palate.errors import AnswerError, OptionError
from palate.model.answer_keys import keys_of
from palate.model.spoken import as_shown
from palate.service.pages.words import WORDS

if TYPE_CHECKING:
    import numpy as np

    from palate.entities import Answer, Item, Question
    from palate.learner import Learner
    from palate.loop.lists import Recommendation
    from palate.recommender import Recommender

SHOWN = 5  # places of the list
COMPLETIONS = 5  # titles that may be meant by what is typed
SNIPPET = 1_000  # characters of an item's text: a joke without its end cannot be rated
INDENT = (0, 0, 0, 3)
UNKNOWN, NO_OPINION, SKIP, UNDO, HELP, QUIT = "u", "n", "s", "z", "?", "q"
WITHOUT = {UNKNOWN: AnswerKind.UNKNOWN, NO_OPINION: AnswerKind.NO_OPINION, SKIP: AnswerKind.SKIPPED}
COMMANDS = (*WITHOUT, UNDO, QUIT)
REST = "u don't know it · n no opinion · s skip · z undo · ? help · q quit"
KNOWN = (  # why a question is asked, by the chance that the user knows it
    (0.75, "you probably know it, and your answer should say most about your list."),
    (0.35, "you may well know it, and your answer should say most about your list."),
    (0.0, "you may not know it, but if you do, your answer should say most of all."),
)


def interview(
    model: Model,
    user: User,
    strategy: Strategy = "list-value",
    forms: Forms = None,
    targets: Targets = "known",
    stop_below: Annotated[
        float, typer.Option(min=0, max=1, help="Stop once no answer should raise the list's NDCG@10 by so much.")
    ] = 0.0,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:
    """Answer questions one by one and see the list move.

    Every answer is a key, and ? says which. Each answer is on the disk before the screen says so; stop and go
    on at any time. With --json the talk is on standard error, and standard output gets the answers and the
    list at the end.
    """
    from palate.acquisition import get_strategy

    get_strategy(strategy)  # an unknown name is an error before the first question
    if stop_below and forms_of(forms) != [Form.RATE]:
        raise OptionError("--stop-below weighs questions to rate an item. Leave it, or --forms, out.")
    console = errors() if as_json else output()
    with opened(model) as recommender:
        talk = Interview(recommender, user, strategy, seed, console, [], forms_of(forms), targets, stop_below)
        try:
            with keys(console) as typed:
                talk.run(typed.key, typed.line)
        finally:
            talk.close()
        if as_json:
            print_json(talk.document())


@dataclass
class Interview:
    """The talk with one user."""

    recommender: Recommender
    user: str
    strategy: str
    seed: int
    console: Console
    given: list[Answer] = field(default_factory=list)
    forms: Sequence[str] = ("rate",)
    targets: str = "known"
    stop_below: float = 0.0
    begun: list[Recommendation] = field(default_factory=list)  # the list before the first answer

    @property
    def learner(self) -> Learner:
        return self.recommender.learner

    def run(self, read_key: Callable[[], str], read_line: Callable[[], str] | None = None) -> None:
        """Ask until the user quits, the input ends, or nothing is left to ask.

        Args:
            read_line: For titles; as keys are read if None.
        """
        self.begun = self._top()
        self._welcome()
        while questions := self._ask():
            if self.stop_below and not self._worth_asking():
                enough = f"Enough: no answer should raise the NDCG@10 of the list by more than {self.stop_below:g}."
                return sentence(self.console, enough)
            self._show(questions[0])
            asked_at, told = time.time(), self._told()
            if questions[0].form is Form.RECALL:
                key, tapped = self._name(read_line or read_key, questions[0])
            else:
                key, tapped = self._valid(read_key, questions[0])
            if key == QUIT:
                return
            if key == UNDO:
                self._undo(told)
            else:
                answer = self._answer(questions[0], key, tapped)
                self._keep(replace(answer, asked_at=asked_at, answered_at=time.time()))
        self.console.print("Nothing is left to ask: every item has an answer.")

    def close(self) -> None:
        """Say what is kept; the list as it stands, how it moved since the beginning, and why each is on it."""
        count = len(self._told())
        self.console.print()
        sentence(self.console, f"{count} {'answer' if count == 1 else 'answers'} of {self.user} kept. The list now:")
        self._list(self._top(), self.begun, reasons=True)

    def document(self) -> dict[str, object]:
        """What came of it, for ``--json``."""
        return {
            "user": self.user,
            "strategy": self.strategy,
            "answers": [asdict(answer) for answer in self.given],
            "answers_kept": len(self._told()),
            "recommendations": [asdict(item) for item in self._top()],
        }

    def _told(self) -> Sequence[Answer]:
        return self.learner.told.get(self.user, ())

    def _top(self) -> list[Recommendation]:
        return self.learner.recommend(self.user, k=SHOWN)

    def _ask(self) -> Sequence[Question]:
        asked = self.learner.ask(
            self.user, strategy=self.strategy, forms=self.forms, targets=self.targets, rng=self._rng()
        )
        return [part for question in asked for part in question.parts]  # key by key, so a page is item by item

    def _worth_asking(self) -> bool:
        from palate.loop.next_step import worth_asking

        return worth_asking(self.learner.memory, self.user, self.stop_below, rng=self._rng())

    def _rng(self) -> np.random.Generator:
        return question_rng(self.learner, self.user, self.seed)

    def _welcome(self) -> None:
        kept = len(self._told())
        again = f"{kept} {'answer' if kept == 1 else 'answers'} kept from before. " if kept else ""
        sentence(self.console, f"Interview with {self.user}", style="bold")
        sentence(self.console, f"{again}Every answer is kept at once; stop whenever you like.")
        if {Form.RATE, Form.PAGE} & set(self.forms):
            model = self.learner.model
            sentence(self.console, legend(keys_of(model), model), style="cyan")
        sentence(self.console, REST, style="cyan")

    def _aloud(self, question: Question) -> str:
        named = any(answer.form is Form.RECALL and answer.is_rating for answer in self._told())
        titles, likes = titles_of(self.learner.model.catalogue, question), self.learner.model.taste.likelihood.words
        return asked_aloud(question.form, titles, likes=bool(likes), again=named)

    def _show(self, question: Question) -> None:
        catalogue = self.learner.model.catalogue
        asked, text, category = self._aloud(question), "", ""
        if question.form in (Form.RATE, Form.PREVIEW):
            row = catalogue.table.row(catalogue.position(question.item_id), named=True)
            text, category = short(row["text"], SNIPPET), short(row["category"].replace("|", ", "))
            if question.form is Form.RATE and text and not row["title"]:
                asked, text = text, ""
        heading = Text(f"\n{len(self._told()) + 1}. {asked}", style="bold")
        if category:
            heading.append(f"  {category}", style="not bold dim")
        self.console.print(heading)
        if text:
            self._say(text)
        if question.form is not Form.RATE:
            for key, title in zip(keys_for(question, self.learner.model), titles_of(catalogue, question), strict=False):
                if question.others:
                    self._say(f"{key} {title}")
            self._say(f"{legend_for(question, self.learner.model)} · ? help", style="cyan")
        self._say(f"Why: {self._why(question)}", style="dim")

    def _why(self, question: Question) -> str:
        """Why this is asked, in the words of the pages."""
        words = WORDS["en"]
        if question.form is Form.RECALL:
            return words["why_recall"]
        if question.strategy == "random":
            return "it was drawn by chance."
        if question.form is not Form.RATE:
            return words["why_way" if len(self.forms) == 1 else "why_other"]
        return next(why for least, why in KNOWN if question.answerable >= least)

    def _help(self, question: Question) -> None:
        """Every key, and what is behind the question."""
        model = self.learner.model
        keys = {"answer": legend_for(question, model)}
        if question.form is Form.RATE and not model.taste.likelihood.words:
            keys["answer"] += "; the more, the better you like it"
        keys |= {
            UNKNOWN: "you don't know it: that says nothing of your taste",
            NO_OPINION: "no opinion: you know it, and cannot say",
            SKIP: "skip: you would rather not say",
            UNDO: "take your last answer back",
            HELP: "this help",
            QUIT: "stop; Ctrl-C and Ctrl-D do so too, and every answer stays kept",
            "list": "what is expected of you ± what more answers may change; new, up, down: since before the answer",
        }
        self.console.print(Padding(facts(keys.items()), INDENT, expand=False))
        self._say(f"In figures: {question.why}.", style="dim")

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(Padding(Text(text, style=style), INDENT, expand=False))

    def _valid(self, read_key: Callable[[], str], question: Question) -> tuple[str, list[str]]:
        """The next key that means something, and what was tapped before it; the end of the input means to quit."""
        values, is_group = keys_for(question, self.learner.model), question.form is Form.GROUP
        tapped: list[str] = []
        while True:
            try:
                key = read_key().strip().lower()
            except EOFError:
                return QUIT, tapped
            if is_group and key in values:
                self._tap(question.items[int(values[key])], tapped)
            elif key in values or key in COMMANDS or (is_group and key == DONE):
                return key, tapped
            elif key == HELP:
                self._help(question)
            elif key:
                known = legend_for(question, self.learner.model)
                self._say(f"{short(key, 20)!r} is no answer here: {known} · {REST}", style="yellow")

    def _name(self, read_line: Callable[[], str], question: Question) -> tuple[str, list[str]]:
        """The title that is meant, of those that are called so or nearly so; the end of the input means to quit."""
        from palate.model.titles import MOST_TYPED

        meant: list[Item] = []
        while True:
            try:
                typed = read_line().strip()
            except EOFError:
                return QUIT, []
            if typed.lower() in COMMANDS:
                return typed.lower(), []
            if typed == HELP:
                self._help(question)
                continue
            if typed.isdecimal() and 0 < int(typed[:3]) <= len(meant):
                return DONE, [meant[int(typed[:3]) - 1].id]
            if not typed:
                continue
            meant = self.learner.search(typed[:MOST_TYPED], COMPLETIONS)
            if self.learner.model.titles.named(typed[:MOST_TYPED]) is not None:
                return DONE, [meant[0].id]
            self._complete(typed, meant)

    def _complete(self, typed: str, meant: Sequence[Item]) -> None:
        for place, item in enumerate(meant, start=1):
            self._say(f"{place} {short(as_shown(item.title))}")
        if meant:
            return self._say("The number of the one you mean, or another title; ? help", style="cyan")
        self._say(f"Nothing is called like {short(typed, 40)!r}. Type another title; ? help", style="yellow")

    def _tap(self, item: str, tapped: list[str]) -> None:
        """Tap an item of a group, or take the tap back."""
        catalogue = self.learner.model.catalogue
        (tapped.remove if item in tapped else tapped.append)(item)
        state = "liked" if item in tapped else "not liked"
        self._say(f"{state}: {short(as_shown(catalogue.names[catalogue.position(item)]))}")

    def _answer(self, question: Question, key: str, tapped: Sequence[str]) -> Answer:
        if key in WITHOUT:
            return question.answer(WITHOUT[key])
        if key == DONE:
            return question.answer(tapped[0] if question.form is Form.RECALL else tapped)
        if question.form is Form.PICK:
            return question.answer(question.items[int(keys_for(question, self.learner.model)[key])])
        return question.answer(keys_for(question, self.learner.model)[key])

    def _keep(self, answer: Answer) -> None:
        before = self._top()
        (label,) = self.recommender.tell(answer)  # on the disk; only now it counts
        self.given.append(label.answer)
        self._say(f"Kept: {told(answer, self.learner.model)}", style="green")
        if label.answer.is_rating:
            self._list(self._top(), before)

    def _undo(self, answers: Sequence[Answer]) -> None:
        """Take back the last of what was told when the question was shown, whatever other processes did since."""
        if not answers:
            return self._say("There is nothing to undo.", style="yellow")
        last, before = answers[-1], self._top()
        said = told(last, self.learner.model)
        self.given = [answer for answer in self.given if answer.key != last.key]
        try:
            self.recommender.undo(self.user, last.key)
        except AnswerError:
            return self._say(f"Taken back before, elsewhere: {said}", style="yellow")
        self._say(f"Taken back: {said}", style="green")
        if last.is_rating:
            self._list(self._top(), before)

    def _list(
        self,
        items: Sequence[Recommendation],
        before: Sequence[Recommendation] | None = None,
        *,
        reasons: bool = False,
    ) -> None:
        if not items:
            return self._say("Nothing is left to show.")
        places = None if before is None else {item.item_id: place for place, item in enumerate(before)}
        grid = Table.grid(padding=(0, 2, 0, 0))
        for justify in ("right", "left", "left"):
            grid.add_column(justify=justify, no_wrap=True)
        grid.add_column()  # the one that gives way, and is cut, where the terminal is narrow
        for place, item in enumerate(items):
            score = f"{item.score:.2f} ± {item.std:.2f}"
            title = Text(short(as_shown(item.title)), no_wrap=True, overflow="ellipsis")
            grid.add_row(str(place + 1), score, moved(item.item_id, place, places), title)
            if reasons:
                grid.add_row("", "", "", Text(short(item.reason), style="dim"))
        self.console.print(Padding(grid, INDENT, expand=False))


def moved(item_id: str, place: int, before: Mapping[str, int] | None) -> Text:
    """How an entry of the list moved, in words and not by colour alone."""
    if before is None:
        return Text("")
    if item_id not in before:
        return Text("new", style="green")
    step = before[item_id] - place
    if step == 0:
        return Text("")
    return Text(f"up {step}", style="green") if step > 0 else Text(f"down {-step}", style="red")
