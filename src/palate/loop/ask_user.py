"""What to ask a user next: items by a strategy, or questions of several forms by what they tell per second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.acquisition import DEFAULT, Candidates, Given, get_strategy, select
from palate.acquisition.draw import Draw
from palate.acquisition.questions.context import Offers, QuestionContext
from palate.acquisition.questions.forms import MEASURE, best_offer, check_forms, offers
from palate.acquisition.targets import aimed_at
from palate.costs import Seconds
from palate.entities import Form, Question, form_of
from palate.errors import OptionError
from palate.loop.offered import candidates_of, context_of
from palate.posteriors.belief import Belief, quadratic

if TYPE_CHECKING:
    from palate.learner import Learner
    from palate.loop.state import UserState
    from palate.model.model import Model
from palate.arrays import Array


def forms_of(kinds: Sequence[str]) -> tuple[Form, ...]:
    """The forms of these names, each once.

    Raises:
        OptionError: If one is unknown, or there is none.
    """
    forms = tuple(dict.fromkeys(form_of(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)))
    if not forms:
        raise OptionError(f"no kind of question is given. Give one or several of {', '.join(Form)}.")
    return forms


def ask_items(
    learner: Learner,
    user_id: str,
    *,
    k: int,
    strategy: str,
    candidates: Sequence[str] | None,
    targets: str,
    random_share: float,
    draw: Draw,
    rng: np.random.Generator,
) -> tuple[Question, ...]:
    """Items to rate, best first by a strategy."""
    chosen, state, model = get_strategy(strategy), learner.state(user_id), learner.model
    on_offer = aimed_at(targets, state.belief, candidates_of(model, state.exposure, given_to(state)), rng=rng)
    allowed = allowed_items(model, state, candidates)
    choices = select(
        chosen, state.belief, on_offer, k=k, allowed=allowed, random_share=random_share, draw=draw, rng=rng
    )
    known = on_offer.known
    gains = _shares_gained(state.belief, on_offer, [choice.item for choice in choices])
    return tuple(
        Question(
            user_id=user_id,
            item_id=model.catalogue.ids[choice.item],
            strategy=strategy,
            value=choice.value,
            answerable=float(known[choice.item]),
            propensity=choice.propensity,
            why=_why(float(gain), float(known[choice.item])),
            seconds=Seconds().rate,
        )
        for choice, gain in zip(choices, gains, strict=True)
    )


def ask_forms(
    learner: Learner,
    user_id: str,
    *,
    forms: tuple[Form, ...],
    k: int,
    strategy: str,
    candidates: Sequence[str] | None,
    concepts: Sequence[str] | None,
    seconds: Seconds,
    rng: np.random.Generator,
) -> tuple[Question, ...]:
    """Questions of several forms, best first by what an answer tells per second; each given those before it.

    Raises:
        OptionError: If k is below 1, a strategy is named (there is one measure for all forms), or the model knows
            events and a form needs dislikes.
        UnknownItem: If the model does not hold a candidate, or cannot read a concept.
    """
    if k < 1:
        raise OptionError(f"k is {k}. Ask for at least 1 question.")
    if strategy != DEFAULT:
        raise OptionError(
            f"strategy {strategy!r} ranks items. Several kinds of question are compared by what they tell per second: "
            "leave the strategy out."
        )
    check_forms(forms, learner.model.taste.likelihood)
    setting = _setting(learner.model, learner.state(user_id), forms, candidates, concepts, seconds)
    questions: list[Question] = []
    while len(questions) < k:
        found = offers(setting, forms, rng=rng)
        best = int(best_offer(found)[0])
        if best < 0:
            break
        questions.append(_question(learner.model, user_id, setting, found[best]))
        setting = _without(setting, found[best])
    return tuple(questions)


def given_to(state: UserState) -> Given:
    """What the user has rated, in order, and what they were asked about and did not rate."""
    unable = [item for item in sorted(state.asked) if item not in state.rated]
    values = np.array([*state.values, *[np.nan] * len(unable)])
    return Given(np.array([*state.rated, *unable], dtype=np.intp), values)


def allowed_items(model: Model, state: UserState, candidates: Sequence[str] | None) -> NDArray[np.bool_]:
    """Items that may be asked: the candidates, or all, but for those that were in an answer."""
    allowed = among(model, candidates)
    allowed[list(state.asked | state.posed)] = False
    return allowed


def among(model: Model, candidates: Sequence[str] | None) -> NDArray[np.bool_]:
    """The candidates, or all."""
    chosen = np.ones(len(model.catalogue), dtype=bool)
    if candidates is not None:
        chosen[:] = False
        chosen[model.catalogue.positions(candidates)] = True
    return chosen


def _setting(
    model: Model,
    state: UserState,
    forms: tuple[Form, ...],
    candidates: Sequence[str] | None,
    concepts: Sequence[str] | None,
    seconds: Seconds,
) -> QuestionContext:
    """For one user, as for n of them."""
    offered = candidates_of(model, state.exposure)
    learnt = model.concepts_named(concepts) if Form.CONCEPT in forms else model.concepts_named(())
    return context_of(
        model,
        replace(offered, targets=offered.targets[None], known=offered.known[None], reach=offered.reach[None]),
        Belief(state.belief.mean[None], state.belief.covariance[None]),
        allowed_items(model, state, candidates)[None],
        seconds=seconds,
        concepts=learnt,
        open_concepts=np.array([[name not in state.concepts for name in learnt.names]], dtype=bool).reshape(1, -1),
        preview_reach=np.ones((1, len(offered))),
    )


def _without(setting: QuestionContext, offer: Offers) -> QuestionContext:
    """Once a question is asked: its items and its concept are not open any more, the belief is narrower."""
    allowed, concepts = setting.allowed.copy(), setting.open_concepts.copy()
    allowed[0, offer.items[0][offer.items[0] >= 0]] = False
    if offer.concept[0] >= 0:
        concepts[0, offer.concept[0]] = False
    belief = Belief(setting.belief.mean, offer.after)
    return replace(setting, belief=belief, allowed=allowed, open_concepts=concepts)


def _question(model: Model, user_id: str, setting: QuestionContext, offer: Offers) -> Question:
    is_concept = offer.form is Form.CONCEPT
    names = [model.catalogue.ids[item] for item in offer.items[0] if item >= 0]
    names = [setting.concepts.names[offer.concept[0]]] if is_concept else names
    left = float(np.einsum("de,de->", setting.moment[0], offer.after[0]))
    share = 1.0 - left / max(float(setting.uncertainty[0]), np.finfo(np.float64).tiny)
    return Question(
        user_id=user_id,
        item_id=names[0],
        strategy=MEASURE,
        value=float(offer.value[0]),
        answerable=float(offer.chance[0]),
        propensity=float(offer.propensity[0]),
        why=_why_of(offer.form, share, float(offer.chance[0]), float(offer.seconds[0])),
        form=offer.form,
        others=tuple(names[1:]),
        seconds=float(offer.seconds[0]),
    )


def _shares_gained(belief: Belief, candidates: Candidates, items: list[int]) -> Array:
    """By which share an answer about each item lowers the mean variance of what the user may be shown, (k,)."""
    moment = candidates.target_moment()
    asked = candidates.take(np.array(items, dtype=np.intp))
    moved = belief.covariance @ moment @ belief.covariance
    total = float(np.trace(moment @ belief.covariance))
    return quadratic(asked.items.factors, moved) * asked.gain(belief) / max(total, np.finfo(np.float64).tiny)


def _why(gain: float, known: float) -> str:
    gained = f"an answer lowers the uncertainty about what you may be shown by {gain:.0%}"
    return gained if known >= 0.995 else f"{gained}; you know it with a chance of {known:.0%}"


_CHANCE = {
    Form.RATE: "you know it",
    Form.PAIR: "you know both and prefer one",
    Form.CONCEPT: "you have a view of it",
    Form.PREVIEW: "you can tell",
    Form.PAGE: "you know one of them",
}


def _why_of(form: Form, gain: float, chance: float, seconds: float) -> str:
    gained = f"an answer lowers the uncertainty about what you may be shown by {gain:.0%} in {seconds:.0f} s"
    return gained if chance >= 0.995 else f"{gained}; {_CHANCE[form]} with a chance of {chance:.0%}"
