"""What to do next about a user: ask them, ask somebody or something else, ask again, accept a label, or stop.

What an answer is worth here is what telling it does to the belief: an answer in the user's place is marked with its
weight (:attr:`Step.source`), and a second rating of an item counts beside the first (:mod:`palate.loop.replay`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.belief.list_value import list_gain
from palate.acquisition.candidates import Candidates
from palate.acquisition.oracle_choice import Action, Channel, decide, routed
from palate.acquisition.registry import get_strategy
from palate.acquisition.select import values
from palate.acquisition.shortlist import most_promising
from palate.acquisition.stopping import by_value
from palate.arrays import Mask
from palate.costs import Budget, Price
from palate.entities import USER, Answer, Question
from palate.errors import OptionError
from palate.errors.checks import instance, mapping, normalise_id
from palate.loop.ask_user import allowed_items, among, given_to
from palate.loop.memory import Memory
from palate.loop.offered import candidates_of
from palate.loop.taken import several
from palate.loop.wording import worded
from palate.model.counted import PERSON, is_of_taste, is_repeat
from palate.model.model import Model
from palate.oracles.pseudo_labels import MARK, is_pseudo, weight_of
from palate.oracles.source_reliability import Reliability

OF_LIST = "list-value"
OF_EVENTS = "evoi-ndcg"  # that of the best item alone is next to 0 where everybody loves one thing
_NAMES = {Action.ANNOTATOR: "annotator", Action.LANGUAGE_MODEL: "language-model"}


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next.

    Attributes:
        action: Whom to ask, or to stop.
        question: What to ask; None to stop.
        worth: Expected fall of the summed variance of what the user may be shown, per unit of cost.
        cost: To pay, in the unit of the prices.
        reason: Why to stop; empty otherwise.
        source: What to mark the answer with (:meth:`palate.Question.answer`), so that it counts for as much as its
            oracle is reliable; whoever answers for the user without being quite reliable is marked as a pseudo-label.
        label: The pseudo-label to accept; None otherwise.
    """

    action: Action
    question: Question | None = None
    worth: float = 0.0
    cost: float = 0.0
    reason: str = ""
    source: str = PERSON
    label: Answer | None = None


def next_step(
    memory: Memory,
    user_id: str,
    prices: Mapping[Action, Price],
    learnt: Mapping[Action, Reliability] | None = None,
    labels: Sequence[Answer] = (),
    *,
    budget: Budget | None = None,
    candidates: Sequence[str] | None = None,
    least: float = 0.0,
    rng: np.random.Generator,
) -> Step:
    """The one action about one item that is worth most for its price, or to stop
    (:mod:`palate.acquisition.oracle_choice`).

    Args:
        prices: Of what can be done. ``AGAIN`` is for items that the user has rated, once; the others for those not
            asked, and an answer in the user's place only where none was told.
        learnt: Who stands behind an action, and what gold says of them
            (:class:`palate.oracles.source_reliability.Reliabilities`). It takes the place of the reliability of the
            price; who has too little gold is not asked, and where one of the same family has answered there is nothing
            to gain. Their answers are marked with who they are and no weight: calibrations say what they count.
        labels: Pseudo-labels that may be accepted (:mod:`palate.oracles.pseudo_labels`). Their marks say how reliable
            they are, whatever the price does.
        budget: What may still be spent, in total and on this user; no limit if None.
        candidates: Ids that may be asked about; the whole catalogue if None.
        least: Worth at or below which nothing is done.
        rng: Breaks ties.
    Raises:
        OptionError: If there is no price, one of ``STOP`` or none for the labels, ``least`` is not a finite number from
            0, or a label is not one of this user's.
        UnknownItem: If the model does not hold a candidate.
    """
    user_id, model = normalise_id(user_id, USER), memory.model
    labels = several(labels, Answer)
    _check(prices, labels, user_id)
    behind = _behind(prices, learnt)
    prices = routed(prices, behind, rng=rng)
    budget = None if budget is None else instance(budget, Budget, "budget", "palate.costs.Budget(...)")
    state = memory.state(user_id)
    on_offer = candidates_of(model, state.exposure, given_to(state))
    open_ = _Open.to(memory, user_id, candidates)
    offers = [_offer(action, price, open_, on_offer, behind.get(action)) for action, price in prices.items()]
    if labels:
        offers += _accepting(model, labels, prices[Action.PSEUDO_LABEL], open_)
    found = decide(state.belief, on_offer, offers, budget=budget, user=user_id, least=least, rng=rng)
    if found.item < 0:
        return Step(Action.STOP, reason=found.reason)
    item = model.catalogue.ids[found.item]
    question = Question(
        user_id=user_id,
        item_id=item,
        strategy=found.action.value,
        value=found.worth,
        answerable=float(on_offer.known[found.item]) if found.action is Action.USER else 1.0,
        propensity=found.propensity,
        why=f"{found.action}: of all that can be done, most is learnt for its cost of {found.cost:g}",
    )
    label = _label(model, labels, found.item) if found.action is Action.PSEUDO_LABEL else None
    source = label.source if label else _source(model, found.action, prices[found.action], behind.get(found.action))
    return Step(found.action, worded(model, question), found.worth, found.cost, source=source, label=label)


