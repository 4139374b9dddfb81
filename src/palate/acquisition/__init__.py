"""What to ask: a belief and candidates in, a score per candidate out; :func:`select` turns scores into questions."""

from palate.acquisition.candidates import Candidates
from palate.acquisition.draw import best
from palate.acquisition.registry import ABOUT_ITEM, DEFAULT, STRATEGIES, Strategy, get_strategy
from palate.acquisition.select import Choice, select, values
from palate.posteriors.population import Given, Population

__all__ = [
    "ABOUT_ITEM",
    "DEFAULT",
    "STRATEGIES",
    "Candidates",
    "Choice",
    "Given",
    "Population",
    "Strategy",
    "best",
    "get_strategy",
    "select",
    "values",
]
