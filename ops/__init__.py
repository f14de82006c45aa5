"""The control plane: what watches, records and commands."""
