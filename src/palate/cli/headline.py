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
    """Questions Palate needed, questions a random asker needed, quality reached.

    Args:
        document: As :func:`palate.evaluation.simulate.simulate` gives it.
        strategy: Of Palate.
    """
    budget, everyone = document["protocol"]["budget"], document["strategies"]
    random, ours = everyone["random"], everyone[strategy]
    about = f"{document['dataset']['name']}, {_subjects(document['protocol'])}"
    metric = document.get("metric", "rmse")
    named = "an RMSE" if metric == "rmse" else "an NDCG@10"
    quality, needed = random[metric]["mean"][-1], ours["labels_saved"]["questions"]
    if needed is None:
        reached = f"{strategy} has {named} of {ours[metric]['mean'][-1]:.3f}, a random asker {quality:.3f}"
        return f"{about}: after {budget} questions {reached}."
    asked = random["labels_saved"]["questions"]
    end = "to predict held-out ratings with" if metric == "rmse" else "for lists of what they chose later with"
    return (
        f"{about}: Palate needed {needed:.1f} questions and a random asker {asked:.1f} {end} {named} of {quality:.3f}."
    )


def _subjects(protocol: Mapping[str, Any]) -> str:
    return {"new-users": "people never seen", "new-items": "items never rated"}.get(protocol["name"], "nobody known")
