"""A fit of the data and of everything in a log, and its options as they are kept for the next one."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from palate.arrays import Progress
from palate.datasets.tables import Dataset
from palate.datasets.views import with_attributes, with_friends
from palate.encoders.protocol import Encoder, not_here
from palate.entities import USER, Answer
from palate.entities.friends import FRIEND
from palate.entities.item_attributes import ItemAttribute
from palate.errors import InputError, OptionError
from palate.loop.checkpoint import Checkpoint
from palate.loop.memory import Memory
from palate.loop.taken import check_answer
from palate.model.counted import is_of_taste
from palate.model.fit import fit_model
from palate.posteriors import likelihoods
from palate.posteriors.likelihood import Likelihood
from palate.records import Attribute, Calibration, Erasure, Event, Record, erased_among
from palate.store.protocol import LabelStore, active
from palate.store.sql_log import SqlLog

DATA = "data"  # in the model folder: what a refit starts from


def without_users(data: Dataset, users: Collection[str]) -> Dataset:
    """The same data without some of its users, and without who follows them."""

    def left(table: pl.DataFrame) -> pl.DataFrame:
        named = [name for name in (USER, FRIEND) if name in table.columns]
        return table.filter(~pl.any_horizontal(pl.col(named).is_in(list(users)))) if named else table

    if not users:
        return data
    return replace(data, interactions=left(data.interactions), users=left(data.users), friends=left(data.friends))


def erased_in(data: Dataset, rows: Sequence[Record]) -> set[str]:
    """Users of the data whom rows of a log erase. Not those who have come back: they have rows of their own again."""
    erasures = [row.content for row in rows if isinstance(row.content, Erasure)]
    if not erasures:
        return set()
    tables = (data.interactions, data.users, data.friends)
    users = {user for table in tables if USER in table.columns for user in table[USER]} | {*data.friends[FRIEND]}
    return set(erased_among(users, erasures)) - {row.user_id for row in rows}


def obeying(data: Dataset, rows: Sequence[Record]) -> Dataset:
    """The data without those who are erased: a file from before brings nobody back. A warning says how many."""
    erased = erased_in(data, rows)
    if erased:
        said = f"{len(erased)} users of the data were erased and are left out"
        warnings.warn(f"{said}. Who has come back gives a new consent first.", stacklevel=3)
    return without_users(data, erased)


def fitted(
    folder: Path,
    rows: list[Record],
    data: Dataset,
    seed: int,
    progress: Progress | None,
    withdrawn: frozenset[str] = frozenset(),
    held_back: frozenset[str] = frozenset(),
    log: LabelStore | None = None,
    **options: Any,
) -> Checkpoint:
    """A fit of the data and of everything in a log.

    Args:
        withdrawn: Items that stay out of lists.
        held_back: Keys of labels that the fit is not told; they follow as those that come after it.
        log: Beside whose rows campaigns keep what is known of attributes.
    """
    written = _written(options)
    contents = [row.timed for row in active(rows)]
    events = [one for one in contents if isinstance(one, Event)]
    attributes = [one for one in contents if isinstance(one, Attribute)]
    answers = list(filter(is_of_taste, contents))
    last = rows[-1].seq if rows else 0
    known = with_friends(with_attributes(data, attributes), attributes)
    known = without_users(known, erased_in(known, rows))  # whom others still name
    taught = [one for one in contents if isinstance(one, Answer) and one.key not in held_back]
    calibrations = [one for one in contents if isinstance(one, Calibration)]
    gold = {} if log is None else {one.name: known_options(log, one) for one in options.get("item_attributes", ())}
    given: dict[str, Any] = {"labels": taught, "calibrations": calibrations, "gold": gold, "seen": events, "seed": seed}
    model = fit_model(known, **given, progress=progress, **options)
    memory = Memory(replace(model, withdrawn=withdrawn))
    for answer in answers:
        try:
            check_answer(memory.fitted, answer)
        except InputError as error:
            fact = str(error).partition(". ")[0]
            raise OptionError(
                f"{folder} keeps answers that this data does not fit: {fact}. Give another folder."
            ) from None
    media = None if data.folder is None else Path(os.path.abspath(data.folder))
    return Checkpoint(memory, seed, last, last, written, media, erased_seq=last)


def known_options(log: LabelStore, attribute: ItemAttribute) -> dict[str, int]:
    """The option of each item of which a campaign about the attribute, with the same options, knows it."""
    if not isinstance(log, SqlLog):
        return {}
    known = dict[str, int]()
    for (specification,) in log.select("SELECT specification FROM campaigns ORDER BY made_at, id", ()):
        campaign = json.loads(specification)
        if (campaign["subject"], tuple(campaign["options"])) == (attribute.name, attribute.options):
            known |= campaign["gold"]
    return known


def _written(options: dict[str, Any]) -> dict[str, Any]:
    """As JSON holds them: of an encoder that was given its name, of a likelihood what it is made from."""
    return {name: value if _is_plain(value) else _as_json(value) for name, value in options.items()}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, bool, int))


def _as_json(value: Likelihood | Encoder | tuple[ItemAttribute, ...]) -> dict[str, Any] | list[dict[str, Any]]:
    if isinstance(value, tuple):
        return [asdict(one) for one in value]
    return likelihoods.as_dict(value) if isinstance(value, Likelihood) else {"given": value.name}


def given_again(value: Any) -> Any:
    """An option as it was given.

    Raises:
        OptionError: If it was an encoder.
    """
    if isinstance(value, dict) and "given" in value:
        raise not_here(value["given"])
    if isinstance(value, list):
        return tuple(ItemAttribute(**one) for one in value)
    return likelihoods.named(**value) if isinstance(value, dict) else value
