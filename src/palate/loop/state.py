"""What is held about one user under a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.encoders.histories.events import History
from palate.entities import Answer
from palate.model.model import Model
from palate.posteriors.attribute_coding import Told
from palate.posteriors.attributes import combined, no_wider
from palate.posteriors.belief import Belief

ASK_AGAIN = 0.25  # of a rating that is left, below which its item may be asked about again: two half-lives


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """What an answer that is no rating of an item moved the beliefs by.

    Attributes:
        taste, exposure: Change of the precision times the mean, (D,) and (E,): all of them add up, whatever the order.
    """

    answer: Answer
    taste: Array
    exposure: Array


@dataclass(frozen=True, slots=True)
class UserState:
    """What is held about one user.

    Attributes:
        start: Belief before any answer.
        belief: Belief about the taste.
        exposure: Belief about what the user can answer.
        rated: Positions of the rated items, in order.
        values: Their ratings.
        asked: Positions of items that need not be asked again, nor shown: rated, tapped, named, answered otherwise.
        posed: Positions of those that were in an answered pair, group or preview, picked or clicked: not asked again
            either, but shown.
        concepts: Names of the concepts answered.
        named: Positions of the items named from memory, in order.
        namings: How often an item was named, or as often as it is asked for where somebody would not.
        noise: ν, by which the noise of the user's ratings is multiplied, as far as the fit knows them.
        moves: What moved the beliefs beside ratings, in order.
        weights: How much of each rating is left, in (0, 1]; empty where nothing fades.
        at: Until when they have faded, seconds since the epoch; None where no time is known.
    """

    start: Belief
    belief: Belief
    exposure: Belief
    rated: tuple[int, ...]
    values: tuple[float, ...]
    asked: frozenset[int]
    posed: frozenset[int] = frozenset()
    concepts: frozenset[str] = frozenset()
    named: tuple[int, ...] = ()
    namings: int = 0
    noise: float = 1.0
    moves: tuple[Move, ...] = ()
    weights: tuple[float, ...] = ()
    at: float | None = None

    @property
    def closed(self) -> frozenset[int]:
        """Positions of items that are not to be asked about: those of which little is left may be asked again."""
        again = {item for item, left in zip(self.rated, self.weights, strict=False) if left < ASK_AGAIN}
        return (self.asked - again) | self.posed


def fresh_state(
    model: Model, row: int | None, history: History | None, known: Mapping[str, Told], without: frozenset[int]
) -> UserState:
    """The state of a user from the data alone, and from who they are.

    Args:
        row: Of the user in the data; None for somebody new.
        history: Everything the user did; None if nothing.
        known: The user's attributes by name.
        without: Positions whose rating in the data has been given anew since.
    """
    start = _start(model, history, known)
    if row is None:
        return UserState(start, start, _met(model, model.answerability.start(), history, ()), (), (), frozenset())
    answers = model.answers[row]
    keep = ~np.isin(answers.indices, list(without))
    if without:
        kept = np.array([0, keep.sum()])
        answers = sparse.csr_matrix((answers.data[keep], answers.indices[keep], kept), shape=answers.shape)
    weights, at = None, None
    if model.forgetting is not None:
        weights, at = model.forgetting.of(model.forgetting.times[slice(*model.answers.indptr[row : row + 2])][keep])
    said = model.answers[row]
    # who said nothing was not asked, and is not known to know nothing
    exposure = model.answerability.believe(said).of(0) if said.nnz else model.answerability.start()
    rated, noise = tuple(map(int, answers.indices)), float(model.user_noise[row])
    return UserState(
        start,
        model.taste.believe(answers, start, of_users=noise, weights=weights).of(0),
        _met(model, exposure, history, rated),
        rated,
        tuple(map(float, answers.data)),
        frozenset(rated),
        noise=noise,
        weights=() if weights is None else tuple(weights.tolist()),
        at=at,
    )


def _met(model: Model, exposure: Belief, history: History | None, rated: tuple[int, ...]) -> Belief:
    """What the user can answer, given that they have met the items of their history."""
    for item in () if history is None else dict.fromkeys(history.items.tolist()):
        if item not in rated:  # a rating has said so already
            exposure = model.answerability.observe(exposure, item, True)
    return exposure


def _start(model: Model, history: History | None, known: Mapping[str, Told]) -> Belief:
    """What who they are and what they did say of a user's taste; each alone where the other says nothing."""
    nothing = model.taste.start
    did = _from_history(model, history)
    are = nothing if model.attributes is None else model.attributes.start_one(model.taste, known)
    if are is nothing or did is nothing:
        return did if are is nothing else are
    return combined(are, did)


def _from_history(model: Model, history: History | None) -> Belief:
    vectors = model.history_vectors
    if history is None or model.history_prior is None or vectors is None:
        return model.taste.start
    encoded = model.history_encoder.encode(history.log, vectors, 1)
    if not encoded.any():
        return model.taste.start
    prior = model.history_prior
    return model.taste.prior(prior.predict(encoded)[0], no_wider(prior.covariances(encoded)[0]))
