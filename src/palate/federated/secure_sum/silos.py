"""Mode A: sums over silos, such as clinics or shops, whose vectors the server sees and checks one by one.

A silo clips each of its users and sends the sum over them. The server sees that sum, so it must be trusted with it:
there are no masks here, and what is promised to users is the noise on what is published.

What this stands: vectors that are not finite, too long or negative where they may not be (left out, with a reason);
messages that are malformed, late, forged, of another sum, or second ones; up to a share ``trim`` of silos that send
anything within the bounds. No silo weighs more than twice its share. What it does not stand: more hostile silos than
that; silos that together lean, each within the bounds, on what few others know; a server that looks.

Mode B, for phones, is :mod:`palate.federated.secure_sum.server_side`: there no vector is seen, and none is checked.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from palate.arrays import Array
from palate.errors import OptionError, SecureSumError, UploadError
from palate.errors.checks import number, shown
from palate.federated.ledger import Spent
from palate.federated.secure_sum.keys import DeviceKey, device_id
from palate.federated.secure_sum.messages import Message, as_text, decode, is_from, malformed, signed
from palate.federated.secure_sum.primitives import KEY_BYTES
from palate.federated.secure_sum.robust import Robust, trimmed_sum
from palate.federated.secure_sum.server_side import LeftOut
from palate.federated.secure_sum.terms import Terms

_DTYPE = np.dtype("<f8")
_HEAD = 512
_SLACK = 1.0 + 1e-9  # of a norm that was clipped in another order of adding


class Bound(NamedTuple):
    """What a stretch of a silo's vector has to keep to.

    Attributes:
        length: Of the stretch; they follow each other.
        norm: Its Euclidean norm at most: that of one user, times the users a silo may have.
        least: The smallest value at least.
    """

    length: int
    norm: float
    least: float = -np.inf


def silo_message(key: DeviceKey, terms: Terms, vector: Array) -> bytes:
    """What a silo sends: its vector, (terms.length,), signed."""
    fields = {"kind": "silo", "sum": terms.sum_id, "device_key": as_text(key.public), "dtype": _DTYPE.str}
    return signed(key, terms.context, fields, np.asarray(vector, dtype=_DTYPE).tobytes())


class SiloSum:
    """One sum over silos. Vectors are taken until the deadline of the phase ``upload``.

    Args:
        terms: Of the sum; ``minimum`` counts silos.
        bounds: Of the stretches of the vector, which together are as long as it.
        trim: Share of silos that is left out on either side of each coordinate.
        allowed: The ids of silos that may send.

    Attributes:
        phase: ``upload``, ``ready``, ``opened`` or ``failed``.
        left_out: A row for each silo and reason.

    Raises:
        OptionError: If the bounds do not cover the vector.
    """

    def __init__(self, terms: Terms, bounds: Sequence[Bound], *, allowed: Container[str], trim: float = 0.2) -> None:
        if sum(bound.length for bound in bounds) != terms.length:
            raise OptionError(f"bounds cover {sum(one.length for one in bounds)} entries. Cover all {terms.length}.")
        self.terms, self.phase = terms, "upload"
        self._bounds, self._allowed, self._trim = tuple(bounds), allowed, trim
        self._vectors: dict[str, Array] = {}
        self._taken: dict[str, bytes] = {}
        self._left_out: dict[tuple[str, str], LeftOut] = {}

    @property
    def left_out(self) -> list[LeftOut]:
        return list(self._left_out.values())

    def receive(self, raw: bytes, now: float) -> bool:
        """Takes a silo's message; see :meth:`.SumServer.receive`."""
        self.advance(now)
        silo = ""
        try:
            message = decode(raw, _HEAD + self.terms.length * _DTYPE.itemsize)
            silo = message.text("device")
            return self._receive(message, silo, raw)
        except UploadError as error:
            self._left_out.setdefault((silo, error.code), LeftOut(silo, error.code, str(error)))
            raise

    def advance(self, now: float) -> str:
        """Ends the phase when it is over, and gives the phase."""
        if number(now, "now") >= self.terms.deadlines[2] and self.phase == "upload":
            self.phase = "ready" if len(self._vectors) >= self.terms.minimum else "failed"
        return self.phase

    def open(self, spent: Spent) -> Robust:
        """The robust sum, once.

        Raises:
            SecureSumError: If too few silos sent, or the token is of something else.
            LedgerError: If the token was used.
        """
        if self.phase != "ready":
            n = f"{len(self._vectors)} of at least {self.terms.minimum} silos sent"
            raise SecureSumError(f"the sum is {self.phase!r} ({n}). Open one that is 'ready', once.")
        if not isinstance(spent, Spent) or self.terms.sum_id not in spent.what:
            raise SecureSumError("the budget was not spent for this sum. Spend it with sum_id in what, then open.")
        spent.use()
        self.phase = "opened"
        values = np.stack([self._vectors[silo] for silo in sorted(self._vectors)])
        self._vectors = {}
        return trimmed_sum(values, np.ones(len(values), dtype=np.intp), trim=self._trim)

    def _receive(self, message: Message, silo: str, raw: bytes) -> bool:
        if message.text("kind") != "silo":
            malformed(f"its kind is {message.text('kind')!r}, not 'silo'")
        if message.text("sum") != self.terms.sum_id:
            raise UploadError(f"the message is of the sum {message.text('sum')}. Join the one of now.", "other-sum")
        public = message.data("device_key", KEY_BYTES)
        if silo != device_id(public) or not is_from(message, public, self.terms.context):
            raise UploadError(f"the message is not signed by the silo {silo}. Sign it with its key.", "forged")
        if silo not in self._allowed:
            raise UploadError(f"the silo {silo} is not enrolled. Enrol it first.", "unknown-device")
        digest = sha256(raw).digest()
        if self._taken.get(silo) == digest:
            return False
        if silo in self._taken:
            raise UploadError(f"{silo} sent a vector before, with something else in it. One counts.", "double")
        if self.phase != "upload":
            raise UploadError(f"the vector came when the phase was {self.phase!r}. Join the next sum.", "late")
        self._vectors[silo] = self._checked(message)
        self._taken[silo] = digest
        return True

    def _checked(self, message: Message) -> Array:
        if message.fields.get("dtype") != _DTYPE.str:
            is_ = shown(message.fields.get("dtype"))
            raise UploadError(f"the vector's dtype is {is_}. Send {_DTYPE.str!r}.", "dtype")
        if len(message.tail) != self.terms.length * _DTYPE.itemsize:
            size = self.terms.length * _DTYPE.itemsize
            raise UploadError(f"the vector has {len(message.tail):,} bytes. Send {size:,}.", "size")
        vector = np.frombuffer(message.tail, dtype=_DTYPE)
        if not np.isfinite(vector).all():
            raise UploadError("the vector is not finite. Send finite numbers.", "not-finite")
        start = 0
        for bound in self._bounds:
            part = vector[start : start + bound.length]
            start += bound.length
            largest = float(np.abs(part).max())  # before the norm, whose squares overflow
            if largest > bound.norm * _SLACK or np.linalg.norm(part) > bound.norm * _SLACK:
                raise UploadError(f"a norm is above {bound.norm:g}. Clip each user before you add them.", "norm")
            if part.min() < bound.least:
                raise UploadError(f"an entry is {part.min():g}. Send none below {bound.least:g}.", "range")
        return vector
