"""How many cores there are for this process."""

from __future__ import annotations

import os


def cores() -> int:
    """Cores this process may use, at least 1: fewer than the machine has where it was pinned to some."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
