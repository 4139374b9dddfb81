"""A generated world whose tastes are known: for tests, and for a demonstration without any download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.datasets.tables import Dataset
from palate.entities import CATEGORY, EVENT, ITEM, RATING, TEXT, TIMESTAMP, TITLE, USER

LOWEST, HIGHEST = 1, 5
CENTRE = 3.3  # mean rating of an item of level 0
NOISE = 0.6  # standard deviation of a rating around what the taste says, before rounding
SHOWN = 0.25  # mean share of the catalogue that a user has rated
LIKING = 0.5  # how much more the liked is seen: exposure is not at random
START = 1_700_000_000.0  # 2023-11-14
SPAN = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Topic:
    """What items of one kind are written with; ``details`` also move an item's factors a little."""

    name: str
    things: tuple[str, ...]
    details: tuple[str, ...]
    sentences: tuple[str, ...]


TOPICS = (
    Topic(
        "space",
        ("Starship", "Comet", "Orbit", "Galaxy", "Lunar Base", "Nebula"),
        ("a stranded astronaut", "an alien signal", "a dying sun", "a robot pilot", "a wormhole", "a mission to Mars"),
        ("A science fiction film about {0} and {1}.", "Far from Earth, a spaceship crew meets {0}, then {1}."),
    ),
    Topic(
        "crime",
        ("Detective", "Murder", "Alibi", "Heist", "Witness", "Verdict"),
        ("a missing body", "a corrupt police chief", "a forged will", "a bank robbery", "a courtroom duel", "a spy"),
        ("A crime thriller with {0} and {1}.", "An inspector hunts a killer and stumbles over {0} and {1}."),
    ),
    Topic(
        "romance",
        ("Love Letter", "Wedding", "Kiss", "Heartbeat", "Summer Love", "Bride"),
        ("a first kiss", "a jealous aunt", "a broken promise", "a dance in Paris", "a secret letter", "a lost ring"),
        ("A tender love story of {0} and {1}.", "Two strangers fall in love; there is {0}, and in the end {1}."),
    ),
    Topic(
        "baking",
        ("Chocolate Cake", "Bread", "Apple Pie", "Cookies", "Croissant", "Cheesecake"),
        ("melted butter", "sourdough starter", "vanilla cream", "roasted almonds", "cinnamon sugar", "brown flour"),
        ("A recipe to bake at home with {0} and {1}.", "Knead the dough, add {0} and {1}, and bake until golden."),
    ),
    Topic(
        "street food",
        ("Tacos", "Noodle Soup", "Dumplings", "Curry", "Falafel", "Kebab"),
        ("hot chillies", "grilled pork", "fresh coriander", "fried tofu", "garlic and ginger", "lime juice"),
        ("A spicy dish from the night market with {0} and {1}.", "Cook it in a wok with {0}; serve with {1}."),
    ),
    Topic(
        "football",
        ("Penalty", "Cup Final", "Goalkeeper", "Derby", "Striker", "Transfer"),
        ("a late goal", "an injured captain", "a red card", "a new coach", "a sold-out stadium", "a title race"),
        ("Football news: the match brought {0} and {1}.", "The league talks about {0} and {1} after the weekend."),
    ),
    Topic(
        "gardening",
        ("Roses", "Tomato Bed", "Compost", "Orchard", "Herb Garden", "Greenhouse"),
        ("rich soil", "hungry slugs", "spring seedlings", "a rain barrel", "pruned branches", "wild bees"),
        ("A gardening guide to {0} and {1}.", "What to plant this month, and how to deal with {0} and {1}."),
    ),
    Topic(
        "jazz",
        ("Saxophone", "Blue Note", "Swing", "Trumpet", "Quartet", "Midnight Session"),
        ("a walking bass", "a long piano solo", "brushed drums", "a smoky voice", "a live audience", "a big band"),
        ("A jazz album with {0} and {1}.", "The band improvises over {0}; the last track has {1}."),
    ),
)
ADJECTIVES = ("Golden", "Last", "Quiet", "Grand", "Little", "Hidden", "Northern", "Perfect", "Lost", "Simple", "Old")


@dataclass(frozen=True, slots=True, eq=False)
class PlantedWorld:
    """A data set and the truth behind it, rows of the arrays in the order of ``user_ids`` and ``item_ids``.

    Attributes:
        dataset: Ratings 1 to 5 with times, items with title, text and category.
        tastes: Each user's taste, shape (U, D).
        factors: Each item's factors, shape (I, D).
        levels: Each item's level above the common mean, shape (I,).
        topics: Each item's place in TOPICS, shape (I,).
    """

    dataset: Dataset
    tastes: NDArray[np.float64]
    factors: NDArray[np.float64]
    levels: NDArray[np.float64]
    topics: NDArray[np.int64]
    user_ids: list[str]
    item_ids: list[str]

    def expected(self) -> NDArray[np.float64]:
        """The rating that each user would give on average, before noise, rounding and the ends of the scale; (U, I)."""
        return CENTRE + self.levels + self.tastes @ self.factors.T


