"""The taste part of `palate label`: whoever's answer about a user is worth most for its price is asked, or nobody."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from palate.acquisition.oracle_choice import Action
from palate.cli.console import line, short
from palate.cli.keys import Stopped, Typed
from palate.cli.label_file import TastePart, Who
from palate.cli.parse_answer import legend
from palate.costs import Budget, Price
from palate.entities import Answer, AnswerKind
from palate.entities.provenance import Provenance
from palate.model.answer_keys import keys_of
from palate.oracles.pseudo_labels import MARK
from palate.oracles.source_reliability import GOLD, GOLD_SHARE, Reliabilities, Reliability, gold_in
from palate.random import derive_rng
from palate.store.protocol import active

if TYPE_CHECKING:
    from palate.entities import Question
    from palate.loop.next_step import Step
    from palate.recommender import Recommender

ACTIONS = {"annotator": Action.ANNOTATOR, "model": Action.LANGUAGE_MODEL, "pseudo-label": Action.PSEUDO_LABEL}
STEP = 0.05  # by which a weight has to move before the log says so; from 0 it always does
KEYS = {"u": AnswerKind.UNKNOWN, "n": AnswerKind.NO_OPINION, "s": AnswerKind.SKIPPED}
REST = "u don't know it · n no opinion · s skip · q quit, and go on another time"
Said = Mapping[tuple[str, str], float]  # by user and item


@dataclass
class TasteCampaign:
    """Spends a budget on answers about some users, all kept in the log of the model.

    Attributes:
        said: By kind (``user``, ``annotator``, ``model``, ``pseudo-label``) what a file says; None: at the terminal.
    """

    name: str
    part: TastePart
    recommender: Recommender
    console: Console
    typed: Typed
    said: Mapping[str, Said | None]
    seed: int
    spent: dict[str, float] = field(default_factory=dict)  # by user
    reliabilities: Reliabilities = field(default_factory=Reliabilities)

    def __post_init__(self) -> None:
        taste = self.recommender.fitted.taste
        noise = {} if taste.likelihood.power > 1 else {"taste": float(np.median(taste.items.noise))}
        families = {who.source: who.family for who in self._learnt().values() if who.family}
        answers = self._answers()
        self.reliabilities = Reliabilities(noise, families).told(gold_in(answers))
        for one in answers:
            if one.provenance.channel == self._channel:
                self._spend(one.user_id, one.provenance.cost or 0.0)
        self._calibrate()

    def run(self) -> None:
        """Ask about one user after the other, until nothing is worth its price or the budget is spent.

        Raises:
            Stopped: If whoever sits at the terminal has had enough.
        """
        users = list(self.part.users)
        while users:
            for user in list(users):
                step = self._decide(user)
                if step.question is None:
                    users.remove(user)
                    line(self.console, f"{user}: {step.reason}.")
                else:
                    self._do(step, step.question)

    def document(self) -> dict[str, Any]:
        """What came of it, for ``--json``."""
        mine = [one for one in self._answers() if one.provenance.channel == self._channel]
        believed = {who.source: self._of(who) for who in self._learnt().values()}
        return {
            "answers": len(mine),
            "by": dict(Counter(one.source for one in mine)),
            "spent": sum(self.spent.values()),
            "budget": self.part.budget,
            "reliability": {
                source: {"gold": one.gold, "low": one.low, "middle": one.middle} for source, one in believed.items()
            },
        }

    # ---- what is asked ----

    def _decide(self, user: str) -> Step:
        part, learnt = self.part, self._learnt()
        prices = {Action.USER: Price(part.user.cost)}
        if part.again:
            prices[Action.AGAIN] = Price(part.user.cost)
        for kind, who in part.others.items():
            share = GOLD_SHARE if kind in learnt else 0.0  # gold is paid for, too
            prices[ACTIONS[kind]] = Price(who.cost * (1.0 + share))
        return self.recommender.decide(
            user,
            prices,
            learnt={ACTIONS[kind]: self._of(who) for kind, who in learnt.items()},
            labels=self._pseudo_labels(user),
            budget=self._budget(),
            least=part.least,
            rng=self._rng("decide", user),
        )

    def _do(self, step: Step, question: Question) -> None:
        user, kinds = question.user_id, {action: kind for kind, action in ACTIONS.items()}
        if step.label is not None:
            return self._keep(step.label, self.part.others["pseudo-label"].cost)
        if step.action in kinds:
            who = self.part.others[kinds[step.action]]
            return self._keep(self._answer(kinds[step.action], question, who), who.cost, who.family)
        answer = self._answer("user", question, self.part.user)
        self._keep(answer, self.part.user.cost)
        if answer.is_rating and step.action is Action.USER:
            self._gold(user, question)

    def _gold(self, user: str, question: Question) -> None:
        """Ask by chance those who stand in for users, too, where the user has just said what is right."""
        rng = self._rng("gold", user)
        for kind, who in self._learnt().items():
            chance = self.reliabilities.gold_chance(who.source)
            if rng.random() < chance and self._budget().affords(user, who.cost):
                asked = replace(question, strategy=GOLD, propensity=chance)
                self._keep(self._answer(kind, asked, who), who.cost, who.family)
        families = self.reliabilities.families
        self.reliabilities = Reliabilities(self.reliabilities.noise, families).told(gold_in(self._answers()))
        self._calibrate()

    def _answer(self, kind: str, question: Question, who: Who) -> Answer:
        source = "person" if kind == "user" else who.source
        said = self.said.get(kind)
        if said is None:
            return self._typed(question, source)
        nothing = AnswerKind.UNKNOWN if kind == "user" else AnswerKind.SKIPPED
        return question.answer(said.get((question.user_id, question.item_id), nothing), source=source)

    def _typed(self, question: Question, source: str) -> Answer:
        """What somebody answers at the terminal."""
        model, keys = self.recommender.fitted, keys_of(self.recommender.fitted)
        whom = question.user_id if source == "person" else f"{source}, what would {question.user_id} say"
        self.console.print()
        line(self.console, f"{whom}: {short(question.title)}?", style="bold")
        line(self.console, f"{legend(keys, model)} · {REST}", style="cyan")
        while True:
            try:
                key = self.typed.key().strip().lower()
            except EOFError:
                raise Stopped from None
            if key == "q":
                raise Stopped
            if key in keys or key in KEYS:
                return question.answer(keys.get(key, KEYS.get(key, 0.0)), source=source, at=time.time())
            if key:
                line(self.console, f"{short(key, 20)!r} is no answer: {legend(keys, model)} · {REST}", style="yellow")

    def _pseudo_labels(self, user: str) -> list[Answer]:
        """Those of a file about this user, of items that nobody has answered about."""
        who, said = self.part.others.get("pseudo-label"), self.said.get("pseudo-label")
        if who is None or said is None:
            return []
        source = f"{MARK}{who.source}@{who.weight:g}"
        return [
            Answer(user, item, AnswerKind.RATING, value, source) for (of, item), value in said.items() if of == user
        ]

    # ---- what is kept ----

    def _keep(self, answer: Answer, cost: float, family: str = "") -> None:
        """Into the log, and only then out of the budget."""
        of = Provenance(family, channel=self._channel, cost=cost)
        self.recommender.tell(replace(answer, provenance=of))
        self._spend(answer.user_id, cost)

    def _spend(self, user: str, cost: float) -> None:
        self.spent[user] = self.spent.get(user, 0.0) + cost

    def _calibrate(self) -> None:
        """Let the log say what those count who stand in for users: nothing, until enough gold is there."""
        power = self.recommender.fitted.taste.likelihood.power
        now = {one.source: one.reliability for one in self.recommender.learner.memory.calibrations}
        for who in self._learnt().values():
            weight, before = self._of(who).calibration(power=power).reliability, now.get(who.source)
            if before is None or abs(weight - before) >= STEP or (weight > 0.0) != (before > 0.0):
                self.recommender.calibrate(who.source, weight)

    def _answers(self) -> list[Answer]:
        rows = active(self.recommender.log.records())
        return [row.content for row in rows if isinstance(row.content, Answer)]

    def _learnt(self) -> dict[str, Who]:
        """Those whose reliability is learnt."""
        return {kind: who for kind, who in self.part.others.items() if kind != "pseudo-label"}

    def _of(self, who: Who) -> Reliability:
        return self.reliabilities.of(who.source)

    def _budget(self) -> Budget:
        return Budget(self.part.budget, spent=self.spent)

    @property
    def _channel(self) -> str:
        return f"label:{self.name}"

    def _rng(self, what: str, user: str) -> np.random.Generator:
        told = len(self.recommender.learner.told.get(user, ()))
        return derive_rng(self.seed, "label", what, user, str(told))
