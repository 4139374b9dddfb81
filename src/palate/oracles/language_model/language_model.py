"""A language model that answers questions, by any server that speaks the OpenAI-compatible interface.

    model = LanguageModel("http://127.0.0.1:8080/v1", "qwen3-4b")
    answers = model.answer([AttributeQuestion(topic, "i7", "A cup final")])

What it says is a label of a machine, and marked so. Of taste such labels count nothing until its source is calibrated
on gold answers drawn at random (:mod:`palate.oracles.language_model.gold`). None is asked unless somebody makes one.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from palate.entities import Answer, AnswerKind, Question
from palate.entities.item_attributes import AttributeQuestion
from palate.entities.provenance import MACHINE, Provenance
from palate.errors import OptionError
from palate.errors.checks import count, instance, key_of, mapping, normalise_id, several
from palate.oracles.language_model.asked import InPlace, answered, attribute_choice
from palate.oracles.language_model.choosing import Chooser, Run, Said
from palate.oracles.language_model.gold import Calibrated
from palate.oracles.language_model.ledger import FREE, Ledger, TokenPrice
from palate.oracles.language_model.modes import Mode, probe
from palate.oracles.language_model.prompts import Choice
from palate.oracles.language_model.server import Limits, Server, Sleep, SpentError
from palate.oracles.protocol import Asked

CHANNEL = "language-model"
_FIXED = ("model", "messages", "temperature", "max_tokens", "logprobs", "top_logprobs", "response_format", "seed", "n")


class LanguageModel:
    """An :class:`palate.oracles.Oracle` for questions about attributes, and about taste in the user's place.

    One call at the first question finds how choices can be read off the server's replies
    (:class:`palate.oracles.language_model.modes.Mode`). Each question is asked twice, with its options in either order.
    What has no answer is skipped: none is ever made up.

    Args:
        base_url: Of the server, such as ``http://127.0.0.1:8080/v1``.
        model: By the server's name.
        key_env: Name of the environment variable that holds the key. It goes to that address, and over plain HTTP to
            none but this machine.
        price: Of tokens; needed for a server that is not on this machine. ``FREE`` where nothing is charged.
        budget: Most that may be spent, in the unit of the prices; calls that could go over it are not made.
        spent: Of it, in earlier runs.
        family: Whose errors it shares; its own name where empty.
        in_place: What it is told of users; without it questions about taste are skipped.
        shots: Questions about attributes with the places of their right options, as examples in the prompt.
        samples: Of each order, from a server that can do nothing better.
        extra: Further fields of what is sent, such as ``{"chat_template_kwargs": {"enable_thinking": False}}``.
        limits: What a call may take.
        sleep: Waits between two tries of a call.
    Raises:
        OptionError: If an argument is out of range, or the key would be sent unencrypted.
        MissingExtra: Without httpx.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key_env: str = "OPENAI_API_KEY",
        price: TokenPrice | None = None,
        budget: float = math.inf,
        spent: float = 0.0,
        family: str = "",
        in_place: InPlace | None = None,
        shots: Sequence[tuple[AttributeQuestion, int]] = (),
        samples: int = 5,
        extra: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.model = normalise_id(model, "model")
        self.family = key_of(family, "family") or f"{MACHINE}{self.model}"
        self.ledger = Ledger(
            instance(FREE if price is None else price, TokenPrice, "price", "a TokenPrice"), budget, spent=spent
        )
        self._limits = instance(Limits() if limits is None else limits, Limits, "limits", "a Limits")
        self.server = Server(base_url, normalise_id(key_env, "key_env"), self.ledger, self._limits, sleep)
        if price is None and not self.server.is_local:
            raise OptionError(
                f"{self.server.base_url} is not on this machine and no price is given. Give what a million tokens "
                "cost, as in price=TokenPrice(0.15, 0.60), or FREE."
            )
        self._in_place = None if in_place is None else instance(in_place, InPlace, "in_place", "an InPlace")
        self._shots = tuple(_shot(one) for one in several(shots, "shots"))
        self._samples = count(samples, "samples", least=1, most=100)
        self.extra = dict(mapping({} if extra is None else extra, "extra", "a mapping from field to value"))
        if taken := sorted(set(self.extra) & set(_FIXED)):
            raise OptionError(f"extra sets {taken[0]!r}, which the model sets itself. Leave it out.")
        self._calibrated: dict[str, Calibrated] = {}
        self._start = _Start()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server.base_url!r}, {self.model!r})"

    def close(self) -> None:
        """Close the connections."""
        self.server.close()

    @property
    def mode(self) -> Mode:
        """How choices are read off the server's replies; the first to ask makes the probe.

        Raises:
            OracleError: If no way works.
        """
        return self._chooser().mode

    def answer(self, questions: Sequence[Asked]) -> tuple[Answer, ...]:
        """One answer a question, in the same order; to a page one an item of it.

        Raises:
            OracleError: If the server is not there, or gives nothing that is an answer, from the first call on. What
                fails later is skipped, and so is what the budget does not pay for.
        """
        parts = list(_parts(questions))
        return tuple(self._answer(part, said) for part, said in zip(parts, self.said(parts), strict=True))

    def said(self, questions: Sequence[Asked]) -> tuple[Said, ...]:
        """What it says to each, with the log-probabilities of all options, before any calibration.

        Raises:
            OracleError: As of :meth:`answer`.
        """
        return self.choose([self._choice(part) for part in _parts(questions)])

    def choose(self, choices: Sequence[Choice | None]) -> tuple[Said, ...]:
        """What it says to each choice; the same one twice is asked once. None is nothing that can be asked."""
        asked = list(dict.fromkeys(choice for choice in choices if choice is not None))
        found: dict[Choice, Said] = {}
        if asked:
            try:
                chooser, run = self._chooser(), Run()
            except SpentError as error:
                return tuple(Said(f"{MACHINE}{self.model}", why=str(error)) for _ in choices)
            with ThreadPoolExecutor(self._limits.at_once) as threads:
                found = dict(zip(asked, threads.map(lambda one: chooser.choose(one, run), asked), strict=True))
        return tuple(self._taken(choice, found) for choice in choices)

    def calibrated(self, by: Calibrated) -> Self:
        """The same model, whose answers from this source are read by that calibration; money and replies are shared.

        Raises:
            OptionError: If the source is refused.
        """
        instance(by, Calibrated, "a calibration", "what palate.oracles.language_model.calibrate gave")
        if by.refused:
            raise OptionError(f"the source {by.raw!r} is refused: {by.refused}. Give another model or another wording.")
        other = copy.copy(self)
        other._calibrated = {**self._calibrated, by.raw: by}
        return other

    def chosen(self, said: Said) -> tuple[int | None, str]:
        """The place of the option, None without one, and whose label it is: by the calibration, if there is one."""
        by = self._calibrated.get(said.source)
        return (said.option, said.source) if by is None else (by.option(said.logp), by.source)

    def provenance(self, said: Said, *, question_id: str = "") -> Provenance:
        """What the log keeps of how a label came about."""
        return Provenance(self.family, CHANNEL, question_id=question_id, cost=said.cost, tokens=said.tokens)

    def _chooser(self) -> Chooser:
        with self._start.lock:
            if self._start.chooser is None:
                found = probe(self.server, self.model, self.extra)
                self._start.chooser = Chooser(self.server, self.model, found.mode, self.extra, self._samples)
            return self._start.chooser

    def _choice(self, asked: Asked) -> Choice | None:
        if isinstance(asked, AttributeQuestion):
            return attribute_choice(asked, self._shots)
        instance(asked, Question, "a question", "a palate.Question, or one about an attribute")
        return None if self._in_place is None else self._in_place.choice(asked)

    def _taken(self, choice: Choice | None, found: dict[Choice, Said]) -> Said:
        """What was said, whose cost is that of the first question with this choice."""
        if choice is None:
            return Said(f"{MACHINE}{self.model}", why="nothing is known that it could go by")
        said = found[choice]
        found[choice] = said.free
        return said

    def _answer(self, asked: Asked, said: Said) -> Answer:
        option, source = self.chosen(said)
        of = self.provenance(said)
        if option is None:
            return answered(asked, AnswerKind.SKIPPED, source, of)
        if isinstance(asked, AttributeQuestion):
            return answered(asked, float(option), source, of)
        assert self._in_place is not None, "without it nothing about taste was chosen"
        return answered(asked, self._in_place.value(asked, option), source, of)


class _Start:
    """What the first question finds, shared with the same model under other calibrations."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.chooser: Chooser | None = None


def _parts(questions: Sequence[Asked]) -> Iterator[Asked]:
    for asked in several(questions, "questions"):
        yield from asked.parts if isinstance(asked, Question) else (asked,)


def _shot(shot: object) -> tuple[AttributeQuestion, int]:
    pair = several(shot, "a shot", "(question, option)")
    if len(pair) != 2:
        raise OptionError(
            f"a shot has {len(pair)} parts. Give a question about an attribute and the place of its option."
        )
    asked = instance(pair[0], AttributeQuestion, "the question of a shot", "one about an attribute")
    return asked, count(pair[1], "the option of a shot", most=len(asked.attribute.options) - 1)
