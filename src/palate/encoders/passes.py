"""Training pass by pass, ended by what is held out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

Kept = TypeVar("Kept", covariant=True)
_log = logging.getLogger(__name__)


class Trainer(Protocol[Kept]):
    """Weights on their way."""

    def epoch(self) -> None:
        """One pass over what is not held out."""

    def loss(self) -> float:
        """Of what is held out."""

    def snapshot(self) -> Kept:
        """The weights as they are to be kept now."""


def best_pass(
    trainer: Trainer[Kept],
    name: str,
    *,
    least: float,
    epochs: int,
    patience: int,
    progress: Callable[[int, int], None] | None,
) -> Kept | None:
    """What is kept of the pass of least loss; None if no pass has less than ``least``.

    Args:
        name: Of what is trained, for the log.
        epochs: Passes at most.
        patience: Passes without a gain after which it ends.
        progress: Called with passes done and at most to do.
    """
    best, since = None, 0
    for done in range(1, epochs + 1):
        trainer.epoch()
        loss = trainer.loss()
        _log.info("%s: pass %d, loss %.5f on what is held out, at best %.5f before", name, done, loss, least)
        if progress is not None:
            progress(done, epochs)
        best, least, since = (trainer.snapshot(), loss, 0) if loss < least else (best, least, since + 1)
        if since >= patience:
            break
    return best
