"""What a log of questions says about the answers: bits of the answers that whoever reads the log can work out.

Every way to give five answers, each one of two, is played: 32 plays. Strategies draw the same in all of them and are
known to whoever reads. So what the log says of the answers is the entropy of the log over the plays, of 5 bits at most;
0: it is the same whatever was answered. On a device the model is the public one and stays as it is; the service learns
of items, and of who can answer what, with every answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import polars as pl

from benchmarks._data import main
from palate import Dataset, Learner, Question
from palate.datasets import planted_world
from palate.entities import RATING, AnswerKind, Form
from palate.federated import asking
from palate.federated.device import DeviceAnswers
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.server import begin

ANSWERS = 5
CHOSEN_BY = ("a-optimal", "lookahead", "popularity", "variance", "list-value")
State = TypeVar("State")
Device = tuple[tuple[int, ...], tuple[float, ...]]  # items asked and what was answered, NaN for "don't know it"


def run(seeds: int) -> dict[str, Any]:
    """Bits by what is asked, on generated worlds."""
    rows: dict[tuple[str, str, str], list[float]] = {}
    for seed in range(seeds):
        for key, bits in _of_world(seed):
            rows.setdefault(key, []).append(bits)
    return {
        "answers": ANSWERS,
        "rows": [
            {"where": where, "asks": asks, "by": by, "bits": [round(one, 3) for one in bits]}
            for (where, asks, by), bits in rows.items()
        ],
    }


def _of_world(seed: int) -> Iterator[tuple[tuple[str, str, str], float]]:
    data = planted_world(users=200, items=80, rng=np.random.default_rng(seed)).dataset
    ratings = Learner.fit(data, encoder="none", likelihood="gaussian", seed=seed)
    likes = Learner.fit(_as_likes(data), encoder="none", likelihood="probit", seed=seed)
    public = _published(ratings)
    for strategy in CHOSEN_BY:
        yield ("device", "rate: 5 or 1", strategy), _on_device(public, strategy, (5.0, 1.0))
    yield ("device", "rate: 5 or don't know it", "a-optimal"), _on_device(public, "a-optimal", (5.0, np.nan))
    for strategy in CHOSEN_BY:
        yield ("service", "rate: 5 or 1", strategy), _in_service(ratings, lambda _: (5.0, 1.0), strategy=strategy)
    known = _in_service(ratings, lambda _: (5.0, AnswerKind.UNKNOWN), strategy="a-optimal")
    yield ("service", "rate: 5 or don't know it", "a-optimal"), known
    aimed = _in_service(ratings, lambda _: (5.0, 1.0), strategy="a-optimal", targets="slate")
    yield ("service", "rate, aimed at what may be shown: 5 or 1", "a-optimal"), aimed
    for strategy in ("a-optimal", "lookahead", "popularity"):
        yield ("service", "like or dislike", strategy), _in_service(likes, lambda _: (1.0, 0.0), strategy=strategy)
    for form, asks, answers in _FORMS:
        yield ("service", asks, "all items"), _in_service(ratings, answers, forms=(form,))


_FORMS: tuple[tuple[str, str, Callable[[Question], tuple[Any, Any]]], ...] = (
    (Form.PAIR, "pair: the first or the second", lambda _: (1.0, 0.0)),
    (Form.PICK, "pick: the first or the second", lambda question: ([question.items[0]], [question.items[1]])),
    (Form.GROUP, "group: the first tapped, or none", lambda question: ([question.items[0]], [])),
    (Form.CONCEPT, "kind: yes or no", lambda _: (1.0, 0.0)),
)


def _as_likes(data: Dataset) -> Dataset:
    liked = (pl.col(RATING) >= 4).cast(pl.Float64)
    return replace(data, interactions=data.interactions.with_columns(liked.alias(RATING)))


def _published(learner: Learner) -> PublicModel:
    """The items of a fit in the form that a device gets: without noise, since here the questions are looked at."""
    taste, catalogue = learner.model.taste, learner.model.catalogue
    items = taste.items
    start = begin(catalogue.ids, FederatedOptions(dim=items.dim), line="measured").public
    return replace(
        start,
        round=1,
        form="factors",
        factors=np.concatenate([items.level[:, None] - start.centre, items.factors], 1),
        variances=np.einsum("iaa->ia", items.spread.covariances(items.dim + 1)),
        noise=float(items.noise.mean()),
        counts=catalogue.counts,
        answer_rate=np.clip(learner.model.answerability.rate, 1e-3, 1.0),
    )


def _on_device(public: PublicModel, strategy: str, answers: tuple[float, float]) -> float:
    def ask(state: Device) -> int:
        items, values = np.array(state[0], dtype=np.intp), np.array(state[1])
        allowed = np.ones(len(public), dtype=bool)
        allowed[items] = False
        rng = np.random.default_rng(len(items))
        given = DeviceAnswers(items, values)
        return asking.ask(public, given, allowed=allowed, strategy=strategy, rng=rng)[0].item

    def tell(state: Device, item: int) -> list[Device]:
        return [((*state[0], item), (*state[1], answer)) for answer in answers]

    return bits(((), ()), ask, tell)


def _in_service(learner: Learner, answers: Callable[[Question], tuple[Any, Any]], **how: Any) -> float:
    def ask(state: Learner) -> Question:
        rng = np.random.default_rng(len(state.told.get("ann", ())))
        return state.ask("ann", random_share=0.0, rng=rng, **how)[0]

    def tell(state: Learner, question: Question) -> list[Learner]:
        return [state.tell(question.answer(answer)) for answer in answers(question)]

    return bits(learner, ask, tell, named=lambda question: (question.form, question.item_id, *question.others))


def bits(
    start: State,
    ask: Callable[[State], Any],
    tell: Callable[[State, Any], list[State]],
    *,
    named: Callable[[Any], Any] = lambda question: question,
    answers: int = ANSWERS,
) -> float:
    """Entropy of the questions over all ways to answer, in bits.

    Args:
        ask: The next question.
        tell: What follows on each answer to it.
        named: What the log says of a question.
    """

    def logs(state: State, left: int) -> Iterator[tuple[Any, ...]]:
        question = ask(state)
        if not left:
            yield (named(question),)
            return
        for after in tell(state, question):
            for rest in logs(after, left - 1):
                yield (named(question), *rest)

    counts = np.array(list(Counter(logs(start, answers)).values()), dtype=np.float64)
    shares = counts / counts.sum()
    return float(abs(-(shares * np.log2(shares)).sum()))


if __name__ == "__main__":
    main("question_privacy", run, seeds=10)
