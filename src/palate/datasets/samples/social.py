"""A generated community: posts on shared interests, votes up and down, and friends who see what each other likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.datasets.tables import Dataset
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, EVENT, ITEM, TEXT, TIMESTAMP, TITLE, USER
from palate.entities.friends import FRIEND
from palate.errors.checks import count

START = 1_762_128_000.0  # 2025-11-03, a Monday
DAY = 86_400.0
DAYS = 42.0
FADES, LASTING = 14.0, 0.15  # half-life of attention to a post, in days, and the share of it that stays
EARLY = 0.55  # share of users who join in the first two weeks; the others come later, until the end
VIEWS, SPREAD = 24.0, 0.6  # posts that a user opens in the mean, and how much that varies
FRIENDS = 6.0  # of a user, in the mean, as far as they start it
ONE_WAY = 0.1  # share of those that only one side has
TOPIC, KIND, DETAIL, QUALITY = 1.3, 0.7, 0.4, 0.5  # deviations of the logit of a vote up
SELDOM = -0.4  # logit of a vote up on an average post
EAGER, CROWD = 0.45, 0.25  # how much liking, and how much the votes of others, make somebody open a post
SIGHT = 3.0  # how much likelier a post is opened for each friend who voted it up
DISLIKED, DISLIKES = -0.8, 0.4  # below this logit so many of those who open a post vote it down
SHARES = 0.15  # of those who vote a post up


@dataclass(frozen=True, slots=True)
class Topic:
    """What posts of one interest are written with."""

    name: str
    things: tuple[str, ...]
    places: tuple[str, ...]


TOPICS = (
    Topic(
        "cycling",
        (
            "a squeaking brake",
            "winter tyres",
            "a second-hand gravel bike",
            "a dynamo light",
            "panniers",
            "a worn chain",
        ),
        ("on the canal path", "on the ring road", "on the ferry", "on the hill behind the station"),
    ),
    Topic(
        "cooking",
        ("sourdough", "a lentil stew", "cast iron pans", "leftover rice", "green tomatoes", "fermented chillies"),
        ("at the Saturday market", "in a tiny kitchen", "on a camping stove", "in my grandmother's house"),
    ),
    Topic(
        "gardening",
        ("slugs", "tomato seedlings", "compost", "an old apple tree", "lavender", "a rain barrel"),
        ("on a north-facing balcony", "at the allotments", "in heavy clay", "in the school garden"),
    ),
    Topic(
        "photography",
        (
            "long exposures",
            "a broken light meter",
            "street portraits",
            "old film cameras",
            "night skies",
            "macro rings",
        ),
        ("at the harbour", "in an empty swimming pool", "at the flower market", "on a foggy bridge"),
    ),
    Topic(
        "repair",
        (
            "a leaking tap",
            "a dead washing machine",
            "plaster cracks",
            "wobbly chairs",
            "a sewing machine",
            "old sockets",
        ),
        ("at the repair café", "in a rented flat", "in a cold cellar", "in the shared workshop"),
    ),
    Topic(
        "board games",
        (
            "a two-player game",
            "house rules",
            "a cooperative campaign",
            "painted figures",
            "a quick opener",
            "lost dice",
        ),
        ("at the Thursday round", "on a long train ride", "in the library", "on a rainy holiday"),
    ),
    Topic(
        "astronomy",
        ("Saturn's rings", "a first telescope", "a meteor shower", "light pollution", "a lunar eclipse", "star charts"),
        ("in a dark field outside town", "at the old observatory", "on a roof terrace", "on the north coast"),
    ),
    Topic(
        "local life",
        ("bus timetables", "a street party", "the new playground", "quiet hours", "the flea market", "bins"),
        ("in the old town", "on the river bank", "in our block", "on the market square"),
    ),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of content: how its posts begin and go on."""

    name: str
    titles: tuple[str, ...]
    texts: tuple[str, ...]


