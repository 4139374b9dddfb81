"""A learner on disk: a model folder of safetensors, JSON and parquet, and the log of what was told in it.

A save adds to the log, takes nothing away, and leaves what this model cannot take.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from palate.datasets.readers.formats import refuse_data_folder
from palate.encoders.protocol import Encoder
from palate.entities import EVENT, ITEM, USER, Answer
from palate.errors import InputError, ModelFolderError, OptionError
from palate.errors.checks import path_of
from palate.loop.beliefs import load_beliefs
from palate.loop.learned import learning_of
from palate.loop.memory import Memory
from palate.loop.past import Past
from palate.loop.taken import check_answer
from palate.model.counted import is_of_taste
from palate.model.forget import people_of, without
from palate.model.labels import joined
from palate.model.model import Model
from palate.model.saved import model_of, parts_of
from palate.posteriors.answers import Answers
from palate.records import Attribute, Calibration, Consent, Content, Event, Record, erased_among
from palate.store.model_folder.files import make_folder
from palate.store.model_folder.folder import digest_of, load_folder, save_folder
from palate.store.old_attributes import FILE as OLD_ATTRIBUTES
from palate.store.old_attributes import read_attributes
from palate.store.open_store import LOG, is_url, open_store
from palate.store.protocol import LabelStore, active

TAIL = 10_000  # rows of a log that a start reads; of more, each is read when somebody asks

HEAD = "labels-head"  # of a log elsewhere: its last row, so that rows missing at the end are seen


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
        digest: Of the model on the disk; empty where it is not there.
        started_seq: Row of the log up to which the items' beliefs were kept.
        erased_seq: Row of the log up to which the model obeys every erasure.
        owed: Users whom it does not obey yet: what it says of them is left out, and not yet taken out of its items.
        is_approximate: Whether somebody was taken out of it since its fit (:mod:`palate.model.forget`).
    """

    memory: Memory
    seed: int = 0
    fitted_seq: int = 0
    last_seq: int = 0
    options: dict[str, Any] | None = None
    media: Path | None = None
    notes: tuple[str, ...] = ()
    is_old: bool = False
    digest: str = ""
    started_seq: int = 0
    erased_seq: int = 0
    owed: frozenset[str] = frozenset()
    is_approximate: bool = False


def folder_of(place: object) -> Path:
    """A place on disk.

    Raises:
        OptionError: If it is none.
    """
    path = path_of(place, "the model folder")
    if path.exists() and not path.is_dir():
        raise OptionError(f"the model folder {path} is a file. Give the path of a folder.")
    return path


def open_log(folder: Path, place: str | Path | None = None, *, read_only: bool = False) -> LabelStore:
    """The log of a model folder, made if there is none: the one place that opens it.

    Args:
        place: Where it is, if not in the folder: a path, or the URL of a database.
        read_only: Whether nothing is written.
    """
    here = folder / LOG if place is None else place if is_url(place) else path_of(place, "store")
    make_folder(folder)
    return open_store(here, read_only=read_only, head=folder / HEAD if is_url(here) else None)


def save(memory: Memory, folder: Path, *, seed: int = 0) -> None:
    """Write a model; what was told or undone and is not yet in the folder's log is appended first.

    Raises:
        OptionError: If the folder is one of data.
    """
    refuse_data_folder(folder)
    with closing(open_log(folder)) as log:
        move_old(folder, log)
        keep(memory, log)
    save_model(folder, Checkpoint(memory, seed))


def save_model(folder: Path, of: Checkpoint) -> Checkpoint:
    """Write a model in one step, and leave the log as it is."""
    config, arrays, tables = parts_of(of.memory.fitted)
    media = None if of.media is None else str(of.media)
    config |= {"seed": of.seed, "fitted_seq": of.fitted_seq, "fit": of.options, "media": media}
    config |= {"erased_seq": of.erased_seq, "is_approximate": of.is_approximate}
    save_folder(folder, config=config, arrays=arrays, tables=tables)
    return replace(of, digest=digest_of(folder))


