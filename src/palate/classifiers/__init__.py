"""Models of labels that are no taste: active learning on any model."""
