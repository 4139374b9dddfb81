"""Palate inside other people's tools. Each module here is about one library, and imports it when it is used."""
