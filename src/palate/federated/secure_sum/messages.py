"""Messages as bytes: one line of JSON, signed, and behind it the raw words of a vector where there is one.

Nothing in them can run, and nothing is read before its size is known.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NoReturn

from palate.errors import UploadError
from palate.errors.checks import shown
from palate.federated.secure_sum.keys import DeviceKey, verify
from palate.federated.secure_sum.primitives import SIGNATURE_BYTES

_PURPOSE = b"palate secure sum 1\n"


@dataclass(frozen=True, slots=True)
class Message:
    """What came: the fields of the line, and the bytes behind it."""

    fields: Mapping[str, Any]
    tail: bytes

    def text(self, name: str, most: int = 64) -> str:
        """A short text."""
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value) > most:
            malformed(f"its field {name!r} is {shown(value)}, not a text of at most {most} characters")
        return value

    def data(self, name: str, size: int) -> bytes:
        """So many bytes."""
        return data_of(self.fields.get(name), name, size)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Names and what belongs to them."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            malformed(f"its field {name!r} is {shown(value)}, not an object")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """Texts, each once."""
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            malformed(f"its field {name!r} is {shown(value)}, not a list of names")
        if len(set(value)) < len(value):
            malformed(f"its field {name!r} names one twice")
        return tuple(value)


def malformed(what: str) -> NoReturn:
    """Leaves the message out."""
    raise UploadError(f"the message is malformed: {what}. Send it as the protocol says.", "malformed")


def data_of(value: object, name: str, size: int) -> bytes:
    """The bytes that base64 stands for, of a known number."""
    try:
        found = b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != size:
        malformed(f"its field {name!r} is {shown(value)}, not {size} bytes in base64")
    return found


def as_text(data: bytes) -> str:
    """Bytes as base64."""
    return b64encode(data).decode()


def encode(fields: Mapping[str, Any], tail: bytes = b"") -> bytes:
    """A message that is not signed."""
    return _line(fields) + b"\n" + tail


def decode(raw: bytes, most: int) -> Message:
    """The message in some bytes.

    Raises:
        UploadError: ``too-large`` or ``malformed``.
    """
    if not isinstance(raw, (bytes, bytearray, memoryview)):
        malformed(f"it is a {type(raw).__name__}, not bytes")
    check_size(raw, most)
    line, _, tail = bytes(raw).partition(b"\n")
    try:
        fields = json.loads(line, parse_constant=malformed)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of too many digits, too deep
        malformed("it does not begin with a line of JSON")
    if not isinstance(fields, dict):
        malformed("its line is no object")
    return Message(fields, tail)


def check_size(raw: bytes, most: int) -> None:
    """Raises UploadError, ``too-large``."""
    if len(raw) > most:
        raise UploadError(f"the message has {len(raw):,} bytes. Send at most {most:,}.", "too-large")


def signed(key: DeviceKey, context: bytes, fields: Mapping[str, Any], tail: bytes = b"") -> bytes:
    """A message with its sender's name and signature."""
    fields = {**fields, "device": key.id}
    signature = key.sign(_to_sign(context, fields, tail))
    return encode({**fields, "signature": as_text(signature)}, tail)


def is_from(message: Message, public: bytes, context: bytes) -> bool:
    """Whether the device of a public key signed the message, for this context."""
    fields = dict(message.fields)
    signature = message.data("signature", SIGNATURE_BYTES)
    del fields["signature"]
    return verify(public, signature, _to_sign(context, fields, message.tail))


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _to_sign(context: bytes, fields: Mapping[str, Any], tail: bytes) -> bytes:
    return _PURPOSE + context + sha256(tail).digest() + _line(fields)
