"""Ask by the strategy whose questions have served this user best."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.combined.members import MEMBERS, member_scores
from palate.acquisition.combined.transcript import Transcript
from palate.acquisition.combined.voting import TOP
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief

EXPLORED = 0.1


@each_user
def switching(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """The scores of the member that has been most useful, in its own units, (I,) or (n, I). O(T D²) an item.

    With a chance of 0.1 those of any member. A question was a member's if that had it among its ten best of what was
    left, and its utility is the fall of the mean squared error on the user's *other* answers when its answer came in;
    no answer is a utility of 0. A member's utility is the sum over its questions, divided by their number plus one;
    members alike are taken in order, so the first questions are ``a-optimal``'s. Nothing is kept: the answers given are
    replayed, all T beliefs at once, so that memory is T catalogues.

    References:
        Elahi, Ricci, Rubens, Adapting to natural rating acquisition with combined active learning strategies, ISMIS
        2012 ("switching"); there utilities are of the whole system and its days, here of one user's questions.
    """
    explored, anyone = rng.random() < EXPLORED, int(rng.integers(len(MEMBERS)))
    chosen = anyone if explored else int(utilities(candidates, rng=rng).argmax())
    return np.asarray(member_scores(belief, candidates, rng=rng)[chosen])


def utilities(candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Of each member for one user, (S,), in squared units of the answers."""
    transcript = Transcript.replay(candidates)
    if not len(transcript.given.columns):
        return np.zeros(len(MEMBERS))
    scores, asked = transcript.scores(candidates, rng=rng)
    own = scores[:, np.arange(len(asked)), np.maximum(asked, 0)]
    would_ask = ((scores > own[:, :, None]).sum(2) < TOP) & (asked >= 0)  # (S, T)
    return np.asarray(would_ask @ falls(transcript, candidates) / (would_ask.sum(1) + 1.0))


def falls(transcript: Transcript, candidates: Candidates) -> Array:
    """Fall of the mean squared error on the user's other answers at each question, (T,); 0 where there is no other."""
    expected, values = transcript.predictions(candidates.population.taste)
    squared = (expected - values) ** 2  # (T + 1, A)
    fall, answered = squared[:-1] - squared[1:], transcript.given.answered
    own = np.zeros_like(fall, dtype=bool)
    own[answered] = np.eye(len(values), dtype=bool)
    return np.asarray(np.where(own, 0.0, fall).sum(1) / max(len(values) - 1, 1) * answered)
