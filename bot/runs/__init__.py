"""Backtests and walk-forwards, from configuration to artifacts, and the processes that carry them out."""
