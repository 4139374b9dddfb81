"""A learner and its log: what an application uses. Everything told is on the disk before a call returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, Unpack, cast

from palate.arrays import Progress
from palate.datasets.convert import write_folder
from palate.datasets.readers.formats import refuse_data_folder
from palate.datasets.tables import Dataset
from palate.datasets.views import added_items, with_attributes
from palate.encoders.protocol import Encoder, not_here
from palate.entities import Answer
from palate.errors import InputError, OptionError, StoreError
from palate.errors.checks import count, flag, key_of, normalise_id, share
from palate.learner import Learner
from palate.loop import checkpoint
from palate.loop.checkpoint import Checkpoint, folder_of, open_log
from palate.loop.drift import CONFIDENCE, Drift, drift
from palate.loop.memory import Memory, several
from palate.loop.state import check_events
from palate.model.fit import FitArguments, check_arguments, fit_model
from palate.posteriors import likelihoods
from palate.posteriors.likelihood import Likelihood
from palate.records import Attribute, Event, Record
from palate.store.model_folder.manifest import CONFIG
from palate.store.protocol import LabelStore, active

DATA = "data"  # in the model folder: what a refit starts from
P = ParamSpec("P")
R = TypeVar("R")


def _reads(method: Callable[Concatenate[Learner, P], R]) -> Callable[Concatenate[Recommender, P], R]:
    """The same call on the learner as it is now, with what other processes have told since."""

    @wraps(method)
    def read(self: Recommender, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self._now(), *args, **kwargs)

    return cast("Callable[Concatenate[Recommender, P], R]", read)


class Recommender:
    """A learner and its log, in a folder. Use as a context manager; threads and processes may share the folder.

    Labels, events and attributes are rows of one append-only log. A call that tells something returns when its row is
    on the disk; every other recommender on the folder sees it with its next call.

    Example:
        >>> from palate import Dataset, Recommender, events, rate
        >>> from palate.datasets import planted_world
        >>> import numpy as np, tempfile
        >>> data = planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset
        >>> folder = tempfile.mkdtemp() + "/model"
        >>> with Recommender.create(folder, data, encoder="none") as recommender:
        ...     for question in recommender.ask("ann", k=2):
        ...         record = recommender.tell(question.answer(4))
        >>> with Recommender.open(folder) as again:
        ...     len(again.learner.told["ann"])
        2
    """

    def __init__(self, folder: Path, log: LabelStore, checkpoint: Checkpoint) -> None:
        self._folder, self._log, self._checkpoint = folder, log, checkpoint
        self._encoders = checkpoint.memory.model.given_encoders
        self._stamp = _stamp(folder)
        self._turn = RLock()  # held while something is told or read
        self._changing = RLock()  # held while the model is changed, which may take long
        self._closed = False

    @classmethod
    def create(
        cls,
        place: str | Path,
        data: Dataset,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        again: bool = False,
        **options: Unpack[FitArguments],
    ) -> Self:
        """Fit a model to data and keep both in a new folder.

        Args:
            place: A folder, made if missing.
            seed, progress: As of :meth:`palate.Learner.fit`, and so are all further options.
            again: Whether a model that is there may be replaced. Its log stays, and counts in the fit.
        Raises:
            OptionError: If there is a model, or its log holds an answer that the data does not fit.
            DataError: If the data has nothing to learn from.
        """
        folder = folder_of(place)
        given = check_arguments({"data": data, "seed": seed, "progress": progress, **options})
        if not flag(again, "again") and (folder / CONFIG).exists():
            raise OptionError(f"{folder} holds a model. Open it with Recommender.open, or give again=True.")
        refuse_data_folder(folder)
        log = open_log(folder) if folder.exists() and any(folder.iterdir()) else None
        try:
            if log is not None:
                checkpoint.move_old(folder, log)
            fitted = _fitted(folder, [] if log is None else list(log.records()), **given)
            log = open_log(folder) if log is None else log  # of a fit that fails nothing is left in a new folder
            write_folder(data, folder / DATA)
            checkpoint.save_model(folder, fitted)
            return cls(folder, log, fitted)
        except BaseException:
            if log is not None:
                log.close()
            raise

    @classmethod
    def open(cls, place: str | Path, *, encoders: Iterable[Encoder] = ()) -> Self:
        """Open a model folder, and replay its log.

        Args:
            encoders: Those of your own that it was fitted with.
        Raises:
            ModelFolderError: If it is none, damaged, unsafe or of a newer format.
        """
        folder = folder_of(place)
        loaded = checkpoint.load(folder, encoders)
        log = open_log(folder)
        if loaded.is_old:
            checkpoint.move_old(folder, log)
            checkpoint.save_model(folder, loaded)
        return cls(folder, log, loaded)

    @property
    def learner(self) -> Learner:
        """The learner as it is now: a pure value, which later calls do not change. Once closed, as it was last."""
        with self._turn:
            return Learner(self._checkpoint.memory, self._checkpoint.seed) if self._closed else self._now()

    def _now(self) -> Learner:
        with self._turn:
            self._catch_up()
            return Learner(self._checkpoint.memory, self._checkpoint.seed)

    @property
    def last_seq(self) -> int:
        """The last row of the log that this recommender has seen."""
        return self._checkpoint.last_seq

    at = _reads(Learner.at)
    ask = _reads(Learner.ask)
    ask_about = _reads(Learner.ask_about)
    ask_pairs = _reads(Learner.ask_pairs)
    decide = _reads(Learner.decide)
    recommend = _reads(Learner.recommend)
    recommend_all = _reads(Learner.recommend_all)
    companions = _reads(Learner.companions)
    profile = _reads(Learner.profile)

    def tell(self, answers: Answer | Iterable[Answer]) -> list[Record]:
        """Keep an answer or several, all or none.

        A repeat of a key with the same content changes nothing.

        Returns:
            A row an answer.
        Raises:
            UnknownItem, AnswerError: If one of them cannot be taken, or its key belongs to another.
            StoreError: If the disk refuses; nothing is kept then.
        """
        with self._writing() as memory:
            return self._log.append([memory.check(answer) for answer in several(answers, Answer)])

    def see(self, events: Event | Iterable[Event]) -> list[Record]:
        """Keep events (:func:`palate.events`), all or none.

        Raises:
            UnknownItem, DataError: If the model does not hold an item, or knows no such kind.
        """
        with self._writing() as memory:
            return self._log.append(check_events(memory.fitted, several(events, Event)))

    def know(self, user_id: str, /, *, key: str = "", **attributes: Any) -> list[Record]:
        """Keep who a user is, by attributes such as age. A model that knows none leaves them to the next refit.

        Args:
            key: Made by the client, for all of them together: a repeat changes nothing.
        Raises:
            OptionError: If none is given, or a name or a value cannot be taken.
        """
        with self._writing() as memory:
            key = key_of(key)
            given = [Attribute(user_id, name, value, key and f"{key}:{name}") for name, value in attributes.items()]
            return self._log.append(memory.check_attributes(given))

    def find(self, key: str) -> Record | None:
        """The row of the log that has this key; None if there is none."""
        return self._log.find(normalise_id(key, "key"))

    def undo(self, user_id: str, key: str | None = None) -> Record:
        """Take an answer back, as if it had never been given.

        Args:
            key: Of the answer; the user's last one if None.
        Returns:
            The row that takes it back.
        Raises:
            AnswerError: If there is nothing to undo.
        """
        with self._writing() as memory:
            return self._log.retract(memory.to_undo(user_id, key))

    def add_items(
        self, items: Any, *, folder: str | Path | None = None, on_corrupt: Literal["raise", "skip"] = "raise"
    ) -> int:
        """New items, in every list from now on (:meth:`palate.Learner.with_items`).

        Returns:
            How many.
        Raises:
            DataError: If an id is in the model already or comes twice, or a row cannot be read.
        """
        with self._changing, self._writing() as memory:
            more = Learner(memory).with_items(items, folder=folder, on_corrupt=on_corrupt).memory
            self._replace(replace(self._checkpoint, memory=more))
            return len(more.model.catalogue) - len(memory.model.catalogue)

    def refit(
        self,
        data: Dataset | None = None,
        *,
        progress: Progress | None = None,
        **options: Unpack[FitArguments],
    ) -> None:
        """Batch fit from the data and the log; the folder changes in one step.

        Args:
            data: In the place of what the folder keeps.
            progress: Called with (what, done, of).
            options: In the place of those of the last fit.
        Raises:
            OptionError: If the log holds an answer that the data does not fit.
        """
        given = check_arguments({"progress": progress, **({} if data is None else {"data": data}), **options})
        with self._changing:
            memory, before = self._now().memory, self._checkpoint
            kept = {} if data is not None else {"data": self._data(memory)}
            chosen = {**(before.options or {}), **self._encoders, "seed": before.seed, **kept, **given}
            chosen = {name: _read(value) for name, value in chosen.items()}
            fitted = _fitted(self._folder, list(self._log.records()), **chosen)  # others may tell meanwhile
            with self._turn:
                self._replace(fitted, data)

    def _replace(self, by: Checkpoint, data: Dataset | None = None) -> None:
        """Another model in the place of this one; what was told meanwhile follows with the next call."""
        if _stamp(self._folder) != self._stamp:
            raise StoreError(f"another process changed the model in {self._folder} meanwhile. Call again.")
        if data is not None:
            write_folder(data, self._folder / DATA)
        checkpoint.save_model(self._folder, by)
        self._checkpoint, self._stamp = by, _stamp(self._folder)

    def _data(self, memory: Memory) -> Dataset:
        if not (self._folder / DATA).exists():
            where = f"{self._folder} keeps no data to refit it from."
            raise OptionError(f"{where} Fit its data into it: palate fit PATH --out {self._folder}, or refit(data).")
        kept = added_items(Dataset.load(self._folder / DATA), memory.model.catalogue.table)
        return replace(kept, folder=self._checkpoint.media)

    def drift(self, *, last: int = 10_000, confidence: float = CONFIDENCE) -> Drift:
        """Whether what people say has come to be told worse than before, each and all together.

        Reads the log, and replays the users of these answers.

        Args:
            last: Rows of the log that are read, counted from its end.
            confidence: In [0, 1]: the chance of an alarm about all together where nothing has changed, about.
        Raises:
            MissingExtra: Without river (extra serve).
        """
        wanted, chance = count(last, "last", least=1), share(confidence, "confidence")
        learner = self._now()
        rows = active(self._log.records(max(0, self.last_seq - wanted)))
        answers = [row.content for row in rows if isinstance(row.content, Answer)]
        return drift(learner.memory, answers, confidence=chance)

    def close(self) -> None:
        """Let the folder go. What was told is on the disk already."""
        with self._turn:
            self._closed = True
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[Memory]:
        with self._turn:
            self._catch_up()
            yield self._checkpoint.memory
            self._catch_up()

    def _catch_up(self) -> None:
        """What other recommenders on the folder did since: a new model is read anew, new rows are replayed."""
        if self._closed:
            raise OptionError(f"the recommender on {self._folder} is closed. Open it again with Recommender.open.")
        if _stamp(self._folder) != self._stamp:
            self._checkpoint = checkpoint.load(self._folder, self._encoders.values(), left_out=True)
            self._stamp = _stamp(self._folder)
        rows = list(self._log.records(self._checkpoint.last_seq))
        if rows:
            memory, _ = checkpoint.replayed(self._checkpoint.memory, rows, self._checkpoint.fitted_seq)
            self._checkpoint = replace(self._checkpoint, memory=memory, last_seq=rows[-1].seq)


def _fitted(
    folder: Path, rows: list[Record], data: Dataset, seed: int, progress: Progress | None, **options: Any
) -> Checkpoint:
    """A fit of the data and of everything in a log."""
    written = _written(options)
    contents = [row.content for row in active(rows)]
    events = [one for one in contents if isinstance(one, Event)]
    attributes = [one for one in contents if isinstance(one, Attribute)]
    answers = [one for one in contents if isinstance(one, Answer)]
    last = rows[-1].seq if rows else 0
    known = with_attributes(data, attributes)
    memory = Memory(fit_model(known, labels=answers, seen=events, seed=seed, progress=progress, **options))
    for answer in answers:
        try:
            memory.check(answer)
        except InputError as error:
            fact = str(error).partition(". ")[0]
            raise OptionError(
                f"{folder} keeps answers that this data does not fit: {fact}. Give another folder."
            ) from None
    memory, notes = checkpoint.replayed(memory, rows, last)
    media = None if data.folder is None else Path(os.path.abspath(data.folder))
    return Checkpoint(memory, seed, last, last, written, media, notes)


def _written(options: dict[str, Any]) -> dict[str, Any]:
    """As JSON holds them: of an encoder that was given its name, of a likelihood what it is made from."""
    return {name: value if _is_plain(value) else _as_dict(value) for name, value in options.items()}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, bool, int))


def _as_dict(value: Likelihood | Encoder) -> dict[str, Any]:
    return likelihoods.as_dict(value) if isinstance(value, Likelihood) else {"given": value.name}


def _read(value: Any) -> Any:
    """An option as it was given.

    Raises:
        OptionError: If it was an encoder.
    """
    if isinstance(value, dict) and "given" in value:
        raise not_here(value["given"])
    return likelihoods.named(**value) if isinstance(value, dict) else value


def _stamp(folder: Path) -> tuple[int, int]:
    """Changes with every save."""
    try:
        found = os.stat(folder / CONFIG)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"the model in {folder} is gone ({why}). Restore the folder, then open it again.") from None
    return found.st_mtime_ns, found.st_ino
