"""A learner on disk: a model folder of safetensors, JSON and parquet, and the log of what was told in it.

A save adds to the log, takes nothing away, and leaves what this model cannot take.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from palate.datasets.readers.formats import refuse_data_folder
from palate.encoders.protocol import Encoder
from palate.entities import EVENT, ITEM, USER, Answer
from palate.errors import InputError, ModelFolderError, OptionError
from palate.errors.checks import path_of
from palate.loop.memory import Memory
from palate.model.labels import joined
from palate.model.model import Model
from palate.model.saved import model_of, parts_of
from palate.posteriors.answers import Answers
from palate.records import Attribute, Content, Event, Record
from palate.store.model_folder.folder import load_folder, save_folder
from palate.store.old_attributes import FILE as OLD_ATTRIBUTES
from palate.store.old_attributes import read_attributes
from palate.store.protocol import LabelStore, active
from palate.store.sqlite_log import LabelLog

LOG = "labels.sqlite"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder holds.

    Attributes:
        memory: The model, and what was told since its fit.
        seed: Of the fit.
        fitted_seq: Row of the log up to which events and attributes are in the fit itself.
        last_seq: Row of the log up to which everything is in the memory.
        options: Of the fit, by name.
        media: Where the paths of the items' images and sounds start, if the data came from a folder.
        notes: What was passed over on the way.
        is_old: Whether events and attributes were read that are not in the log yet.
    """

    memory: Memory
    seed: int = 0
    fitted_seq: int = 0
    last_seq: int = 0
    options: dict[str, Any] | None = None
    media: Path | None = None
    notes: tuple[str, ...] = ()
    is_old: bool = False


def folder_of(place: object) -> Path:
    """A place on disk.

    Raises:
        OptionError: If it is none.
    """
    path = path_of(place, "the model folder")
    if path.exists() and not path.is_dir():
        raise OptionError(f"the model folder {path} is a file. Give the path of a folder.")
    return path


def open_log(folder: Path) -> LabelLog:
    """The log of a model folder, made if there is none: the one place that opens it."""
    folder.mkdir(parents=True, exist_ok=True)
    return LabelLog.open(folder / LOG)


def save(memory: Memory, folder: Path, *, seed: int = 0) -> None:
    """Write a model; what was told or undone and is not yet in the folder's log is appended first.

    Raises:
        OptionError: If the folder is one of data.
    """
    refuse_data_folder(folder)
    with open_log(folder) as log:
        move_old(folder, log)
        keep(memory, log)
    save_model(folder, Checkpoint(memory, seed))


def save_model(folder: Path, of: Checkpoint) -> None:
    """Write a model in one step, and leave the log as it is."""
    config, arrays, tables = parts_of(of.memory.fitted)
    media = None if of.media is None else str(of.media)
    config |= {"seed": of.seed, "fitted_seq": of.fitted_seq, "fit": of.options, "media": media}
    save_folder(folder, config=config, arrays=arrays, tables=tables)


def keep(memory: Memory, log: LabelStore) -> None:
    """Append what was told and is not in a log; a key that is there stays as it is."""
    contents: list[Content] = []
    for user in memory.users:
        contents += [*memory.told.get(user, ()), *memory.seen.get(user, ())]
        contents += memory.known.get(user, ())
    log.append(contents)
    for record in active(log.records()) if memory.undone else ():
        if record.content.key in memory.undone:
            log.retract(record.content.key)


