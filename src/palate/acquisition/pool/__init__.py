"""Active learning on any model: every strategy of the general literature, on a pool of candidates."""
