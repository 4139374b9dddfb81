"""From shards to a model: the batch fit of answers that are not all in memory."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse

from palate.arrays import Array, Progress, Vectors
from palate.datasets.views import without_media
from palate.encoders.blocks import Content, fuse
from palate.encoders.items import encode_all
from palate.encoders.protocol import Encoder
from palate.errors import OptionError
from palate.model.catalogue import Catalogue
from palate.model.choose_events import choose_weights, dimensions
from palate.model.content import contents_of, with_content
from palate.model.fit import items_of
from palate.model.fit_list import likes_of, met_by
from palate.model.item_prior import of_answers
from palate.model.model import Model
from palate.model.scale import Scale, level_shares
from palate.posteriors import likelihoods
from palate.posteriors.answerability import Answerability
from palate.posteriors.answers import Answers
from palate.posteriors.fit import Fitted
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Probit
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.random import derive_rng
from palate.ranking.fit_list import fit_list
from palate.runners import Runner
from palate.scale.checkpoint import Checkpoints
from palate.scale.fit import Exchange, fit_shards
from palate.scale.shards import Shards
from palate.vocabulary import Vocabulary

LISTED = 20_000_000  # answers, of more of which no model of lists is made: it needs them all at once
SAMPLE = 2_000_000  # answers, about, of whole shards, from which is learnt who can answer what, and what events weigh


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How a model is fitted to shards.

    Attributes:
        likelihood: ``auto``, or a name; not ``ordered``.
        dim: Taste dimensions to begin with; None: as a fit in one process begins.
        encoder: Of the items' text, or ``none``.
        exchange: As what sums go from task to task.
        checkpoint: A folder from which a fit that was stopped goes on; None: none.
        every: Sweeps between two checkpoints.
        resume: Whether it goes on from there.
        seed: Of every draw.
    """

    likelihood: str = "auto"
    dim: int | None = None
    encoder: str | Encoder = "default"
    exchange: Exchange = "float64"
    checkpoint: Path | None = None
    every: int = 5
    resume: bool = False
    seed: int = 0


def fit_model_of(shards: Shards, options: ShardOptions, *, runner: Runner, progress: Progress | None = None) -> Model:
    """The model of all answers in shards.

    Its users keep their answers, 12 bytes each, as in a model that one process has fitted. What it has not: histories,
    attributes of users and forgetting; and of more than :data:`LISTED` answers a model of lists.

    Raises:
        DataError: If there is no answer, or a shard is missing or damaged.
        OptionError: If the likelihood cannot be fitted on shards.
        CheckpointError: If the checkpoint is of another fit.
    """
    sample = None if shards.kind != "events" else _answers(shards, range(_sampled(shards)))
    likelihood = _likelihood(shards, options, sample)
    dim = _dim(shards, likelihood) if options.dim is None else options.dim
    table, counts = shards.items_table(), shards.item_counts()
    content = _content(table, options, progress)
    report = None if progress is None else lambda done, of: progress("fitting", done, of)
    with tempfile.TemporaryDirectory(prefix="palate-content-") as folder:
        fitted = fit_shards(
            shards,
            likelihood=likelihood,
            options=FitOptions(dim=dim),
            runner=runner,
            rng=np.random.default_rng(options.seed),
            content=None if content is None else _written(content.vectors[counts > 0], Path(folder)),
            sizes=None if content is None else content.sizes,
            exchange=options.exchange,
            checkpoints=_checkpoints(shards, options, dim, likelihood, content),
            progress=report,
        )
    return _model(shards, options, fitted, table, content, counts.astype(np.float64))


def _likelihood(shards: Shards, options: ShardOptions, sample: sparse.csr_matrix | None) -> Likelihood:
    if options.likelihood != "auto":
        found = likelihoods.named(options.likelihood)
        if found.events_only != (shards.kind == "events"):
            raise OptionError(f"the likelihood {options.likelihood!r} does not fit {shards.kind}. Use auto.")
    elif sample is not None:
        found = choose_weights(Answers(sample), seed=options.seed)
    else:
        found = Probit() if shards.kind == "likes" else Gaussian()
    return found.on_scale(shards.low, shards.high)


