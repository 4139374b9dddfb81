"""A device's half of one secure sum: messages of the server in, messages to it out. It keeps nothing on the disk.

    join()                                      -> keys     two public keys of this sum
    answer(roster: who is in the group)         -> shares   of its two secrets, sealed for each device of the group
    answer(sealed: what was dealt to it)        -> upload   the masked vector
    answer(survivors: who sent, who dropped)    -> unmask   shares: seeds of those who sent, mask keys of the dropped

What a device gives away about another is the share of one of its two secrets: the seed opens a vector that is in the
sum, the mask key cleans the sum of one that is not, and both together would open a single vector. So it answers
``survivors`` once, and only where every device is in one of the two lists.

What this stands: a server that follows the protocol and looks at everything it gets, together with at most half of a
group's devices (which learn the sum of the others); devices that vanish at any step; anybody on the wire. What it does
not stand: a server that makes up devices of its own until they are most of a group (who may join is decided where
devices enrol); a server that tells devices different survivors and has one or two devices of the group on its side; a
hostile device that sends a wrong vector, which nobody sees.

References:
    Bonawitz et al., Practical secure aggregation for privacy-preserving machine learning, CCS 2017.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError, SecureSumError, UploadError
from palate.errors.checks import count, shown
from palate.federated.secure_sum.keys import DeviceKey, Entropy
from palate.federated.secure_sum.masks import add_pair_mask, add_self_mask
from palate.federated.secure_sum.members import Member, context_of, join_message, member_of
from palate.federated.secure_sum.messages import Message, as_text, decode, signed
from palate.federated.secure_sum.primitives import KEY_BYTES, ExchangeKey
from palate.federated.secure_sum.sharing import (
    Dealt,
    Shares,
    deal,
    open_shares,
    seal_shares,
    seed_digest,
)
from palate.federated.secure_sum.terms import Terms, threshold_of

LEAST = 10  # devices in a sum that a device takes part in, whatever the terms say
_EACH = 1024  # bytes of a server's message a device of the group, at most


class SumDevice:
    """One device in one secure sum.

    Args:
        key: Of the device.
        terms: Of the sum.
        vector: Words in two's complement, (terms.length,), uint64.
        least: It takes part in no sum over fewer devices.
        entropy: Gives secret bytes; another one is for tests only.

    Raises:
        OptionError: If the vector is not of the terms' length, or of another type.
    """

    def __init__(
        self,
        key: DeviceKey,
        terms: Terms,
        vector: NDArray[np.uint64],
        *,
        least: int = LEAST,
        entropy: Entropy = os.urandom,
    ) -> None:
        if not isinstance(vector, np.ndarray) or vector.dtype != np.uint64 or vector.shape != (terms.length,):
            is_ = f"{vector.dtype}, {vector.shape}" if isinstance(vector, np.ndarray) else shown(vector)
            raise OptionError(f"vector is {is_}. Give uint64 of the shape ({terms.length},).")
        self._key, self._terms, self._vector, self._entropy = key, terms, vector, entropy
        self._least = max(count(least, "least", least=2), terms.minimum)
        self._secret = entropy(KEY_BYTES)
        self._mask, self._seal = ExchangeKey(self._secret), ExchangeKey(entropy(KEY_BYTES))
        self._seed = entropy(KEY_BYTES)
        self._joined = join_message(key, self._mask, self._seal, terms)
        self._answered: dict[str, tuple[bytes, bytes]] = {}  # kind -> what was asked, what was answered
        self._members: dict[str, Member] = {}
        self._context = b""
        self._agreed: dict[str, bytes] = {}  # with each device of the group, for seals
        self._shares: dict[str, Shares | None] = {}  # by their dealer, of those who are in the masks

    def join(self) -> bytes:
        """The first message."""
        return self._joined

    def answer(self, message: bytes) -> bytes:
        """The answer to a message of the server; the same again to the same again.

        Raises:
            SecureSumError: If the device does not go along: the message is of another sum, out of turn, not what was
                signed, of too few devices, or asks for what would open a single vector.
        """
        steps: Mapping[str, tuple[str, Callable[[Message], bytes]]] = {
            "roster": ("", self._deal),
            "sealed": ("roster", self._upload),
            "survivors": ("sealed", self._unmask),
        }
        try:
            asked = decode(message, _EACH * 2 * self._terms.group_size)
            kind = asked.text("kind")
            if asked.text("sum") != self._terms.sum_id or kind not in steps:
                _refuse(f"the message {kind!r} is not one of this sum")
            before, step = steps[kind]
            digest = sha256(message).digest()
            if kind in self._answered:
                if self._answered[kind][0] != digest:
                    _refuse(f"the message {kind!r} came before, with something else in it")
                return self._answered[kind][1]
            if before and before not in self._answered:
                _refuse(f"the message {kind!r} came before {before!r}")
            answer = step(asked)
        except UploadError as error:
            raise SecureSumError(str(error)) from None
        self._answered[kind] = digest, answer
        return answer

    def _deal(self, roster: Message) -> bytes:
        """Shares of its secrets for every device of the group, itself among them."""
        listed = roster.fields.get("members")
        members = [member_of(Message(one, b""), self._terms) for one in _dicts(listed)]
        names = [one.id for one in members]
        if names != sorted(set(names)) or len(names) >= 2 * self._terms.group_size:
            _refuse(f"the roster of {len(names)} devices is not in order, names one twice or is too long")
        self._check_number(len(names), "the group")
        mine = next((one for one in members if one.id == self._key.id), None)
        if mine is None or (mine.mask_key, mine.seal_key) != (self._mask.public, self._seal.public):
            _refuse("the roster does not hold the keys of this device")
        context = context_of(self._terms, members)
        agreed = {one.id: _agree(self._seal, one.seal_key, one.id) for one in members}
        shares = deal(self._seed, self._secret, threshold_of(len(names)), len(names), self._entropy)
        dealt = {
            name: seal_shares(one, agreed[name], context, (self._key.id, name)).as_fields()
            for name, one in zip(names, shares, strict=True)
        }
        self._members, self._context, self._agreed = {one.id: one for one in members}, context, agreed
        whole = as_text(seed_digest(self._seed, context, self._key.id))
        return self._send({"kind": "shares", "to": dealt, "seed_digest": whole})

    def _upload(self, sealed: Message) -> bytes:
        """The masked vector."""
        dealt = {name: Dealt.of(one) for name, one in sealed.mapping("from").items()}
        if not dealt.keys() <= self._members.keys() or self._key.id not in dealt:
            _refuse("the sealed shares are not of this group, or this device's own are not among them")
        self._check_number(len(dealt), "those who dealt shares")
        total = self._words()
        add_self_mask(total, self._seed)
        for name in dealt.keys() - {self._key.id}:
            try:
                add_pair_mask(total, self._mask, self._members[name].mask_key, (self._key.id, name), self._context)
            except ValueError:
                _refuse(f"the mask key of the device {name} is not one")
        self._shares = {
            name: open_shares(one, self._agreed[name], self._context, (name, self._key.id))
            for name, one in dealt.items()
        }
        return self._send({"kind": "upload", "dtype": self._terms.dtype.str}, total.tobytes())

    def _unmask(self, survivors: Message) -> bytes:
        """Shares of one secret of every device: the seed where its vector is in the sum, else the mask key."""
        sent, dropped = set(survivors.names("sent")), set(survivors.names("dropped"))
        if sent & dropped:
            _refuse(f"{len(sent & dropped)} devices are said to have sent and to have dropped out")
        if sent | dropped != self._shares.keys() or self._key.id not in sent:
            _refuse("those who sent and those who dropped out are not those who dealt shares")
        self._check_number(len(sent), "those who sent")
        held = {name: one for name, one in self._shares.items() if one is not None}
        seeds = {name: as_text(one.seed) for name, one in held.items() if name in sent}
        keys = {name: as_text(one.key) for name, one in held.items() if name in dropped}
        return self._send({"kind": "unmask", "seeds": seeds, "keys": keys})

    def _words(self) -> NDArray[np.unsignedinteger]:
        """The vector in the words of the sum."""
        signed_words = self._vector.view(np.int64)
        limit = (1 << (8 * self._terms.width - 1)) // len(self._members)
        largest = max(int(signed_words.max()), -int(signed_words.min()))
        if largest >= limit:
            _refuse(f"an entry of {largest} may not fit into {self._terms.width} bytes when the group is summed")
        return self._vector.astype(self._terms.dtype)

    def _check_number(self, n: int, who: str) -> None:
        least = max(self._least, threshold_of(len(self._members))) if self._members else self._least
        if n < least:
            _refuse(f"{who} are {n} devices, and this one takes part from {least}")

    def _send(self, fields: Mapping[str, object], tail: bytes = b"") -> bytes:
        return signed(self._key, self._terms.context, {**fields, "sum": self._terms.sum_id}, tail)


def _agree(key: ExchangeKey, public: bytes, name: str) -> bytes:
    try:
        return key.agree(public)
    except ValueError:
        _refuse(f"the seal key of the device {name} is not one")


def _dicts(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        _refuse("the roster is no list of members")
    return value


def _refuse(what: str) -> NoReturn:
    raise SecureSumError(f"{what}. The device sends nothing more in this sum.")
