"""The calls of the service as values, and when one is made again."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from palate.errors import MissingExtra, OptionError, PalateError
from palate.errors.checks import positive

if TYPE_CHECKING:
    import httpx

Row = dict[str, Any]
AGAIN = (408, 429, 500, 502, 503, 504)  # statuses after which the same call may succeed
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0  # seconds; doubled each time, and drawn at random below that


class ServiceError(PalateError):
    """The service refused a call, or could not be reached in time.

    Attributes:
        status: Of the answer; 0 if there was none.
        code: The service's word for it, such as ``key_taken``.
        field: Where the fault is; empty if nowhere alone.
        request_id: By which the service's log names the call.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "", field: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.field, self.request_id = status, code, field, request_id


@dataclass(frozen=True)
class Call:
    """A call, before it is made.

    Attributes:
        parts: Of the path, each an id or a word.
        pick: Name of the part of the answer that is wanted; all of it if empty.
    """

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, Any] | None = None
    body: Any = None
    pick: str = ""

    @property
    def path(self) -> str:
        return "/v1/" + "/".join(quote(part, safe="") for part in self.parts)

    def read(self, response: httpx.Response) -> Any:
        """What is wanted of an answer.

        Raises:
            ServiceError: If it is a fault.
        """
        try:
            document = response.json()
        except ValueError:
            document = {}
        if not response.is_success:
            raise fault_of(response)
        return document[self.pick] if self.pick else document


def fault_of(response: httpx.Response) -> ServiceError:
    """What an answer that is a fault says."""
    try:
        fault = response.json()["error"]
        known = {name: str(fault[name] or "") for name in ("message", "code", "field", "request_id")}
    except (ValueError, TypeError, KeyError):
        known = {"message": ""}
    message = known.pop("message") or f"the service answered with status {response.status_code}."
    return ServiceError(message, status=response.status_code, **known)


def _keyed(row: Mapping[str, Any]) -> Row:
    return {"key": uuid.uuid4().hex, **{name: value for name, value in row.items() if value is not None}}


