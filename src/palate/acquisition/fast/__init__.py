"""The same scores for a large catalogue, in one pass over compressed matrices."""
