"""What every encoder must keep, runnable on an encoder of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from palate.encoders.protocol import Encoder

TEXTS = (
    "The Godfather, crime and drama",
    "A documentary about whales",
    "三体，科幻小说",
    "Ça va? Ünïcödé ☕🎬",
    "whales",
)
HARD_TEXTS = ("", " \n\t", "😀" * 50, "word " * 5_000, "\N{RIGHT-TO-LEFT OVERRIDE}abc\N{ZERO WIDTH SPACE}")
BATCH_TOLERANCE = 1e-4  # of the largest absolute value; padding moves float32 vectors by about 1e-6


class EncoderContract(ABC):
    """Subclass it in a test file under a name that starts with ``Test`` and say how to make the encoder.

    Making it is repeated for each test; an encoder that is slow to load is best cached by the subclass.

    Example:
        >>> class TestMine(EncoderContract):
        ...     def make(self):
        ...         return MyEncoder()
    """

    @abstractmethod
    def make(self) -> Encoder:
        """The encoder under test."""

    def test_it_says_what_it_is(self) -> None:
        encoder = self.make()
        assert isinstance(encoder.name, str), f"name {encoder.name!r} is not text"
        assert encoder.name, "name is empty: the cache and saved models know an encoder by it"
        assert isinstance(encoder.revision, str), f"revision {encoder.revision!r} is not text"
        assert encoder.revision, "revision is empty: other weights under the same name would share cached vectors"
        assert encoder.dim >= 1, f"dim is {encoder.dim}"

    def test_vectors_are_finite_float32_of_the_promised_shape(self) -> None:
        encoder = self.make()
        vectors = encoder.encode(list(TEXTS))
        assert vectors.shape == (len(TEXTS), encoder.dim), f"shape {vectors.shape}, not {(len(TEXTS), encoder.dim)}"
        assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"
        assert np.isfinite(vectors).all(), "a vector holds a value that is not finite"

    def test_no_texts_give_no_vectors(self) -> None:
        encoder = self.make()
        vectors = encoder.encode([])
        assert vectors.shape == (0, encoder.dim), f"shape {vectors.shape}, not {(0, encoder.dim)}"
        assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"

    def test_the_same_text_has_the_same_vector(self) -> None:
        encoder = self.make()
        first, second = encoder.encode(list(TEXTS)), encoder.encode(list(TEXTS))
        assert np.array_equal(first, second), "encoding the same texts twice gave different vectors"

    def test_other_texts_have_other_vectors(self) -> None:
        vectors = self.make().encode(list(TEXTS))
        assert len(np.unique(vectors, axis=0)) == len(TEXTS), "two different texts have the same vector"

    def test_a_vector_does_not_depend_on_its_neighbours(self) -> None:
        encoder = self.make()
        together = encoder.encode(list(TEXTS))
        alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
        gap = float(np.abs(together - alone).max() / np.abs(together).max())
        assert gap <= BATCH_TOLERANCE, f"a text encoded alone differs from the same text in a batch by {gap:.1e}"

    def test_vectors_come_in_the_order_of_the_texts(self) -> None:
        encoder = self.make()
        forwards, backwards = encoder.encode(list(TEXTS)), encoder.encode(list(reversed(TEXTS)))
        gap = float(np.abs(forwards - backwards[::-1]).max() / np.abs(forwards).max())
        assert gap <= BATCH_TOLERANCE, f"reversing the texts did not reverse the vectors, gap {gap:.1e}"

    def test_hard_texts_are_encoded_too(self) -> None:
        encoder = self.make()
        vectors = encoder.encode(list(HARD_TEXTS))
        assert vectors.shape == (len(HARD_TEXTS), encoder.dim), f"shape {vectors.shape}"
        finite = np.isfinite(vectors).all(axis=1)
        assert finite.all(), f"not finite: {[HARD_TEXTS[i][:20] for i in np.flatnonzero(~finite)]}"

    def test_the_texts_are_left_as_they_were(self) -> None:
        texts = list(TEXTS)
        self.make().encode(texts)
        assert texts == list(TEXTS), "encode changed the list it was given"
