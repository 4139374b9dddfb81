"""Recommendation quality, offline: lists against tuned baselines, predicted ratings, honest intervals."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate import __version__
from palate.arrays import Array
from palate.datasets import splits
from palate.datasets.coding import Coded
from palate.datasets.splits import Split
from palate.datasets.tables import Dataset
from palate.datasets.views import item_table, texts_of
from palate.entities import RATING, TIMESTAMP
from palate.errors import DataError, OptionError
from palate.evaluation import metrics
from palate.evaluation import palate_ranker as own
from palate.evaluation.baselines import Interactions
from palate.evaluation.baselines import Model as Ranker
from palate.evaluation.ranking import evaluate_ranking
from palate.evaluation.rivals import default_grids
from palate.evaluation.tuning import Grid
from palate.learner import Learner
from palate.model.model import Model
from palate.model.strengths import learn_strengths
from palate.posteriors.belief import Belief
from palate.posteriors.likelihoods import Implicit
from palate.random import derive_rng
from palate.runners import Runner
from palate.vocabulary import Vocabulary

BY_TIME = ("global-time", "leave-last-out")
SPLITS = (*BY_TIME, "random", "stratified-user", "stratified-item")
NO_OTHERS: Mapping[str, Sequence[Ranker]] = MappingProxyType({})
_DAMPING = 5.0  # average ratings assumed in advance for the item means that stand beside
_BLOCK = 256  # users predicted at once


def evaluate(
    data: Dataset | Split,
    *,
    split: str = "random",
    models: Sequence[str] | None = None,
    others: Mapping[str, Sequence[Ranker]] = NO_OTHERS,
    k: int = 10,
    seed: int = 0,
    encoder: str = "none",
    runner: Runner | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Palate's list beside other recommenders, tuned on rows held back inside the training part only, in one run.

    Args:
        data: A data set, or one that is split already, such as by another library.
        split: Of a data set: ``global-time``, ``leave-last-out``, ``random`` (8:1:1), ``stratified-user`` or
            ``stratified-item`` (75/25, Microsoft Recommenders' protocol). Of a split by time settings are chosen by the
            same split of the training part.
        models: Names; all if None. A model that is named and cannot run is an error, one that is not is listed in
            ``left_out`` with the reason.
        others: Further rankers by name, each with the settings to choose from, judged whatever ``models`` says.
        encoder: Of the items' text, for predicted ratings.
        runner: Where the models are tuned, fitted and judged: see :func:`evaluate_ranking`.
    Returns:
        ``evaluate.json``: what :func:`evaluate_ranking` gives, ``command`` where one gives the same, ``dataset``,
        ``sha256`` of its tables, ``split`` (``given`` if it was), ``left_out``, ``notes`` (what to know of the split,
        such as rows without a timestamp), ``events`` (the strengths learnt of the training part, below 0 where an event
        is against) and, where the data has ratings, ``ratings``.
    """
    parts = data if isinstance(data, Split) else _split(data, split, seed)
    data, given = (data.whole, True) if isinstance(data, Split) else (data, False)
    coded = data.coded("event")
    vocabulary = learn_strengths(parts.train.coded("event"), data.vocabulary, Implicit(), seed=seed)
    train, test = (interactions_of(part, coded, vocabulary) for part in (parts.train, parts.test))
    validation = None if parts.validation is None else interactions_of(parts.validation, coded, vocabulary)
    texts = tuple(texts_of(item_table(data, list(coded.item_ids))))
    rivals, left_out = default_grids(train, texts)
    grids: dict[str, Grid | Sequence[Ranker]] = {"palate": own.grid(), **rivals}
    if models is not None:
        grids = {name: grids[name] for name in (_known(name, grids, left_out) for name in models)}
        left_out = {}
    if twice := grids.keys() & others:
        raise OptionError(f"{min(twice)!r} is the name of a model that is here already. Give yours another name.")
    document = evaluate_ranking(
        {**grids, **others},
        train,
        validation,
        test,
        k=k,
        rng=derive_rng(seed, "evaluate"),
        runner=runner,
        progress=progress,
    )
    if data.interactions[RATING].drop_nulls().len():
        progress("ratings")
        document["ratings"] = rating_quality(parts, encoder=encoder, seed=seed)
    named = "" if models is None else f" --models {','.join(models)}"
    command = f"palate evaluate {shlex.quote(data.name)} --split {split}{named} --seed {seed}"
    return {
        "palate": __version__,
        **({} if given or others else {"command": command}),
        "dataset": data.name,
        "sha256": data.fingerprint(),
        "split": "given" if given else split,
        "seeds": [seed],
        "left_out": left_out,
        "notes": [] if given else notes_of(data, split),
        "events": {name: vocabulary.liking(name) for name in vocabulary.learnt},
        **document,
    }


def _known(name: str, grids: dict[str, Any], left_out: dict[str, str]) -> str:
    if name in left_out:
        raise OptionError(f"model {name!r} cannot run here: {left_out[name]}. Leave it out of the models.")
    if name not in grids:
        raise OptionError(f"model {name!r} is unknown. There are {', '.join([*grids, *left_out])}.")
    return name


def notes_of(data: Dataset, split: str) -> list[str]:
    """What a split by time does where times are missing."""
    missing, rows = data.interactions[TIMESTAMP].null_count(), data.interactions.height
    if split not in BY_TIME or not missing:
        return []
    if split == "leave-last-out":
        if missing == rows:
            return [
                f"None of the {rows:,} rows has a timestamp: of each user one item is left out at random, not the last."
            ]
        return [f"{missing:,} of {rows:,} rows have no timestamp: they count as earlier than all others of their user."]
    return [f"{missing:,} of {rows:,} rows have no timestamp: they are in the training part."]