def load(folder: Path, encoders: Iterable[Encoder] = (), *, left_out: bool = False) -> Checkpoint:
    """Read a model and replay its log. What was passed over on the way is a warning.

    Args:
        encoders: Those that a model was fitted with as objects.
        left_out: Whether one that it was not fitted with is left out, and no error.
    """
    loaded = load_folder(folder)
    for note in loaded.notes:
        warnings.warn(note, stacklevel=3)
    try:
        model = model_of(loaded.config, loaded.arrays, loaded.tables)
        old = _old_contents(folder, loaded.tables)
    except (KeyError, TypeError, ValueError, IndexError, OptionError, pl.exceptions.PolarsError) as error:
        raise ModelFolderError(
            f"the model folder {folder} does not hold what its config promises: {error!r}. Save the model again."
        ) from error
    memory = Memory(model.encoded_by(encoders, left_out=left_out))
    fitted_seq, last_seq = loaded.config.get("fitted_seq", 0), 0
    if old:
        note = f"{len(old)} events and attributes of {folder} are in an older format"
        warnings.warn(f"{note}. The next save moves them into the log.", stacklevel=3)
    memory, notes = replayed(memory, [Record(0, one, 0.0) for one in old], -1)
    if (folder / LOG).exists():
        with open_log(folder) as log:
            records = list(log.records())
        if "labels" not in loaded.tables:
            memory = replace(memory, fitted=_as_fitted(memory.fitted, records, fitted_seq))
        last_seq = records[-1].seq if records else 0
        memory, more = replayed(memory, records, fitted_seq)
        notes += more
    for note in notes:
        warnings.warn(note.replace("the log", f"the log of {folder}"), stacklevel=3)
    config = loaded.config
    media = None if config.get("media") is None else Path(config["media"])
    return Checkpoint(memory, config.get("seed", 0), fitted_seq, last_seq, config.get("fit"), media, notes, bool(old))


def replayed(memory: Memory, records: Iterable[Record], fitted_seq: int = 0) -> tuple[Memory, tuple[str, ...]]:
    """A memory with these rows of a log, and what of them its model cannot take.

    An older model may not hold an item, or know an attribute: such a row stays in the log.

    Args:
        fitted_seq: Events and attributes up to this row are in the fit.
    """
    rows = list(records)
    memory = memory.retracted(row for row in rows if row.retracts)
    contents = [row.content for row in active(rows) if isinstance(row.content, Answer) or row.seq > fitted_seq]
    answers, refused = _fitting(memory, [one for one in contents if isinstance(one, Answer)])
    memory = memory.tell(answers)
    for one in contents:
        try:
            memory = memory.see(one) if isinstance(one, Event) else memory
            memory = memory.know([one]) if isinstance(one, Attribute) else memory
        except InputError as error:
            refused.append(str(error))
    if not refused:
        return memory, ()
    return memory, (
        f"{len(refused)} of {len(contents)} rows of the log do not fit the model and were passed over; "
        f"the first: {refused[0]}",
    )


def _as_fitted(model: Model, records: Iterable[Record], fitted_seq: int) -> Model:
    """A model of an older version, with the labels that its fit was told: the ratings up to a row of the log."""
    before = [row for row in records if row.seq <= fitted_seq]
    labels = [row.content for row in active(before) if isinstance(row.content, Answer)]
    data, likelihood = Answers(model.answers), model.taste.likelihood
    return replace(model, labels=joined(data, labels, likelihood, model.user_ids, model.catalogue.ids).labels)


def _fitting(memory: Memory, answers: Iterable[Answer]) -> tuple[list[Answer], list[str]]:
    fitting, refused = [], []
    for answer in answers:
        try:
            fitting.append(memory.check(answer))
        except InputError as error:
            refused.append(str(error))
    return fitting, refused


def move_old(folder: Path, log: LabelStore) -> None:
    """Move what older versions kept beside the log into it, whether the model takes it or not."""
    try:
        tables = load_folder(folder).tables
    except ModelFolderError:  # none yet, or one that is to be replaced
        tables = {}
    log.append(_old_contents(folder, tables))
    (folder / OLD_ATTRIBUTES).unlink(missing_ok=True)


def _old_contents(folder: Path, tables: Mapping[str, pl.DataFrame]) -> list[Content]:
    """Events and attributes that older versions kept beside the log, with keys that stay the same."""
    rows = tables.get("histories", pl.DataFrame()).iter_rows(named=True)
    events = [
        Event(row[USER], row[ITEM], row.get(EVENT, ""), row["liking"], key=f"old-event-{place}")
        for place, row in enumerate(rows)
    ]
    told = [(user, name, value) for user, by_name in read_attributes(folder).items() for name, value in by_name.items()]
    return [*events, *(Attribute(*one, key=f"old-attribute-{place}") for place, one in enumerate(told))]
