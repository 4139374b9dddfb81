"""The server's half of one secure sum: messages of devices in, messages to them out; no network, no clock, no disk.

    phase    devices send              the server tells each of them (message_for)
    keys     two public keys           -
    shares   sealed shares             roster: who is in its group
    upload   masked vectors            sealed: what was dealt to it
    unmask   shares of others          survivors: who sent a vector, who dropped out
    ready    -                         -                                         open(spent) gives the sums

A phase ends at its deadline, or when all who can send have sent. A message that is late, forged, of another sum, of the
wrong size, or a second one with something else in it is left out with a reason, and the sum goes on without it. A group
opens where at least ``minimum`` of its devices, and more than half, sent their vector and answered; the others never.

What this stands and what it does not is said in :mod:`palate.federated.secure_sum.device_side`. Beside that: a device
that deals shares which do not fit together spoils its own group's sum, which then is not opened; it is named in
``left_out``. No vector is seen, so none is checked: see :mod:`palate.federated.secure_sum.robust` for what sums of
groups can be checked for.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError, SecureSumError, UploadError
from palate.errors.checks import number
from palate.federated.ledger import Spent
from palate.federated.secure_sum.group_state import Group
from palate.federated.secure_sum.groups import groups_of
from palate.federated.secure_sum.members import Member, member_of
from palate.federated.secure_sum.messages import Message, check_size, decode, is_from, malformed
from palate.federated.secure_sum.primitives import KEY_BYTES, is_exchange_key
from palate.federated.secure_sum.terms import KINDS, Terms

MAX_LEFT_OUT = 10_000  # that are kept to be read


class LeftOut(NamedTuple):
    """A message, or a whole device, that the sum goes on without.

    Attributes:
        device: As the message says; it may be forged.
        code: A word for programs.
        reason: One line.
    """

    device: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class GroupSum:
    """An opened sum.

    Attributes:
        values: Words in two's complement, (length,), uint64.
        devices: Whose vectors are in it.
    """

    values: NDArray[np.uint64]
    devices: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened of a secure sum: sums of disjoint groups of devices."""

    groups: tuple[GroupSum, ...]

    @property
    def devices(self) -> int:
        """Whose vectors are in the sums. Noise is for these, never for those who were invited."""
        return sum(group.devices for group in self.groups)

    @property
    def total(self) -> NDArray[np.uint64]:
        """The sum of all, (length,), modulo 2⁶⁴."""
        total = np.zeros_like(self.groups[0].values)
        for group in self.groups:
            total += group.values
        return total


