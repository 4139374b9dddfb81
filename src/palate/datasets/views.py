"""A data set seen as events, as likes, or as a table of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from palate.datasets.coding import LIKING
from palate.datasets.tables import Dataset
from palate.entities import AUDIO, CATEGORY, EVENT, IMAGE, ITEM, RATING, TEXT, TIMESTAMP, TITLE, USER
from palate.records import Attribute, Event


def impressions(data: Dataset) -> Dataset:
    """The rows that were only shown: the user met the item, and said nothing."""
    shown = [name for name, word in data.vocabulary.words.items() if word.sign == 0]
    told = pl.col(LIKING).is_null() | (pl.col(LIKING) == 0.0) if LIKING in data.interactions.columns else pl.lit(True)
    return data.filter(pl.col(EVENT).is_in(shown) & pl.col(RATING).is_null() & told)


def as_likes(data: Dataset) -> Dataset:
    """Ratings as like (1) and dislike (0): as they are, the upper level of two, or the mean and above of more."""
    ratings = data.interactions[RATING]
    levels = ratings.drop_nulls().unique().sort()
    if set(levels) <= {0.0, 1.0}:
        return data
    edge = float(levels[-1]) if len(levels) <= 2 else float(ratings.mean())  # type: ignore[arg-type]  # numeric column
    liked = (pl.col(RATING) >= edge).cast(pl.Float64)
    return replace(data, interactions=data.interactions.with_columns(liked.alias(RATING)))


def item_table(data: Dataset, item_ids: list[str]) -> pl.DataFrame:
    """The items in the order of the codes, with empty text where the data has no row for one."""
    order = pl.DataFrame({ITEM: item_ids}, schema={ITEM: pl.String})
    known = data.items.unique(subset=ITEM, keep="last", maintain_order=True)
    table = order.join(known, on=ITEM, how="left", maintain_order="left")
    for column in (TITLE, TEXT, CATEGORY):
        filled = pl.col(column).fill_null("") if column in table.columns else pl.lit("").alias(column)
        table = table.with_columns(filled)
    return table


def texts_of(table: pl.DataFrame) -> list[str]:
    """What the encoder of text reads of each item."""
    return Dataset(pl.DataFrame(), table, pl.DataFrame()).item_texts()


def without_media(table: pl.DataFrame) -> pl.DataFrame:
    """Without the bytes of images and sounds, which a model does not need again."""
    return table.drop([name for name in (IMAGE, AUDIO) if table.schema.get(name) == pl.Binary])


def with_events(data: Dataset, events: Sequence[Event]) -> Dataset:
    """The data with events told since, of items that it knows."""
    items = {*data.items[ITEM], *data.interactions[ITEM]}
    kept = [event for event in events if event.item_id in items]
    rows = pl.DataFrame(
        {
            USER: [event.user_id for event in kept],
            ITEM: [event.item_id for event in kept],
            EVENT: [event.kind or None for event in kept],
            TIMESTAMP: [event.at for event in kept],
            LIKING: [event.liking for event in kept],
        },
        schema={USER: pl.String, ITEM: pl.String, EVENT: pl.String, TIMESTAMP: pl.Float64, LIKING: pl.Float64},
    )
    return replace(data, interactions=pl.concat([data.interactions, rows], how="diagonal_relaxed")) if kept else data


def with_attributes(data: Dataset, attributes: Sequence[Attribute]) -> Dataset:
    """The data with attributes told since; of one the last counts. Of names that the data has, if it has any."""
    schema = data.users.schema if len(data.users.columns) > 1 else pl.Schema({USER: pl.String(), **_types(attributes)})
    known = [one for one in attributes if one.name in schema and one.friends is None]
    if not known:
        return data
    blank = dict.fromkeys(schema)
    rows = {str(row[USER]): {**blank, **row} for row in data.users.iter_rows(named=True)}
    for one in known:
        rows.setdefault(one.user_id, {**blank, USER: one.user_id})[one.name] = one.value
    return replace(data, users=pl.DataFrame(list(rows.values()), schema=schema, strict=False))


def with_friends(data: Dataset, attributes: Sequence[Attribute]) -> Dataset:
    """The data with whom users said since that they follow, in the place of what it says of them."""
    told = {one.user_id: one.friends for one in attributes if one.friends is not None}
    rows = [(user, friend) for user, friends in told.items() for friend in friends]
    left = data.friends.filter(~pl.col(USER).is_in(list(told)))
    return replace(data, friends=pl.concat([left, pl.DataFrame(rows, schema=left.schema, orient="row")]))


def _types(attributes: Sequence[Attribute]) -> dict[str, pl.DataType]:
    """The column of each name: text where one of its values is."""
    attributes = [one for one in attributes if one.friends is None]
    texts = {one.name for one in attributes if isinstance(one.value, str)}
    return {one.name: pl.String() if one.name in texts else pl.Float64() for one in attributes}


def added_items(data: Dataset, catalogue: pl.DataFrame) -> Dataset:
    """The data with the items of a model that are not in it: those that came after the fit."""
    new = catalogue.filter(~pl.col(ITEM).is_in(data.items[ITEM].to_list()))
    rows = new.select([name for name in new.columns if name in data.items.columns])
    return replace(data, items=pl.concat([data.items, rows], how="diagonal_relaxed")) if new.height else data
