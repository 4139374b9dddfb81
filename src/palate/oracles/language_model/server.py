"""Calls of an OpenAI-compatible server: few at once, none for ever, none larger than it may be, none unpaid.

Nothing in a reply is ever followed: no redirect, no address, no tool. The key is read from the environment for each
call, goes to the stated address alone, and stands in no object, message or log.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from palate.errors import MissingExtra, OptionError, OracleError
from palate.errors.checks import count, positive
from palate.oracles.language_model.ledger import Hold, Ledger
from palate.oracles.language_model.replies import usage_of

if TYPE_CHECKING:
    pass

AGAIN = (408, 429, 500, 502, 503, 504)  # statuses after which the same call may succeed
_FIRST_WAIT = 0.5  # seconds, doubled each time
_TEMPLATE_TOKENS = 256  # that a server may put around a talk
Sleep = Callable[[float], None]


class SpentError(OracleError):
    """The budget does not pay for the call, which was not made."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may take.

    Attributes:
        timeout_seconds: For one try.
        patience_seconds: For all tries of a call, waits between them included.
        tries: At most.
        at_once: Calls that run at the same time, at most.
        reply_bytes: A longer reply is cut off, and none.
    """

    timeout_seconds: float = 30.0
    patience_seconds: float = 120.0
    tries: int = 4
    at_once: int = 4
    reply_bytes: int = 1 << 18

    def __post_init__(self) -> None:
        for name in ("timeout_seconds", "patience_seconds"):
            object.__setattr__(self, name, positive(getattr(self, name), name))
        for name, most in (("tries", 100), ("at_once", 256), ("reply_bytes", 1 << 26)):
            object.__setattr__(self, name, count(getattr(self, name), name, least=1, most=most))


@dataclass(frozen=True, slots=True)
class Reply:
    """A document, and what it cost.

    Attributes:
        tokens: Read and written.
    """

    document: Mapping[str, Any]
    cost: float
    tokens: int


class Server:
    """A server at an address.

    Args:
        base_url: Such as ``http://127.0.0.1:8080/v1``.
        key_env: Name of the environment variable that holds the key; a server on this machine may need none.
        sleep: Waits between tries.
    """

    def __init__(self, base_url: str, key_env: str, ledger: Ledger, limits: Limits, sleep: Sleep = time.sleep) -> None:
        self.base_url, self.is_local = checked_url(base_url)
        self._key_env, self._ledger, self._limits, self._sleep = key_env, ledger, limits, sleep
        self._headers()  # so that a key that must not be sent is known at once
        self._httpx = library()
        self._http = self._httpx.Client(
            timeout=limits.timeout_seconds,
            follow_redirects=False,
            verify=self.base_url.startswith("https://"),  # certificates are not even loaded where none is asked for
            trust_env=not self.is_local,  # a proxy, for what is not on this machine
            limits=self._httpx.Limits(max_connections=limits.at_once),
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def most_tokens(self, body: Mapping[str, Any]) -> tuple[int, int]:
        """What a call reads and writes at most: a token is at least one byte of what is sent."""
        return len(_written(body)) + _TEMPLATE_TOKENS, int(body["max_tokens"])

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """The reply to a talk.

        Raises:
            SpentError: If the budget does not pay for it.
            OracleError: If there is no reply in time.
        """
        began, fault = time.monotonic(), ""
        for tried in range(1, self._limits.tries + 1):
            hold = self._ledger.hold(*self.most_tokens(body))
            if hold is None:
                raise SpentError(
                    f"the next call may cost more than the {self._ledger.left:g} that is left of the budget. Raise it."
                )
            reply, fault, wait = self._try(body, hold)
            if reply is not None:
                return reply
            wait = max(wait, _FIRST_WAIT * 2.0 ** (tried - 1))
            left = self._limits.patience_seconds - (time.monotonic() - began)
            if tried == self._limits.tries or wait >= left:
                break
            self._sleep(wait)
        raise OracleError(f"the language model gave no reply: {fault}. Check its server, its address and its key.")

    def _try(self, body: Mapping[str, Any], hold: Hold) -> tuple[Reply | None, str, float]:
        """A reply; or what went wrong, and after how many seconds it may be tried again, infinity being never.

        What a server refuses it does not bill. What a call costs that broke half way nobody knows.
        """
        try:
            status, wait, content = self._post(body)
        except (self._httpx.ConnectError, self._httpx.ConnectTimeout, self._httpx.PoolTimeout) as error:
            self._ledger.release(hold)  # nothing was sent
            return None, type(error).__name__, 0.0
        except self._httpx.HTTPError as error:
            self._ledger.keep(hold)
            return None, type(error).__name__, 0.0
        if not 200 <= status < 300:
            self._ledger.release(hold)
            return None, f"status {status}", wait if status in AGAIN else math.inf
        document, most = _document(content), self.most_tokens(body)
        usage = None if document is None else usage_of(document)
        if usage is None or usage[0] > most[0] or usage[1] > most[1]:  # that cannot be: no more was sent, or allowed
            cost, tokens = self._ledger.keep(hold), sum(most)
        else:
            cost, tokens = self._ledger.settle(hold, *usage), sum(usage)
        if document is None:
            return None, "a reply that is no JSON object, or too long", math.inf
        return Reply(document, cost, tokens), "", 0.0

    def _post(self, body: Mapping[str, Any]) -> tuple[int, float, bytes | None]:
        """Status, seconds until the next try, and the content; None where it is too long, packed, or takes too long."""
        until, content = time.monotonic() + self._limits.timeout_seconds, bytearray()
        with self._http.stream(
            "POST", f"{self.base_url}/chat/completions", content=_written(body), headers=self._headers()
        ) as response:
            wait = retry_after(response.headers.get("retry-after", ""))
            if "content-encoding" in response.headers:
                return response.status_code, wait, None
            for part in response.iter_raw():
                content += part
                if len(content) > self._limits.reply_bytes:
                    return response.status_code, wait, None
                if time.monotonic() > until:
                    raise self._httpx.ReadTimeout("the reply takes too long")
            return response.status_code, wait, bytes(content)

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self._key_env, "")
        if not key.isascii() or not key.isprintable():
            raise OptionError(f"${self._key_env} holds characters that no key has. Set it anew.")
        if key and not self.is_local and not self.base_url.startswith("https://"):
            raise OptionError(
                f"${self._key_env} would go to {self.base_url} unencrypted. Give an address with https, or unset it."
            )
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        return headers | ({"authorization": f"Bearer {key}"} if key else {})


def checked_url(url: object) -> tuple[str, bool]:
    """The address without a slash at its end, and whether it is on this machine.

    Raises:
        OptionError: If it is none, or holds a name, a password or a query.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        is_one = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_one = None, False
    if parts is None or not is_one or not str(url).isprintable():
        raise OptionError("base_url is no address. Give that of a server, such as http://127.0.0.1:8080/v1.")
    if parts.username is not None or parts.query or parts.fragment:
        raise OptionError(
            "base_url holds a name, a query or a mark. Leave it out: the key is read from the environment."
        )
    host = str(parts.hostname)
    is_local = host == "localhost"
    with suppress(ValueError):
        is_local = is_local or ipaddress.ip_address(host).is_loopback
    return str(url).rstrip("/"), is_local


def retry_after(header: str) -> float:
    """Seconds that a server wants to be left alone; 0 where it does not say.

    >>> retry_after("2"), retry_after("soon")
    (2.0, 0.0)
    """
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)


def library() -> ModuleType:
    """Httpx."""
    try:
        import httpx
    except ModuleNotFoundError:
        raise MissingExtra("httpx", "serve", "a language model") from None
    return httpx


def _written(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()


def _document(content: bytes | None) -> Mapping[str, Any] | None:
    try:
        found = json.loads(content) if content is not None else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