def keep(memory: Memory, log: LabelStore) -> None:
    """Append what was told and is not in a log; a key that is there stays as it is."""
    contents: list[Content] = []
    for user in memory.users:
        contents += [*memory.told.get(user, ()), *memory.seen.get(user, ())]
        contents += memory.known.get(user, ())
    contents += memory.calibrations
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
    found, old = _read(folder, encoders, left_out)
    memory, notes = replayed(found.memory, [Record(0, one, 0.0) for one in old], -1)
    last_seq = 0
    if (folder / LOG).exists():
        with closing(open_log(folder)) as log:
            records = list(log.records())
        if found.is_old:
            memory = replace(memory, fitted=_as_fitted(memory.fitted, records, found.fitted_seq))
        last_seq = records[-1].seq if records else 0
        memory, more = replayed(memory, records, found.fitted_seq)
        notes += more
    _warn(folder, notes)
    return replace(found, memory=memory, last_seq=last_seq, notes=notes, is_old=bool(old))


def resume(folder: Path, store: LabelStore, encoders: Iterable[Encoder] = (), *, left_out: bool = False) -> Checkpoint:
    """Read a model, and of its log what has come since the items' beliefs were kept; the rest when somebody asks.

    The same is believed as after :func:`load`, to the bit.

    Args:
        store: The log.
        encoders, left_out: As of :func:`load`.
    """
    found, old = _read(folder, encoders, left_out)
    memory, notes = replayed(found.memory, [Record(0, one, 0.0) for one in old], -1)
    if found.is_old:
        memory = replace(memory, fitted=_as_fitted(memory.fitted, store.records(), found.fitted_seq))
    erasures = store.erasures(found.erased_seq)
    owed = erased_among(people_of(memory.fitted) if erasures else (), erasures)
    memory = replace(memory, fitted=without(memory.fitted, owed)) if owed else memory
    model, last = memory.fitted, store.last_seq
    width, n_items = learning_of(model).width, len(model.catalogue)
    kept = load_beliefs(folder, model=found.digest, store=store, width=width, n_items=n_items)
    start = 0 if kept is None else kept.seq
    if kept is not None and kept.seq:
        past = Past(model, store, start, found.fitted_seq)
        memory = Memory.after(kept.learnt, past, calibrations_in(store, start))
    notes += () if kept is None else kept.notes
    if last - start > TAIL:
        memory = memory.unread_in(Past(model, store, last, found.fitted_seq), start)
        memory = memory.calibrated(calibrations_in(store, last))
    else:
        rows = list(store.records(start))
        memory, more = replayed(memory, rows, found.fitted_seq)
        last, notes = (rows[-1].seq if rows else start), notes + more
    _warn(folder, notes)
    return replace(
        found, memory=memory, last_seq=last, notes=notes, is_old=bool(old), started_seq=start, owed=frozenset(owed)
    )


def read_model(folder: Path, encoders: Iterable[Encoder] = ()) -> Checkpoint:
    """The model of a folder, without its log.

    Args:
        encoders: Those that it may have been fitted with as objects.
    """
    return _read(folder, encoders, left_out=True)[0]


def _read(folder: Path, encoders: Iterable[Encoder], left_out: bool) -> tuple[Checkpoint, list[Content]]:
    """What a folder holds beside its log, and what older versions kept in it of what belongs there."""
    loaded = load_folder(folder)
    for note in loaded.notes:
        warnings.warn(note, stacklevel=4)
    try:
        model = model_of(loaded.config, loaded.arrays, loaded.tables)
        old = _old_contents(folder, loaded.tables)
    except (KeyError, TypeError, ValueError, IndexError, OptionError, pl.exceptions.PolarsError) as error:
        raise ModelFolderError(
            f"the model folder {folder} does not hold what its config promises: {error!r}. "
            f"Fit its data into it again, which keeps its log: palate fit PATH --out {folder}."
        ) from error
    if old:
        note = f"{len(old)} events and attributes of {folder} are in an older format"
        warnings.warn(f"{note}. The next save moves them into the log.", stacklevel=4)
    config, memory = loaded.config, Memory(model.encoded_by(encoders, left_out=left_out))
    media = None if config.get("media") is None else Path(config["media"])
    fitted_seq, options, is_old = config.get("fitted_seq", 0), config.get("fit"), "labels" not in loaded.tables
    seed = config.get("seed", 0)
    found = Checkpoint(memory, seed, fitted_seq, 0, options, media, is_old=is_old, digest=loaded.digest)
    obeys = {"erased_seq": config.get("erased_seq", 0), "is_approximate": config.get("is_approximate", False)}
    return replace(found, **obeys), old


