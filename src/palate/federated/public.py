"""The public model of a line: all that a device needs, and nothing of any user that was not paid for in ε.

It is a type of its own. :class:`palate.model.model.Model` holds answers, ids of users, events and statistics of the
population that no noise protects; none of these has a place here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from palate.arrays import Array
from palate.errors import NEWER, FederatedError
from palate.errors.checks import number_of, shown
from palate.federated.fixed_point import MAX_BOUND

FORMAT = 1
MASS_UNIT = 8.0  # answers that a mass is counted in: so no part of an upload is much longer than the gradient
MAX_MASS = 12.5  # of a device in a round of gradients
ROUND_ZERO = float(np.sqrt(2.0))  # longest vector of round 0
_ARRAYS = ("factors", "variances", "item_weights", "counts", "answer_rate")

Form = Literal["means", "factors"]


@dataclass(frozen=True, slots=True, eq=False)
class PublicModel:
    """What a round publishes. Arrays are rounded to 32 bits, as they cross a network, so that all hold the same.

    Attributes:
        line: Id of the model line.
        round: Openings of a sum that made it: 0 before the first.
        form: What the items are: ``means`` has levels, and one factor that is the same for all items, along which a
            device learns how high its own answers lie; ``factors`` has tastes. A device asked by ``means`` sends counts
            and levels, by ``factors`` its gradient.
        item_ids: Of the I items.
        factors: Level and factors, posterior means, (I, A).
        variances: Their posterior variances, what privacy cost included, (I, A).
        noise: σ² of an answer r given taste and item.
        item_weights: ω, (I,).
        counts: About how many answered, noisy, (I,).
        answer_rate: About which share of the users answered, noisy, (I,), in (0, 1].
        centre, size: An answer is ``r = (answer − centre) / size``.
        kind: "rating" or "like".
        clip: C, the longest gradient of a user over all items.
        item_clip: The longest of a user in one item.
        ledger: Head of the ledger after the spending that made it; empty without privacy.
        mu_squared: μ² that the line has spent.
    """

    line: str
    round: int
    form: Form
    item_ids: tuple[str, ...]
    factors: Array
    variances: Array
    noise: float
    item_weights: Array
    counts: Array
    answer_rate: Array
    centre: float
    size: float
    kind: str
    clip: float
    item_clip: float = MAX_BOUND
    ledger: str = ""
    mu_squared: float = 0.0

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            rounded = np.asarray(getattr(self, name), dtype=np.float32).astype(np.float64)
            rounded.setflags(write=False)
            object.__setattr__(self, name, rounded)
        fault = _fault(self)
        if fault:
            raise FederatedError(f"the public model of line {shown(self.line)} is unsound: {fault}. Get it again.")

    def __len__(self) -> int:
        return len(self.item_ids)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.factors.shape[1]) - 1

    @property
    def parts(self) -> tuple[tuple[int, float], ...]:
        """Of the vector that a device sends to this model: the length of each part, and how long it may be at most."""
        if self.form == "means":
            return ((2 * len(self), ROUND_ZERO),)
        return (self.factors.size, self.clip), (1, MAX_MASS)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, as 64 hexadecimal digits."""
        found = hashlib.sha256(json.dumps(self._config(), sort_keys=True).encode())
        for name in _ARRAYS:
            found.update(np.ascontiguousarray(getattr(self, name), dtype="<f4").tobytes())
        return found.hexdigest()

    def _config(self) -> dict[str, Any]:
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _ARRAYS}
        return {"format": FORMAT, "shape": list(self.factors.shape), **named, "item_ids": list(self.item_ids)}

    def to_buffers(self) -> bytes:
        """As safetensors, with the rest and the digest as JSON in its header."""
        arrays = {name: np.ascontiguousarray(getattr(self, name), dtype="<f4") for name in _ARRAYS}
        return save(arrays, {"palate": json.dumps(self._config() | {"digest": self.digest})})

    @classmethod
    def from_buffers(cls, buffers: bytes, *, line: str | None = None) -> PublicModel:
        """What :meth:`to_buffers` gave.

        Args:
            line: The model line that it has to be of; None: any.
        Raises:
            FederatedError: If it is damaged, unsound, of another format or of another line.
        """
        try:
            config = header_of(buffers, "palate")
            digest = config.pop("digest")
            if config.pop("format") != FORMAT:
                raise FederatedError(f"the public model has a format that this Palate does not read. {NEWER}")
            config.pop("shape")
            config["item_ids"] = tuple(config["item_ids"])
            found = cls(**(config | load(buffers)))
        except (SafetensorError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise FederatedError(f"the public model cannot be read: {_one_line(error)}. Get it again.") from error
        if found.digest != digest:
            raise FederatedError(
                f"the public model of line {shown(found.line)} is damaged: its digest differs. Get it again."
            )
        if line is not None and found.line != line:
            raise FederatedError(
                f"the public model is of line {shown(found.line)}, not {shown(line)}. Ask the right server."
            )
        return found

    def save(self, path: Path | str) -> None:
        """To a file."""
        Path(path).write_bytes(self.to_buffers())

    @classmethod
    def load(cls, path: Path | str, *, line: str | None = None) -> PublicModel:
        """From a file of :meth:`save`, as :meth:`from_buffers`."""
        try:
            buffers = Path(path).read_bytes()
        except OSError as error:
            raise FederatedError(f"the public model {path} cannot be read: {error.strerror}. Get it again.") from error
        return cls.from_buffers(buffers, line=line)


def header_of(buffers: bytes, name: str) -> dict[str, Any]:
    """JSON that :func:`safetensors.numpy.save` wrote into the header, where an eight-byte length comes first."""
    header = json.loads(buffers[8 : 8 + int.from_bytes(buffers[:8], "little")])["__metadata__"]
    found: dict[str, Any] = json.loads(header[name])
    return found


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:80]


