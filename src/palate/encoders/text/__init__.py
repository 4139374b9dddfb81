"""Text, as vectors."""
