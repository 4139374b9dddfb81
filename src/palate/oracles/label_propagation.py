"""Labels that spread over the content graph: what resembles a liked item is liked.

Items are nodes, joined to the k items of most similar content. Each class spreads from its labelled nodes along the
edges, by ``F = α S F + (1 - α) Y`` with S the normalised adjacency, until it rests.

Reference:
    Zhou, Bousquet, Lal, Weston, Schölkopf, Learning with local and global consistency, NIPS 2003
    (scikit-learn's ``LabelSpreading``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import DataError, MissingExtra, OptionError
from palate.oracles.calibration import Isotonic
from palate.oracles.pseudo_labels import Prediction, held_out

IntArray = NDArray[np.intp]
NEIGHBOURS = 10
ALPHA = 0.9  # how far labels reach
_ITERATIONS = 1000  # α to this power is far below the tolerance of scikit-learn, so it never stops early
_TINY = 1e-12


def content_graph(content: npt.ArrayLike, *, k: int = NEIGHBOURS) -> sparse.csr_matrix:
    """The graph of the k nearest by cosine, joined where either names the other; memory O(I k).

    Args:
        content: Encodings, (I, E); an item without content (zeros) has no neighbour.
    Returns:
        Symmetric 0 and 1 without a diagonal, (I, I).
    Raises:
        DataError: If the content is not a finite table of two items or more.
    """
    vectors = np.asarray(content, dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) < 2 or not np.isfinite(vectors).all():
        raise DataError(f"content of shape {vectors.shape} makes no graph. Give finite encodings of two items or more.")
    if k < 1:
        raise OptionError(f"k is {k}. Join each item to at least 1 other.")
    neighbours = _scikit_learn("sklearn.neighbors")
    known = np.flatnonzero(np.abs(vectors).sum(1) > 0)
    graph = sparse.csr_matrix((len(vectors), len(vectors)))
    if len(known) < 2:
        return graph
    near = neighbours.kneighbors_graph(vectors[known], min(k, len(known) - 1), metric="cosine").tocoo()
    graph = sparse.csr_matrix((near.data, (known[near.row], known[near.col])), shape=graph.shape)
    return graph.maximum(graph.T).tocsr()


def spread(
    graph: sparse.csr_matrix, rows: IntArray, classes: IntArray, *, n_classes: int, alpha: float = ALPHA
) -> Array:
    """Class shares at every node, (I, C); rows add up to 1, or are zeros where no label arrives.

    Args:
        graph: From :func:`content_graph`.
        rows: Labelled nodes, (n,).
        classes: Their classes, from 0, (n,).
        alpha: In (0, 1): what a node takes from its neighbours, not from its own label.
    """
    if len(rows) == 0:
        return np.zeros((graph.shape[0], n_classes))
    spreading = _scikit_learn("sklearn.semi_supervised").LabelSpreading
    labels = np.full(graph.shape[0], -1)
    labels[rows] = classes
    nodes = np.arange(graph.shape[0])[:, None]  # the graph is the kernel, so that it is made once for all users
    fitted = spreading(kernel=lambda *_: graph, alpha=alpha, max_iter=_ITERATIONS).fit(nodes, labels)
    shares = np.zeros((graph.shape[0], n_classes))
    shares[:, fitted.classes_] = fitted.label_distributions_
    return shares


@dataclass(frozen=True, slots=True, eq=False)
class Propagation:
    """A view of content alone: one user's answers spread over the graph, as above or below what everybody says.

    What arrives at an item is its lean, in [-1, 1]: the share that comes from answers above their item's level, less
    the rest. An answer is expected at ``level + slope · lean``, with variance ``width · variance - narrowing · lean²``.

    Attributes:
        graph: Of the items.
        level: What everybody answers, on average, (I,); for likes the share who like it.
        variance: Of everybody's answers, (I,).
        slope, width, narrowing: How far the graph is to be trusted, from :meth:`fit`.
        likes: For answers of 0 and 1, how probable a like is; None for ratings.
        name: Of the view.
    """

    graph: sparse.csr_matrix
    level: Array
    variance: Array
    slope: float = 0.0
    width: float = 1.0
    narrowing: float = 0.0
    likes: Isotonic | None = None
    name: str = "propagation"

    @classmethod
    def fit(
        cls,
        graph: sparse.csr_matrix,
        level: Array,
        variance: Array,
        answers: sparse.csr_matrix,
        *,
        given: int = 5,
        rng: np.random.Generator,
    ) -> Propagation:
        """Least squares of what users said of an item on what arrives there from their other answers.

        Args:
            answers: Of users, (U, I); of each, ``given`` drawn at random spread to the others.
        Raises:
            DataError: If no user has more than ``given`` answers.
        """
        view = cls(graph, level, variance)
        parts = [
            (view.lean(items, values)[left], level[left], variance[left], truth)
            for items, values, left, truth in held_out(answers, given, rng)
        ]
        lean, base, spread_of, truth = (np.concatenate(part) for part in zip(*parts, strict=True))
        slope = max(0.0, float(lean @ (truth - base)) / max(float(lean @ lean), _TINY))
        if np.isin(answers.data, (0.0, 1.0)).all():
            return replace(view, slope=slope, likes=Isotonic.fit(base + slope * lean, truth))
        squares = (truth - base - slope * lean) ** 2
        width, narrowing = np.linalg.lstsq(np.stack([spread_of, -(lean**2)], 1), squares, rcond=None)[0]
        return replace(view, slope=slope, width=float(width), narrowing=max(0.0, float(narrowing)))

    def lean(self, items: IntArray, answers: Array) -> Array:
        """What arrives at every item from these answers, (I,); 0 where nothing does."""
        above = (answers > self.level[items]).astype(np.intp)
        shares = spread(self.graph, items, above, n_classes=2)
        return np.asarray(shares[:, 1] - shares[:, 0])

    def probability(self, items: IntArray, answers: Array) -> Array:
        """Calibrated probability of a like, (I,).

        Raises:
            OptionError: If the answers are ratings.
        """
        if self.likes is None:
            raise OptionError("the answers are ratings, of which there is no probability of a like. Predict values.")
        return self.likes(self.level + self.slope * self.lean(items, answers))

    def predict(self, items: IntArray, answers: Array) -> Prediction:
        """Ratings: as sure as the interval is narrow. Likes: the likelier answer. Nothing where no label arrives."""
        lean = self.lean(items, answers)
        if self.likes is not None:
            chance = self.likes(self.level + self.slope * lean)
            values, certainty = (chance >= 0.5).astype(np.float64), np.abs(chance - 0.5)
        else:
            values = self.level + self.slope * lean
            certainty = -np.sqrt(np.maximum(self.width * self.variance - self.narrowing * lean**2, _TINY))
        return Prediction(values, np.where(lean == 0.0, -np.inf, certainty))


def _scikit_learn(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra("scikit-learn", "semi", "label propagation") from error
