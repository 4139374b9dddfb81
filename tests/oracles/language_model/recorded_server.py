"""A ``/v1`` server on this machine that replies as a test says, and keeps what it was sent and what it billed.

It stands for a model that knows what items are about by a word in them. What it replies has the shapes that llama.cpp,
vLLM and the vendors have; a test replaces the reply to some items by one that is broken or a lie.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from palate.entities.item_attributes import AttributeQuestion, ItemAttribute

TOPIC = ItemAttribute("topic", "What is it about?", ("sports", "food", "travel"))
LETTERED = ItemAttribute("subject", "What is it about?", ("sports of all kinds", "food and drink", "travel"))  # A, B, C
WORDS = {"goal": "sports", "soup": "food", "train": "travel", "fruit": "apple"}
TITLES = {"i0": "A late goal", "i1": "Hot soup", "i2": "By night train", "i3": "Own goal", "i4": "Soup of the day"}
TRUTH = {"i0": 0, "i1": 1, "i2": 2, "i3": 0, "i4": 1}

Body = dict[str, Any]


@dataclass
class Reply:
    """What is sent back; nothing at all, for ever, where it hangs."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


Behave = Callable[[Body], Reply]


def questions(attribute: ItemAttribute = TOPIC, titles: Mapping[str, str] = TITLES) -> list[AttributeQuestion]:
    return [AttributeQuestion(attribute, item, title) for item, title in titles.items()]


def prompt(body: Body) -> str:
    return str(body["messages"][-1]["content"])


def listed(body: Body) -> dict[str, str]:
    """Options by label, in the order in which they are listed, as a reader would find them."""
    labels = re.search(r"Reply with (.*) alone\.$", prompt(body))
    assert labels is not None
    found = {}
    for label in re.split(r", | or ", labels[1]):
        line = re.search(rf"^{re.escape(label)}: (.*)$", prompt(body), re.MULTILINE)
        found[label] = line[1] if line else label
    return found


def about(body: Body) -> str:
    """What stands between the marks."""
    return prompt(body).split("<item>")[-1].split("</item>")[0]


def right(body: Body) -> str:
    """The label of what the item is about; where no word tells, of the option that is first by its letters."""
    options = listed(body)
    text = prompt(body) if "fruit" in prompt(body) else about(body)
    meant = next((option for word, option in WORDS.items() if word in text.lower()), "?")
    return next(
        (label for label, option in options.items() if option.startswith(meant)),
        min(options, key=lambda one: options[one]),
    )


def completion(body: Body, label: str, chance: float = 0.9, **more: Any) -> Body:
    """A reply that says this label, in the way that the body asks for."""
    options = listed(body)
    choice: Body = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": label}}
    if "response_format" in body:
        choice["message"]["content"] = json.dumps({"answer": label})
    if body.get("logprobs"):
        rest = (0.98 - chance) / max(len(options) - 1, 1)
        top = [[f" {one}" if n % 2 else one, chance if one == label else rest] for n, one in enumerate(options)]
        choice["logprobs"] = {"content": [{"token": label, "logprob": math.log(chance), "top_logprobs": tokens(top)}]}
    usage = {"prompt_tokens": len(prompt(body)) // 4, "completion_tokens": 1}
    return {"model": "tiny-q4", "system_fingerprint": "b1", "choices": [choice], "usage": usage} | more


def tokens(chances: list[list[Any]]) -> list[Body]:
    return [{"token": token, "logprob": math.log(chance)} for token, chance in chances]


def honest(body: Body) -> Reply:
    return Reply(completion(body, right(body)))


def without_logprobs(body: Body) -> Reply:
    return Reply({"error": "unknown field"}, 400) if "logprobs" in body else honest(body)


def text_alone(body: Body) -> Reply:
    return Reply({"error": "unknown field"}, 400) if {"logprobs", "response_format"} & set(body) else honest(body)


class RecordedServer(ThreadingHTTPServer):
    """The server.

    Attributes:
        bodies: What was sent, in order.
        calls: Method, path and key of each call.
        billed: Tokens read and written, as it said so.
    """

    daemon_threads = True

    def __init__(self, behave: Behave) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave = behave
        self.bodies: list[Body] = []
        self.calls: list[tuple[str, str, str]] = []
        self.billed = (0, 0)
        self.lock, self.over = threading.Lock(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever called has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: RecordedServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._note()
        with self.server.lock:
            self.server.bodies.append(body)
        reply = self.server.behave(body)
        if reply.hangs:
            self.server.over.wait(30)
            return
        content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
        if reply.status == 200 and isinstance(reply.content, dict) and isinstance(reply.content.get("usage"), dict):
            with self.server.lock:
                usage = reply.content["usage"]
                read, written = self.server.billed
                self.server.billed = read + usage["prompt_tokens"], written + usage["completion_tokens"]
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._note()
        self.send_response(200)
        self.end_headers()

    def _note(self) -> None:
        with self.server.lock:
            self.server.calls.append((self.command, self.path, self.headers.get("authorization", "")))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recorded_server(behave: Behave = honest) -> Iterator[RecordedServer]:
    server = RecordedServer(behave)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def only(title: str, reply: Behave, others: Behave = honest) -> Behave:
    """One reply for the item of which a word says so, another for all others."""
    return lambda body: reply(body) if title in about(body) else others(body)
