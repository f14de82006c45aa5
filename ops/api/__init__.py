"""The operator's HTTP interface, on the daemon's own loop."""
