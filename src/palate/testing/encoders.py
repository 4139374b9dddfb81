"""What every encoder must keep, runnable on an encoder of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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

    Attributes:
        contents: Five that are encoded and differ: texts, or bytes of files for an encoder of images or sounds.
        hard: Odd ones that must be encoded too.

    Example:
        >>> class TestMine(EncoderContract):
        ...     def make(self):
        ...         return MyEncoder()
    """

    contents: Sequence[Any] = TEXTS
    hard: Sequence[Any] = HARD_TEXTS

    @abstractmethod
    def make(self) -> Encoder:
        """The encoder under test."""

    def test_it_says_what_it_is(self) -> None:
        encoder = self.make()
        takes = getattr(encoder, "modality", None)
        assert takes in ("text", "image", "audio"), f"modality is {takes!r}, not text, image or audio"
        assert isinstance(encoder.name, str), f"name {encoder.name!r} is not text"
        assert encoder.name, "name is empty: the cache and saved models know an encoder by it"
        assert isinstance(encoder.revision, str), f"revision {encoder.revision!r} is not text"
        assert encoder.revision, "revision is empty: other weights under the same name would share cached vectors"
        assert encoder.dim >= 1, f"dim is {encoder.dim}"

    def test_vectors_are_finite_float32_of_the_promised_shape(self) -> None:
        encoder = self.make()
        vectors = encoder.encode(list(self.contents))
        expected = (len(self.contents), encoder.dim)
        assert vectors.shape == expected, f"shape {vectors.shape}, not {expected}"
        assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"
        assert np.isfinite(vectors).all(), "a vector holds a value that is not finite"

    def test_no_contents_give_no_vectors(self) -> None:
        encoder = self.make()
        vectors = encoder.encode([])
        assert vectors.shape == (0, encoder.dim), f"shape {vectors.shape}, not {(0, encoder.dim)}"
        assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"

    def test_the_same_content_has_the_same_vector(self) -> None:
        encoder = self.make()
        first, second = encoder.encode(list(self.contents)), encoder.encode(list(self.contents))
        assert np.array_equal(first, second), "encoding the same contents twice gave different vectors"

    def test_other_contents_have_other_vectors(self) -> None:
        vectors = self.make().encode(list(self.contents))
        assert len(np.unique(vectors, axis=0)) == len(self.contents), "two different contents have the same vector"

    def test_a_vector_does_not_depend_on_its_neighbours(self) -> None:
        encoder = self.make()
        together = encoder.encode(list(self.contents))
        alone = np.concatenate([encoder.encode([content]) for content in self.contents])
        gap = float(np.abs(together - alone).max() / np.abs(together).max())
        assert gap <= BATCH_TOLERANCE, f"a content encoded alone differs from the same one in a batch by {gap:.1e}"

    def test_vectors_come_in_the_order_of_the_contents(self) -> None:
        encoder = self.make()
        forwards, backwards = encoder.encode(list(self.contents)), encoder.encode(list(reversed(self.contents)))
        gap = float(np.abs(forwards - backwards[::-1]).max() / np.abs(forwards).max())
        assert gap <= BATCH_TOLERANCE, f"reversing the contents did not reverse the vectors, gap {gap:.1e}"

    def test_hard_contents_are_encoded_too(self) -> None:
        encoder = self.make()
        vectors = encoder.encode(list(self.hard))
        assert vectors.shape == (len(self.hard), encoder.dim), f"shape {vectors.shape}"
        bad = [content[:20] for content, row in zip(self.hard, vectors, strict=True) if not np.isfinite(row).all()]
        assert not bad, f"not finite: {bad}"

    def test_the_contents_are_left_as_they_were(self) -> None:
        contents = list(self.contents)
        self.make().encode(contents)
        assert contents == list(self.contents), "encode changed the list it was given"
