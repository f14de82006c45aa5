"""Work beside trading, by the clock or on an operator's word, seen to its end over crashes and restarts."""
