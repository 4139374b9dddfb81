"""Tiny models made on the spot: random weights, real code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "film",
    "of",
    "a",
    "love",
    "war",
    "good",
    "bad",
    "very",
    "一",
    "电",
    "影",
]


def save_tokenizer(folder: Path, vocabulary: Sequence[str], *, bert: bool) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra hf")
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    words = {word: number for number, word in enumerate(vocabulary)}
    tokenizer: Any = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]"}
    if bert:
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        special |= {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def save_bytes_tokenizer(folder: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra hf")
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    letters = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "<|endoftext|>"]
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)


def save_tiny(folder: Path, kind: str, vocabulary: Sequence[str] = WORDS) -> Path:
    torch = pytest.importorskip("torch", reason="needs the extra hf")
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    sizes = {"vocab_size": len(vocabulary), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    configs: dict[str, Callable[[], Any]] = {
        "bert": lambda: transformers.BertConfig(**sizes, intermediate_size=32, max_position_embeddings=64),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=len(vocabulary), n_embd=16, n_layer=2, n_head=2, n_positions=64
        ),
        "roberta": lambda: transformers.RobertaConfig(
            **sizes, intermediate_size=32, max_position_embeddings=66, pad_token_id=0
        ),
        "qwen2": lambda: transformers.Qwen2Config(
            **(sizes | {"vocab_size": 257}), intermediate_size=32, max_position_embeddings=64, num_key_value_heads=1
        ),
        "t5": lambda: transformers.T5Config(
            vocab_size=len(vocabulary), d_model=16, d_ff=32, num_layers=1, num_heads=2, d_kv=8
        ),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModel.from_config(configs[kind]()).save_pretrained(folder)
    if kind == "qwen2":  # the library makes its tokenizer anew, of bytes
        save_bytes_tokenizer(folder)
    else:
        save_tokenizer(folder, vocabulary, bert="bert" in kind)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = save_tiny(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return get
