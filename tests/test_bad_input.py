"""Every public call with every argument wrong: the value is taken, or refused in one line and nothing is changed.

``ODD`` holds the values, ``CALLS`` what of them each argument takes; all others must raise a ``PalateError``. A call
or an argument that is in no row fails the last tests here.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest

import palate
from palate import (
    Answer,
    Attribute,
    Dataset,
    Event,
    Item,
    Learner,
    PalateError,
    Question,
    Recommender,
    events,
    rate,
    recall,
    slate,
)
from palate.acquisition import get_strategy, select
from palate.acquisition.oracle_choice import Action
from palate.campaign import Campaign, Campaigns, Submission
from palate.costs import Budget, Price, Seconds
from palate.datasets import planted_world
from palate.entities.item_attributes import ItemAttribute
from palate.entities.provenance import Provenance
from palate.errors.checks import shown
from palate.integrations import arrow
from palate.integrations.scikit_learn import PalateClassifier, PalateRecommender, list_ndcg
from palate.loop.lists import ListArguments
from palate.loop.offered import candidates_of
from palate.model.fit import FitArguments
from palate.recommender import refitting
from palate.records import Calibration, Consent, Erasure, Slate

ODD: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "true": lambda: True,
    "minus": lambda: -1,
    "zero": lambda: 0,
    "three": lambda: 3,
    "numpy": lambda: np.int64(3),
    "half": lambda: 0.5,
    "fraction": lambda: 3.5,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "huge": lambda: 10**5000,
    "text": lambda: "x",
    "empty": lambda: "",
    "blank": lambda: " ",
    "long": lambda: "x" * 300,
    "lines": lambda: "x\ny",
    "surrogate": lambda: "\ud800",
    "zerobyte": lambda: "x\0",
    "bytes": lambda: b"x",
    "list": lambda: [],
    "tuple": lambda: (),
    "dict": lambda: {},
    "names": lambda: ["x"],
    "set": lambda: {"x"},
    "generator": lambda: (name for name in ["x"]),
    "numbers": lambda: [3],
    "nones": lambda: [None],
    "nested": lambda: [["x"]],
    "mapping": lambda: {"x": 3},
    "array": lambda: np.zeros((2, 3)),
    "nans": lambda: np.full(3, np.nan),
    "series": lambda: pl.Series(["x"]),
    "frame": lambda: pl.DataFrame({"user_id": ["x"]}),
    "module": lambda: math,
    "class": lambda: int,
    "object": object,
}

# What arguments of one kind take.
USER = "minus zero three numpy text"
ITEM = ""
KEY = f"{USER} empty"
COUNT = "three numpy"
COUNT_0 = f"zero {COUNT}"
SHARE = "zero half"
FLAG = "true"
NUMBER = "minus zero three numpy half fraction"
POSITIVE = "three numpy half fraction"
EMPTY = "list tuple dict"
EMPTY_MAPPING = "dict"
SEVERAL = f"{EMPTY} names set generator mapping series"  # of texts
SOME = f"none {EMPTY}"
WORDS = "text empty blank long lines zerobyte"
NOTHING = "none"
FOLDER = "text"
PROGRESS = "none"
RNG = "none"


class Stage:
    """A small world, fitted once, in which each call is valid."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        world = planted_world(users=40, items=20, rng=np.random.default_rng(0)).dataset
        ids = world.interactions["user_id"].unique().sort()
        ages = pl.Series("age", [20.0 + n % 7 for n in range(len(ids))])
        genders = pl.Series("gender", ["f" if n % 2 else "m" for n in range(len(ids))])
        self.data = replace(world, users=pl.DataFrame({"user_id": ids, "age": ages, "gender": genders}))
        fitted = Learner.fit(self.data, encoder="none", dim=2)
        self.learner = fitted.tell([rate("ann", f"i0{n}", 4.0, key=f"k{n}") for n in range(1, 8)])
        self.learner.save(self.place("learner"))
        self.recommender = Recommender.create(self.place("kept"), self.data, encoder="none", dim=2)
        self.recommender.tell([rate("ann", f"i0{n}", 4.0, key=f"k{n}") for n in range(1, 8)])
        state = self.learner.state("ann")
        self.belief, self.candidates = state.belief, candidates_of(self.learner.model)
        self.estimator = PalateRecommender(dim=2).fit([["ann", "tea"], ["bob", "tea"], ["bob", "milk"]], [1, 2, 1])
        self.made = 0
        self.campaigns = Campaigns(self.recommender)
        self.campaign = self.campaigns.make(Campaign("films", "How?", users=["dan", "eve"], lease_seconds=86_400)).id
        self.lease = self.campaigns.next(self.campaign, "bob", rng=np.random.default_rng(0)).leases[0].id

    def place(self, name: str) -> Path:
        return self.folder / name

    def fresh(self) -> Path:
        self.made += 1
        return self.place(f"new-{self.made}")

    def items(self) -> pl.DataFrame:
        self.made += 1
        return pl.DataFrame({"item_id": [f"new-{self.made}"], "title": ["New"]})

    def page(self) -> Question:
        return Question("ann", "i01", "s", 1.0, 0.5, 0.5, form="page", others=("i02",))  # type: ignore[arg-type]

    def state(self, here: Path) -> tuple[object, ...]:
        """All that a refused call must leave as it is."""
        kept, parts = self.recommender.learner, []
        for of in (self.learner, kept):
            ann = of.state("ann")
            memory = of.memory
            parts += [ann.belief.mean.tobytes(), ann.belief.covariance.tobytes(), ann.exposure.mean.tobytes()]
            parts += [tuple(map(dict, (memory.told, memory.seen, memory.known, memory.undone))), id(memory.model)]
        folders = [(str(path), path.stat().st_mtime_ns) for path in self.folder.glob("*/config.json")]
        return (
            *parts,
            self.recommender.last_seq,
            sorted(folders),
            sorted(self.folder.iterdir()),
            sorted(here.iterdir()),
        )


