"""One reader a public format."""
