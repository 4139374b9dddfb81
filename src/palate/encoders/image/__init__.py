"""Images, as vectors."""
