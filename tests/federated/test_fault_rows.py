"""Rows FE-01 to FE-04 of the fault matrix. Each has its control: the same without the defence goes wrong."""

from __future__ import annotations

import pickle
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.errors import SecureSumError, UploadError
from palate.federated.secure_sum import server_side
from palate.federated.secure_sum.device_side import SumDevice
from palate.federated.secure_sum.keys import DeviceKey
from palate.federated.secure_sum.messages import as_text, decode, encode, signed
from palate.federated.secure_sum.robust import trimmed_sum
from palate.federated.secure_sum.server_side import SumServer
from palate.federated.secure_sum.silos import Bound, SiloSum, silo_message
from palate.federated.secure_sum.terms import KINDS
from tests.federated.secure_sums import (
    SUM_ID,
    devices_of,
    plain,
    run,
    seeded,
    server_of,
    spent_in,
    terms_of,
    vectors_of,
)

N, LENGTH, CLIP = 10, 13, 8.0
BOUNDS = (Bound(LENGTH - 1, CLIP), Bound(1, 100.0, least=0.0))  # a gradient, and how many answers


def silo_vectors(rng: np.random.Generator, n: int = N) -> np.ndarray:
    drawn = rng.normal(1.0, 0.3, size=(n, LENGTH))
    drawn[:, -1] = rng.uniform(10.0, 90.0, size=n)
    return drawn


