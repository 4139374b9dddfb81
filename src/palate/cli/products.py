"""The four kinds of product that `palate demo` shows: where their data comes from, and how one speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from palate.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from palate.datasets.tables import Dataset


@dataclass(frozen=True, slots=True)
class Product:
    """One kind.

    Attributes:
        event: What a newcomer does, in the past: "read".
        formats: Of the data that ``--data`` takes, besides Palate's own folder.
    """

    name: str
    event: str
    formats: str

    def generate(self, rng: np.random.Generator) -> Dataset:
        """A log of this kind (:mod:`palate.datasets.samples`), without any download."""
        made: Dataset = getattr(import_module(f"palate.datasets.samples.{self.name}"), f"{self.name}_sample")(rng=rng)
        return made


PRODUCTS: Mapping[str, Product] = {
    one.name: one
    for one in (
        Product("news", "read", "MIND"),
        Product("shop", "bought", "Online Retail and Amazon reviews"),
        Product("video", "watched", "KuaiRand and MovieLens"),
        Product("social", "liked", "Polis, MovieTweetings and Last.fm (HetRec)"),
    )
}


def product_of(name: str) -> Product:
    """By its name.

    Raises:
        OptionError: If there is none.
    """
    if name not in PRODUCTS:
        raise OptionError(f"product {name!r} is unknown. There are {', '.join(PRODUCTS)}.")
    return PRODUCTS[name]
