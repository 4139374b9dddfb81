"""Adapters: applied with torch alone, trained with peft, kept as arrays, never mixed up with the plain encoder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.encoders.cache import Cached
from palate.encoders.registry import load_encoder
from palate.encoders.text.huggingface import HuggingFace
from palate.encoders.text.lora import Lora, targets
from palate.encoders.text.lora_fit import Lesson, LoraOptions, _Trainer, fit_lora
from palate.errors import MissingExtra, ModelFolderError, OptionError

pytestmark = pytest.mark.hf
torch: Any = pytest.importorskip("torch", reason="needs the extra hf: pip install '.[hf]'")
pytest.importorskip("sentence_transformers", reason="needs the extra hf: pip install '.[hf]'")

Tiny = Callable[[str], Path]
TEXTS = ["the film", "a very very good film of love", "war", "the bad film of a war the good film of love"]
KINDS = ("bert", "roberta", "gpt2", "qwen2")
OPTIONS = LoraOptions(rank=2, epochs=2, held_out=0.25)


def drawn(encoder: HuggingFace, seed: int = 0, rank: int = 2) -> Lora:
    """An adapter of random weights that fits."""
    rng, module = np.random.default_rng(seed), encoder.to_train().module
    layers = {}
    for name in targets(module):
        layer = module.get_submodule(name)
        out, inside = layer.weight.shape if type(layer).__name__ != "Conv1D" else layer.weight.shape[::-1]
        halves = rng.normal(size=(out, rank)), rng.normal(size=(rank, inside))
        layers[name] = tuple(half.astype(np.float32) for half in halves)
    return Lora(layers)


def lesson(encoder: HuggingFace, repeats: int = 8) -> Lesson:
    """Of the texts, whether one is about love: of four, so that a few passes can learn it."""
    texts = TEXTS * repeats
    vectors = encoder.encode(texts).astype(np.float64)
    deviations = np.array([[float("love" in text) - 0.5] for text in texts])
    head = np.random.default_rng(0).normal(size=(encoder.dim, 1))
    return Lesson(texts, deviations, np.full((len(texts), 1, 1), 0.8), vectors.mean(0), head)


def fitted(encoder: HuggingFace, seed: int = 0, **changes: Any) -> Lora | None:
    rng = np.random.default_rng(seed)
    return fit_lora(encoder.to_train(), "", lesson(encoder), options=replace(OPTIONS, **changes), rng=rng)


# ---- applied --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_adapter_gives_what_peft_gives(tiny: Tiny, kind: str) -> None:
    peft = pytest.importorskip("peft", reason="needs the extra hf")
    encoder = HuggingFace(tiny(kind))
    lora, module = drawn(encoder), encoder.to_train().module
    config = peft.LoraConfig(r=2, lora_alpha=2, target_modules=list(lora.layers), fan_in_fan_out=kind == "gpt2")
    with torch.random.fork_rng():
        module = peft.inject_adapter_in_model(config, module).eval()
    for name, (up, down) in lora.layers.items():
        layer = module.get_submodule(name)
        layer.lora_B["default"].weight.data = torch.from_numpy(up)
        layer.lora_A["default"].weight.data = torch.from_numpy(down)
    ids = torch.tensor([[7, 12, 10, 5]])
    with torch.inference_mode():
        expected = module(ids, torch.ones_like(ids))[0].numpy()
    merged = encoder.to_train().module
    lora.merge(merged)
    with torch.inference_mode():
        found = merged(ids, torch.ones_like(ids))[0].numpy()
        plain = encoder.to_train().module(ids, torch.ones_like(ids))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - plain).max() > 1e-3, "an adapter that changes nothing would pass too"


def test_the_revision_changes_with_the_weights_and_so_the_cache(tiny: Tiny, tmp_path: Path) -> None:
    plain = HuggingFace(tiny("bert"))
    one, other = (load_encoder(str(tiny("bert")), lora=drawn(plain, seed)) for seed in (1, 2))
    assert len({plain.revision, one.revision, other.revision}) == 3
    assert one.revision == load_encoder(str(tiny("bert")), lora=drawn(plain, 1)).revision
    first, second, third = (Cached(encoder, tmp_path).encode(TEXTS) for encoder in (plain, one, other))
    assert np.abs(first - second).max() > 1e-3 and np.abs(second - third).max() > 1e-3
    np.testing.assert_array_equal(Cached(one, tmp_path).encode(TEXTS), second)


def test_it_runs_in_torch_whatever_was_wished(tiny: Tiny) -> None:
    lora = drawn(HuggingFace(tiny("bert")))
    encoder = HuggingFace(tiny("bert"), backend="auto", lora=lora)
    assert encoder.backend == "torch" and lora.revision in encoder.revision


def test_arrays_and_back(tiny: Tiny) -> None:
    lora = drawn(HuggingFace(tiny("bert")))
    again = Lora.from_arrays(lora.arrays())
    assert again.revision == lora.revision and list(again.layers) == list(lora.layers)


@pytest.mark.parametrize("damage", ["half", "rank", "vector"])
def test_halves_that_do_not_fit_are_refused(tiny: Tiny, damage: str) -> None:
    arrays = drawn(HuggingFace(tiny("bert"))).arrays()
    name = next(name for name in arrays if name.endswith(".up"))
    if damage == "half":
        del arrays[name]
    else:
        arrays[name] = arrays[name][:, :1] if damage == "rank" else arrays[name][0]
    with pytest.raises(ModelFolderError, match=r"^the adapter of '.*query' has halves of shapes .* Save the model"):
        Lora.from_arrays(arrays)


def test_another_models_adapter_is_refused(tiny: Tiny) -> None:
    lora = drawn(HuggingFace(tiny("bert")))
    with pytest.raises(ModelFolderError, match=r"the encoder has none\. Load it with the encoder it was trained on"):
        HuggingFace(tiny("gpt2"), lora=lora)
    name, (up, down) = next(iter(lora.layers.items()))
    with pytest.raises(ModelFolderError, match=r"of \(15, 16\), the encoder has one of \(16, 16\)"):
        HuggingFace(tiny("bert"), lora=Lora({name: (up[:-1], down)}))


def test_encoders_that_cannot_have_one_say_so(tiny: Tiny) -> None:
    lora = drawn(HuggingFace(tiny("bert")))
    with pytest.raises(OptionError, match=r"cannot have a LoRA adapter\. Give 'minilm'"):
        load_encoder("default", lora=lora)


def test_a_model_without_known_attention_says_so() -> None:
    with pytest.raises(OptionError, match=r"no attention layer of a known name .* Give adapt='linear'"):
        targets(torch.nn.Sequential(torch.nn.Linear(2, 2)))


# ---- trained --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:])])
def test_every_kind_can_be_trained(tiny: Tiny, kind: str) -> None:
    encoder = HuggingFace(tiny(kind))
    lora = fitted(encoder, rate=1e-2)
    assert lora is not None, "from a head of noise every pass is a gain"
    adapted = HuggingFace(tiny(kind), lora=lora).encode(TEXTS)
    assert np.isfinite(adapted).all() and np.abs(adapted - encoder.encode(TEXTS)).max() > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_what_was_trained(tiny: Tiny, kind: str) -> None:
    encoder = HuggingFace(tiny(kind))
    trainer = _Trainer.prepare(encoder.to_train(), "", lesson(encoder), OPTIONS, np.random.default_rng(0))
    for name, weight in trainer.module.named_parameters():
        if ".lora_B." in name:
            weight.data += 0.5
    merged, ids = encoder.to_train().module, torch.tensor([[7, 12, 10, 5]])
    trainer.snapshot().merge(merged)
    with torch.inference_mode():
        found, expected = (module(ids, torch.ones_like(ids)).cpu().numpy() for module in (merged, trainer.module.cpu()))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.long
def test_odd_texts_can_be_trained_on(tiny: Tiny) -> None:
    encoder, odd = HuggingFace(tiny("bert")), ["\ud800", "a\x00film", " ", "film " * 20_000]
    taught = replace(lesson(encoder), texts=[*odd, *TEXTS * 7])
    lora = fit_lora(encoder.to_train(), "", taught, options=OPTIONS, rng=np.random.default_rng(0))
    assert lora is not None and all(np.isfinite(array).all() for array in lora.arrays().values())


@pytest.mark.long
def test_one_seed_gives_one_adapter_and_leaves_torchs_own_generator_alone(tiny: Tiny) -> None:
    encoder = HuggingFace(tiny("bert"))
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, other, another = fitted(encoder), fitted(encoder), fitted(encoder, seed=1)
    assert one is not None and other is not None and another is not None
    assert one.revision == other.revision != another.revision
    assert torch.equal(before, torch.random.get_rng_state())


def test_without_a_gain_on_texts_held_out_there_is_no_adapter(tiny: Tiny) -> None:
    assert fitted(HuggingFace(tiny("bert")), rate=30.0) is None


@pytest.mark.long
def test_progress_counts_the_passes_and_an_interruption_leaves_the_encoder_as_it_was(tiny: Tiny) -> None:
    encoder, seen = HuggingFace(tiny("bert")), []
    rng, before = np.random.default_rng(0), encoder.encode(TEXTS)

    def stop(done: int, of: int) -> None:
        seen.append((done, of))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_lora(encoder.to_train(), "", lesson(encoder), options=OPTIONS, rng=rng, progress=stop)
    assert seen == [(1, 2)]
    np.testing.assert_array_equal(encoder.encode(TEXTS), before)


def test_only_training_needs_peft(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = HuggingFace(tiny("bert"))
    loaded, taught = encoder.to_train(), lesson(encoder)
    monkeypatch.delitem(sys.modules, "peft", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None if name == "peft" else object())
    assert HuggingFace(tiny("bert"), lora=drawn(encoder)).encode(TEXTS).shape == (4, 16)
    with pytest.raises(MissingExtra, match=r"^adapt='lora' needs the library 'peft'.* pip install '\.\[hf\]'$"):
        fit_lora(loaded, "", taught, options=OPTIONS, rng=np.random.default_rng(0))
