"""How to order a list."""
