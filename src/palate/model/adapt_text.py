"""Adapts the text encoder to what people think of items: kept where it tells more of items it has not seen, or not.

The items with text and answers are cut into four parts. Each in turn counts as never rated: people and the other items
are fitted without it, the adaptation is learnt from those, and the part's answers are told from its text with and
without. Only where the 95 % interval of the difference of the two RMSEs, by item, lies below 0 is the adaptation learnt
from all items and kept; else the model is the one that is fitted without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Progress, Vectors
from palate.encoders.blocks import Block, Raw, fuse
from palate.encoders.cache import Cached
from palate.encoders.items import text_vectors
from palate.encoders.protocol import Encoder
from palate.encoders.registry import load_encoder, takes_adapter
from palate.encoders.text.huggingface import HuggingFace
from palate.encoders.text.loading import named_failure
from palate.encoders.text.lora_fit import Lesson, LoraOptions, fit_lora, require_peft
from palate.errors import OptionError
from palate.errors.checks import shown
from palate.posteriors.held_out_items import Heard, listen, rmse_difference
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.supervised_directions import Evidence, supervised
from palate.random import derive_rng

Adapt = Literal["none", "linear", "lora"]
Report = Callable[[int], None]  # steps done
Learn = Callable[[Raw, NDArray[np.intp], Evidence, int, np.random.Generator], Raw | None]
PARTS = 4
AT_LEAST = 40  # items with text and answers: with fewer, a part has too few to tell anything
LORA = LoraOptions()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What came of adapting the text encoder.

    Attributes:
        kind: ``linear`` or ``lora``.
        kept: Whether the model has it.
        items: With text and answers.
        rmse: Of the answers to items held out, adapted and as it was; None if it was not tried.
        difference: The first less the second, with its 95 % interval; None likewise.
    """

    kind: str
    kept: bool
    items: int
    rmse: tuple[float, float] | None = None
    difference: tuple[float, float, float] | None = None

    def sentence(self) -> str:
        """In words."""
        if self.rmse is None or self.difference is None:
            return f"{self.kind}, not tried: {self.items} items have text and answers, at least {AT_LEAST} are needed"
        figures = "RMSE {:.4f} with it, {:.4f} without".format(*self.rmse)
        interval = "{:+.4f} ({:+.4f} to {:+.4f})".format(*self.difference)
        verdict = "kept" if self.kept else "not kept"
        if not self.kept and self.difference[2] < 0.0:
            verdict = "not kept, since nothing was learnt from all items"
        return f"{self.kind}, {verdict}: on {self.items} items held out in turn {figures}, {interval}"


def check_adapt(adapt: str, encoder: str | Encoder, likelihood: Likelihood) -> None:
    """Raises before anything is encoded.

    Raises:
        OptionError: If the name is unknown, there is no encoder to adapt, none that LoRA changes, or no rating.
        MissingExtra: If peft is not installed, for ``lora``.
    """
    if adapt == "none":
        return
    if encoder == "none":
        raise OptionError(f"adapt={adapt!r} needs a text encoder, and encoder is 'none'. Give an encoder.")
    if likelihood.events_only:
        raise OptionError(f"adapt={adapt!r} is judged by ratings, and the data has events alone. Leave adapt out.")
    if adapt == "lora":
        if not isinstance(encoder, str) or not takes_adapter(encoder):
            raise _not_trainable(encoder)
        require_peft()


def _not_trainable(encoder: str | Encoder) -> OptionError:
    return OptionError(
        f"adapt='lora' needs a Hugging Face text model, and {shown(encoder)} is none. "
        "Give encoder 'minilm', a model's folder or a hub name; or adapt='linear'."
    )


def adapt_text(
    adapt: str,
    raw: Sequence[Raw],
    texts: Sequence[str],
    values: sparse.csr_matrix,
    likelihood: Likelihood,
    *,
    dim: int,
    seed: int,
    progress: Progress | None,
) -> tuple[list[Raw], Adaptation]:
    """The vectors of every modality, the text's adapted if that is better, and what came of it.

    Args:
        adapt: ``linear`` or ``lora``.
        raw: Of I items; of all modalities.
        texts: Of the items, (I), empty where one has none.
        values: Answers, (U, I).
        dim: Taste dimensions to begin with.
    Raises:
        OptionError: If nothing has text, or the encoder cannot be adapted so.
    """
    if not raw or raw[0][0].name != "text":
        raise OptionError(f"adapt={adapt!r} needs texts: 0 of {len(texts)} items have one. Give items a title or text.")
    steps = (PARTS + 1) * LORA.epochs

    def report(done: int) -> None:
        if progress is not None:
            progress("adapting", done, steps)

    learn: Learn = _linear if adapt == "linear" else _LowRank(raw[0][0], texts, report)
    rated = np.unique(values.indices)
    able = rated[~np.isnan(raw[0][1][rated]).any(1)]
    if len(able) < AT_LEAST:
        return _told(list(raw), Adaptation(adapt, False, len(able)))
    trial = _Trial(learn, raw, values.tocsc(), likelihood, dim, seed, report)
    errors = np.zeros((2, len(able)))
    parts = derive_rng(seed, "adapt", "parts").permutation(len(able)) % PARTS
    for part in range(PARTS):
        errors[:, parts == part] = trial.held_out(able[parts == part], rated, part)
    counts = np.bincount(values.indices, minlength=values.shape[1])[able].astype(np.float64)
    rmse, difference = rmse_difference(errors[0], errors[1], counts, derive_rng(seed, "adapt", "bootstrap"))
    text = trial.on_all(rated) if difference[2] < 0.0 else None
    report(steps)
    found = Adaptation(adapt, text is not None, len(able), rmse, difference)
    return _told(list(raw) if text is None else [text, *raw[1:]], found)


