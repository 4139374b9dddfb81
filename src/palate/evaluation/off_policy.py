"""What another policy would have earned, from lists that were shown with known probabilities.

A row is a list of up to K places; place l of it earned ``r_l`` (a click: 1). With π what showed it and μ the other

    w_l = Π_{m ≤ l} μ(a_m | x, a_<m) / π(a_m | x, a_<m)        the weight of the list down to place l
    IPS    = Σ_l mean(w_l r_l)
    SNIPS  = Σ_l mean(w_l r_l) / mean(w_l)
    DR     = Σ_l mean(w_l (r_l − q_l(a_l)) + w_{l−1} E_μ[q_l(a) | x, a_<l])

where q is any guess of what an item earns at a place, made without the row itself. With one place these are the
estimators of single actions. IPS and DR are unbiased where π shows with some probability all that μ may show and what
stands below a place does not change what it earns; SNIPS is so in the limit.

References:
    Horvitz, Thompson, A generalization of sampling without replacement from a finite universe, JASA 47, 1952 (IPS).
    Swaminathan, Joachims, The self-normalized estimator for counterfactual learning, NeurIPS 2015 (SNIPS).
    Dudík, Erhan, Langford, Li, Doubly robust policy evaluation and optimization, Statistical Science 29(4), 2014.
    McInerney et al., Counterfactual evaluation of slate recommendations with sequential reward interactions, KDD 2020.
    Kiyohara et al., Doubly robust off-policy evaluation for ranking policies under the cascade model, WSDM 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palate.errors import DataError, OptionError
from palate.evaluation.intervals import FloatArray, Interval, ratio_interval

ESTIMATORS = ("ips", "snips", "dr")


@dataclass(frozen=True)
class Logged:
    """Lists that were shown, (n, K) each; (n,) where one thing at a time was shown. Places beyond a list are NaN.

    Attributes:
        rewards: What each place earned.
        propensities: π: the probability with which each place was filled so, given those above it; above 0.
        targets: The same under the other policy.
        expected: q: what was expected of each place, guessed without its row; None: no doubly robust estimate.
        expected_target: What is expected of the place under the other policy, given those above it.
        users: To whom each was shown, (n,): lists of one user are drawn together by the bootstrap. None: all different.
    """

    rewards: npt.ArrayLike
    propensities: npt.ArrayLike
    targets: npt.ArrayLike
    expected: npt.ArrayLike | None = None
    expected_target: npt.ArrayLike | None = None
    users: Sequence[str] | npt.NDArray[np.generic] | None = None


@dataclass(frozen=True)
class Estimates:
    """What another policy would have earned a list, by estimator, with 95 % intervals over users.

    Attributes:
        shown: What the lists that were shown earned.
        values: By the name of the estimator (:data:`ESTIMATORS`).
        lists: How many.
        effective: As how many lists of the other policy they count: ``(Σ w)² / Σ w²`` of the weights at the last place.
            Where it is a few tens or less no estimate says much, whatever its interval.
    """

    shown: Interval
    values: dict[str, Interval]
    lists: int
    effective: float


def estimate(logged: Logged, *, rng: np.random.Generator) -> Estimates:
    """Estimates from lists that were shown.

    Args:
        rng: Draws of the bootstrap.
    Raises:
        DataError: If there is no list, shapes differ, or a probability is none.

    Example:
        >>> always_first = Logged(rewards=[1, 0, 0, 1], propensities=[0.5] * 4, targets=[1, 0, 1, 0])
        >>> estimate(always_first, rng=np.random.default_rng(0)).values["ips"].mean.item()
        0.5
    """
    rewards, propensities, targets = (
        _places(value, name)
        for value, name in (
            (logged.rewards, "rewards"),
            (logged.propensities, "propensities"),
            (logged.targets, "targets"),
        )
    )
    _check(rewards, propensities, targets)
    there = np.isfinite(rewards)
    rewards, ratios = (
        np.where(there, rewards, 0.0),
        np.divide(targets, propensities, out=np.ones_like(rewards), where=there),
    )
    weights = ratios.cumprod(axis=1)
    parts = {"shown": (rewards, np.ones_like(weights)), "ips": (weights * rewards, np.ones_like(weights))}
    parts["snips"] = (weights * rewards, weights)
    if logged.expected is not None and logged.expected_target is not None:
        guess, guesses = _places(logged.expected, "expected"), _places(logged.expected_target, "expected_target")
        _check_shape(rewards, guess, guesses)
        above = np.concatenate([np.ones((len(weights), 1)), weights[:, :-1]], axis=1)
        robust = np.where(there, weights * (rewards - guess) + above * guesses, 0.0)
        parts["dr"] = (robust, np.ones_like(weights))
    users = np.arange(len(rewards)) if logged.users is None else np.unique(logged.users, return_inverse=True)[1]
    if len(users) != len(rewards):
        raise DataError(f"there are {len(users)} users of {len(rewards)} lists. Give one a list.")
    seed = int(rng.integers(2**63))  # the same users are drawn for all
    found = {
        name: ratio_interval([_by_user(table, users) for table in both], _over_places, rng=np.random.default_rng(seed))
        for name, both in parts.items()
    }
    last = weights[:, -1]
    effective = float(last.sum() ** 2 / (last**2).sum()) if last.any() else 0.0
    return Estimates(found.pop("shown"), found, len(rewards), effective)


def _over_places(values: FloatArray, scale: FloatArray) -> FloatArray:
    """The sum over places of ``Σ values / Σ scale``; a place of no weight earned nothing."""
    return np.asarray(np.divide(values, scale, out=np.zeros_like(values), where=scale > 0).sum(-1))


def _by_user(table: FloatArray, users: npt.NDArray[np.intp]) -> FloatArray:
    total = np.zeros((int(users.max()) + 1, table.shape[1]))
    np.add.at(total, users, table)
    return total


def _places(value: npt.ArrayLike, name: str) -> FloatArray:
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"{name} are no numbers. Give an array of shape (n,) or (n, K).") from None
    if found.ndim not in (1, 2) or not found.size:
        raise DataError(f"{name} have the shape {found.shape}. Give (n,) or (n, K), at least one list.")
    return found[:, None] if found.ndim == 1 else found


def _check(rewards: FloatArray, propensities: FloatArray, targets: FloatArray) -> None:
    _check_shape(rewards, propensities, targets)
    there = np.isfinite(rewards)
    for name, chances, least in (("propensity", propensities, 0.0), ("target", targets, -1e-300)):
        wrong = there & ~((chances > least) & (chances <= 1.0 + 1e-9))
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(1))[0])
            bad = float(chances[row][wrong[row]][0])
            raise DataError(f"the {name} of list {row} is {bad:g}. Give a probability; of what was shown above 0.")


def _check_shape(*tables: FloatArray) -> None:
    shapes = {table.shape for table in tables}
    if len(shapes) > 1:
        raise DataError(f"the arrays have the shapes {', '.join(map(str, sorted(shapes)))}. Give one shape to all.")
