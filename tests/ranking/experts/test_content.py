"""Likeness of a history to an item's content."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.encoders.text.words import Words, words_of
from palate.errors import DataError
from palate.ranking.experts import content
from palate.ranking.experts.content import FEW, Likeness, fit_content
from palate.ranking.histories import Histories

TITLES = ["red dragon", "blue dragon", "red hill", "blue hill", "green sea", ""]


def rows() -> sparse.csr_array:
    documents = [list(words_of(title)) for title in TITLES]
    words = Words.fit(documents, rng=np.random.default_rng(0))
    assert words is not None
    return words.rows(documents)


def histories(*sets: list[int]) -> Histories:
    return Histories.of([np.array(items, dtype=np.intp) for items in sets], len(TITLES))


def test_evidence_is_the_logarithm_of_the_summed_cosines():
    words, _ = fit_content(np.zeros(6), rows=rows())
    found = words.evidence(histories([0, 1], []))
    dense = rows().toarray()
    sums = (dense[0] + dense[1]) @ dense.T
    assert found[0] == pytest.approx(np.log1p(sums / (0.1 * sums.mean())), rel=1e-5)
    assert found.dtype == np.float32
    assert not found[1].any()  # nothing is known of somebody without a history
    assert found[0, 5] == 0.0  # nor of an item without words


def test_what_items_add_sums_up_to_the_whole():
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    for likeness in (Likeness.of_words(rows()), Likeness.of_vectors(np.abs(vectors))):
        sums = likeness.sums(histories([0, 3]).matrix(1.0))[0]
        parts = np.array([likeness.shares(np.array([0, 3]), item) for item in range(6)])
        positive = parts.min(1) > 0
        assert parts[positive].sum(1) == pytest.approx(sums[positive], abs=1e-6)
    assert Likeness.of_words(rows()).shares(np.array([0, 4]), 2).argmax() == 0  # the red one


def test_evidence_fades_as_an_item_becomes_known():
    counts = np.array([0.0, FEW, 1e9, 0.0, 0.0, 0.0])
    words, fading = fit_content(counts, rows=rows())
    plain, faded = (one.evidence(histories([0, 3]))[0] for one in (words, fading))
    assert faded[:3] == pytest.approx(plain[:3] * [1.0, 0.5, 0.0], abs=1e-6)
    assert fading.counting(np.full(6, FEW)).evidence(histories([0, 3]))[0] == pytest.approx(plain / 2)
    assert words.counting(counts) is words


def test_a_word_of_very_many_items_is_left_out(monkeypatch):
    monkeypatch.setattr(content, "MOST", 1)
    found = Likeness.of_words(sparse.csr_array(np.array([[0.6, 0.8], [1.0, 0.0], [0.0, 0.0]])))
    assert found.shares(np.array([0]), 1).tolist() == [0.0]
    assert found.shares(np.array([0]), 0) == pytest.approx([0.64])


def test_vectors_that_are_missing_or_all_the_same_say_nothing():
    same = np.ones((6, 3), dtype=np.float32)
    assert not fit_content(np.zeros(6), vectors=same)[0].evidence(histories([0]))[0].any()
    some = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    some[5] = np.nan
    assert fit_content(np.zeros(6), vectors=some)[0].evidence(histories([0, 5]))[0, 5] == 0.0


def test_without_content_there_is_no_expert():
    nothing = sparse.csr_array((6, 3), dtype=np.float32)
    assert fit_content(np.zeros(6)) == ()
    assert fit_content(np.zeros(6), rows=nothing, vectors=np.full((6, 3), np.nan, dtype=np.float32)) == ()


def test_content_of_another_number_of_items_is_an_error():
    with pytest.raises(DataError, match="content of 6 items and counts of 5"):
        fit_content(np.zeros(5), rows=rows())
