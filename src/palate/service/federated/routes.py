"""The round protocol. What devices send are the signed messages of the secure sum, octets of a bounded size.

A body that is larger is cut off while it is read. Who fetches a message is said in a header, since addresses are kept
in logs of proxies.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from palate.errors import UploadError
from palate.federated.secure_sum.keys import verify
from palate.federated.secure_sum.terms import KINDS
from palate.federated.wire import DEVICE, ENROL_BYTES, OCTETS, enrolment
from palate.service.faults import HTTPFault, not_found, unauthorised
from palate.service.federated.rounds import Rounds
from palate.service.gate import HEADERS
from palate.service.routing import answered

router = APIRouter(prefix="/v1", generate_unique_id_function=lambda route: route.name)
FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
_STATUS = {"malformed": 422, "too-large": 413, "size": 422, "dtype": 422, "forged": 401, "unknown-device": 401}
_KEY_BYTES = 32


def rounds_of(request: Request) -> Rounds:
    """The rounds that this application runs."""
    found: Rounds = request.app.state.rounds
    return found


TheRounds = Annotated[Rounds, Depends(rounds_of)]


@router.get("/livez")
async def get_livez() -> Response:
    """Whether the process answers."""
    return answered({"alive": True})


@router.get("/readyz")
async def get_readyz(request: Request, rounds: TheRounds) -> Response:
    """Whether rounds go on; if not, why."""
    reasons = ["stopping"] * request.app.state.stopping + ["halted"] * bool(rounds.halted)
    response = answered({"ready": not reasons, "reasons": reasons})
    response.status_code = 503 if reasons else 200
    return response


@router.get("/round")
async def get_round(rounds: TheRounds) -> Response:
    """Where the line is: the round, its step and its terms, and what is public."""
    return answered(rounds.document())


@router.get("/public/{sha256}/{block}")
async def get_block(request: Request, sha256: str, block: int, rounds: TheRounds) -> Response:
    """A block of a public file, the same bytes for everyone and for ever."""
    found = rounds.line.block(sha256, block)
    if found is None:
        raise not_found("block of a public file")
    request.scope["palate"].headers = [FOR_EVER, *(pair for pair in HEADERS if pair[0] != FOR_EVER[0])]
    return Response(found, media_type=OCTETS)


@router.post("/devices")
async def post_devices(request: Request, rounds: TheRounds) -> Response:
    """Take a device into the line: its public key, and the signature that shows that it holds the other half."""
    given = request.headers.get("authorization", "").encode("latin-1")
    if not hmac.compare_digest(given, b"Bearer " + rounds.line.code.encode()):
        raise unauthorised()
    body = await sized(request, ENROL_BYTES)
    key, signature = body[:_KEY_BYTES], body[_KEY_BYTES:]
    if len(body) != ENROL_BYTES or not verify(key, signature, enrolment(rounds.line.public.line, key)):
        raise HTTPFault(
            401, "forged", "this is not a public key and its signature. Sign with the key that goes with it."
        )
    return answered({"device": await rounds.enrol(key)})


@router.post("/{step}")
async def post_step(request: Request, step: str, rounds: TheRounds) -> Response:
    """Take what a device sends in a step of a round; the same again changes nothing, and is answered alike."""
    if step not in KINDS:
        raise not_found("address")
    try:
        body = await sized(request, rounds.most_bytes(step))
        await rounds.receive(body)
    except UploadError as error:
        raise fault_of(error) from None
    return answered({"taken": len(body)})


@router.get("/message")
async def get_message(request: Request, rounds: TheRounds) -> Response:
    """What a device needs for its next step: who is in its group, shares sealed for it, or who has sent a vector."""
    try:
        return Response(rounds.message_for(request.headers.get(DEVICE, "")), media_type=OCTETS)
    except UploadError as error:
        raise fault_of(error) from None


async def sized(request: Request, most: int) -> bytes:
    """A body of octets; what is more than so many bytes is not read.

    Raises:
        HTTPFault: 415 if it says that it is something else, 413 if it is larger.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != OCTETS:
        raise HTTPFault(415, "unsupported_media_type", f"the body is not {OCTETS}. Send that, and say so.")
    too_large = HTTPFault(413, "too_large", f"the body has more than {most:,} bytes. This step takes no more.")
    if int(request.headers.get("content-length", "0")) > most:  # a number, as the gate has seen
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise too_large
    return bytes(body)


def fault_of(error: UploadError) -> HTTPFault:
    """Why a message is not taken; 409 where the same would be right in another round."""
    return HTTPFault(_STATUS.get(error.code, 409), error.code.replace("-", "_"), str(error))
