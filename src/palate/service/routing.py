"""What all routes share: how a body is read, and how an answer is written and described."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from palate.service.bodies import ErrorOut, OneOrMany, Strict
from palate.service.faults import HTTPFault

Q = TypeVar("Q", bound=BaseModel)
_STATUSES = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
# FastAPI's own, which has paths in it, and ids in those.
TELEMETRY_OFF: Any = {"tracing": False, "metrics": False, "logs": False}
FAULTS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorOut} for status in _STATUSES}


def described(kind: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The answers of a route, for OpenAPI."""
    return {200: {"model": kind}, **FAULTS}


def read_query(kind: type[Q]) -> Callable[[Request], Q]:
    """A dependency that reads the whole query as a model; what was read is kept, since most queries are few."""

    @lru_cache(maxsize=1_024)
    def read(raw: bytes) -> Q:
        given: dict[str, Any] = {}
        for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=500):
            before = given.get(name)
            many = name in lists
            if before is not None and not many:
                raise HTTPFault(422, "invalid", "the parameter is given twice.", name if name in known else "")
            given[name] = [*(before or ()), value] if many else value
        return kind.model_validate(given)

    known = {field.alias or name for name, field in kind.model_fields.items()}
    lists = {name for name, field in kind.model_json_schema()["properties"].items() if field.get("type") == "array"}

    async def query(request: Request) -> Q:
        try:
            return read(request.scope["query_string"])
        except ValueError as error:
            if isinstance(error, ValidationError):
                raise
            raise HTTPFault(422, "invalid", "the query has too many parameters.") from None

    return query  # type: ignore[return-value]


def query_of(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters of a query, for OpenAPI."""
    schema = kind.model_json_schema()
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def with_links(found: dict[int | str, dict[str, Any]], **links: dict[str, str]) -> dict[int | str, dict[str, Any]]:
    """Where a program may go on from a good answer: by operation, its parameters as OpenAPI's runtime expressions."""
    named = {name: {"operationId": name, "parameters": parameters} for name, parameters in links.items()}
    return {**found, 200: {**found[200], "links": named}}


def body_of(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    """The body of a route, for OpenAPI."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def ref(kind: type[Strict]) -> dict[str, Any]:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


async def raw_body(request: Request) -> bytes:
    """The bytes of a body that says it is JSON.

    Raises:
        HTTPFault: 415 if it is something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPFault(415, "unsupported_media_type", "the body is not application/json. Send JSON, and say so.")
    return await request.body()


async def many(request: Request, of: OneOrMany) -> list[Any]:
    """One or several things."""
    return of.read(await raw_body(request))


def answered(document: Any) -> Response:
    """A document as JSON; what is not finite becomes null."""
    return written(to_json(document, inf_nan_mode="null"))


def written(body: bytes) -> Response:
    """JSON as it is."""
    return Response(body, media_type="application/json")
