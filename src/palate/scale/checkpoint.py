"""Where a fit on shards is after some sweeps, on the disk, so that one that was stopped goes on from there.

    g0005/block-000.safetensors     a block of items
    g0005/users-0000.safetensors    what is kept of a shard's users
    g0005/common.safetensors        what all items share
    g0005/_done.json                bounds, and of which fit; written last

A folder without ``_done.json`` counts for nothing. The last two are kept.

After a checkpoint the fit goes on from what tasks read of it. So what a node loses is made again from there, and not
from the start of the fit; the folder has to be one that all nodes see.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from palate.arrays import Array
from palate.errors import CheckpointError
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.item_half import Common, ItemBlock
from palate.posteriors.likelihoods import as_dict, named
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.prior import Prior
from palate.posteriors.sweeps import Progress
from palate.posteriors.user_half import Users
from palate.runners import Runner
from palate.scale.halves import Places, Sharded

FORMAT = 1
_DONE = "_done.json"
_LINEAR = ("mean", "covariance", "coefficients", "centre", "axes", "energy", "signal")
_FUSED = ("mean", "covariance", "coefficients", "centre", "gram", "back", "strengths")


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A folder of checkpoints of one fit.

    Attributes:
        folder: Made at the first checkpoint.
        every: Sweeps between two.
        fit: What names the fit: shards, options, seed. JSON.
        resume: Whether the fit goes on from the last one there.
    """

    folder: Path
    every: int
    fit: Mapping[str, Any]
    resume: bool = False

    def keep(self, runner: Runner, state: Sharded, at: Progress, places: Places) -> Sharded:
        """A checkpoint, if it is time for one, and what to go on from."""
        number = len(at.bounds)
        place = self.folder / f"g{number:04d}"
        if (number % self.every and not at.is_done) or (place / _DONE).exists():
            return state
        place.mkdir(parents=True, exist_ok=True)
        saved = [
            runner.submit(_save_items, one, str(place / f"block-{block:03d}.safetensors"))
            for block, one in enumerate(state.items)
        ]
        saved += [
            runner.submit(_save_users, one, str(place / f"users-{shard:04d}.safetensors"))
            for shard, one in enumerate(state.users)
        ]
        runner.wait(saved)
        config, arrays = _of_prior(at.common.prior)
        _save(arrays, place / "common.safetensors")
        done = {
            "format": FORMAT,
            "fit": dict(self.fit),
            "bounds": at.bounds,
            "edge": at.edge,
            "is_done": at.is_done,
            "likelihood": as_dict(at.common.likelihood),
            "noise": at.common.noise,
            "spread": at.common.spread,
            "prior": config,
        }
        part = place / f"{_DONE}.part"
        part.write_text(json.dumps(done))
        part.replace(place / _DONE)
        for older in self._generations()[:-2]:
            shutil.rmtree(older)
        return self._read(runner, place, places)

    @staticmethod
    def _read(runner: Runner, place: Path, places: Places) -> Sharded:
        items = [
            runner.submit(_load_items, str(place / f"block-{block:03d}.safetensors"), near=places.of_block(block))
            for block in range(places.blocks)
        ]
        users = [
            runner.submit(_load_users, str(place / f"users-{shard:04d}.safetensors"), near=places.of_shard(shard))
            for shard in range(places.shards)
        ]
        runner.wait([*items, *users])
        return Sharded(tuple(items), tuple(users))

    def _generations(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob(f"g*/{_DONE}"))

    def last(self, runner: Runner, places: Places) -> tuple[Sharded, Progress] | None:
        """Where the fit was; None where it is to begin.

        Raises:
            CheckpointError: If there is one and the fit is not to go on from it, it is of another fit, or damaged.
        """
        there = self._generations()
        if not there:
            return None
        place = there[-1]
        if not self.resume:
            raise CheckpointError(f"{place} is a checkpoint already. Go on from it with --resume, or remove it.")
        try:
            done = json.loads((place / _DONE).read_text())
            if done["format"] != FORMAT:
                raise CheckpointError(f"{place} has format {done['format']}, this Palate reads {FORMAT}. Start anew.")
            _check_same(place, done["fit"], dict(self.fit))
            prior = _prior_of(done["prior"], load_file(place / "common.safetensors"))
            common = Common(prior, named(**done["likelihood"]), done["noise"], done["spread"])
            state = self._read(runner, place, places)
            at = Progress(common, tuple(done["bounds"]), done["edge"], done["is_done"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CheckpointError(
                f"the checkpoint {place} cannot be read: {error}. Remove that folder and start again."
            ) from error
        return state, at


def _check_same(place: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    other = [name for name in expected if found.get(name) != expected[name]]
    if other:
        name = other[0]
        raise CheckpointError(
            f"{place} is a checkpoint of another fit: its {name} is {found.get(name)}, here it is {expected[name]}. "
            "Give the same data and options, or another --checkpoint folder."
        )


def _of_prior(prior: Prior) -> tuple[dict[str, Any], dict[str, Array]]:
    if isinstance(prior, FusedPrior):
        config = {"kind": "fused", "items": prior.items, "sizes": prior.sizes}
        return config, {name: getattr(prior, name) for name in _FUSED}
    return {"kind": "linear"}, {name: getattr(prior, name) for name in _LINEAR}


def _prior_of(config: Mapping[str, Any], arrays: dict[str, Array]) -> Prior:
    if config["kind"] == "fused":
        return FusedPrior.build(items=config["items"], sizes=config["sizes"], **arrays)
    return LinearPrior(**arrays)


def _save(arrays: dict[str, Array], path: Path | str) -> None:
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def _save_items(items: ItemBlock, path: str) -> None:
    _save({"factors": items.factors, "covariances": items.covariances, "noise": items.noise}, path)


def _load_items(path: str) -> ItemBlock:
    return ItemBlock(**load_file(path))


def _save_users(users: Users, path: str) -> None:
    _save({"moments": users.moments, "precision": users.precision}, path)


def _load_users(path: str) -> Users:
    return Users(**load_file(path))
