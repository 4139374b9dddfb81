r"""What a crowd says about an attribute of items: who is how often right, and what is true, learnt together.

Each voter has a confusion matrix, the chance of a vote given the truth, and each item a probability of each truth; one
gives the other (Dawid and Skene). A vote that comes, changes or goes is one step of incremental EM: the item's share is
taken out of what is counted, worked out anew from all its votes, and put back. That costs as much as the item has
votes. :meth:`Crowd.sweep` goes on until nothing moves, from the votes alone: what it comes to hangs on the votes that
stand now, and not on the order in which they came, or on those that were taken back.

- **One vote a family.** Those who share their errors, such as four prompts of one language model, would outvote
  people: the votes of a family are merged into one (their geometric mean) before they count.
- **Probabilities are tempered.** Errors are shared within an item, so the model is far too sure. Its probabilities are
  raised to a power, fitted on items whose truth is known; what is more likely stays more likely.
- **Numbers** have no confusion matrix: use :func:`mean_of`.

References:
    Dawid, Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm, Applied Statistics 28,
    1979; Neal, Hinton, A view of the EM algorithm that justifies incremental, sparse, and other variants, in Learning
    in graphical models, 1998; Houlsby et al., Bayesian active learning for classification and preference learning,
    2011 (the information of an answer).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palate.arrays import TINY, Array
from palate.errors import OptionError, UnknownItem
from palate.errors.checks import count, key_of, mapping, normalise_id, number, positive, several
from palate.oracles.crowd_kernels import NONE, Places
from palate.oracles.vote_slots import VoteSlots

LEAST_GOLD = 20  # items whose truth is known from which on the temperature is fitted
UNCALIBRATED = 0.5
MOST_OPTIONS = 1_000
_FLOOR = 0.01  # share of an option that one of a family named and another did not


@dataclass(frozen=True, slots=True)
class Temperature:
    """The power to which the model's probabilities are raised, and then scaled to a sum of 1.

    Attributes:
        value: From 0 (nothing is known) to 1 (as if no two voters shared an error).
        gold: Items with votes and a known truth on which it was fitted.
    """

    value: float = UNCALIBRATED
    gold: int = 0

    @property
    def is_calibrated(self) -> bool:
        """Whether there were enough of them; otherwise it is a guess."""
        return self.gold >= LEAST_GOLD


class Crowd:
    """Votes about one attribute, and what they come to. Not safe to share between threads.

    Args:
        options: That can be chosen, K.
        prior: Votes that everybody is taken to have given before: rightly, of each truth, and wrongly, over all other
            options.

    Example:
        >>> crowd = Crowd(2)
        >>> for item, votes in {"a": (1, 1, 0), "b": (0, 0, 0), "c": (1, 1, 1)}.items():
        ...     for worker, option in zip(("ann", "bob", "cem"), votes):
        ...         crowd.vote(item, worker, option)
        >>> crowd.labels(["a", "b", "c"]).tolist()
        [1, 0, 1]
    """

    def __init__(self, options: int, *, prior: tuple[float, float] = (4.0, 2.0)) -> None:
        self.options = count(options, "options", least=2, most=MOST_OPTIONS)
        right, wrong = (positive(one, "prior") for one in _pair(prior))
        before = np.full((self.options, self.options), wrong / (self.options - 1))
        np.fill_diagonal(before, right)
        self.temperature = Temperature()
        self._items: dict[str, int] = {}
        self._voters: dict[str, int] = {}  # families, and workers without one
        self._family: dict[tuple[int, str], int] = {}  # of whoever voted on an item as one of several
        self._members: dict[tuple[int, int], dict[str, Array]] = {}  # by item and family, what each of them said
        self._slots = VoteSlots(before)

    # ---- votes ----

    def vote(self, item: str, worker: str, option: int | npt.ArrayLike, *, family: str = "") -> None:
        """Count what a worker says of an item; it replaces what they said of it before.

        Args:
            option: Its place, or a share of each option, (K,), such as a language model's probabilities.
            family: Of those who share their errors, and have one vote together; empty: the worker alone.
        Raises:
            OptionError: If there is no such option, or the shares are no shares.
            IdError: If an id cannot be kept.
        """
        said, family = self._said(option), key_of(family, "family")
        worker = _name(worker, self._voters, "worker")
        item = _name(item, self._items, "item")
        place = self._items.setdefault(item, len(self._items))
        own, voter = self._voters.get(worker, NONE), self._voters.setdefault(family or worker, len(self._voters))
        self._slots.make_room(len(self._items), len(self._voters))
        before = self._family.get((place, worker), own)
        if before not in (NONE, voter):
            self._take(place, before, worker)
        group = self._members.get((place, voter))
        if group is None and family in ("", worker):
            self._slots.put(place, voter, said)
            return
        if group is None:
            alone = self._slots.said(place, voter)  # of a worker of the family's own name
            group = self._members[place, voter] = {} if alone is None else {family: self._shares(alone)}
        group[worker] = self._shares(said)
        self._family[place, worker] = voter
        self._slots.put(place, voter, _merged(group))

    def withdraw(self, item: str, worker: str) -> None:
        """Take back what a worker said of an item, as if they had never said it.

        Raises:
            UnknownItem: If nobody has voted on the item.
            OptionError: If this worker has not.
        """
        (place,) = self._places([item]).tolist()
        worker = _name(worker, self._voters, "worker")
        voter = self._family.get((place, worker), self._voters.get(worker, NONE))
        if not self._take(place, voter, worker):
            raise OptionError(f"{worker!r} has not voted on {item!r}. Give somebody who has.")

    def sweep(self, most: int = 1_000, tolerance: float = 1e-7) -> int:
        """Work all out from the votes as they stand, until no probability moves by more than ``tolerance``.

        Args:
            most: Sweeps over all items at most.
        Returns:
            How many it took.
        """
        most, tolerance = count(most, "most", least=1), number(tolerance, "tolerance", least=0.0)
        return self._slots.settle(_ranks(self._items), _ranks(self._voters), most, tolerance)

    # ---- what they come to ----

    @property
    def items(self) -> tuple[str, ...]:
        """Items with votes, in the order of their first votes."""
        voted, _ = self._slots.voted()
        return tuple(item for item, place in self._items.items() if place in voted)

    @property
    def workers(self) -> tuple[str, ...]:
        """Those who have a vote: families, and workers without one."""
        _, voting = self._slots.voted()
        return tuple(name for name, place in self._voters.items() if place in voting)

    @property
    def prior(self) -> Array:
        """How common each truth is thought to be, which an item's votes are added to, (K,)."""
        classes = self._slots.votes.classes
        return np.asarray(classes / classes.sum())

    def posterior(self, items: Iterable[str]) -> Array:
        """How likely each option is the truth, by the model alone, (n, K): right in order, and far too sure.

        Raises:
            UnknownItem: As of all of these, if an item has no votes.
        """
        return self._tempered(items, 1.0)

    def probabilities(self, items: Iterable[str]) -> Array:
        """How likely each option is the truth, at the temperature, (n, K): what is to be shown, stored or acted on."""
        return self._tempered(items, self.temperature.value)

    def labels(self, items: Iterable[str]) -> npt.NDArray[np.intp]:
        """The place of the most likely option, (n,)."""
        return np.asarray(self.posterior(items).argmax(1))

    def calibrate(self, gold: Mapping[str, int]) -> Temperature:
        """Fit the temperature on items whose truth is known; to fewer than 20 with votes it is one half.

        It is the most likely one, with a prior that rises from 0: votes that tell nothing are not worth asking for.

        Args:
            gold: The place of the true option. Draw them at random: on items that were chosen it misleads.
        Raises:
            OptionError: If there is no such option.
        """
        from scipy.optimize import minimize_scalar

        known = {
            self._place(item): count(option, "gold", most=self.options - 1)
            for item, option in mapping(gold, "gold", "a mapping from item to the place of its option").items()
        }
        voted = [place for place in known if self._slots.has_votes(place)]
        if len(voted) < LEAST_GOLD:
            self.temperature = Temperature(UNCALIBRATED, len(voted))
            return self.temperature
        logs, truth = self._slots.weighed(np.array(voted, dtype=np.int64)), np.array([known[place] for place in voted])

        def loss(value: float) -> float:
            right = value * logs[np.arange(len(truth)), truth]
            return float((np.logaddexp.reduce(value * logs, axis=1) - right).sum() - np.log(value))

        value = float(minimize_scalar(loss, bounds=(TINY, 1.0), method="bounded", options={"xatol": 1e-4}).x)
        self.temperature = Temperature(value, len(voted))
        return self.temperature

    def information(self, worker: str | None, items: Iterable[str], *, family: str = "") -> Array:
        """What a worker's vote is expected to tell about the truth of each item, in nats, (n,).

        It is the mutual information of the truth and the vote, at temperature 1. What the worker or another of the
        family has voted on is worth 0. An item without votes may be asked about.

        Args:
            worker: None, or one who has not voted: somebody of whom nothing is known.
        """
        of = key_of(family, "family") or (None if worker is None else _name(worker, self._voters, "worker"))
        voter = NONE if of is None else self._voters.get(of, NONE)
        return self._slots.information(self._wherever(items), voter)

    def entropy(self, items: Iterable[str]) -> Array:
        """How open the truth of each item is, in nats, (n,), at temperature 1; of one without votes too."""
        shares = self._slots.shares(self._wherever(items))
        return np.asarray(-(shares * np.log(np.maximum(shares, TINY))).sum(1))

    def confusion(self, worker: str) -> Array:
        """Probability of each vote of a worker, or of a family, given the truth, which the rows are, (K, K).

        Raises:
            OptionError: If nobody of this name has voted.
        """
        voter = self._voters.get(_name(worker, self._voters, "worker"), NONE)
        if voter == NONE:
            raise OptionError(f"{worker!r} has not voted. Give one of the workers.")
        return self._slots.confusion(voter)

    # ---- inside ----

    def _tempered(self, items: Iterable[str], temperature: float) -> Array:
        return self._slots.shares(self._places(several(items, "items")), temperature)

    def _said(self, option: int | npt.ArrayLike) -> int | Array:
        """A vote as it is kept: a place, or shares that are no single option."""
        if not isinstance(option, (list, tuple, np.ndarray)):
            return count(option, "option", most=self.options - 1)
        try:
            shares = np.asarray(option, dtype=np.float64)
        except (TypeError, ValueError):
            shares = np.empty(0)
        is_fine = shares.shape == (self.options,) and bool((shares >= 0.0).all())  # false for NaN too
        if not is_fine or abs(shares.sum() - 1.0) > 1e-6:
            raise OptionError(f"the shares are no {self.options} numbers from 0 that sum to 1. Give a share an option.")
        return _plain(shares / shares.sum())

    def _shares(self, said: int | Array) -> Array:
        return np.eye(self.options)[said] if isinstance(said, int) else said

    def _place(self, item: str) -> int:
        return self._items.get(_name(item, self._items, "item"), NONE)

    def _wherever(self, items: Iterable[str]) -> Places:
        """Places; NONE of an item without any."""
        known = self._items
        names = several(items, "items")
        places = [known[item] if item.__class__ is str and item in known else self._place(item) for item in names]
        return np.array(places, dtype=np.int64)

    def _places(self, items: Iterable[str]) -> Places:
        found = []
        for item in items:
            place = self._place(item)
            if not self._slots.has_votes(place):
                raise UnknownItem(f"nobody has voted on the item {item!r}. Give items with votes.")
            found.append(place)
        return np.array(found, dtype=np.int64)

    def _take(self, place: int, voter: int, worker: str) -> bool:
        """Take a worker's part in a voter's vote back; whether there was one."""
        group = self._members.get((place, voter))
        if group is None:
            return self._slots.take(place, voter)
        if group.pop(worker, None) is None:
            return False
        self._family.pop((place, worker), None)
        if group:
            self._slots.put(place, voter, _merged(group))
        else:
            del self._members[place, voter]
            self._slots.take(place, voter)
        return True


