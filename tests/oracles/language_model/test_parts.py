"""The parts of a language model as an oracle, each on its own."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors.checks import INVISIBLE
from palate.oracles.language_model.ledger import Ledger, TokenPrice
from palate.oracles.language_model.prompts import Choice
from palate.oracles.language_model.replies import build_of, of_json, of_logprobs, place_of, usage_of
from palate.oracles.language_model.server import retry_after
from palate.oracles.language_model.untrusted import plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(JSON, JSON, JSON)
def test_any_document_is_read_or_is_none(one: object, two: object, three: object) -> None:
    top = {"token": one, "logprob": two}
    logprobs = {"content": [{"top_logprobs": [top, {"token": "a", "logprob": -1.0}]}]}
    for choice in (one, {"logprobs": two, "message": three}, {"logprobs": {"content": one}}, {"logprobs": logprobs}):
        document = {"choices": [choice], "usage": one, "model": two, "system_fingerprint": three}
        shares = of_logprobs(document, ("apple", "brick"))
        assert shares is None or np.exp(shares.logp).sum() == pytest.approx(1.0)
        assert shares is None or 0.0 <= shares.mass <= 1.02
        of_json(document, ("apple", "brick"))
        place_of(document, ("apple", "brick"))
        usage_of(document)
        assert all(isinstance(part, str) for part in build_of(document))


@given(st.text(), st.integers(1, 50))
def test_a_text_of_an_item_is_one_short_line_of_what_shows(text: str, most: int) -> None:
    found = plain(text, most)
    assert len(found) <= most and found == found.strip()
    assert not set("<>[]\n\r\t\0") & set(found) and not INVISIBLE.search(found)


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (("sports", "food"), ("sports", "food")),
        (("yes", "no"), ("yes", "no")),
        (("1", "2", "3"), ("1", "2", "3")),
        (("sports", "finance", "food"), ("sports", "finance", "food")),
        (("sports", "Sporty"), ("A", "B")),
        (("1", "10"), ("A", "B")),
        (("1", "1.5"), ("A", "B")),
        (("two words", "food"), ("A", "B")),
        (("体育", "美食"), ("体育", "美食")),
    ],
)
def test_options_are_their_own_labels_where_their_beginnings_differ(options: tuple[str, ...], labels: object) -> None:
    assert Choice("?", options).labels == labels


def test_a_token_that_begins_two_options_counts_for_neither() -> None:
    top = [{"token": token, "logprob": math.log(chance)} for token, chance in (("f", 0.6), ("foo", 0.3), ("fin", 0.05))]
    document = {"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}
    shares = of_logprobs(document, ("finance", "food"))
    assert shares is not None and shares.mass == pytest.approx(0.35)
    assert np.exp(shares.logp) == pytest.approx([1 / 7, 6 / 7])


def test_money_is_exact_among_threads_and_never_over_the_budget() -> None:
    price = TokenPrice(0.1, 0.3)
    ledger = Ledger(price, 0.01)

    def one(n: int) -> int:
        hold = ledger.hold(100 + n % 7, 50)
        if hold is None:
            return 0
        assert ledger.left >= 0.0
        if n % 5 == 0:
            ledger.keep(hold)
            return 10 * (100 + n % 7) + 30 * 50
        if n % 5 == 1:
            ledger.release(hold)
            return 0
        ledger.settle(hold, 90, n % 50)
        return 10 * 90 + 30 * (n % 50)

    with ThreadPoolExecutor(8) as threads:
        paid = sum(threads.map(one, range(2_000)))
    assert ledger.spent == float(Fraction(paid, 10**8)) <= 0.01
    assert ledger.left == pytest.approx(0.01 - ledger.spent, abs=1e-12) and ledger.left < 4e-5


def test_money_without_a_limit_has_none() -> None:
    assert Ledger().left == math.inf


@pytest.mark.parametrize("header", ["", "-1", "soon", "1.5e9x", "Mon, 99 Foo 2026"])
def test_a_wait_that_is_none_is_none(header: str) -> None:
    assert retry_after(header) == 0.0
