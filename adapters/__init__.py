"""The edges: whatever touches the outside."""