def _warn(folder: Path, notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note.replace("the log do", f"the log of {folder} do"), stacklevel=4)


def calibrations_in(store: LabelStore, last_seq: int) -> list[Calibration]:
    """Those that count in the rows of a log up to one."""
    rows = active(row for row in store.calibrations() if row.seq <= last_seq)
    return [row.content for row in rows if isinstance(row.content, Calibration)]


def replayed(memory: Memory, records: Iterable[Record], fitted_seq: int = 0) -> tuple[Memory, tuple[str, ...]]:
    """A memory with these rows of a log, and what of them its model cannot take.

    An older model may not hold an item, or know an attribute: such a row stays in the log.

    Args:
        fitted_seq: Events and attributes up to this row are in the fit.
    """
    rows = list(records)
    memory = memory.retracted(row for row in rows if row.retracts)
    counting = active(rows)
    memory = memory.consented(row.content for row in counting if isinstance(row.content, Consent))
    new = [row.content for row in counting if isinstance(row.content, Calibration)]
    kept = [one for one in memory.calibrations if not any(row.retracts == one.key for row in rows)]
    if new or len(kept) < len(memory.calibrations):
        memory = memory.calibrated([*kept, *new])
    contents = [row.timed for row in counting if isinstance(row.content, Answer) or row.seq > fitted_seq]
    answers, refused = _fitting(memory, filter(is_of_taste, contents))
    memory = memory.tell(answers)
    for kind, run in groupby(contents, type):
        if kind is not Answer:
            memory = _with(memory, list(run), refused)
    if not refused:
        return memory, ()
    return memory, (
        f"{len(refused)} of {len(contents)} rows of the log do not fit the model and were passed over; "
        f"the first: {refused[0]}",
    )


def _with(memory: Memory, rows: list[Any], refused: list[str]) -> Memory:
    """With events, or attributes, all at once, since a user may have done very much; without those that fail."""
    one = rows[0]
    try:
        if isinstance(one, Event):
            return memory.see(rows)
        return memory.know(rows) if isinstance(one, Attribute) else memory
    except Exception as error:  # noqa: BLE001 - those after it go on
        if len(rows) > 1:
            half = len(rows) // 2
            return _with(_with(memory, rows[:half], refused), rows[half:], refused)
        if not isinstance(error, InputError):
            memory.guard.set_aside(one.user_id, one.key, error)
        # of an attribute not what was told: nobody else need read it
        refused.append(f"the attribute {one.name!r}" if isinstance(one, Attribute) else str(error))
        return memory


def _as_fitted(model: Model, records: Iterable[Record], fitted_seq: int) -> Model:
    """A model of an older version, with the labels that its fit was told: the ratings up to a row of the log."""
    before = [row for row in records if row.seq <= fitted_seq]
    labels = [row.content for row in active(before) if is_of_taste(row.content)]
    data, likelihood = Answers(model.answers), model.taste.likelihood
    return replace(model, labels=joined(data, labels, likelihood, model.user_ids, model.catalogue.ids).labels)


def _fitting(memory: Memory, answers: Iterable[Answer]) -> tuple[list[Answer], list[str]]:
    fitting, refused = [], []
    for answer in answers:
        try:
            fitting.append(check_answer(memory.fitted, answer))
        except Exception as error:  # noqa: BLE001 - those after it go on
            if not isinstance(error, InputError):
                memory.guard.set_aside(answer.user_id, answer.key, error)
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