@dataclass(frozen=True)
class Call:
    """A public call.

    Attributes:
        of: What is called.
        valid: Arguments with which the call is valid.
        takes: By argument, which of ``ODD`` it takes too.
    """

    of: Callable[[Stage], Callable[..., Any]]
    takes: Mapping[str, str]
    valid: Callable[[Stage], dict[str, Any]] = field(default=lambda _: {})


def _refitted(stage: Stage, given: dict[str, Any]) -> object:
    """A refit as if in another process."""

    def here(live: Any, out: Path, held_back: list[str], started: object) -> None:
        refitting.fit_here(live.folder, live.place, out, held_back)

    with mock.patch.object(refitting, "_fit_elsewhere", here):
        return stage.recommender.refit_apart(**given)


def _kept(stage: Stage) -> dict[str, Any]:
    """A version that is kept."""
    if len(stage.recommender.versions()) < 2:
        stage.recommender.refit()
    return {"version": stage.recommender.versions()[1].id}


FIT = {
    "encoder": "",
    "image": NOTHING,
    "audio": NOTHING,
    "categories": FLAG,
    "on_corrupt": "",
    "likelihood": "",
    "dim": f"{COUNT} {NOTHING}",
    "history": "",
    "companions": FLAG,
    "adapt": "",
    "item_attributes": EMPTY,
}
STORE = {"store": f"none {FOLDER}"}
LISTS = {
    "exclude": f"{SEVERAL} numbers",
    "allow": SOME,
    "category": NOTHING,
    "include_seen": FLAG,
    "familiarity": SHARE,
    "min_certainty": SHARE,
    "diversity": SHARE,
    "language": "",
}
READS: dict[str, tuple[Callable[[Stage], dict[str, Any]], dict[str, str]]] = {
    "ask": (
        lambda _: {"user_id": "ann"},
        {
            "user_id": USER,
            "k": COUNT,
            "strategy": "",
            "forms": "",
            "candidates": SOME,
            "concepts": f"none {SEVERAL} numbers",
            "seconds": NOTHING,
            "targets": "",
            "random_share": SHARE,
            "draw": "",
            "rng": RNG,
        },
    ),
    "ask_about": (
        lambda _: {"item_id": "i01"},
        {"item_id": ITEM, "k": COUNT, "strategy": "", "users": SOME, "random_share": SHARE, "rng": RNG},
    ),
    "ask_pairs": (lambda _: {"budget": 2}, {"budget": COUNT, "per_user": f"none {COUNT}", "rng": RNG}),
    "decide": (
        lambda _: {"user_id": "ann", "prices": {Action.USER: Price(1.0)}},
        {
            "user_id": USER,
            "prices": "",
            "learnt": f"none {EMPTY_MAPPING}",
            "labels": EMPTY,
            "budget": NOTHING,
            "candidates": SOME,
            "least": f"zero {POSITIVE}",
            "rng": RNG,
        },
    ),
    "recommend": (
        lambda _: {"user_id": "ann", "k": 3},
        {"user_id": USER, "k": COUNT_0, **LISTS, "explore": f"zero {POSITIVE}", "rng": RNG},
    ),
    "at": (lambda _: {"time": 3.0}, {"time": NUMBER}),
    "recommend_all": (
        lambda _: {"users": ["ann"], "k": 3},
        {"users": f"none {SEVERAL} numbers", "k": COUNT_0, **LISTS},
    ),
    "companions": (lambda _: {"user_id": "ann", "k": 3}, {"user_id": USER, "k": COUNT_0, **LISTS}),
    "profile": (lambda _: {"user_id": "ann"}, {"user_id": USER}),
}


def _reads(of: str) -> dict[str, Call]:
    def bound(name: str) -> Callable[[Stage], Callable[..., Any]]:
        return lambda stage: getattr(getattr(stage, of.lower()), name)

    return {f"{of}.{name}": Call(bound(name), takes, valid) for name, (valid, takes) in READS.items()}


def _calibrate(stage: Stage) -> Callable[..., Any]:
    """With a key that no consent has taken."""

    def call(**given: Any) -> Any:
        key = given.get("key")
        if type(key) in (int, np.int64, str) and key in (-1, 0, 3, "x"):
            given["key"] = f"calibration {key}"
        return stage.recommender.calibrate(**given)

    return call


