"""A generated news site: articles appear over two weeks, and are read mostly in the day or two after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.datasets.tables import Dataset
from palate.entities import CATEGORY, EVENT, ITEM, SLATE, TEXT, TIMESTAMP, TITLE, USER
from palate.errors.checks import count

PUBLISHED = "published"  # of items: seconds since the epoch, as text in ISO 8601 where a file has it
START = 1_762_128_000.0  # 2025-11-03, a Monday
DAY = 86_400.0
DAYS = 14.0
BEFORE = 1.5  # days before the first reader, since when there are articles
FADES, LASTS = 1.0, 12.0  # half-lives of attention, in days: of news, and of an article that stays of use
LASTING = 0.15  # share of such articles
SHOWN = 8  # articles of a visit
VISITS = 9.0  # of a reader in the mean
OLD_READERS = 0.3  # share of readers who are there on the first day; of the others more come every day
TASTE, SUBJECT, SCATTER = 1.3, 0.9, 0.7  # deviation of the logit of a click: by topic, by subject, by article
SELDOM = -1.3  # logit of a click on an average article
TO_THE_END, PASSED_ON = 0.35, 0.05  # shares of clicks that are read to the end, and shared


@dataclass(frozen=True, slots=True)
class Topic:
    """What articles of one kind are written with."""

    name: str
    subjects: tuple[str, ...]
    headlines: tuple[str, ...]
    abstracts: tuple[str, ...]


TOPICS = (
    Topic(
        "politics",
        ("housing", "schools", "the bus network", "property tax", "the harbour", "immigration"),
        (
            "{place} council splits over {subject}",
            "What the new plan for {subject} means for {place}",
            "Mayor of {place} promises vote on {subject} before spring",
            "Thousands in {place} sign petition on {subject}",
            "Minister visits {place} as row over {subject} grows",
        ),
        (
            "After six hours of debate the parties agree on one thing only: {subject} cannot wait.",
            "The draft law on {subject} goes to committee this week. Opponents say the figures do not add up.",
            "Voters name {subject} as their first concern, a poll finds. The coalition is looking for a way out.",
        ),
    ),
    Topic(
        "sport",
        ("football", "cycling", "tennis", "handball", "athletics", "swimming"),
        (
            "{place} wins again: a {subject} season nobody expected",
            "Injury ends {subject} hopes of {place}",
            "Young {subject} star from {place} signs first contract",
            "{place} to host national {subject} final",
            "How one coach turned {subject} in {place} around",
        ),
        (
            "A late comeback decided the match. The {subject} team now leads the table with a game in hand.",
            "The {subject} federation confirms the date. Tickets for the final are on sale from Monday.",
            "Coach and captain talk about training, pressure and what {subject} has given them.",
        ),
    ),
    Topic(
        "business",
        ("electric cars", "interest rates", "rents", "supermarkets", "start-ups", "shipping"),
        (
            "{place} bank bets on {subject}",
            "Winter is coming: what to expect of {subject}",
            "{place} firm cuts 300 jobs and blames {subject}",
            "Five charts that explain {subject}",
            "Investors return to {place} after the slump in {subject}",
        ),
        (
            "Quarterly figures show what {subject} did to the margins. Shares fell by four per cent.",
            "Analysts had expected less. What the numbers on {subject} say about the economy next year.",
            "The central bank sees risks in {subject}. Small companies already feel them.",
        ),
    ),
    Topic(
        "health",
        ("flu", "back pain", "diabetes", "migraine", "asthma", "high blood pressure"),
        (
            "New study on {subject} surprises doctors",
            "{place} hospital opens centre for {subject}",
            "What really helps against {subject}",
            "More patients with {subject} in the hospitals of {place}",
            "Seven myths about {subject}",
        ),
        (
            "Researchers followed 4,000 patients for ten years. Their advice on {subject} is simple.",
            "Doctors explain what is known about {subject}, and which treatments are worth the money.",
            "Staff are short and demand rises. How clinics deal with {subject} this winter.",
        ),
    ),
    Topic(
        "science",
        ("black holes", "volcanoes", "dinosaurs", "the deep sea", "glaciers", "bees"),
        (
            "Scientists in {place} solve old riddle of {subject}",
            "The strange new picture of {subject}",
            "Expedition from {place} sets out to study {subject}",
            "What {subject} can tell us about the climate",
            "Telescope, drill, microscope: ten years of work on {subject}",
        ),
        (
            "The discovery changes what textbooks say about {subject}. A second team has confirmed it.",
            "A new instrument measures {subject} ten times more finely. The first data are out.",
            "What is still unknown about {subject}: a talk with the head of the project.",
        ),
    ),
    Topic(
        "technology",
        ("chatbots", "smartphones", "e-bikes", "smart watches", "video games", "drones"),
        (
            "We tested the new wave of {subject}",
            "{place} bans {subject} from its schools",
            "Regulators take aim at {subject}",
            "The engineer from {place} who reinvented {subject}",
            "Are {subject} worth the money? A guide",
        ),
        (
            "Faster, cheaper, and not always better: what the latest {subject} can do, and what they cannot.",
            "The rules for {subject} take effect in January. Makers warn of delays.",
            "A leak shows how large companies plan the future of {subject}.",
        ),
    ),
    Topic(
        "culture",
        ("jazz", "crime novels", "theatre", "museums", "documentary film", "opera"),
        (
            "{place} festival celebrates {subject}",
            "The quiet comeback of {subject}",
            "Prize for {subject} goes to newcomer from {place}",
            "An evening of {subject} in {place}: review",
            "Ten names in {subject} to know this autumn",
        ),
        (
            "The hall was full, the applause long. What makes {subject} speak to a younger audience.",
            "Funding ends in June. Artists worry about the future of {subject}.",
            "A portrait of a life for {subject}, between doubt and success.",
        ),
    ),
    Topic(
        "food",
        ("soup", "sourdough bread", "noodles", "apple cake", "vegan cooking", "coffee"),
        (
            "The best {subject} in {place}, tested",
            "{Subject}: the recipe that always works",
            "Why everybody in {place} talks about {subject}",
            "A cook from {place} rethinks {subject}",
            "Cheap, quick, warm: {subject} for dark evenings",
        ),
        (
            "Twelve kitchens, one jury. The winner of our test of {subject} uses five ingredients only.",
            "Step by step to {subject} that guests will ask for again. With a shopping list.",
            "Prices have doubled. How restaurants keep {subject} on the menu.",
        ),
    ),
)
PLACES = (
    "Ashford", "Bergen", "Calais", "Dresden", "Evora", "Ferrara", "Ghent", "Haarlem", "Innsbruck", "Jena", "Kotka",
    "Lugano", "Malmö", "Namur", "Odense", "Porto", "Quimper", "Rostock", "Split", "Tartu", "Utrecht", "Vigo",
)  # fmt: skip


def news_sample(*, users: int = 600, items: int = 240, rng: np.random.Generator) -> Dataset:
    """Readers, articles, what was shown to whom and what was read.

    Some readers are there on the first day, the others come later. A visit shows eight articles, drawn by how
    fresh and how interesting they are; each is clicked by how much its topic and subject suit the reader. Of what was
    shown and not clicked there is an ``impression``; a click may be a ``read`` (to the end) or a ``share``. The column
    ``slate`` says what was shown together, and ``published`` of the items when an article appeared.

    Args:
        users: Readers, 2 or more.
        items: Articles, 16 or more.
        rng: Draws everything.
    Raises:
        OptionError: If there are fewer, or one is no whole number.
    """
    users, items = count(users, "users", least=2), count(items, "items", least=2 * len(TOPICS))
    topics, subjects = rng.permutation(np.arange(items) % len(TOPICS)), rng.integers(0, 6, items)
    published = _published(items, rng)
    lasting = rng.random(items) < LASTING
    appeal = SCATTER * rng.standard_normal(items)
    taste = TASTE * rng.standard_normal((users, len(TOPICS)))
    taste_of = taste[:, topics] + SUBJECT * rng.standard_normal((users, len(TOPICS), 6))[:, topics, subjects]
    readers, times = _visits(users, rng)
    slates = [_shown(time, published, np.where(lasting, LASTS, FADES), appeal, rng) for time in times]
    rows = _rows(readers, times, slates, taste_of + appeal + SELDOM, rng)
    return Dataset.from_tables(rows, _items(topics, subjects, published, rng), name="news-sample")


def _published(items: int, rng: np.random.Generator) -> Array:
    """When articles appear, by day, ascending: seconds, whole minutes, (I,)."""
    days = np.floor(rng.uniform(-BEFORE, DAYS, items))
    hours = np.clip(rng.normal(11.0, 4.0, items), 5.0, 22.0)
    return np.sort(START + np.floor((days * 24.0 + hours) * 60.0) * 60.0)


def _visits(users: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Array]:
    """Who comes when, by time, (V,) each."""
    later = 1.0 + (DAYS - 2.0) * rng.random(users) ** 0.6
    arrives = np.where(rng.random(users) < OLD_READERS, rng.random(users), later)
    eager = rng.lognormal(0.0, 0.6, users)
    counts = 1 + rng.poisson(VISITS * eager)
    readers = np.repeat(np.arange(users), counts)
    first = np.concatenate([[True], readers[1:] != readers[:-1]])
    since = np.where(first, 0.0, rng.random(len(readers)) ** 4 * (DAYS - arrives)[readers])
    times = np.floor(START + DAY * (arrives[readers] + since))
    order = np.lexsort((readers, times))
    return readers[order], times[order]


def _shown(time: float, published: Array, half_life: Array, appeal: Array, rng: np.random.Generator) -> Positions:
    """Places of the articles of one visit, none that is not out yet; drawn without repeats (Gumbel)."""
    age = (time - published) / DAY
    drawn = appeal - np.log(2.0) * age / half_life + rng.gumbel(size=len(age))
    best = np.argsort(-np.where(age >= 0.0, drawn, -np.inf), kind="stable")[:SHOWN]
    return best[age[best] >= 0.0]


def _rows(
    readers: NDArray[np.int64], times: Array, slates: list[Positions], logits: Array, rng: np.random.Generator
) -> pl.DataFrame:
    """What was shown and clicked; what somebody has clicked is not shown to them again."""
    sizes = [len(slate) for slate in slates]
    visits = np.repeat(np.arange(len(slates)), sizes)
    user, item = readers[visits], np.concatenate(slates).astype(np.int64)
    clicked = rng.random(len(item)) < 1.0 / (1.0 + np.exp(-logits[user, item]))
    how = rng.random(len(item))
    event = np.select(
        [~clicked, how < PASSED_ON, how < PASSED_ON + TO_THE_END], ["impression", "share", "read"], "click"
    )
    after = np.where(clicked, np.floor(rng.uniform(3.0, 60.0, len(item))), 0.0)
    frame = pl.DataFrame(
        {
            USER: _names("reader", user), ITEM: _names("article", item), EVENT: event, TIMESTAMP: times[visits] + after,
            SLATE: [f"visit-{visit}" for visit in visits.tolist()], "clicked": clicked,
        }
    )  # fmt: skip
    before = pl.col("clicked").cast(pl.Int64).cum_sum().over(USER, ITEM) - pl.col("clicked")
    return frame.filter(before == 0).drop("clicked")


def _items(
    topics: NDArray[np.int64], subjects: NDArray[np.int64], published: Array, rng: np.random.Generator
) -> pl.DataFrame:
    titles = _headlines(topics, subjects, rng)
    texts = []
    for topic, subject in zip((TOPICS[place] for place in topics), subjects, strict=True):
        abstract = topic.abstracts[rng.integers(len(topic.abstracts))]
        texts.append(abstract.format(subject=topic.subjects[subject]))
    return pl.DataFrame(
        {
            ITEM: _names("article", np.arange(len(titles))), TITLE: titles, TEXT: texts,
            CATEGORY: [TOPICS[place].name for place in topics], PUBLISHED: published,
        }
    )  # fmt: skip


def _headlines(topics: NDArray[np.int64], subjects: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """A headline an article; one comes again only after all of its subject are taken."""
    left: dict[tuple[int, int], list[str]] = {}
    titles = []
    for place, subject in zip(topics.tolist(), subjects.tolist(), strict=True):
        if not left.get((place, subject)):
            every = _all_headlines(TOPICS[place], subject)
            left[place, subject] = [every[at] for at in rng.permutation(len(every))]
        titles.append(left[place, subject].pop())
    return titles


def _all_headlines(topic: Topic, subject: int) -> list[str]:
    words = {"subject": topic.subjects[subject], "Subject": topic.subjects[subject].capitalize()}
    return list(dict.fromkeys(line.format(place=place, **words) for line in topic.headlines for place in PLACES))


def _names(word: str, numbers: NDArray[np.int64]) -> list[str]:
    return [f"{word}-{number:03d}" for number in (numbers + 1).tolist()]
