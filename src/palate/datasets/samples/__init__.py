"""Generated data of the kinds of product: what `palate demo` and the examples run on, with nothing to download."""

from palate.datasets.samples.shop import shop_sample
from palate.datasets.samples.video import video_sample

__all__ = ["shop_sample", "video_sample"]
