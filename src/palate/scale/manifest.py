"""``_manifest.json``: what a folder of shards consists of, and the checks that make it worth believing.

It is written last, by a rename: a folder without it holds no shards yet. It names every file with its size and SHA-256.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from palate.errors import NEWER, DataError
from palate.store.model_folder import files, strict

FORMAT = 1
NAME = "_manifest.json"
PROGRESS = "_progress.json"  # of shards that are not finished
MAX_BYTES = 1 << 28
AGAIN = "Make the shards again: palate shard DATA --out ANOTHER-FOLDER"
HASH = "shard = the low bits of blake2b(user id in UTF-8, 8 bytes), read as a little-endian number"
DTYPES = {"user": "int32", "item": "int32", "place": "int32", "value": "float64", "time": "float64", "rank": "float64"}

Kind = Literal["ratings", "likes", "events"]
_FILE = re.compile(r"(ids/)?[a-z]+(-[a-z]+)*(-\d{4,9})?(-g\d{1,9})?\.parquet")


@dataclass(frozen=True, slots=True)
class File:
    """Size and SHA-256 of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard: how many users and events, and the names of its files.

    Attributes:
        rows, by_block: The same answers in both orders.
        ids: The users' ids.
        delta: Answers that came later; None where there are none.
    """

    users: int
    events: int
    rows: str
    by_block: str
    ids: str
    delta: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a folder of shards consists of.

    Attributes:
        of: A hash of the events that the shards were made of, which every file repeats.
        generation: 0 at first, then one more with each delta.
        kind: What an answer's value is: a rating, a like (1) or dislike (0), or the sign of an event times its weight
            and strength.
        low, high: Ends of the scale, given or as the data has them.
        is_given: Whether these were given.
        levels: The values there are where they are at most 20; else empty.
        events, duplicates: Answers, and rows that gave way to another one of the same user and item.
        total, total_squares: Sums of the values and of their squares.
        block_items: Most items of a block.
        blocks: Of each the first item code and the one after its last.
        items: Files of the items, one a block.
        totals: File of how many answers each item has, and their sum.
        vocabulary: What events mean, with the strengths that count here.
        source: What the shards were made of, and with which options.
        files: All of them.
        digest: SHA-256 of the manifest.
    """

    of: str
    generation: int
    kind: Kind
    low: float
    high: float
    is_given: bool
    levels: tuple[float, ...]
    events: int
    duplicates: int
    total: float
    total_squares: float
    block_items: int
    blocks: tuple[tuple[int, int], ...]
    shards: tuple[Shard, ...]
    items: tuple[str, ...]
    totals: str
    vocabulary: dict[str, Any]
    source: dict[str, Any]
    files: dict[str, File]
    digest: str = field(default="", compare=False)

    def names(self) -> set[str]:
        """Of all files that its parts name."""
        own = {name for one in self.shards for name in (one.rows, one.by_block, one.ids, one.delta) if name}
        return {*own, *self.items, self.totals}

    def write(self, folder: Path) -> None:
        """Put it in the place of the one that is there, in one step."""
        body = asdict(self) | {"format": FORMAT, "hash": HASH, "dtypes": DTYPES}
        del body["digest"]
        files.write(folder / NAME, strict.dumps(body | {"sha256": _own_digest(body)}))
        files.sync_folder(folder)


def read(folder: Path) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        DataError: If the folder holds none, it is damaged, of a newer format, or says what cannot be.
    """
    path = folder / NAME
    try:
        status = path.stat()
        return _parsed(str(folder), status.st_mtime_ns, status.st_ino, status.st_size)
    except FileNotFoundError:
        if (folder / PROGRESS).is_file():
            raise DataError(
                f"{folder} holds shards that are not finished. Give the same `palate shard` again with --resume."
            ) from None
        raise DataError(
            f"{folder} holds no shards: {NAME} is missing. Make them: palate shard DATA --out FOLDER"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}). Check its permissions.") from None


@lru_cache(maxsize=8)  # every task reads it again; a new manifest is another file
def _parsed(folder: str, *_of_file: int) -> Manifest:
    path = Path(folder) / NAME
    raw = files.read(path, at_most=MAX_BYTES)
    try:
        document = strict.loads(raw.tobytes())
        own = document.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is damaged ({str(error)[:80]}). {AGAIN}.") from None
    newer = document.get("format")
    if type(newer) is int and newer > FORMAT:
        raise DataError(f"{path} is too new: its format is {newer}, and this Palate reads format {FORMAT}. {NEWER}")
    if own != _own_digest(document):
        raise DataError(f"{path} is damaged: it does not match its own digest. {AGAIN}.")
    for name in ("format", "hash", "dtypes"):
        document.pop(name, None)
    try:
        found = _built(document, str(own))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} says what cannot be ({str(error)[:120]}). {AGAIN}.") from None
    return found


def _built(document: dict[str, Any], digest: str) -> Manifest:
    """Raises KeyError, TypeError or ValueError where a part is not what it should be."""
    shards = tuple(Shard(**one) for one in document.pop("shards"))
    listed = {name: File(**one) for name, one in document.pop("files").items()}
    blocks = tuple((int(first), int(last)) for first, last in document.pop("blocks"))
    parts: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in document.items()}
    found = Manifest(**parts, shards=shards, files=listed, blocks=blocks, digest=digest)
    n_items = blocks[-1][1] if blocks else 0
    if len(blocks) > n_items:
        raise ValueError(f"{len(blocks):,} blocks of {n_items:,} items")
    if blocks[0][0] != 0 or any(one[1] != next_[0] for one, next_ in pairwise(blocks)) or _is_odd(len(shards)):
        raise ValueError("blocks or shards that are not whole")
    if any(first >= last for first, last in blocks) or len(found.items) != len(blocks):
        raise ValueError("blocks without items")
    if found.kind not in get_args(Kind) or sum(one.events for one in shards) != found.events:
        raise ValueError("counts that do not agree")
    if found.names() != set(listed) or not all(map(is_shard_file, listed)):
        raise ValueError("files that are not those of shards")
    return found


def is_shard_file(name: str) -> bool:
    """Whether a file of shards may be called that, within their folder."""
    return _FILE.fullmatch(name) is not None


def _is_odd(shards: int) -> bool:
    """Whether it is no power of two."""
    return shards < 1 or shards & (shards - 1) != 0


def _own_digest(body: dict[str, Any]) -> str:
    return files.digest(strict.dumps(body))


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Raise DataError if a file is missing or has another size."""
    for name, file in manifest.files.items():
        try:
            size = os.stat(folder / name).st_size
        except OSError:
            raise DataError(f"{folder / name} is missing. {AGAIN}.") from None
        if size != file.bytes:
            raise DataError(f"{folder / name} is damaged: it has {size:,} bytes instead of {file.bytes:,}. {AGAIN}.")


def check_digests(folder: Path, manifest: Manifest) -> None:
    """Raise DataError if a file is not as it was written; every byte is read."""
    for name, file in manifest.files.items():
        try:
            found = files.digest(files.read(folder / name, at_most=file.bytes))
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read ({error.strerror or error}). {AGAIN}.") from None
        if found != file.sha256:
            raise DataError(f"{folder / name} is damaged: its SHA-256 is not that of the manifest. {AGAIN}.")
