"""The client, sync and async."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from palate.client.calls import AGAIN, Call, Calls, Patience, Row, library, options
from palate.errors.checks import count, positive


class Client:
    """Calls of the service. A call that is not answered is made again, with the same key, until it is.

    Args:
        url: Such as ``http://127.0.0.1:8000``.
        key: Of ``palate keys add``, or a user's token.
        timeout_seconds: For one try.
        patience_seconds: For all tries of a call.
        tries: At most.
        rng: Draws how long is waited between tries.
        transport: Of httpx, for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 60.0,
        tries: int = 50,
        rng: random.Random | None = None,
        transport: Any = None,
    ) -> None:
        self._httpx = library()
        self._patience = positive(patience_seconds, "patience_seconds"), count(tries, "tries", least=1)
        self._rng = rng or random.Random()
        self._http = self._httpx.Client(**options(url, key, timeout_seconds), transport=transport)

    def _do(self, call: Call) -> Any:
        patience = Patience(*self._patience, self._rng)
        while True:
            response, error = None, None
            try:
                response = self._http.request(call.method, call.path, params=call.query, json=call.body)
            except self._httpx.TransportError as failed:
                error = failed
            if response is not None and response.status_code not in AGAIN:
                return call.read(response)
            wait = patience.wait(response, error)
            if wait < 0.0 and response is not None:
                return call.read(response)
            time.sleep(wait)

    def tell(
        self, user_id: str, item_id: str, value: float | str | None = None, *, key: str | None = None, **more: Any
    ) -> Row:
        """Keep one answer; returns its row once it is on the server's disk.

        Args:
            value: A rating; or ``unknown``, ``no-opinion`` or ``skipped``.
            key: Made by you, so that a later repeat changes nothing; made here if None.
            more: Further fields of a label: ``form``, ``others``, ``tapped``, ``text``, ``question_id``, ``source`` ...
        Raises:
            ServiceError: If the service refuses it, or is not reached in time.
        """
        row: Row = self._do(Calls.tell(user_id, item_id, value, key, more))[0]
        return row

    def tell_all(self, labels: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Keep several answers, all or none; each as in the contract, with a key or without."""
        return list(self._do(Calls.tell_all(labels)))

    def see(self, events: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Keep events, all or none: ``{"user_id", "item_id", "event"}`` each."""
        return list(self._do(Calls.see(events)))

    def undo(self, key: str) -> Row:
        """Take an answer back."""
        return dict(self._do(Calls.undo(key)))

    def know(self, user_id: str, attributes: Mapping[str, Any], *, key: str | None = None) -> list[Row]:
        """Keep who somebody is."""
        return list(self._do(Calls.know(user_id, attributes, key)))

    def recommendations(
        self, user_id: str, k: int = 10, *, exclude: Sequence[str] = (), category: str | None = None
    ) -> list[Row]:
        """The list to show, best first."""
        return list(self._do(Calls.recommendations(user_id, k, exclude, category)))

    def questions(
        self, user_id: str, k: int = 5, *, forms: Sequence[str] = ("rate",), strategy: str | None = None
    ) -> list[Row]:
        """The questions worth asking now, best first."""
        return list(self._do(Calls.questions(user_id, k, forms, strategy)))

    def search(self, typed: str, k: int = 5) -> list[Row]:
        """Items that are called so or nearly so."""
        return list(self._do(Calls.search(typed, k)))

    def profile(self, user_id: str) -> list[Row]:
        """Interest in each category."""
        return list(self._do(Calls.profile(user_id)))

    def make_campaign(self, campaign: Mapping[str, Any]) -> Row:
        """Make a labelling job; its fields are those of ``POST /v1/campaigns``."""
        return dict(self._do(Calls.make_campaign(campaign)))

    def campaigns(self) -> list[Row]:
        """Every labelling job, the last first."""
        return list(self._do(Calls.campaigns()))

    def campaign(self, id: str) -> Row:
        """A labelling job and how far it is: ``campaign`` and ``progress``."""
        return dict(self._do(Calls.campaign(id)))

    def campaign_quality(self, id: str) -> Row:
        """How good the labels are: ``agreement``, ``annotators`` and ``drift``."""
        return dict(self._do(Calls.campaign_quality(id)))

    def calibrate(self, source: str, weight: float, *, subject: str = "taste", key: str | None = None) -> Row:
        """What each answer of a source counts, from 0 to 1, for what it said before too. It needs an admin's key."""
        return dict(self._do(Calls.calibrate(source, weight, subject, key)))

    def set_campaign_state(self, id: str, state: str) -> Row:
        """Make it ``open``, ``paused`` or ``closed``."""
        return dict(self._do(Calls.set_campaign_state(id, state)))

    def next_questions(self, campaign: str, k: int = 1, *, held: Sequence[str] = ()) -> Row:
        """The questions that are this annotator's: ``leases``, or why there are none: ``done``.

        Args:
            held: Ids of leases that were not looked at yet, which may be replaced by better ones.
        """
        return dict(self._do(Calls.next_questions(campaign, k, held)))

    def answer(self, lease_id: str, value: float | str, *, key: str | None = None, **more: Any) -> Row:
        """Keep the answer to a question that is this annotator's; returns its row once it is on the server's disk.

        Args:
            value: A rating or the place of an option; or ``unknown``, ``no-opinion`` or ``skipped``.
            key: As of :meth:`tell`.
            more: ``answered_at``, ``reason``.
        Raises:
            ServiceError: If the service refuses it, or is not reached in time.
        """
        return dict(self._do(Calls.answer(lease_id, value, key, more))[0])

    def release(self, lease_id: str) -> Row:
        """Give a question back."""
        return dict(self._do(Calls.release(lease_id)))

    def extend(self, lease_id: str) -> Row:
        """Hold a question as long again from now."""
        return dict(self._do(Calls.extend(lease_id)))

    def note(self, lease_id: str, *, flag: bool = False, comment: str = "", key: str | None = None) -> Row:
        """Flag a question, and say what is wrong with it."""
        return dict(self._do(Calls.note(lease_id, flag, comment, key)))

    def user_token(self, user_id: str, *, seconds: float = 3_600.0) -> str:
        """A token with which a browser may act as this user."""
        return str(self._do(Calls.user_token(user_id, seconds)))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class AsyncClient:
    """:class:`Client` with ``await``: the same calls, the same tries."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 60.0,
        tries: int = 50,
        rng: random.Random | None = None,
        transport: Any = None,
    ) -> None:
        self._httpx = library()
        self._patience = positive(patience_seconds, "patience_seconds"), count(tries, "tries", least=1)
        self._rng = rng or random.Random()
        self._http = self._httpx.AsyncClient(**options(url, key, timeout_seconds), transport=transport)

    async def _do(self, call: Call) -> Any:
        patience = Patience(*self._patience, self._rng)
        while True:
            response, error = None, None
            try:
                response = await self._http.request(call.method, call.path, params=call.query, json=call.body)
            except self._httpx.TransportError as failed:
                error = failed
            if response is not None and response.status_code not in AGAIN:
                return call.read(response)
            wait = patience.wait(response, error)
            if wait < 0.0 and response is not None:
                return call.read(response)
            await asyncio.sleep(wait)

    async def tell(
        self, user_id: str, item_id: str, value: float | str | None = None, *, key: str | None = None, **more: Any
    ) -> Row:
        """:meth:`Client.tell`."""
        row: Row = (await self._do(Calls.tell(user_id, item_id, value, key, more)))[0]
        return row

    async def tell_all(self, labels: Iterable[Mapping[str, Any]]) -> list[Row]:
        """:meth:`Client.tell_all`."""
        return list(await self._do(Calls.tell_all(labels)))

    async def see(self, events: Iterable[Mapping[str, Any]]) -> list[Row]:
        """:meth:`Client.see`."""
        return list(await self._do(Calls.see(events)))

    async def undo(self, key: str) -> Row:
        """:meth:`Client.undo`."""
        return dict(await self._do(Calls.undo(key)))

    async def know(self, user_id: str, attributes: Mapping[str, Any], *, key: str | None = None) -> list[Row]:
        """:meth:`Client.know`."""
        return list(await self._do(Calls.know(user_id, attributes, key)))

    async def recommendations(
        self, user_id: str, k: int = 10, *, exclude: Sequence[str] = (), category: str | None = None
    ) -> list[Row]:
        """:meth:`Client.recommendations`."""
        return list(await self._do(Calls.recommendations(user_id, k, exclude, category)))

    async def questions(
        self, user_id: str, k: int = 5, *, forms: Sequence[str] = ("rate",), strategy: str | None = None
    ) -> list[Row]:
        """:meth:`Client.questions`."""
        return list(await self._do(Calls.questions(user_id, k, forms, strategy)))

    async def search(self, typed: str, k: int = 5) -> list[Row]:
        """:meth:`Client.search`."""
        return list(await self._do(Calls.search(typed, k)))

    async def profile(self, user_id: str) -> list[Row]:
        """:meth:`Client.profile`."""
        return list(await self._do(Calls.profile(user_id)))

    async def make_campaign(self, campaign: Mapping[str, Any]) -> Row:
        """:meth:`Client.make_campaign`."""
        return dict(await self._do(Calls.make_campaign(campaign)))

    async def campaigns(self) -> list[Row]:
        """:meth:`Client.campaigns`."""
        return list(await self._do(Calls.campaigns()))

    async def campaign(self, id: str) -> Row:
        """:meth:`Client.campaign`."""
        return dict(await self._do(Calls.campaign(id)))

    async def campaign_quality(self, id: str) -> Row:
        """:meth:`Client.campaign_quality`."""
        return dict(await self._do(Calls.campaign_quality(id)))

    async def calibrate(self, source: str, weight: float, *, subject: str = "taste", key: str | None = None) -> Row:
        """:meth:`Client.calibrate`."""
        return dict(await self._do(Calls.calibrate(source, weight, subject, key)))

    async def set_campaign_state(self, id: str, state: str) -> Row:
        """:meth:`Client.set_campaign_state`."""
        return dict(await self._do(Calls.set_campaign_state(id, state)))

    async def next_questions(self, campaign: str, k: int = 1, *, held: Sequence[str] = ()) -> Row:
        """:meth:`Client.next_questions`."""
        return dict(await self._do(Calls.next_questions(campaign, k, held)))

    async def answer(self, lease_id: str, value: float | str, *, key: str | None = None, **more: Any) -> Row:
        """:meth:`Client.answer`."""
        return dict((await self._do(Calls.answer(lease_id, value, key, more)))[0])

    async def release(self, lease_id: str) -> Row:
        """:meth:`Client.release`."""
        return dict(await self._do(Calls.release(lease_id)))

    async def extend(self, lease_id: str) -> Row:
        """:meth:`Client.extend`."""
        return dict(await self._do(Calls.extend(lease_id)))

    async def note(self, lease_id: str, *, flag: bool = False, comment: str = "", key: str | None = None) -> Row:
        """:meth:`Client.note`."""
        return dict(await self._do(Calls.note(lease_id, flag, comment, key)))

    async def user_token(self, user_id: str, *, seconds: float = 3_600.0) -> str:
        """:meth:`Client.user_token`."""
        return str(await self._do(Calls.user_token(user_id, seconds)))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
