"""Palate learns what each person likes by asking the right questions.

The public names load on first use (PEP 562), so that ``import palate`` costs nothing that is not asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from palate._version import __version__

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.entities import Answer, AnswerKind, Item, Question
    from palate.errors import PalateError
    from palate.learner import Learner
    from palate.loop.lists import Recommendation
    from palate.recommender.recommender import Recommender
    from palate.records import Attribute, Event, Record, events, rate, recall, slate

__all__ = [
    "Answer",
    "AnswerKind",
    "Attribute",
    "Dataset",
    "Event",
    "Item",
    "Learner",
    "PalateError",
    "Question",
    "Recommendation",
    "Recommender",
    "Record",
    "__version__",
    "events",
    "rate",
    "recall",
    "slate",
]

_HOME = {
    "Answer": "palate.entities",
    "AnswerKind": "palate.entities",
    "Attribute": "palate.records",
    "Dataset": "palate.datasets.tables",
    "Event": "palate.records",
    "Item": "palate.entities",
    "Learner": "palate.learner",
    "PalateError": "palate.errors",
    "Question": "palate.entities",
    "Recommendation": "palate.loop.lists",
    "Recommender": "palate.recommender.recommender",
    "Record": "palate.records",
    "events": "palate.records",
    "rate": "palate.records",
    "recall": "palate.records",
    "slate": "palate.records",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next look-up finds it without asking
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
