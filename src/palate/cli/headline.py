"""The one sentence that a simulation comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFERENCES = frozenset({"random", "popularity", "answerable-random", "ceiling"})  # never what is proposed


def proposed(document: Mapping[str, Any], default: str) -> str:
    """The strategy to speak of: the default one if it played, else the first that is no reference."""
    names = [name for name in document["strategies"] if name not in REFERENCES]
    if default in names:
        return default
    return names[0] if names else "random"


def headline(document: Mapping[str, Any], strategy: str) -> str:
    """Questions that Palate needed, that questions about popular items and random ones needed, and for what.

    Args:
        document: As :func:`palate.evaluation.simulate.simulate` gives it.
        strategy: Of Palate.
    """
    budget, everyone = document["protocol"]["budget"], document["strategies"]
    rivals = {"questions about popular items": everyone["popularity"], "a random asker": everyone["random"]}
    about, ours = f"{document['dataset']['name']}, {_subjects(document['protocol'])}", everyone[strategy]
    metric = document["metric"]
    named, end = (
        ("an RMSE", "to predict held-out ratings with") if metric == "rmse" else ("an NDCG@10", "for lists with")
    )
    needed = [ours["labels_saved"]["questions"], *(one["labels_saved"]["questions"] for one in rivals.values())]
    if needed[0] is None or needed[-1] is None:
        reached = ", ".join(f"{name} {one[metric]['mean'][-1]:.3f}" for name, one in rivals.items())
        return f"{about}: after {budget} questions {strategy} has {named} of {ours[metric]['mean'][-1]:.3f}, {reached}."
    others = [
        f"{name} {'more than ' + str(budget) if asked is None else format(asked, '.1f')}"
        for name, asked in zip(rivals, needed[1:], strict=True)
    ]
    quality = everyone["random"][metric]["mean"][-1]
    return f"{about}: Palate needed {needed[0]:.1f} questions, {' and '.join(others)}, {end} {named} of {quality:.3f}."


def _subjects(protocol: Mapping[str, Any]) -> str:
    return {"new-users": "people never seen", "new-items": "items never rated"}.get(protocol["name"], "nobody known")
