"""A model folder: safetensors, JSON and parquet, checked before anything is believed."""
