"""What the server knows of one group in a secure sum: who dealt shares, who sent a vector, and their running sum."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.errors import SecureSumError, UploadError
from palate.errors.checks import shown
from palate.federated.secure_sum.masks import Words, add_pair_mask, add_self_mask
from palate.federated.secure_sum.members import Member, context_of
from palate.federated.secure_sum.messages import Message, data_of, encode, malformed
from palate.federated.secure_sum.primitives import ExchangeKey
from palate.federated.secure_sum.shamir import SHARE_BYTES, join
from palate.federated.secure_sum.sharing import MASK_KEY, SEED, Dealt, numbered, seed_digest, share_digest
from palate.federated.secure_sum.terms import Terms, threshold_of

_SEED_DIGEST_BYTES = 32


class Fault(NamedTuple):
    """Why a group was closed, and the device to blame; no device where too few sent."""

    device: str
    code: str
    reason: str


class Group:
    """One group, from its roster to its sum.

    Args:
        terms: Of the sum.
        members: Who joined, in the order of their names.

    Attributes:
        members: By their ids.
        sent: Whose vectors are in the running sum.
        closed: Why the group does not open; empty while it may.
    """

    def __init__(self, terms: Terms, members: Sequence[Member]) -> None:
        self.members = {one.id: one for one in members}
        self.sent: set[str] = set()
        self.closed = ""
        self._terms = terms
        self._context = context_of(terms, members)
        listed = [dict(one.fields) for one in members]
        self._roster = encode({"kind": "roster", "sum": terms.sum_id, "members": listed})
        self._least = max(terms.minimum, threshold_of(len(members)))
        self._threshold = threshold_of(len(members))
        self._points = numbered(tuple(self.members))
        self._dealt: dict[str, dict[str, Dealt]] = {}  # dealer -> receiver -> what was dealt
        self._seed_digests: dict[str, bytes] = {}
        self._total: Words = np.zeros(terms.length, dtype=terms.dtype)
        self._answers: dict[str, dict[str, bytes]] = {}  # who answered -> dealer -> share
        self._secrets: dict[str, bytes] = {}  # the one secret of each device that is opened

    def message_for(self, device: str, phase: str) -> bytes:
        """What a device is told; see :meth:`.SumServer.message_for`."""
        if phase == "shares":
            return self._roster
        if phase == "upload" and device in self._dealt:
            dealt = {dealer: self._dealt[dealer][device].as_fields() for dealer in sorted(self._dealt)}
            return encode({"kind": "sealed", "sum": self._terms.sum_id, "from": dealt})
        if phase == "unmask" and device in self.sent:
            dropped = sorted(self._dealt.keys() - self.sent)
            return encode(
                {"kind": "survivors", "sum": self._terms.sum_id, "sent": sorted(self.sent), "dropped": dropped}
            )
        raise UploadError(f"in the phase {phase!r} there is nothing for {device}. Join the next sum.", "closed")

    def take_shares(self, device: str, message: Message) -> None:
        """What a device deals to all devices of the group."""
        to = message.mapping("to")
        if message.tail or to.keys() != self.members.keys():
            malformed(f"it deals to {len(to)} devices, not to the {len(self.members)} of the group")
        digest = message.data("seed_digest", _SEED_DIGEST_BYTES)
        self._dealt[device] = {name: Dealt.of(one) for name, one in to.items()}
        self._seed_digests[device] = digest

    def take_upload(self, device: str, message: Message) -> None:
        """A masked vector: into the running sum."""
        self._check_is_in(device, self._dealt, "shares")
        dtype, size = self._terms.dtype, self._terms.length * self._terms.width
        if message.fields.get("dtype") != dtype.str:
            is_ = shown(message.fields.get("dtype"))
            raise UploadError(f"the vector's dtype is {is_}. Send {dtype.str!r}.", "dtype")
        if len(message.tail) != size:
            raise UploadError(f"the vector has {len(message.tail):,} bytes. Send {size:,}.", "size")
        self._total += np.frombuffer(message.tail, dtype=dtype)
        self.sent.add(device)

    def take_answer(self, device: str, message: Message) -> None:
        """A device's shares of the others: of seeds of those who sent, of mask keys of those who did not."""
        self._check_is_in(device, self.sent, "a vector")
        if message.tail:
            malformed("there is something behind its line")
        seeds, keys = message.mapping("seeds"), message.mapping("keys")
        if not seeds.keys() <= self.sent or not keys.keys() <= self._dealt.keys() - self.sent:
            malformed("its shares are not those that were asked for")
        answer = self._checked(device, seeds, SEED) | self._checked(device, keys, MASK_KEY)
        self._answers[device] = answer

    def is_complete(self, phase: str) -> bool:
        """Whether all who can send in a phase have."""
        if phase == "shares":
            return len(self._dealt) == len(self.members)
        return len(self.sent) == len(self._dealt) if phase == "upload" else len(self._answers) == len(self.sent)

    def end(self, phase: str) -> Fault | None:
        """Ends a phase; the fault closes the group."""
        here = {
            "keys": len(self.members),
            "shares": len(self._dealt),
            "upload": len(self.sent),
            "unmask": len(self._answers),
        }[phase]
        least = self._threshold if phase == "unmask" else self._least
        fault = None
        if here < least:
            reason = f"{here} of {len(self.members)} devices of a group sent {phase!r}, fewer than {least}"
            fault = Fault("", "too-few", reason)
        elif phase == "unmask":
            fault = self._join_secrets()
        if fault:
            self.closed = fault.reason
            self._dealt, self._answers, self._secrets = {}, {}, {}
        return fault

    def open(self) -> NDArray[np.uint64]:
        """The sum of the vectors that were sent, without masks."""
        total = self._total
        for device, secret in self._secrets.items():
            if device in self.sent:
                add_self_mask(total, secret, remove=True)
                continue
            key = ExchangeKey(secret)
            for other in self.sent:  # what it would have added is what the others' masks lack
                add_pair_mask(total, key, self.members[other].mask_key, (device, other), self._context)
        signed = total.view(f"<i{self._terms.width}").astype(np.int64)
        self._secrets, self._answers, self._dealt = {}, {}, {}
        return signed.view(np.uint64)

    def _check_is_in(self, device: str, those: Container[str], what: str) -> None:
        if device not in those:
            raise UploadError(f"{device} did not send {what}, so it dropped out. Join the next sum.", "closed")

    def _checked(self, device: str, shares: Mapping[str, object], kind: str) -> dict[str, bytes]:
        """The shares, each held against the digest that its dealer gave."""
        found = {dealer: data_of(share, dealer, SHARE_BYTES) for dealer, share in shares.items()}
        for dealer, share in found.items():
            dealt = self._dealt[dealer][device]
            if share_digest(share, kind, self._context, (dealer, device)) != (
                dealt.seed if kind == SEED else dealt.key
            ):
                raise UploadError(f"the share of {dealer} is not what it dealt. Send the one that was dealt.", "forged")
        return found

    def _join_secrets(self) -> Fault | None:
        """One secret of every device in the masks; a fault where one cannot be had."""
        for dealer in sorted(self._dealt):
            held = {self._points[name]: answer[dealer] for name, answer in self._answers.items() if dealer in answer}
            few = dict(sorted(held.items())[: self._threshold])
            if len(few) < self._threshold or not self._is_secret(dealer, few):
                reason = f"the shares that {dealer} dealt do not give its secret, so its group's sum stays masked"
                return Fault(dealer, "spoiled", reason)
        return None

    def _is_secret(self, dealer: str, shares: Mapping[int, bytes]) -> bool:
        try:
            secret = join(shares)
        except SecureSumError:
            return False
        self._secrets[dealer] = secret
        if dealer in self.sent:
            return seed_digest(secret, self._context, dealer) == self._seed_digests[dealer]
        return ExchangeKey(secret).public == self.members[dealer].mask_key
