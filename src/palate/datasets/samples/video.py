"""A generated video site: who was shown which video, how much of it was watched, and what was liked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.tables import Dataset
from palate.entities import CATEGORY, EVENT, ITEM, RATING, TEXT, TIMESTAMP, TITLE, USER
from palate.errors.checks import count

START = 1_788_220_800.0  # 1 September 2026
DAY = 86_400.0
SPAN = 42 * DAY  # that the log covers
LAST_ARRIVAL = 0.92  # share of it after which nobody new comes
STAY = 5 * DAY  # mean time for which somebody watches
NEW = 0.3  # share of the videos that are published while the log runs
SHOWN = 45  # videos that a user is shown, in the middle
DIMENSIONS = 5
SKIPPED = 0.15  # of a video watched, below which it was skipped
REPLAYED = 1.6  # of a video watched, at most: somebody looks again


@dataclass(frozen=True, slots=True)
class Kind:
    """What videos of one kind are about and called; ``seconds`` is how long one is, in the middle."""

    name: str
    seconds: float
    things: tuple[str, ...]
    titles: tuple[str, ...]
    texts: tuple[str, ...]


KINDS = (
    Kind(
        "cooking",
        240,
        ("dumplings", "sourdough bread", "apple pie", "ramen", "tacos", "lentil curry", "cheesecake", "pickles"),
        ("How to make {0} at home", "{0} in ten minutes", "My grandmother's {0}", "Why your {0} fails", "Cheap {0}"),
        ("A recipe for {0}, step by step.", "We cook {0} with what is in the kitchen.", "{0}: three ways, one winner."),
    ),
    Kind(
        "football",
        150,
        (
            "penalty shoot-outs",
            "late goals",
            "goalkeepers",
            "free kicks",
            "derbies",
            "cup upsets",
            "red cards",
            "debuts",
        ),
        ("The best {0} of the season", "{0} explained", "Ten {0} you forgot", "{0}: the long cut", "Talking {0}"),
        ("A look back at {0} from the league.", "Match scenes and comments: {0}.", "The coach speaks about {0}."),
    ),
    Kind(
        "travel",
        600,
        ("Lisbon", "the night train", "Kyoto", "the Alps", "Oaxaca", "island ferries", "Tbilisi", "desert roads"),
        (
            "{0} in three days",
            "{0} on a small budget",
            "What nobody tells you about {0}",
            "{0}, no plan",
            "{0} at dawn",
        ),
        ("A travel film about {0}.", "We pack light and go: {0}, by bus and on foot.", "Streets, food and views: {0}."),
    ),
    Kind(
        "science",
        720,
        (
            "black holes",
            "octopus brains",
            "vaccines",
            "earthquakes",
            "fusion",
            "bird migration",
            "prime numbers",
            "soil",
        ),
        ("{0} in plain words", "The truth about {0}", "The trouble with {0}", "A short history of {0}", "Inside {0}"),
        ("A scientist explains {0}.", "Experiments and drawings: {0}.", "What is known about {0}, and what is not."),
    ),
    Kind(
        "comedy",
        60,
        (
            "office meetings",
            "first dates",
            "flat hunting",
            "group chats",
            "self checkouts",
            "parents",
            "gym talk",
            "cats",
        ),
        ("{0} in real life", "If {0} were honest", "Every time: {0}", "{0}, the sketch", "Stand-up: {0}"),
        ("A short sketch about {0}.", "Stand-up on {0}, recorded live.", "Two friends act out {0}."),
    ),
    Kind(
        "gaming",
        900,
        ("speed runs", "farm building", "chess endings", "racing setups", "boss fights", "pixel art", "co-op", "mods"),
        ("{0} for beginners", "Trying {0} for a week", "{0}: full stream", "Perfect {0}", "The state of {0}"),
        ("We play and talk: {0}.", "A guide to {0}, with the settings.", "A stream about {0}, cut to the good parts."),
    ),
    Kind(
        "fitness",
        420,
        ("stretching", "kettlebells", "running form", "yoga", "planks", "swimming", "climbing", "sleep"),
        ("{0}: do this every day", "Twenty minutes of {0}", "{0} without equipment", "Mistakes in {0}", "Better {0}"),
        ("A trainer shows {0}.", "Warm up, then {0}; no music, clear counts.", "A plan of four weeks for {0}."),
    ),
    Kind(
        "music",
        200,
        ("jazz piano", "lo-fi beats", "folk songs", "synthesizers", "choirs", "guitar riffs", "drum solos", "tango"),
        ("{0}, live in the kitchen", "One hour of {0}", "Learn {0} in a week", "{0} on the street", "Late night {0}"),
        ("A session of {0}, recorded in one take.", "Musicians play {0}.", "Sheet music and sound: {0}."),
    ),
)


def video_sample(*, users: int = 600, items: int = 240, rng: np.random.Generator) -> Dataset:
    """Generate the log of a video site over six weeks.

    A video has one of eight kinds and is about one thing; people differ in which kinds and things they like and in how
    long a video may be. Popular, liked and newer videos are shown more. Of a video shown little is watched (``skip``)
    or more (``play``), and some are liked (``like``). New people arrive and new videos are published all the time.

    Args:
        users, items: Their numbers, at least 1.
        rng: Source of everything; the same state gives the same log.
    Returns:
        Interactions with an event and a time, and as further columns ``seconds``, the time watched, and ``share``, of
        the video, above 1 where somebody looked again. Items have title, text and category, and as further columns
        ``duration`` in seconds and ``published``, seconds since the epoch.
    Raises:
        OptionError: If a number is below 1.
    """
    count(users, "users", least=1)
    count(items, "items", least=1)
    kinds, things = rng.permutation(np.arange(items) % len(KINDS)), rng.integers(0, len(KINDS[0].things), items)
    durations = _durations(kinds, rng)
    published = np.where(rng.random(items) < NEW, rng.random(items) * SPAN * LAST_ARRIVAL, 0.0)
    interest = _interest(kinds, things, durations, users, rng)
    who, what, when = _shown(interest, published, rng)
    shares = _shares(interest[who, what], durations[what], rng)
    user_ids = [f"u{number:0{len(str(users))}d}" for number in range(1, users + 1)]
    item_ids = [f"v{number:0{len(str(items))}d}" for number in range(1, items + 1)]
    liked = (shares > SKIPPED) & (rng.random(len(who)) < 0.35 / (1.0 + np.exp(2.0 - 1.5 * interest[who, what])))
    watched = pl.DataFrame(
        {
            USER: pl.Series(user_ids).gather(who),
            ITEM: pl.Series(item_ids).gather(what),
            EVENT: np.where(shares < SKIPPED, "skip", "play"),
            TIMESTAMP: START + when,
            "seconds": np.round(shares * durations[what], 1),
            "share": np.round(shares, 3),
        }
    )
    likes = watched.filter(liked).with_columns(
        pl.lit("like").alias(EVENT), pl.col(TIMESTAMP) + np.ceil(durations[what][liked]), seconds=None, share=None
    )
    rows = pl.concat([watched, likes], how="vertical_relaxed").sort(TIMESTAMP, maintain_order=True)
    rows = rows.insert_column(2, pl.lit(None, dtype=pl.Float64).alias(RATING))
    table = _items(item_ids, kinds, things, durations, published, rng)
    return Dataset(rows, table, pl.DataFrame({USER: user_ids}), "video sample")


def _durations(kinds: NDArray[np.int64], rng: np.random.Generator) -> Array:
    """Seconds, (I,)."""
    middle = np.array([kind.seconds for kind in KINDS])[kinds]
    return np.ceil(np.clip(middle * rng.lognormal(0.0, 0.5, len(kinds)), 8.0, 5_400.0))


def _interest(
    kinds: NDArray[np.int64], things: NDArray[np.int64], durations: Array, users: int, rng: np.random.Generator
) -> Array:
    """What each user thinks of each video, about normal, (U, I)."""
    centres = rng.normal(0.0, 1.0, (len(KINDS), DIMENSIONS))
    about = rng.normal(0.0, 0.5, (len(KINDS), len(KINDS[0].things), DIMENSIONS))
    vectors = centres[kinds] + about[kinds, things] + rng.normal(0.0, 0.25, (len(kinds), DIMENSIONS))
    tastes = rng.normal(0.0, 1.0 / np.sqrt(DIMENSIONS), (users, DIMENSIONS))
    length = np.log(durations / 240.0)
    patience = rng.normal(0.0, 0.25, users)
    return np.asarray(tastes @ vectors.T + patience[:, None] * length + rng.normal(0.0, 0.4, len(kinds)))


def _shown(
    interest: Array, published: Array, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Who was shown what and when, in seconds from the start, (N,) each: every pair at most once."""
    users, items = interest.shape
    arrival = np.sort(rng.random(users)) * SPAN * LAST_ARRIVAL
    left = np.minimum(arrival + 0.5 * DAY + rng.exponential(STAY, users), SPAN)
    there = published[None, :] < left[:, None]
    fresh = 0.8 * (published > 0.0) * (published[None, :] > arrival[:, None] - 4 * DAY)
    appeal = rng.normal(0.0, 0.8, items) + 0.7 * interest + fresh + rng.gumbel(0.0, 1.0, (users, items))
    places = np.argsort(np.argsort(-np.where(there, appeal, -np.inf), axis=1), axis=1)
    sizes = np.clip(SHOWN * rng.lognormal(-0.1, 0.6, users), 3, items).astype(np.int64)
    who, what = np.nonzero((places < sizes[:, None]) & there)
    first = np.maximum(arrival[who], published[what])
    when = first + rng.random(len(who)) * (left[who] - first)
    return who, what, np.floor(when)


