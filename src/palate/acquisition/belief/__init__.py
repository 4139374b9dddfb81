"""Strategies that read the belief alone."""
