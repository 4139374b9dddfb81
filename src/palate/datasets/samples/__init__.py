"""Generated logs, one a kind of product, for a demonstration without any download."""

from __future__ import annotations

from palate.datasets.samples.news import news_sample
from palate.datasets.samples.shop import shop_sample
from palate.datasets.samples.social import social_sample
from palate.datasets.samples.video import video_sample

__all__ = ["news_sample", "shop_sample", "social_sample", "video_sample"]
