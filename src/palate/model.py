"""What a batch fit leaves behind, and the state of one user under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.acquisition.candidates import Candidates
from palate.acquisition.offers import Setting
from palate.acquisition.population import Given, Population
from palate.adaptation import Adaptation
from palate.catalogue import Catalogue
from palate.encoders.behaviour import Behaviour, item_vectors
from palate.encoders.companions import Companions
from palate.encoders.fusion import Block
from palate.encoders.history import HistoryEncoder, HistoryName, HistoryText, Log, RecencyMean
from palate.entities import USER, normalise_id
from palate.errors import AnswerError, IdError, OptionError, UnknownItem
from palate.posteriors.answerability import Answerability
from palate.posteriors.attributes import Attributes, combined, no_wider
from palate.posteriors.concepts import Concept, Concepts
from palate.posteriors.described import Told
from palate.posteriors.fused import FusedPrior
from palate.posteriors.prior import LinearPrior
from palate.posteriors.seconds import Seconds
from palate.posteriors.taste import Belief, Taste

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of ratings.

    Attributes:
        levels: The ratings there are, ascending, where they are at most 20; otherwise lowest and highest.
        like: Rating from which an item counts as liked: the mean of the fitted ratings, rounded up to a level.
    """

    levels: tuple[float, ...]
    like: float

    @property
    def low(self) -> float:
        return self.levels[0]

    @property
    def high(self) -> float:
        return self.levels[-1]

    @property
    def step(self) -> float:
        """Smallest distance of two levels; 0 where the scale is continuous, or has only its ends."""
        return float(np.diff(self.levels).min()) if len(self.levels) > 2 else 0.0

    @property
    def cut(self) -> float:
        """Expected rating from which "will like" is predicted: half-way between ``like`` and the level below it."""
        below = [level for level in self.levels if level < self.like]
        return (below[-1] + self.like) / 2 if below and self.like in self.levels else self.like

    @classmethod
    def of(cls, values: Array) -> Scale:
        """The scale of these ratings, (N,)."""
        levels = np.unique(values)
        mean = float(values.mean())
        if len(levels) > 20:
            return cls((float(levels[0]), float(levels[-1])), mean)
        above = levels[levels >= mean - 1e-9 * (levels[-1] - levels[0])]  # of a mean on a level, rounding
        return cls(tuple(map(float, levels)), float(above[0] if len(above) else levels[-1]))

    def edges(self, n: int) -> Array:
        """Upper ends of ``n`` bins of ratings, (n,): the levels, or bins of equal width where those are not ``n``."""
        few = n == len(self.levels)
        return np.array(self.levels) if few else np.linspace(self.low, self.high, n + 1)[1:]

    def check(self, value: float) -> float:
        """The value, if it lies on the scale.

        Raises:
            AnswerError: If not.
        """
        if not self.low <= value <= self.high:
            raise AnswerError(
                f"the rating {value:g} is off the scale. Give a number from {self.low:g} to {self.high:g}."
            )
        return value


@dataclass(frozen=True, slots=True)
class History:
    """Events that say something before any answer.

    Attributes:
        items: Positions, (n,).
        liking: In [-1, 1], (n,).
        timestamps: Seconds since the epoch, NaN where unknown, (n,).
        kinds: Positions in :data:`palate.encoders.history.KINDS`, (n,).
    """

    items: NDArray[np.intp]
    liking: Array
    timestamps: Array
    kinds: NDArray[np.int64]

    def __add__(self, later: History) -> History:
        return History(
            np.concatenate([self.items, later.items]),
            np.concatenate([self.liking, later.liking]),
            np.concatenate([self.timestamps, later.timestamps]),
            np.concatenate([self.kinds, later.kinds]),
        )

    @property
    def log(self) -> Log:
        """The same as the log of one user."""
        return Log(np.zeros(len(self.items), np.int64), self.items, self.liking, self.timestamps, self.kinds)


@dataclass(frozen=True, slots=True)
class Events:
    """Histories of the users of the data, rows of sparse matrices in order of the events."""

    liking: sparse.csr_matrix
    timestamps: sparse.csr_matrix
    kinds: sparse.csr_matrix

    @property
    def log(self) -> Log:
        """All of them."""
        users = np.repeat(np.arange(self.liking.shape[0]), np.diff(self.liking.indptr))
        items = self.liking.indices.astype(np.int64)
        return Log(users, items, self.liking.data, self.timestamps.data, self.kinds.data.astype(np.int64))

    def of(self, row: int) -> History:
        entries = slice(self.liking.indptr[row], self.liking.indptr[row + 1])
        return History(
            self.liking.indices[entries].astype(np.intp),
            self.liking.data[entries],
            self.timestamps.data[entries],
            self.kinds.data[entries].astype(np.int64),
        )


