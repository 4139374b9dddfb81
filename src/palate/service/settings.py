"""What the service may be told, with defaults and units. Safe as it is: on this machine only, every limit on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from palate.errors import OptionError
from palate.errors.checks import count, number, one_of, positive

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_BATCH = 1_000  # labels, events or items in one call
MAX_LIST = 100  # k of a list
MAX_QUESTIONS = 20  # k of questions
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of a service.

    Attributes:
        host: Address to listen on; another than this machine's own has to be asked for with ``open_to_network``.
        port: 0 takes a free one.
        open_to_network: Whether other machines may connect.
        body_bytes: Of a request, at most; counted as it comes, whatever its header claims.
        head_bytes: Of its first line and headers, at most.
        head_seconds, body_seconds, write_seconds: From its first byte to its last; between two pieces of an answer.
        idle_seconds: Of a connection between two requests.
        connections: At the same time, at most; further ones get 503. A quarter is for labels and events alone.
        waiting_labels: Labels and events that wait for the disk, at most; further ones get 503.
        waiting_scores: Lists and questions that wait for a thread, at most; further ones get 503.
        wait_seconds: That a list or a question may wait for a thread before it gets 503.
        scorers: Processes that work out lists and questions, each with a model in its memory; 0: threads of the
            service do, and hold up labels.
        threads: In that case, how many.
        calls_per_second: Of one key; twice as many at once.
        user_calls_per_second: Of one user's token, likewise.
        wrong_keys_per_minute: From one address, after which it gets 429 for another; a right key always passes.
        fresh_seconds: A list may be behind other people's answers by about so much; never behind the user's own.
        kept_bytes: Of lists and questions kept for the next call.
        token_seconds: That a user's token is good for, at most.
        drain_seconds: That calls are still taken after the signal to stop, while ``/readyz`` says no.
        stop_seconds: That calls in work have after that.
        free_bytes: On the disk, below which the service is not ready for labels.
        log_requests: Whether a line is written for each request.
        refit_seconds: Between refits in a process of their own; None: none by time.
        refit_rows: Of the log, after which there is one; None: none by rows.
        quality_seconds: Between two looks at the quality of campaigns' labels, at least.
        webhook: Address that is told of labels and erasures (:mod:`palate.service.webhooks`); empty: none.
        explore: Temperature at which lists are drawn and kept in the log; 0: the best list is shown, and nothing kept.
        visitors: Whether whoever opens the page on this machine may start as a new person, without a token.
        visitor_seconds: That such a person is known again after their last visit.
        origins: Where browsers reach the pages, such as ``https://films.example``; none: at this machine's own
            addresses. Nothing that a browser sends with a session is taken from anywhere else.
        embed_in: Origins whose pages may show Palate's in a frame; none: nobody's.
        images: Folder in which the paths of the items' images and sounds start; None: neither.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    open_to_network: bool = False
    body_bytes: int = 4 << 20
    head_bytes: int = 32 << 10
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    write_seconds: float = 20.0
    idle_seconds: float = 30.0
    connections: int = 2_000
    waiting_labels: int = 20_000
    waiting_scores: int = 64
    wait_seconds: float = 0.5
    scorers: int = 0
    threads: int = 1
    calls_per_second: float = 10_000.0
    user_calls_per_second: float = 20.0
    wrong_keys_per_minute: int = 20
    fresh_seconds: float = 0.5
    kept_bytes: int = 64 << 20
    token_seconds: float = 86_400.0
    drain_seconds: float = 1.0
    stop_seconds: float = 8.0
    free_bytes: int = 64 << 20
    log_requests: bool = True
    refit_seconds: float | None = None
    refit_rows: int | None = None
    quality_seconds: float = 10.0
    webhook: str = ""
    explore: float = 0.0
    visitors: bool = False
    visitor_seconds: float = 30 * 86_400.0
    origins: tuple[str, ...] = ()
    embed_in: tuple[str, ...] = ()
    images: Path | None = None

    def __post_init__(self) -> None:
        whole = {"port": 0, "body_bytes": 1_024, "head_bytes": 1_024, "connections": 1, "waiting_labels": 1}
        whole |= {
            "waiting_scores": 1,
            "threads": 1,
            "scorers": 0,
            "wrong_keys_per_minute": 1,
            "kept_bytes": 0,
            "free_bytes": 0,
        }
        for name, least in whole.items():
            count(getattr(self, name), name, least=least)
        for name in ("head", "body", "write", "idle", "wait", "fresh", "token", "stop", "visitor", "quality"):
            positive(getattr(self, f"{name}_seconds"), f"{name}_seconds")
        positive(self.calls_per_second, "calls_per_second")
        positive(self.user_calls_per_second, "user_calls_per_second")
        if self.refit_seconds is not None:
            positive(self.refit_seconds, "refit_seconds")
        if self.refit_rows is not None:
            count(self.refit_rows, "refit_rows", least=1)
        number(self.explore, "explore", least=0.0)
        if self.drain_seconds:
            positive(self.drain_seconds, "drain_seconds")
        if count(self.port, "port") > 65_535:
            raise OptionError(f"port is {self.port}. Give a whole number from 0 to 65535.")
        if self.webhook:
            check_webhook(self.webhook)
        for origin in (*self.origins, *self.embed_in):
            _check_origin(origin)
        if self.visitors and (self.origins or self.open_to_network or self.host not in LOOPBACK):
            raise OptionError(
                "visitors need no token, and this service can be reached from elsewhere. Leave visitors out, and give "
                "each user a token (POST /v1/users/ID/tokens)."
            )
        if self.host not in LOOPBACK and not self.open_to_network:
            raise OptionError(
                f"host {self.host!r} can be reached from other machines. Put a proxy with TLS in front and add "
                "--open-to-network, or leave the host out."
            )


def check_webhook(url: object) -> SplitResult:
    """An address that may be told of labels.

    Raises:
        OptionError: If it is no HTTPS address, nor one of this machine, or holds a password, which logs would show.
    """
    try:
        found = urlsplit(url) if isinstance(url, str) else urlsplit("")
        found.port  # noqa: B018 - raises if it is none
    except ValueError:
        raise OptionError("the webhook's URL cannot be read. Write https://HOST/PATH.") from None
    is_here = found.scheme == "http" and found.hostname in LOOPBACK
    if not found.hostname or not (found.scheme == "https" or is_here):
        raise OptionError("the webhook is no HTTPS address, nor one of this machine. Write https://HOST/PATH.")
    if found.username or found.password or found.fragment or not (found.path + found.query).isprintable():
        raise OptionError("the webhook's URL holds a name, a password or a fragment. Leave it out: calls are signed.")
    return found


def _check_origin(origin: str) -> None:
    if not _ORIGIN.fullmatch(origin):
        raise OptionError(f"{origin[:80]!r} is no origin. Give scheme and host, such as https://films.example.")


ROLES = ("admin", "service", "annotator", "user")


def role_of(value: object) -> str:
    """One of the roles that a key may have; a user's is not a key but a token.

    Raises:
        OptionError: If it is none.
    """
    return one_of(value, ROLES[:3], "role")
