"""Small worlds that several tests share, made and fitted once a process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from unittest import mock

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate import Learner
from palate.datasets import Dataset, planted_world
from palate.datasets.planted import PlantedWorld
from palate.entities import EVENT, RATING
from palate.loop.memory import Memory
from palate.model.fit import check_arguments, fit_model

Array = NDArray[np.float64]


class Words:
    """A quick encoder: every word has its own random direction, a text is their sum, of length 1."""

    name = "words"
    modality = "text"
    revision = "1"
    dim = 48

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row += _direction(word, self.dim)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@cache
def _direction(word: str, dim: int) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=dim).astype(np.float32)


@contextmanager
def words():
    """While this lasts, the encoder ``words`` can be named like any other."""
    made = Words()
    with (
        mock.patch("palate.encoders.items.load_encoder", return_value=made),
    ):
        yield made


@cache
def world(users: int = 300, items: int = 120, seed: int = 0) -> PlantedWorld:
    return planted_world(users=users, items=items, rng=np.random.default_rng(seed))


@cache
def data(kind: str = "ratings") -> Dataset:
    """The world as ratings, as likes, as events alone, or as ratings and events (``both``)."""
    whole = world().dataset
    rating, nothing = pl.col(RATING), pl.lit(None)
    if kind == "likes":
        columns = [(rating >= 4).cast(pl.Float64)]
    elif kind == "events":
        columns = [nothing.cast(pl.Float64).alias(RATING), pl.lit("view").alias(EVENT)]
    elif kind == "both":
        is_event = pl.int_range(pl.len()) % 3 == 0
        event = pl.when(is_event).then(pl.when(rating >= 4).then(pl.lit("like")).otherwise(pl.lit("dislike")))
        columns = [pl.when(~is_event).then(rating), event.alias(EVENT)]
    else:
        return whole
    return replace(whole, interactions=whole.interactions.with_columns(*columns))


def without_lists(data: Dataset, *, seed: int = 0, **options: object) -> Learner:
    """A fit in half the time, for tests in which nobody asks for the list that is learnt."""
    given = check_arguments({"data": data, "seed": seed, **options})
    return Learner(Memory(fit_model(**given, lists=False)), seed)


@cache
def learner(kind: str = "ratings", encoder: str = "words") -> Learner:
    with words():
        # the planted stars are rounded normal values, which ordered levels tell as well: say which is meant
        likelihood = "gaussian" if kind in ("ratings", "both") else "auto"
        return Learner.fit(data(kind), encoder=encoder, dim=6, likelihood=likelihood)
