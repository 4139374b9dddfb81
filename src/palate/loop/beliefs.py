"""What the items have learnt from a log, on the disk: a start is this and the rows since, and not the whole log.

It is a cache: the sums are whole numbers, so with the rows since they are what a replay of all rows gives, to the bit.
It holds nothing of any one user. It counts for one model, one log and one row of it; an erasure after that row makes it
worthless, since nobody knows any more what there is to take out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from immutables import Map
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import ModelFolderError
from palate.loop.company import Company
from palate.loop.learned import Learnt
from palate.posteriors.item_evidence import Sums
from palate.ranking.terms import MetWith
from palate.store.model_folder.folder import Arrays, load_folder, save_folder
from palate.store.protocol import LabelStore

FOLDER = "beliefs"  # in the model folder


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What a folder of beliefs holds.

    Attributes:
        learnt: What the items have learnt.
        seq: From the rows up to this one.
        notes: What was passed over on the way.
    """

    learnt: Learnt
    seq: int
    notes: tuple[str, ...] = ()


def save_beliefs(folder: Path, learnt: Learnt, *, model: str, store: LabelStore, seq: int) -> None:
    """Keep what the items have learnt from the rows of a log up to one.

    Args:
        folder: Of the model.
        model: Digest of the model.
    """
    items = sorted(learnt.sums)
    sums = np.stack([learnt.sums[item] for item in items]) if items else np.zeros((0, 0), np.int64)
    people = sorted(learnt.company.people.items())
    late = sorted(learnt.company.late.items())
    met = sorted(learnt.company.pairs.items())
    rows = [np.stack([np.full(len(by.items), one), by.items, by.people], 1) for one, by in met]
    pairs = np.concatenate([np.zeros((0, 3), np.int64), *rows]).astype(np.int64)
    arrays: dict[str, Arrays] = {
        "items": {"places": np.array(items, np.int64), "sums": sums},
        "company": {
            "people": np.array(people, np.int64).reshape(-1, 2),
            "pairs": pairs,
            "times": np.array(sorted(learnt.company.times.items()), np.int64).reshape(-1, 2),
            "late": np.array([item for item, _ in late], np.int64),
            "digits": _digits([n for _, n in late]),
        },
    }
    config: dict[str, Any] = {"model": model, "seq": seq, "row": _row(store, seq)}
    save_folder(folder / FOLDER, config=config, arrays=arrays, tables={})


def load_beliefs(folder: Path, *, model: str, store: LabelStore, width: int, n_items: int) -> Beliefs | None:
    """What the items have learnt from a log, as far as it was kept; None where it was not, or counts no more.

    Args:
        folder, model: As of :func:`save_beliefs`.
        width: Of the sums.
        n_items: Of the model.
    """
    place = folder / FOLDER
    if not place.exists():
        return None
    try:
        found = load_folder(place)
        seq, row = found.config["seq"], found.config["row"]
        if found.config["model"] != model or row is None or _row(store, seq) != row or store.erasures(seq):
            return None
        if "late" not in found.arrays["company"]:  # of an older version
            return None
        learnt = _learnt(found.arrays, width, n_items)
    except (ModelFolderError, KeyError, TypeError, ValueError) as error:
        return Beliefs(Learnt(), 0, (f"{place} cannot be used: {error} All rows of the log are read instead.",))
    return Beliefs(learnt, seq, tuple(found.notes))


def _row(store: LabelStore, seq: int) -> list[Any] | None:
    """What tells a row of a log from that of another; None where there is none, or it was erased."""
    first = next(iter(store.records(seq - 1)), None) if seq else None
    return None if first is None or first.seq != seq else [first.content.key, first.recorded_at]


def _learnt(arrays: dict[str, Arrays], width: int, n_items: int) -> Learnt:
    """Raises ValueError if the arrays are not what they should be."""
    places, sums = arrays["items"]["places"], arrays["items"]["sums"]
    people, pairs = arrays["company"]["people"], arrays["company"]["pairs"]
    sound = sums.dtype == np.int64 and sums.shape == (len(places), width if len(places) else 0)
    late, times = arrays["company"]["late"], arrays["company"]["times"]
    for items in (places, people[:, 0], pairs[:, 0], pairs[:, 1], late):
        sound = sound and items.dtype == np.int64 and bool(((items >= 0) & (items < n_items)).all())
    if not sound:
        raise ValueError("its numbers are not those of this model.")
    by_item = Map[int, Sums](zip(places.tolist(), sums, strict=True))
    pairs = pairs[pairs[:, 2] != 0]  # older versions kept them
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    ends = np.flatnonzero(np.diff(pairs[:, 0], append=-1)) + 1
    of_items = [_pairs(some) for some in np.split(pairs, ends) if len(some)]
    totals = _whole(arrays["company"]["digits"], len(late))
    company = Company(_map(people), Map(of_items), Map(zip(late.tolist(), totals, strict=True)), _map(times))
    return Learnt(sums=by_item, origin=(None, frozenset(by_item)), company=company)


def _map(rows: Array) -> Map[int, int]:
    return Map(rows.tolist())


def _pairs(rows: NDArray[np.int64]) -> tuple[int, MetWith]:
    return int(rows[0, 0]), MetWith(rows[:, 1].astype(np.intp), rows[:, 2].copy())


def _digits(numbers: list[int]) -> NDArray[np.uint8]:
    """Whole numbers of any size, from 0, as rows of bytes, the least first, (n, most)."""
    size = max([1, *((one.bit_length() + 7) // 8 for one in numbers)])
    return np.frombuffer(b"".join(one.to_bytes(size, "little") for one in numbers), np.uint8).reshape(-1, size)


def _whole(digits: NDArray[Any], n: int) -> list[int]:
    """The numbers of n rows of bytes."""
    if digits.dtype != np.uint8 or len(digits) != n:
        raise ValueError("its numbers are not those of this model.")
    return [int.from_bytes(row.tobytes(), "little") for row in digits]
