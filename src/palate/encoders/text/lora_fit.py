"""Training of LoRA adapters: vectors that tell what people think of items (extra ``hf``: peft, torch)."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.passes import best_pass
from palate.encoders.text.lora import Lora, targets, turned
from palate.encoders.text.texts import clean
from palate.encoders.text.transformer import Loaded, devices
from palate.encoders.text.windows import Window, Windows, pad, tokenize_with
from palate.errors import MissingExtra


@dataclass(frozen=True, slots=True)
class LoraOptions:
    """Settings of the training.

    Attributes:
        rank: Of the change of a layer.
        epochs: Passes over the texts, at most.
        patience: Passes without a gain on the texts held out after which it stops.
        held_out: Share of texts that decide when to stop.
        rate: Of learning (Adam) of the adapter; the head learns at the same.
        steps: Of a pass, at least, as far as there are texts: a batch is small where there are few.
        tokens: Of a text that are read in training, and a batch holds at most 32 texts.
    """

    rank: int = 8
    epochs: int = 6
    patience: int = 2
    held_out: float = 0.15
    rate: float = 1e-3
    steps: int = 20
    tokens: int = 128


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What vectors are to tell of n texts, ``½ fᵀ M f − fᵀ d`` for what they say, ``f = (v − centre) @ head``.

    Attributes:
        texts: (n).
        deviations: d, (n, A).
        reliability: M, (n, A, A).
        centre: Of the vectors as they are, (E,).
        head: Where it begins, (E, A).
    """

    texts: Sequence[str]
    deviations: Array
    reliability: Array
    centre: Array
    head: Array


def fit_lora(
    loaded: Loaded,
    prompt: str,
    lesson: Lesson,
    *,
    options: LoraOptions,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Lora | None:
    """The adapter of the pass that tells best what texts held out have; None if no pass is better than no adapter.

    Args:
        loaded: The encoder; its module is changed and no longer to be used.
        prompt: What goes before each text.
        progress: Called with (passes done, passes at most).
    Raises:
        MissingExtra: If peft is not installed.
        OptionError: If the model's attention is not known.
    """
    trainer = _Trainer.prepare(loaded, prompt, lesson, options, rng)
    least = trainer.loss()
    return best_pass(trainer, "lora", least=least, epochs=options.epochs, patience=options.patience, progress=progress)


@dataclass(slots=True, eq=False)
class _Trainer:
    """An adapter on its way."""

    torch: Any
    module: Any
    names: list[str]
    windows: list[Window]
    pad_id: int | None
    parts: tuple[NDArray[np.intp], NDArray[np.intp]]  # taught, held out
    lesson: tuple[Any, Any, Any]  # deviations, reliability, centre
    head: Any
    optimizer: Any
    options: LoraOptions
    rng: np.random.Generator

    @classmethod
    def prepare(
        cls, loaded: Loaded, prompt: str, lesson: Lesson, options: LoraOptions, rng: np.random.Generator
    ) -> _Trainer:
        require_peft()
        torch: Any = importlib.import_module("torch")
        names = targets(loaded.module)
        module = _injected(torch, loaded.module, names, options.rank, rng).to(devices(torch)[0])
        cutter = Windows(tokenize_with(loaded.tokenizer), min(loaded.max_tokens, options.tokens), prompt)
        cut = cutter.of([clean(text) for text in lesson.texts])
        windows = list({window.text: window for window in reversed(cut)}.values())[::-1]  # the first of each text
        places = rng.permutation(len(windows))
        n_held = max(1, round(options.held_out * len(windows)))
        told = np.array([window.text for window in windows], dtype=np.intp)
        parts = lesson.deviations[told], lesson.reliability[told], lesson.centre, lesson.head
        where = next(module.parameters()).device
        deviations, reliability, centre, head = (torch.from_numpy(part.astype(np.float32)).to(where) for part in parts)
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam([*weights, head.requires_grad_()], lr=options.rate)
        return cls(
            torch,
            module,
            names,
            windows,
            loaded.tokenizer.pad_token_id,
            (places[n_held:], places[:n_held]),
            (deviations, reliability, centre),
            head,
            optimizer,
            options,
            rng,
        )

    def epoch(self) -> None:
        """One pass over all texts but those held out."""
        size = int(np.clip(len(self.parts[0]) // self.options.steps, 4, 32))
        for rows in self._batches(self.parts[0], size, shuffled=True):
            loss = self._loss_of(rows)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()

    def loss(self) -> float:
        """Mean loss of the texts held out."""
        with self.torch.inference_mode():
            parts = [
                (len(rows), float(self._loss_of(rows))) for rows in self._batches(self.parts[1], 32, shuffled=False)
            ]
        return sum(n * loss for n, loss in parts) / len(self.parts[1])

    def _loss_of(self, rows: NDArray[np.intp]) -> Any:
        torch, (deviations, reliability, centre) = self.torch, self.lesson
        ids, mask = (
            torch.from_numpy(part).to(centre.device)
            for part in pad([self.windows[row].ids for row in rows], self.pad_id)
        )
        vectors = torch.nn.functional.normalize(self.module(ids, mask), dim=1)
        said, at = (vectors - centre) @ self.head, torch.from_numpy(rows).to(centre.device)
        squares = torch.einsum("na,nab,nb->n", said, reliability[at], said)
        return (0.5 * squares - (said * deviations[at]).sum(1)).mean()

    def _batches(self, rows: NDArray[np.intp], size: int, *, shuffled: bool) -> Iterator[NDArray[np.intp]]:
        """Texts of like length together, so that little is padding; the batches in random order."""
        lengths = np.array([len(self.windows[row].ids) for row in rows])
        noise = self.rng.random(len(rows)) if shuffled else np.zeros(len(rows))
        ordered = rows[np.lexsort((noise, lengths))]
        parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        for place in self.rng.permutation(len(parts)) if shuffled else range(len(parts)):
            yield parts[place]

    def snapshot(self) -> Lora:
        """The adapter with the weights of now."""
        layers, places = {}, dict(self.module.named_modules())
        for name in self.names:
            layer = places[name]
            up, down = layer.lora_B["default"].weight, layer.lora_A["default"].weight
            up, down = (half.detach().cpu().numpy().copy() for half in (up * layer.scaling["default"], down))
            layers[name] = up, down
        return Lora(layers)


def require_peft() -> Any:
    """The library peft.

    Raises:
        MissingExtra: If it is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtra("peft", "hf", "adapt='lora'")
    return importlib.import_module("peft")


def _injected(torch: Any, module: Any, names: list[str], rank: int, rng: np.random.Generator) -> Any:
    """The module with an adapter that changes nothing yet, in the mode of use: nothing is dropped at random."""
    peft = require_peft()
    places = dict(module.named_modules())
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=names, fan_in_fan_out=turned(places[names[0]])
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = peft.inject_adapter_in_model(config, module)
    for name, weight in module.named_parameters():
        if ".lora_A." in name:  # the library draws from the global generator
            bound = 1.0 / np.sqrt(weight.shape[1])
            drawn = rng.uniform(-bound, bound, tuple(weight.shape)).astype(np.float32)
            weight.data.copy_(torch.from_numpy(drawn))
    return module.eval()
