"""What a simulation, or an evaluation, comes to: one sentence for people, and how sure it is.

The sentence is in the words of the data: how many of the ten films on a list somebody turns out to like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from palate.acquisition import DEFAULT
from palate.evaluation.shown_list import HITS

REFERENCES = frozenset({"random", "popularity", "answerable-random", "ceiling"})  # never what is proposed
AFTER = 5  # questions, at which the sentence is said
ITEMS = "items"
_CALLED = {  # by what stands in the name of a data set
    "films": r"movie|film|\bml-",
    "books": r"book",
    "artists": r"last-?fm|artist|deezer",
    "jokes": r"jester|joke",
    "articles": r"news|\bmind\b|article",
    "games": r"steam|game",
    "restaurants": r"restaurant",
    "songs": r"song|music",
    "products": r"amazon|retail|shop",
    "videos": r"video|kuairand",
    "posts": r"social|communit",
}
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def things(name: str) -> str:
    """What the items of a data set are, by its name; items where the name says nothing.

    >>> things("movielens-100k"), things("goodbooks"), things("orders-2026")
    ('films', 'books', 'items')
    """
    return next((word for word, pattern in _CALLED.items() if re.search(pattern, name.lower())), ITEMS)


def in_letters(number: int) -> str:
    """A number as it stands in a sentence.

    >>> in_letters(5), in_letters(40)
    ('five', '40')
    """
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def proposed(document: Mapping[str, Any], default: str = DEFAULT) -> str:
    """The strategy to speak of: the default one if it played, else the first that is no reference."""
    names = [name for name in document["strategies"] if name not in REFERENCES]
    if default in names:
        return default
    return names[0] if names else "random"


def stage_of(document: Mapping[str, Any]) -> int:
    """After how many questions the sentence is said: five, or all where there are fewer or lists are not made."""
    budget = int(document["protocol"]["budget"])
    return min(AFTER, budget) if document["metric"] != "rmse" else budget


def headline(document: Mapping[str, Any], strategy: str) -> str:
    """What questions bring: those of a strategy, those about popular items and random ones, after as many.

    Args:
        document: As :func:`palate.evaluation.simulate.simulate` gives it.
        strategy: Of Palate.
    """
    stage, protocol = stage_of(document), document["protocol"]["name"]
    what = things(document["dataset"]["name"])
    asked = f"After {in_letters(stage)} {'question' if stage == 1 else 'questions'}"
    asked += "" if strategy == DEFAULT else f" chosen by {strategy}"
    if document["metric"] == "rmse":
        levels = [f"{_level(document, name, 'rmse', stage):.3f}" for name in (strategy, "popularity", "random")]
        return (
            f"{asked}, what Palate expects of a rating is off by {levels[0]} (RMSE); asking about popular "
            f"{what}, by {levels[1]}; asking at random, by {levels[2]}."
        )
    levels = [f"{_level(document, name, HITS, stage):.1f}" for name in (strategy, "popularity", "random")]
    if protocol == "new-items":
        return (
            f"{asked} about something new, {levels[0]} of the ten people whom Palate would show it to turn out to like "
            f"it; asking those who rate most, {levels[1]}; asking at random, {levels[2]}."
        )
    return (
        f"{asked}, {levels[0]} of the ten {what} on Palate's list turn out to be ones that the person likes; asking "
        f"about popular {what}, {levels[1]}; asking at random, {levels[2]}."
    )


def counted(document: Mapping[str, Any]) -> str:
    """What the numbers of a simulation count, as the name of an axis or a table."""
    if document["metric"] == "rmse":
        return "Error of expected ratings (RMSE)"
    if document["protocol"]["name"] == "new-items":
        return "Of the ten people shown it, liked by"
    return f"Of the ten {things(document['dataset']['name'])} on the list, liked"


def certainty(document: Mapping[str, Any], strategy: str) -> str:
    """How sure the sentence is: intervals, over whom, and whether the difference to popular items can be told."""
    stage, metric = stage_of(document), "rmse" if document["metric"] == "rmse" else HITS
    digits, sign = (3, -1.0) if metric == "rmse" else (2, 1.0)
    own = {end: document["strategies"][strategy][metric][end][stage] for end in ("low", "high")}
    parts = [f"{_called(strategy)} {own['low']:.{digits}f} to {own['high']:.{digits}f}"]
    of_items = document["protocol"]["name"] == "new-items"
    popular = "those who rate most" if of_items else f"popular {things(document['dataset']['name'])}"
    for name, whom in (("popularity", popular), ("random", "random")):
        minus = document["strategies"][strategy][f"{metric}_minus"].get(name)
        if minus is not None:
            low, mean, high = (minus[end][stage] for end in ("low", "mean", "high"))
            parts.append(f"against {whom} {_band(low, mean, high, digits)}{_verdict(sign * low, sign * high)}")
    people = document["protocol"]["test_users"]
    seeds = len(document["protocol"]["seeds"])
    whom = {"new-items": "items never rated", "cold-system": "people"}.get(
        document["protocol"]["name"], "people never seen"
    )
    runs = f"{seeds} {'seed' if seeds == 1 else 'seeds'}"
    return f"95 % intervals: {'; '.join(parts)}. {document['dataset']['name']}, {people:,} {whom} a seed, {runs}."


def judged(document: Mapping[str, Any]) -> str:
    """What an evaluation comes to: how many of Palate's list people turned out to take up, beside the best rival's.

    Args:
        document: As :func:`palate.evaluation.evaluate.evaluate` gives it.
    """
    k, group = document["k"], document["with_history"] or document["without_history"]
    what, models = things(str(document["dataset"])), group["models"]

    def hits(name: str) -> str:
        return f"{k * models[name]['metrics'][f'precision@{k}']['mean']:.2f}"

    ours = "palate" if "palate" in models else group["best"]
    on = f"{hits(ours)} of the {in_letters(k)} {what} on {_named(ours)} list"
    said = f"{on} turned out to be ones that the person took up"
    best = best_other(group, k, ours)
    if best is not None:
        said += f"; of the best other model's, {best}, {hits(best)}"
    if "popularity" in models and ours != "popularity":
        said += f"; of the {in_letters(k)} most popular, {hits('popularity')}"
    return f"{said}."


def best_other(group: Mapping[str, Any], k: int, ours: str) -> str | None:
    """The best of the models that are neither ours nor popular items, by NDCG; None where there is none."""
    others = [name for name in group["models"] if name not in (ours, "popularity")]
    return max(others, key=lambda name: group["models"][name]["metrics"][f"ndcg@{k}"]["mean"], default=None)


def _level(document: Mapping[str, Any], strategy: str, metric: str, stage: int) -> float:
    return float(document["strategies"][strategy][metric]["mean"][stage])


def _called(strategy: str) -> str:
    return "Palate" if strategy == DEFAULT else strategy


def _named(model: str) -> str:
    return "Palate's" if model == "palate" else f"{model}'s"


def _band(low: float, mean: float, high: float, digits: int) -> str:
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})".replace("-", "−")


def _verdict(low: float, high: float) -> str:
    """In words, of a difference that is better above 0."""
    if min(low, high) > 0:
        return ""
    return ", worse" if max(low, high) < 0 else ", which chance can explain"
