"""An adapted text encoder: kept where it tells more of items held out, and else as if nobody had asked."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.encoders.items import encode_words
from palate.encoders.text.lora_fit import LoraOptions
from palate.errors import MissingExtra, ModelFolderError, OptionError
from palate.loop.memory import Memory
from palate.posteriors.held_out_items import rmse_difference
from palate.posteriors.supervised_directions import Evidence, supervised
from tests.encoders.conftest import WORDS, save_tiny

ITEMS, USERS, WIDTH = 160, 100, 48


class Faint:
    """An encoder whose vectors differ most in what says nothing; the taste lies in directions of little variance."""

    name, modality, revision, dim = "faint", "text", "1", WIDTH

    def __init__(self, told: bool) -> None:
        rng = np.random.default_rng(5)
        vectors = rng.normal(size=(ITEMS, WIDTH))
        if told:
            vectors[:, :4] = 0.1 * (factors() @ rng.normal(size=(3, 4)) + 0.2 * rng.normal(size=(ITEMS, 4)))
        self.vectors = (vectors @ np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self.vectors[[int(text.split()[-1]) for text in texts]]


@cache
def factors() -> np.ndarray:
    """Level and factors of the items, (I, 3)."""
    return np.random.default_rng(1).normal(size=(ITEMS, 3)) * [0.4, 0.8, 0.6]


def rated(of: np.ndarray, texts: Sequence[str], *, likes: bool = False) -> Dataset:
    rng = np.random.default_rng(2)
    tastes = np.concatenate([np.ones((USERS, 1)), rng.normal(size=(USERS, of.shape[1] - 1))], 1)
    users, items = np.nonzero(rng.random((USERS, len(of))) < 0.3)
    values = 3.0 + (tastes @ of.T)[users, items] + 0.5 * rng.normal(size=len(users))
    values = (values > 3.0).astype(float) if likes else np.round(values, 2)
    ratings = {"user_id": [f"u{user}" for user in users], "item_id": [f"i{item}" for item in items], "rating": values}
    ids = [f"i{item}" for item in range(len(of))]
    return Dataset.from_tables(pl.DataFrame(ratings), pl.DataFrame({"item_id": ids, "text": texts}))


@cache
def data(likes: bool = False) -> Dataset:
    return rated(factors(), [f"item {item}" for item in range(ITEMS)], likes=likes)


@contextmanager
def encoder(told: bool) -> Iterator[None]:
    with (
        mock.patch("palate.encoders.items.load_encoder", return_value=Faint(told)),
        mock.patch("palate.encoders.items.Cached", side_effect=lambda made: _Bare(made)),
        mock.patch("palate.model.new_items.Cached", side_effect=lambda made: _Bare(made)),
    ):
        yield


class _Bare:
    """In the place of the cache, since both encoders have one name."""

    def __init__(self, made: Faint) -> None:
        self.made, self.dim, self.revision = made, made.dim, made.revision

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray:
        return self.made.encode(texts).copy()


@cache
def learner(told: bool, adapt: str = "linear", likes: bool = False) -> Learner:
    with encoder(told):
        return Learner.fit(data(likes), encoder="faint", dim=3, adapt=adapt)  # type: ignore[arg-type]


def assert_same_model(one: Learner, other: Learner) -> None:
    first, second = one.model, other.model
    np.testing.assert_array_equal(first.catalogue.content, second.catalogue.content)
    for name in ("level", "factors", "noise"):
        np.testing.assert_array_equal(getattr(first.taste.items, name), getattr(second.taste.items, name))
    np.testing.assert_array_equal(first.prior.coefficients, second.prior.coefficients)
    assert [block.revision for block in first.catalogue.blocks] == [block.revision for block in second.catalogue.blocks]


# ---- linear ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("likes", [False, True])
def test_a_map_to_faint_directions_is_kept(likes: bool) -> None:
    found = learner(True, likes=likes).model.adaptation
    assert found is not None and found.kept and found.items == ITEMS
    assert found.difference is not None and found.difference[1] < found.difference[0] < found.difference[2] < 0.0
    assert found.rmse is not None and found.difference[0] == pytest.approx(found.rmse[0] - found.rmse[1])
    assert "linear, kept: on 160 items held out in turn RMSE 0." in found.sentence()
    shape = learner(True, likes=likes).model.catalogue.blocks[0].axes
    assert shape is not None and shape.shape[1] <= 4, "as many directions as level and factors at most"


def test_where_texts_say_nothing_the_model_is_the_one_without() -> None:
    found = learner(False).model.adaptation
    assert found is not None and not found.kept and found.difference is not None and found.difference[2] >= 0.0
    assert_same_model(learner(False), learner(False, "none"))
    assert learner(False, "none").model.adaptation is None


def test_a_gain_shows_on_items_the_whole_fit_has_never_seen() -> None:
    hidden = pl.col("item_id").is_in([f"i{item}" for item in range(0, ITEMS, 5)])
    whole = data()
    train = replace(whole, interactions=whole.interactions.filter(~hidden))
    test = whole.interactions.filter(hidden)
    with encoder(True):
        fits = [Learner.fit(train, encoder="faint", dim=3, adapt=how).model for how in ("linear", "none")]
    rows = [[model.user_ids.index(user) for user in test["user_id"]] for model in fits]
    columns = [model.catalogue.positions(test["item_id"].to_list()) for model in fits]
    observed, errors = test["rating"].to_numpy(), []
    for model, users, items in zip(fits, rows, columns, strict=True):
        mean, _ = model.taste.items.predict(model.taste.believe(model.answers))
        errors.append(np.sqrt(((mean[users, items] - observed) ** 2).mean()))
    assert errors[0] < errors[1] - 0.1


@pytest.mark.long
def test_one_seed_gives_one_model() -> None:
    with encoder(True):
        again = Learner.fit(data(), encoder="faint", dim=3, adapt="linear")
    assert_same_model(again, learner(True))
    assert again.model.adaptation == learner(True).model.adaptation


def test_a_saved_model_reads_new_items_through_the_map(tmp_path: Path) -> None:
    learner(True).save(tmp_path)
    loaded = Learner.load(tmp_path)
    assert loaded.model.adaptation == learner(True).model.adaptation
    new = pl.DataFrame({"item_id": ["new"], "text": ["item 7"]})
    with encoder(True):
        contents = [one.with_items(new).model.catalogue.content for one in (learner(True), loaded)]
    np.testing.assert_array_equal(contents[0][-1], contents[1][-1])
    position = learner(True).model.catalogue.position("i7")
    np.testing.assert_allclose(contents[0][-1], learner(True).model.catalogue.content[position], atol=1e-6)


def test_few_items_are_not_tried() -> None:
    few = pl.col("item_id").is_in([f"i{item}" for item in range(39)])
    part = replace(data(), interactions=data().interactions.filter(few), items=data().items.filter(few))
    with encoder(True):
        one, other = (Learner.fit(part, encoder="faint", dim=3, adapt=how) for how in ("linear", "none"))
    assert one.model.adaptation is not None and not one.model.adaptation.kept
    assert (
        one.model.adaptation.sentence() == "linear, not tried: 39 items have text and answers, at least 40 are needed"
    )
    assert_same_model(one, other)


def test_progress_ends_complete() -> None:
    seen: list[tuple[str, int, int]] = []
    with encoder(False):
        Learner.fit(data(), encoder="faint", dim=3, adapt="linear", progress=lambda *at: seen.append(at))
    steps = [(done, of) for what, done, of in seen if what == "adapting"]
    assert len(steps) > 4 and steps == sorted(steps) and steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adapt": "quadratic"}, r"^adapt 'quadratic' is unknown\. Use none, linear or lora\."),
        ({"adapt": "linear", "encoder": "none"}, r"^adapt='linear' needs a text encoder, and encoder is 'none'\."),
        ({"adapt": "linear", "likelihood": "implicit"}, r"judged by ratings, and the data has events alone\."),
        ({"adapt": "lora"}, r"^adapt='lora' needs a Hugging Face text model, and 'default' is none\."),
    ],
)
def test_what_cannot_be_adapted_says_so(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Learner.fit(data(), **options)


def test_items_without_text_have_nothing_to_adapt() -> None:
    bare = replace(data(), items=data().items.with_columns(pl.lit("").alias("text")))
    with pytest.raises(OptionError, match=r"^adapt='linear' needs texts: 0 of 160 items have one\."):
        Learner.fit(bare, adapt="linear")


def test_without_peft_lora_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[hf\]'$"):
        Learner.fit(data(), encoder="minilm", adapt="lora")


# ---- its parts ------------------------------------------------------------------------------------------------------


def test_directions_that_say_nothing_are_zero() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 10))
    values = np.stack([vectors[:, 3], rng.normal(size=200)], 1)
    precisions = np.tile(20.0 * np.eye(2), (200, 1, 1))
    found = supervised(vectors, Evidence.of(precisions, 20.0 * values))
    assert found is not None and np.abs(found[:, 0]).argmax() == 3
    assert np.abs(found[:, 1]).max() < 0.1 * np.abs(found[:, 0]).max()
    assert supervised(np.ones((200, 10)), Evidence.of(precisions, 20.0 * values)) is None


def test_items_without_answers_teach_nothing() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 5))
    assert supervised(vectors, Evidence.of(np.zeros((60, 2, 2)), np.zeros((60, 2)))) is None
    precisions = np.tile(9.0 * np.eye(2), (60, 1, 1))
    precisions[30:] = 0.0
    pulls = 9.0 * np.where(np.arange(60)[:, None] < 30, vectors[:, :2], 0.0)
    both = supervised(vectors, Evidence.of(precisions, pulls))
    taught = supervised(vectors[:30], Evidence.of(precisions[:30], pulls[:30]))
    np.testing.assert_allclose(both, taught)


def test_the_interval_of_a_difference_of_rmses_by_hand() -> None:
    counts = np.full(50, 4.0)
    rmse, (mean, low, high) = rmse_difference(counts * 1.0, counts * 4.0, counts, np.random.default_rng(0))
    assert rmse == (1.0, 2.0) and mean == low == high == -1.0


# ---- LoRA -----------------------------------------------------------------------------------------------------------

SIGNAL = ("love", "war", "good", "bad")
FAST = LoraOptions(rate=3e-3, epochs=8, patience=3)


def loud(folder: Path) -> Path:
    """A tiny BERT of forty more words than it has dimensions for, its weights large enough for attention to matter."""
    save_tiny(folder, "bert", [*WORDS, *(f"w{word}" for word in range(40))])
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    config.initializer_range = 0.3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Fitted with an adapter: four words among many say what an item is like."""
    pytest.importorskip("peft", reason="needs the extra hf: pip install '.[hf]'")
    rng = np.random.default_rng(0)
    has = rng.random((200, 4)) < 0.4
    texts = [
        " ".join(rng.permutation([*rng.choice([f"w{word}" for word in range(40)], 8), *np.array(SIGNAL)[row]]))
        for row in has
    ]
    of = np.concatenate([np.zeros((200, 1)), (has - 0.4) @ rng.normal(size=(4, 2))], 1)
    folder = loud(tmp_path_factory.mktemp("loud"))
    alone = mock.patch("palate.encoders.items.words_block", return_value=None)  # beside words it has nothing to add
    with mock.patch("palate.model.adapt_text.LORA", FAST), alone:
        return Learner.fit(rated(of, texts), encoder=str(folder), dim=3, adapt="lora")


