"""The contract passes on a good encoder, and each of its rules is broken by the encoder that breaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from palate.testing import EncoderContract


class Hashed:
    """Random directions seeded by the text: a whole encoder in a few lines."""

    modality = "text"
    name = "hashed"
    revision = "1"
    dim = 8

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [
            np.random.default_rng(list(hashlib.sha256(text.encode()).digest())).normal(size=self.dim) for text in texts
        ]
        return np.array(rows, dtype=np.float32).reshape(len(texts), self.dim)


class TestHashed(EncoderContract):
    def make(self) -> Hashed:
        return Hashed()


class Nameless(Hashed):
    name = ""


class OfNothing(Hashed):
    modality = "scent"


class Double(Hashed):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return super().encode(texts).astype(np.float64)


class Moody(Hashed):
    calls = 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.calls += 1
        return super().encode(texts) + np.float32(self.calls)


class Constant(Hashed):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), self.dim), dtype=np.float32)


class Centred(Hashed):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = super().encode(texts)
        return vectors - vectors.mean(axis=0, keepdims=True) if len(texts) else vectors


class Sorted(Hashed):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return super().encode(sorted(texts))


class Picky(Hashed):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack(
            [row if text.strip() else row * np.nan for text, row in zip(texts, super().encode(texts), strict=True)]
        )


class Greedy(Hashed):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = super().encode(texts)
        texts.clear()  # type: ignore[attr-defined]
        return vectors


BROKEN = [
    (Nameless, "test_it_says_what_it_is"),
    (OfNothing, "test_it_says_what_it_is"),
    (Double, "test_vectors_are_finite_float32_of_the_promised_shape"),
    (Double, "test_no_contents_give_no_vectors"),
    (Moody, "test_the_same_content_has_the_same_vector"),
    (Constant, "test_other_contents_have_other_vectors"),
    (Centred, "test_a_vector_does_not_depend_on_its_neighbours"),
    (Sorted, "test_vectors_come_in_the_order_of_the_contents"),
    (Picky, "test_hard_contents_are_encoded_too"),
    (Greedy, "test_the_contents_are_left_as_they_were"),
]


@pytest.mark.parametrize(("broken", "rule"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_broken_encoder_fails(broken: type[Hashed], rule: str) -> None:
    class Contract(EncoderContract):
        def make(self) -> Hashed:
            return broken()

    with pytest.raises(AssertionError):
        getattr(Contract(), rule)()


def test_every_rule_has_an_encoder_that_breaks_it() -> None:
    assert {rule for _, rule in BROKEN} == {name for name in dir(EncoderContract) if name.startswith("test_")}
