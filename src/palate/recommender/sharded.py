"""A model folder from shards (:mod:`palate.scale`)."""

from __future__ import annotations

from pathlib import Path

from palate.arrays import Progress
from palate.datasets.readers.formats import refuse_data_folder
from palate.errors import OptionError
from palate.loop import checkpoint
from palate.loop.checkpoint import Checkpoint
from palate.loop.memory import Memory
from palate.recommender.fitting import DATA
from palate.recommender.recommender import Recommender
from palate.records import erased_among
from palate.runners import Runner
from palate.scale.model import ShardOptions, fit_model_of
from palate.scale.shards import Shards
from palate.store.model_folder.manifest import CONFIG


def create_from_shards(
    place: str | Path,
    shards: Shards,
    options: ShardOptions,
    *,
    runner: Runner,
    again: bool = False,
    progress: Progress | None = None,
) -> Recommender:
    """Fit a model to shards and keep it in a folder. What its log holds counts as told since the fit.

    Args:
        place: A folder, made if missing.
        again: Whether a model that is there may be replaced.
    Raises:
        OptionError: If there is a model, or the shards hold somebody whom its log has erased.
        DataError, CheckpointError: As of :func:`palate.scale.model.fit_model_of`.
    """
    folder = checkpoint.folder_of(place)
    refuse_data_folder(folder)
    if (folder / CONFIG).exists() and not again:
        raise OptionError(f"{folder} holds a model. Open it with Recommender.open, or give again=True.")
    if (folder / DATA).exists():
        raise OptionError(f"{folder} holds a model with its own data. Give another folder for a fit of shards.")
    if folder.exists() and any(folder.iterdir()):
        _refuse_erased(folder, shards)
    model = fit_model_of(shards, options, runner=runner, progress=progress)
    log = checkpoint.open_log(folder)
    last = log.last_seq
    log.close()
    checkpoint.save_model(folder, Checkpoint(Memory(model), options.seed, erased_seq=last))
    return Recommender.open(folder)


def _refuse_erased(folder: Path, shards: Shards) -> None:
    log = checkpoint.open_log(folder)
    try:
        erasures = log.erasures()
    finally:
        log.close()
    if not erasures:
        return
    for number in range(shards.n_shards):
        erased = erased_among(shards.user_ids(number), erasures)
        if erased:
            raise OptionError(
                f"the shards hold {len(erased)} users whom {folder} has erased, such as {sorted(erased)[0]!r}. "
                "Shard the data again without them."
            )
