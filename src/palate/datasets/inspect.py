"""What is in a data set, and what looks wrong with it."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import polars as pl

from palate.datasets import times
from palate.datasets.files.names import KNOWN
from palate.datasets.tables import Dataset
from palate.entities import (
    CATEGORY,
    CATEGORY_SEPARATOR,
    EVENT,
    ITEM,
    RATING,
    SLATE,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER,
    WEIGHT,
)
from palate.entities.friends import FRIEND
from palate.vocabulary import FILE, IMPRESSION, SAYS

DAY = 86_400.0
MOST_LEVELS = 21  # more different ratings than this are counted in bins
BINS = 10
CROWDED = 50.0  # a user with this many times the median, and over MANY interactions, is hardly one person
MANY = 1_000
OUTLIER = 100.0  # a rating this many times the 99th percentile of sizes looks like another unit
NAMED = 5  # examples shown


def inspect(data: Dataset, *, now: float | None = None) -> dict[str, Any]:
    """Describe a data set; the result is plain JSON.

    Args:
        now: Seconds since the epoch against which timestamps are in the future; the clock by default.
    Returns:
        ``counts``, ``density``, ``dates``, ``ratings``, ``events``, ``signs`` (of each event: for, against, shown or
        unknown), ``duplicates``, ``joins``, ``unused`` (columns that are kept and that no model looks at), ``rejects``,
        and ``notes`` and ``suspicious``, lists of sentences.
    """
    now = times.now() if now is None else now
    return {
        "name": data.name,
        "counts": _counts(data),
        "density": _density(data),
        "dates": _dates(data.interactions),
        "ratings": _ratings(data.interactions[RATING].drop_nulls()),
        "events": _tally(data.interactions[EVENT].drop_nulls()),
        "signs": _signs(data),
        "duplicates": _duplicates(data.interactions),
        "joins": _joins(data),
        "unused": _unused(data),
        "rejects": {"total": data.rejects.total, "first": [str(reject) for reject in data.rejects.rows[:NAMED]]},
        "notes": [*data.notes, *_without_slate(data), *_friends(data)],
        "suspicious": suspicious(data, now),
        "sha256": data.fingerprint(),
    }


def suspicious(data: Dataset, now: float) -> list[str]:
    """What looks wrong, a sentence each."""
    checks = (
        _one_only,
        _repeated,
        _ratings_odd,
        _events_odd,
        _texts_odd,
        lambda d: _times_odd(d, now),
        _crowded,
        _twin_ids,
        _joins_odd,
    )
    return [sentence for check in checks for sentence in check(data)]


def _counts(data: Dataset) -> dict[str, int]:
    rows = data.interactions
    return {
        "interactions": rows.height,
        "users": rows[USER].n_unique(),
        "items": rows[ITEM].n_unique(),
        "ratings": rows.height - rows[RATING].null_count(),
        "without_rating_and_event": rows.filter(pl.col(RATING).is_null() & pl.col(EVENT).is_null()).height,
        "item_rows": data.items.height,
        "user_rows": data.users.height,
        "friends": data.friends.height,
        "categories": len(_tally(data.items[CATEGORY].str.split(CATEGORY_SEPARATOR).explode().drop_nulls())),
    }


def _density(data: Dataset) -> float:
    pairs = data.interactions.select(pl.struct(USER, ITEM).n_unique()).item()
    cells = data.interactions[USER].n_unique() * data.interactions[ITEM].n_unique()
    return pairs / cells if cells else 0.0


def _dates(rows: pl.DataFrame) -> dict[str, Any]:
    known = rows[TIMESTAMP].drop_nulls()
    first, last = known.min(), known.max()
    return {
        "known": len(known),
        "first": times.iso(first) if isinstance(first, float) else None,
        "last": times.iso(last) if isinstance(last, float) else None,
        "sorted": bool(known.is_sorted()),
    }


def _ratings(ratings: pl.Series) -> dict[str, Any]:
    if not len(ratings):
        return {"levels": 0, "histogram": {}}
    data = ratings.to_numpy()
    levels, counts = np.unique(data, return_counts=True)
    if len(levels) <= MOST_LEVELS:
        histogram = {f"{level:g}": int(count) for level, count in zip(levels, counts, strict=True)}
    else:
        counts, edges = np.histogram(data, bins=BINS)
        histogram = {f"{low:g} to {high:g}": int(n) for low, high, n in zip(edges, edges[1:], counts, strict=False)}
    return {
        "levels": len(levels),
        "lowest": float(levels[0]),
        "highest": float(levels[-1]),
        "mean": float(data.mean()),
        "histogram": histogram,
    }


def _tally(words: pl.Series) -> dict[str, int]:
    counted = words.filter(words != "").value_counts(sort=True)
    return dict(zip(counted[words.name], counted["count"], strict=True))


def _duplicates(rows: pl.DataFrame) -> dict[str, int]:
    known = [USER, ITEM, RATING, EVENT, TIMESTAMP]
    return {
        "rows": rows.height - rows.select(pl.struct(known).n_unique()).item(),
        "pairs": rows.height - rows.select(pl.struct(USER, ITEM).n_unique()).item(),
    }


def _joins(data: Dataset) -> dict[str, int]:
    seen, described = data.interactions[ITEM].unique(), data.items[ITEM]
    people, known = data.interactions[USER].unique(), data.users[USER]
    missing = seen.filter(~seen.is_in(described.implode()))
    return {
        "items_without_row": len(missing),
        "interactions_without_item_row": int(data.interactions[ITEM].is_in(missing.implode()).sum()),
        "items_never_seen": int((~described.is_in(seen.implode())).sum()),
        "users_without_row": int((~people.is_in(known.implode())).sum()) if len(known) else 0,
        "users_never_seen": int((~known.is_in(people.implode())).sum()),
    }


def _unused(data: Dataset) -> dict[str, list[str]]:
    """Columns by table; of users every column counts."""
    of_events = set() if data.interactions[EVENT].drop_nulls().len() else {SLATE, WEIGHT}
    used = {*KNOWN["interactions"]} - of_events
    return {
        "interactions": [name for name in data.interactions.columns if name not in used],
        "items": [name for name in data.items.columns if name not in KNOWN["items"]],
    }


def _repeated(data: Dataset) -> list[str]:
    rows = _duplicates(data.interactions)["rows"]
    return [f"{rows:,} rows repeat another: same user, item, rating, event and time; each counts once"] if rows else []


def _one_only(data: Dataset) -> list[str]:
    counts = {"user": data.interactions[USER].n_unique(), "item": data.interactions[ITEM].n_unique()}
    return [f"only one {what} has interactions" for what, count in counts.items() if count == 1]


def _ratings_odd(data: Dataset) -> list[str]:
    ratings = data.interactions[RATING].drop_nulls()
    if not len(ratings):
        return []
    found = ["all ratings are the same"] if len(ratings) > 1 and ratings.n_unique() == 1 else []
    sizes = ratings.abs()
    usual = sizes.quantile(0.99, interpolation="lower") or 0.0
    huge = sizes.filter(sizes > OUTLIER * usual) if usual > 0 else sizes.clear()
    if len(huge):
        found.append(f"{len(huge):,} ratings are over {OUTLIER:g} times as large as 99 % of the others: another unit?")
    return found


def _signs(data: Dataset) -> dict[str, str]:
    """What each event says, most frequent first."""
    words = data.vocabulary.words
    return {
        name: SAYS[words[name].sign] if name in words else "unknown"
        for name in _tally(data.interactions[EVENT].drop_nulls())
    }


def _events_odd(data: Dataset) -> list[str]:
    counts = _tally(data.interactions[EVENT].drop_nulls())
    unknown = {name: count for name, count in counts.items() if name not in data.vocabulary.words}
    if not unknown:
        return []
    listed = ", ".join(f"{name!r} {count:,}" for name, count in list(unknown.items())[: 2 * NAMED])
    return [f"{len(unknown):,} events are unknown, and no fit takes them: {listed}. Say what they mean in {FILE}"]


def _without_slate(data: Dataset) -> list[str]:
    rows = data.interactions.filter(pl.col(EVENT) == IMPRESSION)
    loose = rows[SLATE].null_count() if SLATE in rows.columns else rows.height
    fact = f"{loose:,} of {rows.height:,} impressions have no slate"
    return [f"{fact}: that they were shown counts, and what they were shown with is not known"] if loose else []


def _friends(data: Dataset) -> list[str]:
    if not data.friends.height:
        return []
    back = data.friends.join(data.friends, left_on=[USER, FRIEND], right_on=[FRIEND, USER], how="semi").height
    idle = data.friends.filter(~pl.col(FRIEND).is_in(data.interactions[USER].unique().implode())).height
    rows = f"of {data.friends.height:,} rows of friends"
    found = [f"{data.friends.height - back:,} {rows} go one way: the choices of friend_id count for user_id alone"]
    found += [f"{idle:,} {rows} name somebody without interactions, and count for nothing until they have some"]
    return [sentence for sentence, n in zip(found, (data.friends.height - back, idle), strict=True) if n]


def _texts_odd(data: Dataset) -> list[str]:
    items = data.items.height
    if not items:
        return ["there is no table of items: they have no titles, and nothing is known of one before its first answer"]
    texts = data.items.select(pl.concat_str(TITLE, TEXT)).to_series()
    if items > 1 and texts.n_unique() == 1:
        return ["no item has a title or text" if texts[0] == "" else "all items have the same title and text"]
    empty = int((texts == "").sum())
    untitled = int((data.items[TITLE] == "").sum()) - empty
    found = [f"{empty:,} items ({empty / items:.0%}) have neither title nor text"] if empty else []
    shown = "are shown by the start of their text"
    return [*found, *([f"{untitled:,} items ({untitled / items:.0%}) have no title and {shown}"] if untitled else [])]


def _times_odd(data: Dataset, now: float) -> list[str]:
    known = data.interactions[TIMESTAMP].drop_nulls()
    if not len(known):
        return ["there are no timestamps, so no split in time"]
    found = []
    if missing := data.interactions.height - len(known):
        found.append(f"{missing:,} interactions have no timestamp")
    if ahead := int((known > now + DAY).sum()):
        found.append(f"{ahead:,} timestamps are more than a day ahead of the clock; kept as claimed")
    if len(known) > 1 and known.n_unique() == 1:
        found.append("all timestamps are the same")
    return found


def _crowded(data: Dataset) -> list[str]:
    counts = data.interactions[USER].value_counts(sort=True)
    usual = float(np.median(counts["count"].to_numpy())) if counts.height else 0.0
    crowded = counts.filter(pl.col("count") > max(MANY, CROWDED * usual))
    if not crowded.height:
        return []
    user, count = crowded.row(0)
    return [f"{crowded.height:,} users have far more interactions than a person would: {user!r} has {count:,}"]


def _twin_ids(data: Dataset) -> list[str]:
    ids = {USER: data.interactions[USER], ITEM: pl.concat([data.interactions[ITEM], data.items[ITEM]])}
    found = []
    for name, values in ids.items():
        twins = _twins(values.unique().sort().to_list())
        if twins:
            shown = "; ".join(" and ".join(map(repr, group)) for group in twins[:NAMED])
            found.append(f"{len(twins):,} groups of {name} differ only in case, blanks or letter forms: {shown}")
    return found


def _twins(ids: list[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for value in ids:
        groups.setdefault(_folded(value), []).append(value)
    return [group for group in groups.values() if len(group) > 1]


def _folded(value: str) -> str:
    if value.isascii():
        return "".join(value.lower().split())
    letters = unicodedata.normalize("NFKC", value).casefold()
    return "".join(letter for letter in letters if unicodedata.category(letter) not in ("Cf", "Zs"))


def _joins_odd(data: Dataset) -> list[str]:
    if not data.items.height:
        return []
    joins = _joins(data)
    missing, rows = joins["items_without_row"], joins["interactions_without_item_row"]
    return [f"{missing:,} items of {rows:,} interactions have no row in items"] if missing else []
