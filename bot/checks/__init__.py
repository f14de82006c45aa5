"""Looks at a set-up, a daemon or a strategy, and says what is the matter."""
