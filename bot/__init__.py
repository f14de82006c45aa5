"""Composition: each module is one way of putting the system together."""
