"""Every fault of an application in the contract's form."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from palate.errors import PalateError
from palate.service.faults import HTTPFault, of_error, of_parameters, of_validation

_CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}


def say_faults(app: FastAPI) -> None:
    """Every fault in the contract's form."""

    def answer(request: Request, fault: HTTPFault) -> Response:
        body = fault.body(request.scope["palate"].request_id)
        return Response(body, fault.status, {"content-type": "application/json", **fault.headers})

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPFault)
        return answer(request, error)

    async def palates(request: Request, error: Exception) -> Response:
        assert isinstance(error, PalateError)
        return answer(request, of_error(error))

    async def parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, of_parameters(list(error.errors())))

    async def body(request: Request, error: Exception) -> Response:
        assert isinstance(error, ValidationError)
        return answer(request, of_validation(error, getattr(request, "_body", b"")))

    async def frameworks(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "bad_request")
        said = "there is no such address." if error.status_code == 404 else "the request cannot be taken."
        said = "this address does not take that method." if error.status_code == 405 else said
        found = answer(request, HTTPFault(error.status_code, code, said))
        found.headers.update(error.headers or {})
        return found

    for kind, handler in (
        (HTTPFault, ours),
        (PalateError, palates),
        (RequestValidationError, parameters),
        (ValidationError, body),
        (HTTPException, frameworks),
    ):
        app.add_exception_handler(kind, handler)