class Calls:
    """The calls of the contract, as values."""

    @staticmethod
    def tell(user_id: str, item_id: str, value: float | str | None, key: str | None, more: Mapping[str, Any]) -> Call:
        said = {"kind": value} if isinstance(value, str) else {"value": value}
        row = {"user_id": user_id, "item_id": item_id, **said, "key": key, **more}
        return Call("POST", ("labels",), body=_keyed(row), pick="labels")

    @staticmethod
    def tell_all(labels: Iterable[Mapping[str, Any]]) -> Call:
        return Call("POST", ("labels",), body=[_keyed(label) for label in labels], pick="labels")

    @staticmethod
    def see(events: Iterable[Mapping[str, Any]]) -> Call:
        return Call("POST", ("events",), body=[_keyed(event) for event in events], pick="events")

    @staticmethod
    def undo(key: str) -> Call:
        return Call("DELETE", ("labels", key))

    @staticmethod
    def know(user_id: str, attributes: Mapping[str, Any], key: str | None) -> Call:
        return Call(
            "PUT",
            ("users", user_id, "attributes"),
            body=_keyed({"key": key, "attributes": dict(attributes)}),
            pick="attributes",
        )

    @staticmethod
    def recommendations(user_id: str, k: int, exclude: Sequence[str], category: str | None) -> Call:
        query: Row = {"k": k, "exclude": list(exclude)} | ({"category": category} if category is not None else {})
        return Call("GET", ("users", user_id, "recommendations"), query, pick="items")

    @staticmethod
    def questions(user_id: str, k: int, forms: Sequence[str], strategy: str | None) -> Call:
        query: Row = {"k": k, "forms": list(forms)} | ({"strategy": strategy} if strategy is not None else {})
        return Call("GET", ("users", user_id, "questions"), query, pick="questions")

    @staticmethod
    def search(typed: str, k: int) -> Call:
        return Call("GET", ("items", "search"), {"q": typed, "k": k}, pick="items")

    @staticmethod
    def profile(user_id: str) -> Call:
        return Call("GET", ("users", user_id, "profile"), pick="interests")

    @staticmethod
    def make_campaign(campaign: Mapping[str, Any]) -> Call:
        return Call("POST", ("campaigns",), body=_keyed(campaign), pick="campaign")

    @staticmethod
    def campaigns() -> Call:
        return Call("GET", ("campaigns",), pick="campaigns")

    @staticmethod
    def campaign(id: str) -> Call:
        return Call("GET", ("campaigns", id))

    @staticmethod
    def campaign_quality(id: str) -> Call:
        return Call("GET", ("campaigns", id, "quality"))

    @staticmethod
    def calibrate(source: str, weight: float, subject: str, key: str | None) -> Call:
        return Call(
            "POST", ("sources", source, "weight"), body=_keyed({"key": key, "weight": weight, "subject": subject})
        )

    @staticmethod
    def set_campaign_state(id: str, state: str) -> Call:
        return Call("POST", ("campaigns", id, "state"), body={"state": state}, pick="campaign")

    @staticmethod
    def next_questions(campaign: str, k: int, held: Sequence[str]) -> Call:
        return Call("GET", ("next",), {"campaign": campaign, "k": k} | ({"held": ",".join(held)} if held else {}))

    @staticmethod
    def answer(lease_id: str, value: float | str, key: str | None, more: Mapping[str, Any]) -> Call:
        said = {"kind": value} if isinstance(value, str) else {"value": value}
        return Call("POST", ("labels",), body=_keyed({"lease_id": lease_id, **said, "key": key, **more}), pick="labels")

    @staticmethod
    def release(lease_id: str) -> Call:
        return Call("POST", ("leases", lease_id, "release"))

    @staticmethod
    def extend(lease_id: str) -> Call:
        return Call("POST", ("leases", lease_id, "extend"))

    @staticmethod
    def note(lease_id: str, flag: bool, comment: str, key: str | None) -> Call:
        return Call("POST", ("leases", lease_id, "notes"), body=_keyed({"key": key, "flag": flag, "comment": comment}))

    @staticmethod
    def user_token(user_id: str, seconds: float) -> Call:
        return Call("POST", ("users", user_id, "tokens"), body={"seconds": seconds}, pick="token")


class Patience:
    """When to try again, and when not."""

    def __init__(self, seconds: float, tries: int, rng: random.Random) -> None:
        self._until, self._tries, self._rng, self._n = time.monotonic() + seconds, tries, rng, 0

    def wait(self, response: httpx.Response | None, error: Exception | None) -> float:
        """Seconds until the next try.

        Raises:
            ServiceError: If there is no answer and no time left.
        """
        self._n += 1
        wait = self._rng.uniform(0.0, min(_FIRST_WAIT * 2**self._n, _LONGEST_WAIT))
        if response is not None:
            asked = response.headers.get("retry-after", "0")
            wait += float(asked) if asked.isdigit() else 0.0
        if self._n < self._tries and time.monotonic() + wait < self._until:
            return wait
        if response is None:
            what = type(error).__name__
            raise ServiceError(
                f"the service could not be reached ({what}) in {self._n} tries. Check its address, and that it runs."
            ) from error
        return -1.0


def library() -> ModuleType:
    """Httpx."""
    try:
        import httpx
    except ModuleNotFoundError:
        raise MissingExtra("httpx", "serve", "palate.client") from None
    return httpx


def base_url(url: str) -> str:
    """The address of a service, without a slash at its end."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise OptionError(f"url is {url!r}. Give the address of a service, such as http://127.0.0.1:8000.")
    return url.rstrip("/")


def options(url: str, key: str, timeout_seconds: float) -> dict[str, Any]:
    """What both clients give httpx."""
    base = base_url(url)
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
        raise OptionError("the key is empty, or holds characters that no key has. Give one of palate keys add.")
    headers = {"authorization": f"Bearer {key}"}
    return {"base_url": base, "headers": headers, "timeout": positive(timeout_seconds, "timeout_seconds")}
