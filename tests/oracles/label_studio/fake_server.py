"""A small Label Studio on loopback, with what of the real one (1.23.2) makes a client wrong.

It takes the same task twice, any result, and several annotations of one person; predictions of another than the
project's version do not count in the order; it knows both kinds of tokens, and access that ends; it refuses webhooks to
addresses of its own network. ``tests/oracles/label_studio/test_real_server.py`` holds the desk to the real one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

PERSONAL = "eyJhbGciOi.eyJ0b2tlbl90.refresh-of-owner"
TOKENS = {"owner": "a" * 40, "ann": "b" * 40, "bob": "c" * 40}
IDS = {"owner": 1, "ann": 2, "bob": 3}


class Fault(Exception):
    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body


class FakeLabelStudio:
    """Its state; :func:`running` serves it.

    Attributes:
        calls: Method and path of each call so far.
        access: Tokens that are good for a while.
        dies_after: Calls that are done before the connection breaks without an answer; None: it does not.
    """

    def __init__(self) -> None:
        self.projects: dict[int, dict[str, Any]] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        self.webhooks: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        self.access: set[str] = set()
        self.dies_after: int | None = None
        self.allows_local = False
        self.lock, self._ids, self._ticks = threading.RLock(), count(1), count()
        self.replies: dict[str, tuple[int, bytes]] = {}  # by path what is answered in the place of what is so

    def _now(self) -> str:
        return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self._ticks))).isoformat()

    def who(self, header: str) -> int:
        scheme, _, token = header.partition(" ")
        if scheme == "Token":
            names = [name for name, known in TOKENS.items() if known == token]
            if names:
                return IDS[names[0]]
        if scheme == "Bearer" and token in self.access:
            return IDS["owner"]
        raise Fault(401, {"detail": f"Invalid token {token}."})  # says it again, as a careless server would

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, header: str) -> Any:
        if path == "/api/token/refresh":
            if body != {"refresh": PERSONAL}:
                raise Fault(401, {"detail": "Token is invalid", "code": "token_not_valid"})
            access = f"access.{next(self._ids)}.x"
            self.access = {access}
            return {"access": access}
        me = self.who(header)
        parts = path.strip("/").split("/")[1:]
        if parts[:2] == ["current-user", "whoami"]:
            return {"id": me}
        if parts[0] == "projects":
            return self._project(method, [int(parts[1]), *parts[2:]] if parts[1:] else [], query, body)
        if parts[0] == "tasks":
            return self._task(method, int(parts[1]), parts[2:], body, me)
        if parts[0] == "annotations":
            return self._annotation(method, int(parts[1]), body)
        if parts[0] == "webhooks":
            return self._webhook(method, parts[1:], query, body)
        raise Fault(404, {"detail": "Not found."})

    def _project(self, method: str, parts: list[Any], query: dict[str, str], body: Any) -> Any:
        if not parts:
            project = {"id": next(self._ids), "model_version": "", "maximum_annotations": 1, **body}
            self.projects[project["id"]] = project
            return project
        project = self.projects.get(parts[0])
        if project is None:
            raise Fault(404, {"detail": "Not found."})
        ours = [task for task in self.tasks.values() if task["project"] == project["id"]]
        if parts[1:] == ["import"]:
            made = [self._made(project, one) for one in body]
            return {"task_count": len(made), **({"task_ids": made} if "return_task_ids" in query else {})}
        if parts[1:] == ["import", "predictions"]:
            for one in body:
                if one["task"] not in {task["id"] for task in ours}:
                    raise Fault(400, {"detail": "task ID not found"})
                self.tasks[one["task"]]["predictions"].append(one)
            return {"created": len(body)}
        if parts[1:] == ["export"]:
            wanted = [task for task in ours if task["annotations"] or query.get("download_all_tasks") == "true"]
            return [{**task, "predictions": []} for task in wanted]
        if method == "PATCH":
            known = {one["model_version"] for task in ours for one in task["predictions"]}
            if body.get("model_version", "") not in {"", *known}:
                raise Fault(400, {"detail": "Model version doesn't exist"})
            project |= body
        return project

    def _made(self, project: dict[str, Any], given: dict[str, Any]) -> int:
        task = {"id": next(self._ids), "project": project["id"], "annotations": [], "data": given["data"]}
        task["predictions"] = list(given.get("predictions", ()))
        if not project["model_version"] and task["predictions"]:
            project["model_version"] = task["predictions"][0]["model_version"]
        self.tasks[task["id"]] = task
        return int(task["id"])

    def _task(self, method: str, id: int, parts: list[str], body: Any, me: int) -> Any:
        if id not in self.tasks:
            raise Fault(404, {"detail": "Not found."})
        if parts == ["annotations"]:
            now = self._now()
            made = {"id": next(self._ids), "task": id, "completed_by": me, "created_at": now, "updated_at": now}
            self.tasks[id]["annotations"].append({"was_cancelled": False, **made, **body})
            return self.tasks[id]["annotations"][-1]
        return self.tasks.pop(id) and None if method == "DELETE" else self.tasks[id]

    def _annotation(self, method: str, id: int, body: Any) -> Any:
        for task in self.tasks.values():
            for one in task["annotations"]:
                if one["id"] == id:
                    if method == "DELETE":
                        task["annotations"].remove(one)
                        return None
                    one.update(body, updated_at=self._now())
                    return one
        raise Fault(404, {"detail": "Not found."})

    def _webhook(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> Any:
        if method == "GET":
            return [one for one in self.webhooks if str(one["project"]) == query["project"]]
        if urlsplit(body["url"]).hostname in ("127.0.0.1", "localhost") and not self.allows_local:
            raise Fault(403, {"detail": "URL resolves to a reserved network address"})
        if method == "PATCH":
            found = next(one for one in self.webhooks if one["id"] == int(parts[0]))
            found.update(body)
            return found
        self.webhooks.append({"id": next(self._ids), **body})
        return self.webhooks[-1]

    def queue(self, project: int) -> list[int]:
        """Open tasks in the order in which they are given out, those without a prediction that counts last."""
        version, most = self.projects[project]["model_version"], self.projects[project]["maximum_annotations"]

        def score(task: dict[str, Any]) -> float:
            return min((one["score"] for one in task["predictions"] if one["model_version"] == version), default=2.0)

        ours = (task for task in self.tasks.values() if task["project"] == project)
        left = [task for task in ours if sum(not one["was_cancelled"] for one in task["annotations"]) < most]
        return [task["id"] for task in sorted(left, key=score)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_any(self) -> None:
        fake: FakeLabelStudio = self.server.fake
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        found = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(found.query).items()}
        with fake.lock:
            fake.calls.append((self.command, found.path))
            try:
                given = json.loads(data) if data else None
                said = fake.answer(self.command, found.path, query, given, self.headers.get("authorization", ""))
                status, body = 200, b"" if said is None else json.dumps(said).encode()
            except Fault as fault:
                status, body = fault.status, json.dumps(fault.body).encode()
            status, body = fake.replies.get(found.path, (status, body))
            if fake.dies_after is not None:
                fake.dies_after -= 1
                if fake.dies_after < 0:
                    self.close_connection = True
                    return
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_any  # noqa: N815 - the names that http.server looks for
    do_POST = do_any  # noqa: N815
    do_PATCH = do_any  # noqa: N815
    do_DELETE = do_any  # noqa: N815

    def log_message(self, *_given: object) -> None:
        return


@contextmanager
def running(fake: FakeLabelStudio) -> Iterator[str]:
    """Its address while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.fake = fake  # type: ignore[attr-defined]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
