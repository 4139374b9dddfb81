"""Data sets: tables with checked columns, readers of public formats, splits, and a generated world."""

from __future__ import annotations

from palate.datasets.coding import Coded
from palate.datasets.files.limits import Limits
from palate.datasets.files.rejects import Reject, Rejects
from palate.datasets.planted import PlantedWorld, planted_world
from palate.datasets.splits import Split
from palate.datasets.tables import Dataset

__all__ = ["Coded", "Dataset", "Limits", "PlantedWorld", "Reject", "Rejects", "Split", "planted_world"]
