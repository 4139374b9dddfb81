"""The service calls nobody: an address in what it is sent is a text like any other (IN-08)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from palate import Dataset
from palate.datasets.media import Media, UnreadableMedia, media_of
from palate.service.settings import Settings
from palate.service.webhooks import Webhooks
from palate.store.open_store import open_store
from tests.served import label, served

ADDRESSES = [
    "http://127.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "//127.0.0.1:{port}/x.png",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/x",
]


class Canary(HTTPServer):
    """A server within, which is not to be called.

    Attributes:
        hits: What was asked for.
        connects: To where this process connected.
    """

    hits: list[str]
    connects: list[Any]

    @property
    def addresses(self) -> list[str]:
        return [one.format(port=self.server_port) for one in ADDRESSES]


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.hits.append(self.path)
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = Canary(("127.0.0.1", 0), Handler)
    server.hits, server.connects = [], []
    connect = socket.socket.connect

    def recorded(self: socket.socket, address: Any) -> None:
        server.connects.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recorded)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_IN_08_no_address_in_an_item_is_called(tmp_path: Path, canary: Canary) -> None:
    with served(tmp_path, Settings(images=tmp_path)) as service:
        for number, address in enumerate(canary.addresses):
            for column in ("image", "audio", "title", "text", "url"):
                item = {"item_id": f"new-{number}-{column}", "title": "A film", "text": "About a film", column: address}
                found = service.call("PUT", "/v1/items", {"items": [item]})
                assert found.status_code in (200, 422), found.text
                for path in ("image", "audio"):
                    got = service.call("GET", f"/v1/items/{item['item_id']}/{path}")
                    assert got.status_code in (404, 422) and b"root:" not in got.content
            said = label(f"l-{number}", user_id="ann", item_id="i03", form="words", text=address, value=None)
            service.call("POST", "/v1/labels", said)
        service.call("GET", "/v1/users/ann/recommendations?k=20")
    assert (canary.hits, canary.connects) == ([], [])


def test_IN_08_no_address_in_a_column_of_files_is_called(tmp_path: Path, canary: Canary) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [f'i{number:02},"{address}"' for number, address in enumerate(canary.addresses)]
    (folder / "items.csv").write_text("\n".join(["item_id,image", *rows]) + "\n")
    (folder / "interactions.csv").write_text("user_id,item_id,rating\nann,i00,4\n")
    data = Dataset.load(folder)
    assert media_of(data.items, "image", folder) is None  # such cells are left out as the table is read
    media = Media("image", ["i"] * len(rows), list(canary.addresses), folder)
    for place in range(len(rows)):
        with pytest.raises(UnreadableMedia):
            media.read(place)
    assert (canary.hits, canary.connects) == ([], [])


def test_IN_08_a_receiver_of_webhooks_cannot_send_us_elsewhere(tmp_path: Path, canary: Canary) -> None:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(307)
            self.send_header("location", f"http://127.0.0.1:{canary.server_port}/within")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    asked: list[str] = []
    alerts: list[dict[str, Any]] = []
    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=receiver.serve_forever)
    thread.start()
    try:
        with open_store(tmp_path / "labels.sqlite") as log:
            url = f"http://127.0.0.1:{receiver.server_port}/hook"
            hooks = Webhooks(log, url, "s" * 40, tenant="t", alert=lambda *_, **facts: alerts.append(facts), count=_no)
            assert hooks._post([{"type": "label.created"}]) == "status 307"
            hooks.close()
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
    assert asked == ["/hook"] and canary.hits == []
    assert [port for _, port in canary.connects] == [receiver.server_port]  # the control: connections are seen


def _no(_outcome: str, _n: int) -> None:
    pass
