"""A shop: its events, its stock, a list for everybody, a list to buy again, and a question to somebody new.

Run it with ``python examples/shop.py``; it takes some seconds and works in a temporary folder. The calls are those that
the pages of a shop would make.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from palate import Recommender, events
from palate.datasets.samples import shop_sample

DAY = 86_400.0


def main() -> None:
    data = shop_sample(users=250, items=60, rng=np.random.default_rng(0))  # yours: Dataset.load("my-shop")
    stock = dict(zip(data.items["item_id"], data.items["stock"], strict=True))
    with tempfile.TemporaryDirectory() as place, Recommender.create(Path(place) / "model", data) as shop:
        print(f"{shop.set_stock(stock)} products are out of stock and in no list")
        new_customer(shop)
        regular = data.interactions["user_id"].mode().sort()[0]
        buys_again(shop, regular, now=float(data.interactions["timestamp"].to_numpy().max()))


def new_customer(shop: Recommender) -> None:
    """A first visit: one question about product kinds, a look around, a purchase, and what comes back."""
    (question,) = shop.ask("ann", forms=["group"], rng=np.random.default_rng(0))
    print(question.text)
    shop.tell(question.answer(question.items[:1]))
    shop.see(events("ann", ["p03", "p15"], kind="view"))
    shop.see(events("ann", ["p15"], kind="purchase"))
    shop.see(events("ann", ["p05"], kind="return"))
    for item in shop.recommend("ann", 3):
        print(f"  {item.title}: {item.reason}")


def buys_again(shop: Recommender, regular: str, now: float) -> None:
    """What a regular customer has used up by next week stands among what is new to them."""
    for item in shop.at(now + 7 * DAY).recommend(regular, 5, include_seen=True):
        print(f"  {item.chance:.0%} {item.title}: {item.reason}")


if __name__ == "__main__":
    main()