def _ask_concepts(stage: Stage) -> Callable[..., Any]:
    return lambda **options: stage.learner.ask("ann", forms=("rate", "concept"), **options)


CALLS: dict[str, Call] = {
    "Dataset.load": Call(
        lambda _: Dataset.load,
        {"path": "", "columns": "none dict", "strict": FLAG, "limits": "", "scale": NOTHING, "events": "none dict"},
        lambda stage: {"path": stage.place("kept") / "data"},
    ),
    "Dataset.from_tables": Call(
        lambda _: Dataset.from_tables,
        {
            "interactions": "",
            "items": NOTHING,
            "users": "none frame",
            "friends": NOTHING,
            "columns": "none dict",
            "name": USER,
            "strict": FLAG,
            "folder": f"none {FOLDER}",
            "scale": NOTHING,
            "events": "none dict",
        },
        lambda stage: {"interactions": stage.data.interactions},
    ),
    "Dataset.table": Call(lambda stage: stage.data.table, {"name": ""}, lambda _: {"name": "items"}),
    "Dataset.filter": Call(lambda stage: stage.data.filter, {"keep": ""}, lambda _: {"keep": pl.col("rating") > 3}),
    "Dataset.item_texts": Call(lambda stage: stage.data.item_texts, {}),
    "Dataset.item_media": Call(lambda stage: stage.data.item_media, {"column": ""}, lambda _: {"column": "image"}),
    "Dataset.fingerprint": Call(lambda stage: stage.data.fingerprint, {}),
    "Dataset.coded": Call(lambda stage: stage.data.coded, {"values": ""}),
    "Learner.fit": Call(
        lambda _: Learner.fit,
        {"data": "", **FIT, "labels": EMPTY, "seed": COUNT_0, "progress": PROGRESS},
        lambda stage: {"data": stage.data, "encoder": "none", "dim": 2},
    ),
    "Learner.load": Call(
        lambda _: Learner.load,
        {"folder": "", "encoders": EMPTY},
        lambda stage: {"folder": stage.place("learner")},
    ),
    "Learner.save": Call(lambda stage: stage.learner.save, {"folder": FOLDER}, lambda stage: {"folder": stage.fresh()}),
    "Learner.state": Call(lambda stage: stage.learner.state, {"user_id": USER}, lambda _: {"user_id": "ann"}),
    "Learner.knows": Call(lambda stage: stage.learner.knows, {"user_id": USER}, lambda _: {"user_id": "ann"}),
    **_reads("Learner"),
    "Learner.ask about concepts": Call(
        _ask_concepts, {"concepts": SOME, "candidates": SOME, "seconds": NOTHING, "strategy": "", "targets": ""}
    ),
    "Learner.tell": Call(
        lambda stage: stage.learner.tell, {"answers": EMPTY}, lambda _: {"answers": rate("ann", "i01", 4)}
    ),
    "Learner.check": Call(
        lambda stage: stage.learner.check, {"answer": ""}, lambda _: {"answer": rate("ann", "i01", 4)}
    ),
    "Learner.undo": Call(
        lambda stage: stage.learner.undo, {"user_id": "", "key": NOTHING}, lambda _: {"user_id": "ann"}
    ),
    "Learner.search": Call(
        lambda stage: stage.learner.search,
        {"typed": "text empty blank lines zerobyte", "k": COUNT_0},
        lambda _: {"typed": "item"},
    ),
    "Learner.titles_in": Call(lambda stage: stage.learner.titles_in, {"text": WORDS}, lambda _: {"text": "item"}),
    "Learner.see": Call(
        lambda stage: stage.learner.see, {"events": EMPTY}, lambda _: {"events": events("ann", ["i01"])}
    ),
    "Learner.know": Call(
        lambda stage: lambda user_id, **others: stage.learner.know(user_id, **others),
        {
            "user_id": USER,
            "age": f"none {NUMBER} nan empty",
            "gender": "none nan empty",
            "friends": "list tuple names numbers",
        },
        lambda _: {"user_id": "ann", "age": 31},
    ),
    "Learner.explain_item": Call(
        lambda stage: stage.learner.explain_item, {"item_id": ITEM}, lambda _: {"item_id": "i01"}
    ),
    "Learner.with_items": Call(
        lambda stage: stage.learner.with_items,
        {"items": "", "folder": f"none {FOLDER}", "on_corrupt": ""},
        lambda stage: {"items": stage.items()},
    ),
    "Recommender.create": Call(
        lambda _: Recommender.create,
        {"place": FOLDER, "data": "", "seed": COUNT_0, "progress": PROGRESS, "again": FLAG, **STORE, **FIT},
        lambda stage: {"place": stage.fresh(), "data": stage.data, "encoder": "none", "dim": 2},
    ),
    "Recommender.open": Call(
        lambda _: Recommender.open,
        {"place": "", "encoders": EMPTY, **STORE},
        lambda stage: {"place": stage.place("learner")},
    ),
    **_reads("Recommender"),
    "Recommender.item_labels": Call(
        lambda stage: stage.recommender.item_labels,
        {"attribute": ""},
        lambda _: {"attribute": ItemAttribute("topic", "Which?", ("a", "b"))},
    ),
    "Recommender.tell": Call(
        lambda stage: stage.recommender.tell, {"answers": EMPTY}, lambda _: {"answers": rate("ann", "i01", 4)}
    ),
    "Recommender.see": Call(
        lambda stage: stage.recommender.see, {"events": EMPTY}, lambda _: {"events": events("ann", ["i01"])}
    ),
    "Recommender.know": Call(
        lambda stage: lambda user_id, **others: stage.recommender.know(user_id, **others),
        {
            "user_id": USER,
            "key": KEY,
            "age": f"none {NUMBER} nan empty",
            "gender": "none nan empty",
            "friends": "list tuple names numbers",
        },
        lambda _: {"user_id": "ann", "age": 31},
    ),
    "Recommender.drift": Call(
        lambda stage: stage.recommender.drift, {"last": COUNT, "confidence": SHARE}, lambda _: {"last": 5}
    ),
    "Recommender.close": Call(lambda stage: Recommender.open(stage.place("learner")).close, {}),
    "Recommender.snapshot": Call(lambda stage: stage.recommender.snapshot, {}),
    "Recommender.stamp": Call(lambda stage: stage.recommender.stamp, {}),
    "Recommender.find": Call(lambda stage: stage.recommender.find, {"key": USER}, lambda _: {"key": "k"}),
    "Recommender.undo": Call(
        lambda stage: stage.recommender.undo, {"user_id": "", "key": NOTHING}, lambda _: {"user_id": "ann"}
    ),
    "Recommender.add_items": Call(
        lambda stage: stage.recommender.add_items,
        {"items": "", "folder": f"none {FOLDER}", "on_corrupt": ""},
        lambda stage: {"items": stage.items()},
    ),
    "Recommender.change_items": Call(
        lambda stage: stage.recommender.change_items,
        {"items": "", "folder": f"none {FOLDER}", "on_corrupt": ""},
        lambda _: {"items": pl.DataFrame({"item_id": ["i20"], "title": ["Other"]})},
    ),
    "Recommender.withdraw_items": Call(
        lambda stage: stage.recommender.withdraw_items,
        {"item_ids": EMPTY, "again": FLAG},
        lambda _: {"item_ids": "i19"},
    ),
    "Recommender.set_stock": Call(
        lambda stage: stage.recommender.set_stock,
        {"counts": EMPTY_MAPPING},
        lambda _: {"counts": {"i19": 0}},
    ),
    "Recommender.consent": Call(
        lambda stage: stage.recommender.consent,
        {"user_id": USER, "purposes": EMPTY, "version": USER, "at": f"none {NUMBER}", "key": KEY},
        lambda _: {"user_id": "eve", "purposes": ["serve"], "version": "v1"},
    ),
    "Recommender.calibrate": Call(
        _calibrate,
        {"source": USER, "weight": SHARE, "subject": USER, "at": f"none {NUMBER}", "key": KEY},
        lambda _: {"source": "lea", "weight": 0.5},
    ),
    "Recommender.show": Call(
        lambda stage: stage.recommender.show,
        {
            "user_id": USER,
            "k": COUNT_0,
            "explore": f"zero {POSITIVE}",
            "exclude": f"{SEVERAL} numbers",
            "category": NOTHING,
            "rng": "",
        },
        lambda _: {"user_id": "ann", "k": 3, "explore": 1.0, "rng": np.random.default_rng(0)},
    ),
    "Recommender.keep": Call(
        lambda stage: stage.recommender.keep, {"shown": EMPTY}, lambda _: {"shown": Slate("ann", ("i01",), (0.5,), 1.0)}
    ),
    "Recommender.export_user": Call(
        lambda stage: stage.recommender.export_user, {"user_id": USER}, lambda _: {"user_id": "ann"}
    ),
    "Recommender.erase": Call(
        lambda stage: Recommender.open(stage.place("learner")).erase,
        {"user_id": USER, "key": KEY},
        lambda _: {"user_id": "mallory"},
    ),
    "Recommender.versions": Call(lambda stage: stage.recommender.versions, {}),
    "Recommender.promote": Call(lambda stage: stage.recommender.promote, {"version": ""}, lambda stage: _kept(stage)),
    "Recommender.rollback": Call(lambda stage: (stage.recommender.refit(), stage.recommender)[1].rollback, {}),
    "Recommender.refit_apart": Call(
        lambda stage: lambda **given: _refitted(stage, given),
        {"hold_back": SHARE, "tolerance": SHARE},
        lambda _: {},
    ),
    "Recommender.refit_regularly": Call(
        lambda stage: lambda **given: stage.recommender.refit_regularly(**given).stop(),
        {"every_seconds": POSITIVE, "after_labels": f"none {COUNT}", "hold_back": SHARE},
        lambda _: {"every_seconds": 1000},
    ),
    "Recommender.refit": Call(
        lambda stage: stage.recommender.refit, {"data": NOTHING, "progress": PROGRESS, **FIT}, lambda _: {"dim": 2}
    ),
    "Question": Call(
        lambda _: Question,
        {
            "user_id": USER,
            "item_id": USER,
            "strategy": KEY,
            "value": f"{NUMBER} inf nan huge",
            "answerable": SHARE,
            "propensity": SHARE,
            "why": WORDS,
            "form": "",
            "others": EMPTY,
            "seconds": POSITIVE,
            "titles": SEVERAL,
            "text": WORDS,
        },
        lambda _: {
            "user_id": "ann",
            "item_id": "i01",
            "strategy": "s",
            "value": 1.0,
            "answerable": 0.5,
            "propensity": 0.5,
        },
    ),
    "Question.answer": Call(
        lambda _: Question("ann", "i01", "s", 1.0, 0.5, 0.5).answer,
        {"value": NUMBER, "source": USER, "key": KEY, "at": f"none {NUMBER}"},
        lambda _: {"value": 4},
    ),
    "Question.answers": Call(
        lambda stage: stage.page().answers,
        {"ratings": "dict", "source": USER, "key": KEY, "at": f"none {NUMBER}"},
        lambda _: {"ratings": {"i01": 4}},
    ),
    "Answer": Call(
        lambda _: Answer,
        {
            "user_id": USER,
            "item_id": USER,
            "kind": "",
            "value": NUMBER,
            "source": USER,
            "propensity": f"none {SHARE}",
            "key": KEY,
            "question": KEY,
            "asked_at": f"none {NUMBER}",
            "answered_at": f"none {NUMBER}",
            "form": "",
            "others": EMPTY,
            "tapped": EMPTY,
            "provenance": "",
        },
        lambda _: {"user_id": "ann", "item_id": "i01", "kind": "rating", "value": 4.0},
    ),
    "Provenance": Call(
        lambda _: Provenance,
        {
            **dict.fromkeys(("family", "channel", "model", "question_id", "slate", "consent"), KEY),
            "subject": USER,
            **dict.fromkeys(("score", "shown_at"), f"none {NUMBER}"),
            "cost": f"none zero half fraction {COUNT}",
            "tokens": f"none {COUNT_0}",
        },
        lambda _: {},
    ),
    "ItemAttribute": Call(
        lambda _: ItemAttribute,
        {"name": USER, "question": WORDS, "options": "", "only": "empty", "at_least": NOTHING},
        lambda _: {"name": "topic", "question": "Which?", "options": ("sports", "food")},
    ),
    "ItemAttribute of a filter": Call(
        lambda _: ItemAttribute,
        {"only": "", "at_least": "half"},
        lambda _: {"name": "safe", "question": "Is it?", "options": ("no", "yes"), "only": "yes", "at_least": 0.9},
    ),
    "Consent": Call(
        lambda _: Consent,
        {"user_id": USER, "purposes": EMPTY, "version": USER, "at": f"none {NUMBER}", "key": KEY},
        lambda _: {"user_id": "ann", "purposes": ["ask"], "version": "1"},
    ),
    "Slate": Call(
        lambda _: Slate,
        {
            "user_id": USER,
            "items": "names set generator mapping series numbers",
            "propensities": "",
            "explore": POSITIVE,
            "model": KEY,
            "exclude": f"{SEVERAL} numbers",
            "category": KEY,
            "at": f"none {NUMBER}",
            "key": KEY,
        },
        lambda _: {"user_id": "ann", "items": ["i01"], "propensities": [0.5], "explore": 1.0},
    ),
    "Calibration": Call(
        lambda _: Calibration,
        {"source": USER, "reliability": SHARE, "subject": USER, "at": f"none {NUMBER}", "key": KEY},
        lambda _: {"source": "bob", "reliability": 0.9},
    ),
    "Erasure": Call(
        lambda _: Erasure,
        {"salt": "", "digest": "", "rows": COUNT_0, "key": KEY},
        lambda _: {"salt": "0" * 32, "digest": "0" * 64},
    ),
    "Campaign": Call(
        lambda _: Campaign,
        {
            **{
                "name": USER,
                "question": "text long lines",
                "users": f"{SEVERAL} numbers",
                "items": f"{SEVERAL} numbers",
            },
            **{"overlap": COUNT, "budget": f"none {COUNT_0}", "price": f"zero {POSITIVE}", "repeat_every": COUNT_0},
            **{
                "lease_seconds": POSITIVE,
                "stop": f"none zero {POSITIVE}",
                "state": "",
                "id": KEY,
                "gold": EMPTY_MAPPING,
            },
            **{"gold_every": "zero", "made_at": f"zero {POSITIVE}"},
        },
        lambda _: {"name": "films", "question": "How?", "users": ["dan"]},
    ),
    "Campaign about an attribute": Call(
        lambda _: Campaign,
        {
            "subject": USER,
            "options": "",
            "users": EMPTY,
            "repeat_every": "zero",
            "gold": EMPTY_MAPPING,
            "gold_every": "zero",
        },
        lambda _: {"name": "kids", "question": "For children?", "subject": "kids", "options": ["no", "yes"]},
    ),
    "Campaigns": Call(lambda _: Campaigns, {"recommender": ""}, lambda stage: {"recommender": stage.recommender}),
    "Campaigns.make": Call(
        lambda stage: stage.campaigns.make,
        {"campaign": ""},
        lambda _: {"campaign": Campaign("films", "How?", users=["dan"])},
    ),
    **{
        f"Campaigns.{name}": Call(
            lambda stage, name=name: getattr(stage.campaigns, name),  # type: ignore[misc]
            {"id": "", **takes},
            lambda stage, valid=valid: {"id": stage.campaign, **valid},  # type: ignore[misc]
        )
        for name, takes, valid in (
            ("get", {}, {}),
            ("progress", {}, {}),
            ("labels", {}, {}),
            ("set_state", {"state": ""}, {"state": "open"}),
            (
                "next",
                {"source": USER, "k": COUNT, "held": f"{SEVERAL} numbers"},
                {"source": "bob", "rng": np.random.default_rng(0)},
            ),
        )
    },
    **{
        f"Campaigns.{name}": Call(
            lambda stage, name=name: getattr(stage.campaigns, name),  # type: ignore[misc]
            {"lease_id": "", "source": "", **takes},
            lambda stage: {"lease_id": stage.lease, "source": "bob"},
        )
        for name, takes in (
            ("extend", {}),
            ("note", {"flag": FLAG, "comment": "text empty blank long lines", "key": KEY}),
        )
    },
    "Campaigns.submit": Call(
        lambda stage: stage.campaigns.submit,
        {"given": EMPTY},
        lambda stage: {"given": [Submission("c1", stage.lease, "bob", value=4)]},
    ),
    "Submission": Call(
        lambda _: Submission,
        {
            **{"key": USER, "lease_id": USER, "source": USER, "kind": "", "answered_at": f"none {NUMBER}"},
            **{"reason": "text empty blank long lines", "channel": KEY, "family": KEY},
            "shown_at": f"none {NUMBER}",
        },
        lambda _: {"key": "k", "lease_id": "l", "source": "bob", "value": 4},
    ),
    "Event": Call(
        lambda _: Event,
        {
            "user_id": USER,
            "item_id": USER,
            "kind": "empty",
            "liking": f"none minus {SHARE}",
            "at": f"none {NUMBER}",
            "key": KEY,
            "slate": KEY,
        },
        lambda _: {"user_id": "ann", "item_id": "i01"},
    ),
    "Attribute": Call(
        lambda _: Attribute,
        {
            "user_id": USER,
            "name": USER,
            "value": f"none true {NUMBER} nan inf huge text empty blank long lines",
            "key": KEY,
        },
        lambda _: {"user_id": "ann", "name": "age", "value": 31},
    ),
    "Item": Call(
        lambda _: Item, {"id": USER, "title": WORDS, "text": WORDS, "category": WORDS}, lambda _: {"id": "i01"}
    ),
    "rate": Call(
        lambda _: rate,
        {"user_id": USER, "item_id": USER, "value": NUMBER, "source": USER, "key": KEY},
        lambda _: {"user_id": "ann", "item_id": "i01", "value": 4},
    ),
    "recall": Call(
        lambda _: recall,
        {"user_id": USER, "item_ids": f"{SEVERAL} text numbers", "source": USER, "key": KEY},
        lambda _: {"user_id": "ann", "item_ids": ["i01"]},
    ),
    "slate": Call(
        lambda _: slate,
        {
            "user_id": USER,
            "shown": "names set generator mapping series text numbers",
            "clicked": EMPTY,
            "source": USER,
            "key": KEY,
            "propensity": f"none {SHARE}",
            "at": f"none {NUMBER}",
        },
        lambda _: {"user_id": "ann", "shown": ["i01", "i02"]},
    ),
    "events": Call(
        lambda _: events,
        {
            "user_id": USER,
            "item_ids": f"text {SEVERAL} numbers",
            "kind": "empty",
            "liking": f"none minus {SHARE}",
            "at": f"none {NUMBER}",
            "key": KEY,
            "slate": KEY,
        },
        lambda _: {"user_id": "ann", "item_ids": ["i01"]},
    ),
    "Price": Call(lambda _: Price, {"cost": POSITIVE, "reliability": "half"}, lambda _: {"cost": 1.0}),
    "Budget": Call(
        lambda _: Budget,
        {"total": f"zero {POSITIVE} inf huge", "per_user": f"zero {POSITIVE} inf huge", "spent": "dict mapping"},
    ),
    "Seconds": Call(lambda _: Seconds, dict.fromkeys(inspect.signature(Seconds).parameters, POSITIVE)),
    "PalateRecommender.fit": Call(
        lambda _: lambda **given: PalateRecommender(dim=2).fit(**given),
        {"X": "array", "y": NOTHING},
        lambda _: {"X": [["ann", "tea"], ["bob", "tea"]], "y": [1, 2]},
    ),
    "PalateRecommender": Call(
        lambda _: lambda **given: PalateRecommender(**given).fit([["ann", "i01"], ["bob", "i01"]], [1, 2]),
        {
            **{name: FIT[name] for name in ("encoder", "likelihood", "dim", "categories")},
            **{"items": NOTHING, "users": "none frame", "random_state": COUNT_0},
        },
        lambda _: {"items": pl.DataFrame({"item_id": ["i01"]}), "encoder": "none"},
    ),
    "PalateRecommender.predict": Call(
        lambda stage: stage.estimator.predict, {"X": "", "return_std": FLAG}, lambda _: {"X": [["ann", "tea"]]}
    ),
    "PalateRecommender.recommend": Call(
        lambda stage: stage.estimator.recommend,
        {"user": f"{USER} half fraction nan inf", "k": COUNT_0, **LISTS},
        lambda _: {"user": "ann"},
    ),
    "list_ndcg": Call(
        lambda stage: lambda **given: list_ndcg(stage.estimator, **given),
        {"X": "", "y": "none numbers", "k": COUNT},
        lambda _: {"X": [["ann", "tea"]], "y": [5]},
    ),
    "PalateClassifier": Call(
        lambda _: lambda **given: PalateClassifier(**given).fit([[1.0], [2.0]], ["x", "y"]),
        {"classes": NOTHING, "prior_variance": POSITIVE, "fit_intercept": FLAG},
        lambda _: {},
    ),
    "PalateClassifier.partial_fit": Call(
        lambda _: PalateClassifier().fit([[1.0], [2.0]], [0, 1]).partial_fit,
        {"X": "", "y": "", "classes": NOTHING},
        lambda _: {"X": [[1.0]], "y": [0]},
    ),
    "PalateClassifier.ask": Call(
        lambda _: PalateClassifier().fit([[1.0], [2.0]], [0, 1]).ask,
        {"X": "", "k": COUNT, "strategy": "", "draws": COUNT, "rng": ""},
        lambda _: {"X": [[1.0], [2.0]], "rng": np.random.default_rng(0)},
    ),
    "arrow.lists": Call(
        lambda _: arrow.lists,
        {"learner": "", "users": f"none {SEVERAL} numbers", "k": COUNT_0},
        lambda stage: {"learner": stage.learner, "users": ["ann"]},
    ),
    "arrow.item_vectors": Call(lambda _: arrow.item_vectors, {"learner": ""}, lambda stage: {"learner": stage.learner}),
    "arrow.user_vectors": Call(
        lambda _: arrow.user_vectors,
        {"learner": "", "users": f"none {SEVERAL} numbers"},
        lambda stage: {"learner": stage.learner},
    ),
    "arrow.write": Call(
        lambda _: arrow.write,
        {"stream": "", "path": "", "form": NOTHING},
        lambda stage: {"stream": arrow.item_vectors(stage.learner), "path": stage.fresh().with_suffix(".arrow")},
    ),
    "get_strategy": Call(lambda _: get_strategy, {"strategy": ""}, lambda _: {"strategy": "epig"}),
    "select": Call(
        lambda _: select,
        {
            "strategy": "",
            "belief": "",
            "candidates": "",
            "k": COUNT,
            "allowed": NOTHING,
            "random_share": SHARE,
            "draw": "",
            "beta": f"zero {POSITIVE}",
            "rng": "",
        },
        lambda stage: {
            "strategy": get_strategy("epig"),
            "belief": stage.belief,
            "candidates": stage.candidates,
            "k": 2,
            "rng": np.random.default_rng(0),
        },
    ),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("bad-input"))
    yield made
    made.recommender.close()