KINDS = (
    Kind(
        "question",
        ("Does anybody know about {thing}?", "How do you deal with {thing}?", "Is it worth it: {thing}?"),
        (
            "I tried it twice {place} and failed. What am I doing wrong?",
            "There is a lot of advice and half of it is wrong. What works for you {place}?",
        ),
    ),
    Kind(
        "guide",
        ("{thing}, step by step", "What I learnt about {thing} in a year", "A short guide to {thing}"),
        (
            "Tools, costs and mistakes, with what I would do otherwise {place}.",
            "Ten minutes to read; tested {place} by four of us.",
        ),
    ),
    Kind(
        "photo",
        ("{thing}, this morning", "Finally: {thing}", "Found {place}: {thing}"),
        ("Taken {place} just before the rain.", "No filter. What a light {place}."),
    ),
    Kind(
        "story",
        ("The day of {thing}", "{thing}, and why I nearly gave up", "A small tale of {thing}"),
        (
            "It began {place} and ended with three strangers helping.",
            "It happened {place}, and nobody believed me.",
        ),
    ),
    Kind(
        "event",
        ("Meet us {place}", "Saturday {place}: {thing}", "Open evening on {thing}"),
        ("Beginners welcome, bring a friend. We start at six {place}.", "Free, and there will be tea {place}."),
    ),
    Kind(
        "poll",
        ("Vote: {thing}, yes or no?", "Which do you prefer for {thing}?", "Your opinion on {thing}"),
        ("Results on Sunday, to be discussed {place}.", "We decide {place} next week, so please vote."),
    ),
)
NAMES = (
    "ada", "ben", "carla", "dina", "emil", "farid", "greta", "hugo", "ines", "jonas", "kaya", "lena", "mira", "nils",
    "olga", "paul", "rosa", "sami", "tara", "umut", "vera", "will", "yara", "zoe",
)  # fmt: skip


def social_sample(*, users: int = 600, items: int = 240, rng: np.random.Generator) -> Dataset:
    """A community in six weeks: views, likes, dislikes and shares of posts, with times; many users come late.

    What somebody opens depends on their interests, on how new a post is, on how many liked it, and on which of their
    friends did. Friends have alike interests. The category of a post is its topic and its kind of content.

    Args:
        users: How many, at least 2; a few may open nothing.
        items: Posts, at least 2.
        rng: Source of everything that is drawn.
    Returns:
        Interactions with ``view``, ``like``, ``dislike`` and ``share``; items with ``author_user_id`` and
        ``published`` (seconds since the epoch); friends.
    Raises:
        OptionError: If there are fewer.
    """
    users, items = count(users, "users", least=2), count(items, "items", least=2)
    names = [f"{NAMES[place % len(NAMES)]}{10 + place // len(NAMES)}" for place in range(users)]
    ids = [f"p{place:0{len(str(items - 1))}d}" for place in range(items)]
    topics, kinds = rng.integers(len(TOPICS), size=items), rng.integers(len(KINDS), size=items)
    taste, liking = _liking(users, topics, kinds, rng)
    published = START + DAY * np.sort(rng.random(items) * DAYS - np.where(rng.random(items) < 0.4, DAYS / 3.0, 0.0))
    follows = _friends(taste, rng)
    rows = _events(liking, published, follows, rng)
    authors = np.argmax(liking + rng.gumbel(0.0, 1.0, liking.shape), axis=0)
    who, whom = np.nonzero(follows)
    return Dataset.from_tables(
        pl.DataFrame(
            {
                USER: [names[user] for user, _, _, _ in rows],
                ITEM: [ids[item] for _, item, _, _ in rows],
                EVENT: [event for _, _, event, _ in rows],
                TIMESTAMP: [time for _, _, _, time in rows],
            }
        ),
        _posts(ids, topics, kinds, rng).with_columns(
            pl.Series("author_user_id", [names[user] for user in authors]), pl.Series("published", published.round())
        ),
        friends=pl.DataFrame({USER: [names[user] for user in who], FRIEND: [names[user] for user in whom]}),
        name="social-sample",
    )


def _liking(users: int, topics: Positions, kinds: Positions, rng: np.random.Generator) -> tuple[Array, Array]:
    """Interests of each user, (U, T + K), and the logit of a vote up on each post, (U, I)."""
    interests = np.hstack([rng.normal(0.0, TOPIC, (users, len(TOPICS))), rng.normal(0.0, KIND, (users, len(KINDS)))])
    detail = rng.normal(0.0, 1.0, (users, 3)) @ rng.normal(0.0, DETAIL, (3, len(topics)))
    quality = rng.normal(0.0, QUALITY, len(topics))
    return interests, SELDOM + interests[:, topics] + interests[:, len(TOPICS) + kinds] + detail + quality


