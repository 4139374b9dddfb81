"""Views that must agree before a prediction counts: two encodings of the same text, or two models.

References:
    Blum, Mitchell, Combining labeled and unlabeled data with co-training, COLT 1998; Sohn et al., FixMatch: simplifying
    semi-supervised learning with consistency and confidence, NeurIPS 2020 (one prediction above a threshold, kept if
    another view can be held to it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import OptionError
from palate.oracles.pseudo_labels import Prediction, View

IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A view made of two: it says what both say, and is as sure as the less sure of them.

    The certainties must be of one kind: two :class:`Propagation`, or two :class:`Believed`.

    Attributes:
        tolerance: How far apart two predictions may be, in units of the answers; 0 for likes.
    """

    first: View
    second: View
    tolerance: float
    name: str = "consistency"

    def __post_init__(self) -> None:
        if not self.tolerance >= 0.0:
            raise OptionError(f"the tolerance is {self.tolerance!r}. Give a distance between answers of 0 or more.")

    def predict(self, items: IntArray, answers: Array) -> Prediction:
        """The mean of both predictions; nothing where they differ by more than the tolerance."""
        one, other = self.first.predict(items, answers), self.second.predict(items, answers)
        agree = np.abs(one.values - other.values) <= self.tolerance
        certainty = np.where(agree, np.minimum(one.certainty, other.certainty), -np.inf)
        return Prediction((one.values + other.values) / 2.0, certainty)


def agreed(first: Array, second: Array) -> tuple[IntArray, Array]:
    """Classes and certainties, (N,) each, of two tables of class probabilities, (N, C); -inf where they differ."""
    if first.shape != second.shape or first.ndim != 2:
        raise OptionError(f"shapes {first.shape} and {second.shape}: give both views' probabilities, a row each text.")
    certainty = np.minimum(first.max(1), second.max(1))
    same = first.argmax(1) == second.argmax(1)
    return first.argmax(1), np.where(same, certainty, -np.inf)


def half_texts(texts: Sequence[str], *, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Two views of each text that share no word's place: each word goes to one of them, by a fair draw.

    The closest that one text comes to the two independent views of Blum and Mitchell. A text of one word is in both.
    """
    pairs = [_halves(text.split(), rng) for text in texts]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _halves(words: list[str], rng: np.random.Generator) -> tuple[str, str]:
    if len(words) < 2:
        return " ".join(words), " ".join(words)
    first = rng.permutation(len(words)) < len(words) // 2  # as many in each, so that neither is empty
    chosen = [[word for word, here in zip(words, first, strict=True) if here == side] for side in (True, False)]
    return " ".join(chosen[0]), " ".join(chosen[1])