@pytest.mark.long
@pytest.mark.hf
def test_an_adapter_that_finds_the_words_that_count_is_kept(trained: Learner) -> None:
    found, block = trained.model.adaptation, trained.model.catalogue.block("text")
    assert found is not None and found.kept and found.difference is not None and found.difference[2] < 0.0
    assert block is not None and block.lora is not None and block.lora.revision in block.revision


@pytest.mark.hf
def test_a_saved_model_reads_new_items_and_words_with_its_adapter(trained: Learner, tmp_path: Path) -> None:
    trained.save(tmp_path)
    loaded = Learner.load(tmp_path)
    text = trained.model.catalogue.table["text"][3]
    new = pl.DataFrame({"item_id": ["new", "other"], "text": [text, "love w1 bad"]})
    contents = [one.with_items(new).model.catalogue.content for one in (trained, loaded)]
    np.testing.assert_array_equal(contents[0], contents[1])
    np.testing.assert_allclose(contents[1][-2], trained.model.catalogue.content[3], atol=1e-5)
    blocks = [one.model.catalogue.block("text") for one in (trained, loaded)]
    plain = replace(blocks[0], lora=None, revision=blocks[0].revision.replace(f"-{blocks[0].lora.revision}", ""))
    words = [encode_words("good war", block) for block in (*blocks, plain)]
    np.testing.assert_array_equal(words[0], words[1])
    assert np.abs(words[0] - words[2]).max() > 1e-3


