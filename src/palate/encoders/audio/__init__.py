"""Sounds, as vectors."""
