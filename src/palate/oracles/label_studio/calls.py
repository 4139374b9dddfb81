"""Calls of a Label Studio server, with either kind of token. No token is in what is raised or shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from palate.errors import MissingExtra, OptionError, OracleError
from palate.errors.checks import positive, shown

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 60.0  # of a call; an export of many tasks is made while it waits
_MOST_SAID = 200  # characters of what a server says of a fault
_WORDS = {
    401: "Give a token of a user of that server; a legacy token has to be enabled there.",
    403: "Give a token of somebody who may do this there.",
    404: "Check the address of the server, and that the project is there.",
}


class Server:
    """A Label Studio server.

    Args:
        url: Such as ``http://127.0.0.1:8080``.
        token: A personal access token, of which calls get access for five minutes at a time; or a legacy token.
        timeout_seconds: Of a call.
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.url = _url(url)
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
            raise OptionError("the token is empty, or holds characters that no token has. Give one of Label Studio.")
        self._httpx = _library()
        self._token, self._is_personal = token, token.count(".") == 2  # a JSON web token has three parts
        self._access = ""
        self._http = self._httpx.Client(base_url=self.url, timeout=positive(timeout_seconds, "timeout_seconds"))

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def close(self) -> None:
        """Let its connections go."""
        self._http.close()

    def call(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """What the server answers, as JSON; None where that is nothing.

        Raises:
            OracleError: If it is not reached, refuses, or answers with something else.
        """
        if self._is_personal and not self._access:
            self._refresh()
        response = self._send(method, path, query, body)
        if response.status_code == 401 and self._is_personal:  # the access has ended
            self._refresh()
            response = self._send(method, path, query, body)
        return self._read(response, method, path)

    def _send(self, method: str, path: str, query: Mapping[str, Any] | None, body: Any) -> httpx.Response:
        scheme = f"Bearer {self._access}" if self._is_personal else f"Token {self._token}"
        return self._sent(method, path, params=query, json=body, headers={"authorization": scheme})

    def _sent(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            response: httpx.Response = self._http.request(method, path, **given)
            return response
        except self._httpx.HTTPError as error:
            what = type(error).__name__
        raise OracleError(f"Label Studio at {self.url} could not be reached ({what}). Check that it runs, and go on.")

    def _refresh(self) -> None:
        path = "/api/token/refresh"
        found = self._read(self._sent("POST", path, json={"refresh": self._token}), "POST", path)
        access = found.get("access") if isinstance(found, dict) else None
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise OracleError(f"Label Studio at {self.url} gave no access for the token. Give a personal access token.")
        self._access = access

    def _read(self, response: httpx.Response, method: str, path: str) -> Any:
        status = response.status_code
        if not response.is_success:
            way = _WORDS.get(status, "See its log.")
            raise OracleError(f"Label Studio answered {status} to {method} {path}{self._said(response)}. {way}")
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise OracleError(
                f"Label Studio answered {method} {path} with no JSON. Check that {self.url} is its address."
            ) from None

    def _said(self, response: httpx.Response) -> str:
        """What the server says of a fault, without anything secret that it says again."""
        try:
            found = response.json()
        except ValueError:
            return ""
        said = found.get("detail", found) if isinstance(found, dict) else found
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        for secret in filter(None, (self._token, self._access)):
            text = text.replace(secret, "...")
        return f": {' '.join(text.split())[:_MOST_SAID].rstrip('. ')}"


def _library() -> ModuleType:
    try:
        import httpx
    except ModuleNotFoundError:
        raise MissingExtra("httpx", "serve", "palate.oracles.label_studio") from None
    return httpx


def _url(url: object) -> str:
    try:
        found = urlsplit(url) if isinstance(url, str) else urlsplit("")
        found.port  # noqa: B018 - raises if it is none
    except ValueError:
        found = urlsplit("")
    if found.scheme not in ("http", "https") or not found.hostname or found.username or found.password or found.query:
        what = shown(url) if not found.password else "one that holds a password"
        raise OptionError(f"url is {what}. Give the address of Label Studio alone, such as http://127.0.0.1:8080.")
    return found.geturl().rstrip("/")