pytestmark = [
    pytest.mark.filterwarnings("ignore:companions is recommend:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:X has feature names:UserWarning"),  # scikit-learn says so, then refuses
    pytest.mark.filterwarnings("ignore:A column-vector y was passed"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # "x" is a folder for some


def fault(error: BaseException) -> str:
    """What is wrong with an error; nothing where it is one line of a fact and a remedy."""
    said = str(error)
    if not isinstance(error, PalateError):
        return f"{type(error).__name__}: {said[:200]}"
    if "\n" in said or len(re.findall(r"[.?!](?= |$)", said)) < 2 or said[-1] not in ".?!":
        return f"is not one line of two sentences: {said[:300]!r}"
    return "" if len(said) < 600 else f"is long: {said[:300]!r}"


def is_named(value: object, said: str) -> bool:
    """Whether a message shows the value, or of what type it is; of several values it may speak of one."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return True
    ways = (
        shown(value)[:12],
        str(value)[:12] if value != ODD["huge"]() else "digits",
        type(value).__name__,
        "infinite",
    )
    return any(way in said for way in (*ways, "empty"))


def outcome(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the question is which
        return error
    return None


@pytest.mark.parametrize(("name", "argument"), [(name, one) for name, call in CALLS.items() for one in call.takes])
def test_an_odd_value_is_taken_or_refused_in_one_line(stage: Stage, name: str, argument: str, tmp_path: Path) -> None:
    call, faults = CALLS[name], {}
    taken = set(call.takes[argument].split())
    assert taken <= set(ODD)
    for odd, make in ODD.items():
        arguments = {**call.valid(stage), argument: make()}
        before = stage.state(tmp_path)
        error = outcome(lambda arguments=arguments: call.of(stage)(**arguments))  # type: ignore[misc]
        if odd in taken:
            faults[odd] = "" if error is None else f"refused: {error!r}"
        else:
            faults[odd] = "taken" if error is None else fault(error)
            if error is not None and not is_named(make(), str(error)):
                faults[odd] += f" NOT NAMED: {error}"
            if stage.state(tmp_path) != before:
                faults[odd] += " CHANGED"
    wrong = [f"{odd}: {said}" for odd, said in faults.items() if said]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", CALLS)
def test_the_call_that_is_varied_is_valid(stage: Stage, name: str) -> None:
    assert outcome(lambda: CALLS[name].of(stage)(**CALLS[name].valid(stage))) is None


MADE_BY_PALATE = {"AnswerKind", "PalateError", "Recommendation", "Record"}  # not by who calls it


def public_calls() -> dict[str, Callable[..., Any]]:
    """Everything that ``import palate`` offers to call: methods of the three classes, constructors, functions."""
    found: dict[str, Callable[..., Any]] = {}
    for name in sorted(set(palate.__all__) - MADE_BY_PALATE - {"__version__"}):
        offered = getattr(palate, name)
        if not inspect.isclass(offered) or offered not in (Dataset, Learner, Recommender):
            found[name] = offered
        for method in vars(offered) if inspect.isclass(offered) else ():
            call = getattr(offered, method)
            if not method.startswith("_") and callable(call):
                found[f"{name}.{method}"] = call
    return found


def test_every_public_call_is_in_the_table() -> None:
    assert sorted(set(public_calls()) - set(CALLS)) == []


@pytest.mark.parametrize(("name", "call"), public_calls().items())
def test_every_argument_of_a_public_call_is_in_the_table(name: str, call: Callable[..., Any]) -> None:
    parameters = inspect.signature(call).parameters.values()
    named = {one.name for one in parameters if one.kind is not one.VAR_KEYWORD} - {"self"}
    for options in (FitArguments, ListArguments):
        if f"Unpack[{options.__name__}]" in str(parameters):
            named |= set(options.__annotations__)
    assert sorted(named - set(CALLS[name].takes)) == []


NEARLY = [
    (lambda stage: stage.learner.ask("ann", strategy="Look-ahead"), "lookahead"),
    (lambda stage: stage.learner.ask("ann", forms=["rates"]), "'rate'"),
    (lambda stage: stage.learner.ask("ann", targets="unifrom"), "'uniform'"),
    (lambda stage: stage.learner.ask("ann", draw="soft-max"), "'softmax'"),
    (lambda stage: stage.learner.ask("ann", candidates=["i1"]), "'i1"),
    (lambda stage: stage.learner.recommend("ann", category="baking "), "'baking'"),
    (lambda stage: stage.learner.recommend_all(["ann"], familiarty=0.5), "'familiarity'"),
    (lambda stage: stage.learner.know("ann", aeg=3), "'age'"),
    (lambda _: events("ann", "i01", kind="clic"), "'click'"),
    (lambda stage: Learner.fit(stage.data, encoder="nome"), "'none'"),
    (lambda stage: Learner.fit(stage.data, likelihood="Gausian"), "'gaussian'"),
    (lambda stage: Learner.fit(stage.data, history="factor"), "'factors'"),
    (lambda stage: Learner.fit(stage.data, adapt="lineal"), "'linear'"),
    (lambda stage: Learner.fit(stage.data, on_corrupt="skipp"), "'skip'"),
    (lambda stage: stage.recommender.refit(dims=3), "'dim'"),
    (lambda stage: Recommender.create(stage.fresh(), stage.data, encode="none"), "'encoder'"),
    (lambda stage: stage.data.coded("ratings"), "'rating'"),
    (lambda stage: stage.data.table("item"), "'items'"),
    (lambda stage: Dataset.from_tables(stage.data.interactions, columns={"userid": "user_id"}), "'user_id'"),
    (lambda stage: Dataset.from_tables(stage.data.interactions, events={"got": "purchse"}), "'purchase'"),
    (lambda _: get_strategy("epik"), "epig"),
]


@pytest.mark.parametrize(("call", "meant"), NEARLY, ids=[meant for _, meant in NEARLY])
def test_a_name_that_is_nearly_right_is_answered_by_the_right_one(
    stage: Stage, call: Callable[[Stage], object], meant: str
) -> None:
    error = outcome(lambda: call(stage))
    assert error is not None and not fault(error), error
    assert meant in str(error) and "Did you mean" in str(error)


def test_an_argument_that_there_is_none_of_stays_an_error_of_python(stage: Stage) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'encode'"):
        Learner.fit(stage.data, encode="none")  # type: ignore[call-arg]


def test_the_odd_values_find_a_call_that_does_not_look() -> None:
    """The check itself, on calls that are wrong in every way that it is there for."""
    calls: list[Callable[[Any], object]] = [
        lambda value: value.items(),
        lambda value: float(value),
        lambda value: (_ for _ in ()).throw(PalateError(f"it is {value}")),
        lambda value: (_ for _ in ()).throw(PalateError("first\nsecond. Third.")),
    ]
    for call in calls:
        error = outcome(lambda call=call: call(None))  # type: ignore[misc]
        assert error is not None and fault(error)
    assert is_named(3.5, "k is 3.5. Give a whole number.") and not is_named(3.5, "k is wrong. Give a whole number.")
