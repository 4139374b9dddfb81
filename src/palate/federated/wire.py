"""What server and devices agree on beside the messages of the secure sum, and how a device enrols."""

from __future__ import annotations

BLOCK_BYTES = 1 << 20  # of public files, which are fetched whole, block by block, by everyone
DEVICE = "palate-device"  # the header that says for whom a message is fetched: logs hold no headers
OCTETS = "application/octet-stream"
ENROL_BYTES = 96  # public key and signature


def enrolment(line: str, public_key: bytes) -> bytes:
    """What a device signs to be taken into a model line, so that nobody enrols a key that they do not hold."""
    return b"palate-federated-enrol-1\n" + line.encode() + b"\n" + public_key


def about(line: str, round: int, digest: str) -> str:
    """What a sum is about, which every signature in it covers."""
    return f"{line} {round} {digest}"