def _shares(interest: Array, durations: Array, rng: np.random.Generator) -> Array:
    """Share of each video that was watched, (N,): more of what is liked, and more of a short one."""
    drawn = 0.9 * interest - 0.35 * np.log(durations / 240.0) + rng.normal(0.0, 1.0, len(interest)) - 0.6
    watched = 1.0 / (1.0 + np.exp(-1.8 * drawn))
    again = (watched > 0.93) & (rng.random(len(watched)) < 0.3)
    return np.where(again, 1.0 + (REPLAYED - 1.0) * rng.random(len(watched)), watched)


def _items(
    item_ids: list[str],
    kinds: NDArray[np.int64],
    things: NDArray[np.int64],
    durations: Array,
    published: Array,
    rng: np.random.Generator,
) -> pl.DataFrame:
    titles, texts, told = [], [], dict[str, int]()
    for kind, place in zip((KINDS[place] for place in kinds), things.tolist(), strict=True):
        thing = kind.things[place]
        title = _sentence(kind.titles[rng.integers(len(kind.titles))], thing)
        told[title] = told.get(title, 0) + 1
        titles.append(title if told[title] == 1 else f"{title}, part {told[title]}")
        texts.append(_sentence(kind.texts[rng.integers(len(kind.texts))], thing))
    return pl.DataFrame(
        {
            ITEM: item_ids,
            TITLE: titles,
            TEXT: texts,
            CATEGORY: [KINDS[place].name for place in kinds],
            "duration": durations,
            "published": START + np.floor(published),
        }
    )


def _sentence(form: str, thing: str) -> str:
    text = form.format(thing)
    return text[0].upper() + text[1:]