def _dim(shards: Shards, likelihood: Likelihood) -> int:
    return dimensions(shards.n_events, (sum(shards.users), shards.n_items), likelihood)


def _sampled(shards: Shards) -> int:
    """How many of the shards, whose users are drawn by hash, hold so many answers."""
    return max(1, min(shards.n_shards, SAMPLE * shards.n_shards // max(shards.n_events, 1)))


def _answers(shards: Shards, numbers: range) -> sparse.csr_matrix:
    """Of the users of some shards, (U, I), one shard after the other."""
    parts = [shards.rows(number) for number in numbers]
    ends = np.cumsum(np.concatenate([np.diff(part.start) for part in parts]))
    data = (
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([[0], ends]),
    )
    return sparse.csr_matrix(data, shape=(len(ends), shards.n_items))


def _content(table: pl.DataFrame, options: ShardOptions, progress: Progress | None) -> Content | None:
    rng = np.random.default_rng(options.seed)
    return fuse(encode_all(table, options.encoder, {}, progress=progress, rng=rng))


def _written(vectors: Vectors, folder: Path) -> Path:
    np.save(folder / "content.npy", vectors)
    return folder / "content.npy"


def _checkpoints(
    shards: Shards, options: ShardOptions, dim: int, likelihood: Likelihood, content: Content | None
) -> Checkpoints | None:
    if options.checkpoint is None:
        return None
    fit: dict[str, Any] = {
        "shards": shards.digest,
        "likelihood": likelihoods.as_dict(likelihood),
        "dim": dim,
        "content": None if content is None else [[block.name, block.encoder] for block in content.blocks],
        "exchange": options.exchange,
        "seed": options.seed,
    }
    return Checkpoints(options.checkpoint, options.every, fit, options.resume)


def _model(
    shards: Shards,
    options: ShardOptions,
    fitted: Fitted,
    table: pl.DataFrame,
    content: Content | None,
    counts: Array,
) -> Model:
    encodings = np.zeros((len(table), 0)) if content is None else content.vectors.astype(np.float64)
    rated = np.flatnonzero(counts)
    if not fitted.likelihood.events_only:
        prior = of_answers(fitted.prior, fitted.factors, encodings[rated], counts[rated])
        fitted = replace(fitted, prior=prior)
    answers = _answers(shards, range(shards.n_shards))
    is_events = shards.kind == "events"
    scale = Scale.of_events() if is_events else _scale(shards)
    told = answers.sign() if is_events else answers
    catalogue = Catalogue.holding(without_media(table), content, counts, level_shares(told, scale))
    users_seen = sum(shards.users[: _sampled(shards)])
    model = Model(
        catalogue=catalogue,
        taste=Taste.build(items_of(fitted, rated, encodings), fitted.likelihood),
        prior=fitted.prior,
        answerability=Answerability.fit(answers[:users_seen], rng=np.random.default_rng(options.seed)),
        history_prior=None,
        user_ids=[user for number in range(shards.n_shards) for user in shards.user_ids(number)],
        answers=answers,
        user_noise=fitted.user_noise,
        events=None,
        scale=scale,
        encoder=catalogue.encoder("text"),
        fingerprint=shards.digest,
        vocabulary=Vocabulary(**shards.manifest.vocabulary),
    )
    if shards.n_events > LISTED:
        return model
    times = np.concatenate([shards.times(number) for number in range(shards.n_shards)])
    met = met_by(answers, times, fitted.likelihood, scale)
    likes, contents = likes_of(fitted.likelihood, scale, options.seed), contents_of(catalogue)
    lists = fit_list(met, likes=likes, contents=contents, rng=derive_rng(options.seed, "list"))
    return with_content(replace(model, list_model=lists), answers, fitted.user_noise, met, options.seed)


def _scale(shards: Shards) -> Scale:
    of = shards.manifest
    mean, ends = shards.total / shards.n_events, (of.low, of.high)
    return replace(Scale.of_levels(np.array(of.levels), mean, ends), is_given=of.is_given)