def planted_world(*, users: int = 400, items: int = 240, dimensions: int = 4, rng: np.random.Generator) -> PlantedWorld:
    """Generate a world.

    An item belongs to a topic and names two details of it; its factors are the topic's, moved by the details and by
    some noise, so its text tells most of them. A user's rating is a common mean, the item's level, taste times
    factors and noise, rounded to 1 to 5. Popular items and liked topics are seen more.

    Args:
        dimensions: Length D of tastes and factors.
        rng: Source of everything; the same state gives the same world.
    """
    topics = rng.permutation(np.arange(items) % len(TOPICS))
    details = np.argsort(rng.random((items, len(TOPICS[0].details))), axis=1)[:, :2]
    factors = _factors(topics, details, dimensions, rng)
    levels = rng.normal(0, 0.35, items)
    tastes = rng.normal(0, 1, (users, dimensions))
    user_ids = [f"u{number:0{len(str(users))}d}" for number in range(1, users + 1)]
    item_ids = [f"i{number:0{len(str(items))}d}" for number in range(1, items + 1)]
    mean = CENTRE + levels + tastes @ factors.T
    rows, columns = np.nonzero(_exposure(tastes @ factors.T, levels, rng))
    ratings = np.clip(np.rint(mean[rows, columns] + rng.normal(0, NOISE, len(rows))), LOWEST, HIGHEST)
    interactions = pl.DataFrame(
        {
            USER: pl.Series(user_ids).gather(rows),
            ITEM: pl.Series(item_ids).gather(columns),
            RATING: ratings,
            EVENT: pl.Series([None], dtype=pl.String).new_from_index(0, len(rows)),
            TIMESTAMP: _times(rows, users, rng),
        }
    ).sort(TIMESTAMP, maintain_order=True)
    dataset = Dataset(
        interactions, _items(item_ids, topics, details, rng), pl.DataFrame({USER: user_ids}), name="planted"
    )
    return PlantedWorld(dataset, tastes, factors, levels, topics, user_ids, item_ids)


def _factors(
    topics: NDArray[np.int64], details: NDArray[np.int64], dimensions: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Factors with a mean squared length of about 0.8, so that taste moves ratings by about 0.9; shape (I, D)."""
    centres = rng.normal(0, 1, (len(TOPICS), dimensions))
    centres *= np.sqrt(0.6) / np.linalg.norm(centres, axis=1, keepdims=True)
    shifts = rng.normal(0, np.sqrt(0.15 / dimensions), (len(TOPICS), len(TOPICS[0].details), dimensions))
    own = rng.normal(0, np.sqrt(0.05 / dimensions), (len(topics), dimensions))
    moved: NDArray[np.float64] = centres[topics] + shifts[topics[:, None], details].sum(axis=1) + own
    return moved


def _exposure(liking: NDArray[np.float64], levels: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Who has seen what, shape (U, I): for each user the top of popularity, liking and chance."""
    users, items = liking.shape
    popularity = rng.normal(0, 1, items) + levels
    seen = np.clip(rng.lognormal(np.log(SHOWN * items) - 0.125, 0.5, users), 1, items).astype(np.int64)
    appeal = popularity + LIKING * liking + rng.gumbel(0, 1, (users, items))
    places = np.argsort(np.argsort(-appeal, axis=1), axis=1)
    exposed: NDArray[np.bool_] = places < seen[:, None]
    return exposed


def _times(rows: NDArray[np.int64], users: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Each user arrives at some time and rates over some weeks; whole seconds, shape (N,)."""
    arrivals = rng.random(users) * SPAN * 0.8
    return np.floor(START + arrivals[rows] + rng.exponential(SPAN / 20, len(rows)))


def _items(
    item_ids: list[str], topics: NDArray[np.int64], details: NDArray[np.int64], rng: np.random.Generator
) -> pl.DataFrame:
    titles, texts = [], []
    for topic, (first, second) in zip((TOPICS[place] for place in topics), details, strict=True):
        titles.append(f"{ADJECTIVES[rng.integers(len(ADJECTIVES))]} {topic.things[rng.integers(len(topic.things))]}")
        sentence = topic.sentences[rng.integers(len(topic.sentences))]
        texts.append(sentence.format(topic.details[first], topic.details[second]))
    categories = [TOPICS[place].name for place in topics]
    return pl.DataFrame({ITEM: item_ids, TITLE: titles, TEXT: texts, CATEGORY: categories})
