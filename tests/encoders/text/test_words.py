"""Hashed TF-IDF of what items say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.encoders.text.words import BUCKETS, Words, field_of, item_words, shared, words_of
from palate.errors import DataError


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def documents(*texts: str) -> list[list[str]]:
    return [list(words_of(text)) for text in texts]


def test_scripts_without_spaces_are_read_by_pairs_and_others_by_words():
    assert list(words_of("  Ａ DRAGON's 2nd tale ")) == ["a", "dragon", "s", "2nd", "tale"]
    assert list(words_of("我看Uber司機 好")) == ["我看", "uber", "司機", "好"]
    assert list(words_of("กขค")) == ["กข", "ขค"]
    assert list(words_of("")) == []


def test_an_item_is_read_by_its_categories_and_by_the_names_in_further_columns():
    table = pl.DataFrame(
        {
            "item_id": ["a"],
            "title": ["The Hobbit"],
            "text": [""],
            "category": ["Fantasy|Young Adult"],
            "authors": ["J.R.R.  Tolkien, Christopher Tolkien"],
            "tags": [["Dragons", ""]],
            "details": ['{"pages": 300}'],
            "year": [1937],
        }
    )
    found = [field_of(word) for word in item_words(table)[0]]
    assert found[:2] == [("", "the"), ("", "hobbit")]
    assert ("category", "fantasy") in found and ("", "adult") in found
    assert ("authors", "j.r.r. tolkien") in found and ("tags", "dragons") in found
    assert {column for column, _ in found} == {"", "category", "authors", "tags"}  # neither numbers nor JSON


def test_weights_are_those_of_tf_idf_by_hand():
    texts = documents("dragon dragon rare", "dragon common", "common rare", "common", "lonely")
    words = Words.fit(texts, rng=rng())
    assert words is not None
    assert len(words.columns) == 3  # "lonely" is no other's
    idf = np.log(6.0 / 3.0) + 1.0  # dragon and rare: two of five
    row = np.array([(1.0 + np.log(2.0)) * idf, idf])
    found = words.rows(texts)
    assert np.sort(found[[0]].data) == pytest.approx(np.sort(row / np.linalg.norm(row)), abs=1e-6)
    assert found[[4]].nnz == 0 and np.isnan(words.vectors(found)[4]).all()


def test_reduced_rows_keep_products_where_there_are_axes_enough():
    texts = documents("a b c", "b c d", "c d a", "d a b", "a c", "b d x", "x a")
    words = Words.fit(texts, rng=rng())
    assert words is not None
    rows = words.rows(texts)
    reduced = words.vectors(rows)
    assert reduced @ reduced.T == pytest.approx((rows @ rows.T).toarray(), abs=1e-5)


def test_a_new_item_is_read_with_the_weights_of_the_fit():
    texts = documents("red dragon", "red wyvern", "blue dragon", "green hill")
    words = Words.fit(texts, rng=rng())
    assert words is not None
    new = words.rows(documents("a dragon never seen", "nothing of it"))
    assert new[[0]].indices.tolist() == words.rows(documents("dragon"))[[0]].indices.tolist()
    assert new[[1]].nnz == 0


@pytest.mark.parametrize(
    "texts", [[], ["", ""], ["one"], ["same words", "same words"], ["all", "different"], ["\ud800", "\x00"]]
)
def test_content_that_tells_no_items_apart_gives_no_words(texts):
    assert Words.fit(documents(*texts), rng=rng()) is None


def test_documents_that_are_texts_are_an_error():
    with pytest.raises(DataError, match="Give the words of each item"):
        Words.fit(["a text"], rng=rng())


def test_what_two_items_share_begins_with_the_rarest():
    texts = documents("the rare dragon", "the rare hill", "the dragon", "the dragon", "a dragon", "x")
    words = Words.fit(texts, rng=rng())
    assert words is not None
    assert shared(texts[0], texts[1], words) == ["rare", "the"]
    assert shared(texts[0], texts[5], words) == []


def test_the_hash_has_room():
    assert BUCKETS >= 2**20
