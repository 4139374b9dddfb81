"""The key that a device has for good: it names the device and signs what it sends."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256

from palate.errors import OptionError
from palate.errors.checks import shown
from palate.federated.secure_sum.primitives import KEY_BYTES, SigningKey, is_signed

Entropy = Callable[[int], bytes]  # so many bytes of a secure generator


class DeviceKey:
    """An Ed25519 key. Who holds it is the device, so it stays there.

    Args:
        secret: 32 bytes of a secure generator.
    """

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != KEY_BYTES:
            raise OptionError(f"a device key of {shown(type(secret).__name__)} is no key. Give {KEY_BYTES} bytes.")
        self._secret, self._key = secret, SigningKey(secret)
        self.public = self._key.public
        self.id = device_id(self.public)

    @classmethod
    def generate(cls, entropy: Entropy = os.urandom) -> DeviceKey:
        """A new one."""
        return cls(entropy(KEY_BYTES))

    @classmethod
    def from_bytes(cls, secret: bytes) -> DeviceKey:
        """The one that :meth:`to_bytes` gave."""
        return cls(secret)

    def to_bytes(self) -> bytes:
        """The secret, 32 bytes."""
        return self._secret

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(data)

    def __repr__(self) -> str:  # never the secret
        return f"DeviceKey({self.id})"


def device_id(public: bytes) -> str:
    """The name of a device: 32 hex digits of its public key's SHA-256."""
    return sha256(public).hexdigest()[:32]


def verify(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the device of a public key signed the data."""
    return is_signed(public, signature, data)
