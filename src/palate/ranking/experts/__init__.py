"""Evidence that an item is met next, of one kind a module."""
