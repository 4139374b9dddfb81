"""From data to a model: which likelihood, which scale, what becomes of text, events and items nobody rated."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sparse

from palate.datasets import Dataset
from palate.errors import OptionError
from palate.model import fit as batch
from palate.model.scale import Scale
from palate.records import Event
from tests.worlds import Words, data, learner, without_lists, words, world


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def dataset(**columns: list[object]) -> Dataset:
    n = len(next(iter(columns.values())))
    return Dataset.from_tables(pl.DataFrame({"user_id": [f"u{i}" for i in range(n)], "item_id": ["x"] * n, **columns}))


# ---- likelihood and scale -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"rating": [1.0, 2.0, 5.0]}, "gaussian"),
        ({"rating": [0.0, 1.0, 1.0]}, "probit"),
        ({"rating": [1.0, 1.0]}, "gaussian"),
        ({"rating": [-1.0, 1.0]}, "gaussian"),
        ({"event": ["view", "click"]}, "implicit"),
        ({"event": ["view", None], "rating": [None, 4.0]}, "gaussian"),
    ],
)
def test_auto_chooses_what_suits_the_data(columns: dict[str, list[object]], kind: str) -> None:
    assert batch.choose_likelihood(dataset(**columns), "auto").kind == kind


@pytest.mark.parametrize("kind", ["gaussian", "probit", "implicit"])
def test_a_likelihood_can_be_named(kind: str) -> None:
    found = batch.choose_likelihood(dataset(rating=[1.0, 2.0]), kind)
    assert found.kind == kind and (found.background > 0) == (kind == "implicit")


def test_likes_of_two_levels_are_the_upper_one_and_of_more_the_mean_and_above() -> None:
    two = batch.as_likes(dataset(rating=[2.0, 4.0, 2.0, None]))
    assert two.interactions["rating"].to_list() == [0.0, 1.0, 0.0, None]
    more = batch.as_likes(dataset(rating=[1.0, 3.0, 5.0]))
    assert more.interactions["rating"].to_list() == [0.0, 1.0, 1.0]


def test_scale_of_few_and_of_many_levels() -> None:
    assert Scale.of(np.array([1.0, 5.0, 4.0, 4.0, 2.0])) == Scale((1.0, 2.0, 4.0, 5.0), 4.0)
    assert Scale.of(np.array([3.0, 3.0])) == Scale((3.0,), 3.0)
    many = np.linspace(-10, 10, 201)
    assert Scale.of(many).levels == (-10.0, 10.0) and Scale.of(many).like == pytest.approx(0.0)
    # the mean of equal ratings may be off by rounding, and must not lie above them all
    assert Scale.of(np.full(3, 0.1)).like == 0.1


def test_shares_of_the_levels() -> None:
    values = sparse.csr_matrix(np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0], [3.0, 0.0, 0.0]]))
    shares = batch.level_shares(values, Scale((1.0, 3.0, 5.0), 3.0))
    np.testing.assert_allclose(shares, [[1 / 3, 2 / 3, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])


def test_shares_of_a_continuous_scale_are_those_of_ten_bins() -> None:
    ratings = np.linspace(0.05, 10.0, 200)
    values = sparse.csr_matrix((ratings, np.zeros(200, dtype=int), np.arange(201)), shape=(200, 1))
    shares = batch.level_shares(values, Scale((0.05, 10.0), 5.0))
    assert shares.shape == (1, 10)
    np.testing.assert_allclose(shares, 0.1, atol=0.011)


# ---- content --------------------------------------------------------------------------------------------------------


def test_an_item_without_text_gets_the_mean_encoding() -> None:
    items = data().items.with_columns(
        **{
            name: pl.when(pl.col("item_id") == "i003").then(pl.lit("")).otherwise(name)
            for name in ("title", "text", "category")
        }
    )
    of = without_lists(replace(data(), items=items), encoder="words", dim=3)
    content = of.model.catalogue.content
    assert content is not None
    np.testing.assert_allclose(content[2], np.delete(content, 2, axis=0).mean(0), atol=1e-6)
    assert of.model.encoder == ("words", Words.revision)


@pytest.mark.parametrize(
    "case",
    ["no table of items", *(pytest.param(case, marks=pytest.mark.long) for case in ("encoder none", "no text at all"))],
)
def test_without_text_there_is_no_content(case: str) -> None:
    items = {
        "encoder none": data().items,
        "no text at all": data().items.with_columns(title=pl.lit(""), text=pl.lit(""), category=pl.lit("")),
        "no table of items": data().items[:0],
    }[case]
    encoder = "none" if case == "encoder none" else "words"
    of = without_lists(replace(data(), items=items), encoder=encoder, dim=3)
    assert of.model.catalogue.content is None and of.model.history_prior is None and of.model.encoder == ("", "")
    assert len(of.recommend("newcomer")) == 10
    assert len(of.with_items(pl.DataFrame({"item_id": ["new"], "text": ["a jazz album"]})).model.catalogue) == 121


def test_another_revision_of_the_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    of = learner()
    monkeypatch.setattr(Words, "revision", "2")
    with pytest.raises(OptionError, match=r"^encoder 'words' is now '2', the model has '1'\. Refit\.$"):
        of.with_items(pl.DataFrame({"item_id": ["new"], "text": ["a jazz album"]}))


def test_items_nobody_rated_are_as_their_text_says_and_honestly_unsure() -> None:
    hidden = set(world().item_ids[::5])
    rows = data().interactions.filter(~pl.col("item_id").is_in(list(hidden)))
    of = without_lists(replace(data(), interactions=rows), encoder="words", dim=6, likelihood="gaussian")
    new = of.model.catalogue.positions(sorted(hidden))
    assert len(of.model.catalogue) == 120 and (of.model.catalogue.counts[new] == 0).all()
    items, belief = of.model.taste.items, of.model.taste.believe(of.model.answers)
    mean, variance = items.take(new).predict(belief)
    ratings = np.full((300, 120), np.nan)
    coded = data().coded()
    ratings[coded.users, coded.items] = coded.values
    known = ~np.isnan(ratings[:, new])
    error = (ratings[:, new] - mean)[known]
    covered = (np.abs(error) <= 1.96 * np.sqrt(variance[known])).mean()
    assert 0.90 <= covered <= 0.99, f"{covered:.1%} of {known.sum()} ratings lie in the 95 % intervals"
    plain = np.nanmean(ratings[:, np.setdiff1d(np.arange(120), new)])
    assert np.sqrt(np.mean(error**2)) < 0.9 * np.sqrt(np.mean((ratings[:, new][known] - plain) ** 2))


# ---- events and histories -------------------------------------------------------------------------------------------


def test_events_are_histories_and_ratings_are_answers() -> None:
    model = learner("both").model
    rows = data("both").interactions
    assert model.events is not None
    assert model.events.liking.nnz == rows["rating"].null_count() and model.answers.nnz == rows["rating"].count()
    row = 6
    mine = rows.filter((pl.col("user_id") == model.user_ids[row]) & pl.col("rating").is_null())
    history = model.events.of(row)
    assert [model.catalogue.ids[item] for item in history.items] == mine["item_id"].to_list()
    assert history.liking.tolist() == [1.0 if event == "like" else -1.0 for event in mine["event"]]
    assert history.timestamps.tolist() == mine["timestamp"].to_list()


def test_a_history_tells_something_of_the_taste_that_answers_will_show() -> None:
    """Of users whose ratings the model has never seen: their events alone against no knowledge at all."""
    model = learner("both").model
    assert model.events is not None and model.history_prior is not None
    truth, items = world().expected(), model.taste.items
    fresh = world(users=300, items=120)
    told = nothing = 0.0
    for row in range(100):
        user = fresh.user_ids[row]
        history = model.events.of(row)
        start = learner("both").see(
            Event("as " + user, model.catalogue.ids[item], liking=liking)
            for item, liking in zip(history.items, history.liking.tolist(), strict=True)
        )
        guess = items.level + start.state("as " + user).start.score(items.factors)
        told += float(np.mean((guess - truth[row]) ** 2))
        nothing += float(np.mean((items.level - truth[row]) ** 2))
    assert told < 0.9 * nothing


def test_ratings_alone_teach_the_history_prior_by_halves_and_leave_users_where_they_start() -> None:
    model = learner("ratings").model
    assert model.events is None and model.history_prior is not None
    assert learner("ratings").state("u007").start is model.taste.start, "a user's ratings would count twice"


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("budget", "form"), [(1 << 30, "full"), (120 * 8 * 7, "diagonal"), (10, "isotropic")])
def test_the_covariances_are_kept_as_memory_allows_and_the_log_says_so(
    budget: int, form: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch, "MEMORY_BYTES", budget)
    with caplog.at_level(logging.INFO, logger="palate.model.fit"):
        of = without_lists(data(), encoder="none", dim=6)
    assert of.model.taste.items.spread.form == form
    assert f"keeping the {form} covariances of 120 items" in caplog.text
    more = of.with_items(pl.DataFrame({"item_id": ["new"]}))
    assert more.model.taste.items.spread.form == form and len(more.model.taste.items.spread.values) == 121
    full = learner("ratings", "none").recommend("u007", k=120)
    ranks = {one.item_id: place for place, one in enumerate(full)}
    shown = of.recommend("u007", k=120)
    assert np.corrcoef([ranks[one.item_id] for one in shown], range(len(shown)))[0, 1] > 0.97
