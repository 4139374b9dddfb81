"""Nothing changes in what is computed: fits, questions and lists of real data, as ``unchanged.json`` keeps them.

Moving, merging and renaming code must leave all of it as it is. After a change made on purpose, write the file anew,
look at what ``git diff`` says of it, and say in the commit why it changed::

    python -m tests.test_unchanged

The data lies beside the checkout; without it these tests are skipped.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from palate import Answer, AnswerKind, Dataset, Event, Learner, Question, Recommendation

KEPT = Path(__file__).with_name("unchanged.json")
SEED = 0

# Processors and BLAS round differently, and the default encoder computes in single precision: with OpenBLAS kernels for
# three other processors the numbers differed by up to 2e-6 of themselves. So no array is hashed: numbers are compared,
# and only those that do not hang on the sign or the rotation of the factors, which LAPACK is free to choose. Ids are
# hashed: neighbouring scores differ by far more than rounding. Reasons in words are left out.
RTOL, ATOL = 1e-5, 1e-10


# ---- the interface: every call of Palate that may be renamed is here ------------------------------------------------

Forms = tuple[str, ...]


def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def fit(data: Dataset, encoder: str) -> Learner:
    return Learner.fit(data, encoder=encoder, dim=16, seed=SEED)


def ask(learner: Learner, user: str, k: int, **options: Any) -> Sequence[Question]:
    """Questions to rate an item; ``draw`` is how they are chosen."""
    return learner.ask(user, k=k, rng=rng(), **options)


def ask_forms(learner: Learner, user: str, k: int, forms: Forms) -> Sequence[Question]:
    return learner.ask(user, k=k, forms=forms, rng=rng())


def ask_about(learner: Learner, item: str, k: int) -> Sequence[Question]:
    return learner.ask_about(item, k=k, rng=rng())


def ask_pairs(learner: Learner, budget: int) -> Sequence[Question]:
    return learner.ask_pairs(budget, per_user=2, rng=rng())


def tell(learner: Learner, question: Question, value: float | AnswerKind | list[str]) -> Learner:
    """The learner that has heard an answer; of a page, that the first item has this rating and no other is known."""
    if question.form.value == "page":
        return learner.tell(question.answers({question.item_id: value}))  # type: ignore[dict-item]
    return learner.tell(question.answer(value))


def rate(learner: Learner, user: str, item: str, value: float) -> Learner:
    return learner.tell(Answer(user, item, AnswerKind.RATING, value))


def see(learner: Learner, user: str, items: Sequence[str], liking: Sequence[float]) -> Learner:
    return learner.see(Event(user, item, liking=how) for item, how in zip(items, liking, strict=True))


def with_item(learner: Learner, **columns: str) -> Learner:
    return learner.with_items(pl.DataFrame([columns]))


def recommend(learner: Learner, user: str, **options: Any) -> Sequence[Recommendation]:
    return learner.recommend(user, k=10, **options)


def taste_arrays(learner: Learner) -> dict[str, NDArray[np.float64]]:
    """Level (I,), factors (I, D), noise (I,) and packed covariances of the items, and where a user starts."""
    taste = learner.model.taste
    return {
        "level": taste.items.level,
        "factors": taste.items.factors,
        "noise": taste.items.noise,
        "covariances": taste.items.spread.expected(np.eye(taste.items.dim + 1)),
        "start": taste.start.covariance,
    }


def exposure_arrays(learner: Learner) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of users who know each item, (I,), and its loadings, (I, E)."""
    return learner.model.answerability.rate, learner.model.answerability.loadings


