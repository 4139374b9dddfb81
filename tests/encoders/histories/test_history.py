from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.encoders.histories.history import (
    KINDS,
    HistoryText,
    Log,
    RecencyMean,
    encode_histories,
    kind_codes,
    liking,
    names_of,
)
from palate.errors import DataError, OptionError
from palate.vocabulary import Vocabulary

NAN = float("nan")
VECTORS = np.eye(3, dtype=np.float32)


def test_one_event_is_its_item() -> None:
    np.testing.assert_array_equal(encode_histories([0], [1], [0.5], [7.0], VECTORS, 1), [[0, 1, 0]])


def test_recency_and_dislike_by_hand() -> None:
    # newest first: item 2 disliked (weight 1), item 0 liked half (1/2 * 1/2), item 1 liked (1/4); sum 1.5
    encoded = encode_histories([0, 0, 0], [1, 2, 0], [1, -1, 0.5], [10, 30, 20], VECTORS, 1, half_life=1)
    np.testing.assert_allclose(encoded, [[0.25 / 1.5, 0.25 / 1.5, -1 / 1.5]])


def test_half_life_is_the_number_of_newer_events_that_halves_a_weight() -> None:
    users, items = np.zeros(11, dtype=np.int32), np.r_[0, np.ones(10, dtype=np.int32)]
    encoded = encode_histories(users, items, np.ones(11), np.arange(11.0), np.eye(2), 1, half_life=10)
    newer = sum(2 ** (-rank / 10) for rank in range(10))
    np.testing.assert_allclose(encoded[0], np.array([0.5, newer]) / (0.5 + newer))


def test_without_events_or_with_neutral_ones_only_zeros() -> None:
    encoded = encode_histories([1], [2], [0.0], [NAN], VECTORS, 3)
    np.testing.assert_array_equal(encoded, np.zeros((3, 3)))
    np.testing.assert_array_equal(encode_histories([], [], [], [], VECTORS, 2), np.zeros((2, 3)))


def test_equal_and_unknown_times_count_in_the_order_of_the_rows() -> None:
    by_rows = encode_histories([0, 0], [0, 1], [1, 1], [1, 2], VECTORS, 1, half_life=1)
    np.testing.assert_allclose(by_rows, [[1 / 3, 2 / 3, 0]])
    for times in ([5, 5], [NAN, NAN], [9, NAN], [NAN, 0]):
        np.testing.assert_array_equal(encode_histories([0, 0], [0, 1], [1, 1], times, VECTORS, 1, half_life=1), by_rows)


def test_unknown_times_of_one_person_leave_the_others_alone() -> None:
    encoded = encode_histories([0, 1, 0, 1], [0, 0, 1, 1], [1] * 4, [9, 9, NAN, 1], VECTORS, 2, half_life=1)
    np.testing.assert_allclose(encoded, [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]])


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_equals_the_sum_written_out(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 5, n), rng.integers(0, 7, n)
    liked, times, vectors = rng.uniform(-1, 1, n), rng.integers(0, 10, n).astype(float), rng.normal(size=(7, 4))
    expected = np.zeros((5, 4))
    for user in range(5):
        rows = [row for _, row in sorted((times[row], row) for row in range(n) if users[row] == user)][::-1]
        weights = [liked[row] * 2 ** (-rank / 3) for rank, row in enumerate(rows)]
        if rows:
            total = sum(w * vectors[items[row]] for w, row in zip(weights, rows, strict=True))
            expected[user] = total / sum(map(abs, weights))
    encoded = encode_histories(users, items, liked, times, vectors, 5, half_life=3)
    np.testing.assert_allclose(encoded, expected, atol=1e-12)


def test_the_order_of_rows_does_not_matter_where_times_differ() -> None:
    rng = np.random.default_rng(0)
    users, items, liked = rng.integers(0, 9, 200), rng.integers(0, 3, 200), rng.uniform(-1, 1, 200)
    times, shuffled = np.arange(200.0), rng.permutation(200)
    np.testing.assert_allclose(
        encode_histories(users, items, liked, times, VECTORS, 9),
        encode_histories(users[shuffled], items[shuffled], liked[shuffled], times[shuffled], VECTORS, 9),
    )


def test_bad_histories_are_refused() -> None:
    with pytest.raises(OptionError, match=r"^half_life is 0\. Give a number of events above 0, such as 10\.$"):
        encode_histories([0], [0], [1], [1], VECTORS, 1, half_life=0)
    with pytest.raises(DataError, match=r"^row 1 names item 3, and there are 3\. Positions count from 0\.$"):
        encode_histories([0, 0], [2, 3], [1, 1], [1, 1], VECTORS, 1)
    with pytest.raises(DataError, match=r"^row 0 names user -1, and there are 1\."):
        encode_histories([-1], [0], [1], [1], VECTORS, 1)
    with pytest.raises(DataError, match=r"^the liking of row 1 is nan\. Give values from -1 to 1\.$"):
        encode_histories([0, 0], [0, 0], [1, NAN], [1, 1], VECTORS, 1)
    with pytest.raises(DataError, match=r"^the columns have the shapes users \(1,\), items \(2,\), "):
        encode_histories([0], [0, 1], [1], [1], VECTORS, 1)


