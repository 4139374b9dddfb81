"""The message with which a device joins a secure sum: two public keys of this sum, signed by the device's own key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from palate.errors import UploadError
from palate.federated.secure_sum.groups import group_context
from palate.federated.secure_sum.keys import DeviceKey, device_id
from palate.federated.secure_sum.messages import Message, as_text, encode, is_from, malformed, signed
from palate.federated.secure_sum.primitives import KEY_BYTES, ExchangeKey
from palate.federated.secure_sum.terms import Terms


@dataclass(frozen=True, slots=True)
class Member:
    """A device in a sum.

    Attributes:
        id: Of the device.
        device_key: Its Ed25519 key; the id is a digest of it.
        mask_key: Its X25519 key for masks. The secret half is opened where the device drops out.
        seal_key: Its X25519 key for sealed shares. The secret half never leaves the device.
        fields: The message, as it was signed.
    """

    id: str
    device_key: bytes
    mask_key: bytes
    seal_key: bytes
    fields: Mapping[str, Any]


def join_message(key: DeviceKey, mask: ExchangeKey, seal: ExchangeKey, terms: Terms) -> bytes:
    """What a device sends to take part."""
    fields = {
        "kind": "keys",
        "sum": terms.sum_id,
        "device_key": as_text(key.public),
        "mask_key": as_text(mask.public),
        "seal_key": as_text(seal.public),
    }
    return signed(key, terms.context, fields)


def member_of(message: Message, terms: Terms) -> Member:
    """Who joined by a message.

    Raises:
        UploadError: ``malformed`` or ``forged``.
    """
    if message.tail:
        malformed("there is something behind its line")
    public = message.data("device_key", KEY_BYTES)
    member = Member(
        message.text("device"),
        public,
        message.data("mask_key", KEY_BYTES),
        message.data("seal_key", KEY_BYTES),
        message.fields,
    )
    if member.id != device_id(public) or not is_from(message, public, terms.context):
        raise UploadError(f"the message is not signed by the device {member.id}. Sign it with its key.", "forged")
    return member


def context_of(terms: Terms, members: Sequence[Member]) -> bytes:
    """The digest of the sum and a group, whose members are in the order of their names."""
    return group_context(terms.context, [encode(one.fields) for one in members])