def _told(raw: list[Raw], found: Adaptation) -> tuple[list[Raw], Adaptation]:
    _log.info("adapting the text encoder: %s", found.sentence())
    return raw, found


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """Adapting with a part of the items held out, or none."""

    learn: Learn
    raw: Sequence[Raw]
    values: sparse.csc_matrix
    likelihood: Likelihood
    dim: int
    seed: int
    report: Report

    def held_out(self, held: NDArray[np.intp], rated: NDArray[np.intp], part: int) -> tuple[Array, Array]:
        """Summed squared errors of the answers to some items, adapted and as it is, (h,) each."""
        heard = self._listen(np.setdiff1d(rated, held))
        text, as_it_is = self._learnt(heard, part), self._errors(heard, self.raw, held)
        return (as_it_is if text is None else self._errors(heard, [text, *self.raw[1:]], held)), as_it_is

    def on_all(self, rated: NDArray[np.intp]) -> Raw | None:
        """The text as the model is to have it."""
        return self._learnt(self._listen(rated), PARTS)

    def _listen(self, items: NDArray[np.intp]) -> Heard:
        rng = derive_rng(self.seed, "adapt", "fit")
        return listen(self.values, items, self.likelihood, self.dim, rng)

    def _learnt(self, heard: Heard, part: int) -> Raw | None:
        has = np.flatnonzero(~np.isnan(self.raw[0][1][heard.items]).any(1))
        rng = derive_rng(self.seed, "adapt", "learn", str(part))
        text = self.learn(self.raw[0], heard.items[has], heard.evidence.take(has), part, rng)
        self.report((part + 1) * LORA.epochs)
        return text

    def _errors(self, heard: Heard, raw: Sequence[Raw], held: NDArray[np.intp]) -> Array:
        content = fuse(raw)
        assert content is not None  # it has a text
        return heard.squared_errors(content.vectors.astype(np.float64), content.sizes, held, self.values)


def _linear(text: Raw, items: NDArray[np.intp], evidence: Evidence, part: int, rng: np.random.Generator) -> Raw | None:
    """A map of the encodings, to the directions that level and factors follow."""
    block, vectors = text
    axes = supervised(vectors[items].astype(np.float64), evidence)
    return None if axes is None else (replace(block, axes=axes), vectors)


class _LowRank:
    """A low-rank change of the encoder itself."""

    def __init__(self, block: Block, texts: Sequence[str], report: Report) -> None:
        encoder = load_encoder(block.encoder, revision=block.revision)
        if not isinstance(encoder, HuggingFace):
            raise _not_trainable(block.encoder)
        self.encoder, self.texts, self.report = encoder, texts, report

    def __call__(
        self, text: Raw, items: NDArray[np.intp], evidence: Evidence, part: int, rng: np.random.Generator
    ) -> Raw | None:
        block, vectors = text
        seen = vectors[items].astype(np.float64)
        head = supervised(seen, evidence)
        lesson = Lesson(
            texts=[self.texts[item] for item in items],
            deviations=evidence.deviations,
            reliability=evidence.reliability,
            centre=seen.mean(0),
            head=np.zeros((seen.shape[1], evidence.deviations.shape[1])) if head is None else head,
        )
        with named_failure(self.encoder.folder, "trained"):
            lora = fit_lora(
                self.encoder.to_train(),
                self.encoder.prompts.document,
                lesson,
                options=LORA,
                rng=rng,
                progress=lambda epoch, _: self.report(part * LORA.epochs + epoch),
            )
        if lora is None:
            return None
        adapted = load_encoder(block.encoder, lora=lora)
        block = replace(block, revision=adapted.revision, lora=lora)
        if part == PARTS:
            return block, text_vectors(self.texts, Cached(adapted), None)
        encoded: Vectors = adapted.encode(self.texts)  # past the cache: this adapter is thrown away
        encoded[[not one for one in self.texts]] = np.nan
        return block, encoded