class SumServer:
    """One secure sum as the server sees it.

    It is a function of its arguments and of the messages in their order: whoever keeps them can make it again.

    Args:
        terms: Of the sum.
        seed: 32 secret bytes of a secure generator, of this sum alone, which draw the groups.
        allowed: The ids of devices that may join; None for all.

    Attributes:
        phase: ``keys``, ``shares``, ``upload``, ``unmask``, ``ready``, ``opened`` or ``failed``.
        left_out: What was left out, once a device and code, at most ``MAX_LEFT_OUT``.
    """

    def __init__(self, terms: Terms, seed: bytes, allowed: Container[str] | None = None) -> None:
        if not isinstance(seed, bytes) or len(seed) != KEY_BYTES:
            raise OptionError(f"seed is a {type(seed).__name__}. Give {KEY_BYTES} bytes, such as os.urandom(32).")
        self.terms = terms
        self.phase = "keys"
        self._seed, self._allowed = seed, allowed
        self._members: dict[str, Member] = {}
        self._group_of: dict[str, Group] = {}
        self._groups: list[Group] = []
        self._taken: dict[tuple[str, str], bytes] = {}  # (device, kind) -> digest of the message
        self._left_out: dict[tuple[str, str], LeftOut] = {}

    @property
    def left_out(self) -> list[LeftOut]:
        return list(self._left_out.values())

    def receive(self, raw: bytes, now: float) -> bool:
        """Takes a message of a device.

        Args:
            raw: As the device made it.
            now: Seconds, of the clock of the deadlines.

        Returns:
            Whether it is new; False for the same bytes again, which change nothing.

        Raises:
            UploadError: If it is left out; its code says why.
        """
        self.advance(now)
        device = ""
        try:
            message = decode(raw, max(map(self.terms.most_bytes, KINDS)))
            device = message.text("device")
            return self._receive(message, device, raw)
        except UploadError as error:
            self._leave_out(device, error.code, str(error))
            raise

    def advance(self, now: float) -> str:
        """Ends the phases that are over, and gives the phase."""
        number(now, "now")
        while self.phase in KINDS:
            at = KINDS.index(self.phase)
            if now < self.terms.deadlines[at] and not self._all_sent():
                break
            self._end_phase()
        return self.phase

    def message_for(self, device: str) -> bytes:
        """What a device is told in this phase.

        Raises:
            UploadError: ``early`` while devices join, ``unknown-device``, or ``closed``: the sum goes on without it.
        """
        if self.phase == "keys":
            raise UploadError("devices are still joining. Ask again when the phase is 'shares'.", "early")
        return self._open_group(device).message_for(device, self.phase)

    def open(self, spent: Spent) -> Opened:
        """The sums of the groups that can be opened; once.

        Args:
            spent: What the ledger gave for this sum: ``sum_id`` stands in its ``what``.

        Raises:
            SecureSumError: If nothing can be opened, or the token is of something else.
            LedgerError: If the token was used.
        """
        if self.phase != "ready":
            why = "; ".join(one.reason for one in self.left_out if not one.device) if self.phase == "failed" else ""
            raise SecureSumError(f"the sum is {self.phase!r}{why and f' ({why})'}. Open one that is 'ready', once.")
        if not isinstance(spent, Spent) or self.terms.sum_id not in spent.what:
            raise SecureSumError("the budget was not spent for this sum. Spend it with sum_id in what, then open.")
        spent.use()
        self.phase = "opened"
        opened = Opened(tuple(GroupSum(group.open(), len(group.sent)) for group in self._groups if not group.closed))
        self._groups, self._group_of = [], {}
        return opened

    def _receive(self, message: Message, device: str, raw: bytes) -> bool:
        kind = message.text("kind")
        if kind not in KINDS:
            malformed(f"its kind {kind!r} is none of {', '.join(KINDS)}")
        check_size(raw, self.terms.most_bytes(kind))
        if message.text("sum") != self.terms.sum_id:
            raise UploadError(f"the message is of the sum {message.text('sum')}. Join the one of now.", "other-sum")
        member = self._sender(message, device, kind)
        digest = sha256(raw).digest()
        before = self._taken.get((device, kind))
        if before == digest:
            return False
        if before is not None:
            raise UploadError(f"{device} sent {kind!r} before, with something else in it. One counts.", "double")
        self._check_phase(kind)
        if kind == "keys":
            self._add(member)
        else:
            take: dict[str, Callable[[str, Message], None]] = {
                "shares": self._open_group(device).take_shares,
                "upload": self._open_group(device).take_upload,
                "unmask": self._open_group(device).take_answer,
            }
            take[kind](device, message)
        self._taken[device, kind] = digest
        return True

    def _sender(self, message: Message, device: str, kind: str) -> Member:
        if kind == "keys":
            return member_of(message, self.terms)
        member = self._members.get(device)
        if member is None:
            raise UploadError(f"the device {device!r} has not joined this sum. Join the next one.", "unknown-device")
        if not is_from(message, member.device_key, self.terms.context):
            raise UploadError(f"the message is not signed by the device {device}. Sign it with its key.", "forged")
        return member

    def _check_phase(self, kind: str) -> None:
        at = KINDS.index(self.phase) if self.phase in KINDS else len(KINDS)
        if KINDS.index(kind) < at:
            raise UploadError(f"{kind!r} came when the phase was {self.phase!r}. Join the next sum.", "late")
        if KINDS.index(kind) > at:
            raise UploadError(f"{kind!r} came when the phase was {self.phase!r}. Send it in its phase.", "early")

    def _add(self, member: Member) -> None:
        if self._allowed is not None and member.id not in self._allowed:
            raise UploadError(f"the device {member.id} is not enrolled. Enrol it first.", "unknown-device")
        if len(self._members) >= self.terms.most:
            raise UploadError(f"the sum has its {self.terms.most:,} devices. Join the next one.", "full")
        if not is_exchange_key(member.mask_key) or not is_exchange_key(member.seal_key):
            malformed("one of its keys is none of X25519")
        self._members[member.id] = member

    def _open_group(self, device: str) -> Group:
        group = self._group_of.get(device)
        if group is None:
            raise UploadError(f"the device {device!r} is not in this sum. Join the next one.", "unknown-device")
        if group.closed:
            raise UploadError(f"the group of {device} is closed: {group.closed}. Join the next sum.", "closed")
        return group

    def _all_sent(self) -> bool:
        if self.phase == "keys":
            return len(self._members) >= self.terms.most
        return all(group.is_complete(self.phase) for group in self._groups if not group.closed)

    def _end_phase(self) -> None:
        if self.phase == "keys":
            groups = groups_of(self._members, self.terms.group_size, self._seed) if self._members else []
            self._groups = [Group(self.terms, [self._members[name] for name in names]) for names in groups]
            self._group_of = {name: group for group in self._groups for name in group.members}
        for group in self._groups:
            if not group.closed and (fault := group.end(self.phase)):
                self._leave_out(fault.device, fault.code, fault.reason)
        order = (*KINDS, "ready")
        still = [group for group in self._groups if not group.closed]
        if not still and not self._groups:
            self._leave_out("", "too-few", "no device joined")
        self.phase = order[order.index(self.phase) + 1] if still else "failed"

    def _leave_out(self, device: str, code: str, reason: str) -> None:
        if len(self._left_out) < MAX_LEFT_OUT:
            self._left_out.setdefault((device, code), LeftOut(device, code, reason))
