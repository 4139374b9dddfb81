"""What is counted, for Prometheus. No name, id or text of anybody is in it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        names = ("method", "route", "status")
        self.requests = Counter("palate_requests", "Requests answered.", names, registry=registry)
        self.seconds = Histogram(
            "palate_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.rows = Counter("palate_rows", "Rows acknowledged.", ("content", "repeated"), registry=registry)
        self.shed = Counter("palate_shed", "Requests told to come again.", ("route",), registry=registry)
        self.refused = Counter("palate_refused_keys", "Requests without a right key.", registry=registry)
        self.kept = Counter("palate_kept_answers", "Reads answered from what was kept.", registry=registry)
        self.not_finite = Counter(
            "palate_not_finite", "Items left out for a number that is not finite.", registry=registry
        )
        self.set_aside = Counter(
            "palate_rows_set_aside", "Rows of the log that the model could not take.", registry=registry
        )
        self.webhooks = Counter("palate_webhook_events", "Events of a webhook.", ("outcome",), registry=registry)
        self.flagged = Counter(
            "palate_flagged_sources",
            "Sources that count less, by what speaks against them.",
            ("flag",),
            registry=registry,
        )
        self.label_drift = Counter("palate_label_drift", "Changes of labels' rates.", registry=registry)
        self.refits = Counter("palate_refits", "Refits in the background.", ("outcome",), registry=registry)
        self.waiting = Gauge("palate_waiting", "What waits.", ("lane",), registry=registry)
        self.seq = Gauge("palate_log_seq", "Last row of the log that is served.", (), registry=registry)
        self.ready = Gauge("palate_ready", "Whether it is ready.", ("purpose",), registry=registry)

    def text(self) -> bytes:
        """In the format that Prometheus reads."""
        return generate_latest(self.registry)
