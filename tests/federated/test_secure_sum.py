"""Secure sums: what is opened is the plain sum to the bit, and what may not be opened is not."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import LedgerError, OptionError, SecureSumError
from palate.federated.secure_sum import messages
from palate.federated.secure_sum.device_side import SumDevice
from palate.federated.secure_sum.groups import groups_of
from palate.federated.secure_sum.keys import DeviceKey
from palate.federated.secure_sum.masks import add_pair_mask, add_self_mask
from palate.federated.secure_sum.members import context_of, member_of
from palate.federated.secure_sum.messages import decode, encode
from palate.federated.secure_sum.primitives import ExchangeKey
from palate.federated.secure_sum.server_side import SumServer
from palate.federated.secure_sum.shamir import join, split
from palate.federated.secure_sum.sharing import Shares, deal, open_shares, seal_shares
from palate.federated.secure_sum.terms import KINDS, Terms
from tests.federated.secure_sums import (
    DEADLINES,
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


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers")


@pytest.mark.parametrize(("n", "width"), [pytest.param(1_000, 8, marks=pytest.mark.long), (150, 8), (150, 4)])
def test_many_devices_of_which_thirty_in_a_hundred_drop_out(
    ledgers: Path, n: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "verify", cache(messages.verify))  # all devices of a group check the same signatures
    terms = terms_of(64, minimum=20, group_size=50, width=width)
    vectors = vectors_of(n, 64)
    devices, server = devices_of(terms, vectors), server_of(terms)
    names = list(devices)
    gone = {names[at] for at in np.random.default_rng(0).permutation(n)[: n * 3 // 10]}
    run(server, devices, gone={"upload": gone})
    assert server.phase == "ready" and server.left_out == []
    opened = server.open(spent_in(ledgers))
    assert opened.devices == n - len(gone) and len(opened.groups) == n // 50
    stayed = [at for at, name in enumerate(names) if name not in gone]
    assert np.array_equal(opened.total, plain(vectors, stayed))
    assert not np.array_equal(opened.total, plain(vectors, range(n)))


@settings(max_examples=15)
@given(
    steps=st.lists(st.sampled_from([*KINDS, "never"]), min_size=6, max_size=9),
    length=st.integers(1, 5),
    width=st.sampled_from([4, 8]),
)
def test_whoever_vanishes_when_what_opens_is_the_plain_sum(
    ledgers: Path, steps: list[str], length: int, width: int
) -> None:
    """``steps``: before which message each device vanishes."""
    terms = terms_of(length, minimum=3, group_size=3, width=width)
    vectors = vectors_of(len(steps), length)
    devices, server = devices_of(terms, vectors), server_of(terms)
    run(
        server,
        devices,
        {kind: {name for name, step in zip(devices, steps, strict=True) if step == kind} for kind in KINDS},
    )
    if server.phase == "failed":
        with pytest.raises(SecureSumError, match="'failed'"):
            server.open(spent_in(ledgers))
        return
    opened = server.open(spent_in(ledgers))
    sent = {name for name, step in zip(devices, steps, strict=True) if step in ("unmask", "never")}
    groups = groups_of([name for name, step in zip(devices, steps, strict=True) if step != "keys"], 3, bytes(32))
    at = {name: place for place, name in enumerate(devices)}
    sums = {
        plain(vectors, [at[name] for name in sent & set(group)]).tobytes(): len(sent & set(group)) for group in groups
    }
    assert all(sums[one.values.tobytes()] == one.devices >= 3 for one in opened.groups)


def test_below_the_minimum_nothing_opens(ledgers: Path) -> None:
    for minimum, phase in ((5, "failed"), (4, "ready")):  # the second is the control
        terms = terms_of(minimum=minimum)
        vectors = vectors_of(6, 8)
        devices, server = devices_of(terms, vectors), server_of(terms)
        run(server, devices, {"upload": list(devices)[:2]})
        assert server.phase == phase
    assert np.array_equal(server.open(spent_in(ledgers)).total, plain(vectors, range(2, 6)))


def test_a_device_takes_part_in_no_sum_over_fewer_than_it_says() -> None:
    """Whatever the server calls the minimum, and at every step."""
    for step, left in (("shares", "roster"), ("upload", "sealed"), ("unmask", "survivors")):
        terms = terms_of(minimum=2)
        devices, server = devices_of(terms, vectors_of(6, 8), least=5), server_of(terms)
        *away, name, device = *list(devices)[:2], *list(devices.items())[5]
        if step == "shares":
            devices = {one: devices[one] for one in list(devices)[2:]}
            run(server, devices, until="keys")
        else:
            run(server, devices, {KINDS[KINDS.index(step) - 1]: away}, until=KINDS[KINDS.index(step) - 1])
        with pytest.raises(SecureSumError, match="are 4 devices, and this one takes part from 5"):
            device.answer(server.message_for(name))
        assert decode(server.message_for(name), 10**6).text("kind") == left


class Forgetful(SumDevice):
    """A device without the rule that it answers once: the control."""

    def answer(self, message: bytes) -> bytes:
        self._answered.pop("survivors", None)
        return super().answer(message)


def single_vector(devices: dict[str, SumDevice], server: SumServer, victim: str) -> np.ndarray:
    """A dishonest server asks twice, with the victim in either list, and opens its vector alone."""
    run(server, devices, until="keys")
    group = server._group_of[victim]
    uploads = {}
    for name, device in devices.items():
        server.receive(device.answer(server.message_for(name)), 11.0)
    server.advance(12.0)
    for name, device in devices.items():
        uploads[name] = device.answer(server.message_for(name))
        server.receive(uploads[name], 21.0)
    told = server.advance(22.0) and decode(server.message_for(victim), 10**6)
    held: dict[str, dict[int, bytes]] = {"seeds": {}, "keys": {}}
    for sent, dropped, which in (
        (told.names("sent"), [], "seeds"),
        ([name for name in told.names("sent") if name != victim], [victim], "keys"),
    ):
        asked = encode({"kind": "survivors", "sum": SUM_ID, "sent": list(sent), "dropped": dropped})
        for name in set(sent) - {victim}:
            answer = decode(devices[name].answer(asked), 10**6)
            held[which][group._points[name]] = b64decode(answer.mapping(which)[victim])
    few = {which: join(dict(list(shares.items())[: group._threshold])) for which, shares in held.items()}
    total = np.frombuffer(decode(uploads[victim], 10**6).tail, dtype=np.uint64).copy()
    add_self_mask(total, few["seeds"], remove=True)
    key = ExchangeKey(few["keys"])
    mine = np.zeros_like(total)
    for name in set(devices) - {victim}:
        add_pair_mask(mine, key, server._members[name].mask_key, (victim, name), group._context)
    return total - mine


@pytest.mark.parametrize("kind", [Forgetful, SumDevice])
def test_both_secrets_of_one_device_are_never_given(kind: type[SumDevice]) -> None:
    terms, vectors = terms_of(), vectors_of(6, 8)
    keys = [DeviceKey.generate(seeded(f"key {at}")) for at in range(6)]
    devices = {key.id: kind(key, terms, one, least=2) for key, one in zip(keys, vectors, strict=True)}
    server, victim = server_of(terms), keys[2].id
    if kind is Forgetful:  # the attack works where the defence is missing
        assert np.array_equal(single_vector(devices, server, victim), vectors[2])
        return
    with pytest.raises(SecureSumError, match="'survivors' came before, with something else in it"):
        single_vector(devices, server, victim)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda sent, dropped: (sent, [*dropped, sent[0]]), "1 devices are said to have sent and to have dropped out"),
        (lambda sent, dropped: (sent[1:], dropped), "are not those who dealt shares"),
        (lambda sent, dropped: ([*sent, "0" * 32], dropped), "are not those who dealt shares"),
        (lambda sent, dropped: (dropped, sent), "are not those who dealt shares"),  # it knows that it sent
        (lambda sent, dropped: ([*sent, sent[0]], dropped), "names one twice"),
        (lambda sent, dropped: (sent[:-3], [*dropped, *sent[-3:]]), r"are \d devices, and this one takes part from 4"),
    ],
)
def test_a_device_answers_no_list_of_survivors_that_cannot_be(change: object, says: str) -> None:
    terms = terms_of()
    devices, server = devices_of(terms, vectors_of(6, 8)), server_of(terms)
    names = sorted(devices)
    run(server, devices, {"upload": [names[-1]]}, until="upload")
    told = decode(server.message_for(names[0]), 10**6)
    sent, dropped = change(list(told.names("sent")), list(told.names("dropped")))  # type: ignore[operator]
    with pytest.raises(SecureSumError, match=says):
        devices[names[0]].answer(encode({"kind": "survivors", "sum": SUM_ID, "sent": sent, "dropped": dropped}))


def test_a_device_refuses_a_roster_in_which_somebody_has_no_signature() -> None:
    terms = terms_of()
    devices, server = devices_of(terms, vectors_of(5, 8)), server_of(terms)
    run(server, devices, until="keys")
    name, device = next(iter(devices.items()))
    told = dict(decode(server.message_for(name), 10**6).fields)
    again = SumDevice(DeviceKey.generate(seeded("key 0")), terms, vectors_of(1, 8)[0])  # the same key, started anew
    other = dict(decode(again.join(), 10**6).fields)
    for change, says in (
        (lambda members: [{**members[0], "seal_key": members[1]["seal_key"]}, *members[1:]], "is not signed by"),
        (lambda members: [one for one in members if one["device"] != name] + [members[0]], "is not in order"),
        (lambda members: [one for one in members if one["device"] != name], "does not hold the keys of this device"),
        (
            lambda members: [other if one["device"] == name else one for one in members],
            "does not hold the keys of this device",
        ),
    ):
        with pytest.raises(SecureSumError, match=says):
            device.answer(encode({**told, "members": change(told["members"])}))
    with pytest.raises(SecureSumError, match="'roster' is not one of this sum"):
        device.answer(encode({**told, "sum": "f" * 32}))
    assert device.answer(encode(told)) == device.answer(encode(told))  # the same again to the same again


def test_a_sum_opens_once_with_what_was_spent_for_it(ledgers: Path) -> None:
    terms, vectors = terms_of(), vectors_of(4, 8)
    devices, server = devices_of(terms, vectors), server_of(terms)
    spent = spent_in(ledgers)
    with pytest.raises(SecureSumError, match="the sum is 'keys'"):
        server.open(spent)
    run(server, devices)
    for wrong in (None, 0.01, spent_in(ledgers, "another sum")):
        with pytest.raises(SecureSumError, match="was not spent for this sum"):
            server.open(wrong)  # type: ignore[arg-type]
    assert server.open(spent).devices == 4
    with pytest.raises(SecureSumError, match="the sum is 'opened'"):
        server.open(spent)
    again = server_of(terms)
    run(again, devices)
    with pytest.raises(LedgerError, match="was opened already"):
        again.open(spent)


def test_the_server_is_a_function_of_its_messages(ledgers: Path) -> None:
    terms, vectors = terms_of(group_size=4), vectors_of(9, 8)
    devices, first, kept = devices_of(terms, vectors), server_of(terms), []
    receive = first.receive
    first.receive = lambda raw, now: kept.append((raw, now)) or receive(raw, now)  # type: ignore[method-assign]
    run(first, devices, {"upload": list(devices)[:1]})
    second = server_of(terms)
    for raw, now in kept:
        second.receive(raw, now)
    assert second.advance(DEADLINES[3]) == first.phase == "ready"
    one, other = first.open(spent_in(ledgers)), second.open(spent_in(ledgers))
    assert [group.values.tobytes() for group in one.groups] == [group.values.tobytes() for group in other.groups]


def test_a_phase_never_goes_back_whatever_the_clock_says() -> None:
    terms = terms_of()
    devices, server = devices_of(terms, vectors_of(4, 8)), server_of(terms)
    run(server, devices, until="shares")
    assert [server.advance(now) for now in (-1e9, 0.0, 20.0)] == ["upload"] * 3
    with pytest.raises(OptionError, match="now is nan"):
        server.advance(float("nan"))
    assert server.advance(1e18) == "failed"  # every deadline is over; nothing was sent, nothing opens


def masks(n: int) -> Iterator[np.ndarray]:
    """The masks of one pair in n sums, and of n seeds."""
    one, other = ExchangeKey(seeded("one")(32)), ExchangeKey(seeded("other")(32))
    for at in range(n):
        pair, own = np.zeros(512, dtype=np.uint64), np.zeros(512, dtype=np.uint64)
        add_pair_mask(pair, one, other.public, ("a", "b"), f"sum {at}".encode())
        add_self_mask(own, seeded(f"seed {at}")(32))
        yield pair
        yield own


def test_masks_are_uniform_and_new_for_every_sum() -> None:
    drawn = np.stack(list(masks(200)))
    assert len(np.unique(drawn)) == drawn.size  # 204,800 words of 64 bits: a repeat has the chance 1e-9
    bits = np.unpackbits(drawn.view(np.uint8))
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)
    counts = np.bincount(drawn.view(np.uint8).ravel(), minlength=256)
    expected = drawn.nbytes / 256
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * np.sqrt(2 * 255)


def test_the_pairs_masks_cancel_and_depend_on_all_that_names_them() -> None:
    one, other = ExchangeKey(seeded("one")(32)), ExchangeKey(seeded("other")(32))
    total = np.zeros(16, dtype=np.uint64)
    add_pair_mask(total, one, other.public, ("a", "b"), b"x")
    first = total.copy()
    add_pair_mask(total, other, one.public, ("b", "a"), b"x")
    assert first.any() and not total.any()
    for names, context in ((("a", "b"), b"y"), (("a", "c"), b"x")):
        changed = np.zeros(16, dtype=np.uint64)
        add_pair_mask(changed, one, other.public, names, context)
        assert not (changed == first).any()


def test_seeds_that_agree_in_32_bits_give_different_masks() -> None:
    """Folded to 32 bits, as a known protocol does, these two give one mask (the control)."""
    seed = seeded("seed")(32)
    twin = bytes(a ^ b for a, b in zip(seed, bytes([7, 0, 0, 0, 7]) + bytes(27), strict=True))
    fold = [int(np.bitwise_xor.reduce(np.frombuffer(one, dtype="<u4"))) for one in (seed, twin)]
    assert fold[0] == fold[1] and seed != twin
    old = [np.random.RandomState(one).randint(0, 1 << 31, 16) for one in fold]
    assert np.array_equal(*old)
    ours = [np.zeros(16, dtype=np.uint64) for _ in range(2)]
    for total, one in zip(ours, (seed, twin), strict=True):
        add_self_mask(total, one)
    assert not (ours[0] == ours[1]).any()


@given(secret=st.binary(min_size=32, max_size=32), n=st.integers(2, 12), data=st.data())
def test_so_many_shares_give_the_secret_and_fewer_do_not(secret: bytes, n: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(2, n))
    shares = dict(enumerate(split(secret, threshold, n, seeded(secret)), 1))
    which = data.draw(st.permutations(sorted(shares)))
    assert join({x: shares[x] for x in which[:threshold]}) == secret
    with suppress(SecureSumError):
        assert join({x: shares[x] for x in which[: threshold - 1]}) != secret
    assert set(shares.values()).isdisjoint(split(secret, threshold, n, seeded(n)))  # drawn anew each time


def test_what_is_sealed_for_one_receiver_in_one_group_opens_nowhere_else() -> None:
    terms, secret, names = terms_of(), seeded("secret")(32), ("a" * 32, "b" * 32)
    members = [member_of(decode(one.join(), 10**6), terms) for one in devices_of(terms, vectors_of(3, 8)).values()]
    context, other = context_of(terms, members), context_of(terms, members[:2])
    [shares, wrong] = deal(bytes(32), secret, 2, 2, seeded("deal"))
    dealt = seal_shares(shares, secret, context, names)
    assert open_shares(dealt, secret, context, names) == shares
    assert open_shares(dealt, secret, other, names) is None
    assert open_shares(dealt, secret, context, names[::-1]) is None
    assert open_shares(dealt, bytes(32), context, names) is None
    for digests in (wrong, Shares(shares.seed, wrong.key), Shares(wrong.seed, shares.key)):  # of what was not dealt
        forged = seal_shares(digests, secret, context, names)._replace(sealed=dealt.sealed)
        assert open_shares(forged, secret, context, names) is None


def test_groups_are_drawn_anew_and_of_a_size() -> None:
    names = [f"{at:032x}" for at in range(1_000)]
    groups = groups_of(names, 50, bytes(32))
    assert sorted(name for group in groups for name in group) == names
    assert {len(group) for group in groups} == {50} and all(list(group) == sorted(group) for group in groups)
    assert groups_of(names, 50, bytes(32)) == groups != groups_of(names, 50, b"x" * 32)
    assert {len(group) for group in groups_of(names[:99], 50, bytes(32))} == {99}
    assert {len(group) for group in groups_of(names[:7], 50, bytes(32))} == {7}


def test_words_that_a_groups_sum_may_not_hold_are_refused() -> None:
    """The control: one unit less goes through, and four bytes an entry are half of eight."""
    sizes = {}
    for width, largest in ((4, (1 << 31) // 4), (4, (1 << 31) // 4 - 1), (8, 1 << 40)):
        terms = terms_of(1000, width=width)
        vectors = np.full((4, 1000), largest, dtype=np.uint64)
        devices, server = devices_of(terms, vectors), server_of(terms)
        run(server, devices, until="shares")
        name, device = next(iter(devices.items()))
        if width == 4 and largest * 4 >= 1 << 31:
            with pytest.raises(SecureSumError, match="may not fit into 4 bytes"):
                device.answer(server.message_for(name))
        else:
            sizes[width] = len(device.answer(server.message_for(name)))
    assert sizes[8] - sizes[4] == 4000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sum_id": "x"}, "sum_id is 'x'"),
        ({"about": "x" * 401}, "about is"),
        ({"length": 0}, "length is 0"),
        ({"minimum": 1}, "minimum is 1"),
        ({"group_size": 101}, "group_size is 101"),
        ({"width": 2}, "width is 2"),
        ({"deadlines": (1.0, 2.0, float("nan"), 3.0)}, "deadlines is"),
        ({"deadlines": (1.0, 2.0, 1.5, 3.0)}, "deadlines is"),
        ({"most": 1}, "most is 1"),
    ],
)
def test_terms_that_cannot_be_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        terms_of(**wrong)


def test_terms_cross_the_wire() -> None:
    terms = terms_of(width=4)
    assert Terms.from_bytes(terms.to_bytes()) == terms and Terms.from_bytes(terms.to_bytes()).context == terms.context
    for raw in (b"", b"{}", b"\x80\x04N.", b"[" * 100_000, terms.to_bytes().replace(b'"width":4', b'"width":5')):
        with pytest.raises(SecureSumError, match="these are no terms"):
            Terms.from_bytes(raw)


def test_a_vector_of_another_type_is_refused() -> None:
    key = DeviceKey.generate()
    for vector in (np.zeros(8), np.zeros(7, dtype=np.uint64), [0] * 8):
        with pytest.raises(OptionError, match="Give uint64"):
            SumDevice(key, terms_of(), vector)  # type: ignore[arg-type]


def test_without_the_library_the_error_names_the_line_that_installs_it() -> None:
    code = "import sys; sys.modules['cryptography'] = None; import palate.federated.secure_sum.keys"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in done.stderr
    assert "needs the library 'cryptography', which is not installed" in done.stderr
    assert "pip install '.[federated]'" in done.stderr
