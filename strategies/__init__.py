"""The decision plane: how a bar becomes an order. Stages are pure; the Nautilus side is thin."""
