"""Items with any subset of text, image, sound and categories: fitted, saved, extended and explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import Dataset
from palate.encoders.blocks import Block as FusionBlock
from palate.encoders.blocks import check_vectors, common_categories, fuse, indicators, whiten
from palate.errors import DataError, ModelFolderError, OptionError, UnknownItem
from palate.posteriors.answers import Answers
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.fit import fit
from palate.posteriors.sweeps import FitOptions
from palate.store.model_folder.folder import load_folder, save_folder
from tests.worlds import Words, data, without_lists, world


class Bytes:
    """A stand-in for an encoder of images or sounds: numbers, written out as the bytes of the file."""

    revision = "1"
    dim = 6

    def __init__(self, modality: str) -> None:
        self.name = self.modality = modality

    def encode(self, contents: list[bytes]) -> np.ndarray:
        vectors = np.full((len(contents), self.dim), np.nan, dtype=np.float32)
        for row, content in enumerate(contents):
            if content:
                vectors[row] = np.frombuffer(content, dtype=np.float32)
        return vectors


@pytest.fixture(autouse=True)
def encoders() -> Iterator[None]:
    def load(name: str, modality: str | None = None, **_: object) -> object:
        return Words() if modality is None else Bytes(modality)

    with (
        mock.patch("palate.encoders.items.load_encoder", side_effect=load),
    ):
        yield


@pytest.fixture
def without_words() -> Iterator[None]:
    """Text is read by its encoder alone."""
    with mock.patch("palate.encoders.items.words_block", return_value=None):
        yield


def shown(share: float = 0.7, seed: int = 0) -> pl.DataFrame:
    """The items, with the first taste dimensions of each as its image, for a share of them, and noise as its sound."""
    rng = np.random.default_rng(seed)
    items = data().items
    seen = np.concatenate([world().factors, rng.normal(size=(len(items), 6))], 1)[:, :6].astype(np.float32)
    has = rng.random(len(items)) < share
    return items.with_columns(
        pl.Series("image", [row.tobytes() if here else None for row, here in zip(seen, has, strict=True)], pl.Binary),
        pl.Series("audio", [row.tobytes() for row in rng.normal(size=seen.shape).astype(np.float32)], pl.Binary),
    )


@cache
def learner(**options: object) -> Learner:
    given = {"encoder": "words", "image": "eyes", "audio": "ears", "categories": True, **options}
    return without_lists(replace(data(), items=shown()), dim=6, **given)


# ---- whitening ------------------------------------------------------------------------------------------------------


def test_whitened_columns_are_uncorrelated_and_of_length_one_on_average() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(50, 4)) @ rng.normal(size=(4, 8)) + 3.0).astype(np.float32)
    vectors[7] = np.nan
    centre, axes = whiten(vectors)
    assert axes.shape == (8, 4), "of eight columns four hold everything"
    columns = np.delete(vectors, 7, 0) - centre
    whitened = columns @ axes
    gram = whitened.T @ whitened / 49
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-5)
    assert np.trace(gram) == pytest.approx(1.0, rel=1e-5)
    assert (np.diff(np.diag(gram)) <= 0).all(), "directions of most variance come first"


def test_vectors_that_are_all_the_same_keep_one_column_of_zeros() -> None:
    centre, axes = whiten(np.ones((5, 3), dtype=np.float32))
    assert axes.shape == (3, 1) and np.abs((np.ones((5, 3)) - centre) @ axes).max() < 1e-6


def test_a_complete_text_alone_is_whitened_like_any_other_block() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    content = fuse([(FusionBlock("text", "words", "1"), vectors)])
    assert content is not None and content.sizes == (3,)
    np.testing.assert_allclose(content.vectors, content.blocks[0].whitened(vectors))
    np.testing.assert_allclose(content.vectors.mean(0), 0.0, atol=1e-6)


def test_a_modality_that_nothing_has_is_left_out() -> None:
    nothing = np.full((5, 3), np.nan, dtype=np.float32)
    assert fuse([(FusionBlock("image", "eyes", "1"), nothing)]) is None


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_vector_that_is_not_finite_is_refused_with_its_item_and_block(bad: float) -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    vectors[3, 1], vectors[4] = bad, np.nan  # the last item has none at all, which is no fault
    block = FusionBlock("image", "eyes", "1")
    fact = (
        r"^the image vector of {} by the encoder 'eyes' holds NaN or an infinite number, as do 0 of the 4 others\. Mend"
    )
    with pytest.raises(DataError, match=fact.format("row 3")):
        fuse([(block, vectors)])
    with pytest.raises(DataError, match=fact.format("item 'd'")):
        check_vectors(block, vectors, list("abcde"))


class Loud(Words):
    """Infinite for one text."""

    def __init__(self, text: str) -> None:
        self.name, self.text = "loud", text
        self.revision = text[:8]

    def encode(self, texts):
        return np.where(np.array([text == self.text for text in texts])[:, None], np.inf, super().encode(texts))


@pytest.mark.long
def test_an_encoder_that_overflows_is_refused_in_the_fit_and_for_new_items() -> None:
    with pytest.raises(
        DataError, match=f"^the text vector of item '{data().items['item_id'][2]}' by the encoder 'loud'"
    ):
        without_lists(data(), encoder=Loud(data().item_texts()[2]), dim=4)
    fitted = without_lists(data(), encoder=Loud("an explosion"), dim=4)
    with pytest.raises(DataError, match=r"^the text vector of item 'new' by the encoder 'loud'"):
        fitted.with_items(pl.DataFrame({"item_id": ["new"], "text": ["an explosion"]}))


def test_categories_of_one_item_or_of_all_tell_nothing_apart() -> None:
    names = [["a", "b", "all"], ["a", "all"], ["b", "c", "all"]]
    assert common_categories(names) == ("a", "b")
    assert common_categories([["a"], ["a"], ["b"]]) == ()
    np.testing.assert_array_equal(
        indicators([["b", "z"], [], ["a", "b"]], ("a", "b")), [[0.0, 1.0], [np.nan, np.nan], [1.0, 1.0]]
    )


# ---- fitting --------------------------------------------------------------------------------------------------------


def test_text_alone_is_fitted_as_one_block(without_words: None) -> None:
    model = without_lists(data(), encoder="words", dim=6, likelihood="gaussian").model
    assert isinstance(model.prior, FusedPrior) and model.catalogue.has is not None and model.catalogue.has.all()
    content = fuse([(FusionBlock("text", "words", "1"), Words().encode(data().item_texts()))])
    assert content is not None
    fitted = fit(
        Answers(model.answers),
        likelihood=model.taste.likelihood,
        options=FitOptions(dim=6),
        content=content.vectors.astype(np.float64),
        sizes=content.sizes,
        rng=np.random.default_rng(0),
    )
    np.testing.assert_allclose(model.taste.items.factors, fitted.factors[:, 1:], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.prior.coefficients, fitted.prior.coefficients, rtol=1e-9, atol=1e-9)


def test_the_blocks_are_named_and_what_an_item_lacks_is_remembered() -> None:
    catalogue = learner().model.catalogue
    assert [(block.name, block.encoder) for block in catalogue.blocks] == [
        ("text", "words"),
        ("image", "eyes"),
        ("audio", "ears"),
        ("category", "categories"),
        ("words", "lexical"),
    ]
    assert catalogue.has is not None and catalogue.content is not None and np.isfinite(catalogue.content).all()
    known = shown().select("item_id", pl.col("image").is_not_null()).rows()
    assert dict(zip(catalogue.ids, catalogue.has[:, 1].tolist(), strict=True)) == dict(known)
    encodings = catalogue.encodings()
    assert encodings is not None
    assert (np.isnan(encodings).any(1) == ~catalogue.has.all(1)).all()
    assert not {"image", "audio"} & set(catalogue.table.columns), "bytes are not kept in the model"
    assert learner().model.encoder == ("words", "1")


@pytest.mark.long
def test_what_says_nothing_is_switched_off_and_what_says_much_is_heard() -> None:
    model = learner(categories=False, encoder="none").model
    catalogue, prior = model.catalogue, model.prior
    assert isinstance(prior, FusedPrior)
    encodings = catalogue.encodings()
    assert encodings is not None
    image, audio = (prior.parts(encodings) ** 2).mean((0, 2))
    assert image > 20 * audio


@pytest.mark.long
def test_images_alone_are_enough_for_a_model() -> None:
    model = learner(encoder="none", audio=None, categories=False).model
    assert model.encoder == ("", "") and [block.name for block in model.catalogue.blocks] == ["image"]
    with pytest.raises(UnknownItem, match="the model has no encoder to read it"):
        model.concept("quiet evenings")


def test_a_concept_is_read_by_the_text_block_alone() -> None:
    concept = learner().model.concept("a very quiet jazz album")
    assert np.isfinite(concept.direction).all() and concept.noise > 0


def test_an_encoder_without_a_column_for_it_is_an_error() -> None:
    with pytest.raises(OptionError, match=r"^0 of 120 items have an image for the encoder 'eyes'\. Give the items a"):
        without_lists(data(), encoder="words", image="eyes", dim=3)


# ---- new items ------------------------------------------------------------------------------------------------------


def new_items() -> pl.DataFrame:
    image = world().factors[:1].astype(np.float32)
    image = np.concatenate([image, np.zeros((1, 6), dtype=np.float32)], 1)[:, :6].tobytes()
    first = data().items.row(0, named=True)
    text = {name: [first[name], "", first[name]] for name in ("title", "text", "category")}
    return pl.DataFrame({"item_id": ["whole", "seen", "read"], **text, "image": [image, image, None]})


def test_new_items_with_less_are_less_sure() -> None:
    more = learner().with_items(new_items())
    items, catalogue = more.model.taste.items, more.model.catalogue
    assert catalogue.has is not None
    assert catalogue.has[-3:].tolist() == [
        [True, True, False, True, True],
        [False, True, False, False, False],
        [True, False, False, True, True],
    ]
    unsure = dict(zip(["whole", "seen", "read"], (items.answer_noise - items.noise)[-3:], strict=True))
    assert unsure["whole"] < min(unsure["seen"], unsure["read"])
    blank = learner().with_items(pl.DataFrame({"item_id": ["blank"]})).model.taste.items
    assert (blank.answer_noise - blank.noise)[-1] > max(unsure.values())
    np.testing.assert_allclose(blank.level[-1], more.model.prior.mean[0], atol=1e-5)


def test_a_new_item_without_text_is_as_unsure_as_the_catalogue_is_varied(without_words: None) -> None:
    of = without_lists(data(), encoder="words", dim=6)
    more = of.with_items(pl.DataFrame({"item_id": ["blank", "told"], "text": ["", "a jazz album"]}))
    prior, encodings = of.model.prior, of.model.catalogue.encodings()
    said = prior.predict(encodings)
    spread = prior.covariances(encodings).mean(0) + np.cov(said.T, bias=True)
    items = more.model.taste.items
    assert (items.answer_noise - items.noise)[120] == pytest.approx(np.trace(spread))
    np.testing.assert_allclose(items.factors[120], said.mean(0)[1:], atol=1e-9)


def test_another_revision_of_any_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    of = learner()
    monkeypatch.setattr(Bytes, "revision", "2")
    with pytest.raises(OptionError, match=r"^encoder 'eyes' is now '2', the model has '1'\. Refit\.$"):
        of.with_items(new_items())


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_paths_are_read_from_the_folder_of_the_data(tmp_path: Path) -> None:
    items = shown(share=1.0).drop("audio")
    for name, content in items.select("item_id", "image").rows():
        (tmp_path / f"{name}.bin").write_bytes(content)
    paths = items.select("item_id", "title", "text", "category", pl.format("{}.bin", "item_id").alias("image"))
    by_path = Dataset.from_tables(data().interactions, paths, folder=tmp_path)
    options = {"encoder": "none", "image": "eyes", "dim": 4}
    found = without_lists(by_path, **options).model
    held = without_lists(replace(data(), items=items), **options).model
    assert np.array_equal(found.taste.items.factors, held.taste.items.factors)
    assert "image" in found.catalogue.table.columns, "paths are kept"
    (tmp_path / "i003.bin").unlink()
    with pytest.raises(DataError, match=r"^the image of item 'i003' \(i003\.bin\) cannot be read"):
        without_lists(by_path, **options)
    skipped = without_lists(by_path, on_corrupt="skip", **options).model
    assert skipped.catalogue.has is not None and skipped.catalogue.has.sum() == 119


def test_a_saved_model_is_the_same_and_takes_new_items(tmp_path: Path) -> None:
    learner().save(tmp_path)
    again = Learner.load(tmp_path)
    before, after = learner().with_items(new_items()).model, again.with_items(new_items()).model
    for name in ("level", "factors", "answer_noise"):
        assert np.array_equal(getattr(after.taste.items, name), getattr(before.taste.items, name)), name
    assert np.array_equal(after.catalogue.has, before.catalogue.has)
    assert again.explain_item("i003") == learner().explain_item("i003")


@pytest.mark.parametrize(
    ("file", "name"),
    [("taste", "prior.strengths"), ("taste", "prior.gram"), ("blocks", "has"), ("blocks", "image.axes")],
)
def test_a_block_of_another_shape_is_refused(tmp_path: Path, file: str, name: str) -> None:
    learner().save(tmp_path)
    loaded = load_folder(tmp_path)
    loaded.arrays[file][name] = loaded.arrays[file][name][:, :-1].copy()
    save_folder(tmp_path, config=loaded.config, arrays=loaded.arrays, tables=loaded.tables)
    with pytest.raises(ModelFolderError, match=r"shape of (prior\.)?(strengths|gram|has|image\.axes) is"):
        Learner.load(tmp_path)


# ---- what informs an item -------------------------------------------------------------------------------------------


def test_an_item_is_explained_by_what_it_has() -> None:
    of = learner()
    catalogue = of.model.catalogue
    assert catalogue.has is not None
    blind = catalogue.ids[int(np.flatnonzero(~catalogue.has[:, 1])[0])]
    report = of.explain_item(blind)
    parts = {part.modality: part for part in report.modalities}
    assert list(parts) == ["text", "image", "audio", "category", "words"]
    assert not parts["image"].present and parts["image"].shift == 0.0 and parts["text"].present
    assert sum(part.share for part in report.modalities) == pytest.approx(1.0)
    assert parts["audio"].share < 0.1
    assert report.answers == catalogue.counts[catalogue.position(blind)] and report.left < report.unexplained


def test_without_content_nothing_informs_an_item_but_answers() -> None:
    report = without_lists(data(), encoder="none", dim=3).explain_item("i003")
    assert report.modalities == () and report.left < report.unexplained


def test_the_shift_of_a_text_is_what_it_moves_for_users_of_the_population(without_words: None) -> None:
    of = without_lists(data(), encoder="words", dim=6)
    (text,) = of.explain_item("i003").modalities
    encodings = of.model.catalogue.encodings(np.array([2]))
    away = of.model.prior.predict(encodings)[0] - of.model.prior.mean
    draws = np.random.default_rng(0).normal(size=(100_000, len(away) - 1))
    assert text.shift == pytest.approx(np.sqrt(np.mean((away[0] + draws @ away[1:]) ** 2)), rel=0.02)
    assert text.share == 1.0


@pytest.mark.long
def test_an_encoder_is_given_as_an_object_of_the_right_modality() -> None:
    given, named = (without_lists(data(), encoder=encoder, dim=2) for encoder in (Words(), "words"))
    assert given.recommend("u001", 3) == named.recommend("u001", 3)
    for wrong, message in (
        (object(), r"^the encoder .* lacks modality, name, revision, dim, encode\. Give a name, or an object"),
        (Words, r"^the encoder .* is a class\. Give a name, or an object"),
        (Bytes("image"), r"^the encoder 'image' takes 'image', not text\. Give it for what it takes\.$"),
    ):
        with pytest.raises(OptionError, match=message):
            without_lists(data(), encoder=wrong, dim=2)