def _fault(public: PublicModel) -> str:
    """What is wrong; empty where nothing is."""
    n = len(public.item_ids)
    if not all(isinstance(one, str) for one in (public.line, public.ledger)):
        return f"its line is {shown(public.line)} and its ledger {shown(public.ledger)}"
    if public.form not in ("means", "factors") or public.kind not in ("rating", "like"):
        return f"its form is {shown(public.form)} and its kind {shown(public.kind)}"
    if len(set(public.item_ids)) != n or not all(isinstance(one, str) for one in public.item_ids) or n == 0:
        return "its item ids are none, not texts, or not distinct"
    if public.factors.ndim != 2 or public.factors.shape[0] != n or public.factors.shape[1] < 2:
        return f"its factors are of the shape {public.factors.shape} for {n} items"
    if public.variances.shape != public.factors.shape:
        return f"its variances are of the shape {public.variances.shape}, its factors {public.factors.shape}"
    for name in ("item_weights", "counts", "answer_rate"):
        if getattr(public, name).shape != (n,):
            return f"its {name} are of the shape {getattr(public, name).shape} for {n} items"
    for name in _ARRAYS:
        values = getattr(public, name)
        if not np.isfinite(values).all() or (name != "factors" and (values < 0.0).any()):
            return f"its {name} are not finite, or negative"
    numbers = (public.noise, public.size, public.clip, public.item_clip)
    if not all(0.0 < number_of(one) < np.inf for one in numbers) or not np.isfinite(number_of(public.centre)):
        return f"noise, size and clips are {', '.join(shown(one) for one in numbers)}"
    if public.clip > MAX_BOUND or not isinstance(public.round, int) or public.round < 0:
        return f"its clip is {shown(public.clip)} and its round {shown(public.round)}"
    if not 0.0 <= number_of(public.mu_squared) < np.inf:
        return f"its mu_squared is {shown(public.mu_squared)}"
    return ""