@dataclass(frozen=True, eq=False)
class Model:
    """All a batch fit finds; nothing here changes with an answer.

    Attributes:
        catalogue: The I items.
        taste: Beliefs about them and how people answer.
        prior: From content to factors, for items still to come.
        answerability: Who can answer what.
        history_prior: From history to taste; None where the data could not teach it.
        user_ids: Users of the data, sorted.
        answers: Their answers, (U, I) CSR.
        events: Their histories.
        scale: Of the answers.
        encoder: Name and revision of the encoder of text, empty without; of others see ``catalogue.blocks``.
        fingerprint: SHA-256 of the data.
        attributes: From attributes of users to taste; None where the data could not teach it.
        users: What the data says of users, those without answers too: user_id, and a column an attribute; None without
            ``attributes``.
        history: What encodes histories (:mod:`palate.encoders.history`).
        behaviour: The Transformer that does, where that is its name.
        companions: What comes with what, of the items fitted on; None where that was not asked for.
        adaptation: What came of adapting the text encoder; None where that was not asked for.
    """

    catalogue: Catalogue
    taste: Taste
    prior: LinearPrior | FusedPrior
    answerability: Answerability
    history_prior: LinearPrior | None
    user_ids: list[str]
    answers: sparse.csr_matrix
    events: Events | None
    scale: Scale
    encoder: tuple[str, str]
    fingerprint: str
    attributes: Attributes | None = None
    users: pl.DataFrame | None = None
    history: HistoryName = "mean"
    behaviour: Behaviour | None = None
    companions: Companions | None = None
    adaptation: Adaptation | None = None

    @cached_property
    def history_encoder(self) -> HistoryEncoder:
        if self.behaviour is not None:
            return self.behaviour
        if self.history == "text":
            from palate.batch import fitted_encoder

            return HistoryText(fitted_encoder(self._text), self.catalogue.names)
        return RecencyMean()

    @cached_property
    def history_vectors(self) -> NDArray[np.floating] | None:
        """The items as the history encoder reads them, (I, E); None where there is nothing to read."""
        if self.history == "factors":
            return self.taste.items.factors
        if self.behaviour is None:
            return self.catalogue.content
        return item_vectors(self.catalogue.content, self.taste.items.level, self.taste.items.factors)

    @cached_property
    def population(self) -> Population:
        """Who the model was fitted on, as strategies see them."""
        levels = self.scale.edges(self.catalogue.levels.shape[1])
        return Population(self.answers, levels, self.taste, self.catalogue.content)

    @cached_property
    def _described(self) -> dict[str, int]:
        return {} if self.users is None else {user: row for row, user in enumerate(self.users[USER])}

    def described(self, user_id: str) -> dict[str, Told]:
        """The attributes of a user by name, as far as the data has them."""
        row = self._described.get(user_id)
        if row is None or self.users is None:
            return {}
        values = self.users.row(row, named=True)
        return {name: value for name, value in values.items() if name != USER and value is not None}

    def candidates(self, exposure: Belief | None = None, given: Given | None = None) -> Candidates:
        """Everything in the catalogue, as a strategy sees it for a user of whom this exposure is believed."""
        exposure = exposure or self.answerability.start()
        everything = Candidates.of_all(
            self.population,
            self.catalogue.levels,
            targets=self.answerability.targets(exposure),
            counts=self.catalogue.counts,
        )
        return everything.aimed(self.answerability, exposure, given or Given.nothing())

    @cached_property
    def concepts(self) -> Concepts:
        """Its categories as directions of taste, learnt from the fitted users; made when first needed."""
        return Concepts.learn(self.taste, self.answers, _by_normal_name(self.catalogue.categories))

    @cached_property
    def _said(self) -> dict[str, Concept]:
        return {}  # a cache: encoding gives the same

    def concept(self, name: str) -> Concept:
        """A category, or something in other words, as a direction of taste.

        Raises:
            UnknownItem: If it is no category, and the model has no encoder that could read it.
        """
        if name in self.concepts.names:
            return self.concepts.of(name)
        if not self.encoder[0]:
            known = ", ".join(self.concepts.names[:12]) or "none"
            raise UnknownItem(
                f"concept {name!r} is unknown: the model has no encoder to read it. The categories are: {known}."
            )
        if name not in self._said:
            self._said[name] = self.concepts.said(self.prior, self._encoded(name))
        return self._said[name]

    def _encoded(self, words: str) -> Array:
        from palate.batch import encode_words

        return np.asarray(self.catalogue.placed("text", encode_words(words, self._text)[None])[0])

    @property
    def _text(self) -> Block:
        block = self.catalogue.block("text")
        if block is None:
            raise OptionError("the model has no encoder of text: 0 items have text. Give the items texts.")
        return block

    @property
    def like_cut(self) -> float:
        """Expected answer from which an item is liked, as beliefs see it."""
        return 0.0 if self.taste.likelihood.kind == "probit" else self.scale.cut

    @property
    def preview_noise(self) -> float:
        """Variance of what somebody makes of a preview, on top of a rating's.

        They see the content, so what it does not say of level and factors they do not know either: ``E[tᵀ Λ t]``, for
        a taste from the population.
        """
        return float(np.trace(self.prior.covariance))

    def concepts_named(self, names: Sequence[str] | None) -> Concepts:
        """Those of these names, categories or other words; all categories if None.

        Raises:
            UnknownItem: If one of them cannot be read.
        """
        if names is None:
            return self.concepts
        normal = dict.fromkeys(normalise_id(name, "concept") for name in names)
        return self.concepts.named({name: self.concept(name) for name in normal})

    def setting(
        self,
        candidates: Candidates,
        belief: Belief,
        allowed: NDArray[np.bool_],
        *,
        seconds: Seconds,
        concepts: Concepts,
        open_concepts: NDArray[np.bool_],
        preview_reach: Array,
    ) -> Setting:
        """What questions of all forms to n users are made of (:class:`palate.acquisition.offers.Setting`)."""
        return Setting(
            candidates=candidates,
            belief=belief,
            allowed=allowed,
            seconds=seconds,
            cut=self.like_cut,
            step=self.scale.step,
            concepts=concepts,
            open_concepts=open_concepts,
            preview_noise=self.preview_noise,
            preview_reach=preview_reach,
        )


