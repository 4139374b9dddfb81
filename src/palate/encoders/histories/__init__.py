"""What people did, as vectors."""
