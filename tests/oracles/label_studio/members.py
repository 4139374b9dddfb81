"""People who label in Label Studio, over its own REST: the same on the real server and on the one made for tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from palate.entities import AnswerKind
from palate.oracles.label_studio import LabelStudio, Server
from palate.oracles.protocol import Desk, Ticket
from palate.testing import DeskContract
from palate.testing.desks import ANN, TOPIC

WORDS = (*TOPIC.options, "Don't know")
_folders = itertools.count()


def choice(*words: object, name: str = "answer") -> list[dict[str, Any]]:
    """The result of an annotation, as the page there makes it."""
    value = {"choices": list(words)}
    return [{"from_name": name, "to_name": "title", "type": "choices", "value": value, "id": "x"}]


@dataclass
class Members:
    """Of an organisation, by name; the first is its owner, whose token the desk has."""

    url: str
    tokens: dict[str, str]
    open_desks: list[Server] = field(default_factory=list)

    def call(self, who: str, method: str, path: str, body: Any = None, **query: object) -> Any:
        headers = {"authorization": f"Token {self.tokens[who]}"}
        response = httpx.request(method, self.url + path, json=body, params=query or None, headers=headers, timeout=60)
        if response.status_code == 404:
            raise LookupError(path)
        response.raise_for_status()
        return response.json() if response.content else None

    def id_of(self, who: str) -> int:
        return int(self.call(who, "GET", "/api/current-user/whoami")["id"])

    def annotations(self, task: str) -> list[dict[str, Any]]:
        return list(self.call("owner", "GET", f"/api/tasks/{task}/")["annotations"])

    def mine(self, who: str, task: str) -> dict[str, Any] | None:
        me = self.id_of(who)
        by = ((one, one["completed_by"]) for one in self.annotations(task))
        return next((one for one, user in by if (user["id"] if isinstance(user, dict) else user) == me), None)

    def say(self, who: str, task: str, option: int | AnswerKind) -> None:
        skips = option is AnswerKind.SKIPPED
        word = WORDS[-1] if isinstance(option, AnswerKind) else WORDS[option]
        body = {"result": [] if skips else choice(word), "was_cancelled": skips, "lead_time": 1.0}
        before = self.mine(who, task)
        if before is None:
            self.call(who, "POST", f"/api/tasks/{task}/annotations/", body)
        else:
            self.call(who, "PATCH", f"/api/annotations/{before['id']}/", body)

    def delete(self, who: str, task: str) -> None:
        mine = self.mine(who, task)
        assert mine is not None
        self.call(who, "DELETE", f"/api/annotations/{mine['id']}/")

    def desk(self, folder: Path, asks: Any = TOPIC, *, token: str = "", **options: Any) -> LabelStudio:
        server = Server(self.url, token or self.tokens["owner"])
        self.open_desks.append(server)
        return LabelStudio(server, folder, asks, **options)

    def close(self) -> None:
        for server in self.open_desks:
            server.close()


class LabelStudioDesks(DeskContract):
    """The contract, on a project of its own for each rule; a subclass says on which server."""

    members: Members
    folder: Path

    def make(self) -> Desk:
        self.at = self.folder / f"desk-{next(_folders)}"
        return self.members.desk(self.at, people=2)

    def again(self, desk: Desk) -> Desk:
        return self.members.desk(self.at, people=2)

    def say(self, desk: Desk, ticket: Ticket, who: str, option: int | AnswerKind) -> None:
        self.members.say(who, ticket.place, option)

    def delete(self, desk: Desk, ticket: Ticket, who: str) -> None:
        self.members.delete(who, ticket.place)

    def nonsense(self, desk: Desk, ticket: Ticket) -> bool:
        wrong = ([], choice("no such topic"), choice("food", "travel"), choice("food", name="other"), choice(["food"]))
        for result in wrong:
            self.members.call(ANN, "POST", f"/api/tasks/{ticket.place}/annotations/", {"result": result})
        task = self.members.call("owner", "GET", f"/api/tasks/{ticket.place}/")
        strange = [{"data": {"question": "?", "title": "?", "text": "?", "palate": {"key": "0" * 32}}}]
        path, query = f"/api/projects/{task['project']}/import", {"return_task_ids": "true"}
        (other,) = self.members.call("owner", "POST", path, strange, **query)["task_ids"]
        self.members.call(ANN, "POST", f"/api/tasks/{other}/annotations/", {"result": choice("food")})
        return True
