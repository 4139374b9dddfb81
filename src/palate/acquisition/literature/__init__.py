"""Strategies of the recommender literature, one file an idea."""
