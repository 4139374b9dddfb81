"""Traces, if ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to: one span a request, without an id or a text of anybody."""

from __future__ import annotations

import os
from typing import Any

from palate.errors import MissingExtra

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Traces:
    """Spans of requests, of which each continues the trace that its header ``traceparent`` names.

    Args:
        exporter: Where spans go; that of OpenTelemetry over HTTP if None.
    Raises:
        MissingExtra: If the libraries are not installed.
    """

    def __init__(self, exporter: Any = None) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            if exporter is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

                exporter = OTLPSpanExporter()
        except ModuleNotFoundError as error:
            raise MissingExtra(str(error.name), "traces", f"{ENDPOINT} is set, and a trace") from None
        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "palate")})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer, self._context = self._provider.get_tracer("palate"), TraceContextTextMapPropagator()

    @classmethod
    def configured(cls) -> Traces | None:
        """None where the environment names no place for them."""
        return cls() if os.environ.get(ENDPOINT) else None

    def start(self, headers: list[tuple[bytes, bytes]]) -> Any:
        """A span that has begun."""
        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name == b"traceparent"}
        return self._tracer.start_span("request", context=self._context.extract(given))

    def end(self, span: Any, request_id: str, method: str, route: str, status: int) -> None:
        """The span is over: its route as a pattern, and what came of it."""
        span.update_name(f"{method} {route}")
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("palate.request_id", request_id)
        span.end()

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()