def worth_asking(memory: Memory, user_id: str, price: float, *, rng: np.random.Generator) -> bool:
    """Whether some question to this user is expected to raise the NDCG@10 of their list by more than ``price``.

    Stopping by value (:func:`palate.acquisition.stopping.by_value`), of the list that is shown next: "don't know it"
    counts as an answer (:func:`palate.acquisition.belief.list_value.list_gain`). In units of NDCG, 1 being a list of
    ten items that are certainly met and liked. Of events, which nobody says they like, it is the strategy
    ``evoi-ndcg``, by taste alone.

    Args:
        price: Of a question; 0.002 is a fifth of a hundredth of the best list.
    Raises:
        OptionError: If the price is not a finite number above 0.
    """
    state = memory.state(normalise_id(user_id, USER))
    on_offer = candidates_of(memory.model, state.exposure, given_to(state))
    allowed = allowed_items(memory.model, state, None)
    if not allowed.any():
        return False
    if memory.model.taste.likelihood.events_only:
        found = values(get_strategy(OF_EVENTS), state.belief, on_offer, allowed=allowed, rng=rng)
        return not by_value(np.where(allowed, found, -np.inf), price)
    size = min(get_strategy(OF_LIST).shortlist, int(allowed.sum()))
    first = most_promising(np.where(allowed, on_offer.known, -np.inf), size, rng=rng)
    return not by_value(list_gain(state.belief, on_offer.take(first)), price)


@dataclass(frozen=True, slots=True)
class _Open:
    """What can be done about which items, (I,) each.

    Attributes:
        unasked: May be asked of the user.
        unlabelled: Of those, the ones without an answer in the user's place.
        once_rated: May be asked again.
        told: What is known of the user, and the model whose items these are.
    """

    unasked: Mask
    unlabelled: Mask
    once_rated: Mask
    told: tuple[Answer, ...]
    model: Model

    @classmethod
    def to(cls, memory: Memory, user_id: str, candidates: Sequence[str] | None) -> _Open:
        model, state, told = memory.model, memory.state(user_id), memory.told.get(user_id, ())
        unasked = allowed_items(model, state, candidates)
        once_rated = np.zeros(len(unasked), dtype=bool)
        once_rated[list(state.rated)] = True
        once_rated[_places(model, filter(is_repeat, told))] = False
        unlabelled = unasked.copy()
        unlabelled[_places(model, filter(is_pseudo, told))] = False
        return cls(unasked, unlabelled, once_rated & among(model, candidates), tuple(told), model)

    def heard(self, family: str) -> Mask:
        """Items about which one of a family has answered, (I,)."""
        mask = np.zeros_like(self.unasked)
        own = (one for one in self.told if is_of_taste(one) and (one.provenance.family or one.source) == family)
        mask[_places(self.model, own)] = True
        return mask


