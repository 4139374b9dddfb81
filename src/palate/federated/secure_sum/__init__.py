"""Sums over devices of which the server sees no single vector."""