def _split(data: Dataset, name: str, seed: int) -> Split:
    rng = derive_rng(seed, "split")
    if name in BY_TIME:
        whole = _by_time(data, name, rng)
        try:
            inner = _by_time(whole.train, name, rng)
        except DataError:  # one moment is left: settings are chosen on rows drawn
            return whole
        return Split(inner.train, whole.test, inner.test) if inner.test.interactions.height else whole
    if name == "random":
        return splits.random_split(data, rng=rng)
    if name == "stratified-user":
        return splits.stratified(data, by="user", rng=rng)
    if name == "stratified-item":
        return splits.stratified(data, by="item", rng=rng)
    raise OptionError(f"split {name!r} is unknown. Use one of {', '.join(SPLITS)}.")


def _by_time(data: Dataset, name: str, rng: np.random.Generator) -> Split:
    return splits.global_time(data) if name == "global-time" else splits.leave_last_out(data, rng=rng)


def interactions_of(part: Dataset, whole: Coded, vocabulary: Vocabulary) -> Interactions:
    """A part in the numbers of the whole."""
    coded = part.coded("event")
    users = np.searchsorted(np.array(whole.user_ids), np.array(coded.user_ids))
    items = np.searchsorted(np.array(whole.item_ids), np.array(coded.item_ids))
    return Interactions(
        users[coded.users],
        items[coded.items],
        coded.strengths(vocabulary),
        coded.timestamps,
        len(whole.user_ids),
        len(whole.item_ids),
    )


def rating_quality(parts: Split, *, encoder: str, seed: int) -> dict[str, Any]:
    """Predicted ratings of the test rows by a model fitted on the others, and by damped item means.

    Returns:
        ``rmse``, ``mae``, accuracy, precision, recall, F1 of "will like", ``coverage_95``: the share of ratings inside
        central 95 % intervals; for likes ``calibration_error`` of P(like); ``item_means``: RMSE of the means.
    """
    train = parts.train
    if parts.validation is not None:
        train = replace(train, interactions=pl.concat([train.interactions, parts.validation.interactions]))
    model = Learner.fit(train, encoder=encoder, seed=seed).model
    rows, columns, observed = held_out_rows(model, parts.test)
    mean, std = predict_rows(model, rows, columns)
    document: dict[str, Any] = {"rows": len(observed), "likelihood": model.taste.likelihood.kind}
    document |= {"rmse": metrics.rmse(mean, observed), "mae": metrics.mae(mean, observed)}
    if model.taste.likelihood.is_binary:
        document["calibration_error"] = metrics.expected_calibration_error(mean, observed)
        return document | _will_like(model, mean, observed)
    document["coverage_95"] = metrics.interval_coverage(mean, std, observed)
    document["item_means"] = metrics.rmse(_item_means(model)[columns], observed)
    return document | _will_like(model, mean, observed)


def _will_like(model: Model, mean: Array, observed: Array) -> dict[str, float]:
    """Accuracy and so on of "will like": expected at or above the cut, rated at or above ``like``."""
    return metrics.will_like(mean - model.scale.cut, np.where(observed >= model.scale.like, 1.0, -1.0), threshold=0.0)


def held_out_rows(model: Model, test: Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Rows of the test whose user and item the model knows: positions of both, and the rating, (N,) each."""
    coded = test.coded()
    users = {user: row for row, user in enumerate(model.user_ids)}
    rows = np.array([users.get(user, -1) for user in coded.user_ids], dtype=np.intp)[coded.users]
    columns = np.array(
        [model.catalogue.position(item) if item in model.catalogue else -1 for item in coded.item_ids], dtype=np.intp
    )[coded.items]
    known = (rows >= 0) & (columns >= 0)
    return rows[known], columns[known], coded.values[known]


def predict_rows(model: Model, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Array, Array]:
    """Expected answer and standard deviation of the answer (of likes: P(like) and its own), (N,) each."""
    belief = model.taste.believe(model.answers, of_users=model.user_noise, weights=model.answer_weights)
    noise = model.user_noise[rows] * model.taste.items.noise[columns]
    mean, variance = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, belief.mean.shape[0], _BLOCK):
        users = slice(start, start + _BLOCK)
        entries = np.flatnonzero((rows >= start) & (rows < start + _BLOCK))
        means, variances = model.taste.items.predict(belief.of(users))
        cells = rows[entries] - start, columns[entries]
        mean[entries] = means[cells] + _content(model, belief.of(users), rows[entries], columns[entries], start)
        variance[entries] = variances[cells] + noise[entries] - model.taste.items.noise[columns[entries]]
    likelihood = model.taste.likelihood
    return likelihood.expected(mean, variance, noise), np.sqrt(likelihood.answer_variance(mean, variance))


def _content(model: Model, belief: Belief, rows: NDArray[np.intp], columns: NDArray[np.intp], first: int) -> Array:
    """By how much the content of what users answered moves what is expected, (n,); the beliefs begin with a user."""
    moved, part, answers = np.zeros(len(rows)), model.content_part, model.answers
    if part is None:
        return moved
    for user in np.unique(rows):
        own, here = slice(answers.indptr[user], answers.indptr[user + 1]), rows == user
        told = (answers.indices[own], answers.data[own], float(model.user_noise[user]))
        left = () if model.answer_weights is None else model.answer_weights[own].tolist()
        moved[here] = part.shift(model.taste, model.taste.start, belief.of(user - first), *told, left)[columns[here]]
    return moved


def _item_means(model: Model) -> Array:
    answers = model.answers
    overall = answers.data.mean()
    sums = np.bincount(answers.indices, answers.data, minlength=answers.shape[1])
    counts = np.bincount(answers.indices, minlength=answers.shape[1])
    return np.asarray((sums + _DAMPING * overall) / (counts + _DAMPING))
