"""The cryptography of a secure sum, and the only module that imports its library.

X25519 (RFC 7748) agrees on a secret, HKDF-SHA256 (RFC 5869) makes a key of it, ChaCha20 (RFC 8439) makes a mask of the
key, ChaCha20-Poly1305 seals a share for its receiver, Ed25519 (RFC 8032) signs. Nothing here is of our own making.
"""

from __future__ import annotations

from palate.errors import MissingExtra

try:
    from cryptography.exceptions import InvalidSignature, InvalidTag
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ModuleNotFoundError as error:
    raise MissingExtra(str(error.name).partition(".")[0], "federated", "a secure sum") from None

KEY_BYTES = 32  # of every key, public or secret, and of every seed
SIGNATURE_BYTES = 64
TAG_BYTES = 16  # that a seal adds
_ONCE = bytes(12)  # a nonce: every key here seals one text, or makes one keystream


class ExchangeKey:
    """A secret key of X25519.

    Args:
        secret: 32 bytes of a secure generator.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """The secret shared with the owner of a public key, 32 bytes.

        Raises:
            ValueError: If the public key is one of the few with which there is no secret.
        """
        return self._key.exchange(X25519PublicKey.from_public_bytes(public))


def is_exchange_key(public: bytes) -> bool:
    """Whether there is a secret with the owner of a public key."""
    try:
        ExchangeKey(bytes(KEY_BYTES)).agree(public)
    except ValueError:
        return False
    return True


class SigningKey:
    """A secret key of Ed25519.

    Args:
        secret: 32 bytes of a secure generator.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


def is_signed(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the owner of a public key signed the data."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def derive(secret: bytes, context: bytes, purpose: bytes) -> bytes:
    """A key of 32 bytes; another context or purpose, another key."""
    return HKDF(SHA256(), KEY_BYTES, context, purpose).derive(secret)


def keystream(key: bytes, size: int) -> bytes:
    """Bytes that nobody without the key tells from random ones."""
    return Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor().update(bytes(size))


def seal(key: bytes, text: bytes) -> bytes:
    """The text, for the owner of the key alone. A key seals one text."""
    return ChaCha20Poly1305(key).encrypt(_ONCE, text, None)


def unseal(key: bytes, sealed: bytes) -> bytes | None:
    """What was sealed; None where the key is another or the seal is broken."""
    try:
        return ChaCha20Poly1305(key).decrypt(_ONCE, sealed, None)
    except (InvalidTag, ValueError):
        return None
