"""A generated shop: product kinds, prices, stock, visits, baskets, returns, and what is used up bought again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.tables import Dataset
from palate.entities import CATEGORY, EVENT, ITEM, RATING, TEXT, TIMESTAMP, TITLE, USER

DAY = 86_400.0
START, DAYS = 1_767_225_600.0, 180  # from 2026-01-01 on
STAY = 75.0  # days that a customer stays on average, beyond the first three weeks
VISIT_DAYS = 10.0  # between two visits of a customer, in the middle
VIEWED = 3.0  # products of a visit, beyond the first, on average
CARTED, BOUGHT, AGAIN, RETURNED = (
    0.4,
    0.7,
    0.7,
    0.06,
)  # shares: of the viewed, of the carted, of what is due, of durables
LATE_ITEMS, SOLD_OUT = 0.15, 0.05  # shares of the products


@dataclass(frozen=True, slots=True)
class ProductKind:
    """Products of one category: each is one of the makes of one of the things.

    Attributes:
        prices: Lowest and highest.
        sentence: What a text says; {0} is the note of the make, {1} the thing.
        makes: By name, with a note. The same places of two kinds suit the same people.
        cycle: Days after which it is used up; None of what lasts.
    """

    name: str
    prices: tuple[float, float]
    sentence: str
    things: tuple[str, ...]
    makes: tuple[tuple[str, str], ...]
    cycle: float | None = None


KINDS = (
    ProductKind(
        "coffee",
        (7.0, 24.0),
        "Coffee with {0}. Roasted every Tuesday and packed as {1}.",
        ("whole beans 250 g", "filter grind 250 g", "espresso beans 500 g", "decaf beans 250 g"),
        (
            ("Yirgacheffe", "jasmine and lemon, a light roast"),
            ("Nyeri", "blackcurrant, a light roast"),
            ("Huila", "caramel and red apple, a medium roast"),
            ("Santos", "hazelnut, a mild medium roast"),
            ("Antigua", "cocoa and orange, a dark roast"),
            ("Mandheling", "cedar and spice, a heavy dark roast"),
        ),
        16.0,
    ),
    ProductKind(
        "tea",
        (5.0, 18.0),
        "Tea with {0}, sold as {1}.",
        ("tin 100 g", "refill 200 g", "tea bags, box of 40", "sample box"),
        (
            ("Jasmine Green", "flowers and a light cup"),
            ("Sencha", "fresh grass and a light cup"),
            ("Darjeeling", "muscatel and a clear cup"),
            ("Earl Grey", "bergamot and a full cup"),
            ("Assam", "malt and a strong cup"),
            ("Lapsang", "wood smoke and a strong cup"),
        ),
        28.0,
    ),
    ProductKind(
        "soap",
        (3.0, 16.0),
        "Vegetable soap with {0}, without palm oil, as {1}.",
        ("bar soap 100 g", "hand wash 300 ml", "shower gel 250 ml", "hand wash refill 1 l"),
        (
            ("Lavender", "dried lavender flowers"),
            ("Lemon Verbena", "verbena leaves and lemon peel"),
            ("Olive", "cold pressed olive oil"),
            ("Oat Milk", "oat milk for dry skin"),
            ("Sandalwood", "sandalwood oil"),
            ("Tar", "birch tar, dark and smoky"),
        ),
        32.0,
    ),
    ProductKind(
        "cat food",
        (9.0, 38.0),
        "Complete food for cats with {0}: {1}.",
        ("tins, 12 × 85 g", "dry food 2 kg", "pouches, 24 × 50 g", "kitten food 1 kg"),
        (
            ("Whitefish", "whitefish and rice"),
            ("Tuna", "tuna and pumpkin"),
            ("Chicken", "chicken and carrot"),
            ("Turkey", "turkey and oats"),
            ("Duck", "duck and potato"),
            ("Venison", "venison and beet"),
        ),
        12.0,
    ),
    ProductKind(
        "kitchen",
        (9.0, 95.0),
        "For cooking at home: {1} made of {0}.",
        ("saucepan", "chopping board", "mixing bowl", "baking dish"),
        (
            ("White Enamel", "steel under white enamel"),
            ("Clear Glass", "glass that stands the oven"),
            ("Beech", "oiled beech"),
            ("Stoneware", "glazed stoneware"),
            ("Cast Iron", "seasoned cast iron"),
            ("Dark Slate", "slate with a rough edge"),
        ),
    ),
    ProductKind(
        "tableware",
        (6.0, 60.0),
        "For the table: {1} of {0}.",
        ("mugs, set of 2", "dinner plates, set of 4", "cereal bowls, set of 4", "serving platter"),
        (
            ("Porcelain", "thin white porcelain"),
            ("Blue Stripe", "porcelain with a painted blue stripe"),
            ("Speckled", "speckled stoneware"),
            ("Terracotta", "unglazed terracotta"),
            ("Charcoal", "matt charcoal stoneware"),
            ("Smoked Glass", "smoked glass"),
        ),
    ),
    ProductKind(
        "lighting",
        (14.0, 140.0),
        "A light for the living room: {1} with {0}.",
        ("table lamp", "pendant lamp", "floor lamp", "clip lamp"),
        (
            ("Paper", "a shade of folded paper"),
            ("Opal", "a globe of opal glass"),
            ("Rattan", "a woven rattan shade"),
            ("Brass", "a brushed brass arm"),
            ("Copper", "a hammered copper shade"),
            ("Black Steel", "a frame of black steel"),
        ),
    ),
    ProductKind(
        "linen",
        (8.0, 120.0),
        "Textiles for the home: {1}, {0}.",
        ("bath towel", "duvet cover", "tablecloth", "kitchen towels, set of 3"),
        (
            ("White Percale", "crisp white cotton"),
            ("Sky Waffle", "light blue waffle weave"),
            ("Sand Linen", "washed linen the colour of sand"),
            ("Olive Linen", "washed linen in olive green"),
            ("Rust Cotton", "heavy cotton in rust"),
            ("Anthracite", "heavy cotton in anthracite"),
        ),
    ),
    ProductKind(
        "garden",
        (5.0, 80.0),
        "For balcony and bed: {1}, {0}.",
        ("watering can", "hand trowel", "planter", "pruning shears"),
        (
            ("Mint", "powder coated in mint"),
            ("Zinc", "zinc that does not rust"),
            ("Ash", "with parts of ash wood"),
            ("Terracotta Pot", "the colour of terracotta"),
            ("Copper Spade", "forged copper"),
            ("Iron", "blackened iron"),
        ),
    ),
    ProductKind(
        "paper",
        (3.0, 32.0),
        "For the desk: {1} with {0}.",
        ("notebook A5", "wall calendar", "letter set", "sketchbook A4"),
        (
            ("Pressed Flower", "pressed flowers on the cover"),
            ("Watercolour", "watercolour skies on the cover"),
            ("Kraft", "a cover of brown kraft board"),
            ("Botanical", "old botanical plates on the cover"),
            ("Letterpress", "letterpress type on the cover"),
            ("Night", "black pages for white ink"),
        ),
    ),
    ProductKind(
        "toys",
        (6.0, 70.0),
        "For children from three: {1}, {0}.",
        ("building blocks", "puzzle, 60 pieces", "hand puppet", "pull-along animal"),
        (
            ("Cloud", "in pale colours"),
            ("Seaside", "boats, gulls and shells"),
            ("Meadow", "rabbits, bees and clover"),
            ("Farm", "cows, hens and a tractor"),
            ("Fox", "foxes in an autumn wood"),
            ("Dragon", "a dragon and its castle"),
        ),
    ),
    ProductKind(
        "bags",
        (12.0, 150.0),
        "To carry things: {1} of {0}.",
        ("tote bag", "backpack", "weekender", "pouch"),
        (
            ("Natural Canvas", "undyed canvas"),
            ("Sail", "used sailcloth"),
            ("Straw", "plaited straw"),
            ("Waxed Cotton", "waxed olive cotton"),
            ("Saddle Leather", "brown saddle leather"),
            ("Black Leather", "black leather"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """Products as arrays, (I,) each: position of the kind, of the make, price among its kind, cycle, first day."""

    kind: NDArray[np.int64]
    make: NDArray[np.int64]
    dearness: Array
    cycle: Array
    launch: Array
    level: Array


@dataclass(slots=True)
class _Rows:
    """The log as it grows."""

    users: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    days: list[float] = field(default_factory=list)

    def add(self, user: int, item: int, event: str, day: float) -> None:
        self.users.append(user)
        self.items.append(item)
        self.events.append(event)
        self.days.append(day)


def shop_sample(*, users: int = 600, items: int = 240, rng: np.random.Generator) -> Dataset:
    """Generate a shop of twelve kinds of products and half a year of what its customers do.

    A customer likes some kinds, some makes and a level of prices; a visit is views, of which some go to the cart and
    most of these are bought. Coffee, tea, soap and cat food are bought again when they are used up, whatever lasts is
    not. Some of what lasts is returned. New customers come until the end, more every week, and new products too.

    Args:
        rng: Source of everything; the same state gives the same shop.
    Returns:
        Events ``view``, ``add-to-cart``, ``purchase`` and ``return`` with times; items with title, text, category and
        the columns ``price`` and ``stock``.
    """
    table, catalogue = _products(items, rng)
    rows = _Rows()
    appeal = _appeal(users, catalogue, rng)
    for user in range(users):
        _customer(rows, user, appeal[user], catalogue, rng)
    names = np.array([f"c{number:0{len(str(users))}d}" for number in range(1, users + 1)])
    interactions = pl.DataFrame(
        {
            USER: names[rows.users],
            ITEM: table[ITEM].gather(rows.items),
            RATING: pl.Series([None] * len(rows.users), dtype=pl.Float64),
            EVENT: rows.events,
            TIMESTAMP: START + np.floor(np.array(rows.days) * DAY),
        }
    ).sort(TIMESTAMP, maintain_order=True)
    return Dataset(interactions, table, pl.DataFrame({USER: names}), name="shop")


def _products(items: int, rng: np.random.Generator) -> tuple[pl.DataFrame, _Catalogue]:
    numbers = np.arange(items)
    kind, rest = numbers % len(KINDS), numbers // len(KINDS)
    make, thing, pack = rest % 6, rest // 6 % 4, rest // 24
    dearness = np.clip(rng.normal(0.0, 1.0, items), -2.0, 2.0)
    titles, texts, prices = [], [], []
    for at in range(items):
        of = KINDS[kind[at]]
        (name, note), what = of.makes[make[at]], of.things[thing[at]]
        titles.append(f"{name} {what}" + (f", pack of {pack[at] + 1}" if pack[at] else ""))
        texts.append(of.sentence.format(note, what))
        low, high = of.prices
        prices.append(round(low * (high / low) ** ((dearness[at] + 2.0) / 4.0) * (1 + pack[at])) - 0.05)
    stock = np.where(rng.random(items) < SOLD_OUT, 0, rng.integers(1, 200, items))
    table = pl.DataFrame(
        {
            ITEM: [f"p{number:0{len(str(items))}d}" for number in range(1, items + 1)],
            TITLE: titles,
            TEXT: texts,
            CATEGORY: [KINDS[place].name for place in kind],
            "price": prices,
            "stock": stock,
        }
    )
    cycle = np.array([KINDS[place].cycle or np.inf for place in kind])
    launch = np.where(rng.random(items) < LATE_ITEMS, rng.uniform(0.0, 0.9 * DAYS, items), 0.0)
    return table, _Catalogue(kind, make, dearness, cycle, launch, rng.normal(0.0, 0.9, items))


def _appeal(users: int, of: _Catalogue, rng: np.random.Generator) -> Array:
    """How much each product appeals to each customer, (U, I)."""
    kinds, makes = rng.normal(0.0, 1.3, (users, len(KINDS))), rng.normal(0.0, 0.9, (users, 6))
    spends = rng.normal(0.0, 0.8, (users, 1))
    return np.asarray(of.level + kinds[:, of.kind] + makes[:, of.make] - 0.4 * (of.dearness - spends) ** 2)


def _customer(rows: _Rows, user: int, appeal: Array, of: _Catalogue, rng: np.random.Generator) -> None:
    """All visits of one customer, from the day they come: when they feel like it, or when something is used up."""
    day = (DAYS - 1) * float(np.sqrt(rng.random()))  # the shop grows
    end = min(day + 21.0 + float(rng.exponential(STAY)), DAYS)
    every = VISIT_DAYS * float(rng.lognormal(0.0, 0.5))
    used_up: dict[int, float] = {}  # by product bought the day, which of what lasts never comes
    while day < end:
        _visit(rows, user, day, appeal, of, used_up, rng)
        day += max(1.0, min(float(rng.exponential(every)), min(used_up.values(), default=np.inf) - day))


def _visit(
    rows: _Rows,
    user: int,
    day: float,
    appeal: Array,
    of: _Catalogue,
    used_up: dict[int, float],
    rng: np.random.Generator,
) -> None:
    is_open = of.launch <= day
    is_open[list(used_up)] = False
    drawn = np.where(is_open, appeal + rng.gumbel(0.0, 1.0, len(appeal)), -np.inf)
    viewed = np.argsort(-drawn)[: min(1 + int(rng.poisson(VIEWED)), int(is_open.sum()))].tolist()
    carted = [item for item in viewed if rng.random() < CARTED]
    chosen = [item for item in carted if rng.random() < BOUGHT]
    due = [item for item, until in used_up.items() if until <= day]
    again = [item for item in due if rng.random() < AGAIN]  # the others are bought elsewhere
    minute, at = 1.0 / 1440.0, day
    for event, items in (("view", [*again, *viewed]), ("add-to-cart", [*again, *carted]), ("purchase", again + chosen)):
        for item in items:
            at += minute
            rows.add(user, item, event, at)
    for item in {*due, *chosen}:
        used_up[item] = day + of.cycle[item] * float(rng.lognormal(0.0, 0.25))
    for item in chosen:
        back = day + float(rng.uniform(3.0, 12.0))
        if np.isinf(of.cycle[item]) and rng.random() < RETURNED and back < DAYS:
            rows.add(user, item, "return", back)
