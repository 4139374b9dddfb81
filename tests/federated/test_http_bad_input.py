from __future__ import annotations

import asyncio
import http.client
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from palate.errors import LedgerError, OptionError, PalateError, UploadError
from palate.federated.ledger import Ledger
from palate.federated.options import FederatedOptions
from palate.federated.secure_sum.device_side import SumDevice
from palate.federated.secure_sum.keys import DeviceKey
from palate.federated.secure_sum.messages import signed
from palate.federated.secure_sum.terms import KINDS, Terms
from palate.federated.wire import DEVICE, enrolment
from palate.service.federated.line import Line
from palate.service.federated.rounds import Rounds
from palate.service.federated.settings import RoundSettings
from tests.federated.served_line import Server, answers, devices, expected, made, same, step

USERS, ITEMS = 12, 20
GIVEN = answers(USERS, ITEMS, np.random.default_rng(1))
HOW = {"start_at": USERS, "minimum": 8, "step_seconds": 3600.0}


def refused(server: Server, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    """Status and code of a refusal, in one clear line."""
    status, fault = server.call("POST", path, body, **headers)
    assert status >= 400, fault
    assert fault["message"].count("\n") == 0
    assert fault["message"].endswith(".")
    return status, fault["code"]


def test_FE_03_whatever_is_sent_in_a_round_is_refused_with_a_reason_and_the_round_goes_on(tmp_path: Path) -> None:
    folder = made(tmp_path / "line", ITEMS)
    with Server(folder, **HOW) as server:
        among = devices(tmp_path, server, GIVEN)
        among[0].log.answer_all([(f"unknown-{item}", 5.0) for item in range(10_000)])
        hostile = DeviceKey.generate()  # not enrolled
        before = server.until("keys")
        earlier, port = shutil.copytree(folder, tmp_path / "earlier"), int(server.url.rpartition(":")[2])
        terms = Terms.from_bytes(before["terms"].encode())
        zeros = np.zeros(terms.length, dtype=np.uint64)
        stranger = SumDevice(hostile, terms, zeros, least=2)
        other_sum = Terms.from_bytes(before["terms"].replace(terms.sum_id, "0" * 32).encode())
        longer = Terms.from_bytes(before["terms"].replace('"length":40', '"length":41').encode())
        mine = among[0].key
        join = SumDevice(mine, terms, zeros, least=2).join()
        for body, found in (
            (b"", (422, "malformed")),
            (b"\x00" * 100, (422, "malformed")),
            (pickle.dumps({"kind": "keys"}), (422, "malformed")),
            (b'{"kind":"keys","device":NaN}', (422, "malformed")),
            (b"[" * 2_000, (413, "too_large")),
            (stranger.join(), (401, "unknown_device")),
            (SumDevice(mine, other_sum, zeros, least=2).join(), (409, "other_sum")),
            (join.replace(mine.id.encode(), among[1].key.id.encode()), (401, "forged")),
            (SumDevice(mine, longer, np.zeros(41, dtype=np.uint64), least=2).join(), (401, "forged")),
        ):
            assert refused(server, "keys", body) == found, body
        for kind in ("application/json", "application/x-python-pickle", "multipart/form-data", ""):
            assert refused(server, "keys", join, content_type=kind) == (415, "unsupported_media_type")
        assert server.call("POST", "nonsense", join)[0] == 404
        assert server.call("PUT", "keys", join)[0] == 405
        step(among, "keys")
        server.until("shares")
        assert refused(server, "keys", join) == (409, "double")
        assert refused(server, "keys", stranger.join()) == (409, "late")
        assert server.call("GET", "message")[0] == 401
        assert server.call("GET", "message", **{DEVICE: hostile.id})[0] == 401
        first = among[0]._sum
        assert first is not None
        shares = first.answer(server.call("GET", "message", **{DEVICE: mine.id})[1])
        assert server.call("POST", "shares", shares)[0] == 200
        assert refused(server, "shares", shares.replace(b'"to":', b'"To":')) == (401, "forged")
        step(among, "shares")
        server.until("upload")
        sealed = server.call("GET", "message", **{DEVICE: mine.id})[1]
        upload = first.answer(sealed)
        for dtype, tail, code in (
            ("<u4", bytes(4 * 39), "size"),
            ("<u4", bytes(4 * 41), "size"),
            ("<f4", np.full(40, np.nan, "<f4").tobytes(), "dtype"),
            ("<f8", np.full(40, np.inf).tobytes(), "dtype"),
        ):
            fields = {"kind": "upload", "sum": terms.sum_id, "dtype": dtype}
            assert refused(server, "upload", signed(mine, terms.context, fields, tail)) == (422, code)
        assert refused(server, "upload", upload[:-1] + bytes([upload[-1] ^ 1])) == (401, "forged")
        assert refused(server, "upload", upload + bytes(1_000)) == (413, "too_large")
        assert server.call("POST", "upload", upload) == server.call("POST", "upload", upload)  # again changes nothing
        step(among, "upload")
        server.until("unmask")
        assert refused(server, "upload", upload[:-1] + bytes([upload[-1] ^ 1])) == (401, "forged")
        step(among, "unmask")
        server.until("keys", round=1)
        for path, body in (("keys", join), ("shares", shares), ("upload", upload)):  # of the round before
            assert refused(server, path, body) == (409, "other_sum")
        step(among, "keys")
        sent = [row for device in among for row in device.log.rounds]
        assert {row["bytes"] for row in sent} == {len(upload)}
    with Line.open(folder) as line:
        assert same(line.public, expected(GIVEN, [range(USERS)]))
        assert len(line.ledger.entries) == 1
    older = shutil.copytree(folder, tmp_path / "older")
    for path in earlier.glob("ledger*"):
        shutil.copy(path, older / path.name)
    with pytest.raises(LedgerError) as caught:  # the public model has seen more than this ledger
        Line.open(older)
    assert "\n" not in str(caught.value)
    with Server(earlier, settings={"port": port}, **HOW) as server:  # all of it was put back
        server.until("keys")
        for device in among:
            with pytest.raises(LedgerError, match="put back to an earlier state"):
                device.step()
        assert server.round()["step"] == "keys"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with a round that has begun, of which nothing is to end."""
    place = tmp_path_factory.mktemp("line")
    with Server(made(place / "line", ITEMS), start_at=2, minimum=2, step_seconds=3600.0) as server:
        devices(place, server, GIVEN[:2])
        server.until("keys")
        yield server


def memory(server: Server) -> int:
    """Bytes resident."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("path", ["keys", "upload", "devices"])
@pytest.mark.parametrize("says_so", [True, False])
def test_FE_03_a_gigabyte_is_cut_off_while_it_is_read(server: Server, path: str, says_so: bool) -> None:
    before, piece, sent = memory(server), bytes(1 << 20), 0
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", f"/v1/{path}")
    connection.putheader("content-type", "application/octet-stream")
    connection.putheader("authorization", f"Bearer {server.code}")
    connection.putheader(*(("content-length", str(1 << 30)) if says_so else ("transfer-encoding", "chunked")))
    connection.endheaders()
    try:
        while sent < 1 << 30:
            connection.send(piece if says_so else b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)
    except OSError:  # it does not read on
        pass
    else:
        raise AssertionError("the server read a gigabyte")
    connection.close()
    assert sent < 64 << 20
    assert memory(server) - before < 64 << 20
    assert server.call("GET", "livez")[0] == 200


def test_only_who_has_the_code_and_the_key_is_enrolled(server: Server) -> None:
    key, other = DeviceKey.generate(), DeviceKey.generate()
    good = key.public + key.sign(enrolment("films", key.public))
    bearer = {"authorization": f"Bearer {server.code}"}
    for headers in ({}, {"authorization": "Bearer 0"}, {"authorization": server.code}):
        assert refused(server, "devices", good, **headers) == (401, "unauthorised")
    for body in (
        key.public + other.sign(enrolment("films", key.public)),
        key.public + key.sign(enrolment("books", key.public)),
        key.public,
        bytes(96),
        b"",
    ):
        assert refused(server, "devices", body, **bearer) == (401, "forged")
    assert refused(server, "devices", good + b"0", **bearer) == (413, "too_large")
    for _ in range(2):
        status, document = server.call("POST", "devices", good, **bearer)
        assert (status, json.loads(document)) == (200, {"device": key.id})


def test_public_files_are_the_same_bytes_for_everyone_and_may_be_kept_for_ever(server: Server) -> None:
    facts = server.round()["model"]
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    found = []
    for headers in ({}, {DEVICE: "0" * 32}, {"accept-encoding": "gzip"}, {"if-none-match": "*"}):
        connection.request("GET", f"/v1/public/{facts['sha256']}/0", headers=headers)
        response = connection.getresponse()
        found.append(response.read())
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert set(map(len, found)) == {facts["bytes"]}
    assert len(set(found)) == 1
    for path in (f"{facts['sha256']}/1", f"{facts['sha256']}/-1", f"{'0' * 64}/0", "..%2f..%2fledger/0"):
        assert server.call("GET", f"public/{path}")[0] == 404
    assert server.call("GET", f"public/{facts['sha256']}/x")[0] == 422
    connection.close()


def test_the_page_of_the_public_model_has_its_own_policy_and_no_other(server: Server) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    for path in ("/device/", "/device/model.bin"):
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200
        (policy,) = response.headers.get_all("content-security-policy")
        assert "script-src 'self'" in policy
    assert server.round()["model"]["digest"].encode() in content
    connection.close()


def test_nothing_of_a_device_is_in_the_log_of_the_server(server: Server, tmp_path: Path) -> None:
    (device,) = devices(tmp_path, server, GIVEN[:1])
    device.step()
    server.call("GET", "message", **{DEVICE: device.key.id})
    written = server.log.read_text()
    for secret in (device.key.id, device.key.public.hex(), server.code):
        assert secret not in written


def test_FE_05_a_line_over_its_budget_opens_nothing_and_ends(tmp_path: Path) -> None:
    folder = made(tmp_path / "line", ITEMS)
    with Ledger.open(folder / "ledger") as ledger:
        ledger.spend(ledger.left, "an earlier model of this line", line="films")
    keys = [DeviceKey.generate() for _ in range(3)]

    async def at_work(line: Line) -> None:
        rounds = Rounds(line, RoundSettings(start_at=3, minimum=2), say=lambda *_event, **_facts: None)
        work = asyncio.create_task(rounds.run())
        for key in keys:
            await rounds.enrol(key.public)
        while not rounds.document()["terms"]:
            await asyncio.sleep(0.01)
        terms = Terms.from_bytes(rounds.document()["terms"].encode())
        zeros = np.zeros(terms.length, dtype=np.uint64)
        sums = [SumDevice(key, terms, zeros, least=2) for key in keys]
        for kind in KINDS:
            while rounds.document()["step"] != kind:
                await asyncio.sleep(0.01)
            told = [rounds.message_for(key.id) if kind != "keys" else b"" for key in keys]
            for one, message in zip(sums, told, strict=True):
                await rounds.receive(one.answer(message) if message else one.join())
        await work
        assert "has spent ε 3 of 3" in rounds.document()["ended"]
        with pytest.raises(UploadError, match="no round now"):
            await rounds.receive(sums[0].join())

    with Line.open(folder) as line:
        asyncio.run(at_work(line))
        assert (line.public.round, line.attempts(), len(line.ledger.entries)) == (0, [], 1)
    with Line.open(folder) as line:
        assert line.ended


def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "line", ITEMS)
    for path in (folder / "line.json", folder / "enrol-code", *(folder / "files").iterdir()):
        whole = path.read_bytes()
        for content in (b"", b"\x00{", None):
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            with pytest.raises(PalateError) as caught:
                Line.open(folder)
            assert "\n" not in str(caught.value)
            path.write_bytes(whole)
    Line.open(folder).close()


def test_a_line_without_privacy_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="epsilon is infinite"):
        Line.create(tmp_path / "line", ["i1"], FederatedOptions(epsilon=float("inf")))
    assert not Line.is_there(tmp_path / "line")
    Line.create(tmp_path / "line", ["i1"], FederatedOptions()).close()
    with pytest.raises(LedgerError):
        Line.create(tmp_path / "line", ["i1"], FederatedOptions())
