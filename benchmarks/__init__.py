"""Benchmarks: each is a command (``python -m benchmarks.NAME --json``) whose document is kept under ``results/``."""
