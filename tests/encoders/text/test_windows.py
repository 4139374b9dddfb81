from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.encoders.text.huggingface import joined
from palate.encoders.text.windows import BATCH_TOKENS, Window, Windows, by_tokens, pad


def tokenize(texts: Sequence[str], special: bool) -> list[list[int]]:
    """A token a letter, 1 before and 2 and 3 after."""
    return [[1, *map(ord, text), 2, 3] if special else [ord(letter) for letter in text] for text in texts]


def spelled(window: Window) -> str:
    return "".join(chr(token) for token in window.ids[1:-2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("", 1)]),
        ("abcde", [("abcde", 5)]),
        ("abcdef", [("abcde", 5), ("f", 1)]),
        ("abcdefghijk", [("abcde", 5), ("fghij", 5), ("k", 1)]),
    ],
)
def test_windows_by_hand(text: str, expected: list[tuple[str, int]]) -> None:
    windows = Windows(tokenize, 8, "").of(["x", text])[1:]
    assert [(spelled(window), window.weight) for window in windows] == expected
    assert all(window.text == 1 and window.ids[0] == 1 and window.ids[-2:] == [2, 3] for window in windows)


def test_the_prompt_goes_before_every_window() -> None:
    windows = Windows(tokenize, 9, "q: ").of(["abc", "abcdefgh"])
    assert [spelled(window) for window in windows] == ["q: abc", "q: abc", "q:defg", "q:h"]
    assert [window.weight for window in windows] == [6, 4, 4, 1]


def test_a_window_without_room() -> None:
    with pytest.raises(ValueError, match="a window of 5 tokens has no room for a text"):
        Windows(tokenize, 5, "q: ")


def test_a_text_without_tokens_has_no_window_where_nothing_goes_round_it() -> None:
    plain = Windows(lambda texts, special: [[7] * len(text) for text in texts], 4, "")
    assert plain.of(["", "ab"]) == [Window(1, [7, 7], 2)]


@given(st.lists(st.integers(1, 3 * BATCH_TOKENS), max_size=30))
def test_batches_hold_every_window_once_and_few_tokens(lengths: list[int]) -> None:
    windows = [Window(number, [0] * length, length) for number, length in enumerate(lengths)]
    batches = list(by_tokens(windows))
    assert sorted(window.text for batch in batches for window in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(len(window.ids) for window in batch)
        assert len(batch) == 1 or len(batch) * longest <= BATCH_TOKENS
    assert [w.weight for batch in batches for w in batch] == sorted(lengths, reverse=True)


def test_padding_is_on_the_right() -> None:
    ids, mask = pad([[5], [7, 8, 9]], None)
    assert ids.tolist() == [[5, 0, 0], [7, 8, 9]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


def test_the_vector_of_a_text_is_that_of_its_windows_by_their_tokens() -> None:
    windows = [Window(2, [], 3), Window(0, [], 9), Window(2, [], 1)]
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    expected = [[0.6, 0.8], [0, 0], [3 / 10**0.5, 1 / 10**0.5]]
    np.testing.assert_allclose(joined(windows, vectors, 3), expected, atol=1e-6)