def mean_of(numbers: Mapping[str, float], families: Mapping[str, str] | None = None) -> float:
    """What several say of a number: their plain mean, one vote a family.

    It is better than the median. Where everybody rates many items, a bias of each worker, taken off before, is better
    still (docs/results.md); that is not done here.

    Args:
        numbers: By worker.
        families: Of the workers that have one.
    Raises:
        OptionError: If there is no number, or one that is not finite.
    """
    said: dict[str, list[float]] = {}
    known = mapping({} if families is None else families, "families", "a mapping from worker to family")
    for worker, value in mapping(numbers, "numbers", "a mapping from worker to number").items():
        family = key_of(known.get(worker, ""), "family") or normalise_id(worker, "worker")
        said.setdefault(family, []).append(number(value, "a number"))
    if not said:
        raise OptionError("there are 0 numbers. Give at least one.")
    return float(np.mean([np.mean(values) for values in said.values()]))


def _pair(prior: tuple[float, float]) -> tuple[float, ...]:
    found = several(prior, "prior", "(4.0, 2.0)")
    if len(found) != 2:
        raise OptionError(f"prior holds {len(found)} numbers. Give two: votes rightly, and wrongly.")
    return found


def _name(name: str, known: Mapping[str, int], what: str) -> str:
    """In its normal form, which the known ones have."""
    return name if isinstance(name, str) and name in known else normalise_id(name, what)


def _ranks(places: Mapping[str, int]) -> Places:
    """Of each place, that of its name in order."""
    found = np.empty(len(places), dtype=np.int64)
    found[[places[name] for name in sorted(places)]] = np.arange(len(places))
    return found


def _plain(shares: Array) -> int | Array:
    return int(shares.argmax()) if shares.max() == 1.0 else shares


def _merged(group: Mapping[str, Array]) -> int | Array:
    """The geometric mean of votes; of those that are the same it is one of them."""
    rows = np.array([group[name] for name in sorted(group)])
    if (rows == rows[0]).all():
        return _plain(rows[0])
    logs = np.log(np.maximum(rows, _FLOOR)).mean(0)
    shares = np.where(rows.any(0), np.exp(logs - logs.max()), 0.0)
    return np.asarray(shares / shares.sum())
