"""The models that a folder has had: kept beside the one that serves, checked before one takes its place.

    versions/3/config.json ...    the model of generation 3, files shared with the folder where the disk can

A version is never changed. What was told since its fit is in the log, so going back loses no label.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palate.entities import Answer, Form
from palate.errors import ModelFolderError, OptionError
from palate.errors.checks import shown
from palate.loop.checkpoint import read_model
from palate.loop.memory import Memory
from palate.model.forget import people_of
from palate.model.model import Model
from palate.posteriors.belief import Belief
from palate.records import Erasure, erased_among
from palate.store.model_folder import files, manifest
from palate.store.model_folder.manifest import CONFIG

VERSIONS = "versions"  # in the model folder
KEPT = 3
_LARGEST = 1e6  # of a factor, in deviations of the answers: one of this size is a sick model
TOLERANCE = 0.02  # by which a model may do worse on labels held back, as a share of the error


@dataclass(frozen=True, slots=True)
class Version:
    """A model of a folder.

    Attributes:
        id: Its name, for :meth:`palate.Recommender.promote`.
        digest: SHA-256 of everything.
        saved_at: Seconds since the epoch.
        fitted_seq: Row of the log up to which its fit has read.
        is_live: Whether it serves.
    """

    id: str
    digest: str
    saved_at: float
    fitted_seq: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a model may take the place of another.

    Attributes:
        faults: Why not; empty if it may.
        labels: Held back, on which both were compared.
        error, live_error: Mean absolute error on these; None without any.
    """

    faults: tuple[str, ...]
    labels: int = 0
    error: float | None = None
    live_error: float | None = None


def versions_of(folder: Path) -> list[Version]:
    """The model that serves and those kept before it, newest first."""
    live = _version(folder, "live", is_live=True)
    kept = [_version(place, place.name, is_live=False) for place in _places(folder)]
    return [live, *(one for one in kept if one.digest != live.digest)]


def _version(place: Path, name: str, *, is_live: bool) -> Version:
    document = manifest.read(place, CONFIG)
    name = str(document["generation"]) if is_live else name
    saved_at = (place / CONFIG).stat().st_mtime
    return Version(name, document["sha256"], saved_at, document["config"].get("fitted_seq", 0), is_live)


def _places(folder: Path) -> list[Path]:
    """Folders of versions, newest first."""
    root = folder / VERSIONS
    found = [place for place in root.iterdir() if place.name.isdecimal()] if root.exists() else []
    return sorted(found, key=lambda place: int(place.name), reverse=True)


def keep_live(folder: Path) -> None:
    """Keep the model that serves as a version; of more than three the oldest goes."""
    document = manifest.read(folder, CONFIG)
    place = folder / VERSIONS / str(document["generation"])
    if not place.exists():
        temporary = place.with_name(place.name + ".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        files.make_folder(temporary)
        for name in (*document["files"], CONFIG):
            _share(folder / name, temporary / name)
        files.sync_folder(temporary)
        os.rename(temporary, place)
        files.sync_folder(place.parent)
    for old in _places(folder)[KEPT:]:
        shutil.rmtree(old)


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove_those_with(folder: Path, erasures: Sequence[Erasure]) -> None:
    """Remove every kept version whose fit knew somebody who was erased, and what an interrupted call has left."""
    root = folder / VERSIONS
    for place in root.iterdir() if root.exists() else ():
        if _knows_one_of(place, erasures):
            shutil.rmtree(place)


def _knows_one_of(place: Path, erasures: Sequence[Erasure]) -> bool:
    try:
        return bool(erased_among(people_of(read_model(place).memory.fitted), erasures))
    except ModelFolderError:  # nobody can serve from it, and nobody knows what it holds
        return True


def place_of(folder: Path, version: str) -> Path:
    """Where a version is kept.

    Raises:
        OptionError: If there is none of this name.
    """
    names = [place.name for place in _places(folder)]
    if not isinstance(version, str) or version not in names:
        raise OptionError(f"version {shown(version)} is not kept in {folder}. Give one of {', '.join(names) or '0'}.")
    return folder / VERSIONS / version


def check_alike(model: Model, live: Model) -> None:
    """That a model can take the place of another: what the labels of the log are about, and on what scale.

    Raises:
        ModelFolderError: With the exact difference.
    """
    pairs: list[tuple[str, object, object]] = [
        ("kind of answers", live.taste.likelihood.events_only, model.taste.likelihood.events_only),
        ("lowest answer", live.scale.low, model.scale.low),
        ("highest answer", live.scale.high, model.scale.high),
        ("encoder", live.encoder, model.encoder),
    ]
    for what, theirs, ours in pairs:
        if theirs != ours:
            raise ModelFolderError(
                f"the {what} of the model is {ours!r}, that of the one that serves {theirs!r}. "
                "Refit it from the data of this folder."
            )
    missing = sorted({*live.catalogue.ids} - {*model.catalogue.ids})
    if len(missing) > len(live.catalogue) // 2:
        raise ModelFolderError(
            f"the model lacks {len(missing):,} of the {len(live.catalogue):,} items of the one that serves, such as "
            f"{missing[0]!r}. Refit it from the data of this folder."
        )


def check_health(
    memory: Memory, live: Memory, held_back: Sequence[Answer] = (), *, tolerance: float = TOLERANCE
) -> Health:
    """Whether a model may take the place of another: finite, of sound size, and no worse on labels held back.

    Args:
        memory, live: With all that was told but those labels.
        held_back: Labels that neither knows.
        tolerance: By which its error may be larger, as a share of the other's.
    """
    items, faults = memory.fitted.taste.items, list[str]()
    for name, array in (("level", items.level), ("factors", items.factors), ("noise", items.noise)):
        largest = float(np.abs(array).max(initial=0.0))
        scale = max(1.0, abs(memory.fitted.scale.high), abs(memory.fitted.scale.low))
        if not largest < _LARGEST * scale:  # true for NaN too
            faults.append(f"its {name} goes up to {largest:g}")
    both = [label for label in held_back if is_rating(label, memory.fitted) and is_rating(label, live.fitted)]
    if faults or not both:
        return Health(tuple(faults))
    error, before = (float(np.mean([error_on(of, label) for label in both])) for of in (memory, live))
    if not error <= before * (1.0 + tolerance):
        faults.append(
            f"its mean error on {len(both)} labels held back is {error:.4g}, that of the one that serves {before:.4g}"
        )
    return Health(tuple(faults), len(both), error, before)


def is_rating(label: Answer, model: Model) -> bool:
    """Whether a label is the rating of one item that a model holds."""
    return label.form is Form.RATE and label.value is not None and label.item_id in model.catalogue


def error_on(memory: Memory, label: Answer) -> float:
    """Between what is expected of a user and their rating, absolute."""
    item, belief = memory.fitted.catalogue.position(label.item_id), memory.state(label.user_id).belief
    of_one = Belief(belief.mean[None], belief.covariance[None])
    expected = float(memory.model.taste.expected(of_one, np.array([[item]]))[0, 0])
    return abs(expected - float(label.value or 0.0))