@pytest.mark.hf
def test_a_damaged_or_foreign_adapter_is_refused(trained: Learner, tmp_path: Path) -> None:
    trained.save(tmp_path / "m")
    shutil.copytree(tmp_path / "m", tmp_path / "damaged")
    (path,) = (tmp_path / "damaged").glob("lora-*.safetensors")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelFolderError, match=r"lora-.*Restore the folder from a backup, or save the model again"):
        Learner.load(tmp_path / "damaged")
    block = trained.model.catalogue.block("text")
    foreign = replace(block, revision=block.revision.replace(block.lora.revision, "lora000000000000"))
    wrong = copy.copy(trained.model.catalogue)
    object.__setattr__(wrong, "blocks", (foreign,))
    wrong = replace(trained.model, catalogue=wrong)
    Learner(Memory(wrong)).save(tmp_path / "foreign")
    with pytest.raises(ModelFolderError, match=r"match of the adapter with the encoder's revision is False"):
        Learner.load(tmp_path / "foreign")


# ---- command line ---------------------------------------------------------------------------------------------------


def test_fit_says_what_came_of_it(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from palate.cli.app import app
    from palate.datasets.convert import write_folder

    write_folder(data(), tmp_path / "d")
    given = ["fit", str(tmp_path / "d"), "--out", str(tmp_path / "m"), "--encoder", "faint", "--dim", "3"]
    with encoder(False):
        result = CliRunner().invoke(app, [*given, "--adapt", "linear", "--json"])
        shown = CliRunner().invoke(app, [*given, "--adapt", "linear"])
    found = json.loads(result.output)["adaptation"]
    assert found["kind"] == "linear" and found["kept"] is False and found["items"] == ITEMS
    assert found["difference"][1] < found["difference"][0] < found["difference"][2]
    assert "linear, not kept: on 160 items" in " ".join(shown.output.split())