def belief_arrays(learner: Learner, user: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D)."""
    belief = learner.state(user).belief
    return belief.mean, belief.covariance


# ---- the data -------------------------------------------------------------------------------------------------------


def ratings(folder: Callable[[str], Path]) -> Dataset:
    """Ratings from 1 to 5, genres, and who the users are."""
    return Dataset.load(folder("movielens-100k"))


def jokes(folder: Callable[[str], Path]) -> Dataset:
    """Ratings from -10 to 10 without levels, of texts."""
    return Dataset.load(folder("jester"))


def likes(folder: Callable[[str], Path]) -> Dataset:
    """Statements that people agreed (1) or disagreed (0) with."""
    polis, here = folder("polis") / "ship_sample", pl.col("conversation") == "american-assembly.bowling-green"
    votes = pl.read_parquet(polis / "votes.parquet").filter(here & (pl.col("vote") != 0))
    agrees = (pl.col("vote") > 0).cast(pl.Float64).alias("rating")
    items = pl.read_parquet(polis / "items.parquet").filter(here)
    return Dataset.from_tables(votes.select("user_id", "item_id", agrees), items.select("item_id", "text"))


def events(folder: Callable[[str], Path]) -> Dataset:
    """Which artists people played, of those with enough listeners; a category is one of their tags."""
    plays, artists = (pl.read_parquet(folder("lastfm-hetrec") / f"{table}.parquet") for table in ("plays", "artists"))
    plays = plays.filter(pl.len().over("item_id") >= LISTENERS)
    tags = pl.col("tags").list.head(2).list.join("|").alias("category")
    artists = artists.join(plays.select("item_id"), on="item_id", how="semi")
    return Dataset.from_tables(
        plays.select("user_id", "item_id", pl.lit("play").alias("event")),
        artists.select("item_id", pl.col("name").alias("title"), tags),
    )


LISTENERS = 20
EVERY_FORM = ("rate", "pair", "group", "page", "concept", "preview")
WITHOUT_CONCEPTS = tuple(form for form in EVERY_FORM if form != "concept")


class Case(NamedTuple):
    """What is fitted, and what is asked of it.

    Attributes:
        encoder: Of text. Only events have one: with content a fit of ratings or likes chooses between directions of
            the prior that are nearly as good, so another BLAS moves factors by one part in 10³, and so the questions.
        forms: Those that the likelihood takes.
        good, bad: Two answers.
    """

    data: Callable[[Callable[[str], Path]], Dataset]
    encoder: str
    forms: Forms
    good: float
    bad: float


CASES = {
    "ratings": Case(ratings, "none", EVERY_FORM, 5.0, 2.0),
    "ratings without levels": Case(jokes, "none", WITHOUT_CONCEPTS, 8.0, -5.0),
    "likes": Case(likes, "none", WITHOUT_CONCEPTS, 1.0, 0.0),
    "events": Case(events, "default", ("rate", "group", "page"), 1.0, 1.0),
}


# ---- what is kept ---------------------------------------------------------------------------------------------------


def measured(case: str, folder: Callable[[str], Path]) -> dict[str, Any]:
    """All that is compared, of one case."""
    of, encoder, forms, good, bad = CASES[case]
    learner = fit(of(folder), encoder)
    known = learner.model.user_ids[len(learner.model.user_ids) // 2]
    items = learner.model.catalogue.ids
    told = after_three(learner, good, bad)
    in_turn = dict(each_form(learner, forms, good))
    heard = in_turn[forms[-1]][1]
    seen = see(learner, "seen", items[10:15], [1.0, -1.0, 0.5, 1.0, 1.0])
    longer = with_item(learner, item_id="new", title="The return of the old king", category="Drama|rock")
    return {
        "fit": of_fit(learner),
        "known user": of_questions(ask(learner, known, 5)),
        "newcomer": of_questions(ask(told, "newcomer", 5)),
        "drawn": of_questions(ask(told, "newcomer", 3, draw="softmax")),
        "any form": of_questions(ask_forms(told, "newcomer", 5, forms)),
        "form by form": {form: of_questions(asked) for form, (asked, _) in in_turn.items()},
        "about an item": of_questions(ask_about(learner, items[7], 5)),
        "pairs": of_questions(ask_pairs(told, 10)),
        "beliefs": {
            "known user": of_belief(learner, known),
            "newcomer": of_belief(told, "newcomer"),
            "told in every form": of_belief(heard, "told"),
            "who saw": of_belief(seen, "seen"),
        },
        "lists": {
            "known user": of_list(recommend(learner, known)),
            "newcomer": of_list(recommend(told, "newcomer")),
            "told in every form": of_list(recommend(heard, "told")),
            "who saw": of_list(recommend(seen, "seen")),
            "diverse": of_list(recommend(learner, known, diversity=0.5)),
        },
        "new item": {"level": [float(taste_arrays(longer)["level"][-1])], **of_fit(longer)},
    }


def after_three(learner: Learner, good: float, bad: float) -> Learner:
    """With a newcomer who answered three questions (good, unknown, bad) and rated an item that nobody asked about."""
    for value in (good, AnswerKind.UNKNOWN, bad):
        learner = tell(learner, ask(learner, "newcomer", 1)[0], value)
    return rate(learner, "newcomer", learner.model.catalogue.ids[3], good)


def each_form(learner: Learner, forms: Forms, good: float) -> Iterator[tuple[str, tuple[Sequence[Question], Learner]]]:
    """A question of one form after the other, each answered before the next is asked."""
    answers = {"rate": good, "pair": 0.0, "concept": 0.0, "preview": 1.0, "page": good}
    for form in forms:
        asked = ask_forms(learner, "told", 1, (form,))
        learner = tell(learner, asked[0], [asked[0].item_id] if form == "group" else answers[form])
        yield form, (asked, learner)


def of_fit(learner: Learner) -> dict[str, list[float]]:
    """Sums and norms; of factors and loadings their singular values, which no rotation changes."""
    arrays, (rate, loadings) = taste_arrays(learner), exposure_arrays(learner)
    return {
        "shape": [float(size) for size in arrays["factors"].shape],
        "level": [*_sums(arrays["level"]), *map(float, arrays["level"][:5])],
        "factors": _singular(arrays["factors"]),
        "noise": _sums(arrays["noise"]),
        "covariances": _sums(arrays["covariances"]),
        "start": _singular(arrays["start"]),
        "exposure": [*_sums(rate), *_singular(loadings)],
    }


def of_belief(learner: Learner, user: str) -> list[float]:
    """Length of the mean, and the variances along the axes of the covariance."""
    mean, covariance = belief_arrays(learner, user)
    return [float(np.linalg.norm(mean)), *_singular(covariance)]


def of_questions(questions: Sequence[Question]) -> dict[str, Any]:
    """A hash of what each is about, and its numbers."""
    numbers = [[q.value, q.answerable, q.propensity, q.seconds] for q in questions]
    return {"ids": [_hash([q.form.value, q.user_id, q.item_id, *q.others]) for q in questions], "numbers": numbers}


def of_list(recommendations: Sequence[Recommendation]) -> dict[str, Any]:
    """A hash of the ids in order, and the numbers of each."""
    return {"ids": _hash([r.item_id for r in recommendations]), "numbers": [[r.score, r.std] for r in recommendations]}


def _hash(ids: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(ids).encode()).hexdigest()[:12]


def _sums(values: NDArray[np.float64]) -> list[float]:
    return [float(values.sum()), float(np.linalg.norm(values))]


def _singular(matrix: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.linalg.svd(matrix, compute_uv=False)]


# ---- the comparison -------------------------------------------------------------------------------------------------


def differences(kept: Any, now: Any, where: str = "") -> Iterator[str]:
    """Where two results differ, a line each."""
    if isinstance(kept, dict) and isinstance(now, dict) and kept.keys() == now.keys():
        for name in kept:
            yield from differences(kept[name], now[name], f"{where}/{name}")
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for place, (one, other) in enumerate(zip(kept, now, strict=True)):
            yield from differences(one, other, f"{where}/{place}")
    elif isinstance(kept, float) and isinstance(now, float):
        if not math.isclose(kept, now, rel_tol=RTOL, abs_tol=ATOL):
            yield f"{where}: was {kept!r}, is {now!r}"
    elif kept != now:
        yield f"{where}: was {kept!r}, is {now!r}"


@pytest.mark.long  # minutes, since each fit has its list
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_is_computed_is_what_was_kept(case: str, shared_data: Callable[[str], Path]) -> None:
    found = list(differences(json.loads(KEPT.read_text())[case], measured(case, shared_data)))
    assert not found, "\n".join([f"{len(found)} results of {case} changed:", *found[:40]])


def test_the_comparison_sees_a_change() -> None:
    kept = {"ids": ["a", "b"], "numbers": [[1.0, 2.0]]}
    assert not list(differences(kept, {"ids": ["a", "b"], "numbers": [[1.0 + RTOL / 10, 2.0]]}))
    for changed in (
        {"ids": ["b", "a"], "numbers": [[1.0, 2.0]]},
        {"ids": ["a", "b"], "numbers": [[1.0, 2.0 + 10 * RTOL]]},
        {"ids": ["a", "b"], "numbers": [[1.0]]},
        {"ids": ["a", "b"]},
    ):
        assert list(differences(kept, changed))


def _keep() -> None:
    """Write ``unchanged.json`` anew, from the data beside this checkout."""
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    kept = {case: measured(case, lambda name: data / name) for case in CASES}
    KEPT.write_text(
        "{" + ",".join(f'\n"{case}": {{{_lines(_rounded(parts))}\n}}' for case, parts in kept.items()) + "\n}\n"
    )


def _lines(parts: dict[str, Any]) -> str:
    """A line each, so that a difference shows which it is."""
    return ",".join(f'\n "{name}": {json.dumps(part)}' for name, part in parts.items())


def _rounded(value: Any) -> Any:
    """With floats of as many digits as are compared."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


if __name__ == "__main__":
    _keep()