def _by_normal_name(categories: Mapping[str, NDArray[np.intp]]) -> dict[str, NDArray[np.intp]]:
    """Those whose name can be told in an answer, by its normal form."""
    named: dict[str, NDArray[np.intp]] = {}
    for name, members in categories.items():
        with suppress(IdError):
            normal = normalise_id(name, "concept")
            named[normal] = np.union1d(named.get(normal, members), members)
    return named


@dataclass(frozen=True, slots=True)
class UserState:
    """What is held about one user.

    Attributes:
        start: Belief before any answer.
        belief: Belief about the taste.
        exposure: Belief about what the user can answer.
        rated: Positions of the rated items, in order.
        values: Their ratings.
        asked: Positions of items that need not be asked again, nor shown: rated, tapped, or answered in any other way.
        posed: Positions of those that were in an answered pair, group or preview: not asked again either, but shown.
        concepts: Names of the concepts answered.
    """

    start: Belief
    belief: Belief
    exposure: Belief
    rated: tuple[int, ...]
    values: tuple[float, ...]
    asked: frozenset[int]
    posed: frozenset[int] = frozenset()
    concepts: frozenset[str] = frozenset()


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
    if without:
        keep = ~np.isin(answers.indices, list(without))
        kept = np.array([0, keep.sum()])
        answers = sparse.csr_matrix((answers.data[keep], answers.indices[keep], kept), shape=answers.shape)
    belief = model.taste.believe(answers, start)
    exposure = model.answerability.believe(model.answers[row])
    rated = tuple(map(int, answers.indices))
    return UserState(
        start,
        Belief(belief.mean[0], belief.covariance[0]),
        _met(model, Belief(exposure.mean[0], exposure.covariance[0]), history, rated),
        rated,
        tuple(map(float, answers.data)),
        frozenset(rated),
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
    return model.taste.prior(prior.predict(encoded, 1)[0], no_wider(prior.covariances(encoded, 1)[0]))
