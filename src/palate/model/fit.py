"""From a data set to a model: the batch fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, TypedDict, get_args

import numpy as np
import polars as pl
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Progress
from palate.datasets.coding import Coded, check_words
from palate.datasets.tables import Dataset
from palate.datasets.views import as_likes, impressions, item_table, texts_of, with_events, without_media
from palate.encoders.blocks import fuse
from palate.encoders.histories.history import HISTORIES, HistoryName, kind_codes
from palate.encoders.items import encode_all
from palate.encoders.media.media import OnCorrupt
from palate.encoders.protocol import Encoder, Modality, check_encoder
from palate.entities import ITEM, USER, Answer
from palate.entities.item_attributes import ItemAttribute
from palate.errors import DataError, OptionError
from palate.errors.checks import count, flag, instance, one_of, shown
from palate.model.adapt_text import Adapt, adapt_text, check_adapt
from palate.model.catalogue import Catalogue
from palate.model.choose import choose_likelihood
from palate.model.choose_events import choose_weights, dimensions
from palate.model.choose_half_life import choose_forgetting
from palate.model.content import contents_of, with_content
from palate.model.counted import weight_in, weights_of
from palate.model.fit_list import likes_of, met_of, repeats_of
from palate.model.fit_users import (
    attributes_of,
    check_history,
    described,
    event_rows,
    events_of,
    history_prior,
    learn_behaviour,
    log_of,
)
from palate.model.friendships import Friendships
from palate.model.item_labels import check_item_attributes, label_blocks, warn_of_empty
from palate.model.item_prior import of_answers, promised
from palate.model.labels import joined
from palate.model.model import Model
from palate.model.scale import Scale, level_shares
from palate.model.slates import learn_none_logit
from palate.model.strengths import learn_strengths
from palate.oracles.item_labels import Gold, labels_of
from palate.posteriors.answerability import Answerability
from palate.posteriors.answers import Answers
from palate.posteriors.fit import Fitted, fit
from palate.posteriors.items import Items, Spread
from palate.posteriors.likelihood import Kind, Likelihood
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.prior import Prior
from palate.posteriors.statistics import pack
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.random import derive_rng
from palate.ranking.fit_list import fit_list
from palate.records import Calibration, Event
from palate.vocabulary import Vocabulary

MOST_DIM = 1024
LIKELIHOODS = ("auto", *get_args(Kind))
MEMORY_BYTES = 1 << 30  # for the covariances of the items; beyond it their diagonal is kept, then one number an item
_AT_ONCE = 4_096  # items nobody rated whose covariances are made together
_log = logging.getLogger(__name__)


class FitArguments(TypedDict, total=False):
    """What a fit may be told, beside its data (:meth:`palate.Learner.fit`)."""

    encoder: str | Encoder
    image: str | Encoder | None
    audio: str | Encoder | None
    categories: bool
    on_corrupt: OnCorrupt
    likelihood: str | Likelihood
    dim: int | None
    history: HistoryName
    companions: bool
    adapt: Adapt
    item_attributes: Iterable[ItemAttribute]


_CHECKS: Mapping[str, Callable[[Any, str], object]] = {
    "encoder": lambda value, _: _check_encoder(value, "text"),
    "image": lambda value, _: None if value is None else _check_encoder(value, "image"),
    "audio": lambda value, _: None if value is None else _check_encoder(value, "audio"),
    "categories": flag,
    "on_corrupt": lambda value, name: one_of(value, get_args(OnCorrupt), name),
    "likelihood": lambda value, name: value if isinstance(value, Likelihood) else one_of(value, LIKELIHOODS, name),
    "dim": lambda value, name: None if value is None else count(value, name, least=1, most=MOST_DIM),
    "history": lambda value, name: one_of(value, HISTORIES, name),
    "companions": flag,
    "adapt": lambda value, name: one_of(value, get_args(Adapt), name),
    "item_attributes": check_item_attributes,
    "data": lambda value, _: instance(value, Dataset, "the data", "a palate.Dataset, such as Dataset.load(path)"),
    "seed": count,
    "progress": lambda value, _: None if value is None else _check_progress(value),
}


def check_arguments(given: Mapping[str, object]) -> dict[str, Any]:
    """The arguments of a fit, if they have known names and each its type: before anything is read or written.

    Raises:
        OptionError: If not.
    """
    return {one_of(name, _CHECKS, "the option of a fit"): _CHECKS[name](value, name) for name, value in given.items()}


def _check_encoder(value: object, modality: Modality) -> str | Encoder:
    return value if isinstance(value, str) else check_encoder(value, modality)


def _check_progress(value: object) -> Progress:
    if not callable(value) or isinstance(value, type):
        raise OptionError(f"progress is {shown(value)}. Give a function of (what, done, of), or None.")
    return value


def fit_model(
    data: Dataset,
    *,
    encoder: str | Encoder = "default",
    likelihood: str | Likelihood = "auto",
    dim: int | None = None,
    labels: Sequence[Answer] = (),
    calibrations: Sequence[Calibration] = (),
    seen: Sequence[Event] = (),
    seed: int = 0,
    progress: Progress | None = None,
    image: str | Encoder | None = None,
    audio: str | Encoder | None = None,
    categories: bool = False,
    on_corrupt: OnCorrupt = "raise",
    history: HistoryName = "mean",
    companions: bool = False,
    adapt: Adapt = "none",
    item_attributes: Sequence[ItemAttribute] = (),
    gold: Mapping[str, Gold] = MappingProxyType({}),
    lists: bool = True,
) -> Model:
    """The model of a data set and the labels since (:meth:`palate.learner.Learner.fit`), of arguments that are checked.

    Args:
        labels: About taste, and about attributes of items.
        calibrations: What the labels of each source count, by subject; the last one of each holds.
        seen: Events since. They are told of the users; what histories say of taste is learnt from them only where the
            data has events too, so that a few do not take the place of all its ratings.
        gold: By the name of an attribute, the options of items of which they are known.
        lists: Whether to learn what histories say of what is met next, which takes most of the time.
    """
    whole, weights = with_events(data, seen), weights_of(calibrations)
    check_history(history, encoder)
    chosen = choose_likelihood(data, likelihood)
    check_adapt(adapt, encoder, chosen)
    values: Literal["rating", "event"] = "event" if chosen.events_only else "rating"
    check_words(whole.interactions, whole.vocabulary)
    coded = (as_likes(whole) if chosen.is_binary else whole).coded(values)
    if len(coded.values) == 0:
        raise DataError(
            f"data set {data.name!r} has no {values} to fit: 0 of {data.interactions.height} rows. Give at least one."
        )
    shape, vocabulary = (len(coded.user_ids), len(coded.item_ids)), whole.vocabulary
    if chosen.events_only:
        vocabulary = learn_strengths(coded, vocabulary, chosen, seed=seed)
        coded = replace(coded, values=coded.strengths(vocabulary))
    scale = Scale.of_events() if chosen.events_only else Scale.of(coded.values, data.scale)
    chosen = chosen.on_scale(scale.low, scale.high)
    answers = Answers.build(coded.users, coded.items, coded.values, shape)
    table = item_table(data, coded.item_ids)
    raw = encode_all(
        table,
        encoder,
        {"image": image, "audio": audio},
        categories=categories,
        folder=data.folder,
        on_corrupt=on_corrupt,
        progress=progress,
        rng=np.random.default_rng(seed),
    )
    heard = joined(answers, labels, chosen, coded.user_ids, coded.item_ids, weights)
    if dim is None:
        chosen = choose_weights(heard.answers, seed=seed) if chosen == Implicit() != likelihood else chosen
        dim = dimensions(heard.answers.values.nnz, heard.answers.values.shape, chosen)
    adaptation = None
    if adapt != "none":
        texts = texts_of(table)
        raw, adaptation = adapt_text(
            adapt, raw, texts, heard.answers.values, chosen, dim=dim, seed=seed, progress=progress
        )
    said = tuple(labels_of(one, labels, calibrations, gold.get(one.name, {})) for one in item_attributes)
    fused = fuse([*raw, *label_blocks(said, coded.item_ids)])
    report = None if progress is None else lambda done, of: progress("fitting", done, of)
    taste, prior, user_noise = fit_taste(
        heard.answers,
        chosen,
        None if fused is None else fused.vectors,
        dim=dim,
        seed=seed,
        progress=report,
        sizes=None if fused is None else fused.sizes,
    )
    counts = np.bincount(heard.rated.indices, minlength=shape[1]).astype(np.float64)
    told = heard.rated.sign() if chosen.events_only else heard.rated
    catalogue = Catalogue.holding(without_media(table), fused, counts, level_shares(told, scale))
    shown = impressions(whole)
    done = whole if values == "rating" else shown  # what is an answer is no history too
    warn_of_empty(said, catalogue)
    events = events_of(done, coded.user_ids, coded.item_ids, vocabulary)
    attributes = attributes_of(data, taste, answers.values, coded.user_ids, seed)
    kinds = _kinds(coded, vocabulary)
    taught = events if not chosen.events_only and (not seen or not event_rows(data).is_empty()) else None
    log, early = log_of(answers.values, taught, coded.timestamps, coded.users, kinds, seed)
    behaviour = learn_behaviour(history, log, taste, catalogue.content, shape[0], seed, progress)
    met = met_of(coded, chosen, scale, events)
    friendships = Friendships(data.friends) if data.friends.height else None
    if friendships is not None:
        met = replace(met, friends=friendships.among(coded.user_ids))
    model = Model(
        catalogue=catalogue,
        taste=taste,
        prior=prior,
        answerability=Answerability.fit(_met(heard.rated, shown, coded), rng=np.random.default_rng(seed)),
        history_prior=None,
        user_ids=coded.user_ids,
        answers=answers.values,
        user_noise=user_noise[: shape[0]],
        events=events,
        scale=scale,
        encoder=catalogue.encoder("text"),
        fingerprint=data.fingerprint(),
        attributes=attributes,
        users=None if attributes is None else described(data, attributes),
        history=history,
        behaviour=behaviour,
        list_model=replace(
            fit_list(
                met,
                likes=likes_of(chosen, scale, seed),
                contents=contents_of(catalogue),
                rng=derive_rng(seed, "list"),
            ),
            repeats=repeats_of(whole, coded) if chosen.events_only else None,
        )
        if lists
        else None,
        adaptation=adaptation,
        labels=heard.labels,
        item_labels=said,
        vocabulary=vocabulary,
        forgetting=choose_forgetting(coded, answers, chosen),
        friendships=friendships,
    )
    model = with_content(model, heard.answers.values, user_noise, met, seed)
    none_logit = learn_none_logit(model, [label for label in labels if weight_in(label, weights) == 1.0])
    return replace(model, history_prior=history_prior(model, log, early, progress), none_logit=none_logit)


def fit_taste(
    answers: Answers,
    likelihood: Likelihood,
    content: NDArray[np.float32] | None,
    *,
    dim: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    sizes: Sequence[int] | None = None,
) -> tuple[Taste, Prior, Array]:
    """Beliefs about all items, those nobody rated too, the prior they come from, and the noise of each user.

    Args:
        answers: (U, I); at least one.
        content: Encodings of the items, (I, E).
        sizes: Columns of each block of it, where there are several or items lack one: that is NaN then.
    """
    answers = observed(answers, likelihood)
    rated = np.unique(answers.values.indices)  # the others would only repeat what the prior says, and slow it down
    encodings = np.zeros((answers.values.shape[1], 0)) if content is None else content.astype(np.float64)
    fitted = fit(
        answers.of_items(rated),
        likelihood=likelihood,
        options=FitOptions(dim=dim),
        content=encodings[rated],
        sizes=sizes,
        rng=np.random.default_rng(seed),
        progress=progress,
    )
    if not likelihood.events_only:
        counts = np.bincount(answers.values.indices, minlength=len(encodings))[rated].astype(np.float64)
        fitted = replace(fitted, prior=of_answers(fitted.prior, fitted.factors, encodings[rated], counts))
    return Taste.build(items_of(fitted, rated, encodings), fitted.likelihood), fitted.prior, fitted.user_noise


def observed(answers: Answers, likelihood: Likelihood) -> Answers:
    """Answers as the fit takes them."""
    values, weights = likelihood.observed(answers.values.data)
    if weights is not None and answers.weights is not None:
        weights = weights * answers.weights
    return Answers(answers.matrix(values), answers.weights if weights is None else weights)


def items_of(fitted: Fitted, rated: NDArray[np.intp], encodings: Array) -> Items:
    """Beliefs about all items; of those nobody rated, what their content says, as unsure as it is."""
    means, covariances, noise = fitted.factors, fitted.covariances, fitted.noise
    n_items, size = len(encodings), means.shape[1]
    if len(rated) < n_items:
        others = np.setdiff1d(np.arange(n_items), rated)
        means, covariances = np.empty((n_items, size)), np.empty((n_items, covariances.shape[1]))
        means[rated], covariances[rated] = fitted.factors, fitted.covariances
        for some in np.split(others, range(_AT_ONCE, len(others), _AT_ONCE)):
            means[some], spread = promised(fitted.prior, encodings[some], lambda: encodings[rated])
            covariances[some] = pack(spread)
        noise = np.full(n_items, float(np.median(fitted.noise)))
        noise[rated] = fitted.noise
    form = Spread.form_within(n_items, size, MEMORY_BYTES)
    _log.info("keeping the %s covariances of %d items with %d dimensions", form, n_items, size)
    return Items.of_packed(means, covariances, noise, form)


def _met(answers: sparse.csr_matrix, shown: Dataset, coded: Coded) -> sparse.csr_matrix:
    """Who has met what, (U, I): what was answered, and what was shown."""
    if shown.interactions.is_empty():
        return answers
    rows, columns = ({name: place for place, name in enumerate(ids)} for ids in (coded.user_ids, coded.item_ids))
    users = shown.interactions[USER].replace_strict(rows, return_dtype=pl.Int64).to_numpy()
    items = shown.interactions[ITEM].replace_strict(columns, return_dtype=pl.Int64).to_numpy()
    met = sparse.csr_matrix((np.ones(len(users)), (users, items)), shape=answers.shape)
    met = sparse.csr_matrix(abs(answers) + met)
    met.sum_duplicates()
    return met


def _kinds(coded: Coded, vocabulary: Vocabulary) -> NDArray[np.int64] | None:
    """Kind of event of each coded row; None of ratings."""
    return None if coded.words is None else kind_codes(coded.names, vocabulary)[coded.words]
