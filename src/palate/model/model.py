"""What a batch fit leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.blocks import Block, BlockName
from palate.encoders.histories.behaviour import Behaviour, item_vectors
from palate.encoders.histories.events import Events
from palate.encoders.histories.history import KINDS, HistoryEncoder, HistoryName, HistoryText, RecencyMean
from palate.encoders.protocol import Encoder, check_encoder
from palate.encoders.text.words import words_of
from palate.entities import USER
from palate.errors import IdError, OptionError, UnknownItem, did_you_mean, some_of
from palate.errors.checks import normalise_words, several
from palate.model.adapt_text import Adaptation
from palate.model.catalogue import Catalogue
from palate.model.counted import Told as Labels
from palate.model.friendships import Friendships
from palate.model.item_labels import not_kept
from palate.model.liked import Liked
from palate.model.scale import Scale
from palate.model.titles import Titles
from palate.oracles.item_labels import ItemLabels
from palate.posteriors.answerability import Answerability
from palate.posteriors.attribute_coding import Told
from palate.posteriors.attributes import Attributes
from palate.posteriors.choices import Draw, Options, drawn
from palate.posteriors.concepts import Concept, Concepts
from palate.posteriors.content_part import ContentPart, Rows
from palate.posteriors.forgetting import Forgetting
from palate.posteriors.items import Items, MovedItems
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.population import Population
from palate.posteriors.prior import Prior
from palate.posteriors.taste import Taste
from palate.random import derive_rng
from palate.ranking.experts.content import Likeness, NewItems
from palate.ranking.list_model import ListModel
from palate.ranking.shortlist import Layout
from palate.vocabulary import Vocabulary

_NEARLY_ALL = 0.9


@dataclass(frozen=True, eq=False)
class Model:
    """All a batch fit finds, or the same with what its items have learnt since (:meth:`learnt`).

    Attributes:
        catalogue: The I items.
        taste: Beliefs about them and how people answer.
        prior: From content to factors, for items still to come.
        answerability: Who can answer what.
        history_prior: From history to taste; None where the data could not teach it.
        user_ids: Users of the data, sorted.
        answers: Their answers, (U, I) CSR.
        events: Their histories.
        user_noise: ν, by which the noise of each user's answers is multiplied, (U,); 1 where none is learnt.
        scale: Of the answers.
        encoder: Name and revision of the encoder of text, empty without; of others see ``catalogue.blocks``.
        fingerprint: SHA-256 of the data.
        attributes: From attributes of users to taste; None where the data could not teach it.
        users: What the data says of users, those without answers too: user_id, and a column an attribute; None without
            ``attributes``.
        history: What encodes histories (:mod:`palate.encoders.histories.history`).
        behaviour: The Transformer that does, where that is its name.
        list_model: What somebody meets next; None of models saved by older versions.
        adaptation: What came of adapting the text encoder; None where that was not asked for.
        forgetting: How fast what people said fades; None: not at all.
        none_logit: Logit of clicking nothing in a slate; None where no answers say how often that is.
        content_variances: Of words and of vectors in answers (:mod:`palate.posteriors.content_part`).
        new_item_weights: Of words and of vectors in who meets a new item (:mod:`palate.ranking.experts.content`).
        labels: By user and position, the rows that labels put in the place of those of the data in this fit.
        withdrawn: Ids of items that are shown and asked about no more; what was said of them counts as before.
        item_labels: What those who label items said of each attribute that the fit was told of.
        vocabulary: What events mean, with the strengths that the fit has learnt.
        friendships: Who follows whom, as the data says; None where it says nothing.
        fitted: As the fit left it, where items have learnt since; None: this is it.
    """

    catalogue: Catalogue
    taste: Taste
    prior: Prior
    answerability: Answerability
    history_prior: LinearPrior | None
    user_ids: list[str]
    answers: sparse.csr_matrix
    user_noise: Array
    events: Events | None
    scale: Scale
    encoder: tuple[str, str]
    fingerprint: str
    attributes: Attributes | None = None
    users: pl.DataFrame | None = None
    history: HistoryName = "mean"
    behaviour: Behaviour | None = None
    list_model: ListModel | None = None
    adaptation: Adaptation | None = None
    none_logit: float | None = None
    forgetting: Forgetting | None = None
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    labels: Labels = field(default_factory=dict)
    content_variances: tuple[float, float] = (0.0, 0.0)
    new_item_weights: tuple[float, float] = (0.0, 0.0)
    withdrawn: frozenset[str] = frozenset()
    item_labels: tuple[ItemLabels, ...] = ()
    friendships: Friendships | None = None
    fitted: Model | None = None

    def learnt(self, items: Items, catalogue: Catalogue) -> Model:
        """With items that have learnt since the fit. All that is made of its people and of histories stays as it is."""
        return replace(self, taste=replace(self.taste, items=items), catalogue=catalogue, fitted=self.fitted or self)

    @cached_property
    def moved_items(self) -> MovedItems:
        """The items, of which a few can lie elsewhere for a while."""
        return MovedItems(self.taste.items)

    @cached_property
    def out_of_lists(self) -> NDArray[np.intp]:
        """Positions of those that are withdrawn, or that a filter on an attribute leaves out; ascending."""
        if self.fitted is not None:
            return self.fitted.out_of_lists
        out = not_kept(self.item_labels, self.catalogue)
        out[self.catalogue.known_positions(sorted(self.withdrawn))] = True
        return np.flatnonzero(out)

    @cached_property
    def history_encoder(self) -> HistoryEncoder:
        if self.fitted is not None:
            return self.fitted.history_encoder
        if self.behaviour is not None:
            return self.behaviour
        if self.history == "text":
            from palate.encoders.items import fitted_encoder

            return HistoryText(fitted_encoder(self._text), self.catalogue.names)
        return RecencyMean()

    @cached_property
    def history_vectors(self) -> NDArray[np.floating] | None:
        """The items as the history encoder reads them, (I, E); None where there is nothing to read."""
        if self.fitted is not None:
            return self.fitted.history_vectors
        if self.history == "factors":
            return self.taste.items.factors
        if self.behaviour is None:
            return self.catalogue.content
        return item_vectors(self.catalogue.content, self.taste.items.level, self.taste.items.factors)

    @cached_property
    def content_rows(self) -> Rows | None:
        """The content of its items as rows; None without words and text."""
        if self.fitted is not None:
            return self.fitted.content_rows
        words, vectors = self.catalogue.words, self.catalogue.columns("text")
        return None if words is None and vectors is None else Rows.of(None if words is None else words.rows, vectors)

    @property
    def content_part(self) -> ContentPart | None:
        """What somebody's answers say of other items by content alone; None where that tells nothing."""
        if self.content_rows is None or self.content_variances == (0.0, 0.0):
            return None
        return ContentPart(self.content_rows, self.content_variances)

    @cached_property
    def likenesses(self) -> tuple[Likeness | None, Likeness | None]:
        """Of its items, by words and by the text encoder's vectors."""
        if self.fitted is not None:
            return self.fitted.likenesses
        words, vectors = self.catalogue.words, self.catalogue.columns("text")
        return (
            None if words is None else Likeness.of_words(words.rows),
            None if vectors is None else Likeness.of_vectors(vectors),
        )

    @property
    def new_items(self) -> NewItems | None:
        """What speaks for items that nobody has met; None without content."""
        if not any(self.new_item_weights):
            return None
        return NewItems(self.likenesses, self.new_item_weights, self.catalogue.counts == 0.0)

    def believing(self, variances: tuple[float, float], weights: tuple[float, float]) -> Model:
        """The same with other ``content_variances`` and ``new_item_weights``."""
        return replace(self, content_variances=variances, new_item_weights=weights)

    @cached_property
    def population(self) -> Population:
        """Who the model was fitted on, as strategies see them."""
        before = None if self.fitted is None else self.fitted.population
        parts = self.answers, self.level_values, self.taste, self.catalogue.content
        return Population(*parts, before, self.user_noise, self.answer_weights)

    @cached_property
    def answer_weights(self) -> Array | None:
        """How much of each answer of the data was left when its user was heard last, (N,); None where nothing fades."""
        if self.fitted is not None:
            return self.fitted.answer_weights
        return None if self.forgetting is None else self.forgetting.weights(self.answers.indptr)

    @property
    def level_values(self) -> Array:
        """The rating that each column of the catalogue's levels stands for, ascending, (R,)."""
        return self.scale.edges(self.catalogue.levels.shape[1])

    @property
    def given_encoders(self) -> dict[str, Encoder]:
        """The encoders that were given as objects, by the name of the fit's argument."""
        given = ((block.name, block.given) for block in self.catalogue.blocks)
        return {"encoder" if name == "text" else name: encoder for name, encoder in given if encoder is not None}

    def encoded_by(self, encoders: Iterable[Encoder], *, left_out: bool = False) -> Model:
        """The same with these encoders in the place of names.

        Raises:
            OptionError: If it was not fitted with one of them, unless such are ``left_out``.
        """
        own = {check_encoder(one).name: one for one in several(encoders, "encoders", "[Letters()]")}
        for block in self.catalogue.blocks:
            if block.encoder in own:
                block.check_revision(own[block.encoder].revision)
        blocks = tuple(replace(block, given=own.get(block.encoder, block.given)) for block in self.catalogue.blocks)
        strange = sorted(set(own) - {block.encoder for block in blocks})
        if strange and not left_out:
            raise OptionError(f"the model was not fitted with the encoder {strange[0]!r}. Leave it out.")
        return replace(self, catalogue=replace(self.catalogue, blocks=blocks)) if own else self

    @cached_property
    def list_layout(self) -> Layout:
        """Its items, as the fit left them, for lists out of a large catalogue; made when first needed."""
        if self.fitted is not None:
            return self.fitted.list_layout
        events_only = self.taste.likelihood.events_only
        level = self.taste.items.level if events_only else self.taste.like_level(self.like_cut)
        return Layout.build(self.taste.items, level, self.answerability)

    @cached_property
    def average_item(self) -> tuple[float, Array]:
        """Level and factors of the mean item, the latter (D,)."""
        return float(self.taste.items.level.mean()), self.taste.items.factors.mean(0)

    @cached_property
    def usual_kind(self) -> str:
        """The kind that nine in ten of the events that speak for an item are; empty where there is none."""
        if self.fitted is not None or self.events is None:
            return "" if self.fitted is None else self.fitted.usual_kind
        kinds = np.bincount(self.events.kinds.data[self.events.liking.data > 0].astype(np.intp), minlength=1)
        usual = int(kinds.argmax())
        return KINDS[usual] if kinds[usual] >= _NEARLY_ALL * max(kinds.sum(), 1) else ""

    @cached_property
    def liked(self) -> Liked:
        """Who of the data liked what; made when first needed."""
        if self.fitted is not None:
            return self.fitted.liked
        return Liked.of(self.answers, self.scale.like, self.events)

    @cached_property
    def titles(self) -> Titles:
        """What its items are called."""
        return Titles(self.catalogue.names, self.catalogue.counts) if self.fitted is None else self.fitted.titles

    @cached_property
    def recall_options(self) -> Options:
        """Everything, as what somebody names who is asked for one they like; of a large catalogue the same draw always.

        Coming to mind is a matter of popularity: ``log(n + 1/2)``, n the answers of an item.
        """
        options, draw = self.taste.recall_options(self.catalogue.counts), self._recall_draw
        return options if draw is None else draw.of(options)

    @cached_property
    def _recall_draw(self) -> Draw | None:
        if self.fitted is not None:
            return self.fitted._recall_draw
        options = self.taste.recall_options(self.catalogue.counts)
        return drawn(options.logits, rng=derive_rng(0, "recall", self.fingerprint))

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each fitted user."""
        if self.fitted is not None:
            return self.fitted.rows
        return {user: row for row, user in enumerate(self.user_ids)}

    @cached_property
    def _described(self) -> dict[str, int]:
        if self.fitted is not None:
            return self.fitted._described
        return {} if self.users is None else {user: row for row, user in enumerate(self.users[USER])}

    def described(self, user_id: str) -> dict[str, Told]:
        """The attributes of a user by name, as far as the data has them."""
        row = self._described.get(user_id)
        if row is None or self.users is None:
            return {}
        values = self.users.row(row, named=True)
        return {name: value for name, value in values.items() if name != USER and value is not None}

    @cached_property
    def concepts(self) -> Concepts:
        """Its categories as directions of taste, learnt from the fitted users; made when first needed."""
        if self.fitted is not None:
            return self.fitted.concepts
        return Concepts.learn(self.taste, self.answers, _by_normal_name(self.catalogue.categories))

    @cached_property
    def _said(self) -> dict[str, Concept]:
        return {} if self.fitted is None else self.fitted._said  # a cache: encoding gives the same

    def concept(self, name: str) -> Concept:
        """A category, or something in other words, as a direction of taste.

        Raises:
            UnknownItem: If it is no category, and the model has no encoder that could read it.
        """
        if name in self.concepts.names:
            return self.concepts.of(name)
        if not self.encoder[0]:
            near = did_you_mean(name, self.concepts.names)
            known = f"{near} The categories are: {some_of(self.concepts.names)}.".strip()
            raise UnknownItem(f"concept {name!r} is unknown: the model has no encoder to read it. {known}")
        if name not in self._said:
            self._said[name] = self.concepts.said(self.prior, self._encoded(name))
        return self._said[name]

    def _encoded(self, words: str) -> Array:
        from palate.encoders.items import encode_words

        vectors: dict[BlockName, Array] = {"text": encode_words(words, self._text)}
        if self.catalogue.words is not None:
            of_words = self.catalogue.words.words
            vectors["words"] = of_words.vectors(of_words.rows([list(words_of(words))]))[0].astype(np.float64)
        return self.catalogue.placed(vectors)

    @property
    def _text(self) -> Block:
        block = self.catalogue.block("text")
        if block is None:
            raise OptionError("the model has no encoder of text: 0 items have text. Give the items texts.")
        return block

    @property
    def like_cut(self) -> float:
        """Expected answer from which an item is liked, as beliefs see it."""
        return self.taste.likelihood.threshold(self.scale.cut)

    @property
    def level_step(self) -> float:
        """Smallest distance of two levels of answers, as beliefs see it; 0 where the scale is continuous."""
        threshold, scale = self.taste.likelihood.threshold, self.scale
        if not scale.step or self.taste.likelihood.is_binary:
            return scale.step
        return scale.step * (threshold(scale.high) - threshold(scale.low)) / (scale.high - scale.low)

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
        normal = dict.fromkeys(normalise_words(name, "concept") for name in names)
        return self.concepts.named({name: self.concept(name) for name in normal})


def _by_normal_name(categories: Mapping[str, NDArray[np.intp]]) -> dict[str, NDArray[np.intp]]:
    """Those whose name can be told in an answer, by its normal form."""
    named: dict[str, NDArray[np.intp]] = {}
    for name, members in categories.items():
        with suppress(IdError):
            normal = normalise_words(name, "concept")
            named[normal] = np.union1d(named.get(normal, members), members)
    return named
