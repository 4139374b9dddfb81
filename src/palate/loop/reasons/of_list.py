"""Why each item is in a list, for the whole list at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from palate.arrays import Positions
from palate.loop.list_scores import ListScores
from palate.loop.memory import Memory
from palate.loop.reasons.assign import assigned
from palate.loop.reasons.candidates import Shown, candidates
from palate.loop.reasons.of_met import know_parts, met_parts
from palate.loop.reasons.part import Evidence
from palate.loop.reasons.phrases import ACTS
from palate.loop.reasons.reason import Reason
from palate.loop.reasons.taste import evidence_of, like_parts
from palate.model.model import Model
from palate.model.spoken import spoken


def reasons_for(
    memory: Memory, user_id: str, scores: ListScores, shown: Positions, *, familiarity: float = 1.0
) -> list[Reason]:
    """Of each item shown to a user, (k,), why: true, and different ones where that can be.

    Args:
        scores: By which the items were chosen, with this familiarity.
    """
    if not len(shown):
        return []
    model, state = scores.model, scores.state
    evidence = evidence_of(model, state, memory.history(user_id))
    parts = met_parts(scores, memory.learnt.since, shown, evidence, familiarity)
    parts += know_parts(scores, shown, evidence, familiarity)
    if not model.taste.likelihood.events_only or model.list_model is None:
        with memory.view(user_id) as view:
            parts += like_parts(model, view, state, shown, evidence)
    return assigned(candidates(Shown(model, shown, evidence, titles_of(model, shown, evidence), act_of(model)), parts))


def titles_of(model: Model, shown: Positions, evidence: Sequence[Evidence]) -> Mapping[int, str]:
    """What to call the items in a sentence, by position: short, unless two of them would be called the same."""
    items = dict.fromkeys([*(item for one in evidence for item in one.items), *shown.tolist()])
    names = {item: spoken(model.catalogue.names[item]) for item in items}
    times = Counter(names.values())
    return {item: name if times[name] == 1 else model.catalogue.names[item] for item, name in names.items()}


def act_of(model: Model) -> str:
    """What people of a model do with items: like them, or the kind of event that nearly all of theirs are."""
    if not model.taste.likelihood.events_only:
        return "like"
    return model.usual_kind if model.usual_kind in ACTS else "choose"
