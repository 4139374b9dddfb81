"""Attacks that ask who was in a fit, by how well the items suit what somebody is known to have rated, compared with
fits of other halves of the people, with and without that person: the shadow models.
"""

from __future__ import annotations

import numpy as np

from palate import Dataset
from palate.random import derive_rng


def random_half(users: list[str], name: str, number: int) -> set[str]:
    """A random half of the users."""
    return set(derive_rng(number, name).permutation(users)[: len(users) // 2].tolist())


def rated(data: Dataset) -> dict[str, tuple[list[str], np.ndarray]]:
    """Items and ratings of each user."""
    groups = data.interactions.group_by("user_id").agg("item_id", "rating")
    return {user: (items, np.array(ratings)) for user, items, ratings in groups.iter_rows()}


def ratios(evidence: np.ndarray, known: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Log likelihood ratio of "was in the fit", of each user: (U,), from (S, U) of the shadow models.

    LiRA (Carlini et al., *Membership inference attacks from first principles*, IEEE S&P 2022).
    """
    inside, outside = (np.where(of, losses, np.nan) for of in (known, ~known))
    means = np.nanmean(inside, 0), np.nanmean(outside, 0)
    spread = (np.nansum((inside - means[0]) ** 2, 0) + np.nansum((outside - means[1]) ** 2, 0)) / (len(losses) - 2)
    return ((evidence - means[1]) ** 2 - (evidence - means[0]) ** 2) / (2.0 * np.maximum(spread, 1e-12))


def shifts(evidence: np.ndarray, known: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """How far above the middle of "was in the fit" and "was not" each user lies: (U,). Of a few shadow models it needs
    two means alone.
    """
    inside, outside = (np.nanmean(np.where(of, losses, np.nan), 0) for of in (known, ~known))
    return evidence - (inside + outside) / 2.0


def auc(members: np.ndarray, strangers: np.ndarray) -> float:
    """Of scores: how often a member's is above a stranger's."""
    return float((members[:, None] > strangers).mean() + 0.5 * (members[:, None] == strangers).mean())
