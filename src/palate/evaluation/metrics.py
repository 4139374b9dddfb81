"""What good means: errors of predicted ratings, of lists, and of stated certainty.

List metrics take the scores of all items for each user, shape (B, I), and the positives as a (B, I) matrix. Items with
equal scores stand in no order: every metric is its expectation over all of theirs, in closed form. Lists that are given
as items, shape (B, k), have ``NO_ITEM`` (-1) where one is shorter than k. All are vectorised over users and give one
number a user, NaN for a user without positives: leave these users out of a mean
(:func:`palate.evaluation.intervals.bootstrap_mean` does).

References:
    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002 (NDCG).
    Herlocker, Konstan, Terveen, Riedl, Evaluating collaborative filtering recommender systems, ACM TOIS 22(1), 2004.
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017 (expected calibration error).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import gammaln
from scipy.stats import norm

from palate.errors import OptionError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NO_ITEM = -1
CALIBRATION_BINS = 15  # as in Guo et al. 2017

# --- ratings --------------------------------------------------------------------------------------


def rmse(predicted: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """Root mean squared error, in units of the rating."""
    predicted, observed = _same_length(predicted, observed)
    return float(np.sqrt(np.mean((predicted - observed) ** 2)))


def mae(predicted: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """Mean absolute error, in units of the rating."""
    predicted, observed = _same_length(predicted, observed)
    return float(np.mean(np.abs(predicted - observed)))


def will_like(predicted: npt.ArrayLike, observed: npt.ArrayLike, *, threshold: float) -> dict[str, float]:
    """Accuracy, precision, recall and F1 of "will like": a rating at or above the threshold.

    Args:
        predicted, observed: Ratings, shape (N,).
        threshold: The least rating that counts as liking.
    Returns:
        ``accuracy``, ``precision``, ``recall``, ``f1``, each in [0, 1]; a share of nothing is 0, as in scikit-learn.
    """
    predicted, observed = _same_length(predicted, observed)
    said, is_so = predicted >= threshold, observed >= threshold
    right = float(np.sum(said & is_so))
    return {
        "accuracy": float(np.mean(said == is_so)),
        "precision": right / max(float(said.sum()), 1.0),
        "recall": right / max(float(is_so.sum()), 1.0),
        "f1": 2.0 * right / max(float(said.sum() + is_so.sum()), 1.0),
    }


# --- stated certainty -----------------------------------------------------------------------------


def expected_calibration_error(probability: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Mean distance between stated probability and observed share, over 15 bins of equal width weighted by size.

    Args:
        probability: Stated probabilities of the event, shape (N,), in [0, 1].
        happened: Whether it did, 0 or 1, shape (N,).
    Raises:
        OptionError: If a probability lies outside [0, 1].
    """
    probability, happened = _same_length(probability, happened)
    if not np.all((probability >= 0.0) & (probability <= 1.0)):
        worst = probability[~((probability >= 0.0) & (probability <= 1.0))][0]
        raise OptionError(f"a stated probability is {worst:g}. Probabilities lie between 0 and 1.")
    bins = np.minimum((probability * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=probability - happened, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / probability.size)


def interval_coverage(
    mean: npt.ArrayLike, std: npt.ArrayLike, observed: npt.ArrayLike, *, level: float = 0.95
) -> float:
    """Share of observed ratings inside the central Gaussian intervals; close to ``level`` if these are honest."""
    mean, observed = _same_length(mean, observed)
    return float(np.mean(np.abs(observed - mean) <= _half_width(std, level)))


def mean_interval_width(std: npt.ArrayLike, *, level: float = 0.95) -> float:
    """Mean width of the central intervals, in units of the rating: of two honest predictions the narrower is better."""
    return float(np.mean(2.0 * _half_width(std, level)))


def gaussian_negative_log_likelihood(mean: npt.ArrayLike, std: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """Mean of -log N(observed; mean, std²), in nats."""
    mean, observed = _same_length(mean, observed)
    return float(-np.mean(norm.logpdf(observed, loc=mean, scale=np.asarray(std, dtype=np.float64))))


# --- lists ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Places:
    """The first k places of lists in which items of equal score stand in a random order, each (B, k).

    Attributes:
        tied: How many items share the score of this place, those beyond the k-th included; 1: none but its own.
        hits: How many positives are among them.
        within: How many places of the list before this one have the same score.
        above: How many positives have a higher score.
    """

    tied: FloatArray
    hits: FloatArray
    within: FloatArray
    above: FloatArray

    @property
    def chance(self) -> FloatArray:
        """That a positive stands here: the expected hit."""
        return self.hits / self.tied


def top_k(scores: npt.ArrayLike, seen: sparse.csr_array | None, k: int) -> IntArray:
    """The k best items of each user, best first; equal scores in item order.

    Args:
        scores: Shape (B, I); -inf marks an item that may not be shown.
        seen: Items to leave out (any stored entry but 0), shape (B, I); ``None``: none.
        k: Length of the lists.
    Returns:
        Item positions, shape (B, k); ``NO_ITEM`` after the end of a list that has fewer than k items.
    Raises:
        OptionError: If a score is NaN or k is below 1.
    """
    return _sorted(_masked(scores, seen, k), k)[0]


def places(
    scores: npt.ArrayLike, relevant: sparse.csr_array | BoolArray, k: int, *, seen: sparse.csr_array | None = None
) -> tuple[IntArray, Places]:
    """The lists of :func:`top_k`, and what is expected at each place over all orders of items with equal scores.

    Args:
        scores, seen, k: As of :func:`top_k`.
        relevant: Positives, shape (B, I): any stored entry but 0.
    """
    scores = _masked(scores, seen, k)
    ranked, best = _sorted(scores, k)
    shown = ranked != NO_ITEM
    edge = np.where(shown, best, np.inf).min(axis=1, initial=np.inf)
    if isinstance(relevant, np.ndarray):
        hit = np.take_along_axis(relevant, np.maximum(ranked, 0), 1) & shown
        at_edge = (relevant & (scores == edge[:, None])).sum(1)
    else:
        hit = gains_at(ranked, relevant) != 0
        rows, columns = relevant.nonzero()
        at_edge = np.bincount(rows[scores[rows, columns] == edge[rows]], minlength=len(scores))
    begins = np.ones(best.shape, dtype=bool)
    begins[:, 1:] = (best[:, 1:] != best[:, :-1]) | ~shown[:, 1:]
    group = np.cumsum(begins, axis=1) - 1 + k * np.arange(len(best))[:, None]  # numbered over all users

    def by_group(values: npt.NDArray[np.bool_]) -> FloatArray:
        return np.bincount(group.ravel(), values.ravel(), minlength=k * len(best))[group].astype(np.float64)

    tied, hits = by_group(np.ones_like(shown)), by_group(hit)
    last = shown & (best == edge[:, None])
    tied = np.where(last, (scores == edge[:, None]).sum(1)[:, None], tied)
    hits = np.where(last, at_edge[:, None], hits)
    place = np.arange(k) * np.ones_like(group)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    before = np.cumsum(hit, axis=1) - hit
    above = np.take_along_axis(before, first, 1).astype(np.float64)
    return ranked, Places(tied, hits, (place - first).astype(np.float64), above)


def list_metrics(ranked: IntArray, relevant: sparse.csr_array) -> dict[str, FloatArray]:
    """Every list metric of lists in one certain order, per user.

    Args:
        ranked: Item positions, shape (B, k), from :func:`top_k`.
        relevant: Positives, shape (B, I): any stored entry but 0.
    Returns:
        As :func:`expected_metrics`.
    """
    hits = (gains_at(ranked, relevant) != 0).astype(np.float64)
    alone = Places(np.ones_like(hits), hits, np.zeros_like(hits), np.cumsum(hits, axis=1) - hits)
    return expected_metrics(alone, np.diff(_clean(relevant).indptr))


def expected_metrics(found: Places, positives: npt.ArrayLike) -> dict[str, FloatArray]:
    """Every list metric with binary relevance, per user: its expectation over all orders of items with equal scores.

    With h_r = 1 where rank r holds one of the user's n positives:

    - ``ndcg``: Σ h_r / log2(r + 1), divided by its largest value, Σ_{r <= min(k, n)} 1 / log2(r + 1);
    - ``precision``: Σ h_r / k, also where the list is shorter; ``recall``: Σ h_r / n; ``f1``: their harmonic mean;
    - ``hit_rate``: 1 if any h_r is 1; ``mrr``: 1 / (first r with h_r = 1), 0 if none;
    - ``map``: Σ_r h_r · precision@r / min(k, n).

    Of m tied items with h positives each place expects h / m; two places together hold two with chance
    h (h - 1) / (m (m - 1)); the first positive is the j-th of them with chance C(m - j, h - 1) / C(m, h).

    Args:
        found: The places of the lists, (B, k) each.
        positives: n, shape (B,).
    Returns:
        For each name an array (B,), each value in [0, 1], NaN for users without positives.

    References:
        McSherry and Najork, Computing information retrieval performance measures efficiently in the presence of tied
        scores, ECIR 2008.
    """
    positives, chance, k = np.asarray(positives), found.chance, found.tied.shape[1]
    n = np.maximum(positives, 1)  # users without positives are blanked below
    hits, ranks = chance.sum(axis=1), np.arange(1, k + 1)
    alike = np.divide(found.hits - 1.0, found.tied - 1.0, out=np.zeros_like(chance), where=found.tied > 1.0)
    first = np.where(found.above == 0.0, _first_chance(found), 0.0)
    metrics = {
        "ndcg": chance @ _discounts(k) / np.cumsum(_discounts(k))[np.minimum(n, k) - 1],
        "precision": hits / k,
        "recall": hits / n,
        "f1": 2.0 * hits / (k + n),
        "hit_rate": np.minimum(first.sum(axis=1), 1.0),
        "mrr": (first / ranks).sum(axis=1),
        "map": (chance * (found.above + 1.0 + found.within * alike) / ranks).sum(axis=1) / np.minimum(n, k),
    }
    return {name: np.where(positives > 0, values, np.nan) for name, values in metrics.items()}


def _first_chance(found: Places) -> FloatArray:
    """That the first positive of the items with equal scores stands at this place, (B, k)."""
    after = found.tied - found.within - 1.0
    possible = (found.hits > 0.0) & (after >= found.hits - 1.0)
    after, hits = np.where(possible, after, 0.0), np.where(possible, found.hits, 1.0)
    return np.where(possible, np.exp(_log_choose(after, hits - 1.0) - _log_choose(found.tied, hits)), 0.0)


def _log_choose(n: FloatArray, k: FloatArray) -> FloatArray:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def graded_ndcg(scores: npt.ArrayLike, gains: npt.ArrayLike, rows: npt.ArrayLike, *, n_rows: int, k: int) -> FloatArray:
    """NDCG@k with gains (linear, as in scikit-learn's ``ndcg_score``) of lists of different lengths.

    Of equal scores each place expects the mean gain (``ignore_ties=False`` there).

    Args:
        scores: Of each entry, shape (N,).
        gains: Of each entry, at least 0, shape (N,).
        rows: Which list an entry belongs to, below ``n_rows``, shape (N,).
    Returns:
        Shape (n_rows,), in [0, 1]; NaN for a list without a gain above 0.
    Raises:
        OptionError: If a gain is negative.
    """
    scores, gains, rows = np.asarray(scores), np.asarray(gains, dtype=np.float64), np.asarray(rows)
    if gains.size and gains.min() < 0:
        raise OptionError(f"a gain is {gains.min():g}. Gains are at least 0: shift the ratings first.")

    def discounted(by: npt.NDArray[np.float64]) -> FloatArray:
        order = np.lexsort((-by, rows))
        row, value, gain = rows[order], by[order], gains[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        begins = np.ones(len(row), dtype=bool)
        begins[1:] = (row[1:] != row[:-1]) | (value[1:] != value[:-1])
        group = np.cumsum(begins) - 1
        mean = (np.bincount(group, gain) / np.bincount(group))[group] if len(row) else gain
        shown = np.where(rank < k, mean / np.log2(rank + 2.0), 0.0)
        return np.bincount(row, shown, minlength=n_rows).astype(np.float64)

    ideal = discounted(gains)
    return discounted(scores) / np.where(ideal > 0, ideal, np.nan)


def catalogue_coverage(ranked: IntArray, n_items: int) -> float:
    """Share of the catalogue that appears in at least one list."""
    return float(np.unique(ranked[ranked != NO_ITEM]).size / n_items)


def gains_at(ranked: IntArray, relevant: sparse.csr_array) -> FloatArray:
    """The stored value of each ranked item, 0 where nothing is stored; shape (B, k)."""
    relevant = _clean(relevant)
    if not relevant.nnz:
        return np.zeros(ranked.shape)
    n_items = relevant.shape[1]
    stored = _rows(relevant) * n_items + relevant.indices  # ascending, so positions are found by bisection
    wanted = np.arange(ranked.shape[0], dtype=np.int64)[:, None] * n_items + ranked
    at = np.minimum(np.searchsorted(stored, wanted), stored.size - 1)
    return np.where((stored[at] == wanted) & (ranked != NO_ITEM), relevant.data[at], 0.0)


# --- parts ----------------------------------------------------------------------------------------


def _masked(scores: npt.ArrayLike, seen: sparse.csr_array | None, k: int) -> FloatArray:
    """A copy, -inf for what was seen."""
    if k < 1:
        raise OptionError(f"k is {k}. Ask for lists of at least 1 item.")
    masked = np.array(scores, dtype=np.float64)  # a copy: the caller's scores stay as they are
    if np.isnan(masked).any():
        raise OptionError(f"{np.isnan(masked).sum()} of {masked.size} scores are NaN. A score is a number or -inf.")
    if seen is not None:
        masked[seen.nonzero()] = -np.inf
    return masked


def _sorted(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k best of each row, best first, equal ones in item order, and their scores, (B, k) each."""
    chosen = _chosen(scores, min(k, scores.shape[1]))
    best = np.take_along_axis(scores, chosen, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    ranked, best = np.take_along_axis(chosen, order, axis=1), np.take_along_axis(best, order, axis=1)
    ranked[best == -np.inf] = NO_ITEM
    rest = ((0, 0), (0, k - ranked.shape[1]))
    return np.pad(ranked, rest, constant_values=NO_ITEM), np.pad(best, rest, constant_values=-np.inf)


def _chosen(scores: FloatArray, k: int) -> IntArray:
    """The columns of the k best scores of each row, ascending; of equal scores at the edge the first ones."""
    edge = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, level = scores > edge, scores == edge
    missing = k - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= missing))
    return np.nonzero(chosen)[1].reshape(len(scores), k)


def _clean(matrix: sparse.csr_array) -> sparse.csr_array:
    """The same matrix with ascending columns and without stored zeros."""
    if matrix.has_canonical_format and matrix.data.all():
        return matrix
    matrix = matrix.copy()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _rows(matrix: sparse.csr_array) -> IntArray:
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))


def _discounts(k: int) -> FloatArray:
    return 1.0 / np.log2(np.arange(2, k + 2))


def _half_width(std: npt.ArrayLike, level: float) -> FloatArray:
    if not 0.0 < level < 1.0:
        raise OptionError(f"the level of an interval is {level!r}. Give a share between 0 and 1, such as 0.95.")
    width: FloatArray = norm.ppf(0.5 + level / 2.0) * np.asarray(std, dtype=np.float64)
    return width


def _same_length(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or not first.size:
        raise OptionError(f"shapes {first.shape} and {second.shape} do not match. Give as many of each, at least one.")
    return first, second