def _places(model: Model, answers: Iterable[Answer]) -> NDArray[np.intp]:
    return model.catalogue.positions([answer.item_id for answer in answers])


def _check(prices: Mapping[Action, Price], labels: Sequence[Answer], user_id: str) -> None:
    way = "a mapping such as {Action.USER: Price(3.65)}"
    for action, price in mapping(prices, "prices", way).items():
        instance(action, Action, "what has a price", "one of palate.acquisition.oracle_choice.Action")
        instance(price, Price, f"the price to {action}", "palate.costs.Price(...)")
    if not prices or Action.STOP in prices:
        raise OptionError("to stop costs nothing. Give the prices of what can be asked, at least one.")
    for action in (Action.USER, Action.AGAIN):
        if action in prices and prices[action].reliability < 1.0:
            raise OptionError(
                f"the user's own answers have the reliability {prices[action].reliability:g}. Leave it out: the model "
                "knows their noise."
            )
    if labels and Action.PSEUDO_LABEL not in prices:
        raise OptionError(f"{len(labels)} pseudo-labels have no price. Give one, such as 0.1.")
    for label in labels:
        if not is_pseudo(label) or label.user_id != user_id:
            raise OptionError(
                f"the answer about {label.item_id!r} is no pseudo-label of user {user_id!r}. Propose labels for them."
            )


def _behind(prices: Mapping[Action, Price], learnt: Mapping[Action, Reliability] | None) -> dict[Action, Reliability]:
    """Who stands behind which action.

    Raises:
        OptionError: If it is the user, or there is no price.
    """
    behind = dict(mapping({} if learnt is None else learnt, "learnt", "a mapping from action to Reliability"))
    for action, one in behind.items():
        instance(one, Reliability, f"what is learnt of {action}", "Reliabilities(...).of(source)")
        if action not in prices or action not in _NAMES:
            raise OptionError(
                f"there is nothing to learn of {action!r}, or no price. Give it of who stands in for users."
            )
    return behind


def _offer(action: Action, price: Price, open_: _Open, on_offer: Candidates, of: Reliability | None) -> Channel:
    if action is Action.USER:
        return Channel(action, price, on_offer.known, open_.unasked)
    if action is Action.AGAIN:
        return Channel(action, price, 1.0, open_.once_rated)
    nothing = np.zeros_like(open_.unasked)  # a pseudo-label is there or not: it cannot be asked for
    if of is not None:
        return Channel(action, price, 1.0, open_.unasked, open_.heard(of.family))
    return Channel(action, price, 1.0, nothing if action is Action.PSEUDO_LABEL else open_.unlabelled)


def _accepting(model: Model, labels: Sequence[Answer], price: Price, open_: _Open) -> list[Channel]:
    """An offer for each weight that labels have."""
    offers = []
    for weight in sorted({weight_of(label) for label in labels}, reverse=True):
        there = np.zeros_like(open_.unlabelled)
        there[_places(model, [label for label in labels if weight_of(label) == weight])] = True
        reliable = replace(price, reliability=weight ** (1.0 / model.taste.likelihood.power))
        offers.append(Channel(Action.PSEUDO_LABEL, reliable, 1.0, there & open_.unlabelled))
    return offers


def _label(model: Model, labels: Sequence[Answer], item: int) -> Answer:
    """The label of an item; of several the weightiest, as it was offered."""
    there = [label for label in labels if model.catalogue.position(label.item_id) == item]
    return max(there, key=weight_of)


def _source(model: Model, action: Action, price: Price, of: Reliability | None) -> str:
    """Who answers, with the weight of an answer that is not quite reliable, where no calibration says it."""
    if of is not None:
        return of.source
    if action not in _NAMES:
        return PERSON
    if price.reliability == 1.0:
        return _NAMES[action]
    return f"{MARK}{_NAMES[action]}@{price.reliability**model.taste.likelihood.power!r}"
