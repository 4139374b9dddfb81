"""Generated logs, one a kind of product, for a demonstration without any download."""

from __future__ import annotations

from palate.datasets.samples.video import video_sample

__all__ = ["video_sample"]