def _friends(taste: Array, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Who follows whom, (U, U): those of alike interests, mostly both ways; a few have nobody."""
    users = len(taste)
    alike: Array = np.asarray(np.corrcoef(taste))
    follows = np.zeros((users, users), dtype=bool)
    for user in range(users):
        draws = 4.0 * alike[user] + rng.gumbel(0.0, 1.0, users)
        draws[user] = -np.inf
        n = min(int(rng.poisson(FRIENDS / 2.0)), users - 1)
        found = np.argsort(-draws)[:n]
        follows[user, found] = True
        follows[found[rng.random(n) >= ONE_WAY], user] = True
    return follows


def _events(
    liking: Array, published: Array, follows: NDArray[np.bool_], rng: np.random.Generator
) -> list[tuple[int, int, str, float]]:
    """User, post, event and time of everything that happens, in order of time."""
    users, items = liking.shape
    joined = np.where(rng.random(users) < EARLY, rng.random(users) * DAYS / 3.0, rng.random(users) * DAYS)
    n = np.minimum(rng.lognormal(np.log(VIEWS) - SPREAD**2 / 2.0, SPREAD, users).round().astype(int), items)
    who = np.repeat(np.arange(users), n)
    when = joined[who] + rng.exponential(DAYS / 8.0, len(who))
    who, when = who[when < DAYS], when[when < DAYS]
    order = np.argsort(when, kind="stable")
    seen, rows = np.zeros(liking.shape, dtype=bool), []
    up, by_friends = np.zeros(items), np.zeros(liking.shape)  # how many voted a post up, of all and of one's friends
    for user, time in zip(who[order].tolist(), (START + DAY * when[order]).tolist(), strict=True):
        is_open = (published < time) & ~seen[user]
        if not is_open.any():
            continue
        weights = np.exp(EAGER * liking[user]) * (1.0 + up) ** CROWD * (1.0 + SIGHT * by_friends[user])
        item = _drawn(weights * _fresh((time - published) / DAY) * is_open, rng)
        seen[user, item] = True
        rows.append((user, item, "view", float(np.floor(time))))
        vote = _vote(float(liking[user, item]), rng)
        if vote:
            up[item] += vote != "dislike"
            by_friends[follows[:, user], item] += vote != "dislike"
            rows.append((user, item, vote, float(np.floor(time + rng.exponential(40.0)))))
    return sorted(rows, key=lambda row: row[-1])


def _fresh(age: Array) -> Array:
    """How much of the first attention is left to posts of an age in days."""
    return LASTING + (1.0 - LASTING) * np.exp2(-np.maximum(age, 0.0) / FADES)


def _drawn(weights: Array, rng: np.random.Generator) -> int:
    """A place by its weight."""
    sums = weights.cumsum()
    return min(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")), len(weights) - 1)


def _vote(logit: float, rng: np.random.Generator) -> str:
    """What a user does with a post that they opened; empty where nothing."""
    if rng.random() < 1.0 / (1.0 + np.exp(-logit)):
        return "share" if rng.random() < SHARES else "like"
    return "dislike" if logit < DISLIKED and rng.random() < DISLIKES else ""


def _posts(ids: list[str], topics: Positions, kinds: Positions, rng: np.random.Generator) -> pl.DataFrame:
    titles, texts = [], []
    for topic, kind in zip((TOPICS[at] for at in topics), (KINDS[at] for at in kinds), strict=True):
        words = {
            "thing": topic.things[rng.integers(len(topic.things))],
            "place": topic.places[rng.integers(len(topic.places))],
        }
        title = kind.titles[rng.integers(len(kind.titles))].format(**words)
        titles.append(title[0].upper() + title[1:])
        texts.append(kind.texts[rng.integers(len(kind.texts))].format(**words))
    categories = [TOPICS[a].name + CATEGORY_SEPARATOR + KINDS[b].name for a, b in zip(topics, kinds, strict=True)]
    return pl.DataFrame({ITEM: ids, TITLE: titles, TEXT: texts, CATEGORY: categories})
