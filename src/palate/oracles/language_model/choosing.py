"""One choice by a language model: asked with the options in either order, and taken together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from palate.arrays import Array
from palate.entities.provenance import MACHINE
from palate.errors import OracleError
from palate.oracles.language_model import replies
from palate.oracles.language_model.modes import LEAST_MASS, Mode, body_of, read
from palate.oracles.language_model.prompts import ORDERS, Choice, digest_of, wording_of
from palate.oracles.language_model.replies import Shares
from palate.oracles.language_model.server import Server, SpentError

MOST_CACHED = 100_000  # replies, each a few numbers
_MOST_FAILED = 3  # questions in a row; then the others are not tried


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a language model says to one question.

    Attributes:
        source: The model, as the server names itself and its build, and the wording: a change of any is another source.
        logp: Of each option, in nats, over both orders, (K,); None where nothing was chosen.
        mass: Of all that the model could have said, the part that is an option, in the order where that is less.
        agrees: Whether the options in either order had the same answer.
        cost, tokens: Of the calls that were made for it; 0 of what was known from before.
        why: There is no answer; empty where there is one.
    """

    source: str
    logp: Array | None = None
    mass: float = 0.0
    agrees: bool = False
    cost: float = 0.0
    tokens: int = 0
    why: str = ""

    @property
    def option(self) -> int | None:
        """The place of the likeliest option; None without one, or where several are as likely."""
        return likeliest(self.logp)

    @property
    def free(self) -> Said:
        """The same once more, which costs nothing."""
        return replace(self, cost=0.0, tokens=0)


def likeliest(chances: npt.ArrayLike | None) -> int | None:
    """The place of the largest, if only one is that large."""
    if chances is None:
        return None
    values = np.asarray(chances, dtype=np.float64)
    first = int(values.argmax())
    return first if (values >= values[first] - 1e-12).sum() == 1 else None


class Run:
    """Questions that are asked together: once several in a row had no reply, the others are not tried."""

    def __init__(self) -> None:
        self._lock, self._failed = threading.Lock(), 0

    @property
    def is_over(self) -> bool:
        with self._lock:
            return self._failed >= _MOST_FAILED

    def count(self, failed: bool) -> None:
        """One more question was tried."""
        with self._lock:
            if self._failed < _MOST_FAILED:
                self._failed = self._failed + 1 if failed else 0


class _Heard(NamedTuple):
    """What replies said; all of it can be kept.

    Attributes:
        build: The names and builds that answered.
    """

    shares: Shares | None
    build: tuple[str, str]


class Chooser:
    """Makes choices by a server, in one mode. Threads may share it.

    Args:
        samples: Of each order, where there is nothing better.
    """

    def __init__(self, server: Server, model: str, mode: Mode, extra: Mapping[str, Any], samples: int) -> None:
        self.mode = mode
        self._server, self.model, self._extra, self._samples = server, model, extra, samples
        self._kept: OrderedDict[str, _Heard] = OrderedDict()
        self._lock = threading.Lock()

    def choose(self, choice: Choice, run: Run) -> Said:
        """What the model says; without an option where it says none, has no reply, or cannot be paid."""
        if run.is_over:
            return Said(f"{MACHINE}{self.model}", why="the server did not reply to the questions before it")
        bill = _Bill()
        try:
            heard = [self._heard(choice, reverse, bill) for reverse in ORDERS]
        except SpentError as error:
            return Said(f"{MACHINE}{self.model}", cost=bill.cost, tokens=bill.tokens, why=str(error))
        except OracleError as error:
            run.count(failed=True)
            return Said(f"{MACHINE}{self.model}", cost=bill.cost, tokens=bill.tokens, why=str(error))
        run.count(failed=False)
        said = together([one.shares for one in heard])
        source = self._source(choice, sorted({one.build for one in heard}))
        return replace(said, source=source, cost=bill.cost, tokens=bill.tokens)

    def _heard(self, choice: Choice, reverse: bool, bill: _Bill) -> _Heard:
        """What is said with the options in one order."""
        if self.mode is Mode.SAMPLES:
            return self._sampled(choice, reverse, bill)
        heard = self._one(self.mode, choice, reverse, bill)
        is_chosen = heard.shares is not None and heard.shares.mass >= LEAST_MASS
        if is_chosen or self.mode is Mode.JSON:
            return heard
        return self._one(Mode.JSON, choice, reverse, bill)

    def _sampled(self, choice: Choice, reverse: bool, bill: _Bill) -> _Heard:
        heard = [self._one(Mode.SAMPLES, choice, reverse, bill, seed) for seed in range(self._samples)]
        places = [int(one.shares.logp.argmax()) for one in heard if one.shares is not None]
        builds = sorted({one.build for one in heard})
        shares = replies.of_votes(places, len(choice.options), self._samples)
        return _Heard(shares, builds[0] if len(builds) == 1 else ("several", digest_of(builds)))

    def _one(self, mode: Mode, choice: Choice, reverse: bool, bill: _Bill, seed: int = 0) -> _Heard:
        labels = choice.labels_in(reverse)
        body = body_of(mode, self.model, choice.messages(reverse), labels, self._extra, seed)
        key = digest_of(body, labels)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return kept
        reply = self._server.ask(body)
        bill.add(reply.cost, reply.tokens)
        heard = _Heard(read(mode, reply.document, labels), replies.build_of(reply.document))
        if heard.shares is not None:
            with self._lock:
                self._kept[key] = heard
                while len(self._kept) > MOST_CACHED:
                    self._kept.popitem(last=False)
        return heard

    def _source(self, choice: Choice, builds: list[tuple[str, str]]) -> str:
        name = self.model.encode()[:200].decode(errors="ignore")
        return f"{MACHINE}{name}@{digest_of(self.model, self.mode, builds, wording_of(choice, self._extra))[:12]}"


class _Bill:
    def __init__(self) -> None:
        self.cost, self.tokens = 0.0, 0

    def add(self, cost: float, tokens: int) -> None:
        self.cost, self.tokens = self.cost + cost, self.tokens + tokens


def together(found: list[Shares | None]) -> Said:
    """What the orders say together: the mean of their log-probabilities, if each of them chose."""
    chosen = [one for one in found if one is not None]
    mass = min((one.mass for one in chosen), default=0.0) if len(chosen) == len(found) else 0.0
    if mass < LEAST_MASS:
        return Said("", mass=mass, why="it chose none of the options")
    logp = np.mean([one.logp for one in chosen], axis=0)
    logp = logp - np.logaddexp.reduce(logp)
    first, *others = [likeliest(one.logp) for one in chosen]
    agrees = first is not None and all(other == first for other in others)
    why = "" if likeliest(logp) is not None else "options are equally likely"
    return Said("", logp, mass, agrees, why=why)
