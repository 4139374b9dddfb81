"""A real language model of transformers behind the interface: small, and trained here in half a minute."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from palate.entities.item_attributes import AttributeQuestion
from palate.oracles.language_model import LanguageModel, Mode, calibrate, draw_gold
from palate.oracles.language_model.asked import attribute_choice
from palate.oracles.language_model.modes import _PROBE
from palate.oracles.language_model.prompts import ORDERS, Choice
from tests.oracles.language_model.recorded_server import TOPIC, Body, Reply, listed, prompt, recorded_server

pytestmark = [pytest.mark.hf, pytest.mark.long]
ABOUT = (
    ["goal", "match", "team", "coach", "league", "striker", "referee", "stadium", "cup", "keeper"],
    ["soup", "bread", "recipe", "oven", "cheese", "dinner", "sauce", "pepper", "garlic", "roast"],
    ["train", "flight", "hotel", "island", "border", "ticket", "harbour", "journey", "museum", "beach"],
)
ANY = ["a", "the", "new", "old", "late", "last", "of", "by", "in", "for", "first", "second", "great", "small"]


def titles(n: int, rng: np.random.Generator) -> list[tuple[AttributeQuestion, int]]:
    """Of six words two tell what it is about."""
    found = []
    for place in range(n):
        topic = int(rng.integers(3))
        words = [*rng.choice(ABOUT[topic], 2), *rng.choice(ANY, 4)]
        found.append((AttributeQuestion(TOPIC, f"i{place}", " ".join(rng.permutation(words))), topic))
    return found


def trained(rng: np.random.Generator) -> tuple[Callable[[str], dict[str, float]], Any]:
    """A decoder of one layer that reads words: the text to the probability of each next word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    def texts(choice: Choice, label: str) -> list[tuple[str, str]]:
        return [(choice.messages(reverse)[-1]["content"], label) for reverse in ORDERS]

    pairs = texts(_PROBE, "apple") * 20
    for asked, topic in titles(600, rng):
        choice = attribute_choice(asked)
        assert choice is not None
        pairs += texts(choice, TOPIC.options[topic])
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))  # type: ignore[arg-type]
    words.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    known = [" ".join(word for part in (*ABOUT, ANY) for word in part), *(f"{text} {label}" for text, label in pairs)]
    words.train_from_iterator(known, trainers.WordLevelTrainer(special_tokens=["[UNK]", "[PAD]"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=256, n_embd=48, n_layer=1, n_head=2)
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
    config.initializer_range = 0.2  # at 0.02 it takes long until it looks at any word
    config.bos_token_id = config.eos_token_id = 0
    model = GPT2LMHeadModel(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(300):
        batch = [pairs[int(place)] for place in rng.integers(len(pairs), size=16)]
        inputs = tokenizer([text for text, _ in batch], return_tensors="pt", padding=True)
        last = inputs["attention_mask"].sum(1) - 1
        wanted = torch.tensor([tokenizer.convert_tokens_to_ids(label) for _, label in batch])
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        loss = torch.nn.functional.cross_entropy(logits[torch.arange(len(batch)), last], wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()

    def next_word(text: str) -> dict[str, float]:
        with torch.no_grad():
            logits = model(input_ids=tokenizer(text, return_tensors="pt")["input_ids"]).logits[0, -1]
        top = torch.topk(torch.log_softmax(logits, 0), 20)
        return dict(zip(tokenizer.convert_ids_to_tokens(top.indices.tolist()), top.values.tolist(), strict=True))

    return next_word, tokenizer


def test_a_model_of_transformers_labels_by_log_probabilities_and_by_strict_json() -> None:
    rng = np.random.default_rng(0)
    next_word, tokenizer = trained(rng)

    def served(body: Body) -> Reply:
        """What llama.cpp or vLLM would reply of this model."""
        likely = next_word(prompt(body))
        usage = {"prompt_tokens": len(tokenizer(prompt(body))["input_ids"]), "completion_tokens": 1}
        if "response_format" in body:
            label = max(listed(body), key=lambda one: likely.get(one, -99.0))
            choice: Body = {"message": {"role": "assistant", "content": json.dumps({"answer": label})}}
        else:
            top = [{"token": word, "logprob": chance} for word, chance in likely.items()]
            choice = {
                "message": {"content": top[0]["token"]},
                "logprobs": {"content": [{**top[0], "top_logprobs": top}]},
            }
        return Reply({"model": "tiny", "choices": [choice], "usage": usage})

    def without_logprobs(body: Body) -> Reply:
        return Reply({}, 400) if "logprobs" in body else served(body)

    fresh = titles(120, rng)
    asked, truth = [one for one, _ in fresh], np.array([topic for _, topic in fresh])
    for behave, mode in ((served, Mode.LOGPROBS), (without_logprobs, Mode.JSON)):
        with recorded_server(behave) as server:
            model = LanguageModel(server.url, "tiny")
            said = model.said(asked)
            assert model.mode is mode
            gold, chance = draw_gold(len(asked), least=40, rng=rng)
            by = calibrate(
                [said[one] for one in gold], list(truth[gold]), propensities=[chance] * len(gold), batch=said
            )
            answers = model.calibrated(by).answer(asked)
        right = [answer.value == topic for answer, topic in zip(answers, truth, strict=True)]
        assert np.mean(right) > 0.9 and by.agreement > 0.9 and by.reliability > 0.8
        assert (model.ledger.read, model.ledger.written) == server.billed