def with_(at: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(vector: np.ndarray) -> np.ndarray:
        vector = vector.copy()
        vector[at] = value
        return vector

    return change


BROKEN: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "nan": (with_(3, np.nan), "not-finite"),
    "infinite": (with_(3, -np.inf), "not-finite"),
    "1e38": (with_(3, 1e38), "norm"),
    "1e300, whose square is infinite": (with_(3, 1e300), "norm"),
    "too long": (lambda vector: 10.0 * vector, "norm"),
    "count 1e12": (with_(-1, 1e12), "norm"),
    "count -5": (with_(-1, -5.0), "range"),
    "count nan": (with_(-1, np.nan), "not-finite"),
    "zeros": (np.zeros_like, ""),  # a silo with nothing new: it counts
    "count 0": (with_(-1, 0.0), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_FE_01_a_broken_vector_is_left_out_and_the_sum_stays_finite(name: str, tmp_path: Path) -> None:
    change, code = BROKEN[name]
    keys = [DeviceKey.generate(seeded(at)) for at in range(N)]
    vectors = silo_vectors(np.random.default_rng(0))
    vectors[4] = change(vectors[4])
    terms = terms_of(LENGTH)
    server = SiloSum(terms, BOUNDS, allowed={key.id for key in keys}, trim=0.2)
    refused = []
    for key, vector in zip(keys, vectors, strict=True):
        try:
            server.receive(silo_message(key, terms, vector), 1.0)
        except UploadError as error:
            refused.append((key.id, error.code))
    assert refused == [(keys[4].id, code)] * bool(code) == [(one.device, one.code) for one in server.left_out]
    server.advance(30.0)
    found = server.open(spent_in(tmp_path))
    kept = np.delete(vectors, 4, axis=0) if code else vectors
    expected = trimmed_sum(kept, np.ones(len(kept), dtype=np.intp), trim=0.2)
    assert np.isfinite(found.total).all() and np.array_equal(found.total, expected.total)
    if code:  # the control: the plain sum is not finite, or far from every honest one
        plain_sum = vectors.sum(axis=0)
        assert not np.isfinite(plain_sum).all() or np.abs(plain_sum - kept.sum(axis=0)).max() >= 5.0


def test_FE_01_no_silo_weighs_more_than_twice_its_share() -> None:
    """However a silo's value moves between the bounds, the mean moves by at most 2/n of that; in a mean of those whose
    own count is its weight, the control, it moves by nearly all of it."""
    rng = np.random.default_rng(0)
    for n in (4, 5, 10, 31):
        values, ones = rng.normal(size=(n, 1)), np.ones(n, dtype=np.intp)
        for _ in range(50):
            moved = values.copy()
            moved[0] += rng.normal() * 100.0
            by = trimmed_sum(moved, ones, trim=0.25).total - trimmed_sum(values, ones, trim=0.25).total
            assert np.abs(by / n).max() <= 2.0 / n * abs(moved[0] - values[0]) + 1e-12
        claimed = np.array([1e12, *np.ones(n - 1)])
        assert (claimed / claimed.sum())[0] > 0.99


def test_a_trimmed_sum_moves_by_no_more_than_its_factor_says() -> None:
    """One user changes one part by at most 1: the factor is what the noise has to grow by."""
    rng = np.random.default_rng(1)
    largest = 0.0
    for _ in range(300):
        parts = int(rng.integers(1, 12))
        values, devices = rng.normal(size=(parts, 4)) * 10.0, rng.integers(50, 99, size=parts)
        step = rng.normal(size=4)
        moved = values.copy()
        moved[0] += step / np.linalg.norm(step)
        trim, cap = float(rng.uniform(0.0, 0.25)), rng.choice([None, 0.3])
        one, other = (trimmed_sum(of, devices, trim=trim, cap=cap) for of in (values, moved))
        assert one.factor == other.factor >= 1.0
        by = float(np.linalg.norm(one.total - other.total))
        assert by <= one.factor + 1e-9
        largest = max(largest, by / one.factor)
    assert largest > 0.9  # the factor is not merely large
    assert trimmed_sum(values, devices, trim=0.0).factor == 1.0
    assert np.allclose(trimmed_sum(values, devices, trim=0.0).total, values.sum(axis=0))


# ---- FE-03: what comes instead of an upload, and the word for it


class Case:
    """A sum that waits for uploads, and one of its devices."""

    def __init__(self) -> None:
        self.terms = terms_of()
        self.vectors = vectors_of(6, 8)
        self.devices, self.server = devices_of(self.terms, self.vectors), server_of(self.terms)
        run(self.server, self.devices, until="shares")
        self.name, *others = self.devices
        self.other = others[0]
        self.key = DeviceKey.generate(seeded("key 0"))
        self.device = self.devices[self.name]
        self.upload = self.device.answer(self.server.message_for(self.name))
        self.fields = dict(decode(self.upload, 10**6).fields)
        self.tail = decode(self.upload, 10**6).tail

    def with_(self, tail: bytes | None = None, **fields: Any) -> bytes:
        """The upload with something changed, signed by the device."""
        kept = {name: one for name, one in self.fields.items() if name not in ("device", "signature")}
        return signed(self.key, self.terms.context, {**kept, **fields}, self.tail if tail is None else tail)


class Runs:
    """A pickle that says when it is loaded."""

    loaded = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Runs, "loaded", True)


def old_upload(case: Case) -> bytes:
    """Of the same device, in another sum."""
    terms = terms_of(sum_id="f" * 32)
    devices, server = devices_of(terms, case.vectors), server_of(terms)
    run(server, devices, until="shares")
    return devices[case.name].answer(server.message_for(case.name))


WRONG: dict[str, tuple[Callable[[Case], bytes], str]] = {
    "too few words": (lambda case: case.with_(case.tail[:-8]), "size"),
    "too many words": (lambda case: case.with_(case.tail + bytes(8)), "size"),
    "no words": (lambda case: case.with_(b""), "size"),
    "floats": (lambda case: case.with_(np.zeros(8).tobytes(), dtype="<f8"), "dtype"),
    "half as wide": (lambda case: case.with_(dtype="<u4"), "dtype"),
    "an unknown key of the mapping": (lambda case: case.with_(kind="vector"), "malformed"),
    "a kind that is no text": (lambda case: case.with_(kind=["upload"]), "malformed"),
    "one GB": (lambda case: bytes(1 << 30), "too-large"),
    "as large as shares may be": (lambda case: case.with_(bytes(20_000)), "too-large"),
    "as large as the largest kind": (lambda case: b"{" + b" " * 10_000, "malformed"),
    "a sum of before": (old_upload, "other-sum"),
    "a sum of before, renamed": (lambda case: old_upload(case).replace(b"f" * 32, SUM_ID.encode()), "forged"),
    "another's name": (lambda case: encode({**case.fields, "device": case.other}, case.tail), "forged"),
    "a changed word": (lambda case: encode(case.fields, bytes(8) + case.tail[8:]), "forged"),
    "no signature": (lambda case: encode({**case.fields, "signature": ""}, case.tail), "malformed"),
    "a signature of zeros": (
        lambda case: encode({**case.fields, "signature": as_text(bytes(64))}, case.tail),
        "forged",
    ),
    "a stranger": (lambda case: encode({**case.fields, "device": "0" * 32}, case.tail), "unknown-device"),
    "a phase too soon": (lambda case: case.with_(b"", kind="unmask", seeds={}, keys={}), "early"),
    "a second roster": (lambda case: case.with_(b"", kind="shares", to={}, seed_digest=""), "double"),
    "a pickle": (lambda case: pickle.dumps(Runs()), "malformed"),
    "nothing": (lambda case: b"", "malformed"),
    "not UTF-8": (lambda case: b"\xff\xfe{}", "malformed"),
    "a list": (lambda case: b"[1]", "malformed"),
    "deep": (lambda case: b"[" * 9_000, "malformed"),
    "a number of many digits": (lambda case: b'{"device":' + b"9" * 9_000 + b"}", "malformed"),
    "NaN": (lambda case: b'{"device":NaN}', "malformed"),
    "text": (lambda case: "x", "malformed"),  # type: ignore[return-value, dict-item]
}


@pytest.mark.parametrize("name", WRONG)
def test_FE_03_a_wrong_message_is_refused_and_the_sum_goes_on(name: str, tmp_path: Path) -> None:
    make, code = WRONG[name]
    case = Case()
    with pytest.raises(UploadError) as refused:
        case.server.receive(make(case), 21.0)
    assert refused.value.code == code and "\n" not in str(refused.value) and len(str(refused.value)) < 400
    assert case.server.left_out[-1].code == code and not Runs.loaded
    run_on(case)
    assert case.server.left_out[-1].code == code  # nobody else was left out
    assert np.array_equal(case.server.open(spent_in(tmp_path)).total, plain(case.vectors, range(6)))


def run_on(case: Case, twice: bool = False) -> None:
    """From the uploads to the end."""
    for now in (22.0, 32.0):  # uploads, then shares
        for name, device in case.devices.items():
            message = device.answer(case.server.message_for(name))
            assert case.server.receive(message, now)
            if twice:
                assert not case.server.receive(message, now)
        case.server.advance(now)


def test_FE_03_each_device_counts_once_however_often_it_sends(tmp_path: Path) -> None:
    case = Case()
    run_on(case, twice=True)
    for again in (case.upload, case.devices[case.name].join()):
        assert case.server.receive(again, 39.0) is False  # late, yet it is what was taken: an answer got lost
    assert case.server.left_out == []
    assert np.array_equal(case.server.open(spent_in(tmp_path)).total, plain(case.vectors, range(6)))


def test_FE_03_a_second_upload_with_something_else_in_it_does_not_count(tmp_path: Path) -> None:
    for defended in (True, False):
        case = Case()
        case.server.receive(case.upload, 21.0)
        other = case.with_(bytes(8) + case.tail[8:])
        if defended:
            with pytest.raises(UploadError, match="One counts"):
                case.server.receive(other, 21.5)
        else:  # the control: without the memory of who sent, it would count twice
            del case.server._taken[case.name, "upload"]
            case.server.receive(other, 21.5)
            case.server._taken[case.name, "upload"] = b""
        for name, device in case.devices.items():
            if name != case.name:
                case.server.receive(device.answer(case.server.message_for(name)), 22.0)
        run(case.server, {}, until="upload")
        for name, device in case.devices.items():
            case.server.receive(device.answer(case.server.message_for(name)), 32.0)
        assert case.server.advance(33.0) == "ready"
        total = case.server.open(spent_in(tmp_path)).total
        assert np.array_equal(total, plain(case.vectors, range(6))) is defended


def test_FE_03_without_signatures_a_forged_upload_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    forged = encode(case.fields, bytes(8) + case.tail[8:])
    monkeypatch.setattr(server_side, "is_from", lambda *_: True)
    assert case.server.receive(forged, 21.0)


def test_FE_03_what_is_late_is_refused_and_the_sum_opens_without_it(tmp_path: Path) -> None:
    case = Case()
    for name, device in list(case.devices.items())[1:]:
        case.server.receive(device.answer(case.server.message_for(name)), 21.0)
    with pytest.raises(UploadError) as late:
        case.server.receive(case.upload, 30.0)
    assert late.value.code == "late"
    for name, device in list(case.devices.items())[1:]:
        case.server.receive(device.answer(case.server.message_for(name)), 31.0)
    case.server.advance(40.0)
    opened = case.server.open(spent_in(tmp_path))
    assert opened.devices == 5 and np.array_equal(opened.total, plain(case.vectors, range(1, 6)))


def test_FE_03_who_is_not_enrolled_or_too_many_cannot_join() -> None:
    terms = terms_of(most=4)
    devices = devices_of(terms, vectors_of(6, 8))
    names = list(devices)
    server = SumServer(terms, bytes(32), allowed=set(names[:5]))
    codes = []
    for name in reversed(names):
        try:
            server.receive(devices[name].join(), 1.0)
        except UploadError as error:
            codes.append((name, error.code))
    assert codes == [(names[5], "unknown-device"), (names[0], "late")]  # four have joined: the phase is over
    zero = {**decode(devices[names[0]].join(), 10**6).fields, "seal_key": as_text(bytes(32))}
    key = DeviceKey.generate(seeded("key 0"))
    del zero["signature"], zero["device"]
    with pytest.raises(UploadError, match="none of X25519"):
        server_of(terms).receive(signed(key, terms.context, zero), 1.0)


def changed(message: bytes, key: DeviceKey, context: bytes, **fields: Any) -> bytes:
    """A message of a device with something else in it, signed by the device."""
    kept = {name: one for name, one in decode(message, 10**6).fields.items() if name not in ("device", "signature")}
    return signed(key, context, {**kept, **fields})


@pytest.mark.parametrize("who", ["a receiver", "a receiver, unchecked", "a dealer", "a dealer who vanishes"])
def test_FE_03_a_wrong_share_is_refused_or_closes_its_dealers_group(
    who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, vectors = terms_of(group_size=4), vectors_of(8, 8)
    devices, server = devices_of(terms, vectors), server_of(terms)
    hostile, key = next(iter(devices)), DeviceKey.generate(seeded("key 0"))
    run(server, devices, until="keys")
    for kind, now in (("shares", 11.0), ("upload", 21.0), ("unmask", 31.0)):
        for name, device in devices.items():
            if name == hostile and who == "a dealer who vanishes":
                device._secret = bytes(32)  # of which it deals shares, not of the key that it joined with
                if kind != "shares":
                    continue
            message = device.answer(server.message_for(name))
            if name == hostile and kind == "shares" and who == "a dealer":
                message = changed(message, key, terms.context, seed_digest=as_text(bytes(32)))
            if name == hostile and kind == "unmask" and who.startswith("a receiver"):
                wrong = dict.fromkeys(decode(message, 10**6).mapping("seeds"), as_text(bytes(33)))
                message = changed(message, key, terms.context, seeds=wrong)
                if who == "a receiver":
                    with pytest.raises(UploadError, match="is not what it dealt"):
                        server.receive(message, now)
                    continue
                monkeypatch.setattr(server._group_of[name], "_checked", unchecked)
            server.receive(message, now)
        server.advance(now + 9.0)
    group = server._group_of[hostile].members
    if who == "a receiver":
        assert [one.code for one in server.left_out] == ["forged"]
        assert np.array_equal(server.open(spent_in(tmp_path)).total, plain(vectors, range(8)))
        return
    # unchecked, the control, one wrong share is enough: somebody's secret is not what it was
    [fault] = server.left_out
    assert fault.code == "spoiled" and (fault.device == hostile or "dealer" not in who)
    others = [at for at, name in enumerate(devices) if name not in group]
    assert np.array_equal(server.open(spent_in(tmp_path)).total, plain(vectors, others))


def unchecked(device: str, shares: dict[str, str], kind: str) -> dict[str, bytes]:
    return {dealer: b64decode(share) for dealer, share in shares.items()}


def test_FE_03_a_silos_message_is_refused_by_the_same_words(tmp_path: Path) -> None:
    keys = [DeviceKey.generate(seeded(at)) for at in range(4)]
    vectors, terms = silo_vectors(np.random.default_rng(0), 4), terms_of(LENGTH)
    server = SiloSum(terms, BOUNDS, allowed={key.id for key in keys[:3]}, trim=0.0)
    first, *_, stranger = (silo_message(*each) for each in zip(keys, [terms] * 4, vectors, strict=True))
    fields = dict(decode(first, 10**6).fields)
    assert server.receive(first, 1.0)
    for message, code in (
        (stranger, "unknown-device"),
        (silo_message(keys[1], terms_of(LENGTH, sum_id="f" * 32), vectors[1]), "other-sum"),
        (encode({**fields, "device": keys[1].id}, vectors[1].tobytes()), "forged"),
        (silo_message(keys[1], terms, vectors[1][:-1]), "size"),
        (signed(keys[1], terms.context, {**unsigned(fields, keys[1]), "dtype": "<i8"}, vectors[1].tobytes()), "dtype"),
        (silo_message(keys[0], terms, vectors[1]), "double"),
        (pickle.dumps(Runs()), "malformed"),
        (bytes(1 << 30), "too-large"),
    ):
        with pytest.raises(UploadError) as refused:
            server.receive(message, 2.0)
        assert refused.value.code == code
    assert not server.receive(first, 3.0)
    assert server.receive(silo_message(keys[1], terms, vectors[1]), 3.0)
    assert server.receive(silo_message(keys[2], terms, vectors[2]), 3.0)
    with pytest.raises(SecureSumError, match="'upload'"):
        server.open(spent_in(tmp_path))
    server.advance(30.0)
    for wrong in (None, spent_in(tmp_path, "another sum")):
        with pytest.raises(SecureSumError, match="was not spent for this sum"):
            server.open(wrong)  # type: ignore[arg-type]
    assert np.allclose(server.open(spent_in(tmp_path)).total, vectors[:3].sum(axis=0))
    with pytest.raises(SecureSumError, match="'opened'"):
        server.open(spent_in(tmp_path))


def test_FE_04_of_too_few_silos_nothing_is_released(tmp_path: Path) -> None:
    *keys, late = [DeviceKey.generate(seeded(at)) for at in range(3)]
    server = SiloSum(terms_of(LENGTH), BOUNDS, allowed={key.id for key in (*keys, late)})
    for key in keys:
        server.receive(silo_message(key, server.terms, np.zeros(LENGTH)), 1.0)
    assert server.advance(30.0) == "failed"
    with pytest.raises(SecureSumError, match="2 of at least 3 silos sent"):
        server.open(spent_in(tmp_path))
    with pytest.raises(UploadError, match="Join the next sum"):
        server.receive(silo_message(late, server.terms, np.ones(LENGTH)), 31.0)


def unsigned(fields: dict[str, Any], key: DeviceKey) -> dict[str, Any]:
    """The fields of a silo's message, of another silo."""
    kept = {name: one for name, one in fields.items() if name not in ("device", "signature")}
    return {**kept, "device_key": as_text(key.public)}


def test_FE_04_of_those_who_vanish_after_the_masks_are_exchanged_the_masks_are_taken_off(tmp_path: Path) -> None:
    n, terms = 60, terms_of(16, minimum=20, group_size=60)
    vectors = vectors_of(n, 16)
    devices, server = devices_of(terms, vectors), server_of(terms)
    names = list(devices)
    gone = names[: n * 4 // 10]
    run(server, devices, {"upload": gone})
    opened = server.open(spent_in(tmp_path))
    assert np.array_equal(opened.total, plain(vectors, range(len(gone), n)))
    assert opened.devices == n - len(gone)  # what noise is for, not the 60 who were there
    # the control: the uploads alone, whose masks with the dropped are left on, are not the sum
    again = server_of(terms)
    run(again, devices, {"upload": gone}, until="upload")
    assert not np.array_equal(again._groups[0]._total, opened.total)


@pytest.mark.parametrize("at", KINDS)
def test_FE_04_where_fewer_than_the_minimum_answer_nothing_is_released(at: str, tmp_path: Path) -> None:
    terms = terms_of(minimum=5)
    devices, server = devices_of(terms, vectors_of(8, 8)), server_of(terms)
    run(server, devices, {at: list(devices)[:4]})
    assert server.phase == "failed" and [one.code for one in server.left_out] == ["too-few"]
    with pytest.raises(SecureSumError, match=r"is 'failed' \(4 of [48] devices of a group sent"):
        server.open(spent_in(tmp_path))


def test_FE_04_a_group_with_too_few_is_left_out_and_the_others_open(tmp_path: Path) -> None:
    terms = terms_of(minimum=4, group_size=6)
    vectors = vectors_of(12, 8)
    devices, server = devices_of(terms, vectors), server_of(terms)
    run(server, devices, until="keys")
    group = sorted(server._groups[0].members)
    run_from(server, devices, set(group[:3]))
    opened = server.open(spent_in(tmp_path))
    others = [at for at, name in enumerate(devices) if name not in group]
    assert len(opened.groups) == 1 and np.array_equal(opened.total, plain(vectors, others))


def run_from(server: SumServer, devices: dict[str, SumDevice], gone: set[str]) -> None:
    """From the shares to the end; ``gone`` vanish before they send a vector."""
    for at, kind in enumerate(KINDS[1:], 1):
        for name, device in devices.items():
            if kind == "shares" or not (name in gone or server._group_of[name].closed):
                server.receive(device.answer(server.message_for(name)), 10.0 * at + 1.0)
        server.advance(10.0 * at + 10.0)
