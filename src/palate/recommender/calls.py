"""The calls that read, each on the learner as it is now and only for what a user allows; and one about no user."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from palate.entities.item_attributes import ItemAttribute
from palate.entities.provenance import TASTE
from palate.errors import ConsentError, OptionError, did_you_mean
from palate.errors.checks import share, shown
from palate.learner import Learner
from palate.model.counted import PERSON
from palate.oracles.item_labels import ItemLabels, labels_of
from palate.recommender.fitting import known_options
from palate.recommender.live import Live
from palate.recommender.privacy import allows
from palate.records import Calibration, Record
from palate.store.protocol import active

NOBODY = "palate: nobody"  # in whose place a user is who does not allow lists made from what is held on them
P = ParamSpec("P")
R = TypeVar("R")


class HasLive(Protocol):
    """What has something live to read."""

    _live: Live


def reads(method: Callable[Concatenate[Learner, P], R]) -> Callable[Concatenate[Any, P], R]:
    """The same call on the learner as it is now, with what other processes have told since."""

    @wraps(method)
    def read(self: HasLive, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self._live.now(), *args, **kwargs)

    return cast("Callable[Concatenate[Any, P], R]", read)


def serves(method: Callable[Concatenate[Learner, str, P], R]) -> Callable[Concatenate[Any, str, P], R]:
    """The same; of a user who does not allow ``serve``, as of a stranger."""

    @wraps(method)
    def read(self: HasLive, user_id: str, *args: P.args, **kwargs: P.kwargs) -> R:
        learner = self._live.now()
        user_id = user_id if allows(learner.memory.consent(user_id), "serve") else NOBODY
        return method(learner, user_id, *args, **kwargs)

    return cast("Callable[Concatenate[Any, str, P], R]", read)


def asks(method: Callable[Concatenate[Learner, str, P], R]) -> Callable[Concatenate[Any, str, P], R]:
    """The same, unless a user does not allow ``ask``."""

    @wraps(method)
    def read(self: HasLive, user_id: str, *args: P.args, **kwargs: P.kwargs) -> R:
        learner = self._live.now()
        consent = learner.memory.consent(user_id)
        if not allows(consent, "ask"):
            said = ", ".join(consent.purposes if consent is not None else ()) or "nothing"
            raise ConsentError(f"a user who allows {said} is not asked. Record a new consent with the purpose ask.")
        return method(learner, user_id, *args, **kwargs)

    return cast("Callable[Concatenate[Any, str, P], R]", read)


def calibrate(
    self: HasLive, source: str, weight: float, *, subject: str = TASTE, at: float | None = None, key: str = ""
) -> Record:
    """Keep how reliable a source is from now on, for what it said before, too. No label is changed.

    The last call counts, so a source is what it was before once its weight is 1 again; so it is once this row is taken
    back.

    Args:
        source: Who answered: an annotator's pseudonym, a model.
        weight: What each of its answers counts, in [0, 1]: 1 as much as one of the user's own, 0 nothing.
        subject: Of the answers: ``taste``, or the name of an attribute.
        at: When, in seconds since the epoch.
        key: Made by the client: a repeat changes nothing.
    Raises:
        OptionError: If the weight is not in [0, 1], or the source is that of users themselves.
    """
    given = Calibration(source, share(weight, "weight"), subject, at, key)
    if given.subject == TASTE and given.source == PERSON:
        raise OptionError(
            f"the source {PERSON!r} is users who speak of themselves: that counts 1. Give another source."
        )
    return self._live.append([given])[0]


def item_labels(self: HasLive, attribute: str | ItemAttribute) -> ItemLabels:
    """What all labels up to now say of an attribute of items. It reads the log; lists follow with the next refit.

    Args:
        attribute: One, or the name of one that the model was fitted with (:attr:`palate.model.model.Model.item_labels`,
            which is what that fit went by).
    Raises:
        OptionError: If it is neither.
    """
    declared = {one.attribute.name: one.attribute for one in self._live.model().item_labels}
    asked = declared.get(attribute) if isinstance(attribute, str) else attribute
    if not isinstance(asked, ItemAttribute):
        near = did_you_mean(attribute, declared)
        said = f"the attribute {shown(attribute)} is none that the model was fitted with. {near}".strip()
        raise OptionError(f"{said} Give its name, or an ItemAttribute(...).")
    contents = [row.content for row in active(self._live.log.records())]
    calibrations = [one for one in contents if isinstance(one, Calibration)]
    return labels_of(asked, contents, calibrations, known_options(self._live.log, asked))
