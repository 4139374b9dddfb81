"""The log in SQLite keeps the contract of a label store."""

from __future__ import annotations

from pathlib import Path

from palate.store.sqlite_log import LabelLog
from palate.testing import LabelStoreContract


class TestLabelLog(LabelStoreContract):
    def open(self, place: Path) -> LabelLog:
        return LabelLog.open(place / "labels.sqlite")
