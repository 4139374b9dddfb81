"""Why an item is in a list, in words."""

from __future__ import annotations

import numpy as np

from palate.arrays import Array
from palate.loop.state import UserState
from palate.model.model import Model

_TITLE_WIDTH = 48
_LIFT = 1e-3  # standard deviations of an answer; less is no reason


def companion_reason(model: Model, met: list[int], shares: Array, item: int) -> str:
    """What an item comes with: of what was met, (n,) positions and their shares in its score, the largest."""
    if not shares.any():
        return _popular(model, item)
    return f"often with {_short(model.catalogue.names[met[int(shares.argmax())]])}"


def pulls(model: Model, state: UserState) -> Array:
    """What each rating pulls the taste by, and then each naming, (T, D).

    A rating ``S w_j (r_j − b_j) / σ_j²``, and for ratings alone these sum to the taste; a naming ``S β (w_i − E w)``.
    """
    rated = np.array(state.rated, dtype=np.intp)
    items = model.taste.items
    noise = model.taste.likelihood.answer_noise(items.answer_noise[rated])
    likelihood, values = model.taste.likelihood, np.array(state.values)
    pulls = likelihood.pull(values, items.level[rated], noise / likelihood.weight(values))
    of_ratings = (items.factors[rated] * pulls[:, None]) @ state.belief.covariance
    return np.concatenate([of_ratings, _of_namings(model, state)]) if state.named else of_ratings


def _of_namings(model: Model, state: UserState) -> Array:
    options = model.recall_options
    slopes = model.taste.choice(options, np.array(state.named, dtype=np.intp)).slopes
    return np.asarray((slopes - options.moments(state.belief.mean)[1]) @ state.belief.covariance)


def reason(model: Model, state: UserState, pulls: Array, item: int) -> str:
    """The answers that lift an item most; without any, what most people think or what its text says."""
    catalogue, items = model.catalogue, model.taste.items
    lifts = pulls @ items.factors[item] if len(pulls) else np.zeros(0)
    n, order = len(state.rated), np.argsort(-lifts, kind="stable")
    strong = [int(answer) for answer in order if lifts[answer] > 0.3 * lifts.max()]
    # what somebody liked is the better reason; that they disliked something else is one only where nothing else is
    liked = [answer for answer in strong if answer >= n or state.values[answer] >= model.scale.like]
    best = (liked or strong)[:2]
    if best and lifts[best[0]] > _LIFT * np.sqrt(items.answer_noise[item]):
        told = (*state.rated, *state.named)
        titles = [_short(catalogue.names[told[answer]]) for answer in best]
        words = ["named" if n <= answer else model.taste.likelihood.as_deed(state.values[answer]) for answer in best]
        return "you " + " and ".join(f"{word} {title}" for word, title in zip(words, titles, strict=True))
    if catalogue.counts[item] == 0:
        text = "its text is like that of items people with your taste like" if state.rated else "its text promises well"
        return f"new: {text if catalogue.content is not None else 'nobody has rated it yet'}"
    if state.rated or state.named:
        return f"{_popular(model, item)}; your answers say little about it"
    if state.start is not model.taste.start:
        return "fits what is known of you"
    return _popular(model, item)


def _popular(model: Model, item: int) -> str:
    """What people thought of an item, in words."""
    count = model.catalogue.counts[item]
    people = "person" if count == 1 else "people"
    levels = model.catalogue.levels[item]
    liked = float(levels[model.scale.edges(len(levels)) >= model.scale.like].sum())
    if model.taste.likelihood.events_only:
        chosen = round(float(count) * liked)
        return f"chosen by {chosen:,} {'person' if chosen == 1 else 'people'}"
    share = "most" if liked > 0.5 else f"{liked:.0%}"
    return f"liked by {share} of the {count:,.0f} {people} who rated it"


def _short(title: str) -> str:
    return title if len(title) <= _TITLE_WIDTH else title[: _TITLE_WIDTH - 1].rstrip() + "…"
