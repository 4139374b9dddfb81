from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.store.model_folder import strict

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(DOCUMENTS)
def test_what_is_written_is_read(document: object) -> None:
    text = strict.dumps(document)
    assert strict.loads(text) == document == json.loads(text)
    assert strict.dumps(strict.loads(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"NaN", "NaN is not a number JSON has"),
        (b"[-Infinity]", "-Infinity is not a number JSON has"),
        (b"[1e999]", "the number 1e999 is not finite"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' appears twice"),
        (b"[" * 100_000, "it nests too deep"),
        (b'"\xff"', "can't decode byte 0xff"),
        (b"1" * 5_000, "integer string conversion"),
        (b"{} {}", "Extra data"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_no_strict_json_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        strict.loads(text)


@pytest.mark.parametrize("document", [float("nan"), [float("inf")], "\ud800", {1, 2}, {(1, 2): 3}])
def test_what_json_cannot_hold_is_refused(document: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        strict.dumps(document)