def test_ratings_are_distances_from_their_mean() -> None:
    np.testing.assert_allclose(liking([5, 3, 1, 1, 5], [""] * 5), [1, 0, -1, -1, 1])
    np.testing.assert_allclose(liking([5, 5, 5, 1], [""] * 4), [1 / 3, 1 / 3, 1 / 3, -1])


def test_a_given_mean_and_reach_hold_for_people_who_come_later() -> None:
    np.testing.assert_allclose(liking([5, 4, 0.5], [""] * 3, mean=3.5, reach=2.0), [0.75, 0.25, -1])


def test_kinds_of_event_are_strengths_with_a_sign_and_a_rating_goes_first() -> None:
    np.testing.assert_array_equal(liking([NAN] * 4, ["click", "skip", "purchase", "impression"]), [0.5, -0.3, 1, 0])
    np.testing.assert_allclose(liking([1, NAN, 3], ["click", "hide", None]), [-1, -0.8, 1])
    own = Vocabulary({"wished": "like:0.4"}, {"click": 0.1})
    np.testing.assert_allclose(liking([NAN] * 2, ["wished", "click"], vocabulary=own), [0.4, 0.1])
    assert [KINDS[code] for code in kind_codes(["wished", None, "refund"], own)] == ["like", "", "refund"]


def test_one_rating_level_says_nothing() -> None:
    np.testing.assert_array_equal(liking([0.1] * 7, [""] * 7), np.zeros(7))
    assert liking([], []).shape == (0,)


def test_rows_that_say_nothing_known_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"^row 2 has no rating and the event 'glance'\. Known events: add-to-cart, click, "
    ):
        liking([1, NAN, NAN], ["", "view", "glance"])
    with pytest.raises(DataError, match=r"^row 1 has no rating and the event None\."):
        liking([1, NAN], [None, None])
    with pytest.raises(DataError, match=r"^row 0 has an infinite rating\."):
        liking([float("inf")], [""])
    with pytest.raises(OptionError, match=r"^the reach of a rating is 0\. Give a number above 0\.$"):
        liking([1], [""], reach=0)


def test_the_first_events_are_by_time_and_from_one_to_half() -> None:
    log = Log.of([0] * 9 + [1] + [2, 2], [0] * 12, [1] * 12, [*range(9, 0, -1), 1, NAN, 5])
    taken = set()
    for seed in range(60):
        early = log.early(3, np.random.default_rng(seed))
        n = int(early[:9].sum())
        assert early[:9].tolist() == [False] * (9 - n) + [True] * n  # times fall along the rows
        assert early[9:].tolist() == [False, True, False]
        taken.add(n)
    assert taken == {1, 2, 3, 4}


def test_recency_mean_is_the_function() -> None:
    log = Log.of([0, 0, 1], [0, 1, 2], [1, -1, 1], [1, 2, 3])
    expected = encode_histories(log.users, log.items, log.liking, log.timestamps, VECTORS, 2, half_life=3)
    np.testing.assert_array_equal(RecencyMean(3).encode(log, VECTORS, 2), expected)


class _Reader:
    name, revision, dim = "reader", "1", 2

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.read = list(texts)
        return np.array([[len(text), 1.0] if text else [0.0, 0.0] for text in texts], dtype=np.float32)


def test_the_text_of_a_history_names_what_was_liked_and_disliked_newest_first() -> None:
    reader = _Reader()
    log = Log.of([0, 0, 0, 0], [0, 1, 2, 1], [1, -1, 0.5, 0.0], [1, 2, 3, 4])
    encoded = HistoryText(reader, ["Alien", "Bambi", "Cats"]).encode(log, VECTORS, 2)  # type: ignore[arg-type]
    assert reader.read == ["liked: Cats; Alien. disliked: Bambi", ""]
    assert encoded[0].any() and not encoded[1].any()


def test_a_text_of_a_history_keeps_the_newest_twenty() -> None:
    reader = _Reader()
    log = Log.of([0] * 25, list(range(25)), [1] * 25, list(range(25)))
    HistoryText(reader, [str(n) for n in range(25)]).encode(log, VECTORS, 1)  # type: ignore[arg-type]
    assert reader.read[0] == "liked: " + "; ".join(str(n) for n in range(24, 4, -1))


def test_texts_of_histories_are_encoded_in_chunks_that_are_reported_and_change_nothing() -> None:
    people = np.arange(1100)
    log, told = Log.of(people, people % 3, np.ones(1100), people), []
    reader = HistoryText(_Reader(), ["Alien", "A", "Catch-22"], lambda *progress: told.append(progress))  # type: ignore[arg-type]
    encoded = reader.encode(log, VECTORS, 1100)
    assert told == [(512, 1100), (1024, 1100), (1100, 1100)]
    np.testing.assert_array_equal(encoded[:, 0], np.array([12.0, 8.0, 15.0])[people % 3])


def test_an_item_without_a_title_is_called_by_the_start_of_its_text_or_its_id() -> None:
    texts = ["x", "y" * 99, "", " Two\n\tlines ", " \n" * 500, "z" * 60]
    table = pl.DataFrame({"item_id": list("abcdef"), "title": ["Alien", *[""] * 5], "text": texts})
    assert names_of(table) == ["Alien", "y" * 60 + "…", "c", "Two lines", "e", "z" * 60]
