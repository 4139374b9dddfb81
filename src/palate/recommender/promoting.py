"""Another version in the place of the one that serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from palate.errors import ModelFolderError, OptionError
from palate.loop import checkpoint
from palate.loop.memory import Memory
from palate.recommender import versions
from palate.recommender.live import Live
from palate.recommender.privacy import forget_owed
from palate.recommender.versions import Version


def promote(live: Live, version: str) -> Version:
    """Let a kept version serve (:meth:`palate.Recommender.promote`)."""
    with live.changing:
        place = versions.place_of(live.folder, version)
        found = checkpoint.read_model(place, live.encoders.values())
        memory = live.now().memory
        versions.check_alike(found.memory.fitted, memory.fitted)
        health = versions.check_health(found.memory, memory)
        if health.faults:
            raise ModelFolderError(f"version {version} is not promoted: {'; '.join(health.faults)}. Refit.")
        model = replace(found.memory.fitted, withdrawn=memory.fitted.withdrawn)
        live.replace(replace(found, memory=Memory(model)), keep=True)
        forget_owed(live)
    return versions.versions_of(live.folder)[0]


def before(folder: Path) -> Version:
    """The newest version that is older than the one that serves.

    Raises:
        OptionError: If none is kept.
    """
    live, *kept = versions.versions_of(folder)
    earlier = [one for one in kept if int(one.id) < int(live.id)]
    if not earlier:
        raise OptionError(f"{folder} keeps no version before {live.id}. Refit it.")
    return earlier[0]
