"""What to ask a user next: items by a strategy, or questions of several forms by what they tell per second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from palate.acquisition import DEFAULT, Candidates, Given, get_strategy, select
from palate.acquisition.draw import Draw
from palate.acquisition.questions.context import Offers, QuestionContext
from palate.acquisition.questions.forms import MEASURE, best_offer, offers
from palate.acquisition.strategy import Score, Strategy
from palate.acquisition.targets import KNOWN, aimed_at
from palate.acquisition.targets import NAMES as TARGETS
from palate.arrays import Array, Mask
from palate.costs import Seconds
from palate.entities import USER, Form, Question, form_of
from palate.errors import OptionError
from palate.errors.checks import count, instance, normalise_id, normalise_words, one_of, several, share, shown
from palate.loop.hear_choices import MOST_NAMINGS
from palate.loop.memory import Memory
from palate.loop.offered import candidates_of, context_of
from palate.loop.state import UserState
from palate.loop.wording import worded
from palate.model.model import Model
from palate.posteriors.belief import Belief, quadratic


def forms_of(forms: Sequence[str]) -> tuple[Form, ...]:
    """The forms of these names, each once.

    Raises:
        OptionError: If one is unknown, or there is none.
    """
    given = [forms] if isinstance(forms, str) else several(forms, "forms")
    if not given:
        raise OptionError(f"no form of question is given. Give one or several of {', '.join(Form)}.")
    found = tuple(dict.fromkeys(map(form_of, given)))
    if Form.SLATE in found:
        raise OptionError("a slate is heard when it has been shown, it cannot be asked. Leave slate out, or give pick.")
    return found


@dataclass(frozen=True, slots=True)
class Wish:
    """What a question may be, and how it is chosen (:meth:`palate.Learner.ask`)."""

    forms: Sequence[str] = (Form.RATE,)
    strategy: str | Strategy | Score = DEFAULT
    candidates: Sequence[str] | None = None
    concepts: Sequence[str] | None = None
    seconds: Seconds = field(default_factory=Seconds)
    targets: str = KNOWN
    random_share: float = 0.0
    draw: Draw = "greedy"


def checked(wish: Wish) -> Wish:
    """The wish, every part of it of its type, whether it counts for these forms or not."""
    instance(wish.seconds, Seconds, "seconds", "palate.costs.Seconds(...)")
    one_of(wish.targets, TARGETS, "targets")
    one_of(wish.draw, get_args(Draw), "draw")
    share(wish.random_share, "random_share")
    concepts = () if wish.concepts is None else several(wish.concepts, "concepts")
    normal = [normalise_words(name, "concept") for name in concepts]
    return replace(wish, concepts=None if wish.concepts is None else normal)


def ask(memory: Memory, user_id: str, wish: Wish, *, k: int = 1, rng: np.random.Generator) -> tuple[Question, ...]:
    """Up to ``k`` questions to a user, best first, in words too.

    Raises:
        OptionError: If the forms, the strategy and the targets do not go together, or k is below 1.
        UnknownItem: If the model does not hold a candidate, or cannot read a concept.
    """
    user_id, forms = normalise_id(user_id, USER), forms_of(wish.forms)
    count(k, "k", least=1)
    wish = checked(wish)
    only_rates = forms == (Form.RATE,)
    if not only_rates and wish.targets != KNOWN:
        raise OptionError(f"targets {wish.targets!r} are for questions that rate items. Leave them, or the forms, out.")
    found = _items(memory, user_id, wish, k, rng) if only_rates else _of_forms(memory, user_id, wish, forms, k, rng)
    return tuple(worded(memory.model, question) for question in found)


def _items(memory: Memory, user_id: str, wish: Wish, k: int, rng: np.random.Generator) -> list[Question]:
    """Items to rate, best first by a strategy."""
    chosen, state, model = get_strategy(wish.strategy), memory.state(user_id), memory.model
    on_offer = aimed_at(wish.targets, state.belief, candidates_of(model, state.exposure, given_to(state)), rng=rng)
    choices = select(
        chosen,
        state.belief,
        on_offer,
        k=k,
        allowed=allowed_items(model, state, wish.candidates),
        random_share=wish.random_share,
        draw=wish.draw,
        rng=rng,
    )
    known = on_offer.known
    gains = _shares_gained(state.belief, on_offer, [choice.item for choice in choices])
    return [
        Question(
            user_id=user_id,
            item_id=model.catalogue.ids[choice.item],
            strategy=chosen.name,
            value=choice.value,
            answerable=float(known[choice.item]),
            propensity=choice.propensity,
            why=_why(float(gain), float(known[choice.item])),
            seconds=Seconds().rate,
        )
        for choice, gain in zip(choices, gains, strict=True)
    ]


def _of_forms(
    memory: Memory, user_id: str, wish: Wish, forms: tuple[Form, ...], k: int, rng: np.random.Generator
) -> list[Question]:
    """Questions of several forms, best first by what an answer tells per second; each given those before it.

    To name one comes first, where that is among the forms: what it tells is the order of a list, and the measure, which
    sees what all items have in common as well, would never choose it.
    """
    if not isinstance(wish.strategy, str) or wish.strategy != DEFAULT:
        raise OptionError(
            f"strategy {shown(wish.strategy)} ranks items. Several forms of question are compared by what they tell "
            "per second: leave the strategy out."
        )
    memory.model.taste.likelihood.check_forms(forms)
    context = _context(memory.model, memory.state(user_id), forms, wish)
    questions: list[Question] = []
    while len(questions) < k:
        found = offers(context, forms, rng=rng)
        best = int(best_offer(found)[0]) if context.recall is None else forms.index(Form.RECALL)
        if best < 0:
            break
        questions.append(_question(memory.model, user_id, context, found[best]))
        context = _without(context, found[best])
    return questions


def given_to(state: UserState) -> Given:
    """What the user has rated, in order, and what they were asked about and did not rate."""
    unable = [item for item in sorted(state.asked) if item not in state.rated]
    values = np.array([*state.values, *[np.nan] * len(unable)])
    return Given(np.array([*state.rated, *unable], dtype=np.intp), values)


def allowed_items(model: Model, state: UserState, candidates: Sequence[str] | None) -> Mask:
    """Items that may be asked: the candidates, or all, but for those that were in an answer."""
    allowed = among(model, candidates)
    allowed[list(state.closed)] = False
    return allowed


def among(model: Model, candidates: Sequence[str] | None, name: str = "candidates") -> Mask:
    """The candidates, or all, but for those that are withdrawn, (I,)."""
    chosen = np.full(len(model.catalogue), candidates is None)
    if candidates is not None:
        chosen[model.catalogue.positions(several(candidates, name))] = True
    chosen[model.out_of_lists] = False
    return chosen


def _context(model: Model, state: UserState, forms: tuple[Form, ...], wish: Wish) -> QuestionContext:
    """For one user, as for n of them."""
    offered = candidates_of(model, state.exposure)
    learnt = model.concepts_named(wish.concepts if Form.CONCEPT in forms else ())
    return context_of(
        model,
        replace(offered, targets=offered.targets[None], known=offered.known[None], reach=offered.reach[None]),
        Belief(state.belief.mean[None], state.belief.covariance[None]),
        allowed_items(model, state, wish.candidates)[None],
        seconds=wish.seconds,
        concepts=learnt,
        open_concepts=np.array([[name not in state.concepts for name in learnt.names]], dtype=bool).reshape(1, -1),
        preview_reach=np.ones((1, len(offered))),
        recall=Form.RECALL in forms and state.namings < MOST_NAMINGS and len(offered) > 0,
    )


def _without(setting: QuestionContext, offer: Offers) -> QuestionContext:
    """Once a question is asked: its items and its concept are not open any more, the belief is narrower.

    One is named at a time: what comes to mind next hangs on what came first.
    """
    allowed, concepts = setting.allowed.copy(), setting.open_concepts.copy()
    allowed[0, offer.items[0][offer.items[0] >= 0]] = False
    if offer.concept[0] >= 0:
        concepts[0, offer.concept[0]] = False
    belief = Belief(setting.belief.mean, offer.after)
    return replace(setting, belief=belief, allowed=allowed, open_concepts=concepts, recall=None)


def _question(model: Model, user_id: str, setting: QuestionContext, offer: Offers) -> Question:
    is_concept = offer.form is Form.CONCEPT
    names = [model.catalogue.ids[item] for item in offer.items[0] if item >= 0]
    names = [setting.concepts.names[offer.concept[0]]] if is_concept else names or [""]
    before, left = float(setting.uncertainty[0]), float(np.einsum("de,de->", setting.moment[0], offer.after[0]))
    share = (before - left) / max(before, np.finfo(np.float64).tiny)
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
    gained = f"an answer lowers the uncertainty about what you may be shown by {_percent(gain)}"
    return gained if known >= 0.995 else f"{gained}; you know it with a chance of {_percent(known)}"


def _percent(value: float) -> str:
    """A share in words, never 0 % of something."""
    return "less than 1%" if value < 0.005 else f"{value:.0%}"


_CHANCE = {
    Form.RATE: "you know it",
    Form.PAIR: "you know both and prefer one",
    Form.CONCEPT: "you have a view of it",
    Form.PREVIEW: "you can tell",
    Form.PAGE: "you know one of them",
    Form.PICK: "you know two of them",
}


def _why_of(form: Form, gain: float, chance: float, seconds: float) -> str:
    gained = f"an answer lowers the uncertainty about what you may be shown by {_percent(gain)} in {seconds:.0f} s"
    return gained if chance >= 0.995 else f"{gained}; {_CHANCE[form]} with a chance of {_percent(chance)}"
