"""A user's state under the items as all others have taught them.

What somebody says of an item does not come back to them as what is known of it. So each user has items of their own.
After an answer more the state goes on from the one before, wherever that is what a replay of all gives, but for the
rounding of sums over one item and over several at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from palate.entities import Answer, Form
from palate.loop.folding import Memory, said_when
from palate.loop.guard import check_sound
from palate.loop.learned import Learnt, answered_more, as_others_say
from palate.loop.replay import replay
from palate.loop.state import UserState
from palate.loop.states import Held, Under
from palate.model.model import Model
from palate.posteriors.item_evidence import Sums

_OWN_ITEMS = (Form.RATE, Form.PREVIEW, Form.PAIR, Form.GROUP)  # they hang on the items they are about and on no others


def under_others(memory: Memory, user_id: str, held: Held, learnt: Learnt) -> Under:
    """The state of a user under the items as all others have taught them, and what it is made of."""
    answers, before = held.parts[0], held.under
    if before is not None and before.learnt is learnt and before.answers == answers:
        return before
    if before is None:
        new, items, more = answers, _all_items(memory, user_id, held), frozenset[int]()
    else:
        new = answers[len(before.answers) :]
        more = _items_of(memory.fitted, new) - before.items
        items = before.items | more
    is_same = before is not None and before.learnt is learnt  # nothing else has changed then
    if before is not None and is_same:
        then, others = before.then, {**before.others, **_left(learnt, before.then, more)}
    else:
        then = said_when(memory, user_id, held, learnt) if learnt.sums else {}
        others = _left(learnt, then, items)
    found = Under(answers, items, learnt, then, others, held.fitted)
    if not others:
        return found
    if before is not None and (is_same or _is_same(before.others, others, more)):
        if not new:
            return replace(found, state=before.state, is_sound=before.is_sound)
        gone_on = _gone_on(memory, user_id, held, before, others, new) if before.is_sound else None
        if gone_on is not None:
            return replace(found, state=gone_on)
    try:
        with as_others_say(memory.fitted, others) as model:
            state = replay(model, memory.source_of(user_id, held.parts))
        check_sound((state.belief, state.exposure))
    except Exception as error:  # noqa: BLE001 - under the items of the fit it is sound
        memory.guard.fell_back(user_id, error)
        return replace(found, is_sound=False)
    return replace(found, state=state)


def _left(learnt: Learnt, then: Mapping[int, Sums], items: Iterable[int]) -> dict[int, Sums]:
    """What others say of these items, where they say anything."""
    both = {item: learnt.sums[item] for item in items if item in learnt.sums}
    left = {item: row - then[item] if item in then else row for item, row in both.items()}
    return {item: row for item, row in left.items() if row.any()}


def _all_items(memory: Memory, user_id: str, held: Held) -> frozenset[int]:
    """Positions of what a user's state is made of: what they answered about and did, here and in the data."""
    model, row = memory.fitted, memory.fitted.rows.get(user_id)
    did = model.catalogue.positions([event.item_id for event in held.parts[1]]).tolist()
    of_data = () if row is None else model.answers[row].indices.tolist()
    return _items_of(model, held.parts[0]).union(did, of_data)


def _items_of(model: Model, answers: Iterable[Answer]) -> frozenset[int]:
    return frozenset(model.catalogue.position(item) for answer in answers for item in answer.items)


def _is_same(before: Mapping[int, Sums], others: Mapping[int, Sums], more: frozenset[int]) -> bool:
    """Whether others say the same as before of all but what there was no answer about before."""
    extra = others.keys() - before.keys()
    return extra <= more and all(item in others and np.array_equal(row, others[item]) for item, row in before.items())


def _gone_on(
    memory: Memory, user_id: str, held: Held, before: Under, others: Mapping[int, Sums], new: Sequence[Answer]
) -> UserState | None:
    """The state before, and what was answered since; None where a replay of all says more."""
    if not all(answer.form in _OWN_ITEMS for answer in held.parts[0]):
        return None
    own = {item: others[item] for item in _items_of(memory.fitted, new) if item in others}
    try:
        with as_others_say(memory.fitted, own) as model:
            found = answered_more(model, memory.source_of(user_id, held.parts), before.state, before.answers)
    except Exception:  # noqa: BLE001 - all of it is worked out again
        return None
    return None if found is None else found[1]
