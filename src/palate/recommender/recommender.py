"""A learner and its log: what an application uses. Everything told is on the disk before a call returns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self, Unpack

import numpy as np

from palate.arrays import Progress
from palate.datasets.convert import write_folder
from palate.datasets.readers.formats import refuse_data_folder
from palate.datasets.tables import Dataset
from palate.encoders.protocol import Encoder
from palate.entities import USER, Answer
from palate.errors import OptionError
from palate.errors.checks import count, flag, key_of, normalise_id, share
from palate.errors.checks import several as several_of
from palate.learner import Learner
from palate.loop import checkpoint
from palate.loop.checkpoint import folder_of, open_log
from palate.loop.drift import CONFIDENCE, Drift
from palate.loop.taken import check_answer, check_attributes, check_events, several
from palate.model.fit import FitArguments, check_arguments
from palate.model.model import Model
from palate.recommender import changing, slates, versions
from palate.recommender.calls import asks, calibrate, item_labels, reads, serves
from palate.recommender.fitting import DATA, fitted, obeying
from palate.recommender.live import Live, Snapshot, opened
from palate.recommender.privacy import Erased, erase, forget_owed, held_on, is_owed
from palate.recommender.promoting import before, promote
from palate.recommender.refitting import Refits, drift_of, refit, refit_apart
from palate.recommender.versions import Health, Version
from palate.records import Attribute, Consent, Event, Record, Slate
from palate.store.model_folder.folder import check_manifest
from palate.store.model_folder.manifest import CONFIG
from palate.store.protocol import LabelStore


class Recommender:
    """A learner and its ``log``, in a ``folder``. Use as a context manager; threads and processes may share the folder.

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

    def __init__(self, live: Live) -> None:
        self._live, self.folder = live, live.folder

    @classmethod
    def create(
        cls,
        place: str | Path,
        data: Dataset,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        again: bool = False,
        store: str | Path | None = None,
        **options: Unpack[FitArguments],
    ) -> Self:
        """Fit a model to data and keep both in a new folder.

        Args:
            place: A folder, made if missing.
            seed, progress: As of :meth:`palate.Learner.fit`, and so are all further options.
            again: Whether a model that is there may be replaced. Its log stays, and counts in the fit.
            store: Where the log is, if not in the folder: a path, or ``postgresql://...``.
        Raises:
            OptionError: If there is a model, or its log holds an answer that the data does not fit.
            DataError: If the data has nothing to learn from.
        """
        folder = folder_of(place)
        given = check_arguments({"data": data, "seed": seed, "progress": progress, **options})
        if not flag(again, "again") and (folder / CONFIG).exists():
            raise OptionError(f"{folder} holds a model. Open it with Recommender.open, or give again=True.")
        refuse_data_folder(folder)
        log = open_log(folder, store) if store is not None or (folder.exists() and any(folder.iterdir())) else None
        try:
            if log is not None:
                checkpoint.move_old(folder, log)
            rows = [] if log is None else list(log.records())
            given["data"] = data = obeying(data, rows)
            found = fitted(folder, rows, **given, log=log)
            log = open_log(folder, store) if log is None else log  # of a fit that fails nothing is left in a new folder
            write_folder(data, folder / DATA)
            found = checkpoint.save_model(folder, found)
            if found.fitted_seq:
                found = checkpoint.resume(folder, log, found.memory.fitted.given_encoders.values())
            return cls(Live(folder, log, found, store))
        except BaseException:
            if log is not None:
                log.close()
            raise

    @classmethod
    def open(cls, place: str | Path, *, encoders: Iterable[Encoder] = (), store: str | Path | None = None) -> Self:
        """Open a model folder and its log, of which it reads what has come lately, and the rest when it is needed.

        Args:
            encoders: Those of your own that it was fitted with.
            store: Where the log is, if not in the folder: a path, or ``postgresql://...``.
        Raises:
            ModelFolderError: If it is none, damaged, unsafe or of a newer format.
            StoreError: If the log cannot be used.
        """
        folder = folder_of(place)
        check_manifest(folder)  # before a log is made in it
        live = opened(folder, store, encoders)
        if is_owed(live):  # a process died while it erased somebody
            forget_owed(live)
        return cls(live)

    @property
    def learner(self) -> Learner:
        """The learner as it is now: a pure value, which later calls do not change. Once closed, as it was last."""
        return self._live.learner if self._live.is_closed else self._live.now()

    @property
    def log(self) -> LabelStore:
        """Everything that was told. What is appended here by other ways than this class is not checked."""
        return self._live.log

    @property
    def last_seq(self) -> int:
        """The last row of the log that this recommender has seen or written."""
        return max(self._live.checkpoint.last_seq, self._live.written_seq)

    @property
    def fitted(self) -> Model:
        """The model as the fit left it: what can be told, and no row of the log."""
        return self._live.model()

    def snapshot(self) -> Snapshot:
        """The learner as it is now, the last row that it has seen, and the version of its model."""
        return self._live.snapshot()

    def stamp(self) -> tuple[Hashable, int]:
        """Something that is the same as long as the model is, and the last row of the log, by whomever; cheap."""
        return self._live.stamp()

    at = reads(Learner.at)
    ask = asks(Learner.ask)
    ask_about = reads(Learner.ask_about)
    ask_pairs = reads(Learner.ask_pairs)
    decide = asks(Learner.decide)
    recommend = serves(Learner.recommend)
    recommend_all = reads(Learner.recommend_all)
    companions = serves(Learner.companions)
    profile = serves(Learner.profile)
    calibrate = calibrate
    item_labels = item_labels
    set_stock = changing.set_stock

    def show(
        self,
        user_id: str,
        k: int = 10,
        *,
        explore: float,
        exclude: Sequence[str] = (),
        category: str | None = None,
        rng: np.random.Generator,
    ) -> slates.Shown:
        """A list that is drawn, and kept in the log with the probability of each place before this returns.

        Who does not allow ``serve`` or ``research`` gets the best list, of which nothing is kept.

        Args:
            explore, rng: Temperature of the draw, from 0 (:mod:`palate.loop.explore`); its source, new for each list.
        Raises:
            OptionError, UnknownItem: As of :meth:`palate.Learner.recommend`.
        """
        now = self.snapshot()
        found = slates.drawn(
            now.learner, user_id, k, explore=explore, exclude=exclude, category=category, model=now.version, rng=rng
        )
        self.keep([] if found.slate is None else [found.slate])
        return found

    def keep(self, shown: Iterable[Slate]) -> list[Record]:
        """Keep lists that were drawn (:func:`palate.recommender.slates.drawn`), all or none."""
        return self._live.append(several(shown, Slate))

    def tell(self, answers: Answer | Iterable[Answer]) -> list[Record]:
        """Keep an answer or several, all or none; a repeat of a key with the same content changes nothing.

        Returns:
            A row an answer.
        Raises:
            UnknownItem, AnswerError: If one of them cannot be taken, or its key belongs to another.
            StoreError: If the disk refuses; nothing is kept then.
        """
        model = self._live.model()
        return self._live.append([check_answer(model, answer) for answer in several(answers, Answer)])

    def see(self, events: Event | Iterable[Event]) -> list[Record]:
        """Keep events (:func:`palate.events`), all or none.

        Raises:
            UnknownItem, DataError: If the model does not hold an item, or knows no such kind.
        """
        model = self._live.model()
        return self._live.append(check_events(model, several(events, Event)))

    def know(self, user_id: str, /, *, key: str = "", **attributes: Any) -> list[Record]:
        """Keep who a user is (:meth:`palate.Learner.know`). A model that knows no attributes leaves them to a refit.

        Args:
            key: Made by the client, for all of them together: a repeat changes nothing.
        Raises:
            OptionError: If none is given, or a name or a value cannot be taken.
        """
        model, key = self._live.model(), key_of(key)
        given = [Attribute(user_id, name, value, key and f"{key}:{name}") for name, value in attributes.items()]
        return self._live.append(check_attributes(model, given))

    def find(self, key: str) -> Record | None:
        """The row of the log that has this key; None if there is none."""
        return self._live.log.find(normalise_id(key, "key"))

    def undo(self, user_id: str, key: str | None = None) -> Record:
        """Take an answer back, as if it had never been given.

        Args:
            key: Of the answer; the user's last one if None.
        Returns:
            The row that takes it back.
        Raises:
            AnswerError: If there is nothing to undo.
        """
        return self._live.retract(self._live.now().memory.to_undo(user_id, key))

    def consent(
        self, user_id: str, purposes: Iterable[str], *, version: str, at: float | None = None, key: str = ""
    ) -> Record:
        """Keep what a user allows from now on. Of a user without any consent everything is allowed.

        Args:
            purposes: Of ``serve`` (lists from what is held on them; without it they get a stranger's), ``ask`` and
                ``research``; none: nothing.
            version: Of the text that they were shown.
            at: When, in seconds since the epoch.
            key: Made by the client: a repeat changes nothing.
        """
        given = Consent(user_id, tuple(several_of(purposes, "purposes", "['ask']")), version, at, key)
        return self._live.append([given])[0]

    def export_user(self, user_id: str) -> dict[str, Any]:
        """Everything that is held on a user, as JSON can say it, at one moment."""
        return held_on(self._live, normalise_id(user_id, USER))

    def erase(self, user_id: str, *, key: str = "") -> Erased:
        """Take everything of a user out of the log, the data and the models, for good.

        Their rows keep their place in the log and nothing of what they said. The model forgets at once, approximately
        where its fit knew them; the next refit is exact. It may take as long as some sweeps of a fit; tells go on.

        Args:
            key: Made by the client: a repeat changes nothing.
        Raises:
            StoreError: If the disk refuses. What is not done is done by the next call, or when the folder is opened.
        """
        return erase(self._live, normalise_id(user_id, USER), key_of(key))

    def refit_apart(self, *, hold_back: float = 0.2, tolerance: float = versions.TOLERANCE) -> Health:
        """A refit in a process of its own, which no call waits for; a model that is worse does not serve.

        Args:
            hold_back: Share of the labels since the last fit on which the new model and the one that serves are
                compared; those labels count all the same, as if told after the fit.
            tolerance: By which the new one may do worse, as a share of the error.
        Returns:
            What was found: without ``faults`` the new model serves.
        Raises:
            ModelFolderError: If the fit failed; the model that serves is as it was.
            OptionError: If a share is not in [0, 1], or the model was fitted with an encoder that is an object.
        """
        return refit_apart(self._live, share(hold_back, "hold_back"), share(tolerance, "tolerance"))

    def refit_regularly(
        self, *, every_seconds: float | None = None, after_labels: int | None = None, hold_back: float = 0.2
    ) -> Refits:
        """:meth:`refit_apart` again and again in the background, until ``stop()`` of what this gives.

        Args:
            every_seconds: After so long, or
            after_labels: after so many rows of the log, whichever comes first.
        Raises:
            OptionError: If neither is given.
        """
        return Refits(self._live, every_seconds, after_labels, hold_back)

    def versions(self) -> list[Version]:
        """The model that serves and those kept before it, newest first."""
        return versions.versions_of(self._live.folder)

    def promote(self, version: str) -> Version:
        """Let a kept version serve; what was told since its fit is replayed, so no label is lost.

        Raises:
            OptionError: If it is not kept.
            ModelFolderError: If it is damaged, sick, or does not fit the labels of this folder.
        """
        return promote(self._live, version)

    def rollback(self) -> Version:
        """Let the version before serve again.

        Raises:
            OptionError: If none is kept.
        """
        return promote(self._live, before(self._live.folder).id)

    def change_items(
        self, items: Any, *, folder: str | Path | None = None, on_corrupt: Literal["raise", "skip"] = "raise"
    ) -> int:
        """Other content of items that the model holds; what their answers have taught stays.

        Returns:
            How many.
        Raises:
            DataError: If the model does not hold one, one comes twice, or a row cannot be read.
        """
        return changing.change_items(self._live, items, folder, on_corrupt)

    def withdraw_items(self, item_ids: str | Iterable[str], *, again: bool = False) -> int:
        """Take items out of lists and questions; what was said of them counts as before.

        Args:
            again: Whether they are to be shown again instead.
        Returns:
            How many are withdrawn now.
        Raises:
            UnknownItem: If the model does not hold one.
        """
        return changing.withdraw_items(self._live, item_ids, again=flag(again, "again"))

    def add_items(
        self, items: Any, *, folder: str | Path | None = None, on_corrupt: Literal["raise", "skip"] = "raise"
    ) -> int:
        """New items, in every list from now on (:meth:`palate.Learner.with_items`).

        Returns:
            How many.
        Raises:
            DataError: If an id is in the model already or comes twice, or a row cannot be read.
        """
        return changing.add_items(self._live, items, folder, on_corrupt)

    def refit(
        self, data: Dataset | None = None, *, progress: Progress | None = None, **options: Unpack[FitArguments]
    ) -> None:
        """Batch fit from the data and the log; the folder changes in one step.

        Args:
            data: In the place of what the folder keeps. Users whom the log erases are left out, and that is said.
            progress: Called with (what, done, of).
            options: In the place of those of the last fit.
        Raises:
            OptionError: If the log holds an answer that the data does not fit.
        """
        given = check_arguments({"progress": progress, **({} if data is None else {"data": data}), **options})
        refit(self._live, data, given)

    def drift(self, *, last: int = 10_000, confidence: float = CONFIDENCE) -> Drift:
        """Whether what people say has come to be told worse than before, each and all together.

        Args:
            last: Rows of the log that are read, counted from its end; their users are replayed.
            confidence: In [0, 1]: the chance of an alarm about all together where nothing has changed, about.
        Raises:
            MissingExtra: Without river (extra serve).
        """
        return drift_of(self._live, count(last, "last", least=1), share(confidence, "confidence"))

    def close(self) -> None:
        """Let the folder go. What was told is on the disk already."""
        self._live.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
