"""A learner and its log: what an application uses."""

from palate.recommender.recommender import Recommender

__all__ = ["Recommender"]
